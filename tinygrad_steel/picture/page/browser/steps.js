// Stepping: what a step says, the controls, and render(), which makes what is seen from the state.

const numberOf = new Map(); // of a step, which forward or backward one it is
const totals = { forward: 0, backward: 0 };
steps.forEach((s, k) => {
  if (s.k in totals) numberOf.set(k, (totals[s.k] += 1));
});
const NTH = ["first", "second", "third", "fourth", "fifth"];

function sentence(k) {
  // {phase, code, note}: what happens in a step.
  const s = steps[k];
  const c = cardOf.get(s.n);
  const phase = `${s.k.toUpperCase()} ${numberOf.get(k)}/${totals[s.k]}`;
  if (s.k === "given") return { phase: "GIVEN", code: cut(cards.filter((x) => valueStep.get(x.id) === 0 && x.name).map((x) => x.name).join(", "), 90), note: given() };
  if (s.k === "seed") return { phase: "BACKWARD", code: `${c.gcode} = 1`, note: "Backward begins at the end: the derivative of the result with respect to itself." };
  if (s.k === "forward") {
    const code = c.name && c.eq ? `${c.name} = ${saying(c.eq)}` : c.eq ? saying(c.eq) : c.code || nameOf(c);
    const value = has(c.v) && arrayOf(c.v);
    return { phase, code, note: `${whatIs(c)} gives ${value && isScalar(value) ? scalarText(value) : c.shape}` };
  }
  return { phase, ...backward(s) };
}
const given = () => (LAST ? "These are given; nothing is computed yet. Press → to begin." : "Nothing is computed here.");
function backward(s) {
  const a = arrowOf.get(s.a);
  const c = cardOf.get(a.tail);
  const numbers = numbersIn(a).replace(/^= /, "");
  const code = equationText(a.gcode || `gradients in ${nameOf(c)}`, a.eq || (a.code ? [a.code] : []), a.gcode ? (a.gets ? "gets" : "=") : "get");
  return { code, note: [numbers, why(s, a, c)].filter(Boolean).join(" · ") };
}
function why(s, a, c) {
  const op = whatIs(cardOf.get(a.head));
  if (s.part) return `the ${NTH[s.part[0] - 1] || `${s.part[0]}th`} of ${s.part[1]} parts, which are added up`;
  if (a.code === "g") return `${op} hands its gradient on as it is`;
  if (a.broadcast) return `${nameOf(c)} was ${a.broadcast}, so its gradient is the sum over the copies`;
  return `through ${op}, back to ${c.name || words(c.op) || c.kind}`;
}

// ---- controls

let range, playButton, count, rail;
function buildStepper() {
  const button = (name, title, onclick) => el("button", { type: "button", "aria-label": title, title, class: name, onclick }, icon(name));
  playButton = button("play", "play (space)", play);
  const buttons = [
    button("first", "to the start (home)", () => go(0)),
    button("back", "one step back (left)", () => go(state.step - 1)),
    playButton,
    button("next", "one step on (right)", () => go(state.step + 1)),
    button("last", "to the end (end)", () => go(LAST)),
  ];
  range = el("input", { type: "range", min: 0, max: LAST, value: 0, "aria-label": "step", oninput: () => go(+range.value) });
  rail = el("div", { class: "rail", "aria-hidden": "true" });
  count = el("span", { class: "count" });
  const speeds = [0.5, 1, 2, 4].map((v) => el("option", { value: v, selected: v === 1 }, `${v}×`));
  const speed = el("select", { "aria-label": "speed", title: "speed", onchange: () => setSpeed(+speed.value) }, speeds);
  document.querySelector(".drive").replaceChildren(el("div", { class: "buttons", role: "group", "aria-label": "Steps" }, buttons), el("div", { class: "scrub" }, rail, range), count, speed);
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
function setSpeed(speed) {
  state.speed = speed;
  if (state.timer) {
    play();
    play();
  }
}
function play() {
  if (state.timer) {
    clearInterval(state.timer);
    state.timer = 0;
  } else {
    if (state.training) playTraining();
    if (state.step === LAST) go(0);
    state.timer = setInterval(() => {
      go(state.step + 1, true);
      if (state.step === LAST) play();
    }, 1300 / state.speed);
  }
  playButton.replaceChildren(icon(state.timer ? "pause" : "play"));
  playButton.setAttribute("aria-label", state.timer ? "pause (space)" : "play (space)");
}
function go(step, playing) {
  if (state.timer && !playing) play();
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

// ---- from state to what is seen

function render() {
  const said = sentence(state.step);
  document.documentElement.dataset.step = state.step;
  renderComparison();
  renderTraining();
  renderGraph();
  renderSource();
  document.querySelector(".say").replaceChildren(el("span", { class: `phase ${steps[state.step].k}` }, said.phase), el("code", { dir: "auto" }, said.code), el("i", { dir: "auto" }, said.note), ...verdictNow());
  range.value = state.step;
  range.setAttribute("aria-valuetext", `step ${state.step} of ${LAST}: ${said.phase} ${said.code}${verdictNow().map((node) => `, ${node.textContent}`)}`);
  count.textContent = `${state.step} / ${LAST}`;
  renderRail();
  renderValue();
}
