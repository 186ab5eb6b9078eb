// A film file as the book's Python reads it (xraylib.data.images, datasets.resize): 8-bit grey or
// colour, resized as Pillow does. What it cannot read in the same way it refuses, and says so.
"use strict";

const film = (() => {
  const elsewhere = "; `python -m xraylib predict` reads it";

  // {data: Uint8ClampedArray of red, green, blue, width, height} of a File or Blob.
  async function read(file) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = (from, to) => String.fromCharCode(...bytes.subarray(from, to));
    if (text(128, 132) === "DICM") return dicom(bytes.buffer);
    const png = text(1, 4) === "PNG";
    if (!png && !(bytes[0] === 0xff && bytes[1] === 0xd8)) {
      throw Error(`expected PNG, JPEG or DICOM, found another file${elsewhere} if it is an image`);
    }
    if (png && bytes[24] === 16) throw Error(`this PNG has 16 bits a channel${elsewhere}`);
    const options = { colorSpaceConversion: "none", imageOrientation: "from-image" };
    const image = await createImageBitmap(new Blob([bytes]), options).catch(() => {
      throw Error("the file is damaged or cut off");
    });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillRect(0, 0, image.width, image.height); // transparency on black
    context.drawImage(image, 0, 0);
    const shown = context.getImageData(0, 0, image.width, image.height).data;
    const data = new Uint8ClampedArray((shown.length / 4) * 3);
    for (let i = 0, j = 0; i < shown.length; i += 4) {
      data[j++] = shown[i];
      data[j++] = shown[i + 1];
      data[j++] = shown[i + 2];
    }
    return { data, width: image.width, height: image.height };
  }

  // DICOM: little endian, not compressed, one grey frame.
  function dicom(buffer) {
    const tags = elements(buffer);
    const number = (key, missing) => {
      const found = tags.get(key);
      if (!found || !found.length) return missing;
      const view = new DataView(buffer, found.at, found.length);
      if (found.vr === "SS") return view.getInt16(0, true);
      if (found.vr === "US" || key < 0x00281050) return view.getUint16(0, true);
      const text = words(buffer, found).split("\\")[0];
      return Number.isFinite(parseFloat(text)) ? parseFloat(text) : missing;
    };
    const rows = number(0x00280010), columns = number(0x00280011), pixels = tags.get(0x7fe00010);
    if (!rows || !columns || !pixels) throw Error("expected a DICOM image, found DICOM without one");
    const kind = tags.has(0x00280004) ? words(buffer, tags.get(0x00280004)) : "MONOCHROME2";
    if (!kind.startsWith("MONOCHROME")) throw Error(`this DICOM image is in colour${elsewhere}`);
    if (tags.has(0x00283000) || tags.has(0x00283010)) {
      throw Error(`this DICOM image has a look-up table${elsewhere}`);
    }
    const curve = tags.has(0x00281056) ? words(buffer, tags.get(0x00281056)) : "LINEAR";
    if (curve === "SIGMOID") throw Error(`this DICOM image has a curved window${elsewhere}`);
    const n = rows * columns;
    const allocated = number(0x00280100, pixels.length > n ? 16 : 8);
    const signed = number(0x00280103, 0) === 1;
    if ((allocated !== 8 && allocated !== 16) || pixels.length < (n * allocated) / 8) {
      throw Error("this DICOM image is shorter than its header says, or of another depth");
    }
    const spare = signed ? allocated - Math.min(number(0x00280101, allocated), allocated) : 0;
    const view = new DataView(buffer, pixels.at, pixels.length);
    const stored = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const value = allocated === 8 ? view.getUint8(i) : view.getUint16(2 * i, true);
      // Of signed pixels the highest bit that is stored says the sign.
      stored[i] = signed ? (value << (32 - allocated + spare)) >> (32 - allocated + spare) : value;
    }
    // Padding is no part of the picture.
    const padding = [number(0x00280120), number(0x00280121, number(0x00280120))];
    const asStored = padding.map((v) => (signed && v > 32767 ? v - 65536 : v));
    const low = Math.min(...asStored), high = Math.max(...asStored);
    let there = [...stored.keys()].filter((i) => !(stored[i] >= low && stored[i] <= high));
    if (!there.length) there = [...stored.keys()];
    const slope = number(0x00281053, 1) || 1, shift = number(0x00281052, 0);
    const values = Float64Array.from(there, (i) => stored[i] * slope + shift);
    const centre = number(0x00281050), width = number(0x00281051);
    let grey;
    if (centre !== undefined && width > 0) {
      const [c, w] = curve === "LINEAR_EXACT" ? [centre, width] : [centre - 0.5, width - 1];
      if (w > 0) grey = stretch(values, c - w / 2, c + w / 2);
    }
    // The header may speak of other values than the pixels have.
    if (!grey || grey.every((value) => value === grey[0])) grey = stretch(values, ...ends(values));
    const data = new Uint8ClampedArray(3 * n);
    there.forEach((i, k) => {
      data.fill(kind === "MONOCHROME1" ? 255 - grey[k] : grey[k], 3 * i, 3 * i + 3);
    });
    return { data, width: columns, height: rows };
  }

  function words(buffer, found) {
    return String.fromCharCode(...new Uint8Array(buffer, found.at, found.length)).replace(/[\0 ]+$/, "");
  }

  // Tag → {vr, at, length} of a file's elements, those within sequences left out.
  function elements(buffer) {
    const view = new DataView(buffer), found = new Map();
    const long = ["OB", "OW", "OF", "OD", "OL", "SQ", "UC", "UR", "UT", "UN", "OV", "SV", "UV"];
    let at = 132, explicit = true, level = 0; // of sequences around an element
    while (at + 8 <= view.byteLength) {
      const group = view.getUint16(at, true);
      const tag = group * 65536 + view.getUint16(at + 2, true);
      if (group > 2 && found.has(0x00020010)) {
        const syntax = words(buffer, found.get(0x00020010));
        if (!/^1\.2\.840\.10008\.1\.2(\.1)?$/.test(syntax)) {
          throw Error(`this DICOM file is compressed, or big endian${elsewhere}`);
        }
        explicit = syntax.endsWith(".2.1");
      }
      let vr = "", length = 0;
      if (explicit && group !== 0xfffe) {
        vr = String.fromCharCode(view.getUint8(at + 4), view.getUint8(at + 5));
        const wide = long.includes(vr);
        length = wide ? view.getUint32(at + 8, true) : view.getUint16(at + 6, true);
        at += wide ? 12 : 8;
      } else {
        length = view.getUint32(at + 4, true);
        at += 8;
      }
      if (length === 0xffffffff || group === 0xfffe) {
        if (tag === 0x7fe00010) throw Error(`this DICOM file is compressed${elsewhere}`);
        if (group !== 0xfffe && !level) found.set(tag, { vr, at, length: 0 });
        // Walk into a sequence, or an item of it, of unknown length; its end is a tag.
        if (length === 0xffffffff) level += 1;
        else if (tag === 0xfffee0dd || tag === 0xfffee00d) level -= 1;
        else at += length;
        continue;
      }
      if (!level) found.set(tag, { vr, at, length: Math.min(length, view.byteLength - at) });
      at += length;
      if (tag === 0x7fe00010) break;
    }
    return found;
  }

  // Lowest and highest value, without those that lie far from all the rest.
  function ends(values) {
    const sorted = values.slice().sort();
    const quantile = (share) => {
      const at = share * (sorted.length - 1), below = Math.floor(at);
      const above = Math.min(below + 1, sorted.length - 1);
      return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    };
    const low = quantile(0.01), high = quantile(0.99), width = high - low;
    const near = width ? sorted.filter((v) => v >= low - width && v <= high + width) : sorted;
    return [near[0], near[near.length - 1]];
  }

  // low..high to whole numbers 0..255, halves to the even one as NumPy has them.
  function stretch(values, low, high) {
    if (high === low) return new Uint8ClampedArray(values.length);
    return Uint8ClampedArray.from(values, (v) => 255 * Math.min(1, Math.max(0, (v - low) / (high - low))));
  }

  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const filters = {
    box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
    bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
    hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)))],
    bicubic: [2, (x) => {
      const a = -0.5, z = Math.abs(x);
      if (z < 1) return ((a + 2) * z - (a + 3)) * z * z + 1;
      return z < 2 ? (((z - 5) * z + 8) * z - 4) * a : 0;
    }],
    lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
  };

  // One side at a time: pixels of `from` along a stride become `to` pixels.
  function along(from, to, interpolation) {
    const scale = from / to;
    if (interpolation === "nearest") {
      let at = scale * 0.5; // added up, as Pillow does
      return Array.from({ length: to }, () => {
        const start = Math.min(Math.floor(at), from - 1);
        at += scale;
        return { start, weights: [1] };
      });
    }
    const [reach, filter] = filters[interpolation];
    const wide = Math.max(scale, 1), support = reach * wide;
    return Array.from({ length: to }, (_, i) => {
      const centre = (i + 0.5) * scale;
      const start = Math.max(0, Math.trunc(centre - support + 0.5));
      const stop = Math.min(from, Math.trunc(centre + support + 0.5));
      const weights = [];
      for (let k = start; k < stop; k++) weights.push(filter((k - centre + 0.5) / wide));
      const sum = weights.reduce((a, b) => a + b, 0);
      return { start, weights: weights.map((weight) => weight / sum) };
    });
  }

  function scaled({ data, width, height }, across, down, interpolation) {
    const half = new Uint8ClampedArray(3 * across * height);
    const columns = along(width, across, interpolation), rows = along(height, down, interpolation);
    for (let y = 0; y < height; y++) {
      columns.forEach(({ start, weights }, x) => {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          weights.forEach((w, k) => (sum += w * data[3 * (y * width + start + k) + c]));
          half[3 * (y * across + x) + c] = Math.floor(sum + 0.5);
        }
      });
    }
    const whole = new Uint8ClampedArray(3 * across * down);
    rows.forEach(({ start, weights }, y) => {
      for (let i = 0; i < 3 * across; i++) {
        let sum = 0;
        weights.forEach((w, k) => (sum += w * half[3 * (start + k) * across + i]));
        whole[3 * y * across + i] = Math.floor(sum + 0.5);
      }
    });
    return whole;
  }

  // size × size pixels, as datasets.resize makes them.
  function resize(image, size, interpolation, keepAspect) {
    if (!keepAspect) return scaled(image, size, size, interpolation);
    const ratio = image.width / image.height, even = (x) => {
      const low = Math.floor(x);
      return x - low === 0.5 ? low + (low % 2) : Math.round(x);
    };
    const across = ratio > 1 ? size : Math.max(1, even(ratio * size));
    const down = ratio < 1 ? size : Math.max(1, even(size / ratio));
    const part = scaled(image, across, down, interpolation);
    const left = even((size - across) * 0.5), top = even((size - down) * 0.5);
    const whole = new Uint8ClampedArray(3 * size * size);
    for (let y = 0; y < down; y++) {
      whole.set(part.subarray(3 * y * across, 3 * (y + 1) * across), 3 * ((y + top) * size + left));
    }
    return whole;
  }

  return { read, resize };
})();
