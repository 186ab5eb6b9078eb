"""Films as numbers from which alone no picture can be made: distances, and averages of features.

The real films are not ours to hand on. What many methods see of them is kept in ``results/``, so
that the default book computes on real films wherever no picture is needed. Distances stay the same
if the pixels of all films are moved about in the same way. An average over a map of features has
lost where in the film each of them was found.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler

from xraylib.data import datasets, manifest
from xraylib.evaluation import shortcuts
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
    images = np.asarray(images)
    found = {"pixels": isometry(images) / 255}
    for side in SIDES:
        small = datasets.resize(images, side, "box").mean(axis=-1).reshape(len(images), -1)
        found[str(side)] = isometry(StandardScaler().fit_transform(small))
    found["grey"] = (images.mean(axis=(1, 2, 3)) / 255)[:, None]
    return found


def features(images, build, weights="imagenet", seeds=range(5)):
    """Averaged features of whole films and of parts of them.

    Args:
        images: uint8 (n, size, size, 3), of the backbone's own size.
        build: function that builds the backbone, see :mod:`xraylib.models.backbones`.
        weights: "imagenet", or a path to a file.
        seeds: of the random weights, one set each.

    Returns:
        dict of float16 arrays (n, channels): "whole"; "rim", the outer fifth of the area;
        "without middle", half of the area blacked out; "middle", its central tenth; "scaling",
        whole films divided by 255 as in the report; and "random 0", …, of the random weights, in
        the order of the seeds.
    """
    from xraylib.training.frozen import averaged  # here, because it brings Keras

    parts = {
        "whole": images,
        "rim": shortcuts.black_centre(images, 0.8),
        "without middle": shortcuts.black_centre(images, 0.5),
        "middle": datasets.resize(shortcuts.centre_crop(images, 0.1), images.shape[1], "bilinear"),
    }
    model = build(weights)
    found = {name: averaged(model, part) for name, part in parts.items()}
    found["scaling"] = averaged(build(weights, scaling="report"), images)
    for k, seed in enumerate(seeds):
        found[f"random {k}"] = averaged(build(None, seed=seed), images)
    return found


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
        raise manifest.DatasetError(
            f"{path}: expected the numbers of {data.name!r}, found no file; `git checkout "
            "results` brings it back, `make results` measures it on the films"
        )
    with np.load(path) as kept:
        found = {key: kept[key] for key in kept.files if key != "provenance"}
    lengths = {len(values) for values in found.values()}
    if lengths != {len(data)}:
        raise manifest.DatasetError(
            f"{path}: expected numbers of {len(data)} films, as the manifest has, got {lengths}; "
            "run `make results`"
        )
    return data, found
