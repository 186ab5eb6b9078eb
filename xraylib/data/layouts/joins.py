"""Several tables: of files, of what they show, of splits."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pandas as pd

from xraylib.data.layouts.cells import stated
from xraylib.data.layouts.films import are_numbers
from xraylib.data.layouts.folders import few, lists_of_splits
from xraylib.data.layouts.tables import (
    column_of_people,
    column_of_splits,
    plain_header,
    rows_of_tables,
    tables_at,
)
from xraylib.data.manifest import DatasetError


def naming_files(films, tables):
    """The tables without those whose numbers only look like names of files: 7 is no 7.png where
    another table says 7.png."""
    numbers = {}
    for name, table in tables.items():
        column, files = films.column_in(table)
        if files.notna().any():
            numbers[name] = are_numbers(table[column][files.notna()])
    return {n: t for n, t in tables.items() if not numbers.get(n) or all(numbers.values())}


def rows_of_joined(films, named, others, columns):
    """What rows_of_tables gives where one table names files and another what they show, such as of
    an examination, by its number; one of the two at least is named."""
    read = {}
    tables = named | others | named  # named ones are first, and as they were read
    for one, other in itertools.permutations(tables.items(), 2):
        if not named.keys() & {one[0], other[0]}:
            continue
        key, whole = _join(films, one, other)
        if key is not None:
            known_as = f"{one[0]} with {other[0]}, joined by {key!r}"
            read |= rows_of_tables(films, {known_as: whole}, columns | {"together": key})
    said = [pair for rows, _ in read.values() for pair in zip(rows.file, rows.labels, strict=True)]
    if len(set(said)) > len(dict(said)):  # of one file not the same
        known = few(read)
        raise DatasetError(f"{films.folder}: labels may be in {known}; say which: --table FILE.csv")
    return read


def _join(films, one, other):
    """The column by which two tables, (name, DataFrame), go together, and both as one; or Nones."""
    (name, table), (other, more) = one, other
    file, found = films.column_in(table)
    table = table[found.notna()]
    mine, theirs = _headers(table), _headers(more)
    more = more.rename(columns={theirs[h]: mine[h] for h in theirs.keys() & mine.keys()})
    common = [c for c in more if c in table and c != file]
    against = {}
    for key in common:
        line = _lines(table[key], more[key])
        if line is None:
            continue
        mine = table[line >= 0].reset_index(drop=True)
        theirs = more.iloc[line[line >= 0]].reset_index(drop=True)
        against[key] = [c for c in common if _differ(mine[c], theirs[c])]
        if not against[key]:
            return key, mine.join(theirs[[c for c in more if c not in table]])
    for key, differing in against.items():
        raise DatasetError(
            f"{films.folder}: lines of {name} and {other} with the same {key!r} differ in "
            f"{few(differing)}; rename what means something else in the two"
        )
    return None, None


def _headers(table):
    """From plain headers that a table has once to its columns."""
    count = Counter(map(plain_header, table))
    return {h: column for column in table if (h := plain_header(column)) and count[h] == 1}


def _naming_all(films, rows, tables):
    """(name, table, the files of its lines) of each table that names all files of the rows."""
    for name, table in naming_files(films, tables).items():
        file = films.column_in(table)[1]
        if set(rows.file) <= set(file):
            yield name, table, file


def with_people(films, rows, tables):
    """The rows with the people that a table has of all these files, if they have none; notes."""
    if (rows.person == "").all():
        for name, table, file in _naming_all(films, rows, tables):
            if who := column_of_people(table):
                people = stated(table[who]).groupby(file).first()[rows.file]
                return rows.assign(person=[*people]), [f"people are in {who!r} of the table {name}"]
    return rows, []


def with_splits(films, rows, tables):
    """Likewise with the splits that a table, or lists, have of all these files."""
    if (rows.split != "").any():
        return rows, []
    for name, table, file in _naming_all(films, rows, tables):
        if (split := column_of_splits(films.folder, table)) is not None:
            of = split.groupby(file).agg(set)[rows.file]
            if (of.map(len) == 1).all():
                note = f"splits are in {split.name!r} of the table {name}"
                return rows.assign(split=[*itertools.chain(*of)]), [note]
    of, lists = defaultdict(set), []  # of files by the name of their split
    for path, split in lists_of_splits(films.beside).items():
        text = (films.folder / path).read_text("utf-8", "replace")
        files = films.named_in(pd.Series(text.splitlines(), dtype=str)).dropna()
        if not len(files):  # no list but a table
            for _, table in tables_at(films, [path]):
                files = films.column_in(table)[1].dropna()
        lists += [path] * bool(len(files))
        for file in files:
            of[file].add(split)
    said = [of[file] for file in rows.file]
    if {len(each) for each in said} != {1} or not {"train"} < set().union(*said):
        return rows, []
    return rows.assign(split=[*itertools.chain(*said)]), [f"splits are in the lists {few(lists)}"]


def _lines(numbers, of):
    """For each number the position of its line in another table, or -1; None where it has no one
    line, or many have none, or both tables only count their lines."""
    numbers, of = numbers.str.strip(), of.str.strip()
    counted = [[str(i + first) for i in range(len(of))] for first in (0, 1)]
    if not of[of != ""].is_unique or of.tolist() in counted and numbers.is_unique:
        return None
    position = {number: i for i, number in enumerate(of)} | {"": -1}
    line = np.array([position.get(number, -1) for number in numbers])
    return line if (line >= 0).sum() >= 0.8 * max(1, (numbers != "").sum()) else None


def _differ(mine, theirs):
    """Whether two columns say different things of more than a few lines."""
    mine, theirs = mine.str.strip(), theirs.str.strip()
    both = (mine != "") & (theirs != "")
    return bool(both.any()) and np.mean(mine[both] != theirs[both]) > 0.1
