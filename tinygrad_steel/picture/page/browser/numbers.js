// Numbers as text, as colours and as small pictures. An array here is one of data.arrays, a frame's, or a running sum.

// ---- arrays

const arrayOf = (i) => overlay(i) ?? data.arrays[i];
const parse = (text) => (text === "nan" ? NaN : text === "inf" ? Infinity : text === "-inf" ? -Infinity : Number(text));
const numeric = (x) => (typeof x === "string" ? parse(x) : x);
const parsed = new WeakMap();
function numbersOf(a) {
  if (!parsed.has(a)) parsed.set(a, a.numbers ?? (a.v ? Float64Array.from(a.v.split(" "), parse) : new Float64Array()));
  return parsed.get(a);
}
const isScalar = (a) => a.rows * a.cols === 1 && !a.of;
const shapeText = (a) => (a.shape.length === 1 ? `(${a.shape[0]},)` : `(${a.shape.join(", ")})`);
const countOf = (a) => a.shape.reduce((n, d) => n * d, 1);
function ownReach(a) {
  const own = Math.max(Math.abs(numeric(a.min ?? 0)), Math.abs(numeric(a.max ?? 0)));
  return (Number.isFinite(own) && own) || 1;
}
const reach = (a) => scaleOf(a) || ownReach(a); // what has full colour: the largest absolute value, over all frames
const sums = new Map();
function sumOf(indices) {
  // The running sum of a gradient's parts: all have one shape, and so one way of sampling.
  const all = indices.map(arrayOf);
  if (all.length === 1) return all[0];
  const key = `${frameShown()} ${indices}`;
  if (!sums.has(key)) {
    const sum = Float64Array.from(numbersOf(all[0]), (x, j) => all.reduce((total, a) => total + (numbersOf(a)[j] ?? 0), 0));
    const finite = sum.filter(Number.isFinite);
    const ends = finite.length ? { min: finite.reduce((a, b) => Math.min(a, b)), max: finite.reduce((a, b) => Math.max(a, b)), norm: Math.hypot(...finite) } : {};
    const { shape, dtype, rows, cols, of, ri, ci, scale } = all[0];
    sums.set(key, { shape, dtype, rows, cols, of, ri, ci, scale, numbers: sum, bad: sum.length - finite.length, ...ends });
  }
  return sums.get(key);
}

// ---- numbers as text

const special = (x) => (Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf");
const exactly = (x) => (Number.isFinite(x) ? String(x) : special(x));
function short(x, digits = 3) {
  x = numeric(x);
  if (!has(x)) return "";
  if (!Number.isFinite(x)) return special(x);
  const text = String(+x.toPrecision(digits));
  return text.length <= digits + 5 ? text : x.toExponential(Math.max(0, digits - 2));
}
const short4 = (x) => short(x, 4);
const scalarText = (a) => a.text ?? short4(numbersOf(a)[0]);
const saidBriefly = (a) => (isScalar(a) ? `= ${scalarText(a)}` : shapeText(a));
function statistics(a) {
  if (!has(a.min) || (a.numbers && a.of)) return ""; // of a sum only the sample is known
  const mean = Math.abs(numeric(a.mean ?? 0)) < 1e-14 * reach(a) && numeric(a.mean) !== 0 ? "≈ 0" : short(a.mean);
  return [["min", short(a.min)], has(a.mean) && ["mean", mean], ["max", short(a.max)], ["length", short(a.norm)]]
    .filter(Boolean)
    .map((pair) => pair.join(" "))
    .join("  ");
}
const AFTER_POINT = { "-3": 4, "-2": 3, "-1": 2, 0: 2, 1: 1, 2: 0, 3: 0 }; // digits, by the power of ten
function decimals(a, top) {
  // The same for all cells, so that sizes can be compared: digits after the point, and a power of ten.
  if (/^(int|uint|bool)/.test(a.dtype) && top < 1e4) return [0, 0];
  const power = Math.floor(Math.log10(top));
  return power in AFTER_POINT ? [AFTER_POINT[power], 0] : [1, power];
}
function inCell(x, [digits, power]) {
  if (!Number.isFinite(x)) return special(x);
  if (x === 0) return "0";
  return (x / 10 ** power).toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace(/^(-?)0\./, "$1.");
}

// ---- numbers as colours: diverging, neutral at 0

let ramp = null;
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const hex = style.getPropertyValue(name).trim().replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  };
  ramp = { negative: rgb("--neg"), zero: rgb("--zero"), positive: rgb("--pos"), nan: rgb("--nan"), ink: style.getPropertyValue("--text").trim(), thumbs: new WeakMap() };
}
function shade(x, scale) {
  if (!Number.isFinite(x)) return ramp.nan;
  const t = Math.min(1, Math.abs(x) / scale);
  const end = x < 0 ? ramp.negative : ramp.positive;
  return ramp.zero.map((z, i) => Math.round(z + (end[i] - z) * t));
}
const luminance = (rgb) => rgb.reduce((sum, c, i) => sum + [0.2126, 0.7152, 0.0722][i] * (c / 255) ** 2.2, 0);
const inkOn = (rgb) => (luminance(rgb) > 0.179 ? "#000" : "#fff");

function thumb(a, scale = reach(a)) {
  // A picture of one pixel a number, made when it is first seen.
  if (!ramp.thumbs.has(a)) ramp.thumbs.set(a, new Map());
  const made = ramp.thumbs.get(a);
  if (!made.has(scale)) {
    const canvas = el("canvas", { width: a.cols || 1, height: a.rows || 1 });
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(canvas.width, canvas.height);
    numbersOf(a).forEach((x, j) => image.data.set([...shade(x, scale), 255], 4 * j));
    pen.putImageData(image, 0, 0);
    made.set(scale, canvas.toDataURL());
  }
  return made.get(scale);
}
const LONGEST = 64; // what is longer in one direction looks no longer
const proportions = (a) => (a.of ?? [a.rows, a.cols]).map((n) => clamp(n, 1, LONGEST)); // a sample has those of the whole
function fitted(a, w, h, least = 9) {
  // The size of a picture of `a` in a room: wide stays wide, tall stays tall.
  const [high, broad] = proportions(a);
  const p = Math.min(w / broad, h / high, 12);
  return [Math.min(w, Math.max(least, broad * p)), Math.min(h, Math.max(least, high * p))];
}
