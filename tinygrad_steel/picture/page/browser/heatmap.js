// Heatmaps: a canvas whose cells tell their numbers, with a crosshair that its mates share.

const MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace';

function heatmap(a, title, options) {
  // options: kind ("v" or "g"), room (px), name (before the index), scale, mates (a list of heatmaps with one crosshair).
  const box = el("div", { class: `map ${options.kind}` }, el("h3", { dir: "auto" }, title));
  if (has(a.text) || isScalar(a)) return fill(box, {}, [el("p", { class: "big" }, scalarText(a))]);
  const stats = statistics(a);
  const cells = cellsOf(a, options.scale || reach(a), options.room, options.scale);
  const label = `${title}: heatmap of ${shapeText(a)}; ${stats}. Arrow keys read single numbers.`;
  const canvas = el("canvas", { tabindex: 0, role: "img", "aria-label": label, "data-key": `map ${title}` });
  const out = el("output", { dir: "auto" });
  box.append(el("p", { class: "stats" }, stats), canvas, out, ...notesOf(a, cells));
  paint(canvas, cells);
  box.show = (r, c) => {
    paint(canvas, cells, r, c);
    out.textContent = r === undefined ? "" : `${options.name}${indexText(a, r, c)} = ${exactly(cells.v[r * a.cols + c])}`;
  };
  const mates = options.mates || [];
  mates.push(box);
  listen(canvas, a, (r, c) => mates.forEach((mate) => mate.show(r, c)));
  return box;
}

function cellsOf(a, scale, room, same) {
  // How large the cells are, and what stands in them if that can be read.
  const v = numbersOf(a);
  const cw = clamp(room / a.cols, 1, 44);
  const ch = Math.max(1, Math.min(cw > 26 ? 22 : cw, 216 / a.rows, 26));
  const form = decimals(a, same ? scale : ownReach(a));
  const longest = v.reduce((most, x) => Math.max(most, inCell(x, form).length), 1);
  const font = Math.min(11, ch * 0.62, (0.9 * cw) / (0.61 * longest));
  return { a, v, scale, cw, ch, form, font: font >= 7.5 ? font : 0, w: Math.floor(cw * a.cols), h: Math.floor(ch * a.rows) };
}

function paint(canvas, cells, row, column) {
  const { a, v, scale, cw, ch, w, h } = cells;
  const fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(w * fine);
  canvas.height = Math.round(h * fine);
  size(canvas, w, h);
  const pen = canvas.getContext("2d");
  pen.scale(fine, fine);
  pen.font = `${cells.font}px ${MONO}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  v.forEach((x, j) => {
    const left = (j % a.cols) * cw;
    const top = Math.floor(j / a.cols) * ch;
    const rgb = shade(x, scale);
    pen.fillStyle = `rgb(${rgb})`;
    pen.fillRect(left, top, cw + 0.3, ch + 0.3);
    if (cells.font) {
      pen.fillStyle = inkOn(rgb);
      pen.fillText(inCell(x, cells.form), left + cw / 2, top + 0.53 * ch);
    } else if (!Number.isFinite(x)) stroke(pen, `rgb(${ramp.zero})`, [left, top, left + cw, top + ch]);
  });
  if (row === undefined) return;
  pen.lineWidth = 2;
  pen.strokeStyle = ramp.ink;
  pen.strokeRect(column * cw + 1, row * ch + 1, Math.max(2, cw - 2), Math.max(2, ch - 2));
  stroke(pen, ramp.ink, [0, (row + 0.5) * ch, column * cw, (row + 0.5) * ch], 0.5);
  stroke(pen, ramp.ink, [(column + 0.5) * cw, 0, (column + 0.5) * cw, row * ch], 0.5);
}
function stroke(pen, colour, [x0, y0, x1, y1], width = 1) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function notesOf(a, cells) {
  const notes = [];
  if (cells.form[1] && cells.font) notes.push(`Numbers in cells: times 1e${cells.form[1]}.`);
  if (a.of) {
    const all = countOf(a).toLocaleString("en");
    notes.push(`A sample: ${a.rows} of ${a.of[0]} rows, ${a.cols} of ${a.of[1]} columns, evenly taken. The statistics are of all ${all} numbers.`);
  }
  if (a.bad) notes.push(`${a.bad} not finite (dark cells); the statistics leave them out.`);
  return notes.map((text) => el("p", { class: "note" }, text));
}

function indexText(a, row, column) {
  // The index of a cell in the array itself: its rows are all axes but the last, in order.
  const index = [a.ci ? a.ci[column] : column];
  let rest = a.ri ? a.ri[row] : row;
  for (let axis = a.shape.length - 2; axis >= 0; axis--) {
    index.unshift(rest % a.shape[axis]);
    rest = Math.floor(rest / a.shape[axis]);
  }
  return `[${index.join(", ")}]`;
}

function listen(canvas, a, tell) {
  let at = null;
  const go = (r, c) => {
    at = [clamp(r, 0, a.rows - 1), clamp(c, 0, a.cols - 1)];
    tell(...at);
  };
  canvas.addEventListener("pointermove", (e) => {
    const box = canvas.getBoundingClientRect();
    go(Math.floor(((e.clientY - box.top) / box.height) * a.rows), Math.floor(((e.clientX - box.left) / box.width) * a.cols));
  });
  canvas.addEventListener("pointerleave", () => tell());
  canvas.addEventListener("blur", () => tell());
  canvas.addEventListener("keydown", (e) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
    if (!by || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    e.preventDefault();
    e.stopPropagation();
    if (at) go(at[0] + by[0], at[1] + by[1]);
    else go(0, 0);
  });
}
