// Pointing, selecting and keys: what belongs together lights up together.

// ---- pointing

let lit = [];
function point(ref) {
  for (const [node, name] of lit) node.classList.remove(name);
  lit = [];
  if (!ref) return;
  const light = (node, name) => {
    if (!node) return;
    node.classList.add(name);
    lit.push([node, name]);
  };
  const refs = new Set([ref]);
  if (arrowOf.has(ref)) {
    const a = arrowOf.get(ref);
    light(drawn.arrows.get(ref), a.flows ? "hotg" : "hot");
    if (a.flows) refs.add(`g:${a.tail}`);
  } else if (ref.startsWith("g:")) {
    light(drawn.cards.get(ref.slice(2)), "hotg");
    for (const a of flowingFrom(ref.slice(2))) light(drawn.arrows.get(a.id), "hotg");
  } else light(drawn.cards.get(ref), "hot");
  for (const node of document.querySelectorAll("#code [data-ref], #value .sym[data-ref]")) {
    if (refs.has(node.dataset.ref)) light(node, node.dataset.ref.startsWith("g:") ? "hotg" : "hot");
  }
}
function tip(part) {
  // The numbers of any part of a line, also of values that have no card.
  const box = $("tip");
  box.hidden = !part || part.dataset.a === undefined;
  if (box.hidden) return;
  const a = arrayOf(+part.dataset.a);
  const kids = [el("b", { class: "mono" }, part.textContent), el("span", { class: "s" }, `${shapeText(a)} ${a.dtype}`)];
  if (state.step < tipStep(part)) kids.push(el("i", {}, "not computed yet"));
  else if (isScalar(a) || has(a.text)) kids.push(el("b", { class: "big" }, scalarText(a)));
  else kids.push(size(el("img", { src: thumb(a), alt: "" }), ...fitted(a, 190, 110, 10)), el("span", { class: "s" }, `${short(a.min)} … ${short(a.max)}`));
  box.replaceChildren(...kids);
  const [b, t] = [part.getBoundingClientRect(), box.getBoundingClientRect()];
  box.style.left = `${clamp(b.left, 6, Math.max(6, innerWidth - t.width - 6))}px`;
  box.style.top = `${b.bottom + t.height + 8 < innerHeight ? b.bottom + 6 : Math.max(6, b.top - t.height - 6)}px`;
}
function tipStep(part) {
  // A part without a card is there as soon as its line is.
  const line = lineStep(+part.closest("li").dataset.line);
  return part.dataset.ref ? Math.min(line, readyAt(part.dataset.ref)) : line;
}
const refAt = (node) => node.closest?.("[data-ref]")?.dataset.ref;
document.addEventListener("pointerover", (e) => {
  point(refAt(e.target));
  tip(e.target.closest?.("#code .x"));
});
const hideTip = () => tip(null);
document.addEventListener("pointerleave", hideTip);
addEventListener("scroll", hideTip, true);
document.addEventListener("focusin", (e) => {
  if (refAt(e.target) && e.target.matches(":focus-visible")) point(refAt(e.target));
});

// ---- selecting

function select(ref) {
  state.card = cardIdOf(ref);
  state.arrow = arrowOf.has(ref) ? ref : null;
  render();
}
document.addEventListener("click", (e) => {
  if (!dragged && refAt(e.target) && !e.target.closest("button")) select(refAt(e.target));
});
document.addEventListener("dblclick", (e) => {
  if (refAt(e.target) && !e.target.closest("button")) go(readyAt(refAt(e.target)));
});

// ---- keys

const KEYS = [
  ["←  →", "one step back, one on"],
  ["Home  End", "start, end"],
  ["Space", "play, pause"],
  ["↑  ↓", "next card or line, where the focus is"],
  ["Enter", "to the step that computes it"],
  ["+  −  0", "zoom, fit (or Ctrl + wheel)"],
  ["Tab", "from part to part"],
];
const stepOf = (key) => ({ ArrowLeft: state.step - 1, ArrowRight: state.step + 1, Home: 0, End: LAST })[key];
const zoomOf = { "+": () => zoom(state.scale * 1.2), "=": () => zoom(state.scale * 1.2), "-": () => zoom(state.scale / 1.2), 0: fitAll };

document.addEventListener("keydown", (e) => {
  const target = e.target instanceof Element ? e.target : document.body;
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing || target.closest("select, [data-own-keys]")) return;
  if ((e.shiftKey && pressedInTraining(e.key)) || pressed(e.key, target)) e.preventDefault();
});
function pressed(key, target) {
  // Whether the key was one of the page's.
  const step = stepOf(key);
  if (step !== undefined) return go(step), true;
  if (key === " " && !target.closest("button, summary, .fold")) return play("steps"), true;
  if (key === "Escape") return ($("keys").open = false), hideTip(), true;
  if (zoomOf[key]) return zoomOf[key](), true;
  if (key === "ArrowDown") return move(target, 1);
  if (key === "ArrowUp") return move(target, -1);
  if (key === "Enter" && target.matches("#code li, .card, .arrow")) return go(readyAt(refAt(target))), true;
  return false;
}
function move(target, by) {
  if (target.closest("#code li")) return moveLine(target.closest("li"), by);
  return target.closest("#graph") ? moveCard(by) : false;
}
function moveLine(row, by) {
  const all = rows.filter((r) => r.dataset.ref);
  const next = all[all.indexOf(row) + by];
  if (!next) return true;
  for (const r of all) r.setAttribute("tabindex", r === next ? 0 : -1);
  next.focus();
  select(next.dataset.ref);
  return true;
}
function moveCard(by) {
  const shown = cards.filter((c) => drawn.cards.has(c.id));
  const next = shown[shown.findIndex((c) => c.id === state.card) + by];
  if (!next) return true;
  select(next.id);
  drawn.cards.get(next.id).focus({ preventScroll: true });
  follow(next.id);
  return true;
}
