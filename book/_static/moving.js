// Figures that move: each takes what the chapter computed and lets a reader turn one thing at a
// time. Without scripts, and in print, the still figure before it stands alone.
"use strict";

const moving = {};

moving.make = (tag, settings = {}, ...children) => {
  const svg = ["svg", "g", "circle", "rect", "line", "text", "path", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// A slider with its value in words; calls back on each move.
moving.slider = (root, name, { min, max, step, value }, words, changed) => {
  const { make } = moving;
  const input = make("input", { type: "range", min, max, step, value }), said = make("span", { class: "value", "aria-hidden": "true" });
  const update = () => {
    said.textContent = words(Number(input.value));
    input.setAttribute("aria-valuetext", said.textContent);
  };
  input.addEventListener("input", () => {
    update();
    changed();
  });
  update();
  root.append(make("label", {}, `${name} `, input, " ", said));
  return () => Number(input.value);
};

moving.choice = (root, name, options, changed) => {
  const { make } = moving;
  const select = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
  select.addEventListener("change", changed);
  root.append(make("label", {}, `${name} `, select));
  return () => select.value;
};

moving.button = (root, text, pressed) => {
  const button = moving.make("button", { type: "button" }, text);
  button.addEventListener("click", pressed);
  root.append(button);
};

moving.drawing = (root, width, height, name) => {
  const svg = moving.make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name });
  root.append(svg);
  return svg;
};

// Grey values 0..255 on a canvas.
moving.plate = (root, width, height, name) => {
  const canvas = moving.make("canvas", { width, height, role: "img", "aria-label": name });
  root.append(canvas);
  const context = canvas.getContext("2d");
  return (values) => {
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      image.data.fill(values[i], 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };
};

moving.bytes = (text, kind = Uint8Array) => new kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

const minus = (number, digits) => number.toFixed(digits).replace("-", "\u2212");
const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %` : "–");
const BLUE = "#0072b2", ORANGE = "#d55e00", GREY = "#777";

// Threshold and prevalence over held-out scores.
moving.threshold = (tools, stage, said, data) => {
  const { make } = moving, names = data.classes, n = data.scores.length;
  const svg = moving.drawing(stage, 520, 150, "Held-out scores of both classes, and the threshold");
  const x = (score) => 20 + 480 * score, piles = {};
  const bins = data.scores.map((score, i) => `${data.labels[i]} ${Math.round(60 * score)}`);
  const highest = Math.max(...bins.map((bin) => bins.filter((other) => other === bin).length));
  const apart = Math.min(6, 44 / highest);
  data.scores.forEach((score, i) => {
    const label = data.labels[i], bin = bins[i];
    piles[bin] = (piles[bin] ?? -1) + 1;
    const y = label ? 62 - apart * piles[bin] : 82 + apart * piles[bin];
    svg.append(make("circle", { cx: x(Math.round(60 * score) / 60), cy: y, r: 2.8, fill: label ? ORANGE : BLUE }));
  });
  svg.append(make("text", { x: 20, y: 12, fill: ORANGE }, names[1]), make("text", { x: 20, y: 146, fill: BLUE }, names[0]));
  svg.append(make("line", { x1: x(0), x2: x(1), y1: 72, y2: 72, stroke: GREY }));
  const line = make("line", { y1: 4, y2: 146, stroke: "currentColor", "stroke-width": 2 });
  svg.append(line);
  const threshold = moving.slider(tools, "threshold", { min: 0.02, max: 0.98, step: 0.01, value: 0.5 }, (t) => t.toFixed(2), show);
  const prevalence = moving.slider(tools, `share of ${names[1]} where it is used`, { min: 0.005, max: 0.9, step: 0.005, value: 0.1 }, percent, show);
  show();

  function show() {
    const t = threshold(), p = prevalence();
    line.setAttribute("x1", x(t));
    line.setAttribute("x2", x(t));
    const count = (label, called) => data.scores.filter((s, i) => data.labels[i] === label && s >= t === called).length;
    const [tp, fn, tn, fp] = [count(1, true), count(1, false), count(0, false), count(0, true)];
    const se = tp / (tp + fn), sp = tn / (tn + fp), odds = t / (1 - t);
    const ppv = (p * se) / (p * se + (1 - p) * (1 - sp)), npv = ((1 - p) * sp) / ((1 - p) * sp + p * (1 - se));
    const benefit = p * se - (1 - p) * (1 - sp) * odds, all = p - (1 - p) * odds;
    said.replaceChildren(
      moving.table([
        ["", `called ${names[1]}`, `called ${names[0]}`],
        [`is ${names[1]}`, tp, fn],
        [`is ${names[0]}`, fp, tn],
      ]),
      make("p", {}, `Sensitivity ${tp} of ${tp + fn} (${percent(se)}), specificity ${tn} of ${tn + fp} (${percent(sp)}); right ${tp + tn} of ${n}, always the larger class ${Math.max(tp + fn, tn + fp)} of ${n}.`),
      make("p", {}, `Where ${percent(p)} have it: of those called ${names[1]} ${percent(ppv)} have it, of the others ${percent(npv)} have not.`),
      make("p", {}, `Net benefit per 100 people, if a false alarm weighs ${odds.toFixed(2)} of an ill person found: ${minus(100 * benefit, 1)}; of calling everybody ${names[1]} ${minus(100 * all, 1)}, of calling nobody 0.`),
      make("p", {}, data.of),
    );
  }
};

moving.table = (rows) => {
  const { make } = moving;
  const cells = (row, first) => make("tr", {}, ...row.map((cell, i) => make(first || !i ? "th" : "td", {}, String(cell))));
  return make("table", {}, ...rows.map((row, i) => cells(row, !i)));
};

// What k of n says: the exact interval of Clopper and Pearson.
moving.counted = (tools, stage, said) => {
  const { make } = moving;
  const svg = moving.drawing(stage, 520, 60, "The interval on a line from 0 to 1");
  const x = (share) => 20 + 480 * share;
  svg.append(make("line", { x1: x(0), x2: x(1), y1: 26, y2: 26, stroke: GREY }));
  for (const tick of [0, 0.25, 0.5, 0.75, 1]) svg.append(make("text", { x: x(tick), y: 52, "text-anchor": "middle" }, String(tick)));
  const bar = make("line", { y1: 26, y2: 26, stroke: BLUE, "stroke-width": 8 }), dot = make("circle", { cy: 26, r: 6, fill: ORANGE });
  svg.append(bar, dot);
  const n = moving.slider(tools, "films", { min: 1, max: 300, step: 1, value: 10 }, String, show);
  const errors = moving.slider(tools, "errors", { min: 0, max: 20, step: 1, value: 0 }, String, show);
  show();

  // The share p at which k or more of n have the probability `tail`.
  function limit(k, all, tail) {
    let low = 0, high = 1;
    for (let turn = 0; turn < 50; turn++) {
      const p = (low + high) / 2;
      // In logarithms: of 300 films the first terms are too small for a number.
      let term = all * Math.log1p(-p), below = 0;
      for (let i = 0; i < k; i++) {
        below += Math.exp(term);
        term += Math.log(((all - i) / (i + 1)) * (p / (1 - p)));
      }
      if (1 - below < tail) low = p;
      else high = p;
    }
    return (low + high) / 2;
  }

  function show() {
    const all = n(), k = Math.max(0, all - errors());
    const low = k ? limit(k, all, 0.025) : 0, high = k < all ? limit(k + 1, all, 0.975) : 1;
    bar.setAttribute("x1", x(low));
    bar.setAttribute("x2", x(high));
    dot.setAttribute("cx", x(k / all));
    said.textContent = `${k} of ${all}: the true share may be anything from ${low.toFixed(2)} to ${high.toFixed(2)} (95 % interval).`;
  }
};

// The six parameters of the report's augmentation.
moving.augmentation = (tools, stage, said, data) => {
  const side = data.side, film = moving.bytes(data.film);
  const plate = moving.plate(stage, side, side, "A computed film, moved");
  const degrees = (v) => `${v}°`, share = (v) => `${Math.round(100 * v)} %`;
  const turn = moving.slider(tools, "rotation", { min: -20, max: 20, step: 1, value: 0 }, degrees, show);
  const right = moving.slider(tools, "shift across", { min: -0.2, max: 0.2, step: 0.01, value: 0 }, share, show);
  const down = moving.slider(tools, "shift down", { min: -0.2, max: 0.2, step: 0.01, value: 0 }, share, show);
  const shear = moving.slider(tools, "shear", { min: -20, max: 20, step: 0.1, value: 0 }, (v) => `${v.toFixed(1)}°`, show);
  const zoom = moving.slider(tools, "zoom", { min: 0.8, max: 1.2, step: 0.01, value: 1 }, (v) => v.toFixed(2), show);
  const flip = moving.choice(tools, "flip", [["no", "no"], ["yes", "yes"]], show);
  show();

  function show() {
    const centre = (side - 1) / 2, angle = (turn() * Math.PI) / 180, phi = (shear() * Math.PI) / 180;
    const [cos, sin, z] = [Math.cos(angle), Math.sin(angle), zoom()], moved = new Uint8ClampedArray(side * side);
    const inside = (v) => Math.min(side - 1, Math.max(0, v));
    let smeared = 0;
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        // From the new pixel back to the old one: flip, zoom, shear, shift, rotation.
        let x = ((flip() === "yes" ? side - 1 - column : column) - centre) * z, y = (row - centre) * z;
        [x, y] = [x - Math.sin(phi) * y - right() * side, Math.cos(phi) * y - down() * side];
        [x, y] = [cos * x - sin * y + centre, sin * x + cos * y + centre];
        if (x < 0 || y < 0 || x > side - 1 || y > side - 1) smeared++;
        const [left, top] = [Math.floor(inside(x)), Math.floor(inside(y))], [fx, fy] = [inside(x) - left, inside(y) - top];
        const at = (dx, dy) => film[Math.min(side - 1, top + dy) * side + Math.min(side - 1, left + dx)];
        moved[row * side + column] = (1 - fy) * ((1 - fx) * at(0, 0) + fx * at(1, 0)) + fy * ((1 - fx) * at(0, 1) + fx * at(1, 1));
      }
    }
    plate(moved);
    said.textContent = `${percent(smeared / (side * side))} of the picture is smeared margin. The report draws the shear from ±0.2: a fifth of a degree.`;
  }
};

// t-SNE of the films beside a cloud that has their spectrum and no clusters.
moving.tsne = (tools, stage, said, data) => {
  const { make } = moving;
  const left = moving.drawing(stage, 240, 240, "t-SNE of the films, by class"), right = moving.drawing(stage, 240, 240, "t-SNE of a cloud without clusters");
  const perplexity = moving.choice(tools, "perplexity", data.perplexities.map((p) => [p, String(p)]), show);
  const seed = moving.slider(tools, "start", { min: 1, max: data.starts, step: 1, value: 1 }, String, show);
  show();

  function dots(svg, points, colour) {
    const reach = Math.max(...points.flat().map(Math.abs)) * 1.08 || 1;
    svg.replaceChildren(...points.map(([x, y], i) => make("circle", { cx: 120 + (115 * x) / reach, cy: 120 - (115 * y) / reach, r: 3.4, fill: colour(i), "fill-opacity": 0.8 })));
  }

  function show() {
    const key = `${perplexity()},${seed() - 1}`;
    dots(left, data.films[key], (i) => (data.labels[i] ? ORANGE : BLUE));
    dots(right, data.cloud[key], () => GREY);
    said.textContent = `Left the films (${data.classes[0]} blue, ${data.classes[1]} orange), right a cloud without any clusters, both at perplexity ${perplexity()}, start ${seed()}.`;
  }
};

// A film from its first components.
moving.components = (tools, stage, said, data) => {
  const { side, mean, scales, shares, scores } = data, pixels = side * side;
  const components = moving.bytes(data.components, Int8Array), middle = moving.bytes(mean);
  const plate = moving.plate(stage, side, side, "A computed film, put together from components");
  const whole = moving.plate(stage, side, side, "The film itself");
  const which = moving.choice(tools, "film", scores.map((_, k) => [k, String(k + 1)]), show);
  const many = moving.slider(tools, "components", { min: 0, max: scales.length, step: 1, value: 5 }, String, show);
  show();

  function made(k, film) {
    const sum = Float64Array.from(middle);
    for (let c = 0; c < k; c++) {
      const weight = scores[film][c] * scales[c];
      for (let i = 0; i < pixels; i++) sum[i] += weight * components[c * pixels + i];
    }
    return Uint8ClampedArray.from(sum);
  }

  function show() {
    plate(made(many(), which()));
    whole(made(scales.length, which()));
    said.textContent = `${many()} of ${scales.length} components, which keep ${percent(shares[many()])} of what the films differ in. Right: all of them.`;
  }
};

// A kernel over a film.
moving.kernel = (tools, stage, said, data) => {
  const { make } = moving, side = data.side, film = moving.bytes(data.film);
  const known = {
    "vertical edges": [-1, 0, 1, -2, 0, 2, -1, 0, 1],
    "horizontal edges": [-1, -2, -1, 0, 0, 0, 1, 2, 1],
    "spots and detail": [-1, -1, -1, -1, 8, -1, -1, -1, -1],
    mean: [1, 1, 1, 1, 1, 1, 1, 1, 1],
    "nothing changed": [0, 0, 0, 0, 1, 0, 0, 0, 0],
  };
  const choose = moving.choice(tools, "kernel", Object.keys(known).map((name) => [name, name]), () => fill(known[choose()]));
  const cells = Array.from({ length: 9 }, (_, i) => make("input", { type: "number", step: 1, "aria-label": `row ${Math.floor(i / 3) + 1}, column ${(i % 3) + 1}` }));
  cells.forEach((cell) => cell.addEventListener("input", show));
  tools.append(make("div", { class: "kernel" }, ...cells));
  const before = moving.plate(stage, side, side, "A computed film"), after = moving.plate(stage, side, side, "What the kernel answers");
  before(film);
  fill(known["vertical edges"]);

  function fill(values) {
    cells.forEach((cell, i) => (cell.value = values[i]));
    show();
  }

  function show() {
    const kernel = cells.map((cell) => Number(cell.value) || 0), sums = new Float64Array(side * side);
    for (let y = 1; y < side - 1; y++) {
      for (let x = 1; x < side - 1; x++) {
        let sum = 0;
        kernel.forEach((weight, i) => (sum += weight * film[(y + Math.floor(i / 3) - 1) * side + x + (i % 3) - 1]));
        sums[y * side + x] = sum;
      }
    }
    const total = kernel.reduce((a, b) => a + b, 0);
    const sorted = Float64Array.from(sums, Math.abs).sort(), most = sorted[Math.floor(0.985 * sorted.length)] || 1;
    // A kernel whose numbers add up to nothing answers around nothing, which is grey.
    after(Uint8ClampedArray.from(sums, (sum) => (total > 0 ? sum / total : 127.5 + (127.5 * sum) / most)));
    said.textContent = total > 0 ? `The nine numbers add up to ${total}: the sum is divided by it.` : `The nine numbers add up to ${total}: grey is 0, white positive, black negative.`;
  }
};

// The seeds of a training: draw one, and see what a paper would have printed.
moving.swarm = (tools, stage, said, data) => {
  const { make } = moving, { values, n, larger } = data;
  const low = Math.min(...values, larger) - 2, high = Math.max(...values) + 2;
  const x = (value) => 20 + (480 * (value - low)) / (high - low), piles = {};
  const svg = moving.drawing(stage, 520, 130, `Films right of ${n}, a dot for each training`);
  const dots = [...values].map((value) => {
    piles[value] = (piles[value] ?? -1) + 1;
    const dot = make("circle", { cx: x(value), cy: 92 - 11 * piles[value], r: 4.6, fill: GREY });
    svg.append(dot);
    return dot;
  });
  svg.append(make("line", { x1: x(low), x2: x(high), y1: 100, y2: 100, stroke: GREY }));
  svg.append(make("line", { x1: x(larger), x2: x(larger), y1: 10, y2: 104, stroke: GREY, "stroke-dasharray": "4 3" }));
  for (let tick = 10 * Math.ceil(low / 10); tick <= high; tick += 10) svg.append(make("text", { x: x(tick), y: 122, "text-anchor": "middle" }, String(tick)));
  let drawn = [];
  moving.button(tools, "Train once", () => draw(1, true));
  moving.button(tools, "Train once more", () => draw(1));
  moving.button(tools, "Train five times, print the best", () => draw(5, true, true));
  said.textContent = `${data.of} ${values.length} trainings were run, each with another seed. The dashed line is what always saying the larger class gets, ${larger} of ${n}.`;

  function draw(times, anew, best) {
    if (anew) drawn = [];
    for (let k = 0; k < times; k++) drawn.push(Math.floor(Math.random() * values.length));
    dots.forEach((dot, i) => dot.setAttribute("fill", drawn.includes(i) ? ORANGE : GREY));
    const found = drawn.map((i) => values[i]);
    const printed = best ? Math.max(...found) : found[found.length - 1];
    const sorted = [...values].sort((a, b) => a - b), middle = sorted[Math.floor((sorted.length - 1) / 2)];
    said.textContent = `Right: ${found.join(", ")} of ${n}. A paper would print ${printed} of ${n} (${percent(printed / n)}); the median of all trainings is ${middle}.`;
  }
};

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".moving").forEach((root) => {
    const [tools, stage] = ["tools", "stage"].map((name) => moving.make("div", { class: `moving-${name}` }));
    const said = moving.make("div", { class: "moving-said", role: "status" });
    const data = JSON.parse(root.querySelector("script").textContent);
    root.append(tools, stage, said);
    root.hidden = false;
    moving[root.dataset.moving](tools, stage, said, data);
  });
});
