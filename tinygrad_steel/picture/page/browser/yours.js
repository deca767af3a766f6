// The learner's own source beside the graph's: the wrong line with its verdict and reason, and the line of the current step.

let ownLines = new Map(); // number in the file -> its element

function buildYours() {
  $("code").querySelector(".yours")?.remove();
  ownLines = new Map();
  const own = chain()?.own;
  toggle($("code"), "both", own);
  if (!own) return;
  const place = [own.function, own.file].filter(Boolean).join(" in ");
  const part = own.of > own.lines.length ? `, ${own.lines.length} of ${own.of} lines` : "";
  const listed = own.lines.flatMap((text, i) => ownLine(text, own.start + i));
  const box = el("div", { class: "own", dir: "ltr", role: "list", tabindex: 0, "aria-label": `your own lines, ${place}` }, listed);
  $("code").prepend(el("section", { class: "yours", "aria-label": "Your own source" }, el("h3", { dir: "auto" }, `Yours: ${place}${part}`), box));
  const first = chain().rows.find((row) => row.first);
  if (has(first?.line)) showOwn(first);
}
function ownLine(text, number) {
  const rows = rowsOnLine(number);
  const shown = worst(rows);
  const begins = rows.some((r) => r.line === number);
  const isPart = !shown && chain().rows.some((r) => r.verdict === "wrong" && r.parts?.includes(number));
  const line = el(
    "div",
    { class: "line", role: "listitem", "data-line": number, "data-verdict": shown?.verdict, "data-ref": shown && refOf(shown) },
    el("span", { class: "gutter", "aria-hidden": "true" }, begins ? mark(shown.verdict) : String(number)),
    el("span", { class: "text" }, text || " "),
    el("span", { class: "out" }, begins ? rows.map(nameTag) : isPart ? "a part of it" : ""),
  );
  toggle(line, "first", shown?.first);
  toggle(line, "part", isPart);
  ownLines.set(number, line);
  const ends = rows.filter((r) => r.until === number && r.verdict === "wrong");
  return [line, ...ends.sort((a, b) => rankOf(b) - rankOf(a)).map(reasonUnder)];
}
const isAt = (row, number) => has(row.line) && row.line <= number && number <= (row.until ?? row.line);
function rowsOnLine(number) {
  // What is not in the graph is a question only where its name says that it is a gradient, and nothing else is there.
  const rows = chain().rows.filter((row) => isAt(row, number));
  const known = rows.filter((row) => !isOutside(row));
  return known.length ? known : rows.filter((row) => row.reason);
}
const nameTag = (row) => jumpTag(row, el("span", { class: `word ${row.verdict}` }, `${cut(row.name, 18)}: ${saidOf(row)}`));
function jumpTag(row, said) {
  const k = stepOfRow(row);
  return has(k) ? el("button", { type: "button", title: `to step ${k}`, "data-key": `own ${row.name}`, onclick: () => visit(row) }, said) : said;
}
function reasonUnder(row) {
  const code = row.code.length && el("p", { class: "has" }, "the graph has ", el("code", { dir: "ltr" }, row.code[0]));
  return el("div", { class: `reason${row.first ? " first" : ""}`, role: "note" }, el("p", { dir: "auto" }, tag(row), ` ${row.called}: ${row.reason}.`), code);
}

function renderYours() {
  // The lines of the current step, and of the selected card.
  if (!ownLines.size) return;
  const now = rowsNow();
  const selected = rowsOf(state.card);
  for (const [number, line] of ownLines) {
    const isNow = now.some((row) => isAt(row, number));
    toggle(line, "now", isNow);
    toggle(line, "sel", selected.some((row) => isAt(row, number)));
    if (isNow) line.setAttribute("aria-current", "step");
    else line.removeAttribute("aria-current");
  }
  const current = now.find((row) => has(row.line));
  if (current && changed($("code").querySelector(".yours"), String(state.step))) showOwn(current);
}
function showOwn(row) {
  // All of a statement, with the reason under it.
  const [line, last] = [ownLines.get(row.line), ownLines.get(row.until)];
  if (!line || !last) return; // of a long function a part is shown
  const box = line.closest(".own");
  const end = last.nextElementSibling?.matches(".reason") ? last.nextElementSibling : last;
  const [top, bottom] = [line.offsetTop - box.offsetTop, end.offsetTop + end.offsetHeight - box.offsetTop];
  const isSeen = top >= box.scrollTop + 10 && bottom <= box.scrollTop + box.clientHeight - 10;
  const least = bottom + 10 - box.clientHeight; // so that its end is seen
  if (!isSeen) box.scrollTop = Math.min(top - 10, Math.max(top - box.clientHeight / 3, least));
}
