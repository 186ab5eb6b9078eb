"""A manifest: the table that says which files are an image set, and what is known of each.

A CSV with one line an image: file (below the set's folder, with forward slashes), label (0 or 1),
split, group (shared by the images of one person), sha256, and whatever else is known. Images of
your own have a column class too, with the name of the label.
"""

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd
import pooch

DATA = Path(__file__).resolve().parents[2] / "data"
COLUMNS = ("file", "label", "split", "group", "sha256")
CONVERTED = ("url", "original_filename", "original_sha256", "width", "height")


class DatasetError(OSError):
    """Files of an image set are missing or wrong; the message says which, and what to do."""


@dataclass(frozen=True)
class ImageSet:
    """An image set made of files, described by a manifest.

    Attributes:
        name: the set's name.
        manifest: path of the CSV. Of files made from a download, as
            :func:`xraylib.data.download.convert` does, it has url, original_filename and
            original_sha256 of that too, width and height of the file in pixels.
        url: where url/file can be downloaded, unless the manifest has a url for each file; None:
            the files lie beside the manifest, and nowhere else.
        class_names: of label 0 and of label 1.
        folder: its folder in the cache, and below XRAYLIB_DATA and XRAYLIB_MIRROR; by default
            its name.
        crossing: whether a person may stand on both sides of a split, which an audit finds.
    """

    name: str
    manifest: Path
    url: str | None
    class_names: tuple = ("chest", "abdomen")
    folder: str = ""
    crossing: bool = False

    def table(self):
        """The manifest as a pandas.DataFrame, one row an image, empty cells as "".

        Raises:
            DatasetError: the manifest is missing, or cannot be right: a column, a file or a group
                is missing, a file is twice there or outside the folder, a label is no label, or a
                person stands on both sides of a split.
        """
        path = Path(self.manifest)
        if not path.is_file():
            raise DatasetError(
                f"{path}: expected the manifest of {self.name!r}, found no file; the folder data/ "
                f"stays beside the package: work in a clone, installed with pip install -e ."
            )

        def wrong(expected):
            return DatasetError(f"{path}: expected {expected}; correct it, or restore it")

        try:
            table = pd.read_csv(path, keep_default_na=False, dtype={"file": str, "class": str})
        except ValueError as error:
            raise wrong(f"a CSV table ({error})") from error
        expected = COLUMNS + (CONVERTED if "original_sha256" in table else ())
        if missing := [column for column in expected if column not in table]:
            raise wrong(f"the columns {expected}, found no {missing}")
        for column in [c for c in ("file", "original_filename") if c in table]:
            if len(twice := table[column][table[column].duplicated()]):
                raise wrong(f"each {column} once, found {twice.iloc[0]} twice")
            for file in map(PurePosixPath, table[column]):
                # A download must not land outside the set's folder.
                if file.is_absolute() or ".." in file.parts:
                    raise wrong(f"a file below the set's folder, found {file}")
        numbers = pd.to_numeric(table.label, errors="coerce")  # an empty cell makes text of all
        for row, number in zip(table.itertuples(), numbers, strict=True):
            if number not in (0, 1):
                raise wrong(f"a label of 0 or 1 for {row.file}, found {row.label!r}")
            if not str(row.group).strip():
                raise wrong(f"a group for {row.file}, the person of whom it is, found none")
        table["label"] = numbers
        sides = table[table.split != ""].groupby("group").split.unique()
        if len(both := sides[sides.map(len) > 1]) and not self.crossing:
            group, parts = next(both.items())
            raise wrong(
                f"each person in one part of split, found group {group} in {' and '.join(parts)}"
            )
        if not pd.api.types.is_integer_dtype(table.group):  # names will do
            table["group"] = pd.factorize(table.group)[0]
        return table


IMAGE_SETS = {
    "xray75": ImageSet(
        "xray75",
        DATA / "xray75.csv",
        "https://raw.githubusercontent.com/wfwiggins/Hello_World_Deep_Learning/"
        "ef91d266630768a5f6f2461c78abd6272fa53bd3/data",
    ),
    "covid": ImageSet(
        "covid", DATA / "covid.csv", "", class_names=("other", "covid"), folder="covid-chestxray"
    ),
}


def find(name, *, crossing=False):
    """The :class:`ImageSet` of that name; an ImageSet of your own is returned as it is.

    The path of a manifest, str or Path, is a name too: its images lie beside it, and its column
    class names the classes, as :mod:`xraylib.data.own_images` writes it. With crossing, its people
    may stand on both sides of a split.

    Raises:
        ValueError: no such set, or one that is computed.
        DatasetError: no such manifest, or one that cannot be right.
    """
    if isinstance(name, ImageSet):
        return name
    if not str(name).endswith(".csv"):
        if name not in IMAGE_SETS:
            raise ValueError(
                f"image set: expected one of {list(IMAGE_SETS)} or the path of a manifest, got "
                f'{name!r} ("phantom" is computed: there are no files)'
            )
        return IMAGE_SETS[name]
    path = Path(name).expanduser().resolve()
    make = anew(path.parent)
    if not path.is_file():
        raise DatasetError(f"{path}: expected a manifest, found no file; make it: {make}")
    image_set = ImageSet(path.parent.name, path, None, crossing=crossing)
    table = image_set.table()

    def wrong(expected):
        return DatasetError(
            f"{path}: expected {expected}; correct it, or make it anew: {make} --force"
        )

    names = table.groupby("label")["class"].unique() if "class" in table else []
    if [len(name) for name in names] != [1, 1]:
        raise wrong("a column class with one name for label 0 and one for label 1")
    splits = sorted(set(table.split))
    both = table.label.groupby(table.split == "train").nunique()
    if not {"train", "val", "test"}.issuperset(splits) or both.tolist() != [2, 2]:
        found = f"each with images of both classes, found {', '.join(splits)}"
        raise wrong(f"the split train and val or test, {found}")
    return replace(image_set, class_names=tuple(name[0] for name in names))


def anew(folder):
    """The command that makes a manifest of a folder."""
    return f"python -m xraylib manifest {shlex.quote(str(folder))}"


def check_files(folder, table, remedy):
    """The folder, if it holds the files of a table with their SHA-256; otherwise a DatasetError."""
    for file, expected in zip(table.file, table.sha256, strict=True):
        path = folder / file
        if not path.is_file():
            raise DatasetError(f"{path}: expected a file, found none; {remedy}")
        try:
            found = pooch.file_hash(path)
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
        if found != expected:
            raise DatasetError(f"{path}: expected SHA-256 {expected}, found {found}; {remedy}")
    return folder


def store(texts):
    """Write texts, a dict from path to text: all of them or none."""
    partial = {path: path.with_name(f"{path.name}.{os.getpid()}.partial") for path in texts}
    try:
        for path, text in texts.items():
            partial[path].write_text(text, encoding="utf-8")
        for path in texts:
            partial[path].replace(path)
    except OSError as error:
        raise DatasetError(
            f"{path}: cannot be written ({error.strerror}); check rights and space, or copy the "
            "images to a folder where you may write"
        ) from error
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
