"""Chests from three hospitals that were made up: a trap with known truth."""

import numpy as np
import pandas as pd

from xraylib.data import datasets, phantoms

# Films with and without opacities, and how likely a mark on each is.
_HOSPITALS = {"north": (38, 0, 1.0), "south": (0, 33, 0.0), "west": (16, 14, 0.5)}


def hospitals(size, *, seed=0, bands=True):
    """Computed chests from three hospitals, made up to have the trap of "covid", with known truth.

    "north" has opacities only and marks all its films, "south" has none and marks none, "west" has
    both and marks half of each. A mark is a letter, and a black band with specks of writing along
    the lower edge.

    Args:
        size: side in pixels, see :func:`xraylib.data.datasets.resize`.
        seed: of the films, the marks and the small split.
        bands: whether the marks have a band, or are a letter alone.

    Returns:
        Dataset of 101 films in one split "all", no opacity 0 and opacity 1; its table has of the
        columns of "covid" source_site, original_width, original_height and clean50, the report's
        30 films to train and 18 to test; and letter.
    """
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        [
            {"source_site": site, "label": label, "marked": rng.random() < likely}
            for site, (ill, others, likely) in _HOSPITALS.items()
            for label in [1] * ill + [0] * others
        ]
    )
    films = phantoms.examples(
        {"i": 2 * i, "seed": seed, "letters": (float(row.marked), 0), "arrows": (0, 0),
         "opacity": float(row.label)}  # even numbers are chests
        for i, row in enumerate(table.itertuples())
    )  # fmt: skip
    images = []
    for film, marked in zip(films, table.pop("marked"), strict=True):
        grey = film.image.copy()
        if bands and marked:
            band = grey[-(len(grey) // 10) :]
            band[:] = np.where(rng.random(band.shape) < 0.15, 230, 0)
        images.append(np.repeat(grey[..., None], 3, axis=2))
    table = table.assign(
        file=[film.name for film in films],
        group=[film.group for film in films],
        split="all",
        letter=[film.truth["side"] for film in films],
        original_width=[image.shape[1] for image in images],
        original_height=[image.shape[0] for image in images],
        clean50="",
    )
    one_each = table.groupby("group").cumcount() == 0  # of each person
    for label in (0, 1):
        here = rng.permutation(np.flatnonzero(one_each & (table["label"] == label)))
        table.loc[here[:15], "clean50"], table.loc[here[15:24], "clean50"] = "train", "test"
    return datasets.from_table(
        datasets.resize(images, size), table, ("no opacity", "opacity"), "hospitals"
    )
