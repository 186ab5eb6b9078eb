"""Whether a map of what a score rests on can be believed.

:func:`hits` tries maps on films whose evidence is known, beside a map drawn at random, and
:func:`sanity` asks whether a map changes at all when random weights take the place of those that
were learned. Maps are those of :mod:`xraylib.evaluation.explain`, or any others.
"""

from typing import NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from xraylib.evaluation import metrics
from xraylib.models.random_weights import initialise

_FLAT = 1e-6  # what resampling in single precision adds to a constant map, relative to its values


def random_map(images, seed=0):
    """Smooth maps that know nothing, as coarse as Grad-CAM's: the baseline of every score.

    Of the images, (n, height, width, ...), only the shape is used. Returns float32 (n, height,
    width), 0..1 with largest value 1: 7 × 7 cells drawn uniformly by the seed, a whole number from
    0, and interpolated as :func:`xraylib.evaluation.explain.grad_cam` does.
    """
    n, height, width = np.shape(images)[:3]
    cells = np.random.default_rng(seed).random((n, 7, 7), np.float32)
    size = width, height
    maps = np.array([cv2.resize(c, size, interpolation=cv2.INTER_LINEAR) for c in cells])
    return maps / maps.max((1, 2), keepdims=True)


class Hits(NamedTuple):
    """How well maps hit known evidence.

    Attributes:
        pointing: the pointing game, k of n maps whose maximum lies inside the mask. Where pixels
            share the maximum, more than half of them must. A flat map points nowhere.
        mass: mean share of a map's positive values that lies inside, 0..1; 0 for a map that has
            none.
        area: mean share of the image that the masks cover: what both would be for a point drawn
            uniformly, or for mass spread evenly.
        flat: how many maps have one value everywhere.
    """

    pointing: metrics.Proportion
    mass: float
    area: float
    flat: int


def hits(maps, masks):
    """Whether maps hit the evidence that is known to be there, as :class:`Hits`.

    Args:
        maps: (n, height, width), finite; large where the model is said to look.
        masks: bool (n, height, width), True on the evidence, resized as the images were, but
            nearest. The masks of other films, ``np.roll(masks, 1, axis=0)``, show how often maps
            hit that only know where such evidence usually lies.

    Raises ValueError where an argument is not as above, or a mask is empty.
    Source: the pointing game of Zhang et al. 2018, without its margin of 15 pixels.
    """
    maps, masks = np.asarray(maps, np.float64), np.asarray(masks)
    if maps.ndim != 3 or maps.shape != masks.shape or not maps.size or masks.dtype != bool:
        raise ValueError(
            "expected maps and masks of one shape (n, height, width), masks of bool, got "
            f"{maps.shape} and {masks.dtype} {masks.shape}; resize the masks as the images were, "
            "and compare them: masks > 0"
        )
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
    pointing = metrics.proportion(((inside > 0.5) & ~flat).sum(), len(maps))
    return Hits(pointing, float(mass.mean()), float(masks.mean()), int(flat.sum()))


def randomise(model, seed=0, *, backbone=True):
    """A copy of a model, not compiled, with weights drawn anew by the seed, a whole number from 0.

    The Keras model has a flat graph, and stays as it is. With ``backbone=False`` the copy keeps its
    weights up to the layer "features".
    Raises ValueError where there is no such layer.
    Source: the cascading randomisation of Adebayo et al. 2018, section 3.1.
    """
    model.get_layer("features")  # raises where there is none
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    # A stream of its own: a backbone that was never trained must not get its own weights back.
    draw = int(np.random.default_rng([seed, *b"randomise"]).integers(2**31))
    initialise(copy, draw, backbone=backbone)
    return copy


def sanity(methods, model, images, *, seed=0, draws=3):
    """How far maps stay the same when the model's weights become random.

    A rank correlation near 1 says that the map shows the film, not what the model learned.

    Args:
        methods: dict from a name to a function ``(model, images) -> maps (n, height, width)``,
            such as :func:`xraylib.evaluation.explain.grad_cam`. All meet the same random models.
        model: trained; has a layer "features".
        images: (n, height, width, 3), 0..255.
        seed: of the random weights.
        draws: how many random models a stage.

    Returns pandas.DataFrame, a row a method and a column a stage, "top" (weights behind "features"
    drawn anew) and "all": the mean of Spearman's rank correlation of each map with its own before,
    over images and draws. A pair with a flat map counts 1 if both are, otherwise 0.
    Raises ValueError where a method gives no finite (n, height, width), or there is no layer
    "features".
    Source: Adebayo et al. 2018.
    """
    before = {name: _explained(name, explain, model, images) for name, explain in methods.items()}
    found = {}
    for stage in ("top", "all"):
        for draw in range(draws):
            number = int(np.random.default_rng([seed, draw]).integers(2**31))
            random = randomise(model, number, backbone=stage == "all")
            for name, explain in methods.items():
                pairs = zip(before[name], _explained(name, explain, random, images), strict=True)
                found.setdefault((name, stage), []).extend(_correlation(*pair) for pair in pairs)
    means = pd.Series({key: np.mean(values) for key, values in found.items()})
    return means.unstack()[["top", "all"]].loc[list(methods)]


def _correlation(a, b):
    if _flat(a) or _flat(b):
        return float(_flat(a) and _flat(b))
    return spearmanr(a, b).statistic


def _explained(name, explain, model, images):
    """Maps as (n, pixels)."""
    maps = np.asarray(explain(model, images), np.float64)
    if maps.shape != np.shape(images)[:3] or not np.isfinite(maps).all():
        raise ValueError(
            f"expected {name} to give finite maps of shape {np.shape(images)[:3]}, got "
            f"{maps.shape}, finite: {bool(np.isfinite(maps).all())}"
        )
    return maps.reshape(len(maps), -1)


def _flat(maps):
    """Which of the maps (..., pixels) have one value everywhere."""
    return np.ptp(maps, axis=-1) <= _FLAT * np.abs(maps).max(-1)
