"""The image sets of the book as arrays: computed, or read from files."""

import functools
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from xraylib.data import arrays
from xraylib.data import images as image_files
from xraylib.data.download import fetch
from xraylib.data.manifest import anew, check_files, find


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and what is known about them; entry i of everything belongs to image i.

    Attributes:
        images: uint8 RGB, 0..255: a sequence of (h, w, 3) at native sizes (a list, or
            :class:`Pictures`), or an array (n, size, size, 3); None where not asked for.
        labels: int64 (n,), index into class_names.
        names: list of n different str; for sets made of files, the file.
        groups: int64 (n,); images of one patient share a number. Split by it.
        split: str (n,), "train" or "val", of your own images also "test"; for "covid" "all": it
            comes without one, cross-validate by groups.
        table: pandas.DataFrame of n rows: the manifest; for phantoms file, label, split, group,
            width and height in pixels, and letter, arrow, opacity: "yes" or "no".
        class_names: ("chest", "abdomen"): abdomen is 1, as the report scores it; for "covid"
            ("other", "covid"), for your own images the manifest's.
        name: the set's name.
        of: how many images the set has, of which these may be a sample.
    """

    images: object
    labels: np.ndarray
    names: list
    groups: np.ndarray
    split: np.ndarray
    table: pd.DataFrame
    class_names: tuple
    name: str
    of: int

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
        elif images is not None:  # an array, Pictures or OnDisk
            images = arrays.rows(images, index)
        table = self.table.iloc[index].reset_index(drop=True)
        return from_table(images, table, self.class_names, self.name, self.of)


class Pictures(Sequence):
    """Images of files at their own sizes, read when they are asked for and not kept.

    ``pictures[i]`` is uint8 (h, w, 3), see :func:`xraylib.data.images.read`; an array of positions
    gives Pictures of these files.
    """

    def __init__(self, folder, files):
        self.folder, self.files = Path(folder), list(files)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        if np.ndim(i) or isinstance(i, slice):
            return Pictures(self.folder, np.array(self.files, object)[i])
        return image_files.read(self.folder / self.files[i])


def from_table(images, table, class_names, name, of=None):
    """A :class:`Dataset` of images, or None, and a table with file, label, group and split."""
    return Dataset(
        images, labels=table.label.to_numpy(np.int64), names=table.file.tolist(),
        groups=table.group.to_numpy(np.int64), split=table.split.to_numpy(str), table=table,
        class_names=tuple(class_names), name=name, of=len(table) if of is None else of,
    )  # fmt: skip


# Of more, images of their own sizes are read again each time they are asked for.
MANY = 300


def load(
    name, *, size=None, interpolation="nearest", keep_aspect=False, pictures=True,
    max_images=None, store=None, **options,
):  # fmt: skip
    """Load an image set.

    Files are read, resized and let go one by one, on all cores.

    Args:
        name: "phantom": computed, see :mod:`xraylib.data.phantoms`; "xray75": the report's 75
            radiographs, and "covid": 118 films of a chest, COVID-19 or other, see
            :func:`xraylib.data.download.fetch` and the datasheets in data/; or the path of a
            manifest of your own images, see :mod:`xraylib.data.own_images`.
        size: side in pixels to resize to, see :func:`resize`; None keeps each image's own size.
            ``load("xray75", size=299)`` is what the report's models saw.
        interpolation: see :func:`resize`, as is the next.
        keep_aspect: whether the shape of a picture that is no square is kept.
        pictures: False reads the manifest alone; the files need not be there.
        max_images: images to draw of a larger set of files, at random, as many of each class and
            split as their shares say, but ten at least where there are; None: all.
        store: folder to keep images of this size in, see :func:`xraylib.data.arrays.filled`, if
            there are more than 300: for sets that do not fit into memory.
        **options: for "phantom": n (default 75) and seed (default 0), and the other parameters
            of :func:`xraylib.data.phantoms.stream`.

    Returns:
        Dataset.

    Raises:
        ValueError, TypeError: no such set, size, interpolation or option.
        DatasetError: see :func:`xraylib.data.download.fetch`.
        xraylib.data.images.ImageError: a file with the right checksum is no image.
    """
    how = size, interpolation, keep_aspect
    if size is not None:
        _check_resize(size, interpolation)
    if name == "phantom":
        if not pictures:
            raise ValueError('pictures: "phantom" is computed, and nothing but pictures; leave out')
        data = _phantoms(**options)
        return data if size is None else replace(data, images=resize(data.images, *how))
    image_set = find(name)
    if options:
        raise TypeError(f"load({image_set.name!r}) takes no further options, got {[*options]}")
    table = image_set.table()
    whole, images = len(table), None
    if max_images is not None and whole > max_images:
        table = _draw(table, max_images)
    if pictures:
        check = None
        if image_set.url is None:
            folder = Path(image_set.manifest).parent
            remedy = f"put it back, or: {anew(folder)} --force"
            check = functools.partial(check_files, folder, remedy=remedy)
        else:
            folder = fetch(image_set)  # which checks every file
        images = Pictures(folder, table.file)
        if size is not None:
            images = at_size(images, table, *how, store=store, check=check)
        else:
            if check is not None:
                check(table)
            images = list(images) if len(images) <= MANY else images
    return from_table(images, table, image_set.class_names, image_set.name, whole)


def at_size(pictures, table, size, interpolation, keep_aspect=False, *, store=None, check=None):
    """Files resized to squares by :func:`resize`, read and let go one by one.

    Args:
        pictures: sequence of uint8 (h, w, 3), such as :class:`Pictures`.
        table: what they are known by in the store: columns file and sha256.
        size: see :func:`resize`, like the next two.
        interpolation: likewise.
        keep_aspect: likewise.
        store: see :func:`load`.
        check: function of the table's lines that are about to be read; raises where a file is not
            as it should be.

    Returns:
        uint8 (n, size, size, 3), an array or OnDisk.
    """
    how = size, interpolation, keep_aspect

    def read(rows):
        if check is not None:
            check(table.iloc[rows.start : rows.stop])
        jobs = (joblib.delayed(lambda i: resize([pictures[i]], *how)[0])(i) for i in rows)
        # Threads: decoders and resizing work outside of Python.
        return joblib.Parallel(-1, "threading")(jobs)

    many, shape = len(table) > MANY, (len(table), size, size, 3)
    code = [Path(each).read_bytes() for each in (__file__, image_files.__file__)]
    known_by = table.file.tolist(), table.sha256.tolist(), how, code
    return arrays.filled(store if many else None, known_by, shape, np.uint8, read, progress=many)


def _draw(table, max_images):
    """A sample of a manifest's lines, the same each time, in their order."""
    parts = []
    for _, part in table.groupby(["label", "split"]):
        share = max(round(max_images * len(part) / len(table)), min(10, len(part)))
        parts.append(part.sample(share, random_state=0))
    return pd.concat(parts).sort_index().reset_index(drop=True)


def _phantoms(n=75, *, seed=0, **options):
    from xraylib.data import phantoms

    known = inspect.signature(phantoms.stream).parameters
    if unknown := [key for key in options if key not in known]:
        raise TypeError(f'load("phantom") takes the options {[*known]}, got {unknown}')
    phantoms.stream(n, seed=seed, **options)  # refuses what is out of range
    images, rows = [], []
    for record in phantoms.examples({"i": i, "seed": seed} | options for i in range(n)):
        images.append(np.repeat(record.image[..., None], 3, axis=2))
        height, width = record.image.shape
        truth = record.truth  # its boxes and masks do not fit into a table
        rows.append({
            "file": record.name, "label": record.label, "split": record.split,
            "group": record.group, "width": width, "height": height, "letter": truth["side"],
            "arrow": "no" if truth["arrow"] is None else "yes",
            "opacity": "yes" if truth["opacity_mask"].any() else "no",
        })  # fmt: skip
    return from_table(images, pd.DataFrame(rows), phantoms.CLASSES, "phantom")


def resize(images, size, interpolation="nearest", keep_aspect=False):
    """Resize images to squares with Pillow.

    Args:
        images: sequence of uint8 (h, w, 3).
        size: side of the result in pixels.
        interpolation: "nearest" (the report's), "bilinear", "bicubic", "lanczos", "box" or
            "hamming"; when it shrinks, nearest skips pixels where the others average.
        keep_aspect: False stretches what is no square, as in the report; True keeps the shape of
            the picture, in the middle, and fills the rest with black.

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
        change = ImageOps.pad if keep_aspect else Image.Image.resize
        resized[i] = change(Image.fromarray(image), (size, size), method)
    return resized


def _check_resize(size, interpolation):
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"size: expected a whole number of pixels from 1, got {size!r}")
    known = [method.name.lower() for method in Image.Resampling]
    if interpolation not in known:
        raise ValueError(f"interpolation: expected one of {known}, got {interpolation!r}")
    return Image.Resampling[interpolation.upper()]
