// The source: one row a statement, its parts to point at, the current line and in it the part being computed.

let rows = [];

function buildSource() {
  const list = el("ol", { class: "source", role: "listbox", dir: "ltr", "aria-label": "lines of the backprop" });
  rows = lines.map(rowOf);
  rows.find((r) => r.dataset.ref)?.setAttribute("tabindex", "0");
  lines.forEach((_, i) => write(i, null));
  list.append(...rows);
  const used = data.helpers || [];
  const helpers = el("details", {}, el("summary", {}, `functions used above (${used.length})`), el("pre", { dir: "ltr" }, used.join("\n\n")));
  $("code").replaceChildren(...(lines.length ? [list] : []), ...(used.length ? [helpers] : []));
  toggle(document.body, "sourceless", !lines.length);
}
function rowOf(l, i) {
  const kind = l.ref ? l.k : `${l.k} plain`;
  return el(
    "li",
    { class: kind, "data-line": i, "data-ref": l.ref, role: "option", "aria-selected": "false", tabindex: l.ref ? -1 : null },
    el("span", { class: "gutter", "aria-hidden": "true" }),
    el("span", { class: "text" }),
    el("span", { class: "out" }),
  );
}

function write(i, span) {
  // Nested elements for the parts of a line, and a mark around the one that is computed right now.
  const { t, ref, spans } = lines[i];
  const parts = spans.map(([start, end, of, a]) => ({ start, end, ref: of, a }));
  if (span && !parts.some((p) => p.start === span[0] && p.end === span[1])) parts.push({ start: span[0], end: span[1] });
  parts.sort((p, q) => p.start - q.start || q.end - p.end);
  const out = document.createDocumentFragment();
  const equals = ref ? t.indexOf(" = ") : -1;
  if (equals > 0) out.append(el("span", { class: "lhs" }, t.slice(0, equals)));
  nest(out, t, Math.max(0, equals), t.length, parts, span);
  rows[i].children[1].replaceChildren(out);
}
function nest(parent, text, from, to, parts, span) {
  while (parts.length) {
    const part = parts.shift();
    if (part.start < from) continue; // it crosses the one before: the first counts
    const inner = [];
    while (parts.length && parts[0].start < part.end) inner.push(parts.shift());
    const now = span && part.start === span[0] && part.end === span[1];
    const node = el(now ? "mark" : "span", { class: "x", "data-ref": part.ref || null, "data-a": part.a });
    parent.append(text.slice(from, part.start), node);
    nest(node, text, part.start, part.end, inner.filter((p) => p.start !== part.start || p.end !== part.end), span);
    from = part.end;
  }
  parent.append(text.slice(from, to));
}

function lineStep(i) {
  // When the value of a line is there; one without a card, as soon as a step has come as far down.
  if (lines[i].ref) return readyAt(lines[i].ref);
  const k = steps.findIndex((s) => s.line >= i);
  return k < 0 ? LAST : k;
}
function renderSource() {
  const s = steps[state.step];
  const also = s.lines || [];
  lines.forEach((l, i) => {
    const row = rows[i];
    const now = s.line === i;
    const together = !now && also.includes(i); // of a fold, what is computed with it
    const done = state.step >= lineStep(i);
    const selected = !!l.ref && (l.ref === state.card || l.ref === `g:${state.card}`);
    const verdict = verdictOfLine(i);
    const span = s.line === i ? s.span : null;
    if (!changed(row, [now, together, span, done, selected, verdict, frameShown()].join())) return;
    for (const [name, on] of Object.entries({ now, also: together, todo: has(l.a) && !done && !now, sel: selected })) toggle(row, name, on);
    row.dataset.verdict = verdict || "";
    row.setAttribute("aria-selected", String(now));
    if (now) row.setAttribute("aria-current", "step");
    else row.removeAttribute("aria-current");
    if (changed(row.children[1], String(span))) write(i, span);
    row.children[0].replaceChildren(verdict ? mark(verdict) : now ? "▶" : String(i + 1));
    row.children[2].textContent = done && has(l.a) ? saidBriefly(arrayOf(l.a)) : "";
  });
}
function followSource() {
  const row = rows[steps[state.step].line];
  const box = $("code");
  if (!row || box.scrollHeight <= box.clientHeight + 2) return;
  const above = row.offsetTop < box.scrollTop + 20;
  const below = row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight - 20;
  if (above || below) box.scrollTop = row.offsetTop - box.clientHeight / 2;
}
