"""Backbones: networks that were trained on ImageNet, without their classifier.

Each takes (n, size, size, 3) pixel values in 0..255 and scales them itself. The graph is flat, so
that ``keras.Model(model.input, layer.output)`` gives any layer's output; the last is "features".
"""

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from xraylib.models.random_weights import initialise
from xraylib.models.weights import load_lite0


class Backbone(NamedTuple):
    """Who builds it, and the height and width of its images in pixels."""

    build: Callable
    size: int


def efficientnet_lite0(weights="imagenet", *, scaling="backbone", seed=None, dtype="float32"):
    """EfficientNet-Lite0: B0 without squeeze-and-excitation, with ReLU6 and a fixed stem and head.

    Args:
        weights: "imagenet", installed with the package; path of that same file; or None (random).
        scaling: "backbone" is the (x - 127) / 128 of its training; "report" is x / 255.
        seed: integer, for random weights.
        dtype: "float32", or a mixed precision such as "mixed_bfloat16"; weights stay float32.

    Returns:
        Flat keras.Model from (n, 224, 224, 3) to (n, 7, 7, 1280) in 0..6, without the dropout and
        stochastic depth of its own training.

    Raises:
        ValueError: an unknown argument, or another file.
        FileNotFoundError: the weights are not there.

    Source: Tan & Le 2019, table 1; the Lite variant of the TensorFlow authors (2020), with its
    padding ('same', which TensorFlow makes uneven at stride 2).
    """
    known("weights", weights, ("imagenet", None), paths=True)
    with policy(dtype):
        images, x = _entrance(224, scaling, 127, 128)
        x = _convolve(x, "stem", layers.Conv2D, 32, 3, 2, "same")
        number = itertools.count()
        for repeats, kernel, stride, expand, channels in _LITE0:
            for strides in [stride] + [1] * (repeats - 1):
                x = _mbconv(x, f"block{next(number)}", kernel, strides, expand, channels)
        x = _convolve(x, "head", layers.Conv2D, 1280, 1)
        x = layers.Identity(name="features")(x)
    model = keras.Model(images, x, name="efficientnet_lite0")
    if weights is None:
        initialise(model, seed)
    else:
        load_lite0(model, None if weights == "imagenet" else weights)
    return model


# Repeats, kernel, stride, expansion, channels of each stage (Tan & Le 2019, table 1).
_LITE0 = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def _convolve(x, name, layer, *shape, activate=True):
    x = layer(*shape, use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _mbconv(x, name, kernel, stride, expand, channels):
    """Inverted bottleneck: widen, filter each channel, narrow; add the input where it fits."""
    block_input = x
    if expand > 1:
        x = _convolve(x, f"{name}_expand", layers.Conv2D, x.shape[-1] * expand, 1)
    x = _convolve(x, f"{name}_depthwise", layers.DepthwiseConv2D, kernel, stride, "same")
    x = _convolve(x, f"{name}_project", layers.Conv2D, channels, 1, activate=False)
    return layers.Add(name=f"{name}_add")([x, block_input]) if x.shape == block_input.shape else x


_BY_HAND = (
    "fetch https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/"
    "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 on another machine and pass the path "
    "of the file as weights="
)


def inception_v3(weights="imagenet", *, scaling="backbone", seed=None, dtype="float32"):
    """Inception V3, the report's source model, as ``keras.applications`` builds it.

    Args:
        weights: "imagenet" (downloaded by Keras once, 88 MB, and checked), path of a ``.h5`` or
            ``.weights.h5`` file without the classifier, or None (random).
        scaling: "backbone" is the x / 127.5 - 1 of its training; "report" is x / 255.
        seed: integer, for random weights.
        dtype: see :func:`efficientnet_lite0`.

    Returns:
        Flat keras.Model from (n, 299, 299, 3) to (n, 8, 8, 2048), at least 0.

    Raises:
        ValueError: an unknown argument, or a file that holds other weights.
        FileNotFoundError: there is no such file.
        OSError: "imagenet" cannot be downloaded; it says how to get the file by hand.

    Source: Szegedy et al. 2016.
    """
    known("weights", weights, ("imagenet", None), paths=True)
    if weights not in ("imagenet", None) and not Path(weights).is_file():
        raise FileNotFoundError(
            f"Expected a file of Inception V3 weights, but there is no file {weights}: {_BY_HAND}."
        )
    with policy(dtype):
        images, x = _entrance(299, scaling, 127.5, 127.5)
        try:
            model = keras.applications.InceptionV3(False, weights=weights, input_tensor=x)
        except Exception as error:  # of a download Keras raises a bare Exception
            if weights is None:
                raise
            if weights == "imagenet":
                raise OSError(
                    f"The ImageNet weights of Inception V3 could not be downloaded: {error}\n"
                    f"By hand: {_BY_HAND}; or use the backbone efficientnet_lite0, whose weights "
                    "are installed."
                ) from error
            raise ValueError(
                f"{weights} does not hold the weights of Inception V3 without its classifier: "
                f"{error}\nPass Keras' own: {_BY_HAND}."
            ) from error
        x = layers.Identity(name="features")(model.output)
    model = keras.Model(images, x, name="inception_v3")
    if weights is None:
        initialise(model, seed)
    return model


BACKBONES = {
    "inception_v3": Backbone(inception_v3, 299),
    "efficientnet_lite0": Backbone(efficientnet_lite0, 224),
}


def _entrance(size, scaling, offset, divisor):
    """The input, and the tensor that the first layer takes; both float32 in mixed precision too."""
    known("scaling", scaling, ("backbone", "report"))
    if scaling == "report":
        offset, divisor = 0, 255
    images = keras.Input((size, size, 3), name="images")
    scale = layers.Rescaling(1 / divisor, -offset / divisor, dtype="float32", name="preprocess")
    return images, scale(images)


@contextlib.contextmanager
def policy(dtype):
    """Build layers in a precision; ``keras.applications`` takes it from nowhere else."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def known(what, value, choices, paths=False):
    """ValueError unless the value is one of the choices, or a path where these are allowed."""
    if value in choices or (paths and isinstance(value, str | Path)):
        return
    expected = ", ".join(repr(choice) for choice in choices) + (" or a path" if paths else "")
    raise ValueError(f"{what} must be {expected}; got {value!r}.")
