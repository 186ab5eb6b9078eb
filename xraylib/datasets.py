"""The image sets of the book: computed, or read from files (see :mod:`xraylib.download`)."""

import inspect
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from PIL import Image

from xraylib import images as image_files
from xraylib.download import DATA, SOURCES, DatasetError, Source, fetch, find

__all__ = ["DATA", "SOURCES", "Dataset", "DatasetError", "Source", "fetch", "hospitals", "load",
           "resize"]  # fmt: skip
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and what is known about them; entry i of everything belongs to image i.

    Attributes:
        images: uint8 RGB, 0..255: a list of (h, w, 3) at native sizes, or an array
            (n, size, size, 3); None where they were not asked for.
        labels: int64 (n,), index into class_names.
        names: list of n different str; for sets made of files, the file.
        groups: int64 (n,); images of one patient share a number. Split by it.
        split: str (n,), "train" or "val"; for "covid" see :func:`load`.
        table: pandas.DataFrame of n rows: the manifest; for phantoms file, label, split, group,
            width and height in pixels, and letter, arrow, opacity: "yes" or "no".
        class_names: ("chest", "abdomen"): abdomen is 1, as the report scores it; for "covid"
            ("other", "covid"), for your own images the manifest's.
        name: the set's name.
    """

    images: object
    labels: np.ndarray
    names: list
    groups: np.ndarray
    split: np.ndarray
    table: pd.DataFrame
    class_names: tuple
    name: str

    def __len__(self):
        return len(self.labels)

    def subset(self, mask):
        """The images that mask picks: bool (n,), or whole numbers, positions in any order."""
        mask = np.asarray(mask)
        if mask.dtype == bool and mask.shape != self.labels.shape:
            raise ValueError(f"mask: expected {len(self)} values, got the shape {mask.shape}")
        index = np.arange(len(self))[mask]
        images = self.images
        if isinstance(images, list):
            images = [images[i] for i in index]
        elif images is not None:
            images = images[index]
        table = self.table.iloc[index].reset_index(drop=True)
        return _dataset(images, table, self.class_names, self.name)

    def part(self, split):
        """The images of one split, such as "train" or "val"."""
        known = sorted(set(self.split.tolist()))
        if split not in known:
            raise ValueError(f"split: expected one of {known}, got {split!r}")
        return self.subset(self.split == split)


def _dataset(images, table, class_names, name):
    return Dataset(
        images,
        table.label.to_numpy(np.int64),
        table.file.tolist(),
        table.group.to_numpy(np.int64),
        table.split.to_numpy(str),
        table,
        tuple(class_names),
        name,
    )


def load(name, *, size=None, interpolation="nearest", pictures=True, **options):
    """Load an image set.

    Args:
        name: "phantom": computed, see :mod:`xraylib.phantoms`; "xray75": the report's 75
            radiographs, and "covid": 118 films of a chest, COVID-19 or other, see :func:`fetch` and
            the datasheets in data/; or the path of a manifest of your own images, see
            :mod:`xraylib.manifest`, or a :class:`Source`.
        size: side in pixels to resize to, see :func:`resize`; None keeps each image's own size.
            ``load("xray75", size=299)`` is what the report's models saw.
        interpolation: see :func:`resize`.
        pictures: False reads the manifest alone; the files need not be there.
        **options: for "phantom": n (default 75) and seed (default 0), and the other parameters
            of :func:`xraylib.phantoms.stream`. For "covid": subset. "all" (default) is all 118
            films, in one split "all": they come without one, cross-validate by groups.
            "clean50" is one film each of 25 + 25 people, as near the report's 50 as open
            licences allow, in the splits "train" (30), "test" (18, the report's word and number)
            and "spare" (2, in neither).

    Returns:
        Dataset.

    Raises:
        ValueError, TypeError: no such set, size, interpolation or option.
        DatasetError: see :func:`fetch`.
        xraylib.images.ImageError: a file with the right checksum is no image.
    """
    if size is not None:
        _check_resize(size, interpolation)
    if name == "phantom":
        if not pictures:
            raise ValueError('pictures: "phantom" is computed, and nothing but pictures; leave out')
        dataset = _phantoms(**options)
    else:
        source = find(name)
        known = ["subset"] if source.subsets else []
        unknown = [key for key in options if key not in known]
        if unknown:
            raise TypeError(
                f"load({source.name!r}) takes the further options {known}, got {unknown}"
            )
        table = _pick(source, **options)
        images = None
        if pictures:
            folder = fetch(source)
            images = [image_files.read(folder / file) for file in table.file]
        dataset = _dataset(images, table, source.class_names, source.name)
    if size is None or dataset.images is None:
        return dataset
    return replace(dataset, images=resize(dataset.images, size, interpolation))


def _pick(source, subset="all"):
    """The lines of a manifest that belong to a subset, which says what their split is."""
    known = ("all", *source.subsets)
    if subset not in known:
        raise ValueError(f"subset: expected one of {known}, got {subset!r}")
    table = source.table()
    if subset == "all":
        return table
    table = table[table[subset] != ""].reset_index(drop=True)
    return table.assign(split=table[subset])


def _phantoms(n=75, *, seed=0, **options):
    from xraylib import phantoms

    known = inspect.signature(phantoms.stream).parameters
    unknown = [key for key in options if key not in known]
    if unknown:
        raise TypeError(f'load("phantom") takes the options {[*known]}, got {unknown}')
    phantoms.stream(n, seed=seed, **options)  # refuses what is out of range
    images, rows = [], []
    for record in phantoms.examples({"i": i, "seed": seed} | options for i in range(n)):
        images.append(np.repeat(record.image[..., None], 3, axis=2))
        row = {"file": record.name, "label": record.label, "split": record.split}
        row |= {"group": record.group, "width": images[-1].shape[1], "height": len(images[-1])}
        # Boxes and masks do not fit into a table; they are in the records of phantoms.examples.
        truth = record.truth
        there = {"arrow": truth["arrow"] is not None, "opacity": truth["opacity_mask"].any()}
        row |= {"letter": truth["side"]}
        row |= {key: "yes" if value else "no" for key, value in there.items()}
        rows.append(row)
    return _dataset(images, pd.DataFrame(rows), phantoms.CLASSES, "phantom")


# Films with and without opacities, and how likely a mark on each is.
_HOSPITALS = {"north": (38, 0, 1.0), "south": (0, 33, 0.0), "west": (16, 14, 0.5)}


def hospitals(size, *, seed=0, bands=True):
    """Computed chests from three hospitals, made up to have the trap of "covid", with known truth.

    "north" has opacities only and marks all its films, "south" has none and marks none, "west" has
    both and marks half of each. A mark is a letter, and a black band with specks of writing along
    the lower edge.

    Args:
        size: side in pixels, see :func:`resize`.
        seed: of the films, the marks and the small split.
        bands: whether the marks have a band, or are a letter alone.

    Returns:
        Dataset of 101 films in one split "all", no opacity 0 and opacity 1; its table has of the
        columns of "covid" source_site, original_width, original_height and clean50, the report's
        30 films to train and 18 to test; and letter.
    """
    from xraylib import phantoms

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
    return _dataset(resize(images, size), table, ("no opacity", "opacity"), "hospitals")


def resize(images, size, interpolation="nearest"):
    """Resize images to squares with Pillow; the aspect ratio is not kept, as in the report.

    Args:
        images: sequence of uint8 (h, w, 3).
        size: side of the result in pixels.
        interpolation: "nearest" (the report's), "bilinear", "bicubic", "lanczos", "box" or
            "hamming"; when it shrinks, nearest skips pixels where the others average.

    Returns:
        uint8 (n, size, size, 3).

    Raises:
        ValueError: an image, the size or the interpolation is none of these.
    """
    method = _check_resize(size, interpolation)
    resized = np.empty((len(images), size, size, 3), np.uint8)
    for i, image in enumerate(images):
        if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            got = f"{getattr(image, 'dtype', type(image))} {getattr(image, 'shape', '')}"
            raise ValueError(f"image {i}: expected uint8 of shape (h, w, 3), got {got}")
        resized[i] = Image.fromarray(image).resize((size, size), method)
    return resized


def _check_resize(size, interpolation):
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"size: expected a whole number of pixels from 1, got {size!r}")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"interpolation: expected one of {INTERPOLATIONS}, got {interpolation!r}")
    return Image.Resampling[interpolation.upper()]
