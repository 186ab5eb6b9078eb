"""Arrays in an .npz file, as MedMNIST and Keras have them."""

import math
import os
import shutil
import zipfile

import numpy as np
import pandas as pd
import pooch
from PIL import Image
from tqdm import tqdm

from xraylib.data.layouts.folders import few
from xraylib.data.manifest import DatasetError


def arrays_in(path):
    """Folder and rows of an .npz file as MedMNIST and Keras have them, and where each array is."""
    try:
        arrays = np.load(path, allow_pickle=False)
        names = set(arrays.files)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path}: expected an .npz file ({error}); fetch it again") from error
    rows, places = [], {}
    for split in ("train", "val", "test", "all"):
        pairs = [(f"{split}_images", f"{split}_labels"), (f"x_{split}", f"y_{split}")]
        pairs += [("images", "labels")] if split == "all" else []
        for x, y in pairs:
            if x not in names or y not in names:
                continue
            labels = arrays[y]
            for i, found in enumerate(labels.reshape(len(labels), math.prod(labels.shape[1:]))):
                found = np.flatnonzero(found) if len(found) > 1 else found
                file = f"{split}/{i:06d}.png"
                places[file] = x, i, len(labels)
                rows.append((file, frozenset(map(str, found)) or frozenset({""}), split))
    if not rows:
        known = few(sorted(names), 10)
        raise DatasetError(f"{path}: expected train_images, train_labels and so on, found {known}")
    rows = pd.DataFrame(rows, columns=["file", "labels", "split"]).assign(person="")
    return path.with_suffix(""), rows.replace({"split": "all"}, ""), places


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
        raise DatasetError(
            f"{folder}: cannot be written ({error.strerror}); check rights and space"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _pictures(path, key, images, count):
    """uint8 (n, h, w) or (n, h, w, 3), checked."""
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    shape = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if images.dtype != np.uint8 or not shape or len(images) != count:
        raise DatasetError(
            f"{path}: {key}: expected uint8 (n, h, w) or (n, h, w, 3) and as many labels, got "
            f"{images.dtype} {images.shape} and {count} labels"
        )
    return images
