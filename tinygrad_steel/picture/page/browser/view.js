// The view of the graph: a box that scrolls, with the picture as large as zoom says; "follow" keeps the step in it.

const view = document.querySelector(".view");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = matchMedia("(max-width: 760px)");

function zoom(scale, at) {
  // The point `at` of the view stays where it is: fingers, wheels, keys and bars all work as everywhere.
  const [w, h] = placed.size;
  const [x, y] = at || [view.clientWidth / 2, view.clientHeight / 2];
  const [fx, fy] = [(view.scrollLeft + x) / state.scale, (view.scrollTop + y) / state.scale];
  state.scale = clamp(scale, 0.1, 3);
  picture.setAttribute("width", Math.round(w * state.scale));
  picture.setAttribute("height", Math.round(h * state.scale));
  if (!picture.parentNode) view.append(picture);
  view.scrollTo({ left: fx * state.scale - x, top: fy * state.scale - y, behavior: "instant" });
  document.querySelector(".zoom .at").textContent = `${Math.round(state.scale * 100)}%`;
}
function room() {
  const [w, h] = placed.size;
  return Math.min((view.clientWidth - 8) / w, (view.clientHeight - 16) / h);
}
function fitAll() {
  zoom(Math.min(room(), 1.25));
  view.scrollTo({ left: 0, top: 0, behavior: "instant" });
}
function fitReadable() {
  // All of it if that can be read, else as large as it must be.
  columns();
  zoom(clamp(room(), 0.82, 1.2));
}
function columns() {
  // As much room for the picture as it can use, between a third and a bit more than half.
  const main = document.querySelector("main");
  const [w, h] = placed.size;
  main.style.gridTemplateColumns = "";
  if (narrow.matches || !main.clientWidth) return;
  const want = w * clamp((main.clientHeight - 40) / h, 0.85, 1.2) + 70;
  main.style.gridTemplateColumns = `${Math.round(clamp(want, 0.38 * main.clientWidth, 0.56 * main.clientWidth))}px minmax(0, 1fr)`;
}
function boxOf(id) {
  const scope = placed.around.get(id);
  return scope ? placed.scopes.find((s) => s.scope === scope).box : placed.cards[id];
}
function follow(id, smooth) {
  if (!state.follow || !has(id) || !view.clientWidth) return;
  const k = state.scale;
  const [x, y, w, h] = boxOf(id).map((v) => v * k);
  const left = x + Math.max(0, (view.clientWidth - placed.size[0] * k) / 2);
  const top = y + Math.max(0, (view.clientHeight - placed.size[1] * k) / 2);
  const edge = Math.min(70, view.clientHeight / 6);
  const across = left >= view.scrollLeft + 8 && left + w <= view.scrollLeft + view.clientWidth - 8;
  const down = top >= view.scrollTop + edge && top + h <= view.scrollTop + view.clientHeight - edge;
  if (across && down) return;
  const to = { left: left + (w - view.clientWidth) / 2, top: top + (h - view.clientHeight) / 2 };
  view.scrollTo({ ...to, behavior: smooth && !calm.matches ? "smooth" : "instant" });
}
const followStep = (smooth) => follow(steps[state.step].n, smooth);
function rebuild() {
  build();
  fitReadable();
  render();
  followStep();
}

function buildZoom() {
  const button = (text, title, onclick, more) => el("button", { type: "button", title, "aria-label": title, onclick, ...more }, text);
  const followButton = button("follow", "follow: keep the current step in view", () => {
    state.follow = !state.follow;
    followButton.setAttribute("aria-pressed", String(state.follow));
    followStep(true);
  }, { "aria-pressed": "true" });
  const foldAll = () => {
    const all = layouts[1]?.closed ?? outermost.map((s) => s.id);
    state.closed = new Set(all.every((id) => state.closed.has(id)) ? [] : all);
    rebuild();
  };
  document.querySelector(".zoom").append(
    button("−", "zoom out", () => zoom(state.scale / 1.25)),
    button("+", "zoom in", () => zoom(state.scale * 1.25)),
    button("fit", "fit all", fitAll),
    followButton,
    ...(scopes.length ? [button("fold", "fold or unfold all scopes", foldAll)] : []),
    el("span", { class: "sr at" }),
  );
}

// ---- dragging with a mouse, and zooming with a pinch

let drag = null;
let dragged = false;
view.addEventListener("pointerdown", (e) => {
  dragged = false;
  if (e.pointerType === "mouse" && e.button === 0) drag = [e.clientX, e.clientY, view.scrollLeft, view.scrollTop];
});
addEventListener("pointermove", (e) => {
  if (!drag) return;
  const [dx, dy] = [e.clientX - drag[0], e.clientY - drag[1]];
  if (Math.hypot(dx, dy) <= 4) return;
  dragged = true;
  view.classList.add("drag");
  view.scrollTo({ left: drag[2] - dx, top: drag[3] - dy, behavior: "instant" });
});
for (const end of ["pointerup", "pointercancel", "blur"]) {
  addEventListener(end, () => {
    drag = null;
    view.classList.remove("drag");
  });
}
view.addEventListener(
  "wheel",
  (e) => {
    if (!e.ctrlKey && !e.metaKey) return; // a page with this frame in it can be scrolled past
    e.preventDefault();
    const box = view.getBoundingClientRect();
    zoom(state.scale * Math.exp(-e.deltaY * 0.004), [e.clientX - box.left, e.clientY - box.top]);
  },
  { passive: false },
);
