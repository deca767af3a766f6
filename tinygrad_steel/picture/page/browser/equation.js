// A local equation: each symbol with its picture and shape below, all at one scale, so that inner lengths match.

function equation(left, tokens, at, leftAt = at) {
  // `tokens` as Python wrote them; numbers are shown from step `at` on, the left side's from `leftAt`.
  const all = [left, ...tokens].filter((t) => has(t.a)).map((t) => arrayOf(t.a));
  const largest = (axis) => Math.max(1, ...all.map((a) => proportions(a)[axis]));
  const pixel = Math.min(9, 88 / largest(1), 56 / largest(0));
  const shown = (t) => state.step >= at || (has(t.ref) && state.step >= readyAt(t.ref));
  return el(
    "div",
    { class: "eq", dir: "ltr", tabindex: 0, role: "group", "aria-label": equationText(left.t, tokens) },
    symbol(left, pixel, state.step >= leftAt),
    tokens.length > 0 && el("span", { class: "o" }, " = "),
    tokens.map((t) => (typeof t === "string" ? el("span", { class: "o" }, t) : symbol(t, pixel, shown(t)))),
  );
}
const equationText = (left, tokens, sign = "=") => (tokens.length ? `${left} ${sign} ${saying(tokens)}` : left);
const saying = (tokens) => tokens.map((t) => (typeof t === "string" ? t : t.t)).join("");

function symbol(t, pixel, shown) {
  const node = el("span", { class: "sym", "data-ref": t.ref || null }, el("span", { class: "t" }, t.t));
  toggle(node, "g", t.ref?.startsWith("g:") || t.g);
  if (!has(t.a)) return node;
  const a = arrayOf(t.a);
  if (isScalar(a) || has(a.text)) node.append(el("span", { class: "n" }, shown ? scalarText(a) : "·"));
  else {
    const box = shown ? el("img", { src: thumb(a), alt: "" }) : el("span", { class: "blank" });
    const [high, broad] = proportions(a);
    node.append(size(box, Math.max(6, broad * pixel), Math.max(6, high * pixel)));
  }
  node.append(el("span", { class: "s" }, shapeText(a)));
  return node;
}
