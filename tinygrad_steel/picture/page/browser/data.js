// The data that Python wrote, by reference (n4, f0: values, g:n4: a gradient, a5: an arrow), when each value is there, what it is called, and the state.

const data = JSON.parse(document.getElementById("data").textContent);
const { cards, arrows, scopes, layouts, lines, steps, chains } = data;
const byId = (all) => new Map(all.map((x) => [x.id, x]));
const cardOf = byId(cards);
const arrowOf = byId(arrows);
const root = cards.at(-1); // the result
const LAST = steps.length - 1;
const has = (x) => x !== null && x !== undefined;
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// All that can change. What is seen is a function of this and the data alone: render() in start.js.
const state = {
  step: 0,
  card: (cards.find((c) => c.spine) || root).id, // the selected one
  arrow: null,
  pinned: false, // the selected value stays while stepping
  chain: -1, // which backprop is compared
  frame: -1, // which moment of training is shown
  closed: new Set(), // ids of scopes
  follow: true, // the graph scrolls to the step
  scale: 1, // of the graph
  wanted: document.documentElement.dataset.wanted, // a theme, or "auto"
  theme: "light",
  speed: 1,
  playing: null, // "steps" or "frames"
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
const INCOMING = data.g ?? "g"; // what the code of an arrow calls the gradient of its head
const isHandedOn = (a) => a.code === INCOMING; // back along an arrow goes what its head has got
const briefly = (c) => c.name || c.glyph || words(c.op) || c.kind;
const whatIs = (c) => (c.kind === "fold" ? `${c.count} × ${c.name || "the same"}` : words(c.op) || c.kind); // what computes it
const startsWith = (path, start) => start.every((name, i) => path[i] === name);
const inScope = (c, scope) => startsWith(c.scope, scope.path);
