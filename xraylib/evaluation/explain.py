"""Maps of what in a film a network's score rests on.

A map always looks plausible; :mod:`xraylib.evaluation.map_checks` asks whether it can be believed.
Networks end in one sigmoid unit. Slopes and drops are taken of its logit, the value before the
sigmoid: the sigmoid of a sure network is flat, and from a logit of 17 on it is 1 in float32, from
which no logit can be had back.
"""

import cv2
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from xraylib.data.images import check_images
from xraylib.models.builders import sigmoid_unit


def grad_cam(model, images, *, batch_size=8, progress=True):
    """Grad-CAM: each channel of the layer "features", weighted by the mean slope of the logit.

    The mean goes over the whole map. Where a channel counts in one place and not in another, as it
    does behind the report's top, Grad-CAM cannot tell the two places apart.

    Args:
        model: has a layer "features" and ends in one sigmoid unit.
        images: (n, size, size, 3), 0..255.
        batch_size: images a call.
        progress: show a bar on stderr if it takes more than two seconds.

    Returns float32 (n, size, size), 0 or more, the evidence of class 1; the largest value of each
    map is 1, or 0 where the weighted sum is positive nowhere, which happens. Cells (7 × 7 on
    EfficientNet-Lite0) are interpolated bilinearly, the outermost continued to the edge.
    Raises ValueError where an argument is not as above, or scores are NaN.
    Source: Selvaraju et al. 2017, equations 1 and 2.
    """
    unit = sigmoid_unit(model)
    images = check_images(images, model.input_shape[1])
    both = keras.Model(model.input, [model.get_layer("features").output, unit.input])
    maps = np.empty(images.shape[:3], np.float32)
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc="Grad-CAM", unit="batch", delay=2, disable=not progress):
        pixels = tf.constant(images[start : start + batch_size], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pixels)  # else nothing is recorded behind a frozen backbone
            features, inputs = both(pixels, training=False)
            logits = _logits(inputs, unit)
        slopes = tape.gradient(logits, features, unconnected_gradients="zero")
        weights = tf.reduce_mean(tf.cast(slopes, tf.float32), (1, 2), keepdims=True)
        sums = tf.reduce_sum(weights * tf.cast(features, tf.float32), -1)
        for i, cells in enumerate(tf.nn.relu(sums).numpy(), start):
            maps[i] = cv2.resize(cells, images.shape[2:0:-1], interpolation=cv2.INTER_LINEAR)
    high = maps.max((1, 2), keepdims=True)
    return maps / np.where(high > 0, high, 1)


def occlusion(model, images, *, patch=32, stride=16, batch_size=32, progress=True):
    """How far the logit drops when a square patch of the film is covered by the film's mean.

    It asks the model for nothing but scores, but for many: one for each place of the patch, 169 an
    image of 224 × 224 with the defaults, some seconds for EfficientNet-Lite0 on two processor
    cores. Half the stride is four times the work. The cover is itself something to be seen.

    Args:
        model: ends in one sigmoid unit.
        images: (n, size, size, 3), 0..255.
        patch: side of the patch, pixels.
        stride: between places, pixels, at most the patch; the last place touches the far edge.
        batch_size: covered images a call.
        progress: show a bar on stderr if it takes more than two seconds.

    Returns float32 (n, size, size), in logits, above 0 where covering speaks against class 1: each
    drop is put at the centre of its patch, with bilinear interpolation between, and continued to
    the edges. Not scaled.
    Raises ValueError where an argument is not as above, or scores are NaN.
    Source: Zeiler & Fergus 2014, section 4.2.
    """
    unit = sigmoid_unit(model)
    images = check_images(images, model.input_shape[1])
    size = images.shape[1]
    if patch not in range(1, size + 1) or stride not in range(1, patch + 1):
        raise ValueError(
            f"expected a patch of 1 to {size} whole pixels, the size of the images, and a stride "
            f"of 1 to the patch, so that all is covered; got patch={patch}, stride={stride}"
        )
    part = keras.Model(model.input, unit.input)
    call = tf.function(lambda batch: part(batch, training=False)).get_concrete_function(
        tf.TensorSpec((None, size, size, 3), tf.float32)
    )
    corners = np.unique([*range(0, size - patch + 1, stride), size - patch])
    places = [(row, column) for row in corners for column in corners]
    pixels, centres = np.arange(size) + 0.5, corners + patch / 2
    between = np.stack([np.interp(pixels, centres, one) for one in np.eye(len(corners))], axis=1)
    maps = np.empty(images.shape[:3], np.float32)
    total = len(images) * len(places)
    with tqdm(total=total, desc="occlusion", unit="score", delay=2, disable=not progress) as bar:
        for i, image in enumerate(images.astype("float32")):
            drops = []
            for start in range(0, len(places), batch_size):
                chosen = places[start : start + batch_size]
                batch = np.repeat(image[None], 1 + len(chosen), axis=0)  # the first stays as it is
                for covered, (row, column) in zip(batch[1:], chosen, strict=True):
                    covered[row : row + patch, column : column + patch] = image.mean((0, 1))
                logits = _logits(call(tf.constant(batch)), unit).numpy()
                drops.extend(logits[0] - logits[1:])
                bar.update(len(chosen))
            maps[i] = between @ np.reshape(drops, (len(corners), -1)) @ between.T
    return maps


def _logits(inputs, unit):
    """(n,) float32: the unit's value before its sigmoid."""
    # Not as a product of matrices: a card rounds their factors to ten bits, and drops are small.
    weighted = tf.cast(inputs, tf.float32) * tf.cast(unit.kernel, tf.float32)[:, 0]
    logits = tf.reduce_sum(weighted, axis=1) + (unit.bias[0] if unit.use_bias else 0)
    if not np.isfinite(logits).all():
        raise ValueError("the model's scores are NaN or infinite: its weights cannot be right")
    return logits
