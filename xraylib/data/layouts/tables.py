"""Images in a table: which column names files, which labels, which people."""

import ast
import csv
import re
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from xraylib.data.layouts.cells import read_csv, stated
from xraylib.data.layouts.folders import (
    SPLITS,
    TABLES,
    few,
    lists_of_splits,
    nearest,
    people_of_folders,
    rows_of_folders,
)
from xraylib.data.manifest import DatasetError

# Headers as the publishers of large sets write them, in small letters without signs.
LABEL = ("finding labels", "findings", "finding", "labels", "label", "class name", "class",
         "target", "diagnosis", "finding label", "category", "problems")  # fmt: skip
WHO = [who + number
       for who in ("patient", "subject", "person", "participant", "case", "pt", "p")
       for number in (" id", "id", "", " no", " nr", " number", "number")
       if number or len(who) > 4] + ["mrn"]  # fmt: skip
FORMATS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif", ".webp",
           ".jp2")  # fmt: skip
SPLIT = ("split", "dataset split", "subset", "set", "partition")


def plain_header(header):
    return re.sub(r"[\W_]+", " ", str(header).lower()).strip()


def read_tables(folder, files, beside, table):
    """DataFrames of str by name, and notes: the table, or all beside the films. Those of equal
    columns are one table, unless they speak of the same files, or one says the same of all."""
    texts = [path for path in lists_of_splits(beside) if path.suffix.lower() == ".txt"]
    paths = [*nearest(beside, *TABLES), *texts]
    if table is not None:
        path = Path(table).expanduser()
        paths = [path.resolve() if path.is_file() else folder / table]
    found, places, poured = {}, places_of(files), {}
    folders = {part for file in files for part in file.parts[:-1]}
    named = set(map(str, files))
    for path in (folder / path for path in paths):
        try:
            each = read_csv(path)
            if _is_line(each, places, folders):
                line = pd.DataFrame([list(each.columns)], columns=each.columns)
                each = pd.concat([line, each], ignore_index=True)
                each.columns = [str(number) for number in range(1, len(each.columns) + 1)]
        except (OSError, ValueError, csv.Error) as error:
            if table is None:
                continue
            raise DatasetError(
                f"{path}: expected a CSV table ({str(error).strip()}); check the path, or save it "
                "as CSV"
            ) from error
        if table is None and path.suffix.lower() == ".txt" and not _is_table(each, places):
            continue
        known = path.relative_to(folder) if path.is_relative_to(folder) else path
        # Beside a table may be films of the same names as in other folders.
        if here := known.parent.name and f"{known.parent.as_posix()}/":
            each = each.map(lambda cell, here=here: here + cell if here + cell in named else cell)
        counted = list(map(str, range(len(each))))  # as pandas numbers lines
        each = each[[c for c in each if c[:9] != "Unnamed: " or each[c].tolist() != counted]]
        alike = (n for n, there in found.items() if set(there) == set(each))
        name = next((n for n in alike if _go_together(found[n], each, places)), None)
        if name is None:
            found[known.as_posix()] = each
            continue
        found[name] = pd.concat([found[name], each], ignore_index=True)
        poured.setdefault(name, [name]).append(known.as_posix())
    return found, [f"the tables {' and '.join(each) if len(each) == 2 else few(each)} have equal "
                   "columns: they are read as one" for each in poured.values()]  # fmt: skip


def _is_table(text, places):
    """Whether a text is a table of films: has columns, one of which names them."""
    named = column_of_files(text, places, text)[1]
    return len(text.columns) > 1 and named.notna().mean() > 0.5


def _go_together(table, more, places):
    """Whether two tables of equal columns are parts of one."""
    (column, files), (_, others) = (column_of_files(each, places, table) for each in (table, more))
    if files.isna().all() and others.isna().all():  # of studies or people, then
        keys = [c for c in table if table[c].is_unique and more[c].is_unique]
        return not any(set(table[key]) & set(more[key]) for key in keys)
    if set(files.dropna()) & set(others.dropna()):
        return False  # two opinions, such as of two readers
    # A form to fill in, such as a sample of a submission, has the same value in each line.
    forms = {(each.drop(columns=column).nunique() < 2).all() for each in (table, more)}
    return len(forms) == 1


def _is_line(table, places, folders):
    """Whether the first line is no header, but says something of a file or of a folder, as the
    others do."""
    films = {name: file for name in table if (file := place_of(name, places))}
    # A column "image" is no film image.png: a film's line has its whole name, or a label of others.
    if any(name.lower().endswith(Path(file).suffix.lower()) for name, file in films.items()):
        return True
    named = films or {name for name in table if name in folders}
    return bool(named) and any(name in set(table[name]) for name in table if name not in named)


def rows_of_tables(folder, tables, files, columns):
    """(rows, notes) of each table that has the named columns, files and labels."""
    read = {
        path: _by_table(folder, table, files, columns)
        for path, table in tables.items()
        if set(columns.values()) <= set(table)
    }
    return {path: each for path, each in read.items() if each is not None}


def column_of_files(table, places, candidates, folder=None):
    """The column that names most files, and the files; with a folder, for a message, an error where
    two columns of numbers name as many and not the same."""
    found = {name: files_of(table[name], places) for name in candidates}

    def good(name):
        there = found[name].notna()
        # Numbers of lines or people look like names of files: 7 like 7.png.
        named = not table[name][there].str.strip().str.isdigit().all()
        return found[name].nunique() * (2 if named else 1)

    name = max(found, key=good)
    rivals = [n for n in found if good(n) == good(name) > 0 and not found[n].equals(found[name])]
    if folder is not None and rivals:
        raise DatasetError(
            f"{folder}: expected one column that names files, but {name!r} and {rivals[0]!r} both "
            "do, and not the same; say which: --file COLUMN"
        )
    return name, found[name]


def _by_table(folder, table, files, columns):
    """(rows, notes) of a table, or None where it has no file names or no labels."""
    places = places_of(files)
    candidates = [columns["file"]] if "file" in columns else list(table)
    (name, file), of = column_of_files(table, places, candidates, folder), "files"
    if file.isna().all():
        of = "folders"
        name, table, file = _of_folders(table, files, candidates)
        if name is None:
            return None
    plain = {plain_header(header): header for header in table}
    label = columns.get("label") or next(
        (plain[n] for n in LABEL
         if n in plain and plain[n] != name and not _is_prose(table[plain[n]])), None
    )  # fmt: skip
    who = columns.get("person") or column_of_people(table)
    findings = [] if label else [c for c in table if c not in (name, who) and _is_finding(table[c])]
    if not label and not findings:
        return None
    if label:
        labels = _labels(table[label])
        what = f"labels in {label!r}"
    else:
        marks = table[findings].apply(pd.to_numeric, errors="coerce")  # words are missing values
        said = {1: "{}", -1: "{} or not"}
        labels = [[said[v].format(c) for c, v in zip(findings, row, strict=True) if v in said]
                  for row in marks.to_numpy()]  # fmt: skip
        labels = pd.Series(labels, table.index).map(lambda names: frozenset(names or [""]))
        what = f"a column for each of {few(findings)}"
    split = column_of_splits(folder, table)
    used = {name, label, who, split.name if split is not None else None, *findings}
    rest = {c: name for name, c in plain.items() if name and c not in used and name not in _OURS}
    rows = pd.DataFrame({"file": file, "labels": labels})
    rows["split"] = "" if split is None else split
    rows["person"] = stated(table[who]) if who else ""
    rows = rows.join(table[list(rest)].rename(columns=rest))[file.notna()]
    # Several lines of a file, such as one a box, are taken together.
    several = rows.groupby("file").split.nunique()
    if (several > 1).any():
        raise DatasetError(
            f"{folder}: {few(several.index[several > 1])} in more than one split; correct the table"
        )
    every = {column: "first" for column in rows if column not in ("file", "labels")}
    every["labels"] = lambda sets: frozenset().union(*sets)
    rows = rows.groupby("file").agg(every).reset_index()
    if split is None:
        by_folder, _ = rows_of_folders(folder, files)
        rows["split"] = rows.file.map(by_folder.set_index("file").split)
    if not who:
        rows["person"] = people_of_folders(rows.file)
    people = f"in {who!r}" if who else "from folders" if rows.person.any() else "unknown"
    notes = [f"{of} in {name!r}, {what}, people {people}"]
    if not rows.person.any():
        key = name if of == "folders" else columns.get("together")
        together = rows.file.map(dict(zip(file, table[key], strict=True))) if key else rows.person
        # An examination has some films, and all of one person; what has more is no examination.
        if key and together.value_counts().median() <= 6:
            rows["person"] = together
            notes.append(f"people are unknown: the films of one {key!r} are kept together, as if "
                         "it were a person")  # fmt: skip
    if split is not None:
        notes.append(f"splits are in {split.name!r}")
    if len(absent := table[name][file.isna()]):
        notes.append(
            f"{len(absent):,} lines of the table name what is not here, or is here twice: "
            f"{few(absent)}"
        )
    return rows, notes


def _of_folders(table, files, candidates):
    """A table with a line a folder, such as a study: the column, and table and files a line a file.

    Of several such columns the one of most folders counts: a study's labels, not a person's.
    """
    within = {}
    for file in files:
        for folder in {part.lower() for part in file.parts[:-1]}:
            # s50414267 is study 50414267, sub-S01 is subject S01.
            ends = re.fullmatch(r"[a-z]{1,8}(?:[_-]?(\d+)|-(\w+))", folder)
            for key in {folder, *filter(None, ends.groups() if ends else ())}:
                within.setdefault(key, []).append(file.as_posix())
    cells = {name: table[name].str.strip().str.lower() for name in candidates}
    # Each folder has one line; a class has many.
    known = {name: set(each) & set(within) for name, each in cells.items() if each.is_unique}
    name = max(known, key=lambda name: len(known[name]), default=None)
    if name is None or not known[name]:
        return None, table, None
    below = cells[name].map(within).explode()
    table = table.loc[below.index].reset_index(drop=True)
    return name, table, below.reset_index(drop=True)


# What a manifest says under these names is understood or measured, not copied.
_OURS = {"file", "label", "labels", "class", "split", "group", "person", "patient", "sha256",
         "width", "height", "bytes", "format", "bits", "doubt"}  # fmt: skip


def column_of_people(table):
    """The first column by one of the names of people, or None."""
    plain = {plain_header(header): header for header in table}
    return next((plain[name] for name in WHO if name in plain), None)


def column_of_splits(folder, table):
    """A column with a word for each line, train, val or test as manifests have them; or None."""
    plain = {plain_header(header): header for header in table}
    named = [plain[header] for header in SPLIT if header in plain]

    def known(cell):  # "Training set" and "test_data", too
        return SPLITS.get(re.sub(r"[\W_]*(set|data)?\s*$", "", cell.strip().lower()))

    # Under whatever name, a column of nothing but such words.
    others = [c for c in table if c not in named and all(map(known, table[c].unique()))]
    for name in named + others:
        values = table[name].str.strip()
        found = values.map({value: known(value) for value in values.unique()})
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
    lengths = [len(name) for names in _labels(column).unique() for name in names]
    return bool(lengths) and np.median(lengths) > 40


def _is_finding(column):
    values = set(stated(column))
    signs = {"", "0", "1", "-1", "0.0", "1.0", "-1.0"}
    return values <= signs and bool(values & {"1", "1.0"})


def _labels(column):
    """The names in each cell: "Effusion|Mass", "['effusion', 'mass']", "Pneumonia/Viral"; and
    "effusion, mass" where one of them stands alone in another cell."""
    column = stated(column)
    alone = set(column[~column.str.contains(",")])

    def names(cell):
        if cell.startswith("["):
            try:
                return frozenset(str(each).strip() for each in ast.literal_eval(cell))
            except (ValueError, SyntaxError):
                cell = cell.strip("[]")
        elif alone & {part.strip() for part in cell.split(",")}:
            cell = cell.replace(",", "|")
        parts = re.split(r"[|;]|(?<!\bw)/", cell)  # "w/o fracture" is one name
        return frozenset(part.strip() for part in parts if part.strip())

    return column.map(names)


def places_of(files):
    """From each end of a path, in small letters, to the file; None where two have it."""
    places = {}
    for file in files:
        parts = _parts(file.as_posix())
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            for key in {end, end.removesuffix(file.suffix.lower())}:
                places[key] = file.as_posix() if key not in places else None
    return places


def _parts(path):
    # One sign for a letter with its accent: file systems differ.
    return unicodedata.normalize("NFC", str(path).strip().lower()).replace("\\", "/").split("/")


def place_of(cell, places):
    """The file that a cell names: by its path, or as much of its end as is here; or None."""
    parts = _parts(cell)
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    # The file may be here in another format.
    ends += [end.rpartition(".")[0] for end in ends if end.endswith(FORMATS)]
    return next(filter(None, map(places.get, ends)), None)


def files_of(column, places):
    """The file that each cell names, or None.

    Folders may have other names here than in the table. But where most cells agree with the paths
    here as far as both go, one that does not is another film, of the same name; and so is one of
    two that lead to the same file.
    """
    found = {cell: place_of(cell, places) for cell in column.unique()}
    found = {cell: file for cell, file in found.items() if file is not None}
    if not found and column.is_unique and column.str.strip().str.isdigit().all():
        found = _without_zeros(column, places)
    agree = {cell: _agree(cell, file) for cell, file in found.items()}
    if 2 * sum(agree.values()) > len(agree):
        found = {cell: file for cell, file in found.items() if agree[cell]}
    folders = {}
    for cell, file in found.items():
        folders.setdefault(file, set()).add(tuple(_parts(cell)[:-1]) * (not agree[cell]))
    found = {cell: file for cell, file in found.items() if len(folders[file]) == 1}
    files = column.map(found).astype(object)
    return files.where(files.notna(), None)


def _without_zeros(column, places):
    """Films 0012 where a program of tables made it 12; none unless each number is a film."""
    films = {name.lstrip("0"): file for name, file in places.items() if name.isdigit() and file}
    found = {cell: films.get(cell.strip().lstrip("0")) for cell in column}
    unique = len(films) == len(set(films.values())) == len(set(places.values()) - {None})
    return found if unique and all(found.values()) else {}


def _agree(cell, file):
    """Whether two paths have the same folders from the end, as far as both go."""
    pairs = zip(reversed(_parts(cell)[:-1]), reversed(_parts(file)[:-1]), strict=False)
    return all(a == b for a, b in pairs)
