// How elements are made and changed: strings become text, never markup.

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
const shows = new WeakMap(); // node -> what it shows, as one text
function changed(node, what) {
  // Whether it is to show something else now: the rest is left alone.
  if (shows.get(node) === what) return false;
  shows.set(node, what);
  return true;
}

// ---- icons

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
const iconButton = (name, title, onclick) => el("button", { type: "button", "aria-label": title, title, class: name, onclick }, icon(name));

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
