// What tests ask a page in the browser, by name.
({
  // All that a reader sees, as one number: the elements, their classes in one order, and what is painted.
  seen() {
    for (const node of document.querySelectorAll("[class]")) {
      node.setAttribute("class", [...node.classList].sort().join(" "));
    }
    const painted = [...document.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL());
    const text = document.documentElement.outerHTML + painted.join();
    let [low, high] = [7, 11];
    for (let i = 0; i < text.length; i++) {
      low = Math.imul(low ^ text.charCodeAt(i), 0x9e3779b1);
      high = Math.imul(high ^ text.charCodeAt(i), 0x5f356495);
      low ^= high >>> 15;
      high ^= low >>> 13;
    }
    return `${low} ${high}`;
  },

  // The contrast of each visible text with what is painted below it: [ratio, text, class].
  contrasts() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = (below, [r, g, b, a]) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a));
    const linear = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => rgb.reduce((sum, c, i) => sum + linear(c) * [0.2126, 0.7152, 0.0722][i], 0);
    const ratio = (a, b) => {
      const [more, less] = [light(a), light(b)].sort((x, y) => y - x);
      return (more + 0.05) / (less + 0.05);
    };
    const opacity = (node) => (node ? getComputedStyle(node).opacity * opacity(node.parentElement) : 1);
    const painted = (node) => {
      const style = getComputedStyle(node);
      if (!(node instanceof SVGElement)) return rgba(style.backgroundColor);
      const isShape = node instanceof SVGGeometryElement;
      if (!isShape || style.fill === "none" || style.visibility === "hidden") return [0, 0, 0, 0];
      const [r, g, b, a] = rgba(style.fill);
      return [r, g, b, a * style.fillOpacity];
    };
    const below = (stack, node) => {
      const start = stack.findIndex((n) => n === node || n.contains(node) || node.contains(n));
      return stack.slice(start).reverse().reduce((colour, n) => over(colour, painted(n)), [255, 255, 255]);
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      const node = text.parentElement;
      if (!text.data.trim() || node.closest("script, noscript, title, .sr, option, [hidden]")) continue;
      const style = getComputedStyle(node);
      if (style.visibility === "hidden" || style.display === "none") continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      const box = range.getBoundingClientRect();
      const stack = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
      if (!box.width || !stack.some((n) => n === node || n.contains(node) || node.contains(n))) continue;
      const back = below(stack, node);
      const [r, g, b, a] = rgba(node instanceof SVGElement ? style.fill : style.color);
      const front = over(back, [r, g, b, a * opacity(node)]);
      found.push([ratio(front, back), text.data.slice(0, 30), node.getAttribute("class")]);
    }
    return found;
  },

  // Controls that reach out of the window, or are too narrow to be hit.
  cut() {
    const parts = "header, footer, .zoom, #value".split(", ").map((part) => `${part} :is(button, select, summary, input)`);
    return [...document.querySelectorAll(parts)]
      .filter((node) => node.checkVisibility())
      .filter((node) => {
        const box = node.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth + 0.5 || box.width < 20;
      })
      .map((node) => node.outerHTML.slice(0, 80));
  },

  // What stands in or below a cell of a card and is wider than that.
  wide() {
    return [...document.querySelectorAll(".card :is(.cap, .num)")]
      .filter((text) => {
        const cell = text.closest(".card").querySelector(`.cell.${text.classList.contains("v") ? "v" : "g"}`);
        return text.textContent && text.getBBox().width > cell.getBBox().width + 3;
      })
      .map((text) => text.textContent);
  },

  // Whether the card of the current step is all in the view.
  inView() {
    const card = document.querySelector(".card.now").getBoundingClientRect();
    const view = document.querySelector(".view").getBoundingClientRect();
    const across = card.left >= view.left && card.right <= view.right + 1;
    return across && card.top >= view.top && card.bottom <= view.bottom + 1;
  },

  // What has the focus, and whether that is to be seen.
  focus() {
    const node = document.activeElement;
    const thick = (width) => parseFloat(width) >= 2;
    const style = getComputedStyle(node);
    const ring = node.querySelector(".ring, .grip");
    const ringed = ring && getComputedStyle(ring).stroke !== "none" && thick(getComputedStyle(ring).strokeWidth);
    const outlined = style.outlineStyle !== "none" && thick(style.outlineWidth);
    const name = node.getAttribute("aria-label") || node.textContent.slice(0, 20);
    return [`${node.tagName} ${name}`, outlined || ringed || node === document.body];
  },

  // How many points of arrows lie inside of folded scopes.
  inFolded() {
    const boxes = [...document.querySelectorAll(".scope.closed .frame")].map((frame) => frame.getBBox());
    const isIn = (p) => (b) => p.x > b.x + 3 && p.x < b.x + b.width - 3 && p.y > b.y + 3 && p.y < b.y + b.height - 3;
    const points = (path) => Array.from({ length: 41 }, (_, i) => path.getPointAtLength((path.getTotalLength() * i) / 40));
    return [...document.querySelectorAll(".arrow .f")].flatMap(points).filter((p) => boxes.some(isIn(p))).length;
  },

  // When the next frame is on the screen, in ms since the page was opened.
  framed() {
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))));
  },

  // How long steps take, in ms, the fastest first: all the work of a key, and the layout after it.
  async steps() {
    const times = [];
    for (let i = 0; i < 120; i++) {
      const start = performance.now();
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
      document.querySelector(".view").getBoundingClientRect();
      times.push(performance.now() - start);
      await new Promise(requestAnimationFrame);
    }
    return times.sort((a, b) => a - b);
  },
})
