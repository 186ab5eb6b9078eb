"""Maps of what in a film a network's score rests on.

A map always looks plausible; whether it can be believed is asked by :mod:`xraylib.map_checks`.

Models are those of :func:`xraylib.models.report_network`, or others that end in one sigmoid unit.
Slopes and drops are taken of its logit, the value before the sigmoid: the sigmoid of a sure network
is flat, and from a logit of 17 on it is 1 in float32, from which no logit can be had back.
"""

import cv2
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from xraylib import preprocessing


def feature_maps(model, images, layer, *, batch_size=16):
    """The output of one layer.

    Args:
        model: a Keras model with a flat graph.
        images: (n, height, width, 3), 0..255.
        layer: name of a layer whose output is a map.
        batch_size: images a call.

    Returns:
        float32 (n, h, w, channels); the size is the layer's.

    Raises:
        ValueError: no such layer, or wrong images.
    """
    images = _images(model, images)
    part = keras.Model(model.input, _map_layer(model, layer).output)
    return part.predict(images, batch_size=batch_size, verbose=0).astype("float32")


def grad_cam(model, images, layer="features", *, target=1, batch_size=8, progress=True):
    """Grad-CAM: the channels of a layer, each weighted by the mean slope of the logit along it.

    The mean goes over the whole map. Where a channel counts in one place and not in another, as it
    does behind the report's top, Grad-CAM cannot tell the two places apart.

    Args:
        model: ends in one sigmoid unit.
        images: (n, height, width, 3), 0..255.
        layer: name of the layer to look at. The last of the source says most about the class and
            least about the place: 7 × 7 cells on EfficientNet-Lite0, 32 pixels each at 224.
        target: 1 for the evidence of class 1, 0 for that of class 0.
        batch_size: images a call.
        progress: show a bar on stderr if it takes more than two seconds.

    Returns:
        float32 (n, height, width), 0 or more; the largest value of each map is 1, or 0 where the
        weighted sum is positive nowhere, which happens. Cells are interpolated bilinearly, the
        outermost continued to the edge.

    Raises:
        ValueError: no such layer, wrong images, another target or model, or scores that are NaN.

    Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    images, sign = _images(model, images), _sign(target)
    unit = _sigmoid_unit(model)
    both = keras.Model(model.input, [_map_layer(model, layer).output, unit.input])
    height, width = images.shape[1:3]
    maps = np.empty(images.shape[:3], np.float32)
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="Grad-CAM", unit="batch", delay=2, disable=not progress):
        pixels = tf.constant(images[start : start + batch_size], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pixels)  # else nothing is recorded behind a frozen source
            features, inputs = both(pixels, training=False)
            logits = sign * _logits(inputs, unit)
        _finite(logits)
        slopes = tape.gradient(logits, features, unconnected_gradients="zero")
        weights = tf.reduce_mean(tf.cast(slopes, tf.float32), (1, 2), keepdims=True)
        sums = tf.reduce_sum(weights * tf.cast(features, tf.float32), -1)
        for i, cells in enumerate(tf.nn.relu(sums).numpy(), start):
            maps[i] = cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR)
    return _to_one(maps)


def occlusion(
    model, images, *, patch=32, stride=16, fill="mean", target=1, batch_size=32, progress=True
):
    """How far the logit drops when a square patch of the film is covered.

    It asks the model for nothing but scores, but for many: one for each place of the patch, 169 an
    image of 224 × 224 with the defaults, some seconds for EfficientNet-Lite0 on two processor
    cores. Half the stride is four times the work. The cover is itself something to be seen:
    compare fills.

    Args:
        model: ends in one sigmoid unit.
        images: (n, height, width, 3), 0..255.
        patch: side of the patch, pixels.
        stride: between places, pixels, at most the patch; the last place touches the far edge.
        fill: "mean", the mean of each image, or a value 0..255.
        target: 1 for the drop of the logit of class 1, 0 for that of class 0.
        batch_size: covered images a call.
        progress: show a bar on stderr if it takes more than two seconds.

    Returns:
        float32 (n, height, width), in logits, above 0 where covering speaks against the class:
        each drop is put at the centre of its patch, with bilinear interpolation between, and
        continued to the edges. Not scaled.

    Raises:
        ValueError: wrong images, another target or model, a patch, stride or fill out of range,
            or scores that are NaN.

    Source: Zeiler & Fergus 2014, section 4.2.
    """
    images, sign = _images(model, images), _sign(target)
    height, width = images.shape[1:3]
    most = min(height, width)
    if patch not in range(1, most + 1) or stride not in range(1, patch + 1):
        raise ValueError(
            f"expected a patch of 1 to {most} whole pixels, the size of the images, and a stride "
            f"of 1 to the patch, so that all is covered; got patch={patch}, stride={stride}"
        )
    if fill != "mean" and (isinstance(fill, str) or not 0 <= fill <= 255):
        raise ValueError(f'fill must be "mean" or a pixel value from 0 to 255, got {fill!r}')
    unit = _sigmoid_unit(model)
    part = keras.Model(model.input, unit.input)
    call = tf.function(lambda batch: _logits(part(batch, training=False), unit))
    call = call.get_concrete_function(tf.TensorSpec((None, height, width, 3), tf.float32))

    rows, columns = (_places(length, patch, stride) for length in (height, width))
    places = [(row, column) for row in rows for column in columns]
    maps = np.empty(images.shape[:3], np.float32)
    total = len(images) * len(places)
    with tqdm(total=total, desc="occlusion", unit="score", delay=2, disable=not progress) as bar:
        for i, image in enumerate(images.astype("float32")):
            cover = image.mean((0, 1)) if fill == "mean" else fill
            drops = []
            for start in range(0, len(places), batch_size):
                chosen = places[start : start + batch_size]
                batch = np.repeat(image[None], 1 + len(chosen), axis=0)  # the first stays as it is
                for covered, (row, column) in zip(batch[1:], chosen, strict=True):
                    covered[row : row + patch, column : column + patch] = cover
                logits = _finite(call(tf.constant(batch))).numpy()
                drops.extend(sign * (logits[0] - logits[1:]))
                bar.update(len(chosen))
            grid = np.reshape(drops, (len(rows), len(columns)))
            down, across = _between(rows, patch, height), _between(columns, patch, width)
            maps[i] = down @ grid @ across.T
    return maps


def _places(length, patch, stride):
    """First pixel of each patch along one side."""
    return np.unique([*range(0, length - patch + 1, stride), length - patch])


def _between(places, patch, length):
    """Weights (length, places) of linear interpolation between the patches' centres."""
    pixels, centres = np.arange(length) + 0.5, places + patch / 2
    return np.stack([np.interp(pixels, centres, one) for one in np.eye(len(places))], axis=1)


def _to_one(maps):
    """Scale each map in place to a largest value of 1; maps of zeros stay."""
    high = maps.max((1, 2), keepdims=True)
    maps /= np.where(high > 0, high, 1)
    return maps


def _images(model, images):
    images = preprocessing.check_images(images)
    expected = tuple(model.input_shape[1:])
    fits = len(expected) == 3
    if not fits or any(e not in (None, g) for e, g in zip(expected, images.shape[1:], strict=True)):
        raise ValueError(
            f"expected images of shape {('n', *expected)}, as the model takes them, got "
            f"{images.shape}; resize them with xraylib.datasets.resize"
        )
    return images


def _sign(target):
    if target not in (0, 1):
        raise ValueError(f"target must be 0 or 1, the class to look for, got {target!r}")
    return 1.0 if target == 1 else -1.0


def _map_layer(model, name):
    layer = model.get_layer(name)
    if len(layer.output.shape) != 4:
        maps = [la.name for la in model.layers if len(getattr(la.output, "shape", ())) == 4]
        raise ValueError(
            f"layer: expected one with an output (n, h, w, channels), of {', '.join(maps)}; got "
            f"{name!r} with {tuple(layer.output.shape)}"
        )
    return layer


def _sigmoid_unit(model):
    last = model.layers[-1]
    one = isinstance(last, keras.layers.Dense) and last.units == 1
    if not one or last.activation is not keras.activations.sigmoid:
        raise ValueError(
            "expected a model that ends in a Dense layer of one sigmoid unit, as "
            f"models.report_network, got {type(last).__name__} {last.name!r} with output "
            f"{model.output_shape}"
        )
    return last


def _logits(inputs, unit):
    """(n,) float32: the unit's value before its sigmoid."""
    values = tf.matmul(tf.cast(inputs, tf.float32), tf.cast(unit.kernel, tf.float32))
    return (values + (unit.bias if unit.use_bias else 0))[:, 0]


def _finite(logits):
    if not np.isfinite(logits).all():
        raise ValueError("the model's scores are NaN or infinite: its weights cannot be right")
    return logits
