"""Tables as they come: encodings, delimiters, words for what is missing, numbers written twice."""

import csv
import gzip
import io
import re

import pandas as pd

# Where nothing is known; but not "none", which says that nothing was found.
MISSING = {"", "nan", "na", "n/a", "n.a.", "null", "nil", "?", "-", "--", "unknown", "unk",
           "missing", "not available", "not applicable", "anonymous", "anon"}  # fmt: skip


def stated(column):
    """The column, stripped, with "" for every word that says that nothing is known."""
    column = column.str.strip()
    return column.where(~column.str.casefold().isin(MISSING), "")


def read_csv(path):
    """A table as a DataFrame of str; whole numbers are written without ".0".

    Raises:
        OSError, ValueError, csv.Error: it cannot be read, or is no table.
    """
    data = path.read_bytes()
    data = gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    text = _decoded(data)
    table = pd.read_csv(
        io.StringIO(text), dtype=str, keep_default_na=False, sep=_delimiter(text),
        skipinitialspace=True,
    )  # fmt: skip
    table.columns = [str(header).strip() for header in table]
    return table.apply(_whole)


def _decoded(data):
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) else "cp1252")


def _delimiter(text):
    """Which sign divides the first lines into equally many cells, and into most."""
    lines = [line for line in text.splitlines() if line.strip()][:20]

    def good(sign):
        counts = [len(row) for row in csv.reader(lines, delimiter=sign, skipinitialspace=True)]
        alike = sum(count == counts[0] > 1 for count in counts) if counts else 0
        # A blank divides only where nothing else does.
        return alike, sign != " ", counts[0] if counts else 0

    return max(",;\t| ", key=good)


def _whole(column):
    """12.0, as pandas writes 12 in a column with gaps, is 12."""
    cells = stated(column)
    if (
        cells.str.fullmatch(r"([+-]?\d+(\.0+)?)?").all()
        and cells.str.contains(".", regex=False).any()
    ):
        return cells.str.replace(r"\.0+$", "", regex=True)
    return column
