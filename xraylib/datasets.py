"""The image sets of the book: computed, or downloaded and checked file by file."""

import inspect
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pooch
from PIL import Image
from tqdm import tqdm

from xraylib import images as image_files

DATA = Path(__file__).resolve().parent.parent / "data"
COLUMNS = ("file", "label", "split", "group", "sha256")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


class DatasetError(OSError):
    """Files of an image set are missing or wrong; the message says which, and what to do."""


@dataclass(frozen=True)
class Source:
    """An image set made of files, described by a manifest.

    Attributes:
        name: its folder in the cache, and below XRAYLIB_DATA and XRAYLIB_MIRROR.
        manifest: path of a CSV, one line an image: file (below the set's folder, with forward
            slashes), label (index into class_names), split, group (a whole number, shared by the
            images of one patient), sha256, and whatever else is known.
        url: where url/file can be downloaded.
        class_names: name of label 0, of label 1, ...
    """

    name: str
    manifest: Path
    url: str
    class_names: tuple = ("chest", "abdomen")

    def table(self):
        """The manifest as a pandas.DataFrame, one row an image, empty cells as "".

        Raises:
            DatasetError: the manifest is missing, or cannot be right.
        """
        path = Path(self.manifest)
        if not path.is_file():
            raise DatasetError(
                f"{path}: expected the manifest of {self.name!r}, found no file; the folder data/ "
                f"stays beside the package: work in a clone, installed with pip install -e ."
            )
        try:
            table = pd.read_csv(path, keep_default_na=False)
        except ValueError as error:
            raise DatasetError(f"{path}: expected a CSV table ({error}); restore it") from error
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise DatasetError(f"{path}: expected the columns {COLUMNS}, found no {missing}")
        classes = range(len(self.class_names))
        for file, label in zip(table.file, table.label, strict=True):
            # A download must not land outside the set's folder.
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                raise DatasetError(f"{path}: expected a file below the set's folder, found {file}")
            if label not in classes:
                raise DatasetError(
                    f"{path}: {file}: expected a label of {list(classes)}, found {label!r}"
                )
        return table


SOURCES = {
    "xray75": Source(
        "xray75",
        DATA / "xray75.csv",
        "https://raw.githubusercontent.com/wfwiggins/Hello_World_Deep_Learning/"
        "ef91d266630768a5f6f2461c78abd6272fa53bd3/data",
    ),
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and what is known about them; entry i of everything belongs to image i.

    Attributes:
        images: uint8 RGB, 0..255: a list of (h, w, 3) at native sizes, or an array
            (n, size, size, 3).
        labels: int64 (n,), index into class_names.
        names: list of n different str; for sets made of files, the file.
        groups: int64 (n,); images of one patient share a number. Split by it.
        split: str (n,), "train" or "val".
        table: pandas.DataFrame of n rows: the manifest; for phantoms file, label, split, group,
            width and height in pixels, and letter, arrow, opacity: "yes" or "no".
        class_names: ("chest", "abdomen"): abdomen is 1, as the report scores it.
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
        images = images[index] if isinstance(images, np.ndarray) else [images[i] for i in index]
        table = self.table.iloc[index].reset_index(drop=True)
        return _dataset(images, table, self.class_names, self.name)

    def part(self, split):
        """The images of one split, "train" or "val"."""
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


def load(name, *, size=None, interpolation="nearest", **options):
    """Load an image set.

    Args:
        name: "phantom": computed, see :mod:`xraylib.phantoms`; "xray75": the report's 75
            radiographs, see :func:`fetch`; or a :class:`Source` of your own.
        size: side in pixels to resize to, see :func:`resize`; None keeps each image's own size.
            ``load("xray75", size=299)`` is what the report's models saw.
        interpolation: see :func:`resize`.
        **options: for "phantom" only: n (default 75) and seed (default 0), and the other
            parameters of :func:`xraylib.phantoms.stream`.

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
        dataset = _phantoms(**options)
    else:
        source = _source(name)
        if options:
            raise TypeError(f"load({source.name!r}) takes no further options, got {[*options]}")
        folder, table = fetch(source), source.table()
        images = [image_files.read(folder / file) for file in table.file]
        dataset = _dataset(images, table, source.class_names, source.name)
    if size is None:
        return dataset
    return replace(dataset, images=resize(dataset.images, size, interpolation))


def _phantoms(n=75, *, seed=0, **options):
    from xraylib import phantoms

    known = inspect.signature(phantoms.stream).parameters
    unknown = [key for key in options if key not in known]
    if unknown:
        raise TypeError(f'load("phantom") takes the options {[*known]}, got {unknown}')
    images, rows = [], []
    for record in phantoms.stream(n, seed=seed, **options):
        images.append(np.repeat(record.image[..., None], 3, axis=2))
        row = {"file": record.name, "label": record.label, "split": record.split}
        row |= {"group": record.group, "width": images[-1].shape[1], "height": len(images[-1])}
        # Boxes and masks do not fit into a table; they are in the records of phantoms.stream.
        truth = record.truth
        there = {"arrow": truth["arrow"] is not None, "opacity": truth["opacity_mask"].any()}
        row |= {"letter": truth["side"]}
        row |= {key: "yes" if value else "no" for key, value in there.items()}
        rows.append(row)
    return _dataset(images, pd.DataFrame(rows), phantoms.CLASSES, "phantom")


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


def fetch(name, *, retries=3):
    """Download what is missing of an image set, and check every file.

    A file appears under its name only once its SHA-256 is right: an interrupted download goes on
    where it stopped, and several processes may run at once. The environment says where files are:

    - XRAYLIB_DATA: a folder with <set>/<file>; read there, download nothing.
    - XRAYLIB_MIRROR: download <mirror>/<set>/<file> instead of the original.
    - XRAYLIB_CACHE: download into <cache>/<set>; by default data/cache of the repository.

    Args:
        name: "xray75" or a :class:`Source`.
        retries: how often to try a file again, after 1, 2, 3, ... seconds.

    Returns:
        pathlib.Path of the folder that holds all files of the manifest.

    Raises:
        ValueError: no such set, or one that is computed.
        DatasetError: a file is missing or wrong, its download failed, or the cache cannot be
            written.
    """
    source = _source(name)
    table = source.table()
    if os.environ.get("XRAYLIB_DATA"):
        folder = Path(os.environ["XRAYLIB_DATA"]).expanduser() / source.name
        for file, expected in zip(table.file, table.sha256, strict=True):
            _check_file(folder / file, expected)
        return folder
    folder = Path(os.environ.get("XRAYLIB_CACHE") or DATA / "cache").expanduser() / source.name
    mirror = os.environ.get("XRAYLIB_MIRROR")
    url = f"{mirror.rstrip('/')}/{source.name}" if mirror else source.url.rstrip("/")
    registry = dict(zip(table.file, "sha256:" + table.sha256, strict=True))
    store = pooch.create(folder, url + "/", registry=registry, retry_if_failed=retries)
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # a bar instead of two lines a file
    try:
        # Pooch trips over folders that another process has just made (fatiando/pooch#554).
        for parent in {(folder / file).parent for file in table.file}:
            parent.mkdir(parents=True, exist_ok=True)
        for file in tqdm(table.file, desc=source.name, unit="file", leave=False, disable=None):
            store.fetch(file, downloader=pooch.HTTPDownloader(timeout=30))
    except (OSError, ValueError) as error:
        # Network errors are OSErrors too, but only those of the file system carry a number.
        if getattr(error, "errno", None) is not None:
            raise DatasetError(
                f"{folder}: expected a folder to download to, but it cannot be used ({error}); "
                f"set XRAYLIB_CACHE to one that can be written, or XRAYLIB_DATA to one that has "
                f"the files already"
            ) from error
        raise DatasetError(
            f"{url}/{file}: expected to download it, but: {error}\n"
            f"What has arrived is kept: try again to go on. By hand: put {url}/<file> into "
            f"{folder}/<file> for each file of {source.manifest}. Or set XRAYLIB_DATA to a folder "
            f"that has {source.name}/{file} and the others, or XRAYLIB_MIRROR to a server that has."
        ) from error
    finally:
        log.setLevel(level)
    return folder


def _check_file(path, expected):
    remedy = "copy it again, or unset XRAYLIB_DATA to download the set"
    if not path.is_file():
        raise DatasetError(f"{path}: expected a file, found none; {remedy}")
    try:
        found = pooch.file_hash(str(path), alg="sha256")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if found != expected:
        raise DatasetError(f"{path}: expected SHA-256 {expected}, found {found}; {remedy}")


def _source(name):
    if isinstance(name, Source):
        return name
    if name == "phantom":
        raise ValueError('"phantom" is computed, there is nothing to fetch: use load("phantom")')
    if name not in SOURCES:
        raise ValueError(f"image set: expected one of {['phantom', *SOURCES]}, got {name!r}")
    return SOURCES[name]
