"""Images in a table: which column names files, which labels, which people."""

import ast
import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd

from xraylib.data.layouts import folders
from xraylib.data.layouts.cells import read_csv, stated
from xraylib.data.layouts.classes import findings_of
from xraylib.data.layouts.folders import few
from xraylib.data.manifest import DatasetError

# Headers as the publishers of large sets write them, plain, those that count first before others.
LABEL = ("finding labels", "findings", "finding", "labels", "label", "class name", "class",
         "target", "diagnosis", "finding label", "category", "problems")  # fmt: skip
PERSON = [who + number
          for who in ("patient", "subject", "person", "participant", "case", "pt", "p")
          for number in (" id", "id", "", " no", " nr", " number", "number")
          if number or len(who) > 4] + ["mrn"]  # fmt: skip
SPLIT = ("split", "dataset split", "subset", "set", "partition")
# What a manifest says under these names is understood or measured, not copied.
OURS = {"file", "label", "labels", "class", "split", "group", "person", "patient", "sha256",
        "width", "height", "bytes", "format", "bits", "doubt"}  # fmt: skip


def plain_header(header):
    """A header in small letters without signs."""
    return re.sub(r"[\W_]+", " ", str(header).lower()).strip()


def _called(table, names):
    """The columns of a table with such plain headers, in the order of these."""
    plain = {plain_header(header): header for header in table}
    return [plain[name] for name in names if name in plain]


def read_table(films, path):
    """(name, DataFrame of str) of a table; without a header its columns are 1, 2, ...; or a
    DatasetError."""
    try:
        table = read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        raise DatasetError(
            f"{path}: expected a CSV table ({str(error).strip()}); check the path, or save it as "
            "CSV"
        ) from error
    if _is_line(table, films):
        line = pd.DataFrame([list(table)], columns=table.columns)
        table = pd.concat([line, table], ignore_index=True)
        table.columns = [str(number) for number in range(1, len(table.columns) + 1)]
    known = path.relative_to(films.folder) if path.is_relative_to(films.folder) else path
    if known.parent.name:
        # Beside a table may be films of the same names as in other folders.
        here, files = f"{known.parent.as_posix()}/", set(map(str, films.files))
        table = table.map(lambda cell: here + cell if here + cell in files else cell)
    counted = list(map(str, range(len(table))))  # as pandas numbers lines
    kept = [c for c in table if c[:9] != "Unnamed: " or table[c].tolist() != counted]
    return known.as_posix(), table[kept]


def _is_line(table, films):
    """Whether the first line is no header, but says something of a film or folder as others do."""
    named = {name: file for name in table if (file := films.named_by(name))}
    # A column "image" is no film image.png: a film's line has its whole name, or a label of others.
    if any(name.lower().endswith(Path(file).suffix.lower()) for name, file in named.items()):
        return True
    named = named or {part for file in films.files for part in file.parts[:-1]}.intersection(table)
    return bool(named) and any(name in set(table[name]) for name in table if name not in named)


def read_tables(films, table=None):
    """DataFrames of str by name, and notes: the table, or all beside the films. Those of equal
    columns are one table, unless they speak of the same files, or one says the same of all."""
    if table is not None:
        path = Path(table).expanduser()
        path = path.resolve() if path.is_file() else films.folder / table
        return dict([read_table(films, path)]), []
    found, poured = {}, {}
    lists = [p for p in folders.lists_of_splits(films.beside) if p.suffix.lower() == ".txt"]
    paths = folders.nearest(films.beside, *folders.TABLES) + lists
    for name, more in tables_at(films, paths):
        alike = (n for n, table in found.items() if set(table) == set(more))
        first = next((n for n in alike if _go_together(found[n], more, films)), None)
        if first is None:
            found[name] = more
        else:
            found[first] = pd.concat([found[first], more], ignore_index=True)
            poured.setdefault(first, [first]).append(name)
    return found, [f"the tables {' and '.join(each) if len(each) == 2 else few(each)} have equal "
                   "columns: they are read as one" for each in poured.values()]  # fmt: skip


def tables_at(films, paths):
    """What :func:`read_table` gives of each file that is a table."""
    for path in paths:
        try:
            name, table = read_table(films, films.folder / path)
        except DatasetError:
            continue
        text = path.suffix.lower() == ".txt"  # which is one if a column names films
        if not text or len(table.columns) > 1 and films.column_in(table)[1].notna().mean() > 0.5:
            yield name, table


def _go_together(table, more, films):
    """Whether two tables of equal columns are parts of one."""
    (column, files), (_, others) = (films.column_in(each, list(table)) for each in (table, more))
    if files.isna().all() and others.isna().all():  # of studies or people, then
        keys = [c for c in table if table[c].is_unique and more[c].is_unique]
        return not any(set(table[key]) & set(more[key]) for key in keys)
    if set(files.dropna()) & set(others.dropna()):
        return False  # two opinions, such as of two readers
    # A form to fill in, such as a sample of a submission, has the same value in each line.
    forms = {(each.drop(columns=column).nunique() < 2).all() for each in (table, more)}
    return len(forms) == 1


def rows_of_tables(films, tables, columns):
    """(rows, notes) of each table that has the named columns, files and labels."""
    return {
        name: read
        for name, table in tables.items()
        if set(columns.values()) <= set(table) and (read := _rows_of_table(films, table, columns))
    }


def _rows_of_table(films, table, columns):
    """(rows, notes) of a table, or None where it has no file names or no labels."""
    candidates = [columns["file"]] if "file" in columns else list(table)
    (name, file), of = films.column_in(table, candidates, only=True), "files"
    if file.isna().all():
        (name, table, file), of = _of_folders(table, films.files, candidates), "folders"
    who = columns.get("person") or column_of_people(table)
    if name is None or (found := _labels_of(table, columns.get("label"), name, who)) is None:
        return None
    labels, from_columns, what = found
    split = column_of_splits(films.folder, table)
    rows = pd.DataFrame({"file": file, "labels": labels})
    rows["split"] = "" if split is None else split
    rows["person"] = stated(table[who]) if who else ""
    used = {name, who, getattr(split, "name", None), *from_columns}
    plain = {plain_header(header): header for header in table}
    rest = {c: n for n, c in plain.items() if n and c not in used and n not in OURS}
    rows = rows.join(table[list(rest)].rename(columns=rest))[file.notna()]
    # Several lines of a file, such as one a box, are taken together.
    several = rows.groupby("file").split.nunique()
    if (several > 1).any():
        raise DatasetError(
            f"{films.folder}: {few(several.index[several > 1])} in more than one split; correct "
            "the table"
        )
    every = dict.fromkeys(rows.columns.drop("file"), "first")
    every["labels"] = lambda sets: frozenset().union(*sets)
    rows = rows.groupby("file").agg(every).reset_index()
    if split is None:
        splits, _ = folders.splits_and_folders(films)
        rows["split"] = rows.file.map(dict(zip(map(str, films.files), splits, strict=True)))
    if not who:
        rows["person"] = folders.people_of_folders(rows.file)
    people = f"in {who!r}" if who else "from folders" if rows.person.any() else "unknown"
    notes = [f"{of} in {name!r}, {what}, people {people}"]
    key = name if of == "folders" else columns.get("together")
    if key and not rows.person.any():
        together = rows.file.map(dict(zip(file, table[key], strict=True)))
        # An examination has some films, and all of one person; what has more is no examination.
        if together.value_counts().median() <= 6:
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


def _labels_of(table, label, files, people):
    """A set of names for each line, the columns that say so, and a note; or None."""
    free = (c for c in _called(table, LABEL) if c != files and not _is_prose(table[c]))
    if label := label or next(free, None):
        return _names_in(table[label]), [label], f"labels in {label!r}"
    findings = [c for c in table if c not in (files, people) and _is_finding(table[c])]
    if not findings:
        return None
    marks = table[findings].apply(pd.to_numeric, errors="coerce")  # words are missing values
    labels = pd.Series(findings_of(marks.to_numpy(), findings), table.index)
    return labels, findings, f"a column for each of {few(findings)}"


def _of_folders(table, files, candidates):
    """The column of a table with a line a folder, or None, and table and files a line a file."""
    within = defaultdict(list)
    for file in files:
        for folder in {part.lower() for part in file.parts[:-1]}:
            # s50414267 is study 50414267, sub-S01 is subject S01.
            ends = re.fullmatch(r"[a-z]{1,8}(?:[_-]?(\d+)|-(\w+))", folder)
            for key in {folder, *filter(None, ends.groups() if ends else ())}:
                within[key].append(file.as_posix())
    cells = {name: table[name].str.strip().str.lower() for name in candidates}
    # Each folder has one line, a class has many; of two a study's labels count, not a person's.
    known = {name: set(each) & set(within) for name, each in cells.items() if each.is_unique}
    name = max(known, key=lambda name: len(known[name]), default=None)
    if name is None or not known[name]:
        return None, table, None
    below = cells[name].map(within).explode()
    table = table.loc[below.index].reset_index(drop=True)
    return name, table, below.reset_index(drop=True)


def column_of_people(table):
    """The first column by one of the names of people, or None."""
    return next(iter(_called(table, PERSON)), None)


def column_of_splits(folder, table):
    """A column with a word for each line, train, val or test as manifests have them; or None."""
    named = _called(table, SPLIT)

    def known(cell):  # "Training set" and "test_data", too
        return folders.SPLITS.get(re.sub(r"[\W_]*(set|data)?\s*$", "", cell.strip().lower()))

    # Under whatever name, a column of nothing but such words.
    others = [c for c in table if c not in named and all(map(known, table[c].unique()))]
    for name in named + others:
        values = table[name].str.strip()
        found = values.map({value: known(value) for value in values.unique()})
        if (found == "train").any():
            if strange := Counter(values[found.isna()]).most_common():
                what = few(f"{value!r} ({count:,})" for value, count in strange)
                raise DatasetError(
                    f"{folder}: expected train, val or test in each line of {name!r}, found "
                    f"{what}; take these lines out, or rename the column to deal images anew"
                )
            return found
    return None


def _is_prose(column):
    """Whether a column is what a report says, under the name of a column of labels."""
    lengths = [len(name) for names in _names_in(column).unique() for name in names]
    return bool(lengths) and np.median(lengths) > 40


def _is_finding(column):
    values = {value.removesuffix(".0") for value in stated(column).unique()}
    return "1" in values <= {"", "0", "1", "-1"}


def _names_in(column):
    """The names in each cell: "Effusion|Mass", "['effusion', 'mass']", "Pneumonia/Viral"."""
    column = stated(column)
    alone = set(column[~column.str.contains(",")])  # one of "effusion, mass" stands so elsewhere

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
