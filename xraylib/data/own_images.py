"""Your own images: from a folder with a sub-folder for each class to a manifest and a profile."""

import hashlib
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xraylib.data import images
from xraylib.data.manifest import DATA, DatasetError

PROFILES = DATA.parent / "notebooks" / "profiles"
CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX")  # and whatever begins with a dot
# What the chapters need: five folds of people, and 23 components of two thirds of the images.
IMAGES, IMAGES_A_CLASS, PEOPLE_A_CLASS = 50, 10, 5
MANY, LARGE = 300, 1  # images and gigabytes that a laptop takes in its stride
# Names of a class that is not what is looked for; the other is class 1.
NEGATIVE = {"normal", "normals", "healthy", "negative", "neg", "control", "controls", "other",
            "others", "none", "no finding", "no", "0", "benign"}  # fmt: skip
HEADER = """\
# Your own images. `python -m xraylib manifest FOLDER` writes the line "dataset" anew; what else
# you change here stays.
"""


def write(folder, *, positive=None, force=False):
    """Write the manifest of a folder of images, and the profile ``own.yml`` that names it.

    A sub-folder of a class's folder is named after a person, the same in both classes, and has
    this person's images; any other image is of a person of its own, identical files of one.

    Args:
        folder: has one sub-folder for each of two classes, with images at any depth.
        positive: which sub-folder is class 1; needless where the other one is called "normal",
            "no finding" or the like.
        force: replace a manifest that is there.

    Returns:
        (table, notes): DataFrame of the manifest, one row an image, with file, label, class, split
        ("train" or "val"), group, width and height in pixels, bytes, sha256; and a list of str,
        what the reader should know.

    Raises:
        DatasetError: the folder is not as above or has too few images or people, a file is no
            image, or something cannot be written. Nothing was written then.
    """
    folder = Path(folder).expanduser().resolve()
    manifest = folder / "manifest.csv"
    classes, notes = _classes(folder, positive)
    if manifest.exists() and not force:
        raise DatasetError(
            f"{manifest}: expected no manifest yet, found one; to make it anew, add --force; to go "
            "on with it, name it as the dataset in notebooks/profiles/own.yml"
        )
    profile = _profile(manifest)
    files = [row for label, name in enumerate(classes) for row in _files(folder, label, name)]
    table = _read(folder, pd.DataFrame(files, columns=["file", "label", "class", "person"]))
    table, about_people = _people(folder, table)
    _check_enough(folder, table)
    table["split"] = _split(table.label.to_numpy(), table.group.to_numpy())
    columns = ["file", "label", "class", "split", "group", "width", "height", "bytes", "sha256"]
    table = table[columns]
    _store({manifest: table.to_csv(index=False), PROFILES / "own.yml": profile})
    notes += about_people
    gigabytes = 3 * (table.width * table.height).sum() / 1e9
    if len(table) > MANY or gigabytes > LARGE:
        notes.append(
            f"{len(table)} images, {gigabytes:.1f} GB once read; the chapters keep them all in "
            f"memory, and are made for {MANY} of a megapixel: take fewer, or reduce them, if time "
            "or memory runs out"
        )
    return table, notes


def summary(table):
    """Images and people of each class, as text."""
    people = table.groupby(["label", "class"]).group
    counts = people.agg(images="size", people="nunique").reset_index("label")
    splits = pd.crosstab(table["class"], table.split)[["train", "val"]]
    return counts.join(splits).rename_axis(None).to_string()


def _classes(folder, positive):
    """Names of class 0 and class 1, and notes."""

    def wrong(found):
        expected = "a folder with one sub-folder of images for each of two classes"
        return DatasetError(f"{folder}: expected {expected}, found {found}")

    if not folder.exists():
        raise wrong("nothing; check the path")
    if not folder.is_dir():
        raise wrong("a file; name the folder that it lies in")
    there = sorted(_visible(folder), key=lambda path: (path.name.casefold(), path.name))
    names = [path.name for path in there if path.is_dir()]
    loose = [path.name for path in there if path.is_file() and path.name != "manifest.csv"]
    if not names:
        raise wrong(f"{len(loose)} files and no sub-folder; move the images of each class into one")
    if len(names) == 1:
        raise wrong(f"only {names[0]!r}; add a sub-folder for the other, or name the folder above")
    alike = {name.strip().casefold() for name in names}
    if "" in alike or len(alike) < len(names):
        expected = "names of classes that nobody confuses"
        raise DatasetError(f"{folder}: expected {expected}, found {names}; rename or merge them")
    if len(names) > 2:
        raise wrong(
            f"{len(names)}: {names}; the book's networks tell two apart: merge or move some"
        )
    if positive not in (None, *names):
        raise DatasetError(f"{folder}: --positive: expected one of {names}, got {positive!r}")
    if positive is None:
        plain = [re.sub("[-_]", " ", name.strip().casefold()) for name in names]
        negative = [name in NEGATIVE or name[:3] == "no " for name in plain]
        if sum(negative) != 1:
            first, second = map(shlex.quote, names)
            raise DatasetError(
                f"{folder}: expected to see from the names {names} which class is looked for, and "
                f"cannot: add --positive {first} or --positive {second}; sensitivity will be of "
                "that class"
            )
        positive = names[negative.index(False)]
    names.sort(key=lambda name: name == positive)
    notes = [f"class 1 is {positive!r}: a score of 1 says so, and sensitivity is of this class"]
    if loose:
        notes.append(f"left out, for they are in no class's folder: {_few(loose)}")
    return names, notes


def _visible(folder):
    try:
        paths = list(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); check rights") from error
    return [path for path in paths if path.name[0] != "." and path.name not in CLUTTER]


def _few(names, most=5):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def _files(folder, label, name):
    """For each file of a class, sorted: file, label, class, person."""
    rows, todo = [], [folder / name]
    while todo:
        for path in _visible(todo.pop()):
            if path.is_dir():
                todo.append(path)
                continue
            file = path.relative_to(folder)
            person = file.parts[1] if len(file.parts) > 2 else file.as_posix()
            rows.append((file.as_posix(), label, name, person))
    if not rows:
        expected = f"{folder / name}: expected images of the class {name!r}"
        raise DatasetError(f"{expected}, found none; add them, or move the folder away")
    return sorted(rows)


def _read(folder, table):
    """The table with what can be seen of the files: width, height, bytes, sha256."""
    rows, wrong = [], []
    for file in tqdm(table.file, desc="images", unit="file", leave=False, disable=None):
        path = folder / file
        try:
            file.encode()
            height, width = images.read(path).shape[:2]
            content = path.read_bytes()
        except UnicodeEncodeError:
            wrong.append(f"{ascii(file)}: expected a name in UTF-8; rename it")
        except (images.ImageError, OSError) as error:
            wrong.append(str(error))
        else:
            rows.append((width, height, len(content), hashlib.sha256(content).hexdigest()))
    if wrong:
        lines = "\n    ".join(wrong[:10] + [f"and {len(wrong) - 10} more"] * (len(wrong) > 10))
        raise DatasetError(
            f"{folder}: expected nothing but images in the folders of the classes, but "
            f"{len(wrong)} of {len(table)} files cannot be read; repair them or move them away:\n"
            f"    {lines}"
        )
    return table.join(pd.DataFrame(rows, columns=["width", "height", "bytes", "sha256"]))


def _people(folder, table):
    """The table with the column group, and notes."""
    same, notes = table.groupby("sha256"), []
    twice = table[same.label.transform("nunique") > 1].sort_values("sha256")
    if len(twice):
        both = f"the same file is in both: {_few(twice.file.tolist(), 4)}; take it out of one"
        raise DatasetError(f"{folder}: expected each image in one class, but {both}")
    if alone := (table.person == table.file).sum():
        notes.append(
            f"{alone} images are in no person's sub-folder, each is taken for a person of its own; "
            "where two are of one person, they may land on both sides of a split and make scores "
            f"too good: put them into one sub-folder, such as {table['class'][0]}/patient7"
        )
    classes = table.groupby("person").label.nunique()
    if both := classes.index[classes > 1].tolist():
        notes.append(f"a sub-folder of this name in each class is one person: {_few(both)}")
    copied = table[same.person.transform("nunique") > 1]
    if len(copied):
        equal = [" = ".join(files) for _, files in copied.groupby("sha256").file]
        notes.append(f"identical files, taken for one person: {_few(equal)}")
    person = pd.Series(pd.factorize(table.person)[0])
    group, before = person, None
    while not group.equals(before):  # copies can join people in a chain
        before = group
        group = group.groupby(table.sha256).transform("min").groupby(person).transform("min")
    return table.assign(group=pd.factorize(group)[0]), notes


def _check_enough(folder, table):
    groups = table.groupby("class").group
    images_of, people_of = groups.size(), groups.nunique()
    found = ", ".join(f"{images_of[c]} of {people_of[c]} people in {c}" for c in images_of.index)
    few = images_of.min() < IMAGES_A_CLASS or people_of.min() < PEOPLE_A_CLASS
    if few or len(table) < IMAGES:
        raise DatasetError(
            f"{folder}: expected {IMAGES} images or more, {IMAGES_A_CLASS} or more of "
            f"{PEOPLE_A_CLASS} people or more in each class, found {found}; the chapters deal the "
            "people into five parts and train on four: add images"
        )
    most = table.group.value_counts()
    if most.iloc[0] > images_of.min() / 2:
        whose = table.file[table.group == most.index[0]].iloc[0]
        raise DatasetError(
            f"{folder}: expected no person with more than half as many images as the smaller class "
            f"has ({images_of.min()}), but the person of {whose} has {most.iloc[0]}; such a person "
            "would decide every score alone: leave some of these images out"
        )


def _split(labels, groups):
    """The split of each image: whole people, about a sixth of each class's images, to "val"."""
    total = np.bincount(labels)

    def misfit(held_out):
        held = np.bincount(labels[held_out], minlength=2)
        return held.min() < 2, np.abs(held / total - 1 / 6).max()

    dealers = [StratifiedGroupKFold(6, shuffle=True, random_state=seed) for seed in range(10)]
    parts = [part for each in dealers for _, part in each.split(labels, labels, groups)]
    split = np.full(len(labels), "train")
    split[min(parts, key=misfit)] = "val"
    return split


def _profile(manifest):
    """The text of own.yml: what is there, or phantom.yml, with the line of the images replaced."""
    own = PROFILES / "own.yml"
    try:
        there = own.is_file()
        text = (own if there else PROFILES / "phantom.yml").read_text(encoding="utf-8")
    except OSError as error:
        raise DatasetError(
            f"{error.filename}: expected the profiles of the book ({error.strerror}); they stay "
            "beside the package: work in a clone, installed with pip install -e ."
        ) from error
    if not there:
        text = HEADER + re.sub(r"(?m)^#.*\n", "", text)
        # The report's way of resizing skips pixels; nobody else need do so.
        text = text.replace("interpolation: nearest", "interpolation: bilinear")
    line = f"dataset: {json.dumps(str(manifest), ensure_ascii=False)}"  # JSON is YAML too
    text, found = re.subn(r"(?m)^dataset:.*$", lambda _: line, text)
    if found != 1:
        expected = "one line that begins with 'dataset:'"
        raise DatasetError(f"{own}: expected {expected}, found {found}; delete the file")
    return text


def _store(texts):
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
