"""The network of chapter 04 as scripts for the pages: ``network.py RUN FOLDER``.

RUN: a folder of executed chapters; chapter 04 says where its model is. FOLDER gets engine.js,
TensorFlow.js with its WebAssembly, and weights.js, the network in half precision with some computed
films to try it on. Pages load both when they are asked to, also from the disk, where a page may
read scripts and nothing else.
"""

import argparse
import base64
import io
import json
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

from xraylib import ledger

VENDOR = Path(__file__).resolve().parents[1] / "_vendor/tensorflowjs"
SAMPLES, UNSEEN = 6, 4711  # films to try it on, of a seed that no chapter trains with


def graph(model):
    """A network's layers in their order, and their weights.

    Args:
        model: flat Keras model of layers that the pages know.

    Returns:
        (nodes, weights): list of dict with name, op, inputs and what the op needs; weights are
        arrays in the order of the nodes, batch normalisation folded into the convolution before it.

    Raises:
        ValueError: a layer that the pages do not know.
    """
    nodes, weights, same = {}, {}, {}
    for layer in model.layers:
        kind = type(layer).__name__.removeprefix("Top")
        before = [t._keras_history.operation.name for t in _inputs(layer)]
        before = [same.get(name, name) for name in before]
        node = {"name": layer.name, "op": kind, "inputs": before}
        ahead = nodes.get(before[0]) if before else None
        if kind in ("InputLayer", "Identity", "Dropout"):
            if before:
                same[layer.name] = before[0]
            continue
        if kind == "ReLU" and ahead and ahead.get("activation") == "linear":
            ahead["activation"] = "relu6"
            same[layer.name] = before[0]
            continue
        if kind == "Rescaling":
            node |= {"scale": layer.scale, "offset": layer.offset}
        elif kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
            kernel, *bias = layer.get_weights()
            width = kernel.shape[-2] if kind == "DepthwiseConv2D" else kernel.shape[-1]
            weights[layer.name] = [kernel, bias[0] if bias else np.zeros(width, "float32")]
            node["activation"] = layer.activation.__name__
            if kind != "Dense":
                node |= {"stride": layer.strides[0], "padding": layer.padding}
        elif kind == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            factor = gamma / np.sqrt(variance + layer.epsilon)
            if ahead["op"].endswith("Conv2D") and ahead["activation"] == "linear":
                kernel, bias = weights[before[0]]
                if ahead["op"] == "DepthwiseConv2D":
                    kernel = kernel * factor[:, None]
                else:
                    kernel = kernel * factor
                weights[before[0]] = [kernel, (bias - mean) * factor + beta]
                same[layer.name] = before[0]
                continue
            weights[layer.name] = [factor, beta - mean * factor]
        elif kind not in ("Add", "GlobalMaxPooling2D"):
            raise ValueError(f"{layer.name}: no page can compute {kind}")
        nodes[layer.name] = node
    for name, node in nodes.items():
        node["shapes"] = [list(each.shape) for each in weights.get(name, [])]
    return list(nodes.values()), [each for name in nodes for each in weights.get(name, [])]


def _inputs(layer):
    return [t for node in layer._inbound_nodes[:1] for t in node.input_tensors]


def scripts(model, card, films):
    """The two scripts, dict from name to text.

    Args:
        model: see :func:`graph`.
        card: as ``saving.load`` gives it.
        films: list of (name, uint8 array) to try the network on.
    """
    nodes, weights = graph(model)
    halves = np.concatenate([each.astype("<f2").ravel() for each in weights])
    samples = []
    for name, film in films:
        file = io.BytesIO()
        Image.fromarray(film).save(file, "PNG", optimize=True)
        samples.append({"name": name, "png": _base64(file.getvalue())})
    said = {"card": card, "size": model.input_shape[1], "nodes": nodes, "samples": samples}
    parts = "core", "backend-wasm"
    engine = [(VENDOR / f"tf-{part}.es2017.min.js").read_text() for part in parts]
    binary = _base64((VENDOR / "tfjs-backend-wasm-simd.wasm").read_bytes())
    return {
        "engine.js": "\n".join([*engine, f'xraylib.binary = "{binary}";\n']),
        "weights.js": f"xraylib.network = {json.dumps(said)};\n"
        f'xraylib.weights = "{_base64(halves.tobytes())}";\n',
    }


def _base64(data):
    return base64.b64encode(data).decode()


def samples():
    """Computed films for the page, of people whom no chapter trains with."""
    from xraylib.data import phantoms

    records = phantoms.examples({"i": i, "seed": UNSEEN} for i in range(SAMPLES))
    return [(phantoms.CLASSES[record.label], record.image) for record in records]


def main():
    """Write the scripts, or none where the chapter's network is no EfficientNet-Lite0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    chapter = next(arguments.run.glob("04_*.ipynb"))
    said = ledger.collect(nbformat.read(chapter, as_version=4))["network.file"]["value"]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for old in arguments.folder.glob("*.js"):
        old.unlink()
    if not said:
        return
    from xraylib.training import saving

    model, card = saving.load(ledger.ROOT / said)
    for name, text in scripts(model, card, samples()).items():
        (arguments.folder / name).write_text(text)


if __name__ == "__main__":
    main()
