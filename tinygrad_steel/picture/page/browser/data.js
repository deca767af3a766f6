// The data that Python wrote, by reference (n4, f0: values, g:n4: a gradient, a5: an arrow), the state, and how elements are made.

const data = JSON.parse(document.getElementById("data").textContent);
const { cards, arrows, scopes, layouts, lines, steps, chains } = data;
const byId = (all) => new Map(all.map((x) => [x.id, x]));
const cardOf = byId(cards);
const arrowOf = byId(arrows);
const root = cards.at(-1); // the result
const LAST = steps.length - 1;
const has = (x) => x !== null && x !== undefined;

// All that can change. What is seen is a function of this and the data alone: render() in steps.js.
const state = {
  step: 0,
  card: (cards.find((c) => c.spine) || root).id, // the selected one
  arrow: null,
  pinned: false, // the selected value stays while stepping
  chain: -1, // which backprop is compared
  frame: -1, // which moment of training is shown
  closed: new Set(), // ids of folded scopes
  follow: true,
  scale: 1,
  theme: "light",
  speed: 1,
  timer: 0, // not 0 while playing
  training: 0, // the same of the frames
};

// ---- when each value is there

const valueStep = new Map(cards.map((c) => [c.id, 0]));
const partSteps = new Map(cards.map((c) => [c.id, []])); // of a gradient, the steps that bring a part of it
const arrowStep = new Map();
steps.forEach((s, k) => {
  if (s.k === "forward") valueStep.set(s.n, k);
  if (s.k === "seed" || s.k === "backward") partSteps.get(s.n ?? arrowOf.get(s.a).tail)?.push(k);
  if (s.k === "backward") arrowStep.set(s.a, k);
});
// Parts of one gradient are added up. What comes into a fold are gradients of several values: of those there is no sum.
const isSum = (id) => partSteps.get(id).every((k) => has(steps[k].part));
const gradientStep = (id) => partSteps.get(id).at(-1) ?? LAST;

function readyAt(ref) {
  // The step at which what `ref` stands for is whole.
  if (!ref) return 0;
  if (ref.startsWith("g:")) return gradientStep(ref.slice(2));
  return arrowOf.has(ref) ? (arrowStep.get(ref) ?? LAST) : valueStep.get(ref);
}
const cardIdOf = (ref) => (arrowOf.has(ref) ? arrowOf.get(ref).tail : ref.replace(/^g:/, ""));
const flowingFrom = (id) =>
  arrows.filter((a) => a.tail === id && arrowStep.has(a.id)).sort((a, b) => arrowStep.get(a.id) - arrowStep.get(b.id));

// ---- names

const words = (op) => op.replaceAll("_", " ");
const nameOf = (c) => c.name || c.code || words(c.op) || c.kind;
const briefly = (c) => c.name || c.glyph || words(c.op) || c.kind;
const whatIs = (c) => (c.kind === "fold" ? `${c.count} × ${c.name || "the same"}` : words(c.op) || c.kind); // what computes it
const inScope = (c, scope) => scope.path.every((name, i) => c.scope[i] === name);

// ---- elements: strings become text, never markup

const $ = (id) => document.getElementById(id);
function fill(node, attributes, kids) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (has(value) && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  for (const kid of kids.flat()) if (has(kid) && kid !== false && kid !== "") node.append(kid);
  return node;
}
const el = (tag, attributes, ...kids) => fill(document.createElement(tag), attributes, kids);
const svg = (tag, attributes, ...kids) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, kids);
const toggle = (node, name, on) => node.classList.toggle(name, !!on);
function size(node, w, h) {
  node.style.width = `${w}px`;
  node.style.height = `${h}px`;
  return node;
}

const ICONS = {
  first: "M2 2h2.4v12H2zM14 2v12L5 8z",
  back: "M12 2v12L3 8z",
  play: "M4 2v12l10-6z",
  pause: "M3 2h3.6v12H3zM9.4 2H13v12H9.4z",
  next: "M4 2v12l9-6z",
  last: "M11.6 2H14v12h-2.4zM2 2v12l9-6z",
  right: "M1.5 6.5l3 3.2L10.5 2.5",
  wrong: "M2 2l8 8M10 2l-8 8",
  follows: "M2 1v6h8M7 4l3 3-3 3",
  "not-judged": "M4 4a2 2 0 1 1 2.6 2L6 7v1M6 10v1",
  "not-seen": "M2 6h8",
};
const icon = (name, box = 16) =>
  svg("svg", { viewBox: `0 0 ${box} ${box}`, "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
const mark = (verdict) => icon(verdict, 12);

// ---- text that must fit

const wide = (letter) => letter.codePointAt(0) > 0x10ff; // Korean, Chinese, emoji: about two columns
const columnsOf = (text) => [...text].reduce((sum, letter) => sum + (wide(letter) ? 1.8 : 1), 0);
function cut(text, columns) {
  // `text` within so many columns; what is cut off is in a title beside it.
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  for (const letter of text) {
    if (columnsOf(kept + letter) > columns - 1) break;
    kept += letter;
  }
  return `${kept}…`;
}
const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text, font) {
  // Of what is not in letters of one width, in pixels; `font`: its size, and how bold it is.
  ruler.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}
function cutTo(text, room, font) {
  // `text` within so many pixels.
  if (widthOf(text, font) <= room) return text;
  const letters = [...text].slice(0, 200);
  while (letters.length > 1 && widthOf(`${letters.join("")}…`, font) > room) letters.pop();
  return `${letters.join("")}…`;
}
