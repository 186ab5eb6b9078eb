"""What in a film a network's score rests on, and whether such a map can be believed.

A map always looks plausible. So there are two tests: :func:`hits` on films whose evidence is known,
beside a map drawn at random, and :func:`sanity`, which asks whether the map changes at all when
random weights take the place of those that were learned.

Models are those of :func:`xraylib.models.report_network`, or others that end in one sigmoid unit.
Slopes and drops are taken of its logit, the value before the sigmoid: the sigmoid of a sure network
is flat, and from a logit of 17 on it is 1 in float32, from which no logit can be had back.
"""

from typing import NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.stats import spearmanr
from tqdm import tqdm

from xraylib import evaluation, models, preprocessing

_FLAT = 1e-6  # what resampling in single precision adds to a constant map, relative to its values


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


def random_map(images, seed=0):
    """Smooth maps that know nothing, as coarse as Grad-CAM's: the baseline of every score.

    Args:
        images: (n, height, width, ...); only their shape is used.
        seed: whole number from 0.

    Returns:
        float32 (n, height, width), 0..1 with largest value 1: 7 × 7 cells drawn uniformly,
        interpolated as :func:`grad_cam` does.
    """
    n, height, width = np.shape(images)[:3]
    cells = np.random.default_rng(seed).random((n, 7, 7), np.float32)
    resized = [cv2.resize(c, (width, height), interpolation=cv2.INTER_LINEAR) for c in cells]
    return _to_one(np.reshape(resized, (n, height, width)))


class Hits(NamedTuple):
    """How well maps hit known evidence; see :func:`hits`."""

    pointing: evaluation.Proportion
    mass: float
    area: float
    flat: int

    def __str__(self):
        flat = f"; {self.flat} maps flat" if self.flat else ""
        return f"{self.pointing}, mass {self.mass:.2f}; chance {self.area:.2f}{flat}"


def hits(maps, masks):
    """Whether maps hit the evidence that is known to be there.

    Args:
        maps: (n, height, width), finite; large where the model is said to look.
        masks: bool (n, height, width), True on the evidence, resized as the images were, but
            nearest. The masks of other films, ``np.roll(masks, 1, axis=0)``, show how often maps
            hit that only know where such evidence usually lies.

    Returns:
        Hits:
            pointing: the pointing game, k of n maps whose maximum lies inside the mask. Where
                pixels share the maximum, more than half of them must. A flat map points nowhere.
            mass: mean share of a map's positive values that lies inside, 0..1; 0 for a map that
                has none.
            area: mean share of the image that the masks cover: what both would be for a point
                drawn uniformly, or for mass spread evenly.
            flat: how many maps have one value everywhere.

    Raises:
        ValueError: shapes differ, masks are not bool, a mask is empty, or maps are not finite.

    Source: the pointing game of Zhang et al. 2018, without its margin of 15 pixels.
    """
    maps, masks = np.asarray(maps, np.float64), np.asarray(masks)
    if maps.ndim != 3 or maps.shape != masks.shape or not maps.size:
        raise ValueError(
            "expected maps and masks of one shape (n, height, width), got "
            f"{maps.shape} and {masks.shape}; resize the masks as the images were"
        )
    if masks.dtype != bool:
        raise ValueError(f"expected masks of bool, got {masks.dtype}; compare them: masks > 0")
    maps, masks = maps.reshape(len(maps), -1), masks.reshape(len(masks), -1)
    if not np.isfinite(maps).all():
        raise ValueError("expected finite maps, but some values are NaN or infinite")
    if len(empty := np.flatnonzero(~masks.any(1))):
        raise ValueError(
            f"expected evidence in every film, but the masks {empty[:10].tolist()} are empty; "
            "leave those films out, they have nothing to hit"
        )
    high, low = maps.max(1, keepdims=True), maps.min(1, keepdims=True)
    flat = _flat(maps)
    highest = maps >= high - _FLAT * (high - low)
    inside = (highest & masks).sum(1) / highest.sum(1)
    positive = np.maximum(maps, 0)
    total = positive.sum(1)
    mass = (positive * masks).sum(1) / np.where(total > 0, total, 1)
    pointing = evaluation.proportion(((inside > 0.5) & ~flat).sum(), len(maps))
    return Hits(pointing, float(mass.mean()), float(masks.mean()), int(flat.sum()))


def randomise(model, seed=0, after=None):
    """A copy of a model with weights drawn anew, from the output down to a layer.

    Kernels are drawn as :mod:`xraylib.models` draws a source without weights, so that the signal
    keeps its size through the layers; biases, and scale, shift and moving statistics of batch
    normalisation, go back to their start.

    Args:
        model: a Keras model with a flat graph; stays as it is.
        seed: whole number from 0.
        after: name of a layer: it and those before it keep their weights. "features" re-draws the
            top alone; None re-draws everything.

    Returns:
        keras.Model, not compiled.

    Raises:
        ValueError: no such layer.

    Source: the cascading randomisation of Adebayo et al. 2018, section 3.1.
    """
    kept = 0 if after is None else 1 + model.layers.index(_layer(model, after))
    copy = keras.models.clone_model(model)
    # A stream of its own: a source that was never trained must not get its own weights back.
    models.draw_kernels(copy, int(np.random.default_rng([seed, *b"randomise"]).integers(2**31)))
    for old, new in zip(model.layers[:kept], copy.layers[:kept], strict=True):
        new.set_weights(old.get_weights())
    return copy


def sanity(explain, model, images, *, seed=0, draws=3):
    """How far maps stay the same when the model's weights become random.

    A rank correlation near 1 says that the map shows the film, not what the model learned.

    Args:
        explain: function ``(model, images) -> maps (n, height, width)``, such as grad_cam.
        model: trained; has a layer "features".
        images: (n, height, width, 3), 0..255.
        seed: of the random weights.
        draws: how many random models a stage; each calls explain once.

    Returns:
        pandas.DataFrame, a line a stage, "top" (weights behind "features" drawn anew) and "all":
        correlation, the mean of Spearman's rank correlation of each map with its own before, over
        n images and the draws; sd, its standard deviation over images (of means over draws);
        sd_draws, that over draws (of means over images); flat, how many of the n · draws pairs
        have a map with one value everywhere, counted as 1 if both have, otherwise as 0; n.

    Raises:
        ValueError: explain gives no finite (n, height, width), draws is below 1, or the model has
            no layer "features".

    Source: Adebayo et al. 2018.
    """
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, got {draws}")
    before = _explained(explain, model, images)
    lines = {}
    for stage, after in (("top", "features"), ("all", None)):
        found, flat = [], 0
        for draw in range(draws):
            number = int(np.random.default_rng([seed, draw]).integers(2**31))
            now = _explained(explain, randomise(model, number, after), images)
            found.append([_rank_correlation(a, b) for a, b in zip(before, now, strict=True)])
            flat += int((_flat(before) | _flat(now)).sum())
        over_draws, over_images = np.mean(found, 0), np.mean(found, 1)
        lines[stage] = {
            "correlation": over_draws.mean(),
            "sd": over_draws.std(),
            "sd_draws": over_images.std(),
            "flat": flat,
            "n": len(before),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("random")


def _rank_correlation(a, b):
    if _flat(a) or _flat(b):
        return float(_flat(a) and _flat(b))
    return spearmanr(a, b).statistic


def _explained(explain, model, images):
    """Maps as (n, pixels)."""
    maps = np.asarray(explain(model, images), np.float64)
    if maps.shape != np.shape(images)[:3] or not np.isfinite(maps).all():
        raise ValueError(
            f"expected explain to give finite maps of shape {np.shape(images)[:3]}, got "
            f"{maps.shape}, finite: {bool(np.isfinite(maps).all())}"
        )
    return maps.reshape(len(maps), -1)


def _flat(maps):
    """Which of the maps (..., pixels) have one value everywhere."""
    return np.ptp(maps, axis=-1) <= _FLAT * np.abs(maps).max(-1)


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


def _layer(model, name):
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(f"layer: expected one of {', '.join(names)}; got {name!r}")
    return model.get_layer(name)


def _map_layer(model, name):
    layer = _layer(model, name)
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
