"""The networks that are trained: the report's top model on a backbone, and smaller ones.

The layer "features" is where a backbone ends and a top begins. Models are not compiled. A builder's
``seed`` and :func:`xraylib.models.random_weights.initialise` draw the same weights and dropout.
"""

from pathlib import Path

import keras
from keras import layers, ops

from xraylib.models.backbones import BACKBONES, known, policy
from xraylib.models.random_weights import initialise


def report_top(shape, seed=None):
    """The report's top model (section 4.1.5) alone: 373,793 parameters on Inception V3.

    Two convolutions of 16 filters (3 × 3, then 5 × 5), the maximum of each filter over the image,
    and twice 256 units, dropout of a quarter, batch normalisation; then one sigmoid unit.

    Args:
        shape: (height, width, channels) of the features; height and width at least 7.
        seed: integer, of the initial weights and the dropout.

    Returns:
        keras.Model from features, computed once, to (n, 1) float32 probabilities.

    Raises:
        ValueError: smaller features.
    """
    features = keras.Input(tuple(shape), name="features")
    model = keras.Model(features, _top(features), name="report_top")
    initialise(model, seed)
    return model


def _top(features):
    if len(features.shape) != 4 or min(features.shape[1:3]) < 7:
        raise ValueError(
            "The top needs features of shape (height, width, channels) of at least 7 × 7, as its "
            f"convolutions take 6 rows and columns away; got {tuple(features.shape[1:])}."
        )
    x = features
    for n, kernel in enumerate((3, 5), 1):
        x = TopConv2D(16, kernel, activation="relu", name=f"top_conv{n}")(x)
    x = _dense_twice(layers.GlobalMaxPooling2D(name="top_pool")(x), 256, "top_")
    return layers.Dense(1, activation="sigmoid", dtype="float32", name="probability")(x)


def _dense_twice(x, units, prefix=""):
    """Twice so many units, dropout of a quarter, batch normalisation, as the report has them."""
    for n in (1, 2):
        x = layers.Dense(units, activation="relu", name=f"{prefix}dense{n}")(x)
        x = layers.Dropout(0.25, seed=0, name=f"{prefix}dropout{n}")(x)
        x = layers.BatchNormalization(name=f"{prefix}bn{n}")(x)
    return x


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
        return _convolution(ops.convert_to_tensor(inputs), ops.copy(kernel))


@ops.custom_gradient
def _convolution(x, kernel):
    height, width, channels, filters = kernel.shape

    def gradient(*args, upstream=None):
        dy = args[0] if upstream is None else upstream
        places = [
            ops.pad(dy, [[0, 0], [i, height - 1 - i], [j, width - 1 - j], [0, 0]])
            for i in range(height)
            for j in range(width)
        ]
        dy_wide = ops.reshape(ops.concatenate(places, -1), (-1, height * width * filters))
        wide = ops.matmul(ops.transpose(dy_wide), ops.reshape(x, (-1, channels)))
        wide = ops.reshape(wide, (height, width, filters, channels))
        dx = ops.conv_transpose(dy, kernel, strides=1, padding="valid")
        return dx, ops.transpose(wide, (0, 1, 3, 2))

    return ops.conv(x, kernel, strides=1, padding="valid"), gradient


def report_network(
    backbone="inception_v3", weights="imagenet", trainable="top",
    *, scaling="backbone", seed=None, dtype="float32",
):  # fmt: skip
    """The report's network: a backbone, and the report's top on the backbone's features.

    Args:
        backbone: "inception_v3", as in the report, or "efficientnet_lite0", installed with weights.
        weights: of the backbone; see its builder in :mod:`xraylib.models.backbones`.
        trainable: "top" freezes the backbone, whose batch normalisation then keeps its moving
            statistics even in training; "all" trains everything, as the report's code did.
        scaling: "backbone", as the backbone was trained, or "report", x / 255.
        seed: integer, of the initial weights and the dropout.
        dtype: as of the backbone's builder; see :func:`best_precision`.

    Returns:
        Flat keras.Model from (n, size, size, 3) pixel values in 0..255 to (n, 1) float32
        probabilities. On Inception V3 it has 22,176,577 parameters, of which 372,769 ("top") or
        22,141,121 ("all") are trained.

    Raises:
        ValueError: an unknown argument.
        FileNotFoundError, OSError: the weights cannot be had; see the backbone's builder.
    """
    known("backbone", backbone, tuple(BACKBONES))
    known("trainable", trainable, ("top", "all"))
    base = BACKBONES[backbone].build(weights, scaling=scaling, seed=seed, dtype=dtype)
    base.trainable = trainable == "all"
    with policy(dtype):
        output = _top(base.output)
    model = keras.Model(base.input, output, name=f"report_{backbone}")
    initialise(model, seed, backbone=False)
    return model


def on_card():
    """Whether Keras computes on a graphics card."""
    return not keras.distribution.list_devices()[0].lower().startswith("cpu")


def best_precision(backbone, *, frozen=False):
    """Name of the dtype policy in which this machine computes a backbone well.

    Args:
        backbone: its name.
        frozen: whether it is not trained.

    Returns:
        On a graphics card "mixed_float16" if frozen, else "mixed_bfloat16" from compute capability
        8.0 on; for Inception V3 "mixed_bfloat16" on a processor with its instructions (AVX-512
        BF16, AMX); otherwise "float32". Features of EfficientNet-Lite0 come about as fast in
        bfloat16 on a card, but twenty times less exact, see ``results/card.json``; on a processor
        its depthwise convolutions are slower in it. Inception V3 was not tried in float16.
    """
    if frozen and on_card():
        return "mixed_float16"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        fast = details.get("compute_capability", (0, 0)) >= (8, 0)
    else:
        cpuinfo = Path("/proc/cpuinfo")
        flags = cpuinfo.read_text() if cpuinfo.exists() else ""
        fast = backbone == "inception_v3" and ("avx512_bf16" in flags or "amx_bf16" in flags)
    return "mixed_bfloat16" if fast else "float32"


def pca_network(n_components=23, seed=None):
    """The report's network on whitened principal components (section 4.3): 1,738,753 parameters.

    Twice 1024 units, dropout of a quarter, batch normalisation; then 512, 256 and one sigmoid unit.

    Args:
        n_components: numbers an image.
        seed: integer, of the initial weights and the dropout.

    Returns:
        keras.Model from (n, n_components) to (n, 1) probabilities.
    """
    components = keras.Input((n_components,), name="components")
    x = _dense_twice(components, 1024)
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
        seed: integer, of the initial weights.

    Returns:
        keras.Model from (n, 32, 32, 1) grey values in 0..1 to (n, 1) probabilities.
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


def part(model, first, last):
    """The layers of a model from one's output to another's, as a model that shares them.

    Args:
        model: Keras model with a flat graph; a part is made once.
        first: name of a layer whose output the part takes; None: the model's input.
        last: name of the layer whose output it gives; None: the model's output.
    """
    parts = vars(model).setdefault("_parts", {})  # not setattr: Keras would track and save them
    if (first, last) not in parts:
        entrance = model.input if first is None else model.get_layer(first).output
        exit_ = model.output if last is None else model.get_layer(last).output
        parts[first, last] = keras.Model(entrance, exit_)
    return parts[first, last]


def sigmoid_unit(model):
    """The last layer of a network that tells two classes apart.

    Raises:
        ValueError: the network does not end in one sigmoid unit. Of other heads nobody can say
            which class a score is of.
    """
    last, shape = model.layers[-1], getattr(model, "output_shape", "not known")
    one = isinstance(last, layers.Dense) and last.units == 1 and shape[1:] == (1,)
    if not one or last.activation is not keras.activations.sigmoid:
        raise ValueError(
            "expected a model that ends in a Dense layer of one sigmoid unit, as "
            f"builders.report_network, got {type(last).__name__} {last.name!r} with output "
            f"{shape}"
        )
    return last
