// The network of chapter 04 in the page: it scores a film, and shows where covering it changes the
// score. Nothing is loaded before it is asked for, and no film leaves the page.
"use strict";

const xraylib = {};
xraylib.at = document.currentScript.src.replace(/network\.js.*$/, "network/");

xraylib.load = async () => {
  for (const name of ["engine.js", "weights.js"]) {
    await new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = xraylib.at + name;
      script.onload = done;
      script.onerror = () => failed(Error(`${name} could not be loaded`));
      document.head.append(script);
    });
  }
  const wasm = `data:application/octet-stream;base64,${xraylib.binary}`;
  const names = ["", "-simd", "-threaded-simd"].map((kind) => `tfjs-backend-wasm${kind}.wasm`);
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // it would ask for one more file
  tf.wasm.setWasmPaths(Object.fromEntries(names.map((name) => [name, wasm])));
  if (!(await tf.setBackend("wasm"))) throw Error("this browser cannot run WebAssembly with SIMD");
  const halves = Uint8Array.from(atob(xraylib.weights), (letter) => letter.charCodeAt(0));
  const numbers = new Float32Array(halves.length / 2), view = new DataView(halves.buffer);
  for (let i = 0; i < numbers.length; i++) numbers[i] = single(view.getUint16(2 * i, true));
  let at = 0;
  for (const node of xraylib.network.nodes) {
    node.weights = node.shapes.map((shape) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return tf.tensor(numbers.subarray(at, (at += size)), shape);
    });
  }
  delete xraylib.weights;
};

// A number of half precision.
function single(bits) {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
  return power ? sign * 2 ** (power - 15) * (1 + rest / 1024) : sign * 2 ** -14 * (rest / 1024);
}

// Logits of films, each 3 × size × size numbers from 0 to 255.
xraylib.logits = (films) => {
  const { size, nodes } = xraylib.network;
  const all = new Float32Array(films.length * size * size * 3);
  films.forEach((each, k) => all.set(each, k * size * size * 3));
  const result = tf.tidy(() => {
    const known = { images: tf.tensor4d(all, [films.length, size, size, 3]) };
    let last;
    for (const { name, op, inputs, weights, activation, stride, padding, scale, offset } of nodes) {
      const [x, other] = inputs.map((input) => known[input]), [filter, bias] = weights;
      const settings = { x, filter, strides: stride, pad: padding, bias, activation };
      const steps = {
        Rescaling: () => tf.add(tf.mul(x, scale), offset),
        Conv2D: () => tf.fused.conv2d(settings),
        DepthwiseConv2D: () => tf.fused.depthwiseConv2d(settings),
        Add: () => tf.add(x, other),
        GlobalMaxPooling2D: () => tf.max(x, [1, 2]),
        BatchNormalization: () => tf.add(tf.mul(x, filter), bias),
        Dense: () => tf.fused.matMul({ a: x, b: filter, bias, activation: activation === "sigmoid" ? "linear" : activation }),
      };
      last = known[name] = steps[op]();
    }
    return last;
  });
  const found = Array.from(result.dataSync());
  result.dispose();
  return found;
};

xraylib.score = (logit) => 1 / (1 + Math.exp(-logit));

// How far the logit falls where a patch is covered by the film's mean: 7 × 7 cells, as
// explain.occlusion(patch=32, stride=32). Before each row the page may draw, or say no more.
xraylib.occlusion = async (pixels, goOn) => {
  const { size } = xraylib.network, patch = 32, cells = size / patch, drops = [];
  const [whole] = xraylib.logits([pixels]);
  const mean = [0, 1, 2].map((c) => {
    let sum = 0;
    for (let i = c; i < pixels.length; i += 3) sum += pixels[i];
    return sum / (size * size);
  });
  for (let row = 0; row < cells; row++) {
    await new Promise((go) => setTimeout(go));
    if (!goOn(row / cells)) return undefined;
    const covered = Array.from({ length: cells }, (_, column) => {
      const film = Float32Array.from(pixels);
      for (let y = row * patch; y < (row + 1) * patch; y++) {
        for (let x = column * patch; x < (column + 1) * patch; x++) film.set(mean, 3 * (y * size + x));
      }
      return film;
    });
    drops.push(...xraylib.logits(covered).map((logit) => whole - logit));
  }
  return drops;
};

function panel(root) {
  const make = (tag, text = "", settings = {}) => Object.assign(document.createElement(tag), { textContent: text }, settings);
  const start = root.querySelector("button"), status = root.querySelector("[role=status]");
  root.hidden = false;
  start.addEventListener("click", async () => {
    start.disabled = true;
    status.textContent = "Loading …";
    try {
      xraylib.ready ??= xraylib.load();
      await xraylib.ready;
    } catch (error) {
      xraylib.ready = undefined;
      status.textContent = `This did not work: ${error.message}.`;
      start.disabled = false;
      return;
    }
    status.textContent = "Ready. Choose a film.";
    start.remove();
    build();
  });

  function build() {
    const { card, size, samples } = xraylib.network;
    const [zero, one] = card.class_names;
    const row = make("div", "", { className: "try-films" });
    for (const [k, sample] of samples.entries()) {
      const picture = make("img", "", { src: `data:image/png;base64,${sample.png}`, alt: "" });
      const button = make("button", "", { type: "button", title: `computed ${sample.name}` });
      button.setAttribute("aria-label", `Computed film ${k + 1}: ${sample.name}`);
      button.append(picture);
      button.addEventListener("click", () => {
        const bytes = Uint8Array.from(atob(sample.png), (letter) => letter.charCodeAt(0));
        look(new Blob([bytes]), `computed film ${k + 1}, ${sample.name}`);
      });
      row.append(button);
    }
    const label = make("label", "A film of your own (PNG, JPEG, DICOM): ");
    const file = make("input", "", { type: "file", accept: ".png,.jpg,.jpeg,.dcm,image/png,image/jpeg" });
    label.append(file);
    file.addEventListener("change", () => file.files[0] && look(file.files[0], file.files[0].name));
    const view = make("div", "", { className: "try-view", hidden: true });
    const canvas = make("canvas", "", { width: size, height: size });
    canvas.setAttribute("role", "img");
    const said = make("div", "", { className: "try-said" });
    const shown = make("label", " where covering a patch changes the score"), box = make("input", "", { type: "checkbox", checked: true });
    shown.prepend(box);
    view.append(canvas, said);
    root.append(row, label, view, status);
    const context = canvas.getContext("2d");
    let now = 0, covering = 0, pixels, drops, verdict;

    function draw() {
      const image = context.createImageData(size, size);
      for (let i = 0; i < size * size; i++) {
        image.data.set(pixels.subarray(3 * i, 3 * i + 3), 4 * i);
        image.data[4 * i + 3] = 255;
      }
      context.putImageData(image, 0, 0);
      if (!drops || !box.checked) return;
      const most = Math.max(...drops.map(Math.abs)) || 1, patch = 32;
      drops.forEach((drop, k) => {
        context.fillStyle = drop > 0 ? `rgba(230,130,0,${(0.65 * drop) / most})` : `rgba(0,120,200,${(-0.65 * drop) / most})`;
        context.fillRect((k % 7) * patch, Math.floor(k / 7) * patch, patch, patch);
      });
    }
    box.addEventListener("change", () => {
      draw();
      if (!drops) cover();
    });

    // The map of the film that is shown, unless nobody wants it.
    async function cover() {
      const turn = ++covering;
      const found = box.checked && await xraylib.occlusion(pixels, (share) => {
        if (turn === covering) status.textContent = `Covering patches: ${Math.round(100 * share)} %`;
        return turn === covering && box.checked;
      });
      if (turn !== covering) return;
      status.textContent = verdict;
      if (!found) return;
      drops = found;
      root.dataset.drops = JSON.stringify(drops);
      draw();
      status.textContent += " The map is there.";
    }

    async function look(blob, name) {
      const turn = ++now;
      covering++; // the map of an earlier film ends
      try {
        const image = await film.read(blob);
        if (turn !== now) return;
        pixels = film.resize(image, size, card.interpolation, card.keep_aspect);
        drops = undefined;
        const score = xraylib.score(xraylib.logits([pixels])[0]);
        const called = score >= 0.5 ? one : zero;
        canvas.setAttribute("aria-label", `${name}, as the network sees it: ${size} × ${size} pixels`);
        said.replaceChildren(
          make("p", `${name}: score ${score.toFixed(3)}, ${called}`, { className: "try-score" }),
          make("p", `0 stands for ${zero}, 1 for ${one}. Trained on ${card.trained_on}.`),
          make("p", "This is no diagnosis: the network calls every picture one of the two, whatever it shows."),
          shown,
          make("p", `Orange speaks for ${one}, blue for ${zero}; the mean grey of the film is the cover.`),
        );
        Object.assign(root.dataset, { score, drops: "" });
        view.hidden = false;
        draw();
        verdict = `${name}: score ${score.toFixed(3)}, ${called}.`;
        cover();
      } catch (error) {
        if (turn === now) status.textContent = `${name} was not read: ${error.message}.`;
      }
    }
  }
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".try-network").forEach(panel));
