"""Image sets made of files: where the files come from, and whether they are the right ones."""

import hashlib
import io
import logging
import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd
import pooch
from PIL import Image
from tqdm import tqdm

from xraylib import images as image_files

DATA = Path(__file__).resolve().parent.parent / "data"
COLUMNS = ("file", "label", "split", "group", "sha256")
CONVERTED = ("url", "original_filename", "original_sha256", "width", "height")
LONGEST = 512  # pixels, of an image converted here


class DatasetError(OSError):
    """Files of an image set are missing or wrong; the message says which, and what to do."""


@dataclass(frozen=True)
class Source:
    """An image set made of files, described by a manifest.

    Attributes:
        name: the set's name.
        manifest: path of a CSV, one line an image: file (below the set's folder, with forward
            slashes), label (index into class_names), split, group (a whole number, shared by the
            images of one patient), sha256, and whatever else is known. Where the file is not
            what can be downloaded but made from it, see :func:`convert`, also: url,
            original_filename and original_sha256 of the download, width and height of the file
            in pixels.
        url: where url/file can be downloaded; unused where the manifest has a url for each file.
        class_names: name of label 0, of label 1, ...
        folder: its folder in the cache, and below XRAYLIB_DATA and XRAYLIB_MIRROR; by default
            its name. An absolute path: the files are there, and nowhere else.
        subsets: columns of the manifest that each pick a part of the set: the images whose cell
            is not empty; the cell is then their split.
    """

    name: str
    manifest: Path
    url: str
    class_names: tuple = ("chest", "abdomen")
    folder: str = ""
    subsets: tuple = ()

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
            table = pd.read_csv(path, keep_default_na=False, dtype={"file": str, "class": str})
        except ValueError as error:
            raise DatasetError(f"{path}: expected a CSV table ({error}); restore it") from error
        expected = COLUMNS + self.subsets + (CONVERTED if "original_sha256" in table else ())
        missing = [column for column in expected if column not in table]
        if missing:
            raise DatasetError(f"{path}: expected the columns {expected}, found no {missing}")
        classes = range(len(self.class_names))
        for column in [c for c in ("file", "original_filename") if c in table]:
            if not table[column].is_unique:
                twice = table[column][table[column].duplicated()].iloc[0]
                raise DatasetError(f"{path}: expected each {column} once, found {twice} twice")
            for file in map(PurePosixPath, table[column]):
                # A download must not land outside the set's folder.
                if file.is_absolute() or ".." in file.parts:
                    raise DatasetError(
                        f"{path}: expected a file below the set's folder, found {file}"
                    )
        for file, label in zip(table.file, table.label, strict=True):
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
    "covid": Source(
        "covid",
        DATA / "covid.csv",
        "",
        class_names=("other", "covid"),
        folder="covid-chestxray",
        subsets=("clean50",),
    ),
}


def find(name):
    """The :class:`Source` of that name; a Source of your own is returned as it is.

    The path of a manifest, str or Path, is a name too: its images lie beside it, and its column
    class names the classes, as :mod:`xraylib.manifest` writes it.

    Raises:
        ValueError: no such set, or one that is computed.
        DatasetError: no such manifest, or one that cannot be right.
    """
    if isinstance(name, Source):
        return name
    if str(name).endswith(".csv"):
        return _own(Path(name).expanduser().resolve())
    if name == "phantom":
        raise ValueError('"phantom" is computed, there is nothing to fetch: use load("phantom")')
    if name not in SOURCES:
        raise ValueError(f"image set: expected one of {['phantom', *SOURCES]}, got {name!r}")
    return SOURCES[name]


def _own(path):
    remedy = f"python -m xraylib manifest {shlex.quote(str(path.parent))}"
    if not path.is_file():
        raise DatasetError(f"{path}: expected a manifest, found no file; make it: {remedy}")
    source = Source(path.parent.name, path, "", ("0", "1"), folder=str(path.parent))
    table = source.table()
    names = table.groupby("label")["class"].unique() if "class" in table else []
    if [len(name) for name in names] != [1, 1] or set(table.split) != {"train", "val"}:
        raise DatasetError(
            f"{path}: expected a column class with one name for label 0 and one for label 1, and "
            f"the splits train and val; correct it, or make it anew: {remedy} --force"
        )
    return replace(source, class_names=tuple(name[0] for name in names))


def fetch(name, *, retries=3):
    """Download what is missing of an image set, and check every file.

    A file appears under its name only once it is complete and its SHA-256 is right: an
    interrupted download goes on where it stopped, and several processes may run at once. The
    environment says where files are, <set> being ``xray75`` or ``covid-chestxray``:

    - XRAYLIB_DATA: a folder with <set>/<file>; read there, download nothing.
    - XRAYLIB_MIRROR: download <mirror>/<set>/<file> instead of the original.
    - XRAYLIB_CACHE: download into <cache>/<set>; by default data/cache of the repository.

    The files of "covid" are not what its origin serves: each original is downloaded into
    <cache>/<set>/originals, checked against original_sha256 of the manifest, and converted as
    :func:`convert` says. A mirror and a folder of your own hold the converted files.

    Args:
        name: "xray75", "covid" or a :class:`Source`.
        retries: how often to try a file again, after 1, 2, 3, ... seconds.

    Returns:
        pathlib.Path of the folder that holds all files of the manifest.

    Raises:
        ValueError: no such set, or one that is computed.
        DatasetError: a file is missing or wrong, its download failed, or the cache cannot be
            written.
        xraylib.images.ImageError: an original with the right checksum cannot be decoded.
    """
    source = find(name)
    table = source.table()
    where = source.folder or source.name
    there = os.environ.get("XRAYLIB_DATA")
    remedy = "copy it again, or unset XRAYLIB_DATA to download the set"
    if Path(where).is_absolute():
        there = where
        remedy = "put it back, or make the manifest anew: "
        remedy += f"python -m xraylib manifest {shlex.quote(where)} --force"
    if there:
        folder = Path(there).expanduser() / where  # an absolute path stays as it is
        for file, expected in zip(table.file, table.sha256, strict=True):
            _check_file(folder / file, expected, remedy)
        return folder
    folder = Path(os.environ.get("XRAYLIB_CACHE") or DATA / "cache").expanduser() / where
    mirror = os.environ.get("XRAYLIB_MIRROR")
    converts = "original_sha256" in table and not mirror
    if converts:
        keys = "originals/" + table.original_filename
        hashes, urls = table.original_sha256, table.url
    else:
        base = f"{mirror.rstrip('/')}/{where}" if mirror else source.url.rstrip("/")
        keys, hashes, urls = table.file, table.sha256, base + "/" + table.file
    registry = dict(zip(keys, "sha256:" + hashes, strict=True))
    urls = dict(zip(keys, urls, strict=True))
    store = pooch.create(folder, "", registry=registry, urls=urls, retry_if_failed=retries)
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # a bar instead of two lines a file
    try:
        rows = zip(keys, table.itertuples(), strict=True)
        for key, row in tqdm(
            rows, total=len(table), desc=source.name, unit="file", leave=False, disable=None
        ):
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
                f"{folder}: expected a folder to download to, but it cannot be used ({error}); "
                f"set XRAYLIB_CACHE to one that can be written, or XRAYLIB_DATA to one that has "
                f"the files already"
            ) from error
        raise DatasetError(
            f"{urls[key]}: expected to download it, but: {error}\n"
            f"What has arrived is kept: try again to go on. By hand: save it as {folder / key}, "
            f"and so on for each file of {source.manifest}. Or set XRAYLIB_DATA to a folder that "
            f"has {where}/{row.file} and the others, or XRAYLIB_MIRROR to a server that has."
        ) from error
    finally:
        log.setLevel(level)
    return folder


def _check_file(path, expected, remedy):
    if not path.is_file():
        raise DatasetError(f"{path}: expected a file, found none; {remedy}")
    try:
        found = pooch.file_hash(str(path), alg="sha256")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if found != expected:
        raise DatasetError(f"{path}: expected SHA-256 {expected}, found {found}; {remedy}")


def convert(path):
    """Make the file of a set from its original.

    Transparency is composed on black, colour becomes grey by ITU-R 601, and an image whose
    longest side exceeds 512 pixels is reduced to that by Lanczos; none is enlarged.

    Args:
        path: an image file that :func:`xraylib.images.read` reads.

    Returns:
        bytes of an 8-bit grey PNG without metadata. The same pixels may make other bytes with
        another version of Pillow or zlib.

    Raises:
        xraylib.images.ImageError: see :func:`xraylib.images.read`.
    """
    grey = Image.fromarray(image_files.read(path)).convert("L")
    if max(grey.size) > LONGEST:
        scale = LONGEST / max(grey.size)
        size = tuple(max(1, round(side * scale)) for side in grey.size)
        grey = grey.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    grey.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _store_converted(original, path, row):
    content = convert(original)
    with Image.open(io.BytesIO(content)) as image:
        size = image.size
    if size != (row.width, row.height):
        raise DatasetError(
            f"{path}: expected {row.width} x {row.height} pixels from {original}, got "
            f"{size[0]} x {size[1]}; the manifest is not of this original: restore it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    found = hashlib.sha256(content).hexdigest()
    if found != row.sha256:
        # Another encoder makes other bytes, right all the same: note what they were.
        _note(path).write_text(found)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _is_converted(path, expected):
    if not path.is_file():
        return False
    found = pooch.file_hash(str(path), alg="sha256")
    return found == expected or (_note(path).is_file() and _note(path).read_text() == found)


def _note(path):
    return path.with_name(path.name + ".sha256")
