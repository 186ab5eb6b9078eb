"""Image sets as people have them: folders, tables and arrays, to one line an image.

Which images there are, what they show, whose they are, in which split: as far as names of files and
folders, or a table, tell. Nothing is opened but tables and .npz files.
"""

from pathlib import Path

import pandas as pd

from xraylib.data.layouts import folders, npz
from xraylib.data.layouts.classes import certain, two_classes
from xraylib.data.layouts.folders import few, without
from xraylib.data.layouts.joins import naming_files, rows_of_joined, with_people, with_splits
from xraylib.data.layouts.tables import read_table, read_tables, rows_of_tables
from xraylib.data.manifest import DatasetError


def read(
    path, *, table=None, columns=(), person=None, label=None, positive=None, negative=None
):  # fmt: skip
    """What a folder, a table or an .npz file says of its images.

    Args:
        path: a folder with images at any depth, or an .npz file of arrays, which is unpacked into
            PNG files in a folder of its name.
        table: CSV with a line an image, or a line a folder of images, such as a study or a person;
            None: one in the folder, where its folders are no classes.
        columns: dict with the table's columns "file", "label" and "person"; what is missing is
            recognised. Without a header they are called 1, 2, ...
        person: regular expression that finds a person in the path of a file below the folder; its
            first group if it has one.
        label: likewise for its label, where neither folders nor a table tell.
        positive: the label that is class 1; None: the one that looks so, or, of more than two and
            with negative, all others.
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
    places = {}
    if path.suffix.lower() == ".npz" and path.is_file():
        if table is not None or columns or label is not None:
            raise DatasetError(
                f"{path}: expected no --table, --file or --label, for the labels are in the file; "
                "leave them out"
            )
        folder, rows, notes, places = npz.arrays_in(path)
        notes.append(f"the arrays of {path.name} are PNG files now, in {folder}")
    else:
        folder = path
        films, left_out = folders.films_in(folder)
        rows, notes = _understood(films, table, dict(columns), positive or negative, label)
        notes = left_out + notes
    rows, about_classes = two_classes(path, rows, positive, negative)
    notes += about_classes
    if places:
        npz.unpack(path, folder, rows.file, places)
    if person is not None:
        rows["person"] = folders.by_pattern(folder, rows.file, "person", person)
        if len(lacking := rows.file[rows.person == ""]):
            notes.append(f"--person finds nobody in {few(lacking)}: each is a person of its own")
    return folder, rows, notes


def _understood(films, table, columns, named, label):
    """Rows with file, labels (a set), split, person and more, by folders or else by a table."""
    by_folder, notes = folders.rows_of_folders(films, named)
    if label is not None:
        found = folders.by_pattern(films.folder, by_folder.file, "label", label)
        by_folder["labels"] = [frozenset({name} - {""}) for name in found]
        if any(people := folders.people_of_folders(by_folder.file)):  # no folder is a class, then
            by_folder["person"] = people
        return without(by_folder, found == "", "--label finds nothing in their names", notes)
    names = set().union(*by_folder.labels)
    asked = table is not None or columns
    tables, poured = read_tables(films, table)
    read = rows_of_tables(films, tables if asked else naming_files(films, tables), columns)
    clear = named in names or len(names) == 2 and sum(map(folders.is_negative, names)) == 1
    if asked or not (clear or len(names) == 2 and not read):
        # Tables that were not asked for may still complete the one that was.
        others = read_tables(films)[0] if table is not None else {}
        if not read and (asked or len(tables) > 1):
            read = rows_of_joined(films, tables, others, columns)
        if read:
            rows, said = _of_tables(films, read, named)
            rows, splits = with_splits(films, rows, tables | others)
            return rows, [*said, *poured, *splits]
        if not tables and (asked or len(names) < 2):
            for path in folders.nearest(films.beside, *folders.TABLES):  # what is wrong with it
                read_table(films, films.folder / path)
        if asked:
            raise _no_table_fits(films, tables, columns)
        folders.no_classes(films, names, tables)
    notes += [f"labels are from folders; {name} has some, too: --table {name}" for name in read]
    nowhere = by_folder.labels.map(len) == 0
    rows, notes = without(by_folder, nowhere, "they are in no class's folder", notes)
    rows, people = with_people(films, rows, tables)
    rows, splits = with_splits(films, rows, tables)
    return rows, [*notes, *people, *splits]


def _of_tables(films, read, named):
    """The rows of the table that answers best, and of others that say the same of other images."""
    said = {name: set().union(*rows.labels) for name, (rows, _) in read.items()}

    def answers(name):
        # What was asked for, and two names at least; most images; the least further questions.
        return named in said[name], min(2, len(said[name])), len(read[name][0]), -len(said[name])

    best = max(read, key=answers)
    rows, (first, *notes) = read[best]
    _check_opinions(films.folder, best, read)
    for name, (theirs, _) in read.items():
        same_names = 1 < len(said[name] & said[best]) == len(said[name])
        if same_names and not theirs.file.isin(rows.file).any():
            rows = pd.concat([rows, theirs], ignore_index=True).fillna("")
            notes.append(f"{len(theirs):,} more are from the table {name}")
    if left := sorted(set(map(str, films.files)).difference(rows.file)):
        notes.append(f"left out, for the table does not name them: {few(left)}")
    return rows, [f"labels are from the table {best}: {first}", *notes]


def _check_opinions(folder, best, read):
    """Refuse to choose between tables that give the same images the same labels in another way."""
    labels = {name: rows.set_index("file").labels for name, (rows, _) in read.items()}
    known = {name: set().union(*map(certain, each)) for name, each in labels.items()}
    for other, theirs in labels.items():
        if known[other] == known[best] and theirs.index.isin(labels[best].index).all():
            differ = labels[best][theirs.index] != theirs
            if differ.any():
                raise DatasetError(
                    f"{folder}: {best} and {other} say different things of {differ.sum():,} "
                    f"images, such as {differ.idxmax()}; say which table counts: --table FILE.csv"
                )


def _no_table_fits(films, tables, columns):
    """The error where a table was asked for, and none has the columns."""
    headers = {column for each in tables.values() for column in each}
    for what, name in columns.items():
        if name not in headers:
            return DatasetError(
                f"--{what}: expected a column of the table, one of {few(sorted(headers))}; "
                f"got {name!r}"
            )
    found = few((f"{path}: {few(each.columns)}" for path, each in tables.items()), 3)
    table = next(iter(tables.values()), pd.DataFrame())
    column = columns.get("file", next(iter(table), None))
    if column in table and len(table):  # what the table calls a film beside one that is here
        says, here = table[column].iloc[0], f"here is {films.files[0]}"
        here = "more than one file here has that name" if films.is_ambiguous(says) else here
        found += f" ({column!r} says {says!r}, and {here})"
    return DatasetError(
        f"{films.folder}: expected a table with a column of file names that are here and one of "
        f"labels, found {found}; name them: --file COLUMN --label COLUMN"
    )
