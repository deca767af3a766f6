// Training: a second slider through the frames of a record, the curve of its loss, and in words what is to be seen.

const frames = data.record?.frames ?? [];
const losses = frames.map((f) => parse(f.loss));
const LAST_FRAME = frames.length - 1;
const TRAINING_KEYS = frames.length
  ? [
      ["Shift ←  →", "training: one frame back, one on"],
      ["Shift Home  End", "training: first frame, last frame"],
      ["Shift Space", "training: play, pause"],
    ]
  : [];
state.frame = Math.min(0, LAST_FRAME);
for (const [i, scale] of Object.entries(data.record?.scale ?? {})) data.arrays[i].scale = scale;

// ---- an array as it is in a frame

const frameShown = () => (state.chain < 0 ? state.frame : -1); // what is compared was computed before the training
const overlays = frames.map(() => new Map());
function overlay(i) {
  // The same object each time; null where the frame has the numbers of the trace.
  const k = frameShown();
  const entry = frames[k]?.arrays[i];
  if (!entry) return null;
  const { shape, dtype, rows, cols, of, ri, ci, scale } = data.arrays[i];
  if (!overlays[k].has(i)) overlays[k].set(i, { shape, dtype, rows, cols, of, ri, ci, scale, ...entry });
  return overlays[k].get(i);
}
const scaleOf = (a) => a.scale ?? 0; // what has full colour in all frames, so that colours can be compared
const lengthNow = (a) => numeric(has(a.a) ? (overlay(a.a)?.norm ?? a.size) : a.size); // of the gradient along an arrow
const lengthsOf = (a) => [a.size, ...frames.map((f) => f.arrays[a.a]?.norm)].map(numeric);
const isTraced = () => !Object.keys(frames[frameShown()]?.arrays ?? {}).length; // the numbers of the trace

// ---- the curve

const [BROAD, DEEP] = [1000, 100];
function losesDecades(finite) {
  return finite.length > 1 && Math.min(...finite) > 0 && Math.max(...finite) >= 100 * Math.min(...finite);
}
function heights() {
  // Where each loss stands, from 0 above to DEEP below; null where it is no number.
  const finite = losses.filter(Number.isFinite);
  const scaled = losesDecades(finite) ? Math.log : (x) => x;
  const [low, high] = [scaled(Math.min(...finite)), scaled(Math.max(...finite))];
  return losses.map((x) => (Number.isFinite(x) ? DEEP * (high > low ? (high - scaled(x)) / (high - low) : 0.5) : null));
}
const along = (k) => (LAST_FRAME ? (BROAD * k) / LAST_FRAME : BROAD / 2);
function curve() {
  const ys = heights();
  const pen = ys.map((y, k) => (y === null ? "" : `${k && ys[k - 1] !== null ? "L" : "M"}${along(k).toFixed(1)} ${y.toFixed(1)}`));
  const lost = ys.flatMap((y, k) => (y === null ? [svg("path", { class: "lost", d: `M${along(k).toFixed(1)} 0V${DEEP}` })] : []));
  const loss = svg("path", { class: "loss", d: pen.join("") || "M0 0" });
  return svg("svg", { viewBox: `0 0 ${BROAD} ${DEEP}`, preserveAspectRatio: "none", "aria-hidden": "true" }, lost, loss);
}
function axis() {
  const finite = losses.filter(Number.isFinite);
  const ends = finite.length ? [short(Math.max(...finite)), losesDecades(finite) ? "loss, log" : "loss", short(Math.min(...finite))] : ["loss"];
  return el("div", { class: "axis", "aria-hidden": "true" }, ends.map((text) => el("span", {}, text)));
}

// ---- controls

let frameRange, frameText, frameMark, hintList;
function buildTraining() {
  if (!frames.length) return;
  const buttons = [
    iconButton("back", "one frame back (shift left)", () => goFrame(state.frame - 1)),
    playButton("frames"),
    iconButton("next", "one frame on (shift right)", () => goFrame(state.frame + 1)),
  ];
  frameRange = el("input", { type: "range", min: 0, max: LAST_FRAME, value: 0, "aria-label": "training", "data-own-keys": true, oninput: () => goFrame(+frameRange.value) });
  frameMark = el("i", { "aria-hidden": "true" });
  frameText = el("div", { class: "moment" });
  hintList = el("ul", { class: "hints", "aria-label": "What is to be seen in this frame" });
  const line = el("div", { class: "curve" }, el("div", { class: "plot" }, curve(), frameMark), frameRange);
  const row = el("div", { class: "run" }, el("div", { class: "buttons", role: "group", "aria-label": "Training" }, buttons), axis(), line, frameText);
  $("training").replaceChildren(row, hintList);
  $("training").hidden = false;
  toggle(document.body, "trained", true);
}
function goFrame(k) {
  pause("frames");
  showFrame(k);
}
function showFrame(k) {
  // The step stays as it is.
  state.frame = clamp(k, 0, LAST_FRAME);
  render();
}
function pressedInTraining(key) {
  // Keys with shift; whether it was one of these.
  if (!frames.length) return false;
  const k = { ArrowLeft: state.frame - 1, ArrowRight: state.frame + 1, Home: 0, End: LAST_FRAME }[key];
  if (k !== undefined) return goFrame(k), true;
  return key === " " ? (play("frames"), true) : false;
}

// ---- from state to what is seen

function renderTraining() {
  if (!frames.length) return;
  const k = state.frame;
  const f = frames[k];
  const hints = f.hints ?? [];
  document.documentElement.dataset.frame = frameShown();
  frameRange.value = k;
  frameRange.disabled = state.chain >= 0;
  const last = frames[LAST_FRAME].step;
  frameRange.setAttribute("aria-valuetext", [`training step ${f.step} of ${last}, loss ${f.loss}`, ...hints.map((h) => h.text)].join(". "));
  const loss = el("span", {}, "loss ", el("b", {}, short4(losses[k])));
  frameText.replaceChildren("training step ", el("b", {}, String(f.step)), ` of ${last}`, loss);
  const y = heights()[k];
  toggle(frameMark, "lost", y === null);
  frameMark.style.left = `${(100 * along(k)) / BROAD}%`;
  frameMark.style.top = `${y ?? DEEP / 2}%`;
  if (changed(hintList, `${k} ${state.chain}`)) hintList.replaceChildren(...(state.chain >= 0 ? [el("li", {}, COMPARING)] : hints.map(hintOf)));
}
const COMPARING = "While comparing, the graph is as it was when the loss was recorded.";
function hintOf({ text, ref }) {
  return el("li", { dir: "auto" }, ref ? el("button", { type: "button", title: "show this value", onclick: () => select(ref) }, text) : text);
}
