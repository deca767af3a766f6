// From the state to what is seen; themes, legend, printing, and the start.

function render() {
  document.documentElement.dataset.step = state.step;
  renderComparison();
  renderTraining();
  renderGraph();
  renderSource();
  renderStepper();
  renderValue();
}

// ---- themes and legend

const dark = matchMedia("(prefers-color-scheme: dark)");

function setTheme(name) {
  state.theme = name;
  document.documentElement.dataset.theme = name;
  const other = name === "dark" ? "light" : "dark";
  $("theme").textContent = other === "dark" ? "Dark" : "Light";
  $("theme").setAttribute("aria-label", `switch to the ${other} theme`);
  readColours();
  legend();
}
const wantedTheme = () => (state.wanted !== "auto" ? state.wanted : dark.matches ? "dark" : "light");
function legend() {
  const scale = `each array has its own scale${frames.length ? ", one for all of the training" : ""}; 0 is neutral`;
  const parts = [
    el("span", {}, arrowSign("f"), "value"),
    arrowStep.size > 0 && el("span", { title: "the thicker, the larger" }, arrowSign("b"), "gradient"),
    el("span", { title: scale }, "−max", colourBar(92), "+max"),
  ];
  document.querySelector(".legend").replaceChildren(...parts.filter(Boolean));
}
function arrowSign(cls) {
  const shaft = svg("path", { class: "shaft", d: "M0 5H18" });
  const head = svg("path", { class: "head", d: "M16 1L25 5L16 9z" });
  return svg("svg", { class: `key ${cls}`, width: 26, height: 10, "aria-hidden": "true" }, shaft, head);
}
function colourBar(width) {
  const bar = el("canvas", { width, height: 1 });
  const pen = bar.getContext("2d");
  const middle = (width - 1) / 2;
  for (let i = 0; i < width; i++) {
    pen.fillStyle = `rgb(${shade((i - middle) / middle, 1)})`;
    pen.fillRect(i, 0, 1, 1);
  }
  return bar;
}
dark.addEventListener("change", () => {
  setTheme(wantedTheme());
  render();
});
$("theme").addEventListener("click", () => {
  state.wanted = state.theme === "dark" ? "light" : "dark";
  setTheme(state.wanted);
  render();
});

// ---- printing: all of the graph, all values filled, in light colours

let before = null;
const helpers = () => $("code").querySelector("details");
addEventListener("beforeprint", () => {
  before ??= { step: state.step, closed: state.closed, helpers: helpers()?.open };
  if (helpers()) helpers().open = true;
  Object.assign(state, { step: LAST, closed: new Set() });
  setTheme("light");
  build();
  zoom(1);
  render();
});
addEventListener("afterprint", () => {
  const { step, closed } = before;
  Object.assign(state, { step, closed });
  if (helpers()) helpers().open = before.helpers;
  before = null;
  setTheme(wantedTheme());
  rebuild();
});

// ---- the start

function start() {
  $("title").textContent = data.title;
  $("title").title = data.title;
  $("subtitle").textContent = data.subtitle.join(" · ");
  $("notes").textContent = (data.notes || []).join(" · ");
  $("notes").hidden = !data.notes?.length;
  document.querySelector(".pop").append(...[...KEYS, ...TRAINING_KEYS].flatMap(([key, text]) => [el("kbd", {}, key), el("span", {}, text)]));
  setTheme(wantedTheme());
  buildZoom();
  buildStepper();
  buildSource();
  buildComparison();
  buildTraining();
  renderComparison(); // what stands above and below leaves the rest to the graph
  renderTraining();
  build();
  fitReadable();
  render();
  lastSize = sizeNow();
  view.scrollTo({ left: (view.scrollWidth - view.clientWidth) / 2, top: 0, behavior: "instant" });
  followStep(); // a comparison begins at its first wrong step
}

// A frame may have no size when this runs, and one out of sight gets its size late: watch, do not assume.
let lastSize = "";
const sizeNow = () => `${innerWidth} ${innerHeight} ${document.body.clientWidth}`;
function sized() {
  if (sizeNow() === lastSize || !document.body.clientWidth) return;
  lastSize = sizeNow();
  fitReadable();
  render();
  followStep();
}
start();
new ResizeObserver(sized).observe(document.documentElement);
addEventListener("resize", sized);
