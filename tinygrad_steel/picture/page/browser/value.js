// The panel of the selected value: how it is computed, its numbers, its gradient's parts, and what that gradient means.

function renderValue() {
  const c = cardOf.get(state.card);
  const box = $("value");
  const top = box.dataset.card === c.id ? box.scrollTop : 0;
  const key = box.contains(document.activeElement) && document.activeElement.dataset.key;
  box.dataset.card = c.id;
  const maps = mapsOf(c, box.clientWidth - 34);
  const both = [...equationsOf(c), maps]; // what is compared is seen first
  box.replaceChildren(headOf(c), ...blockOf(c), ...comparisonOf(c), ...(isCompared(c) ? both.reverse() : both), ...missingOf(c), ...meaningOf(c));
  box.scrollTop = top;
  if (key) (box.querySelector(`[data-key="${CSS.escape(key)}"]`) || box.querySelector(".pin")).focus({ preventScroll: true });
}
function followValue() {
  const box = $("value");
  const now = !isCompared(cardOf.get(state.card)) && box.querySelector(".eqbox.now");
  if (!now) return;
  const head = box.querySelector(".head").offsetHeight; // it stays above what is scrolled
  const below = now.offsetTop + now.offsetHeight > box.scrollTop + box.clientHeight;
  if (below || now.offsetTop < box.scrollTop + head) box.scrollTop = Math.max(0, now.offsetTop - head - 6);
}

function headOf(c) {
  const what = c.kind === "op" ? words(c.op) : c.kind === "output" && c.op ? `output (${words(c.op)})` : c.kind;
  const about = [what, c.kind === "fold" && c.count > 1 && `${c.count} times`, c.shape === "()" ? "scalar ()" : c.shape, c.dtype, c.scope.length && `in ${c.scope.join(" / ")}`, ...(c.kind === "fold" ? [] : c.facts)];
  const pin = el("button", { class: "pin", type: "button", "data-key": "pin", "aria-pressed": String(state.pinned), title: "keep this value in view while stepping" }, state.pinned ? "kept in view" : "keep in view");
  pin.addEventListener("click", () => {
    state.pinned = !state.pinned;
    renderValue();
  });
  return el("div", { class: "head" }, el("h2", { dir: "auto" }, nameOf(c)), el("span", { class: "what", dir: "auto" }, about.filter(Boolean).join(" · ")), pin);
}
const blockOf = (c) => (c.kind === "fold" && c.facts.length ? [el("pre", { class: "block", dir: "ltr" }, c.facts.join("\n"))] : []); // what repeats
const toStep = (k) => el("button", { type: "button", "data-key": `step ${k}`, onclick: () => go(k) }, `step ${k}`);

// ---- an equation: each symbol with its picture and shape below, all at one scale, so that inner lengths match

function equation(left, tokens, at, leftAt = at) {
  // `tokens` as Python wrote them; numbers are shown from step `at` on, the left side's from `leftAt`.
  const all = [left, ...tokens].filter((t) => has(t.a)).map((t) => arrayOf(t.a));
  const largest = (axis) => Math.max(1, ...all.map((a) => proportions(a)[axis]));
  const pixel = Math.min(9, 88 / largest(1), 56 / largest(0));
  const shown = (t) => state.step >= at || (has(t.ref) && state.step >= readyAt(t.ref));
  return el(
    "div",
    { class: "eq", dir: "ltr", tabindex: 0, role: "group", "aria-label": equationText(left.t, tokens) },
    symbol(left, pixel, state.step >= leftAt),
    tokens.length > 0 && el("span", { class: "o" }, " = "),
    tokens.map((t) => (typeof t === "string" ? el("span", { class: "o" }, t) : symbol(t, pixel, shown(t)))),
  );
}
const equationText = (left, tokens, sign = "=") => (tokens.length ? `${left} ${sign} ${saying(tokens)}` : left);
const saying = (tokens) => tokens.map((t) => (typeof t === "string" ? t : t.t)).join("");

function symbol(t, pixel, shown) {
  const node = el("span", { class: "sym", "data-ref": t.ref || null }, el("span", { class: "t" }, t.t));
  toggle(node, "g", t.ref?.startsWith("g:") || t.g);
  if (!has(t.a)) return node;
  const a = arrayOf(t.a);
  if (isScalar(a) || has(a.text)) node.append(el("span", { class: "n" }, shown ? scalarText(a) : "·"));
  else {
    const box = shown ? el("img", { src: thumb(a), alt: "" }) : el("span", { class: "blank" });
    const [high, broad] = proportions(a);
    node.append(size(box, Math.max(6, broad * pixel), Math.max(6, high * pixel)));
  }
  node.append(el("span", { class: "s" }, shapeText(a)));
  return node;
}

// ---- how it is computed, and what comes back

function equationsOf(c) {
  const boxes = [];
  const s = steps[state.step];
  const ready = valueStep.get(c.id);
  if (c.eq) boxes.push(eqbox("f", s.k === "forward" && s.n === c.id, "forward", ready, equation({ t: c.name || "value", a: c.v }, c.eq, ready)));
  const parts = flowingFrom(c.id);
  parts.forEach((a, i) => boxes.push(partOf(c, a, i, parts.length, s)));
  if (partSteps.get(c.id).length && c === root && has(c.g)) {
    const at = partSteps.get(c.id)[0];
    const note = "The derivative of the result with respect to itself.";
    boxes.push(eqbox("b", s.k === "seed", "backward begins here", at, equation({ t: c.gcode, a: c.g, g: true }, ["1"], at), note));
  }
  if (parts.length > 1) boxes.push(el("p", { class: "note" }, arrivedText(c, parts)));
  return boxes.length ? [el("div", { class: "eqs" }, boxes)] : [];
}
function arrivedText(c, parts) {
  const arrived = progress(c).parts;
  if (!isSum(c.id)) return `Gradients of several values in it come here; shown is ${c.gcode}, that of its result.`;
  return arrived < parts.length ? `${arrived} of ${parts.length} parts have arrived; ${c.gcode} will be their sum.` : `All ${parts.length} parts have arrived; ${c.gcode} is their sum.`;
}
function eqbox(kind, now, title, at, body, note) {
  const head = el("h3", {}, el("span", { dir: "auto" }, title), state.step < at && toStep(at));
  return el("div", { class: `eqbox ${kind}${now ? " now" : ""}` }, head, body, note && el("p", { class: "note", dir: "auto" }, note));
}
function partOf(c, a, i, n, s) {
  const at = arrowStep.get(a.id);
  const head = cardOf.get(a.head);
  const through = head.kind === "fold" ? whatIs(head) : `${head.glyph || words(head.op)}${head.name ? ` of ${head.name}` : ""}`;
  const title = `backward, through ${through}${n > 1 && isSum(c.id) ? `, part ${i + 1} of ${n}` : ""}`;
  const part = isSum(c.id) ? "part" : a.gcode ? `part of ${a.gcode}` : "parts";
  const left = a.gets ? { t: part, a: a.a, g: true } : { t: a.gcode, a: a.a, g: true, ref: a.gcode === c.gcode ? `g:${c.id}` : null };
  const body = equation(left, a.eq || (a.code ? [a.code] : []), at);
  const box = eqbox("b", s.a === a.id, title, at, body, noteOf(c, a, head));
  box.dataset.ref = a.id;
  return box;
}
const NAMELESS = new RegExp(`\\b${INCOMING}\\b`); // a gradient that has no name, in an equation
function noteOf(c, a, head) {
  if (a.failed) return a.failed;
  if (!a.gcode) return `To ${a.count} places in ${nameOf(c)}.`;
  if ((!a.code || a.count > 1) && head.kind === "fold") return "What all of them send, added up.";
  const notes = [];
  if (isHandedOn(a)) notes.push("The gradient is handed on as it is.");
  else if (a.broadcast) notes.push(`${nameOf(c)} was ${a.broadcast}: its gradient is the sum over the copies.`);
  if ((a.eq || []).some((t) => t.t && NAMELESS.test(t.t))) notes.push(`${INCOMING} is the gradient of ${nameOf(head)}.`);
  return notes.join(" ");
}

// ---- heatmaps

function mapsOf(c, inner) {
  const mates = [];
  const n = has(c.g) ? 2 : 1;
  const room = inner >= 180 * n + 18 * (n - 1) ? (inner - 18 * (n - 1)) / n : inner;
  const compared = comparedMaps(c, room);
  const maps = el("div", { class: "maps" });
  toggle(maps, "tight", has(c.v) && isScalar(arrayOf(c.v)));
  if (compared) return fill(maps, {}, compared);
  const at = progress(c);
  const name = c.name || words(c.op);
  if (has(c.v)) maps.append(at.done ? heatmap(arrayOf(c.v), "value", { kind: "v", room, mates, name }) : blankMap("v", "value", "not computed yet"));
  const title = c.gcode.startsWith("G of ") ? `gradient ${c.gcode.slice(2)}` : `gradient ${c.gcode}`;
  if (!has(c.g)) return maps;
  const sum = gradientSoFar(c, at);
  if (at.whole) maps.append(heatmap(arrayOf(c.g), title, { kind: "g", room, mates, name: c.gcode }));
  else if (sum) {
    const title = `${c.gcode}, the sum of ${at.parts} of ${flowingFrom(c.id).length} parts`;
    maps.append(heatmap(sum, title, { kind: "g", room, mates, name: "the sum so far" }));
  } else maps.append(blankMap("g", title, at.parts && isSum(c.id) ? `${at.parts} of ${flowingFrom(c.id).length} parts have arrived` : "has not arrived yet"));
  return maps;
}
const missingOf = (c) => (has(c.g) ? [] : [el("p", { class: "note" }, c.note || "no gradient flows here")]);
const blankMap = (kind, title, text) => el("div", { class: `map ${kind}` }, el("h3", { dir: "auto" }, title), el("p", { class: "none" }, text));

// ---- what a gradient means: the way it came, and what it promises

function meaningOf(c) {
  if (!progress(c).whole || c === root) return [];
  return [wayOf(c), promiseOf(c)].filter(Boolean);
}
function wayTo(c) {
  // From the result: [arrow, the card it brings its gradient to, how many other ways there are].
  const way = [];
  const been = new Set();
  for (let x = c; x && x !== root && !been.has(x); x = cardOf.get(way[0][0].head)) {
    been.add(x);
    const from = flowingFrom(x.id);
    const a = from.find((b) => b.spine) || from[0];
    if (!a) break;
    way.unshift([a, x, from.length - 1]);
  }
  return way;
}
function wayOf(c) {
  const way = wayTo(c);
  if (!way.length) return null;
  const stops = way.map((w) => stopOf(w, c));
  if (way.length > 7) stops.splice(2, way.length - 6, el("li", {}, `→ ${way.length - 6} more →`));
  stops.unshift(el("li", {}, station(root, gradientStep(root.id), c)));
  return el("div", { class: "more" }, el("h3", {}, "The way of this gradient"), el("ol", { class: "way" }, stops));
}
function stopOf([a, x, others], c) {
  const code = el("code", { title: a.code }, a.code ? `→ ${cut(a.code, 40)} →` : "→");
  return el("li", {}, code, station(x, arrowStep.get(a.id), c), others > 0 && el("span", { class: "note" }, `+${others} more`));
}
function station(x, k, c) {
  const attributes = { class: x === c ? "now" : null, "data-ref": `g:${x.id}`, "data-key": `way ${x.id}`, title: nameOf(x) };
  return el("button", { type: "button", dir: "auto", ...attributes, onclick: () => go(k) }, cut(briefly(x), 24));
}
function promiseOf(c) {
  const n = c.nudge;
  if (!n || !isTraced()) return null; // it was tried with the numbers of the trace
  const whole = n.at && !c.name && /[^\w.]/.test(nameOf(c)) ? `(${nameOf(c)})` : nameOf(c);
  const sentence = `Raise ${whole}${n.at} by ${n.by}, and ${root.name || "the result"} goes from ${n.from} to ${n.to}: `;
  return el("div", { class: "more" }, el("h3", {}, "What it promises"), el("p", { dir: "auto" }, sentence, el("b", {}, `a slope of ${n.slope}`), ". The gradient there is ", el("b", {}, n.grad), "."));
}
