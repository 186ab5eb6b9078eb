"""Several tables: of files, of what they show, of splits."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd

from xraylib.data.layouts.cells import stated
from xraylib.data.layouts.folders import SPLITS, few, lists_of_splits
from xraylib.data.layouts.tables import (
    column_of_files,
    column_of_people,
    column_of_splits,
    files_of,
    places_of,
    plain_header,
    read_tables,
    rows_of_tables,
)
from xraylib.data.manifest import DatasetError


def naming_files(tables, places):
    """The tables without those whose numbers only look like names of files: 7 is no 7.png where
    another table says 7.png."""
    number = {
        name: all(cell.strip().isdigit() for cell in table[column][found.notna()])
        for name, table in tables.items()
        for column, found in [column_of_files(table, places, table)]
        if found.notna().any()
    }
    return {n: t for n, t in tables.items() if not number.get(n) or all(number.values())}


def rows_of_joined(folder, named, others, files, columns):
    """What :func:`rows_of_tables` gives where one table names files and another what they show.

    Such as of an examination, by its number; one of the two at least is named.

    Raises:
        DatasetError: which column says what belongs together, or which table has the labels, cannot
            be told.
    """
    places, read = places_of(files), {}
    tables = named | others
    for (name, table), (other, more) in itertools.permutations(tables.items(), 2):
        if name not in named and other not in named:
            continue
        file, found = column_of_files(table, places, table)
        table = table[found.notna()]
        if not len(table):
            continue
        plain = Counter(map(plain_header, table))
        alike = {h: c for c in table for h in [plain_header(c)] if h and plain[h] == 1}
        headers = Counter(map(plain_header, more))
        more = more.rename(
            columns={c: alike[plain_header(c)] for c in more
                     if headers[plain_header(c)] == 1 and plain_header(c) in alike}
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
                read |= rows_of_tables(folder, {known_as: whole}, files, together)
                break
        else:
            if against:
                key, differing = next(iter(against.items()))
                raise DatasetError(
                    f"{folder}: lines of {name} and {other} with the same {key!r} differ in "
                    f"{few(differing)}; rename what means something else in the two"
                )
    said = [pair for rows, _ in read.values() for pair in zip(rows.file, rows.labels, strict=True)]
    if len(set(said)) > len(dict(said)):  # of one file not the same
        raise DatasetError(f"{folder}: labels may be in {few(read)}; say which: --table FILE.csv")
    return read


def with_people(rows, tables, files):
    """The rows with the people that a table has of all these files, if they have none; notes."""
    places = places_of(files)
    for name, table in naming_files(tables, places).items():
        who, file = column_of_people(table), column_of_files(table, places, table)[1]
        if who and set(rows.file) <= set(file) and (rows.person == "").all():
            people = stated(table[who]).groupby(file).first()[rows.file]
            return rows.assign(person=[*people]), [f"people are in {who!r} of the table {name}"]
    return rows, []


def with_splits(folder, rows, tables, files, beside):
    """The rows with the splits that a table of its own, or lists, have of all these files, if they
    have none; notes."""
    if (rows.split != "").any():
        return rows, []
    places = places_of(files)
    for name, table in naming_files(tables, places).items():
        file = column_of_files(table, places, table)[1]
        if not set(rows.file) <= set(file):
            continue
        split = column_of_splits(folder, table)
        if split is None:
            continue
        of = split.groupby(file).agg(set)[rows.file]
        if (of.map(len) == 1).all():
            note = f"splits are in {split.name!r} of the table {name}"
            return rows.assign(split=[*itertools.chain(*of)]), [note]
    return _split_by_lists(folder, rows, files, places, beside)


def _split_by_lists(folder, rows, files, places, beside):
    """The same of lists of files by the name of their split, such as train_val_list.txt."""
    of, lists = {}, []
    for path, word in lists_of_splits(beside).items():
        text = (folder / path).read_text("utf-8", "replace")
        there = files_of(pd.Series(text.splitlines(), dtype=str), places).dropna()
        if not len(there):  # no list but a table
            for table in read_tables(folder, files, [path], None)[0].values():
                there = column_of_files(table, places, table)[1].dropna()
        lists += [path.as_posix()] * bool(len(there))
        for file in there:
            of.setdefault(file, set()).add(SPLITS[word])
    said = [of.get(file, set()) for file in rows.file]
    if {len(each) for each in said} != {1} or not {"train"} < set().union(*said):
        return rows, []
    return rows.assign(split=[*itertools.chain(*said)]), [f"splits are in the lists {few(lists)}"]


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
