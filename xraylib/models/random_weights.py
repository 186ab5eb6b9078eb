"""Weights before any training."""

import math

import keras
import numpy as np
from keras import layers


def initialise(model, seed=None, *, backbone=True):
    """Give a network the weights and the dropout that it has when it is built with this seed.

    So one network can be trained many times. Kernels of a backbone, up to the layer "features",
    keep the signal's size from layer to layer (He et al. 2015); others are drawn as Keras draws
    them (Glorot and Bengio 2010). Biases, and batch normalisation, go back to their start.

    Args:
        model: a flat graph of convolutions, dense layers, dropout and batch normalisation.
        seed: integer; None draws other weights each time.
        backbone: False leaves the layers up to "features" as they are.

    Raises:
        ValueError: the model has weights of another kind.
    """
    names = [layer.name for layer in model.layers]
    top = names.index("features") + 1 if "features" in names else 0
    for i, layer in enumerate(model.layers):
        if i < top and not backbone:
            continue
        # By place within backbone or top, not by name: Keras numbers names through a process.
        key = None if seed is None else [seed, i < top, i if i < top else i - top]
        draw = int(np.random.default_rng(key).integers(2**31))
        if isinstance(layer, layers.Dropout):
            layer.seed_generator.state.assign([draw, 0])
        for weight in layer.weights:
            weight.assign(_start(layer, weight, draw, i < top))


def _start(layer, weight, seed, in_backbone):
    if weight.name in ("bias", "beta", "moving_mean"):
        return np.zeros(weight.shape, "float32")
    if weight.name in ("gamma", "moving_variance"):
        return np.ones(weight.shape, "float32")
    if weight.name != "kernel":
        raise ValueError(f"{layer.name}: expected a kernel, a bias or batch normalisation's "
                         f"weights, got {weight.name!r}; draw these yourself")  # fmt: skip
    if not in_backbone:
        return keras.initializers.GlorotUniform(seed)(weight.shape)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    fan_in = math.prod(weight.shape[: 2 if depthwise else -1])
    gain = 1 if "project" in layer.name else 2  # no ReLU follows
    return keras.initializers.TruncatedNormal(0, math.sqrt(gain / fan_in), seed)(weight.shape)
