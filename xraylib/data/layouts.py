"""Image sets as people have them: folders, tables and arrays, to one line an image.

Which images there are, what they show, whose they are, in which split: as far as names of files and
folders, or a table, tell. Nothing is opened but tables and .npz files.
"""

import ast
import itertools
import os
import re
import shlex
import shutil
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from xraylib.data.manifest import DatasetError

CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX", "manifest.csv")  # and what begins with a dot
SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm",
            ".pnm", ".dcm", ".dicom", ".dic", ".ima", ""}  # fmt: skip
BESIDE = {".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".yml", ".yaml", ".xls", ".xlsx", ".pdf",
          ".docx", ".html", ".npy", ".npz", ".mat", ".nii", ".gz", ".zip", ".h5", ".log", ".py",
          ".ipynb", ".db"}  # fmt: skip
TABLES = (".csv", ".tsv", ".csv.gz")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
          "validate": "val", "dev": "val", "test": "test", "testing": "test",
          "eval": "test"}  # fmt: skip
# Words of folders that are neither a class nor a person, such as "images_001" and "stage_2_images".
GENERIC = {"image", "images", "img", "imgs", "png", "jpg", "jpeg", "dicom", "dcm", "film", "films",
           "xray", "xrays", "data", "dataset", "set", "stage", "part", "batch", "all"}  # fmt: skip
STUDY = re.compile(
    r"(study|series|session|visit|exam|date)?[_ -]?\d*|\d{4}[_-]?\d\d[_-]?\d\d|[\d.]{20,}"
    r"|(study|series|session|visit|exam)s?",
    re.I,
)
STUDY_OF = re.compile(r"^(study|series|session|visit|exam)[_ -]?\d+[_ -]+(?=[a-z])", re.I)
PERSON = re.compile(r"(patient|person|subject|child|case|sub|pat|pt|p|id)[_ -]?\d+", re.I)
NO_FILM = re.compile(
    r"mask|segment|annotation|ground.?truth|thumb|heat.?map|overlay|bounding", re.I
)
NO_FILM_STEM = re.compile(r"(^|[_. -])(mask|seg|segmentation|annotation|overlay|thumb|thumbnail)s?"
                          r"([_. -]?\d*)$", re.I)  # fmt: skip
# Names of a class that is not what is looked for; the other is class 1.
NEGATIVE = {"normal", "normals", "healthy", "negative", "neg", "control", "controls", "other",
            "others", "none", "no finding", "no", "0", "benign"}  # fmt: skip
# Names of people in public sets' files, and in files in general: as few as fit are proposed.
STEMS = (r"NORMAL2-IM-\d+|IM-\d+|person\d+", r"^\D*\d+(?=[_. -])", r"^.+(?=[_ -]\d+$)")
# Headers as the publishers of large sets write them, in small letters without signs.
LABEL = ("finding labels", "findings", "finding", "labels", "label", "class name", "class",
         "target", "diagnosis", "finding label", "category", "problems")  # fmt: skip
WHO = ("patient id", "patientid", "patient", "subject id", "subjectid", "subject", "person",
       "case id", "pid", "mrn")  # fmt: skip
SPLIT = ("split", "dataset split", "subset", "set", "partition")


def read(
    path, *, table=None, columns=(), person=None, label=None, positive=None, negative=None
):  # fmt: skip
    """What a folder, a table or an .npz file says of its images.

    Args:
        path: a folder with images at any depth, or an .npz file of arrays, which is unpacked into
            PNG files in a folder of its name.
        table: CSV with a line an image, or a line a folder of images, such as a study or a person;
            None: one in the folder, where its folders are no classes. Without a header its columns
            are called 1, 2, ...
        columns: dict with the table's columns "file", "label" and "person"; what is missing is
            recognised.
        person: regular expression that finds a person in the path of a file below the folder; its
            first group if it has one.
        label: likewise for its label, where neither folders nor a table tell.
        positive: the label that is class 1; None: the one that looks so, or, where there are more
            than two and negative is given, all others.
        negative: the label that is class 0; None: all others.

    Returns:
        (folder, rows, notes): Path; pandas.DataFrame with file (below the folder), label (0 or 1),
        class (its name), split ("", or "train", "val", "test"), person ("" where unknown) and
        further columns of the table; list of str, what was understood and what was left out.

    Raises:
        DatasetError: the path is none of these, two classes cannot be told, or a column or a person
            cannot be found.
    """
    path = Path(path).expanduser().resolve()
    folder, notes, places = path, [], {}
    if path.suffix == ".npz" and path.is_file():
        folder, rows, places = _arrays(path)
        notes.append(f"the arrays of {path.name} are PNG files now, in {folder}")
    else:
        files, notes = _images(folder)
        rows, more = _understood(folder, files, table, dict(columns), positive or negative, label)
        notes += more
    rows, more = _classes(path, rows, positive, negative)
    notes += more
    if places:
        _unpack(path, folder, rows.file, places)
    if person is not None:
        rows["person"], lacking = _by_pattern(folder, rows.file, "person", person)
        if lacking:
            notes.append(f"--person finds nobody in {few(lacking)}: each is a person of its own")
    return folder, rows.reset_index(drop=True), notes


def few(names, most=5):
    """A list for a message: the first of them and how many more there are."""
    names = list(map(str, names))
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def visible(folder):
    """What is in a folder but for hidden files and what systems leave there, sorted."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: (path.name.casefold(), path.name))
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); check rights") from error
    return [path for path in paths if path.name[0] != "." and path.name not in CLUTTER]


def _images(folder):
    """Files that may be films, PurePosixPath below the folder, sorted; notes of all others."""
    expected = f"{folder}: expected a folder of images or an .npz file of arrays, found"
    if not folder.exists():
        raise DatasetError(f"{expected} nothing; check the path")
    if not folder.is_dir():
        raise DatasetError(f"{expected} another file; name the folder that it lies in")
    films, beside, drawn, todo = [], [], [], [folder]
    while todo:
        for path in visible(todo.pop()):
            if path.is_dir():
                todo.append(path)
                continue
            file = PurePosixPath(path.relative_to(folder).as_posix())
            no_film = any(map(NO_FILM.search, file.parts[:-1])) or NO_FILM_STEM.search(file.stem)
            if file.suffix.lower() in BESIDE:
                beside.append(file)
            else:
                (drawn if no_film else films).append(file)
    if not films:  # a set of masks, or of films under such a name
        films, drawn = drawn, []
    notes = []
    if drawn:
        places = Counter(file.parent for file in drawn)
        where = few(f"{count:,} in {place}" for place, count in sorted(places.items()))
        notes.append(f"left out as masks, thumbnails or annotations by their names: {where}")
    if beside := [file for file in beside if not file.name.endswith(TABLES)]:
        notes.append(f"left out, no images: {few(sorted(beside))}")
    return sorted(films), notes


def _understood(folder, files, table, columns, named, label):
    """Rows with file, labels (a set), split, person and more, by folders or else by a table."""
    by_folder, notes = _by_folder(folder, files)
    if label is not None:
        found, _ = _by_pattern(folder, by_folder.file, "label", label)
        by_folder["labels"] = found.map(lambda name: frozenset([name] * bool(name)))
        return _without(by_folder, found == "", "--label finds nothing in their names", notes)
    classes = by_folder.labels.map(len).gt(0)
    names = set().union(*by_folder.labels)
    asked = table is not None or columns
    if not asked and (len(names) == 2 or named in names):
        return _without(by_folder, ~classes, "they are in no class's folder", notes)
    found, places = _tables(folder, files, table), _places(files)
    read = _read(folder, found if asked else _naming(found, places), files, columns)
    if not read and (asked or len(found) > 1):
        others = {name: each for name, each in _tables(folder, files, None).items()
                  if name not in found} if table is not None else {}  # fmt: skip
        read = _joined(folder, found, others, files, columns)
    if read:
        # Most images first; then the one that needs no further question.
        best = max(
            read, key=lambda path: (len(read[path][0]), -len(set().union(*read[path][0].labels)))
        )
        rows, more = read[best]
        return rows, [f"labels are from the table {best}: {more[0]}", *more[1:]]
    if asked:
        headers = {column for each in found.values() for column in each}
        for what, name in columns.items():
            if name not in headers:
                raise DatasetError(
                    f"--{what}: expected a column of the table, one of {few(sorted(headers), 20)}; "
                    f"got {name!r}"
                )
        known = [f"{path}: {few(each.columns, 8)}" for path, each in found.items()]
        raise DatasetError(
            f"{folder}: expected a table with a column of file names that are here and one of "
            f"labels, found {'; '.join(known)}; name them: --file COLUMN --label COLUMN"
        )
    _no_classes(folder, files, names, found)
    return _without(by_folder, ~classes, "they are in no class's folder", notes)


def _no_classes(folder, files, names, tables):
    """Say why folders are no two classes, where no option can help."""
    expected = f"{folder}: expected a sub-folder of images for each of two classes, found"
    remedy = (
        "move the images of each class into one, or give a table, --table FILE.csv, or say where "
        "names of files have the label, --label REGEX"
    )
    if tables:
        remedy = (
            f"labels may be in {few(tables)}: name the columns, --table FILE.csv --file COLUMN "
            "--label COLUMN"
        )
    if not names:
        raise DatasetError(f"{expected} {len(files):,} images and no such sub-folder; {remedy}")
    empty = [path.name for path in visible(folder) if path.is_dir() and not any(path.rglob("*.*"))]
    if len(names) == 1 and empty:
        raise DatasetError(
            f"{folder}: expected images of the class {empty[0]!r}, found none; add them, or move "
            "the folder away"
        )
    if len(names) == 1:
        only = next(iter(names))
        raise DatasetError(
            f"{expected} only {only!r}; add a sub-folder for the other, or name the folder above, "
            f"or {remedy}"
        )
    if len(names) > max(20, len(files) // 20):
        raise DatasetError(
            f"{expected} {len(names):,} ({few(sorted(names))}), which look like people, not like "
            f"classes; {remedy}"
        )


def _without(rows, which, why, notes):
    if which.any():
        notes = [*notes, f"left out, for {why}: {few(rows.file[which])}"]
    return rows[~which].reset_index(drop=True), notes


def _by_folder(folder, files):
    """Rows as the folders say: splits, one level of classes, then sites and people."""
    splits, parts = [], []
    for file in files:
        known = [(name, _words(name)) for name in file.parts[:-1]]
        named = [SPLITS[word] for _, words in known for word in words if word in SPLITS]
        splits.append(named[0] if named else "")
        # A set that was unpacked into a folder of its own name may lie in it twice.
        parts.append(
            [STUDY_OF.sub("", name) for name, words in known if not words and name != folder.name]
        )
    # A folder around everything is no class, unless there is nothing else.
    while parts and all(len(each) > 1 for each in parts) and len({each[0] for each in parts}) == 1:
        parts = [each[1:] for each in parts]
    level = _level_of_classes(parts)
    parts = [[*each[level : level + 1], *each[:level], *each[level + 1 :]] for each in parts]
    rows = pd.DataFrame(
        {
            "file": [file.as_posix() for file in files],
            "labels": [frozenset(each[:1]) for each in parts],
            "split": splits,
            "person": "",
        }
    )
    below = [[name for name in each[1:] if not _is_study(name)] for each in parts]
    level, notes = _level_of_people(below)
    if level is not None:
        rows["person"] = [
            "/".join(each[: level + 1]) if len(each) > level else "" for each in below
        ]
    if level != 0 and any(below):
        rows["site"] = [each[0] if each else "" for each in below]
    if any(splits):
        notes.insert(0, f"the folders {few(sorted(set(splits) - {''}))} are taken for splits")
    return rows, notes


def _level_of_classes(parts):
    """Which level of folders are classes: 0, unless they are below people or, of all, say so."""
    depth = min(map(len, parts), default=0)
    levels = [{each[level] for each in parts} for level in range(depth)]
    for level, names in enumerate(levels):
        if len(names) == 2 and sum(map(_is_negative, names)) == 1:
            return level
    if depth < 2:
        return 0
    people = np.mean([bool(PERSON.fullmatch(name)) or name.isdigit() for name in levels[0]]) > 0.5
    return int(people and 1 < len(levels[1]) <= 20 and not any(map(_is_study, levels[1])))


def _is_negative(name):
    """Whether a name of a class says that nothing was found."""
    plain = re.sub("[-_]", " ", name.strip().casefold())
    return plain in NEGATIVE or plain[:3] == "no "


def _words(name):
    """The words of a folder's name if all of them are of splits or general, else none."""
    words = re.findall("[a-z]+", re.sub("x[-_ ]ray", "xray", name.lower()))
    return words if all(word in GENERIC or word in SPLITS for word in words) else []


def _is_study(name):
    return bool(STUDY.fullmatch(name)) and not name.isdigit()


def _level_of_people(below):
    """Which level of folders below a class is people, or None; what is above them are sites."""
    levels = []
    for level in range(max(map(len, below), default=0)):
        levels.append(Counter(tuple(each[: level + 1]) for each in below if len(each) > level))
    for level in reversed(range(len(levels))):
        if np.mean([bool(PERSON.fullmatch(folder[-1])) for folder in levels[level]]) > 0.5:
            return level, []
    for level, here in enumerate(levels):
        deeper = levels[level + 1] if level + 1 < len(levels) else Counter()
        if deeper.total() > here.total() / 2 and len(deeper) >= 2 * len(here):
            continue
        if len(here) < 10 and here.total() > 20 * len(here):
            names = few(sorted({folder[-1] for folder in here}))
            return None, [f"sub-folders of many images are taken for sites, not people: {names}"]
        return level, []
    return None, []


def _by_pattern(folder, files, what, pattern):
    """What a regular expression finds in the path of each file, or ""; and files without it."""
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise DatasetError(
            f"--{what}: expected a regular expression, got {pattern} ({error})"
        ) from error
    found = [regex.search(file) or regex.search(Path(file).stem) for file in files]
    if not any(found):
        raise DatasetError(
            f"{folder}: --{what}: expected a pattern that is in names of files, but {pattern} is "
            f"in none, such as {few(files, 2)}"
        )
    names = [m and (m[1] if regex.groups else m[0]) or "" for m in found]
    lacking = [file for file, name in zip(files, names, strict=True) if not name]
    return pd.Series(names, index=files.index), lacking


def proposed(files):
    """A pattern by which names of files share people, and how many there would be; or None."""
    for pattern in STEMS:
        stems = files.map(lambda file: PurePosixPath(file).stem)
        names = stems.str.extract(f"({pattern})")[0].fillna(files)
        sizes = names.value_counts()
        if len(sizes) < 0.95 * len(files) and sizes.iloc[0] <= max(20, len(files) / 20):
            return pattern, len(sizes)
    return None


# Tables


def _plain(header):
    return re.sub(r"[\W_]+", " ", str(header).lower()).strip()


def _tables(folder, files, table):
    """DataFrames of str by name: the table, or all in the folder; those of equal columns as one."""
    if table is not None:
        paths = [Path(table).expanduser()]
        if not paths[0].is_file():
            paths = [folder / table]
    else:
        paths = [p for p in visible(folder) if p.name.endswith(TABLES)] if folder.is_dir() else []
    found, known = {}, _places(files)
    for path in paths:
        try:
            each = pd.read_csv(path, dtype=str, keep_default_na=False, sep=None, engine="python")
            if any(_place(name, known) for name in each.columns):  # no header, but a file's line
                line = pd.DataFrame([list(each.columns)], columns=each.columns)
                each = pd.concat([line, each], ignore_index=True)
                each.columns = [str(number) for number in range(1, len(each.columns) + 1)]
        except (OSError, ValueError, pd.errors.ParserError) as error:
            if table is None:
                continue
            raise DatasetError(f"{path}: expected a CSV table ({error}); check it") from error
        counted = list(map(str, range(len(each))))  # as pandas numbers lines
        each = each[[c for c in each if c[:9] != "Unnamed: " or each[c].tolist() != counted]]
        for other, there in found.items():
            if list(there.columns) == list(each.columns):
                found[other] = pd.concat([there, each], ignore_index=True)
                break
        else:
            found[path.name] = each
    return found


def _read(folder, tables, files, columns):
    """(rows, notes) of each table that has the named columns, files and labels."""
    read = {
        path: _by_table(folder, table, files, columns)
        for path, table in tables.items()
        if set(columns.values()) <= set(table)
    }
    return {path: each for path, each in read.items() if each is not None}


def _naming(tables, places):
    """The tables without those whose numbers only look like names of files: 7 is no 7.png where
    another table says 7.png."""
    number = {
        name: all(cell.strip().isdigit() for cell in table[column][found.notna()])
        for name, table in tables.items()
        for column, found in [_of_files(table, places, table)]
        if found.notna().any()
    }
    return {n: t for n, t in tables.items() if not number.get(n) or all(number.values())}


def _of_files(table, places, candidates):
    """The column that names most files, and the files."""
    found = {name: table[name].map(lambda cell: _place(cell, places)) for name in candidates}
    name = max(found, key=lambda name: found[name].notna().sum())
    return name, found[name]


def _joined(folder, named, others, files, columns):
    """What :func:`_read` gives where one table names files and another says what they show, such
    as of an examination, by its number; one of the two at least is named.

    Raises:
        DatasetError: which column says what belongs together, or which table has the labels, cannot
            be told.
    """
    places, read = _places(files), {}
    tables = named | others
    for (name, table), (other, more) in itertools.permutations(tables.items(), 2):
        if name not in named and other not in named:
            continue
        file, found = _of_files(table, places, table)
        table = table[found.notna()]
        if not len(table):
            continue
        plain = Counter(map(_plain, table))
        alike = {_plain(c): c for c in table if _plain(c) and plain[_plain(c)] == 1}
        headers = Counter(map(_plain, more))
        more = more.rename(
            columns={c: alike[_plain(c)] for c in more
                     if headers[_plain(c)] == 1 and _plain(c) in alike}
        )  # fmt: skip
        common = [c for c in more if c in table and c != file]
        against = {}
        for key in common:
            line = _lines(table[key], more[key])
            if line is None:
                continue
            mine, theirs = table[line >= 0], more.iloc[line[line >= 0]]
            against[key] = [c for c in common if _differ(mine[c], theirs[c])]
            if not against[key]:
                said = theirs[[c for c in more if c not in table]].reset_index(drop=True)
                whole = mine.reset_index(drop=True).join(said)
                known_as = f"{name} with {other}, joined by {key!r}"
                together = columns | {"together": key}
                read |= _read(folder, {known_as: whole}, files, together)
                break
        else:
            if against:
                key, differing = next(iter(against.items()))
                raise DatasetError(
                    f"{folder}: lines of {name} and {other} with the same {key!r} differ in "
                    f"{few(differing)}; rename what means something else in the two"
                )
    if len({tuple(rows.labels) for rows, _ in read.values()}) > 1:
        raise DatasetError(f"{folder}: labels may be in {few(read)}; say which: --table FILE.csv")
    return read


def _lines(numbers, of):
    """For each of some numbers the position of its line in another table, or -1; None where that
    table has a number twice, or lacks many of them, or both only count their lines."""
    numbers, of = numbers.str.strip(), of.str.strip()
    known = of[of != ""]
    counted = [[str(i + first) for i in range(len(of))] for first in (0, 1)]
    if not known.is_unique or of.tolist() in counted and numbers.is_unique:
        return None
    position = dict(zip(of, range(len(of)), strict=True))
    line = np.array([position[each] if each and each in position else -1 for each in numbers])
    return line if (line >= 0).sum() >= 0.8 * max(1, (numbers != "").sum()) else None


def _differ(mine, theirs):
    """Whether two columns say different things of more than a few lines."""
    mine, theirs = mine.str.strip().to_numpy(), theirs.str.strip().to_numpy()
    both = (mine != "") & (theirs != "")
    return bool(both.any()) and np.mean(mine[both] != theirs[both]) > 0.1


def _by_table(folder, table, files, columns):
    """(rows, notes) of a table, or None where it has no file names or no labels."""
    places = _places(files)
    candidates = [columns["file"]] if "file" in columns else list(table)
    (name, file), of = _of_files(table, places, candidates), "files"
    if file.isna().all():
        of = "folders"
        name, table, file = _of_folders(table, files, candidates)
        if name is None:
            return None
    notes = []
    plain = {_plain(header): header for header in table}
    label = columns.get("label") or next(
        (plain[n] for n in LABEL
         if n in plain and plain[n] != name and not _is_prose(table[plain[n]])), None
    )  # fmt: skip
    who = columns.get("person") or next((plain[n] for n in WHO if n in plain), None)
    findings = [] if label else [c for c in table if c not in (name, who) and _is_finding(table[c])]
    if not label and not findings:
        return None
    if label:
        labels = table[label].map(_findings)
        what = f"labels in {label!r}"
    else:
        marks = table[findings].apply(pd.to_numeric, errors="coerce")
        labels = pd.Series([frozenset(c for c, v in zip(findings, row, strict=True) if v == 1)
                            | {f"{c} or not" for c, v in zip(findings, row, strict=True) if v == -1}
                            for row in marks.to_numpy()], index=table.index)  # fmt: skip
        labels = labels.map(lambda found: found or frozenset({""}))
        what = f"a column for each of {few(findings)}"
    split = _splits(folder, {plain[n]: table[plain[n]] for n in SPLIT if n in plain})
    used = {name, label, who, split.name if split is not None else None, *findings}
    rest = [c for c in table if c not in used and _plain(c) not in _OURS]
    rows = pd.DataFrame({"file": file, "labels": labels, "split": "", "person": ""})
    by_folder, _ = _by_folder(folder, files)
    if who:
        rows["person"] = table[who].str.strip()
    if split is not None:
        rows["split"] = split
    rows = rows.join(table[rest].rename(columns=_plain))[file.notna()]
    lacking = int(file.isna().sum())
    # Several lines of a file, such as one a box, are taken together.
    if (rows.groupby("file").split.nunique() > 1).any():
        several = rows.groupby("file").split.nunique()
        raise DatasetError(
            f"{folder}: {few(several.index[several > 1])} in more than one split; correct the table"
        )
    every = {column: "first" for column in rows if column not in ("file", "labels")}
    every["labels"] = lambda sets: frozenset().union(*sets)
    rows = rows.groupby("file", sort=True).agg(every).reset_index()
    by_folder = by_folder.set_index("file").loc[rows.file]
    if split is None:
        rows["split"] = by_folder.split.to_numpy()
    if not who:
        people = [[n for n in f.split("/")[:-1] if PERSON.fullmatch(n)] for f in rows.file]
        rows["person"] = [found[-1] if found else "" for found in people]
    people = f"in {who!r}" if who else "from folders" if rows.person.any() else "unknown"
    notes.insert(0, f"{of} in {name!r}, {what}, people {people}")
    if not rows.person.any():
        key = _plain(columns.get("together", ""))
        # An examination has some films, and all of one person; what has more is no examination.
        if key in rows and rows[key].value_counts().median() <= 6:
            rows["person"] = rows[key]
            notes.append(f"people are unknown: the films of one {columns['together']!r} are kept "
                         "together, as if it were a person")  # fmt: skip
    if split is not None:
        notes.append(f"splits are in {split.name!r}")
    if lacking:
        absent = few(table[name][file.isna()])
        notes.append(f"{lacking:,} lines of the table name what is not here: {absent}")
    if left := sorted({f.as_posix() for f in files} - set(rows.file)):
        notes.append(f"left out, for the table does not name them: {few(left)}")
    return rows, notes


def _of_folders(table, files, candidates):
    """A table with a line a folder, such as a study: the column, and table and files a line a file.

    Of several such columns the one of most folders counts: a study's labels, not a person's.
    """
    within = {}
    for file in files:
        for folder in {part.lower() for part in file.parts[:-1]}:
            number = re.fullmatch(r"[a-z]{1,8}[_-]?(\d+)", folder)  # s50414267 is study 50414267
            for key in {folder, *(number.groups() if number else ())}:
                within.setdefault(key, []).append(file.as_posix())
    cells = {name: table[name].str.strip().str.lower() for name in candidates}
    # Each folder has one line; a class has many.
    known = {name: set(each) & set(within) for name, each in cells.items() if each.is_unique}
    name = max(known, key=lambda name: len(known[name]), default=None)
    if name is None or not known[name]:
        return None, table, None
    table = table.assign(**{_BELOW: cells[name].map(within)}).explode(_BELOW, ignore_index=True)
    return name, table.drop(columns=_BELOW), table[_BELOW].where(table[_BELOW].notna(), None)


_BELOW = "files below a folder"
_OURS = {"file", "label", "class", "split", "group", "sha256", "width", "height", "bytes"}


def _splits(folder, columns):
    """The first of some columns that has splits, by the names that manifests have; or None."""
    for name, column in columns.items():
        values = column.str.strip()
        found = values.str.lower().map(SPLITS)
        if (found == "train").any():
            if strange := Counter(values[found.isna()]):
                what = few(f"{value!r} ({count:,})" for value, count in strange.most_common())
                raise DatasetError(
                    f"{folder}: expected train, val or test in each line of {name!r}, found "
                    f"{what}; take these lines out, or rename the column to deal images anew"
                )
            return found
    return None


def _is_prose(column):
    """Whether a column is what a report says, under the name of a column of labels."""
    lengths = [len(name) for cell in column.unique() for name in _findings(cell)]
    return bool(lengths) and np.median(lengths) > 40


def _is_finding(column):
    values = set(column.str.strip()) - {""}
    return (
        bool(values)
        and values <= {"0", "1", "-1", "0.0", "1.0", "-1.0"}
        and bool(values & {"1", "1.0"})
    )


def _findings(cell):
    """The names in a cell such as "Effusion|Mass", "['effusion', 'mass']" or "Pneumonia/Viral"."""
    cell = cell.strip()
    if cell.startswith("["):
        try:
            return frozenset(str(each).strip() for each in ast.literal_eval(cell)) or frozenset()
        except (ValueError, SyntaxError):
            cell = cell.strip("[]")
    return frozenset(part.strip() for part in re.split(r"[|;/]", cell) if part.strip())


def _places(files):
    """From each end of a path, in small letters, to the file; None where two have it."""
    places = {}
    for file in files:
        parts = file.as_posix().lower().split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            for key in {end, end.removesuffix(file.suffix.lower())}:
                places[key] = file.as_posix() if key not in places else None
    return places


def _place(cell, places):
    """The file that a cell names: by its path, or as much of its end as is here."""
    parts = str(cell).strip().lower().replace("\\", "/").split("/")
    for start in range(len(parts)):
        if found := places.get("/".join(parts[start:])):
            return found
    return None


# Classes


def _classes(folder, rows, positive, negative):
    """The rows with label and class in place of their sets of names; notes."""
    counts = Counter(name for names in rows.labels for name in names if name)
    known = [f"{name} ({count:,})" for name, count in counts.most_common()]
    alike = {name.strip().casefold() for name in counts}
    if "" in alike or len(alike) < len(counts):
        raise DatasetError(
            f"{folder}: expected names of classes that nobody confuses, found {sorted(counts)}; "
            "rename or merge them"
        )
    for option, name in (("positive", positive), ("negative", negative)):
        if name is not None and name not in counts:
            raise DatasetError(
                f"{folder}: --{option}: expected one of {few(known, 20)}, got {name!r}"
            )
    if positive is not None and positive == negative:
        raise DatasetError(f"--negative: expected another class than {positive!r}")
    notes = []
    if positive is None and negative is not None and len(counts) > 2:
        positive = "other" if negative.casefold() != "other" else "not other"
        sure = rows.labels.map(lambda names: {n for n in names if n and not n.endswith(" or not")})
        two = sure.map(lambda names: {n if n == negative else positive for n in names})
        rows = rows.assign(labels=two.map(frozenset))
        everything = few(sorted(name for name in counts if name != negative))
        notes.append(f"class 1, {positive!r}, is all that is not {negative!r}: {everything}")
    if positive is None:
        positive = _positive(
            folder, sorted(counts, key=lambda n: (n.casefold(), n)), known, negative
        )
    has = rows.labels.map(lambda names: positive in names).astype(int)
    out = rows.labels.map(lambda names: not names or f"{positive} or not" in names)
    others = [name for name in counts if name != positive and not name.endswith(" or not")]
    if negative is None:
        single = rows.labels.map(len).max() == 1  # else the other may stand beside it
        negative = others[0] if len(others) == 1 and single else "other"
        if len(others) > 1:
            notes.append(
                f"class 0, {negative!r}, is all that is not {positive!r}: {few(sorted(others))}"
            )
    else:
        has_other = rows.labels.map(lambda names: negative in names)
        out |= has_other == (has == 1)  # neither of them, or both
    if out.any():
        why = f"they are neither {positive!r} nor {negative!r} for certain"
        notes.append(f"left out, for {why}: {int(out.sum()):,} images")
    rows = rows.assign(label=has, **{"class": np.where(has, positive, negative)})[~out]
    notes.append(f"class 1 is {positive!r}: a score of 1 says so, and sensitivity is of this class")
    return rows.drop(columns="labels").reset_index(drop=True), notes


def _positive(folder, names, known, negative):
    """Which of two names is looked for."""
    if len(names) != 2:
        raise DatasetError(
            f"{folder}: expected two classes, found {len(names)}: {few(known)}; add --positive "
            "NAME for one against all others, --negative NAME for all others against one, or both"
        )
    if negative is not None:
        return next(name for name in names if name != negative)
    negatives = list(map(_is_negative, names))
    if sum(negatives) != 1:
        first, second = map(shlex.quote, names)
        raise DatasetError(
            f"{folder}: expected to see from the names {names} which class is looked for, and "
            f"cannot: add --positive {first} or --positive {second}; sensitivity will be of that "
            "class"
        )
    return names[negatives.index(False)]


# Arrays


def _arrays(path):
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
            for i, found in enumerate(labels.reshape(len(labels), -1)):
                found = np.flatnonzero(found) if len(found) > 1 else found
                file = f"{split}/{i:06d}.png"
                places[file] = x, i, len(labels)
                rows.append((file, frozenset(map(str, found)) or frozenset({""}), split))
    if not rows:
        known = few(sorted(names), 10)
        raise DatasetError(f"{path}: expected train_images, train_labels and so on, found {known}")
    rows = pd.DataFrame(rows, columns=["file", "labels", "split"]).assign(person="")
    return path.with_suffix(""), rows.replace({"split": "all"}, ""), places


def _unpack(path, folder, files, places):
    """Write the pictures of an .npz file as PNG: all of them or none."""
    if folder.exists():
        if all((folder / file).is_file() for file in files):
            return
        raise DatasetError(f"{folder}: expected no such folder yet, to unpack to; move it away")
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    arrays, key = np.load(path, allow_pickle=False), None
    try:
        for file in tqdm(files, desc="unpacking", unit="image", leave=False, disable=None):
            if places[file][0] != key:  # one array at a time
                key, _, count = places[file]
                images = _pictures(path, key, arrays[key], count)
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[places[file][1]]).save(partial / file)
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
