"""Films as numbers from which no picture can be made: distances, and averages of features.

The real films are not ours to hand on. What many methods see of them is kept in ``results/``, so
that the default book computes on real films wherever no picture is needed. Distances know nothing
of where a pixel lies: move the pixels of all films about, in the same way, and they stay the same.
An average over a map of features has lost where in the film each of them was found.
"""

import json

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.preprocessing import StandardScaler

from xraylib import datasets, shortcuts
from xraylib.ledger import ROOT
from xraylib.reduction import isometry

SIDES = (16, 8, 4, 2)


def distances(images):
    """Coordinates that keep the distances between images, of all pixels and of small pictures.

    Args:
        images: uint8 (n, size, size, 3), 299 × 299 as the report's models saw them.

    Returns:
        dict of float64 arrays of n rows, see :func:`xraylib.reduction.isometry`: "pixels", of
        values 0..1; "16", "8", "4" and "2", of pictures of so many grey pixels a side, averaged
        over the area, each pixel scaled to a standard deviation of 1 over the images; and
        "grey", (n, 1), the mean grey value, 0..1.
    """
    found = {"pixels": isometry(images / 255.0)}
    for side in SIDES:
        small = datasets.resize(images, side, "box").mean(axis=-1).reshape(len(images), -1)
        found[str(side)] = isometry(StandardScaler().fit_transform(small))
    found["grey"] = (images.mean(axis=(1, 2, 3)) / 255)[:, None]
    return found


def averaged(images, source="efficientnet_lite0", weights="imagenet", **settings):
    """A source model's last map of each film, averaged over the map.

    Args:
        images: uint8 (n, size, size, 3), of the source's own size.
        source: "efficientnet_lite0" or "inception_v3".
        weights: "imagenet", a path to a file, or None for random ones.
        **settings: of its builder, such as scaling or seed, see :mod:`xraylib.models`.

    Returns:
        float16 (n, channels); of EfficientNet-Lite0 (n, 1280), 0..6.
    """
    from xraylib import models, training  # here, because they bring TensorFlow

    network = models.SOURCES[source].build(weights=weights, **settings)
    maps = training.features(network, images, progress=False)
    return maps.mean(axis=(1, 2), dtype="float32").astype("float16")


def features(images, seeds=range(5), **source):
    """Averaged features of whole films and of parts of them.

    Args:
        images: uint8 (n, size, size, 3), of the source's own size.
        seeds: of the random weights, one set each.
        **source: source and weights, see :func:`averaged`.

    Returns:
        dict of float16 arrays (n, channels): "whole"; "rim", the outer fifth of the area;
        "without middle", half of the area blacked out; "middle", its central tenth; "scaling",
        whole films divided by 255 as in the report; and "random 0", …, of the random weights, in
        the order of the seeds.
    """
    middle = datasets.resize(shortcuts.centre_crop(images, 0.1), images.shape[1], "bilinear")
    return {
        "whole": averaged(images, **source),
        "rim": averaged(shortcuts.black_centre(images, 0.8), **source),
        "without middle": averaged(shortcuts.black_centre(images, 0.5), **source),
        "middle": averaged(middle, **source),
        "scaling": averaged(images, scaling="report", **source),
    } | {
        f"random {k}": averaged(images, **source | {"weights": None}, seed=seed)
        for k, seed in enumerate(seeds)
    }


def write(name, provenance):
    """Measure the films of "xray75" or "covid" and keep what comes out in ``results/``.

    A file that has the same numbers up to rounding stays as it is.

    Args:
        name: of the set; its files must be there, see :func:`xraylib.datasets.load`.
        provenance: dict, when and with what it was measured.

    Raises:
        DatasetError: see :func:`xraylib.datasets.load`.
    """
    found = distances(datasets.load(name, size=299).images)
    found |= features(datasets.load(name, size=224).images)
    path = ROOT / "results" / f"{name}.npz"
    if path.is_file() and _same(read(name)[1], found):
        return
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, provenance=json.dumps(provenance), **found)
    partial.replace(path)


def _same(old, new):
    # Distances, not coordinates: an axis may point the other way.
    return old.keys() == new.keys() and all(
        np.allclose(pdist(old[key]), pdist(new[key]), rtol=0.01, atol=0.01) for key in new
    )


def read(name):
    """The films of "xray75" or "covid" without their pictures.

    Returns:
        (data, found): a Dataset whose images are None; and what :func:`distances` and, with
        EfficientNet-Lite0, :func:`features` give of its films, as one dict.

    Raises:
        ValueError: no such set.
        DatasetError: ``results/`` lacks it, or has it of other films than the manifest.
    """
    data = datasets.load(name, pictures=False)
    path = ROOT / "results" / f"{data.name}.npz"
    if not path.is_file():
        raise datasets.DatasetError(
            f"{path}: expected the numbers of {data.name!r}, found no file; `git checkout "
            "results` brings it back, `make results` measures it on the films"
        )
    with np.load(path) as kept:
        found = {key: kept[key] for key in kept.files if key != "provenance"}
    lengths = {len(values) for values in found.values()}
    if lengths != {len(data)}:
        raise datasets.DatasetError(
            f"{path}: expected numbers of {len(data)} films, as the manifest has, got {lengths}; "
            "run `make results`"
        )
    return data, found
