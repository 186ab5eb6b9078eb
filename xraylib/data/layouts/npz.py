"""Arrays in an .npz file, as MedMNIST and Keras have them."""

import math
import os
import shutil
import zipfile
import zlib

import numpy as np
import pandas as pd
import pooch
from PIL import Image
from tqdm import tqdm

from xraylib.data.layouts.classes import findings_of
from xraylib.data.layouts.folders import SPLITS, few
from xraylib.data.manifest import DatasetError


def arrays_in(path):
    """Folder, rows and notes of an .npz file, and where the picture of each row is: from file to
    (name of the array, position, how many labels it has)."""
    pairs = []
    try:
        arrays = np.load(path, allow_pickle=False)
        names = {name.lower(): name for name in arrays.files}  # X_train is x_train
        for word, split in (SPLITS | {"all": "", "": ""}).items():
            for x, y in (f"{word}_images", f"{word}_labels"), (f"x_{word}", f"y_{word}"):
                x, y = names.get(x.strip("_")), names.get(y.strip("_"))
                if x and y:
                    pairs.append((word or "all", split, x, y, arrays[y]))
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            f"{path}: expected an .npz file ({error}); fetch it again, or save its arrays anew, "
            "of pictures as uint8, of labels as numbers or str"
        ) from error
    rows, places, others = [], {}, set(arrays.files)
    for word, split, x, y, labels in pairs:
        others -= {x, y}
        for i, found in enumerate(_names(path, y, labels)):
            file = f"{word}/{i:06d}.png"
            places[file] = x, i, len(labels)
            rows.append((file, found, split))
    if not rows:
        known = few(sorted(arrays.files), 10)
        raise DatasetError(f"{path}: expected train_images, train_labels and so on, found {known}")
    rows = pd.DataFrame(rows, columns=["file", "labels", "split"]).assign(person="")
    notes = [f"left out, neither images nor labels: {few(sorted(others))}"] if others else []
    return path.with_suffix(""), rows, notes, places


def _names(path, key, labels):
    """The names of each image's labels, frozensets; of several columns their numbers."""
    if labels.ndim == 0 or labels.dtype.kind not in "buifUS":
        raise DatasetError(
            f"{path}: {key}: expected numbers or names, one line an image, got {labels.dtype} "
            f"{labels.shape}"
        )
    labels = labels.reshape(len(labels), math.prod(labels.shape[1:]))
    if labels.dtype.kind not in "US":
        numbers = labels.astype(float)
        whole = np.isnan(numbers) | (numbers == np.round(numbers))
        if not whole.all() or labels.shape[1] > 1 and (np.abs(np.nan_to_num(numbers)) > 1).any():
            expected = "1, 0 or -1 in each of several columns" if whole.all() else "whole numbers"
            raise DatasetError(f"{path}: {key}: expected {expected}, got {numbers.max()}")
        if labels.shape[1] > 1:
            return findings_of(np.nan_to_num(numbers, nan=-1), range(labels.shape[1]))
        labels = [["" if np.isnan(x) else str(int(x)) for x in row] for row in numbers]
    return [frozenset(str(name) for name in row if name) for row in np.asarray(labels, str)]


def unpack(path, folder, files, places):
    """Write the pictures of an .npz file as PNG: all of them or none."""
    sha256, noted = pooch.file_hash(path), ".unpacked"  # hidden: no film
    if folder.exists():
        try:
            of_this = (folder / noted).read_text() == sha256
        except (OSError, UnicodeDecodeError):
            of_this = False
        if of_this and all((folder / file).is_file() for file in files):
            return
        raise DatasetError(
            f"{folder}: expected no such folder yet, to unpack to, or all of what {path.name} now "
            "has; move it away"
        )
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    arrays, key = np.load(path, allow_pickle=False), None
    try:
        for file in tqdm(files, desc="unpacking", unit="image", leave=False, disable=None):
            if places[file][0] != key:  # one array at a time
                key, _, count = places[file]
                images = _pictures(path, key, arrays[key], count)
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[places[file][1]]).save(partial / file)
        (partial / noted).write_text(sha256)
        partial.replace(folder)
    except OSError as error:
        if isinstance(error, DatasetError):
            raise
        remedy = "check rights and space"
        raise DatasetError(f"{folder}: cannot be written ({error.strerror}); {remedy}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pictures(path, key, images, count):
    """uint8 (n, h, w) or (n, h, w, 3), checked."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    shape = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not shape or len(images) != count or not images.size:
        raise DatasetError(
            f"{path}: {key}: expected uint8 (n, h, w) or (n, h, w, 3) and as many labels, got "
            f"{images.dtype} {images.shape} and {count} labels"
        )
    return images
