"""The source models, the report's top model on them, and the images they take.

Every model takes pixel values from 0 to 255 and knows its own resizing and scaling. Every graph is
flat, so that any layer's output can be had with ``keras.Model(model.input, layer.output)``, and the
last layer of a source is called ``"features"``: ``keras.Model(features.output, model.output)`` is
the top alone. A builder's ``seed`` and :func:`initialise` draw the same weights. TensorFlow is the
backend.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from xraylib import weights as _weights
from xraylib.preprocessing import Preprocess


@dataclass(frozen=True)
class Source:
    """A pre-trained model: who builds it, and what its first layer expects."""

    build: Callable
    size: int  # height and width in pixels
    offset: float  # a pixel value p enters as (p - offset) / divisor
    divisor: float


def efficientnet_lite0(
    weights="imagenet",
    input_shape=(None, None, 3),
    include_top=False,
    scaling="source",
    seed=None,
    dtype="float32",
):
    """EfficientNet-Lite0: B0 without squeeze-and-excitation, with ReLU6 and a fixed stem and head.

    Args:
        weights: "imagenet" (installed with the package), path of a ``.pth`` file with the same
            tensors, or None (random).
        input_shape: (height, width, 3) of pixel values 0..255; any size, resized to 224 × 224.
        include_top: False ends in ``"features"``, (n, 7, 7, 1280) in 0..6; True goes on to
            ``"logits"`` and ``"predictions"``, (n, 1000) probabilities of the ImageNet classes.
        scaling: "source" is the (x - 127) / 128 of its training; "report" is x / 255.
        seed: integer, for random weights.
        dtype: "float32", or a mixed precision such as "mixed_bfloat16"; weights stay float32.

    Returns:
        Flat keras.Model, without the dropout and stochastic depth of its own training.

    Raises:
        ValueError: an unknown argument, or a file that holds other weights.
        FileNotFoundError: the weights are not there.

    Source: Tan & Le 2019, table 1; the Lite variant of the TensorFlow authors (2020), with its
    padding ('same', which TensorFlow makes uneven at stride 2).
    """
    _known("weights", weights, ("imagenet", None), paths=True)
    with _policy(dtype):
        images, x = _entrance("efficientnet_lite0", input_shape, scaling)
        x = _convolve(x, "stem", layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv"))
        number = 0
        for repeats, kernel, stride, expand, channels in _LITE0:
            for stride_here in [stride] + [1] * (repeats - 1):
                x = _mbconv(x, f"block{number}", kernel, stride_here, expand, channels)
                number += 1
        x = _convolve(x, "head", layers.Conv2D(1280, 1, use_bias=False, name="head_conv"))
        x = layers.Identity(name="features")(x)
        output = _classifier(x) if include_top else x
    model = keras.Model(images, output, name="efficientnet_lite0")
    if weights is None:
        initialise(model, seed)
    else:
        _weights.load_lite0(model, None if weights == "imagenet" else weights)
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


def _convolve(x, name, convolution, activate=True):
    x = convolution(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _mbconv(x, name, kernel, stride, expand, channels):
    """Inverted bottleneck: widen, filter each channel, narrow; add the input where it fits."""

    def pointwise(stage, filters):
        return layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_{stage}_conv")

    block_input, width = x, x.shape[-1]
    if expand > 1:
        x = _convolve(x, f"{name}_expand", pointwise("expand", width * expand))
    depthwise = layers.DepthwiseConv2D(
        kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = _convolve(x, f"{name}_depthwise", depthwise)
    x = _convolve(x, f"{name}_project", pointwise("project", channels), activate=False)
    return layers.Add(name=f"{name}_add")([x, block_input]) if x.shape == block_input.shape else x


def inception_v3(
    weights="imagenet",
    input_shape=(None, None, 3),
    include_top=False,
    scaling="source",
    seed=None,
    dtype="float32",
):
    """Inception V3, the report's source model, as ``keras.applications`` builds it.

    Args:
        weights: "imagenet" (downloaded by Keras once, 88 MB, and checked), path of a ``.h5`` or
            ``.weights.h5`` file with or without the classifier, or None (random).
        input_shape: (height, width, 3) of pixel values 0..255; any size, resized to 299 × 299.
        include_top: False ends in ``"features"``, (n, 8, 8, 2048), at least 0; True goes on to
            ``"logits"`` and ``"predictions"``, (n, 1000) probabilities of the ImageNet classes.
        scaling: "source" is the x / 127.5 - 1 of its training; "report" is x / 255.
        seed: integer, for random weights.
        dtype: "float32", or a mixed precision such as "mixed_bfloat16"; weights stay float32.

    Returns:
        Flat keras.Model.

    Raises:
        ValueError: an unknown argument, or a file that holds other weights.
        FileNotFoundError: there is no such file.
        OSError: "imagenet" cannot be downloaded; it says how to get the file by hand.

    Source: Szegedy et al. 2016.
    """
    _known("weights", weights, ("imagenet", None), paths=True)
    path = _weights.inception_path(include_top) if weights == "imagenet" else weights
    classes = path is not None and _weights.inception_has_classes(path, include_top)
    with _policy(dtype):
        images, x = _entrance("inception_v3", input_shape, scaling)
        source = keras.applications.InceptionV3(include_top=classes, weights=None, input_tensor=x)
        if path is not None:
            _weights.load_inception(source, path)
        x = layers.Identity(name="features")(source.get_layer("mixed10").output)
        output = _classifier(x) if include_top else x
    model = keras.Model(images, output, name="inception_v3")
    if path is None:
        initialise(model, seed)
    elif include_top:
        model.get_layer("logits").set_weights(source.get_layer("predictions").get_weights())
    return model


def report_top(shape, seed=None):
    """The report's top model (section 4.1.5) alone: 373,793 parameters on Inception V3.

    Two convolutions of 16 filters (3 × 3, then 5 × 5), the maximum of each filter over the image,
    and twice 256 units, dropout of a quarter, batch normalisation; then one sigmoid unit.

    Args:
        shape: (height, width, channels) of the features; height and width at least 7.
        seed: integer; fixes the initial weights and the dropout.

    Returns:
        keras.Model, not compiled, from features to (n, 1) float32 probabilities, to be trained on
        features that were computed once.

    Raises:
        ValueError: smaller features.
    """
    features = keras.Input(tuple(shape), name="features")
    model = keras.Model(features, _top(features), name="report_top")
    initialise(model, seed)
    return model


@keras.saving.register_keras_serializable("xraylib")
class TopConv2D(layers.Conv2D):
    """Conv2D of few filters on many channels, without padding or stride, quicker to train.

    TensorFlow's gradient for the kernel takes most of a step of the top on a processor. Here it is
    one product of matrices, all places of the kernel side by side. With few channels that product
    would be larger than the convolution.
    """

    def convolution_op(self, inputs, kernel):
        if kernel.shape[-2] < 8 * kernel.shape[-1]:
            return super().convolution_op(inputs, kernel)
        return _convolution(*map(tf.convert_to_tensor, (inputs, kernel)))


@tf.custom_gradient
def _convolution(x, kernel):
    height, width, channels, filters = kernel.shape

    def gradient(dy):
        places = [
            tf.pad(dy, [[0, 0], [i, height - 1 - i], [j, width - 1 - j], [0, 0]])
            for i in range(height)
            for j in range(width)
        ]
        dy_wide = tf.reshape(tf.concat(places, -1), (-1, height * width * filters))
        wide = tf.matmul(dy_wide, tf.reshape(x, (-1, channels)), transpose_a=True)
        wide = tf.reshape(wide, (height, width, filters, channels))
        dx = tf.nn.conv2d_transpose(dy, kernel, tf.shape(x), strides=1, padding="VALID")
        return dx, tf.transpose(wide, (0, 1, 3, 2))

    return tf.nn.conv2d(x, kernel, strides=1, padding="VALID"), gradient


def _top(features):
    if len(features.shape) != 4 or min(n or 7 for n in features.shape[1:3]) < 7:
        raise ValueError(
            "The top needs features of shape (height, width, channels) of at least 7 × 7, as its "
            f"convolutions take 6 rows and columns away; got {tuple(features.shape[1:])}."
        )
    x = features
    for n, kernel in enumerate((3, 5), 1):
        x = TopConv2D(16, kernel, activation="relu", name=f"top_conv{n}")(x)
    x = layers.GlobalMaxPooling2D(name="top_pool")(x)
    for n in (1, 2):
        x = layers.Dense(256, activation="relu", name=f"top_dense{n}")(x)
        x = layers.Dropout(0.25, seed=0, name=f"top_dropout{n}")(x)
        x = layers.BatchNormalization(name=f"top_bn{n}")(x)
    return layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)


def report_network(
    source="inception_v3",
    weights="imagenet",
    trainable="top",
    input_shape=(None, None, 3),
    seed=None,
    scaling="source",
    dtype="float32",
):
    """The report's network: a source model, and its own top on the source's features.

    Args:
        source: "inception_v3", as in the report, or "efficientnet_lite0", installed with weights.
        weights: of the source; see its builder.
        trainable: "top" freezes the source, whose batch normalisation then keeps its moving
            statistics even in training; "all" trains everything, as the report's code did.
        input_shape: (height, width, 3) of pixel values 0..255.
        seed: integer; two networks of one seed start with equal weights and draw equal dropout.
        scaling: "source", as the source was trained, or "report", 1/255.
        dtype: "float32", or a mixed precision such as "mixed_bfloat16"; weights stay float32. See
            :func:`xraylib.training.best_precision`.

    Returns:
        Flat keras.Model, not compiled, of (n, 1) float32 probabilities. On Inception V3 it has
        22,176,577 parameters, of which 372,769 ("top") or 22,141,121 ("all") are trained.

    Raises:
        ValueError: an unknown argument.
        FileNotFoundError, OSError: the weights cannot be had; see the source's builder.
    """
    _known("source", source, tuple(SOURCES))
    _known("trainable", trainable, ("top", "all"))
    base = SOURCES[source].build(weights, input_shape, scaling=scaling, seed=seed, dtype=dtype)
    for layer in base.layers:
        layer.trainable = trainable == "all"
    with _policy(dtype):
        output = _top(base.get_layer("features").output)
    model = keras.Model(base.input, output, name=f"report_{source}")
    initialise(model, seed, source=False)
    return model


def pca_network(n_components=23, seed=None):
    """The report's network on whitened principal components (section 4.3): 1,738,753 parameters.

    Twice 1024 units, dropout of a quarter, batch normalisation; then 512, 256 and one sigmoid unit.

    Args:
        n_components: numbers an image.
        seed: integer; fixes the initial weights and the dropout.

    Returns:
        keras.Model from (n, n_components) to (n, 1) probabilities in 0..1, not compiled.
    """
    components = keras.Input((n_components,), name="components")
    x = components
    for n in (1, 2):
        x = layers.Dense(1024, activation="relu", name=f"dense{n}")(x)
        x = layers.Dropout(0.25, seed=0, name=f"dropout{n}")(x)
        x = layers.BatchNormalization(name=f"bn{n}")(x)
    for n, units in ((3, 512), (4, 256)):
        x = layers.Dense(units, activation="relu", name=f"dense{n}")(x)
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    model = keras.Model(components, x, name="pca_network")
    initialise(model, seed)
    return model


def small_network(seed=None):
    """Three convolutions of 16, 32 and 32 filters, from nothing: 14,177 parameters.

    What a network of the usual kind does without any transfer. Each convolution (3 × 3) is followed
    by the maximum of 2 × 2 pixels, the last by the maximum of each filter over the image, and that
    by one sigmoid unit.

    Args:
        seed: integer; fixes the initial weights.

    Returns:
        keras.Model, not compiled, from (n, 32, 32, 1) grey values in 0..1 to (n, 1) probabilities.
    """
    pixels = keras.Input((32, 32, 1), name="pixels")
    x = pixels
    for n, filters in enumerate((16, 32, 32), 1):
        x = layers.Conv2D(filters, 3, activation="relu", padding="same", name=f"conv{n}")(x)
        x = layers.MaxPooling2D(name=f"pool{n}")(x)
    x = layers.GlobalMaxPooling2D(name="pool4")(x)
    x = layers.Dense(1, activation="sigmoid", name="probability")(x)
    model = keras.Model(pixels, x, name="small_network")
    initialise(model, seed)
    return model


def native_size(model):
    """Height and width, in pixels, that a model of this module resizes its images to."""
    return model.get_layer("preprocess").size


SOURCES = {
    "inception_v3": Source(inception_v3, 299, 127.5, 127.5),
    "efficientnet_lite0": Source(efficientnet_lite0, 224, 127.0, 128.0),
}


def _entrance(name, input_shape, scaling):
    """The input, and the tensor that the source's first layer takes."""
    _known("scaling", scaling, ("source", "report"))
    if len(input_shape) != 3 or input_shape[-1] != 3:
        raise ValueError(f"input_shape must be (height, width, 3); got {tuple(input_shape)}.")
    source = SOURCES[name]
    offset, divisor = (0.0, 255.0) if scaling == "report" else (source.offset, source.divisor)
    images = keras.Input(tuple(input_shape), name="images")
    return images, Preprocess(source.size, offset, divisor, name="preprocess")(images)


def _classifier(features):
    x = layers.GlobalAveragePooling2D(name="pool")(features)
    x = layers.Dense(1000, dtype="float32", name="logits")(x)
    return layers.Softmax(dtype="float32", name="predictions")(x)


def initialise(model, seed=None, *, source=True):
    """Give a network the weights and the dropout that it has when it is built with this seed.

    So one network can be trained many times. Kernels of a source model, up to the layer "features",
    keep the signal's size from layer to layer (He et al. 2015); others are drawn as Keras draws
    them (Glorot and Bengio 2010). Biases, and batch normalisation, go back to their start.

    Args:
        model: of this module, or any flat graph of convolutions, dense layers, dropout and batch
            normalisation; changed in place.
        seed: integer; None draws other weights each time.
        source: False leaves the layers up to "features" as they are.

    Raises:
        ValueError: the model has weights of another kind.
    """
    names = [layer.name for layer in model.layers]
    top = names.index("features") + 1 if "features" in names else 0
    for i, layer in enumerate(model.layers):
        if i < top and not source:
            continue
        # By place within source or top, not by name: Keras numbers names through a process.
        key = None if seed is None else [seed, i < top, i - top if i >= top else i]
        draw = int(np.random.default_rng(key).integers(2**31))
        if isinstance(layer, layers.Dropout):
            layer.seed_generator.state.assign([draw, 0])
        for weight in layer.weights:
            weight.assign(_start(layer, weight, draw, i < top))


def _start(layer, weight, seed, in_source):
    """What a weight is before any training."""
    if weight.name in ("bias", "beta", "moving_mean"):
        return np.zeros(weight.shape, "float32")
    if weight.name in ("gamma", "moving_variance"):
        return np.ones(weight.shape, "float32")
    if weight.name != "kernel":
        raise ValueError(f"{layer.name}: expected a kernel, a bias or batch normalisation's "
                         f"weights, got {weight.name!r}; draw these yourself")  # fmt: skip
    if not in_source:
        return keras.initializers.GlorotUniform(seed)(weight.shape)
    depthwise = isinstance(layer, layers.DepthwiseConv2D)
    fan_in = math.prod(weight.shape[: 2 if depthwise else -1])
    gain = 1 if "project" in layer.name else 2  # no ReLU follows
    return keras.initializers.TruncatedNormal(0, math.sqrt(gain / fan_in), seed)(weight.shape)


@contextlib.contextmanager
def _policy(dtype):
    """Build layers in a precision; ``keras.applications`` takes it from nowhere else."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _known(what, value, choices, paths=False):
    if value in choices or (paths and isinstance(value, str | Path)):
        return
    expected = ", ".join(repr(choice) for choice in choices) + (" or a path" if paths else "")
    raise ValueError(f"{what} must be {expected}; got {value!r}.")
