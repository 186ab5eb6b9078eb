"""Trainings: one engine, compiled once, against the report's way, which compiles each anew.

The report's way is Keras' ``compile`` and ``fit`` on a network built anew, one after the other, on
all cores. Ours trains one network a core, see :mod:`xraylib.training.engine`. "Of peak" is the
share of what the machine does in products of matrices, which no training can pass.
"""

import functools
import time

import joblib
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from xraylib.evaluation import validation
from xraylib.models import builders
from xraylib.models.backbones import BACKBONES, efficientnet_lite0
from xraylib.models.random_weights import initialise
from xraylib.training import engine, fitting, frozen
from xraylib.training.classifier import NetworkClassifier, Recipe

ROW = "  {:<50}{:9.2f} s  {:>12}  {:7.1f} ×"


def _seconds(way):
    start = time.perf_counter()
    way()
    return time.perf_counter() - start


def _in_turns(ways, rounds=2):
    """Best seconds of each way, in turns, so that a busy moment hits all."""
    times = [[_seconds(way) for way in ways] for _ in range(rounds)]
    return np.min(times, axis=0)


def _peak(dtype="float32", size=2048):
    """Operations a second of a product of two matrices on all cores."""
    a = tf.cast(tf.random.normal((size, size)), dtype)
    best = min(_seconds(lambda: tf.matmul(a, a).numpy()) for _ in range(5))
    return 2 * size**3 / best


def _operations(model, forward=False):
    """Of one training step, an image: forward, and gradients of kernels and of inputs; or forward
    alone."""
    total = 0
    for k, layer in enumerate(layer for layer in model.layers if hasattr(layer, "kernel")):
        places = np.prod(layer.output.shape[1:-1]) if len(layer.output.shape) > 2 else 1
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        products = np.prod(layer.kernel.shape) * places
        times = (1 + layer.trainable) * 2 + 2 * (layer.trainable and k > 0 and not depthwise)
        total += float(products * (2 if forward else times))
    return total


def _fit(build, x, y, seed, *, learning_rate=1e-4, epochs=20):
    """The report's way: a network, compiled and trained."""
    model = build(seed=seed)
    model.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy", metrics=["accuracy"])
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=seed).batch(5)
    model.fit(batches, epochs=epochs, verbose=0)
    return model


def _folds(peak):
    """A fold of cross-validation: 75 images, of which 60 are trained on."""
    rng = np.random.default_rng(0)
    labels = np.arange(75) % 2
    cases = {
        "the report's top on features": (
            lambda seed: builders.report_top((7, 7, 1280), seed),
            Recipe(),
            rng.random((75, 6, 7, 7, 1280), "float32").astype("float16"),
        ),
        "the network on principal components": (
            builders.pca_network, NetworkClassifier(builders.pca_network),
            rng.normal(size=(75, 23)).astype("float32"),
        ),
        "the small network from nothing": (
            builders.small_network,
            NetworkClassifier(builders.small_network, learning_rate=1e-3),
            rng.random((75, 32, 32, 1), "float32"),
        ),
    }  # fmt: skip
    print("\nA fold of cross-validation, 60 images, 20 epochs")
    for name, (build, classifier, x) in tqdm(cases.items(), leave=False):
        plain = (x[:, 1] if x.ndim == 5 else x)[:60].astype("float32")
        several = 6 * joblib.cpu_count()
        settings = {"seeds": several // 5 + 1, "progress": False}

        def theirs(build=build, plain=plain):
            for seed in range(2):
                _fit(build, plain, labels[:60], seed)

        def ours(classifier=classifier, x=x, settings=settings):
            validation.cross_validate(classifier, x, labels, None, **settings)

        ours()  # starts the workers, which compile
        seconds = _in_turns([theirs, ours]) / (2, 5 * settings["seeds"])
        work = _operations(build(seed=0)) * 60 * 20
        for way, needed in zip(("compile and fit anew", "xraylib"), seconds, strict=True):
            share = f"{100 * work / needed / peak:.0f} % of peak"
            tqdm.write(ROW.format(f"{name}: {way}", needed, share, seconds[0] / needed))


def _whole(peak, n=10):
    """Inception V3 with every layer trained: what an epoch costs, and five beginnings."""
    print(f"\nInception V3, every layer trained, {n} images in batches of 5")
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (n, 299, 299, 3), np.uint8), np.arange(n) % 2

    def build(seed):
        return builders.report_network("inception_v3", None, "all", seed=seed)

    def first_step_anew():
        for seed in range(5):
            _fit(build, images[:5].astype("float32"), labels[:5], seed, epochs=1)

    def first_step():
        model = build(seed=0)
        for seed in range(5):
            initialise(model, seed)
            fitting.fit(model, images[:5], labels[:5], epochs=1, progress=False)
        kept.append(model)

    kept = []
    starts = [_seconds(first_step_anew), _seconds(first_step)]
    for way, needed in zip(("build and compile anew", "xraylib"), starts, strict=True):
        row = ROW.format(f"to the first step, five folds: {way}", needed, "", starts[0] / needed)
        print(row, flush=True)
    old, new = build(seed=0), kept[0]
    old.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy")
    batches = tf.data.Dataset.from_tensor_slices((images.astype("float32"), labels)).batch(5)
    ways = (
        lambda: old.fit(batches, verbose=0),
        lambda: fitting.fit(new, images, labels, epochs=1, progress=False),
    )
    ways[0]()
    seconds = _in_turns(ways)
    work = _operations(new) * n
    for way, needed in zip(("fit", "xraylib, which also augments"), seconds, strict=True):
        share = f"{100 * work / needed / peak:.0f} % of peak"
        print(ROW.format(f"an epoch: {way}", needed, share, seconds[0] / needed), flush=True)


def _precisions(n=10):
    """A training step and inference of both networks in two precisions."""
    print("\nBoth networks, images a second; bfloat16 against float32, each with its own peak")
    peaks = {dtype: _peak(dtype) for dtype in ("float32", "bfloat16")}
    for backbone, (_, size) in BACKBONES.items():
        x, y = np.full((n, size, size, 3), 99, "float32"), np.tile([[0.0], [1.0]], (n // 2, 1))
        batches = [(x, y.astype("float32"), np.arange(5, n + 1, 5, np.int32))]
        networks = [
            builders.report_network(backbone, None, "all", seed=0, dtype=dtype)
            for dtype in ("float32", "mixed_bfloat16")
        ]
        kept = {"epochs": 1, "learning_rate": 1e-4}
        steps = [functools.partial(engine.train, each, lambda _, b=batches: b, **kept)
                 for each in networks]  # fmt: skip
        scores = [functools.partial(engine.score, each, x) for each in networks]
        for what, ways in (("training", steps), ("inference", scores)):
            for way in ways:
                way()  # compiles
            seconds = _in_turns(ways)
            work = _operations(networks[0], what == "inference") * n
            for (dtype, peak), needed in zip(peaks.items(), seconds, strict=True):
                name = f"{backbone}, {what}, {dtype}"
                share = f"{100 * work / needed / peak:.0f} % of peak"
                ratio = seconds[0] / needed
                row = f"  {name:<42}{n / needed:9.1f} images/s  {share:>12}  {ratio:7.1f} ×"
                print(row, flush=True)


def _features(n=256):
    """Averaged features of the stand-in, in batches of two sizes."""
    print("\nAveraged features of EfficientNet-Lite0, images a second")
    images = np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), np.uint8)
    half = builders.best_precision("efficientnet_lite0", frozen=True)
    ways = {
        f"{dtype}, batches of {size}": functools.partial(
            frozen.averaged, efficientnet_lite0(dtype=dtype), images, batch_size=size
        )
        for dtype in dict.fromkeys(("float32", half))
        for size in (16, 64)
    }
    for way in ways.values():
        way()  # compiles
    seconds = _in_turns(ways.values())
    for name, needed in zip(ways, seconds, strict=True):
        print(f"  {name:<42}{n / needed:9.1f} images/s{'':>15}{seconds[0] / needed:7.1f} ×")


def run():
    """All rows; some seven minutes on two cores."""
    peak = _peak()
    print(f"\nTrainings; products of matrices: {peak / 1e9:.0f} billion operations a second")
    _folds(peak)
    _whole(peak)
    _precisions()
    _features()
