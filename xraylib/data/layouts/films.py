"""The films of a folder, and which of them a table means by what it calls them."""

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xraylib.data.manifest import DatasetError

FORMATS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp", ".gif", ".webp",
           ".jp2")  # fmt: skip


@dataclass(frozen=True)
class Films:
    """A folder, the films below it and what lies beside them, such as tables: sorted lists of
    PurePosixPath."""

    folder: Path
    files: list
    beside: list

    @cached_property
    def _places(self):
        """From each end of a path, in small letters, to the film; None where two have it."""
        places = {}
        for file in self.files:
            for end in _ends(_parts(file)):
                for key in {end, end.removesuffix(file.suffix.lower())}:
                    places[key] = file.as_posix() if key not in places else None
        return places

    def is_ambiguous(self, cell):
        """Whether more than one film here has a name."""
        return self._places.get(cell.strip().lower(), "") is None

    def named_by(self, cell):
        """The film that a cell names: by its path, or as much of its end as is here; or None."""
        ends = _ends(_parts(cell))
        # The film may be here in another format.
        ends += [end.rpartition(".")[0] for end in ends if end.endswith(FORMATS)]
        return next(filter(None, map(self._places.get, ends)), None)

    def named_in(self, column):
        """The film that each cell of a column names, or None."""
        found = {cell: film for cell in column.unique() if (film := self.named_by(cell))}
        if not found and column.is_unique and are_numbers(column):
            found = self._without_zeros(column)
        # Folders may have other names here. But where most cells agree with the paths here as far
        # as both go, one that does not is another film, and so is one of two that lead to the same.
        agree = {cell: _agree(cell, film) for cell, film in found.items()}
        if 2 * sum(agree.values()) > len(agree):
            found = {cell: film for cell, film in found.items() if agree[cell]}
        # Paths that agree say the same, however much of it they say.
        ways = {(film, *([] if agree[cell] else _parts(cell)[:-1])) for cell, film in found.items()}
        count = Counter(film for film, *_ in ways)
        files = column.map({cell: film for cell, film in found.items() if count[film] == 1})
        return files.astype(object).where(files.notna(), None)

    def _without_zeros(self, column):
        """Films 0012 where a program made it 12; none unless each number is a film."""
        films = {n.lstrip("0"): film for n, film in self._places.items() if n.isdigit() and film}
        found = {cell: films.get(cell.strip().lstrip("0")) for cell in column}
        here = set(self._places.values()) - {None}
        unique = len(films) == len(set(films.values())) == len(here)
        return found if unique and all(found.values()) else {}

    def column_in(self, table, candidates=None, *, only=False):
        """The column of a table that names most films, and these; with only, an error where
        another names as many and not the same."""
        found = {name: self.named_in(table[name]) for name in candidates or list(table)}
        good = {}
        for name, films in found.items():
            # Numbers of lines or people look like names of films: 7 like 7.png.
            numbers = are_numbers(table[name][films.notna()])
            good[name] = films.nunique() * (1 if numbers else 2)
        best = max(good, key=good.get)
        for name in found if only and good[best] else ():
            if good[name] == good[best] and not found[name].equals(found[best]):
                raise DatasetError(
                    f"{self.folder}: expected one column that names files, but {best!r} and "
                    f"{name!r} both do, and not the same; say which: --file COLUMN"
                )
        return best, found[best]


def are_numbers(cells):
    """Whether all cells are whole numbers."""
    return cells.str.strip().str.isdigit().all()


def _parts(path):
    # One sign for a letter with its accent: file systems differ.
    return unicodedata.normalize("NFC", str(path).strip().lower()).replace("\\", "/").split("/")


def _ends(parts):
    """A path and what is left of it without its first folder, its first two and so on."""
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _agree(cell, film):
    """Whether two paths have the same folders from the end, as far as both go."""
    pairs = zip(reversed(_parts(cell)[:-1]), reversed(_parts(film)[:-1]), strict=False)
    return all(a == b for a, b in pairs)
