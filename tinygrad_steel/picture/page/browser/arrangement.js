// Where everything lies: a layout that Python made, or the first one with single scopes closed in place.

const HIGH = 60; // a closed scope
const GAP = 14; // the room above and below it, for arrows and what stands at them

const within = (inner, outer) => inner !== outer && startsWith(inner.path, outer.path);
const outermost = scopes.filter((s) => !scopes.some((o) => within(s, o)));
function closedScopes() {
  // Of those in each other the outermost.
  const all = scopes.filter((s) => state.closed.has(s.id));
  return all.filter((s) => !all.some((o) => within(s, o)));
}
const overlapping = ([, y, , h], [, top, , high]) => y < top + high && y + h > top;

function arrangement() {
  // {size, cards, arrows, scopes: [{scope, box, closed}], around: card -> closed scope}: what render draws.
  const closed = closedScopes();
  const around = new Map();
  for (const scope of closed) for (const c of cards) if (inScope(c, scope)) around.set(c.id, scope);
  const same = (layout) => layout.closed.length === closed.length && closed.every((s) => layout.closed.includes(s.id));
  const made = layouts.find(same);
  return { around, ...(made ? asMade(made, closed) : inPlace(layouts[0], closed, around)) };
}

function asMade(layout, closed) {
  return {
    size: layout.size,
    cards: layout.cards,
    arrows: layout.arrows,
    scopes: scopes.filter((s) => layout.scopes[s.id]).map((scope) => ({ scope, box: layout.scopes[scope.id], closed: closed.includes(scope) })),
  };
}

function inPlace(layout, closed, around) {
  // A closed scope is drawn lower, and what is below moves up, where nothing else shares its band; else it keeps its box.
  const lower = closed.filter((s) => canShrink(layout, s));
  const bands = lower.map((s) => layout.scopes[s.id]);
  const lift = (y) => bands.reduce((out, [, top, , high]) => out - clamp((y - top) / high, 0, 1) * (high - HIGH - 2 * GAP), y);
  const placeOf = (s) => {
    const [x, y, w, h] = layout.scopes[s.id];
    return lower.includes(s) ? [x, lift(y) + GAP, w, HIGH] : [x, lift(y), w, lift(y + h) - lift(y)];
  };
  const placed = { size: [layout.size[0], lift(layout.size[1])], cards: {}, arrows: {}, scopes: [] };
  for (const c of cards.filter((c) => !around.has(c.id))) {
    const [x, y, w, h] = layout.cards[c.id];
    placed.cards[c.id] = [x, lift(y), w, h];
  }
  for (const a of arrows.filter((a) => layout.arrows[a.id])) {
    const [tail, head] = [around.get(a.tail), around.get(a.head)];
    if (!tail || tail !== head) placed.arrows[a.id] = arrowInPlace(layout.arrows[a.id], lift, tail && placeOf(tail), head && placeOf(head));
  }
  for (const scope of scopes.filter((s) => !closed.some((o) => within(s, o)))) {
    placed.scopes.push({ scope, box: placeOf(scope), closed: closed.includes(scope) });
  }
  return placed;
}
function arrowInPlace({ pts, label }, lift, tail, head) {
  // Its label is where it was, or, where a box has cut the arrow, at the middle of what is left.
  const curve = clipped(pts.map((p, i) => (i % 2 ? lift(p) : p)), tail, head);
  const middle = 2 * Math.floor(curve.length / 4);
  return { pts: curve, label: tail || head ? curve.slice(middle, middle + 2) : [label[0], lift(label[1])] };
}

function canShrink(layout, scope) {
  const box = layout.scopes[scope.id];
  const stranger = (c) => !inScope(c, scope) && layout.cards[c.id] && overlapping(layout.cards[c.id], box);
  const other = (s) => s !== scope && !within(s, scope) && !within(scope, s) && overlapping(layout.scopes[s.id], box);
  return box[3] > HIGH + 2 * GAP && !cards.some(stranger) && !scopes.some(other);
}

// ---- a curve that ends where a box begins

const inside = ([x, y, w, h], px, py) => px > x && px < x + w && py > y && py < y + h;
function clipped(pts, tail, head) {
  if (head) pts = reversed(outOf(reversed(pts), head));
  return tail ? outOf(pts, tail) : pts;
}
function reversed(pts) {
  const out = [];
  for (let i = pts.length - 2; i >= 0; i -= 2) out.push(pts[i], pts[i + 1]);
  return out;
}
function outOf(pts, box) {
  // `pts` from where it last leaves `box`.
  for (let i = pts.length - 8; i >= 0; i -= 6) {
    const piece = pts.slice(i, i + 8);
    for (let t = 1; t >= 0; t -= 0.02) {
      const rest = split(piece, Math.max(0, t));
      if (inside(box, rest[0], rest[1])) return [...rest, ...pts.slice(i + 8)];
    }
  }
  return [...straight(nearest(pts, box), pts), ...pts.slice(2)];
}
const nearest = ([px, py], [x, y, w, h]) => [clamp(px, x, x + w), clamp(py, y, y + h)];
const straight = ([x0, y0], [x1, y1]) => [x0, y0, x0, y0, x1, y1, x1, y1]; // a line, as a curve
function split([x0, y0, x1, y1, x2, y2, x3, y3], t) {
  // The part of a cubic Bézier curve after `t` (de Casteljau).
  const mix = (a, b) => a + (b - a) * t;
  const axis = (a, b, c, d) => {
    const [ab, bc, cd] = [mix(a, b), mix(b, c), mix(c, d)];
    return [mix(mix(ab, bc), mix(bc, cd)), mix(bc, cd), cd, d];
  };
  const [xs, ys] = [axis(x0, x1, x2, x3), axis(y0, y1, y2, y3)];
  return xs.flatMap((x, i) => [x, ys[i]]);
}
