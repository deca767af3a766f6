// The graph: cards, arrows and scopes as SVG, built once per folding; a step touches only what it changes.

let picture = null; // the svg element
let placed = null; // arrangement()
let thickness = null; // arrow -> px
const drawn = { cards: new Map(), arrows: new Map(), scopes: new Map() }; // id -> its g element

function build() {
  placed = arrangement();
  for (const all of Object.values(drawn)) all.clear();
  const [w, h] = placed.size;
  picture = svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "group", "aria-label": `Graph of ${data.title}` });
  picture.append(svg("defs", {}, marker("tip-value"), marker("tip-now"), marker("tip-gradient")));
  for (const s of placed.scopes) keep(drawn.scopes, s.scope.id, s.closed ? drawClosed(s) : drawScope(s));
  thickness = thicknesses();
  for (const a of arrows) if (placed.arrows[a.id]) keep(drawn.arrows, a.id, drawArrow(a, placed.arrows[a.id]));
  for (const c of cards) if (placed.cards[c.id]) keep(drawn.cards, c.id, drawCard(c, placed.cards[c.id]));
  document.querySelector(".view").replaceChildren(); // it comes in when it has its size: no layout is done twice
}
function keep(all, id, g) {
  all.set(id, g);
  picture.append(g);
}
const marker = (id) =>
  svg(
    "marker",
    { id, viewBox: "0 0 10 10", refX: 8.6, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 1L9 5L0 9z", class: id }),
  );
const rectangle = (cls, [x, y, width, height], rx) => svg("rect", { class: cls, x, y, width, height, rx });
const label = (cls, x, y, text, anchor) => svg("text", { class: cls, x, y, "text-anchor": anchor }, text);

// ---- scopes

function foldButton({ scope, box: [x, y, w], closed }) {
  const name = scope.path.at(-1);
  const shown = cutTo(name, w - 44, "600 12px");
  const act = () => {
    if (closed) state.closed.delete(scope.id);
    else state.closed.add(scope.id);
    rebuild();
    drawn.scopes.get(scope.id)?.querySelector(".fold").focus();
  };
  const onkeydown = (e) => {
    if (e.key !== "Enter" && e.key !== " ") return;
    e.preventDefault();
    e.stopPropagation();
    act();
  };
  return svg(
    "g",
    { class: "fold", tabindex: 0, role: "button", "aria-expanded": String(!closed), "aria-label": `${closed ? "unfold" : "fold"} ${name}`, onclick: act, onkeydown },
    svg("title", {}, `scope ${scope.path.join(" / ")}`),
    rectangle("grip", [x + 6, y + 4, Math.min(w - 12, 34 + widthOf(shown, "600 12px")), 20], 5),
    svg("path", { d: closed ? `M${x + 13} ${y + 10}l4 4l-4 4` : `M${x + 12} ${y + 12}l4 4l4 -4` }),
    label("name", x + 26, y + 18, shown),
  );
}
function drawScope(s) {
  return svg("g", { class: "scope" }, rectangle("frame", s.box, 10), foldButton(s));
}
const FROM_RIGHT = { v: 196, g: 100 }; // where the pictures in a closed scope begin
function drawClosed(s) {
  const [x, y, w, h] = s.box;
  const inner = cards.filter((c) => inScope(c, s.scope));
  const ops = inner.filter((c) => c.op);
  const parameters = inner.filter((c) => c.kind === "parameter").map((c) => c.name);
  const last = ops.at(-1);
  const pictured = w > 330 && last && !isScalar(arrayOf(last.v));
  const room = pictured ? w - 230 : w - 40;
  const about = `${inner.length} cards${parameters.length ? ` · parameters ${parameters.join(", ")}` : ""}`;
  const path = ops.map((c) => c.glyph || words(c.op)).join(" → ");
  const g = svg("g", { class: "scope closed" }, rectangle("frame", s.box, 10), foldButton(s));
  g.append(label("about m", x + 26, y + 35, cut(path, room / 7)), label("about", x + 26, y + 50, cutTo(about, room, "11.5px")));
  for (const [kind, right] of pictured ? Object.entries(FROM_RIGHT) : []) {
    if (has(last[kind])) g.append(...pictureIn(arrayOf(last[kind]), kind, [x + w - right, y + h / 2 - 18, 84, 36]));
  }
  return g;
}

// ---- arrows

function thicknesses() {
  // The thicker, the larger the gradient, on a logarithmic scale.
  const sizes = arrows.flatMap(lengthsOf).filter((x) => x > 0 && Number.isFinite(x)).map(Math.log);
  const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
  return (a) => {
    if (lengthNow(a) === 0) return 0.8;
    const x = Math.log(lengthNow(a) ?? NaN);
    return Number.isFinite(x) && high > low ? 1.4 + (2.2 * (x - low)) / (high - low) : 2;
  };
}
function drawArrow(a, { pts, label: at }) {
  const [tail, head] = [cardOf.get(a.tail), cardOf.get(a.head)];
  const name = `${nameOf(tail)} to ${nameOf(head)}${a.code ? `; backward: ${a.code}` : ""}`;
  const g = svg("g", { class: "arrow", "data-ref": a.id, role: "button", tabindex: -1, "aria-label": `arrow from ${name}` });
  const forward = pathOf(pts);
  toggle(g, "inner", tail.scope.length && head.scope.length);
  g.append(svg("title", {}, name), svg("path", { class: "f", d: forward, "marker-end": "url(#tip-value)" }));
  if (a.flows) g.append(svg("path", { class: "b", d: pathOf(beside(reversed(pts), -6)), "marker-end": "url(#tip-gradient)" }));
  g.append(svg("path", { class: "hit", d: forward }));
  if (at) rowsAt(a).forEach(([cls, text], i) => g.append(label(cls, at[0] + (a.flows ? 12 : 6), at[1] + 15 + 16 * i, text)));
  return g;
}
function rowsAt(a) {
  // What stands at an arrow: as much as its label has room for.
  const rows = [];
  const columns = a.label ? (a.label.w - 10) / 7 : 40;
  const value = has(a.passed) && arrayOf(a.passed);
  const most = a.label ? Math.round((a.label.h - 6) / 16) : 0;
  if (a.broadcast) rows.push(["broadcast", a.broadcast]);
  if (a.flows && a.code) rows.push(["vjp m", cut(a.code, columns)]);
  if (rows.length < most && value && !has(value.text)) rows.unshift(["passed m", scalarText(value)]);
  if (rows.length < most && a.flows && numbersIn(a)) rows.push(["vjp m", numbersIn(a)]);
  return rows.slice(0, most);
}
function numbersIn(a) {
  // A vjp of scalars with its numbers: "= 1 * -6 = -6".
  const all = a.eq || [];
  if (!has(a.a) || !isScalar(arrayOf(a.a)) || all.length < 2 || !all.every((t) => typeof t === "string" || (has(t.a) && isScalar(arrayOf(t.a))))) return "";
  const number = (t, i) => {
    const text = scalarText(arrayOf(t.a));
    const isInside = i > 0 || String(all[1]).startsWith(" **"); // 2 * (-7), -(-3), (-2) ** 2
    return isInside && text.startsWith("-") ? `(${text})` : text;
  };
  const [said, result] = [all.map((t, i) => (typeof t === "string" ? t : number(t, i))).join(""), scalarText(arrayOf(a.a))];
  return said === result ? "" : `= ${said} = ${result}`;
}
const pairsOf = (pts) => Array.from({ length: pts.length / 2 }, (_, i) => [pts[2 * i], pts[2 * i + 1]]);
function pathOf(pts) {
  const [start, ...rest] = pairsOf(pts).map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
  const curve = rest.length - (rest.length % 3); // what is left over is the tip, straight on
  return `M${start}C${rest.slice(0, curve).join(" ")}${rest.slice(curve).map((p) => `L${p}`).join("")}`;
}
function beside(pts, distance) {
  // A curve's parallel.
  const all = pairsOf(pts);
  const away = (i, step) => {
    let k = i;
    while (all[k + step] && Math.hypot(all[k][0] - all[i][0], all[k][1] - all[i][1]) < 4) k += step;
    return all[k];
  };
  return all.flatMap(([x, y], i) => {
    const [before, after] = [away(i, -1), away(i, 1)];
    const length = Math.hypot(after[0] - before[0], after[1] - before[1]) || 1;
    return [x + (distance * (after[1] - before[1])) / length, y - (distance * (after[0] - before[0])) / length];
  });
}

// ---- cards

const LONG_NAME = 28; // letters of each word of a heading, for which a card has room
const ROUND = { op: 13, output: 13 };
function drawCard(c, [x, y]) {
  const rx = ROUND[c.kind] ?? 2;
  const g = svg("g", { class: `card k-${c.kind}`, transform: `translate(${x} ${y})`, "data-ref": c.id, tabindex: -1, role: "button" });
  g.append(svg("title", {}, `${nameOf(c)}: ${c.kind} ${c.shape} ${c.dtype}`));
  if (c.kind === "parameter") g.append(rectangle("box outer", [-3.5, -3.5, c.w + 7, c.h + 7], 3));
  if (c.kind === "fold") for (const d of [8, 4]) g.append(rectangle("box", [d, -d, c.w, c.h], 4));
  g.append(rectangle("box", [0, 0, c.w, c.h], rx), rectangle("ring", [-5, -5, c.w + 10, c.h + 10], rx + 4));
  let top = heading(g, c);
  for (const fact of c.facts) {
    g.append(label("fact m", 10, top + 8, cut(fact, (c.w - 20) / 7)));
    top += 13;
  }
  const kinds = has(c.g) ? ["v", "g"] : ["v"];
  if (has(c.v)) kinds.forEach((kind, i) => cell(g, c, kind, i, kinds.length, top));
  return g;
}
function heading(g, c) {
  // The kind, then glyph, name of the op and name of the value, and the shape at the right.
  const captioned = c.kind !== "op";
  const y = captioned ? 29 : 19;
  const times = c.count > 1 ? ` × ${c.count}` : "";
  const shape = c.shape === "()" ? "" : c.shape;
  if (captioned) g.append(label("kind", 10, 14, `${c.kind.toUpperCase()}${times}`));
  const line = svg("text", { x: 10, y });
  let room = c.w - 20 - (shape ? 6.95 * shape.length + 6 : 0);
  const part = (cls, text, each) => {
    const shown = cut(text, Math.min(LONG_NAME, Math.max(3, room / each)));
    room -= each * columnsOf(shown) + 7;
    return svg("tspan", { class: cls }, shown);
  };
  const op = words(c.op);
  const named = c.kind === "op" ? ![op, c.op].includes(c.glyph) : c.kind === "output" && c.op; // whether the op's name says more than its glyph
  const sign = c.glyph || op;
  const glyph = c.kind === "op" && (sign.length > 2 ? part("glyph m said", sign, 7.9) : part("glyph m", sign, 9));
  const name = c.name && part("name m", c.name, 8.4); // before the op's name, which gives way
  const about = named && room > 24 && part("words", op, 6.6);
  fill(line, {}, c.kind === "op" ? [glyph, about, name] : [name, about]);
  [...line.children].forEach((node, i) => node.setAttribute("dx", i ? 7 : 0));
  g.append(line, label("shape m", c.w - 10, y, shape, "end"));
  return y + 8;
}
function cell(g, c, kind, i, n, top) {
  const a = arrayOf(c[kind]);
  const scalar = isScalar(a) || has(a.text);
  const w = Math.min(110, (c.w - 20 - 8 * (n - 1)) / n);
  const h = Math.max(16, c.h - top - (scalar ? 10 : 26));
  const left = 10 + i * (w + 8);
  const middle = left + w / 2;
  g.append(rectangle(`cell ${kind}`, [left, top, w, h], 4), label(`hint ${kind}`, middle, top + h / 2 + 3.5, kind === "v" ? "value" : "grad"));
  if (scalar) g.append(label(`num m ${kind}`, middle, top + h / 2 + 4.5, ""));
  else g.append(...pictureIn(a, kind, [left + 3, top + 3, w - 6, h - 6]), fill(label(`cap ${kind}`, middle, top + h + 11.5, ""), { "data-room": w }, []));
}
function pictureIn(a, kind, [x, y, w, h]) {
  const [width, height] = fitted(a, w, h, 13);
  const box = { x: x + (w - width) / 2, y: y + (h - height) / 2, width, height };
  return [svg("image", { class: kind, ...box, preserveAspectRatio: "none" }), svg("rect", { class: `edge ${kind}`, ...box })];
}

// ---- what a step changes

function renderGraph() {
  const s = steps[state.step];
  const back = s.k === "seed" || s.k === "backward";
  for (const [id, g] of drawn.cards) renderCard(cardOf.get(id), g, { now: s.n === id, back });
  for (const [id, g] of drawn.arrows) renderArrow(arrowOf.get(id), g, s);
  for (const { scope, closed } of placed.scopes) if (closed) renderClosed(scope, drawn.scopes.get(scope.id), s, back);
}
function progress(c) {
  // How far a card is: its value is there, so many parts of its gradient, all of it.
  const parts = partSteps.get(c.id).filter((k) => k <= state.step).length;
  return { done: state.step >= valueStep.get(c.id), parts, whole: has(c.g) && state.step >= gradientStep(c.id) };
}
function gradientSoFar(c, { parts, whole }) {
  // The sum of the parts that have come, where each is known: of what a fold sends there are only the parts of that.
  if (whole) return arrayOf(c.g);
  const came = flowingFrom(c.id).slice(0, parts).map((a) => a.a);
  return came.length && isSum(c.id) && came.every(has) ? sumOf(came) : null;
}

function renderCard(c, g, { now, back }) {
  const at = progress(c);
  const row = verdictOf(c.id);
  const verdict = row?.verdict;
  const selected = state.card === c.id;
  if (!changed(g, [at.done, at.parts, at.whole, now, back && now, selected, verdict, state.chain, frameShown(), state.theme].join())) return;
  const partly = at.parts > 0 && !at.whole && isSum(c.id);
  for (const [name, on] of Object.entries({ done: at.done, whole: at.whole, partly, now, back: now && back, sel: selected, judged: verdict })) toggle(g, name, on);
  if (has(c.v)) showIn(g, "v", at.done && arrayOf(c.v));
  if (has(c.g)) showIn(g, "g", gradientSoFar(c, at), partly && `${at.parts} of ${flowingFrom(c.id).length} parts`);
  showBadge(g, row, c.w);
  g.setAttribute("tabindex", selected ? 0 : -1);
  g.setAttribute("aria-label", [nameOf(c), whatInWords(c), ...progressInWords(c, at, partly), verdict && saidOf(row)].filter(Boolean).join(", "));
}
const whatInWords = (c) => `${c.kind === "op" ? "" : `${c.kind} `}${words(c.op)}`.trim() + `, ${c.shape === "()" ? "a number" : c.shape}`;
function progressInWords(c, at, partly) {
  // With the numbers, where there is one.
  const number = (a) => (a && (isScalar(a) || has(a.text)) ? ` ${scalarText(a)}` : "");
  const value = at.done ? `computed${has(c.v) ? number(arrayOf(c.v)) : ""}` : "not computed yet";
  if (!has(c.g)) return [value];
  const sum = number(gradientSoFar(c, at));
  const parts = `${at.parts} of ${flowingFrom(c.id).length} parts of the gradient arrived`;
  return [value, at.whole ? `gradient arrived${sum}` : partly ? `${parts}${sum && `, together${sum}`}` : "no gradient yet"];
}
function showIn(g, kind, a, caption) {
  // Pictures are made when they are first seen; what is not there yet has none.
  const [image, number, text] = ["image", ".num", ".cap"].map((what) => g.querySelector(`${what}.${kind}`));
  if (image) {
    if (a) image.setAttribute("href", thumb(a));
    else image.removeAttribute("href");
  }
  if (number) number.textContent = a ? cut(scalarText(a), 12) : "";
  if (text) text.textContent = caption || (a ? captionOf(a, kind, +text.dataset.room || 84) : "");
}
function captionOf(a, kind, room) {
  // The ends of the values, or the length of the gradient, with as many digits as there is room for.
  if (!has(a.min)) return a.bad ? "not finite" : "";
  if (kind === "v" && /^(int|uint|bool)/.test(a.dtype)) return "";
  const number = (x, digits) => short(x, digits).replace("e+", "e");
  const said = (digits) => (kind === "g" ? `|grad| ${number(a.norm, digits)}` : `${number(a.min, digits)} … ${number(a.max, digits)}`);
  const fitting = [3, 2, 1].map(said).find((text) => widthOf(text, "10.5px") <= room + 2);
  return fitting ?? `|x| ≤ ${number(ownReach(a), 2)}`;
}
function showBadge(g, row, right, top = 0) {
  // The verdict, by icon and word, at a corner.
  g.querySelector(".badge")?.remove();
  toggle(g, "first", row?.first);
  g.dataset.verdict = row?.verdict || "";
  if (!row) return;
  const said = cut(saidOf(row), 22);
  const width = 34 + 6.3 * columnsOf(said);
  g.append(svg("g", { class: `badge ${row.verdict}`, transform: `translate(${right + 5 - width} ${top - 14})` }, rectangle("", [0, 0, width, 20], 10), svg("path", { d: ICONS[row.verdict], transform: "translate(8 4.5)" }), label("", 23, 14, said)));
}
function renderArrow(a, g, s) {
  const passing = s.k === "forward" && s.n === a.head;
  const flowing = s.a === a.id;
  const passed = state.step >= valueStep.get(a.head);
  const lit = arrowStep.has(a.id) && state.step >= arrowStep.get(a.id);
  const selected = state.arrow === a.id;
  if (!changed(g, [passing, flowing, passed, lit, selected, frameShown()].join())) return;
  for (const [name, on] of Object.entries({ passing, flowing, passed, lit, sel: selected })) toggle(g, name, on);
  const said = rowsAt(a); // a frame of training has other numbers
  g.querySelectorAll("text").forEach((text, i) => (text.textContent = said[i]?.[1] ?? ""));
  g.querySelector(".f").setAttribute("marker-end", `url(#tip-${passing ? "now" : "value"})`);
  g.querySelector(".b")?.setAttribute("stroke-width", thickness(a).toFixed(1));
}
function renderClosed(scope, g, s, back) {
  const last = cards.filter((c) => inScope(c, scope) && c.op).at(-1);
  const now = has(s.n) && inScope(cardOf.get(s.n), scope);
  const at = last ? progress(last) : {};
  if (!changed(g, [now, now && back, at.done, at.whole, state.chain, frameShown(), state.theme].join())) return;
  const [x, y, w] = placed.scopes.find((other) => other.scope === scope).box;
  showBadge(g, verdictIn(scope), x + w - 4, y);
  for (const [name, on] of Object.entries({ now, back: now && back, done: at.done, whole: at.whole })) toggle(g, name, on);
  if (!last) return;
  showIn(g, "v", at.done && arrayOf(last.v));
  showIn(g, "g", at.whole && arrayOf(last.g));
}
