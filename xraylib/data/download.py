"""Files of an image set: fetched from where they are, each checked, some converted."""

import hashlib
import io
import logging
import os
from pathlib import Path

import pooch
from PIL import Image
from tqdm import tqdm

from xraylib.data import images as image_files
from xraylib.data.manifest import DATA, DatasetError, check_files, find

LONGEST = 512  # pixels, of an image converted here


def fetch(name, *, retries=3):
    """Download what is missing of an image set, and check every file.

    A file gets its name once it is complete and its SHA-256 right: an interrupted download goes on
    where it stopped, and several processes may run at once. The environment says where files are,
    <set> being ``xray75`` or ``covid-chestxray``:

    - XRAYLIB_DATA: a folder with <set>/<file>; read there, download nothing.
    - XRAYLIB_MIRROR: download <mirror>/<set>/<file> instead of the original.
    - XRAYLIB_CACHE: download into <cache>/<set>; by default data/cache of the repository.

    Originals of "covid" go into <cache>/<set>/originals, are checked against original_sha256 of the
    manifest, and are converted (:func:`convert`). A mirror and XRAYLIB_DATA have converted files.

    Args:
        name: "xray75", "covid" or an ImageSet, see :func:`xraylib.data.manifest.find`.
        retries: how often to try a file again, after 1, 2, 3, ... seconds.

    Returns:
        pathlib.Path of the folder that holds all files of the manifest.

    Raises:
        ValueError: no such set, or one that is computed or lies beside its manifest.
        DatasetError: a file is missing, wrong or not downloaded, or the cache cannot be written.
        xraylib.data.images.ImageError: an original with the right checksum cannot be decoded.
    """
    image_set = find(name)
    table, where = image_set.table(), image_set.folder or image_set.name
    if image_set.url is None:
        raise ValueError(
            f"{image_set.manifest}: its files lie beside it: there is nothing to fetch"
        )
    if there := os.environ.get("XRAYLIB_DATA"):
        remedy = "copy it again, or unset XRAYLIB_DATA to download the set"
        return check_files(Path(there).expanduser() / where, table, remedy)
    folder = Path(os.environ.get("XRAYLIB_CACHE") or DATA / "cache").expanduser() / where
    mirror = os.environ.get("XRAYLIB_MIRROR")
    converts = "original_sha256" in table and not mirror
    if converts:
        keys = "originals/" + table.original_filename
        hashes, urls = table.original_sha256, table.url
    else:
        base = f"{mirror.rstrip('/')}/{where}" if mirror else image_set.url.rstrip("/")
        keys, hashes, urls = table.file, table.sha256, base + "/" + table.file
    registry, urls = dict(zip(keys, hashes, strict=True)), dict(zip(keys, urls, strict=True))
    store = pooch.create(folder, "", registry=registry, urls=urls, retry_if_failed=retries)
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # a bar instead of two lines a file
    rows = zip(keys, table.itertuples(), strict=True)
    try:
        bar = {"desc": image_set.name, "unit": "file", "leave": False, "disable": None}
        for key, row in tqdm(rows, total=len(table), **bar):
            if converts and _is_converted(folder / row.file, row.sha256):
                continue
            # Pooch trips over folders that another process has just made (fatiando/pooch#554).
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            path = store.fetch(key, downloader=pooch.HTTPDownloader(timeout=30))
            if converts:
                _store_converted(path, folder / row.file, row)
    except (DatasetError, image_files.ImageError):
        raise
    except (OSError, ValueError) as error:
        # Network errors are OSErrors too, but only those of the file system carry a number.
        if getattr(error, "errno", None) is not None:
            raise DatasetError(
                f"{folder}: expected a folder to download to, but it cannot be used ({error}); set "
                "XRAYLIB_CACHE to one that can be written, or XRAYLIB_DATA to one with the files"
            ) from error
        raise DatasetError(
            f"{urls[key]}: expected to download it, but: {error}\n"
            f"What has arrived is kept: try again to go on. By hand: save it as {folder / key}, "
            f"and so on for each file of {image_set.manifest}. Or set XRAYLIB_DATA to a folder "
            f"that has {where}/{row.file} and the others, or XRAYLIB_MIRROR to a server that has."
        ) from error
    finally:
        log.setLevel(level)
    return folder


def convert(path):
    """Make the file of a set from its original.

    Transparency is composed on black, colour becomes grey by ITU-R 601, and an image with a side
    above 512 pixels is reduced by Lanczos until its longest has 512; none is enlarged.

    Args:
        path: an image file that :func:`xraylib.data.images.read` reads.

    Returns:
        bytes of an 8-bit grey PNG without metadata; other versions of Pillow or zlib may make
        other bytes of the same pixels.

    Raises:
        xraylib.data.images.ImageError: see :func:`xraylib.data.images.read`.
    """
    grey = Image.fromarray(image_files.read(path)).convert("L")
    grey.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS, reducing_gap=None)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _store_converted(original, path, row):
    content = convert(original)
    width, height = Image.open(io.BytesIO(content)).size
    if (width, height) != (row.width, row.height):
        raise DatasetError(
            f"{path}: expected {row.width} x {row.height} pixels from {original}, got "
            f"{width} x {height}; the manifest is not of this original: restore it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256(content).hexdigest()
    if found != row.sha256:
        # Another encoder makes other bytes, right all the same: note what they were.
        path.with_name(path.name + ".sha256").write_text(found)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_converted(path, expected):
    if not path.is_file():
        return False
    found, note = pooch.file_hash(path), path.with_name(path.name + ".sha256")
    return found == expected or (note.is_file() and note.read_text() == found)
