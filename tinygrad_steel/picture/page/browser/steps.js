// Stepping: what a step says, and the controls.

const numberOf = new Map(); // of a step, which forward or backward one it is
const totals = { forward: 0, backward: 0 };
steps.forEach((s, k) => {
  if (s.k in totals) numberOf.set(k, (totals[s.k] += 1));
});
const NTH = ["first", "second", "third", "fourth", "fifth"];

const PHASES = { given: "GIVEN", forward: "FORWARD", seed: "BACKWARD", backward: "BACKWARD" };
const SENTENCES = { given, forward, seed, backward };

function sentence(k) {
  // {phase, code, note}: what happens in a step.
  const s = steps[k];
  const count = numberOf.has(k) ? ` ${numberOf.get(k)}/${totals[s.k]}` : "";
  return { phase: `${PHASES[s.k]}${count}`, ...SENTENCES[s.k](s) };
}
function given() {
  const names = cards.filter((c) => valueStep.get(c.id) === 0 && c.name).map((c) => c.name);
  return { code: cut(names.join(", "), 90), note: LAST ? "These are given; nothing is computed yet. Press → to begin." : "Nothing is computed here." };
}
function forward(s) {
  const c = cardOf.get(s.n);
  const code = c.eq ? saying(c.eq) : c.code || nameOf(c);
  const value = has(c.v) && arrayOf(c.v);
  return { code: c.name && c.eq ? `${c.name} = ${code}` : code, note: `${whatIs(c)} gives ${value && isScalar(value) ? scalarText(value) : c.shape}` };
}
function seed(s) {
  return { code: `${cardOf.get(s.n).gcode} = 1`, note: "Backward begins at the end: the derivative of the result with respect to itself." };
}
function backward(s) {
  const a = arrowOf.get(s.a);
  const c = cardOf.get(a.tail);
  const numbers = numbersIn(a).replace(/^= /, "");
  const code = equationText(a.gcode || `gradients in ${nameOf(c)}`, a.eq || (a.code ? [a.code] : []), a.gcode ? (a.gets ? "gets" : "=") : "get");
  return { code, note: [numbers, why(s, a, c)].filter(Boolean).join(" · ") };
}
function why(s, a, c) {
  const op = whatIs(cardOf.get(a.head));
  const handed = isHandedOn(a) && `${op} hands its gradient on as it is`;
  if (s.part) return `${handed || `through ${op}`}: the ${NTH[s.part[0] - 1] || `${s.part[0]}th`} of ${s.part[1]} parts, which are added up`;
  if (handed) return handed;
  if (a.broadcast) return `${nameOf(c)} was ${a.broadcast}, so its gradient is the sum over the copies`;
  return `through ${op}, back to ${c.name || words(c.op) || c.kind}`;
}

// ---- controls

let range, count, rail;
function buildStepper() {
  const buttons = [
    iconButton("first", "to the start (home)", () => go(0)),
    iconButton("back", "one step back (left)", () => go(state.step - 1)),
    playButton("steps"),
    iconButton("next", "one step on (right)", () => go(state.step + 1)),
    iconButton("last", "to the end (end)", () => go(LAST)),
  ];
  range = el("input", { type: "range", min: 0, max: LAST, value: 0, "aria-label": "step", oninput: () => go(+range.value) });
  rail = el("div", { class: "rail", "aria-hidden": "true" });
  count = el("span", { class: "count" });
  const speeds = [0.5, 1, 2, 4].map((v) => el("option", { value: v, selected: v === 1 }, `${v}×`));
  const speed = el("select", { "aria-label": "speed", title: "speed", onchange: () => setSpeed(+speed.value) }, speeds);
  const group = el("div", { class: "buttons", role: "group", "aria-label": "Steps" }, buttons);
  document.querySelector(".drive").replaceChildren(group, el("div", { class: "scrub" }, rail, range), count, speed);
}
const alongRail = (k) => `${(100 * k) / Math.max(1, LAST)}%`;
function renderRail() {
  const found = steps.findIndex((s) => s.k === "seed");
  const seed = found < 0 ? LAST : found;
  const piece = (cls, from, to) => {
    const node = el("i", { class: cls });
    node.style.left = alongRail(from);
    if (has(to)) node.style.width = alongRail(to - from);
    return node;
  };
  const pieces = [piece("seg f", 0, seed), piece("seg b", seed, LAST), piece("seg f past", 0, Math.min(state.step, seed))];
  if (state.step > seed) pieces.push(piece("seg b past", seed, state.step));
  if (LAST <= 60) for (let k = 1; k < LAST; k++) pieces.push(piece("tick", k));
  for (const [k, verdict] of verdictSteps()) pieces.push(fill(piece(`mark ${verdict}`, k), {}, [mark(verdict)]));
  rail.replaceChildren(...pieces);
}
function go(step) {
  pause("steps");
  showStep(step);
}
function showStep(step) {
  state.step = clamp(step, 0, LAST);
  const s = steps[state.step];
  if (!state.pinned) {
    state.card = s.n ?? (s.a ? arrowOf.get(s.a).tail : cards.find((c) => c.spine)?.id ?? root.id);
    state.arrow = s.a ?? null;
  }
  render();
  followStep(true);
  followSource();
  followValue();
}

function renderStepper() {
  const { phase, code, note } = sentence(state.step);
  const verdicts = verdictNow();
  const said = [el("span", { class: `phase ${steps[state.step].k}` }, phase), el("code", { dir: "auto" }, code), el("i", { dir: "auto" }, note)];
  document.querySelector(".say").replaceChildren(...said, ...verdicts);
  range.value = state.step;
  range.setAttribute("aria-valuetext", `step ${state.step} of ${LAST}: ${phase} ${code}${verdicts.map((node) => `, ${node.textContent}`)}`);
  count.textContent = `${state.step} / ${LAST}`;
  renderRail();
}
