"""Tables as they come: encodings, delimiters, words for what is missing, numbers written twice."""

import csv
import gzip
import io
import re

import pandas as pd
from charset_normalizer import from_bytes

# Where nothing is known; but not "none", which says that nothing was found.
MISSING = {"", "nan", "na", "n/a", "n.a.", "null", "nil", "?", "-", "--", "unknown", "unk",
           "missing", "not available", "not applicable", "anonymous", "anon"}  # fmt: skip
ENCODINGS = ["cp1252", "cp1251", "gb18030", "big5", "shift_jis", "cp949"]


def stated(column):
    """The column, stripped, with "" for every word that says that nothing is known."""
    column = column.str.strip()
    return column.where(~column.str.casefold().isin(MISSING), "")


def read_csv(path):
    """A table as a DataFrame of str; or OSError, ValueError, csv.Error."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    # Spreadsheets write lines of nothing but delimiters, too.
    lines = [line for line in _decoded(data).splitlines(keepends=True) if line.strip(" ,;|\t\r\n")]
    lines = lines[re.match("[\"']?sep=", lines[0]) is not None :] if lines else lines  # Excel's
    sign, title = _delimiter(lines[:20])  # or a comment
    table = pd.read_csv(
        io.StringIO("".join(lines[title:])), dtype=str, keep_default_na=False, sep=sign,
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
        # In words of Western languages such letters stand alone among others.
        pairs, signs = (len(re.findall(rb"[\x80-\xff]" * n, data)) for n in (2, 1))
        likely = from_bytes(data, cp_isolation=ENCODINGS).best() if 4 * pairs > signs else None
        western = "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", data) else "cp1252"
        return str(likely) if likely else data.decode(western)


def _delimiter(lines):
    """Which sign divides most lines into equally many cells, and how many above it does not."""
    cells = {
        sign: [len(row) for row in csv.reader(lines, delimiter=sign, skipinitialspace=True)]
        for sign in ",;\t| "
    }

    def good(sign):
        divided = [count for count in cells[sign] if count > 1]
        most = max(map(divided.count, divided), default=0)
        # A blank divides only where nothing else does.
        return most, sign != " ", max(divided, default=0)

    sign = max(cells, key=good)
    return sign, next((i for i, count in enumerate(cells[sign]) if count > 1), 0)


def _whole(column):
    """12.0, as pandas writes 12 in a column with gaps, is 12; and so is 12,0."""
    cells = stated(column)
    if cells.str.fullmatch(r"([+-]?\d+(\.0+|,0)?)?").all() and cells.str.contains("[.,]").any():
        return cells.str.replace(r"\.0+$|,0$", "", regex=True)
    return column
