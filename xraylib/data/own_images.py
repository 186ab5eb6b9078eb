"""Your own images: from a folder, a table or arrays to a manifest and a profile."""

import json
import re
import shlex

import joblib
import numpy as np
import pandas as pd
import pooch
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from xraylib.data import images, layouts
from xraylib.data.layouts.cells import stated
from xraylib.data.layouts.folders import few, proposed
from xraylib.data.manifest import DATA, DatasetError, store

PROFILES = DATA.parent / "notebooks" / "profiles"
# What the chapters need: five folds of people, and 23 components of two thirds of the images.
IMAGES, IMAGES_A_CLASS, PEOPLE_A_CLASS = 50, 10, 5
UNEVEN = 0.8  # a share of the larger class from which accuracy says little
HEADER = """\
# Your own images. `python -m xraylib manifest PATH` writes the line "dataset" anew; what else
# you change here stays.
"""


def write(path, *, force=False, **options):
    """Write the manifest of a set of images, and the profile ``own.yml`` that names it.

    Args:
        path: a folder or an .npz file, see :func:`xraylib.data.layouts.read`.
        force: replace a manifest that is there.
        **options: further ones of that function.

    Returns:
        (manifest, table, notes): its path, in the folder of the images; DataFrame, a row an image,
        with file, label, class, split, group, width and height in pixels, bytes, format, bits,
        sha256, and what else a table, folders of sites or DICOM say; list of str, what was
        understood and what the reader should know.

    Raises:
        DatasetError: see there; or there are too few images or people, a file is no image, or
            something cannot be written. Nothing was written then.
    """
    folder, rows, notes = layouts.read(path, **options)
    manifest = folder / "manifest.csv"
    if manifest.exists() and not force:
        raise DatasetError(
            f"{manifest}: expected no manifest yet, found one; to make it anew, add --force; to go "
            "on with it, name it as the dataset in notebooks/profiles/own.yml"
        )
    profile = _profile(manifest)
    table = _read(folder, rows)
    sure = "person" in options or "person" in options.get("columns", ())
    table, about_people = _people(folder, table, sure)
    _check_enough(folder, table)
    table["split"], about_splits = _splits(table)
    if doubtful := [f"{f} ({why})" for f, why in zip(table.file, table.doubt, strict=True) if why]:
        notes.append(f"{len(doubtful):,} images to look at, or to leave out: {few(doubtful)}")
    larger, count = next(table["class"].value_counts().items())
    if count >= UNEVEN * len(table):
        notes.append(
            f"always saying {larger!r} is right on {count:,} of {len(table):,} images: compare "
            "every accuracy with that, or look at sensitivity and specificity"
        )
    first = "file label class split group width height bytes format bits sha256".split()
    rest = table.columns.difference([*first, "person", "patient", "doubt"], sort=False)
    table = table[first + [c for c in rest if (table[c] != "").any()]]
    store({manifest: table.to_csv(index=False), PROFILES / "own.yml": profile})
    return manifest, table, notes + about_people + about_splits


def summary(table):
    """Images and people of each class, as text."""
    people = table.groupby(["label", "class"]).group
    counts = people.agg(images="size", people="nunique").reset_index("label")
    splits = pd.crosstab(table["class"], table.split)
    splits = splits[[name for name in ("train", "val", "test") if name in splits]]
    return counts.join(splits).rename_axis(None).to_string()


def _read(folder, table):
    """The table with what can be seen of the files."""
    jobs = (joblib.delayed(_look)(folder, file) for file in table.file)
    # Threads: decoders and sums work outside of Python.
    found = joblib.Parallel(-1, "threading", return_as="generator")(jobs)
    found = list(tqdm(found, "images", len(table), unit="file", leave=False, disable=None))
    if wrong := [each for each in found if isinstance(each, str)]:
        lines = "\n    ".join(wrong[:10] + [f"and {len(wrong) - 10} more"] * (len(wrong) > 10))
        raise DatasetError(
            f"{folder}: expected nothing but images in the folders of the classes, but "
            f"{len(wrong)} of {len(table)} files cannot be read; repair them or move them away:\n"
            f"    {lines}"
        )
    seen = pd.DataFrame(found, index=table.index).fillna("")
    return table.join(seen[seen.columns.difference(table.columns, sort=False)])


def _look(folder, file):
    """What can be seen of a file, a dict; or a str, what is wrong with it."""
    path = folder / file
    try:
        file.encode()
        picture, seen = images.read(path), images.header(path)
        size, sha256 = path.stat().st_size, pooch.file_hash(path)
    except UnicodeEncodeError:
        return f"{ascii(file)}: expected a name in UTF-8; rename it"
    except (images.ImageError, OSError) as error:
        return str(error)
    height, width = picture.shape[:2]
    found = {"width": width, "height": height, "bytes": size, "sha256": sha256}
    return found | {"doubt": images.doubt(picture)} | seen


def _people(folder, table, sure):
    """The table with the column group, and notes; sure: whether the reader has named people."""
    same, notes = table.groupby("sha256"), []
    twice = table[same.label.transform("nunique") > 1].sort_values("sha256")
    if len(twice):
        raise DatasetError(
            f"{folder}: expected each image in one class, but the same file is in both: "
            f"{few(twice.file, 4)}; take it out of one"
        )
    nobody = table.person == ""
    known = [table.sha256, table.person.mask(nobody, table.file)]
    patients = stated(table.get("patient", pd.Series("", index=table.index)))
    named = patients[patients != ""].nunique()
    if named > 1 and not sure:
        known.append(patients.mask(patients == "", table.file))
        notes.append(f"people are those that DICOM files name, {named:,} of them")
    elif nobody.any():
        how = "tell by --person, or with a table"
        if nobody.all() and (found := proposed(table.file)):
            pattern, count = found
            option = f"--person {shlex.quote(pattern)} --force"
            how = f"names share stems; for {count:,} people: {option}"
        notes.append(
            f"{nobody.sum():,} images are each taken for a person of its own; where two are of "
            f"one, they may land on both sides of a split and make scores too good: {how}"
        )
    classes = table[~nobody].groupby("person").label.nunique()
    if both := classes.index[classes > 1].tolist():
        notes.append(f"the same name in each class is one person: {few(both)}")
    if copies := [" = ".join(files) for _, files in same.file if len(files) > 1]:
        notes.append(f"identical files, taken for one person: {few(copies)}")
    group, before = pd.Series(np.arange(len(table)), index=table.index), None
    while not group.equals(before):  # copies can join people in a chain
        before = group
        for each in known:
            group = group.groupby(each).transform("min")
    return table.assign(group=pd.factorize(group)[0]), notes


def _check_enough(folder, table):
    of = table.groupby("class").group.agg(images="size", people="nunique")
    if (of < [IMAGES_A_CLASS, PEOPLE_A_CLASS]).any(axis=None) or len(table) < IMAGES:
        found = ", ".join(f"{n} of {who} people in {name}" for name, n, who in of.itertuples())
        raise DatasetError(
            f"{folder}: expected {IMAGES} images or more, {IMAGES_A_CLASS} or more of "
            f"{PEOPLE_A_CLASS} people or more in each class, found {found}; the chapters deal the "
            "people into five parts and train on four: add images"
        )
    group, most = next(table.group.value_counts().items())
    if most > of.images.min() / 2:
        whose = table.file[table.group == group].iloc[0]
        raise DatasetError(
            f"{folder}: expected no person with more than half as many images as the smaller class "
            f"has ({of.images.min()}), but the person of {whose} has {most}; such a person would "
            "decide every score alone: leave some of these images out"
        )


def _splits(table):
    """The split of each image: as it came, or dealt; and notes."""
    none, training = table.split == "", table.split == "train"
    both = table.groupby("group").split.transform("nunique") > 1
    wrong = {
        f"these have none: {few(table.file[none])}": none.any(),
        "nothing is for training": not training.any(),
        f"people are on both sides of it: {few(table.file[both])}": both.any(),
        "nothing is held out": training.all(),
        "a part lacks a class": (table.label.groupby(training).nunique() < 2).any(),
    }
    why = next((why for why, holds in wrong.items() if holds), None)
    if why is None:
        return table.split, ["the splits are kept; what is not for training is held out"]
    note = f"the split that came with the images is not kept, for {why}; dealt anew"
    dealt = _split(table.label.to_numpy(), table.group.to_numpy())
    return dealt, [] if none.all() else [note]


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
        raise DatasetError(
            f"{own}: expected one line that begins with 'dataset:', found {found}; delete the file"
        )
    return text
