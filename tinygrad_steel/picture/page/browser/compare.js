// Comparison with a learner's backprop: the choice of a chain, the banner, verdicts at cards, lines and steps, and the panel.

const RANK = ["not-seen", "right", "not-judged", "follows", "wrong"]; // the worst is seen first
const worst = (rows) => rows.reduce((a, b) => (!a || rankOf(b) > rankOf(a) ? b : a), null);
const rankOf = (row) => 2 * RANK.indexOf(row.verdict) + (row.first ? 1 : 0);
const chain = () => chains[state.chain] || null;
const saidOf = (row) => (row.first ? "first wrong step" : row.verdict === "not-judged" ? row.text : (SAID[row.verdict] ?? row.verdict));
const SAID = { "not-seen": "not seen", follows: "follows" };
const tag = (row) => el("span", { class: `tag ${row.verdict}` }, mark(row.verdict), saidOf(row));

// ---- the rows of the compared chain

const rowsByCard = new WeakMap(); // chain -> card id -> rows
function rowsOf(id) {
  if (!chain()) return [];
  if (!rowsByCard.has(chain())) {
    const found = new Map();
    for (const row of chain().rows) if (has(row.n)) found.set(row.n, [...(found.get(row.n) || []), row]);
    rowsByCard.set(chain(), found);
  }
  return rowsByCard.get(chain()).get(id) || [];
}
const isUnseen = (c) => c.kind === "parameter" && has(c.g) && !rowsOf(c.id).length;
function verdictOf(id) {
  // The row of a card; of several the worst. A parameter whose gradient nobody has handed over was not seen.
  if (!chain()) return null;
  return worst(rowsOf(id)) || (isUnseen(cardOf.get(id)) ? { verdict: "not-seen" } : null);
}
function verdictIn(scope) {
  // The worst row of the cards in a folded scope.
  return chain() && worst(cards.filter((c) => inScope(c, scope)).flatMap((c) => rowsOf(c.id)));
}
function verdictOfLine(i) {
  const ref = lines[i].ref;
  if (!chain() || !ref) return null;
  const rows = rowsOf(cardIdOf(ref)).filter((row) => ref === refOf(row));
  const named = rows.filter((row) => lines[i].t.startsWith(`${row.name} =`));
  return worst(named.length || rows.length > 1 ? named : rows)?.verdict ?? null;
}
const isOutside = (row) => !has(row.n) && row.text === "not in the graph";
const refOf = (row) => (has(row.n) ? (row.of === "value" ? row.n : `g:${row.n}`) : null);
const stepOfRow = (row) => (has(row.n) && (row.of === "value" || partSteps.get(row.n)?.length) ? readyAt(refOf(row)) : null);
function verdictSteps() {
  const found = new Map();
  for (const row of chain()?.rows || []) {
    const k = stepOfRow(row);
    if (has(k)) found.set(k, worst([row, found.get(k)].filter(Boolean)));
  }
  return [...found].map(([k, row]) => [k, row.verdict]);
}

function rowsNow() {
  // Of what the current step computes.
  const { k, n } = steps[state.step];
  return rowsOf(n ?? "").filter((row) => (row.of === "value") === (k === "forward"));
}
function verdictNow() {
  const row = worst(rowsNow());
  return row && state.step === stepOfRow(row) ? [tag(row)] : [];
}

// ---- the choice and the banner

function buildComparison() {
  if (!chains.length) return;
  const choice = $("chain");
  choice.append(el("option", { value: -1 }, "nothing"), ...chains.map((c, i) => el("option", { value: i }, c.title)));
  choice.addEventListener("change", () => compareWith(+choice.value));
  $("pick").hidden = false;
  state.chain = chains.findIndex((c) => c.shown);
  choice.value = state.chain;
  const first = chain()?.rows.find((row) => row.first);
  if (first && has(stepOfRow(first))) Object.assign(state, { step: stepOfRow(first), card: first.n });
}
function compareWith(i) {
  // To the first wrong step, if there is one; what is all right is looked at from where one is.
  state.chain = i;
  $("chain").value = i;
  const first = chain()?.rows.find((row) => row.first);
  state.pinned = false;
  go(first && has(stepOfRow(first)) ? stepOfRow(first) : state.step);
  fitReadable();
  followStep();
}
function renderComparison() {
  toggle(document.body, "comparing", chain());
  const banner = $("banner");
  if (changed(banner, String(state.chain))) {
    banner.hidden = !chain();
    if (chain()) fillBanner(banner, chain());
    buildYours();
  }
  renderYours();
}
const GROUPS = { wrong: "wrong as well", follows: "follow from it", "not-judged": "not judged", right: "right" };
function fillBanner(banner, { rows, ok, note }) {
  const first = rows.find((row) => row.first);
  const judged = rows.filter((row) => !isOutside(row));
  const alike = (verdict) => judged.filter((row) => row !== first && row.verdict === verdict);
  const groups = first || !ok ? Object.entries(GROUPS).map(([verdict, text]) => groupOf(text, alike(verdict))) : [];
  const notes = (note || "").split("\n").map((text) => text && el("p", { class: "note", dir: "auto" }, text));
  const said = el("div", { class: "said" }, el("p", { dir: "auto" }, headline(first, ok, judged)), groups, notes);
  banner.className = first ? "wrong" : ok ? "right" : "not-judged";
  banner.replaceChildren();
  fill(banner, {}, [tag(first || overall(ok, judged)), said, jumpTo(first, "go to it")]);
}
function overall(ok, judged) {
  // The verdict on a chain without a wrong step, as if it were a row.
  if (ok) return { verdict: "right" };
  return { verdict: "not-judged", text: judged.some((row) => row.verdict === "not-judged") ? "not all judged" : "not all seen" };
}
function headline(first, ok, judged) {
  if (first) return [el("b", {}, `First wrong step: ${first.called}`), `, ${first.reason}.`];
  return el("b", {}, ok ? allRight(judged.length) : unsure(judged));
}
const allRight = (n) => (n === 1 ? "The gradient is right." : `All ${n} gradients are right.`);
function unsure(judged) {
  if (!judged.length) return "Nothing could be judged.";
  if (judged.some((row) => row.verdict === "not-judged")) return "No step is wrong, and not all of them could be judged.";
  return "No step is wrong, but not all gradients were seen.";
}
const jumpTo = (row, text) => row && has(stepOfRow(row)) && el("button", { type: "button", dir: "auto", onclick: () => visit(row) }, text);
function visit(row) {
  state.pinned = false;
  go(stepOfRow(row));
}
function groupOf(text, rows) {
  if (!rows.length) return null;
  if (rows[0].verdict === "right") return el("p", { class: "group right" }, mark("right"), `${rows.length} right`);
  const shown = rows.slice(0, 8).map((row) => jumpTo(row, cut(row.name, 24)) || el("span", { dir: "auto" }, cut(row.name, 24)));
  const more = rows.length > 8 && el("span", {}, `and ${rows.length - 8} more`);
  const said = rows.length === 1 ? text.replace(/^follow /, "follows ") : text;
  return el("p", { class: `group ${rows[0].verdict}` }, mark(rows[0].verdict), `${rows.length} ${said}: `, shown, more);
}

// ---- the panel

function comparisonOf(c) {
  if (!chain()) return [];
  const rows = rowsOf(c.id);
  if (rows.length) return [...rows].sort((a, b) => rankOf(b) - rankOf(a)).slice(0, 4).map(verdictOn);
  if (isUnseen(c)) return [el("div", { class: "why not-seen" }, tag({ verdict: "not-seen" }), ` The gradient of ${nameOf(c)} was not seen among yours.`)];
  return has(c.g) && c !== root ? [el("p", { class: "note" }, `No array of yours is known to be ${c.gcode || "this gradient"}: it is judged with what comes after it.`)] : [];
}
function verdictOn(row) {
  const what = row.of === "value" ? "value" : "gradient";
  const sentence = {
    right: `Your ${row.called} is ${row.text}.`,
    wrong: `Your ${row.called} is wrong: ${row.reason}.`,
    follows: `Your ${row.called} is what this step makes of a wrong ${what} before it. The step itself is right.`,
    "not-judged": `Your ${row.called}: ${[row.text, row.reason].filter(Boolean).join(", ")}.`,
  }[row.verdict];
  const said = el("div", { class: `why ${row.verdict}${row.first ? " first" : ""}`, "data-key": `why ${row.name}` }, tag(row), " ", el("span", { dir: "auto" }, sentence));
  const yours = row.own?.length ? row.own : [];
  if (yours.length || (row.verdict !== "right" && row.code.length)) {
    said.append(el("dl", { class: "both" }, ...codeRows("you have", yours), ...codeRows("the graph has", row.code)));
  }
  return said;
}
const codeRows = (title, code) => (code.length ? [el("dt", {}, title), el("dd", {}, code.map((text) => el("code", { dir: "ltr" }, text)))] : []);

const comparedRow = (c) => worst(rowsOf(c.id).filter((row) => has(row.a)));
const isCompared = (c) => comparedRow(c) !== null;
function comparedMaps(c, room) {
  // Yours and the graph's in one scale of colours; null where there is no array of yours.
  const row = comparedRow(c);
  if (!row) return null;
  const yours = data.arrays[row.a];
  const own = has(row.graph) ? data.arrays[row.graph] : has(c.g) ? data.arrays[c.g] : null;
  const scale = Math.max(reach(yours), own ? reach(own) : 0);
  const kind = row.of === "value" ? "v" : "g";
  const name = row.of === "value" ? c.name || words(c.op) : c.gcode || row.name;
  const same = own && String(own.shape) === String(yours.shape);
  const mates = [];
  const left = heatmap(yours, `yours: ${row.called}`, { kind, room, mates, scale, name: "yours" });
  const right = own && heatmap(own, `the graph's ${name}`, { kind, room, mates: same ? mates : [], scale, name });
  if (same && row.off && row.verdict !== "right") pointAt(mates, yours, row.at);
  return [left, right, differencesOf(row, yours, own, same)].filter(Boolean);
}
function differencesOf(row, yours, own, same) {
  const said = [];
  if (!own) said.push("The graph's own array is not on this page.");
  else if (!same) said.push(`The shapes differ: yours is ${shapeText(yours)}, the graph's ${shapeText(own)}.`);
  else if (!row.off) said.push("The two are the same.");
  else if (row.verdict === "right") said.push(`The largest difference is ${short(row.off)}.`);
  else {
    const at = row.at?.length ? ` at [${row.at.join(", ")}]` : "";
    const numbers = row.there ? `: yours ${short4(row.there[0])}, the graph's ${short4(row.there[1])}` : "";
    said.push(`Largest difference ${short(row.off)}${at}${numbers}.`);
  }
  if (yours.bad) said.push(`Of yours ${yours.bad} ${yours.bad === 1 ? "number is" : "numbers are"} not finite.`);
  if (has(row.factor) && row.factor !== 1) said.push(`Yours is divided by ${short(row.factor)} here: by so much your chain is more than the graph's.`);
  said.push("Both in one scale of colours.");
  return el("p", { class: "note differences", dir: "auto" }, said.join(" "));
}
function pointAt(mates, a, at) {
  // The crosshair where the difference is largest, if a sample has this cell.
  if (!at?.length) return;
  const flat = at.slice(0, -1).reduce((n, i, axis) => n * a.shape[axis] + i, 0);
  const [r, c] = [a.ri ? a.ri.indexOf(flat) : flat, a.ci ? a.ci.indexOf(at.at(-1)) : at.at(-1)];
  if (r >= 0 && c >= 0) for (const mate of mates) mate.show(r, c);
}
