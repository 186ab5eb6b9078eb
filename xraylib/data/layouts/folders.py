"""Images in folders: classes, splits, sites and people by the names of folders and files."""

import itertools
import re
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from xraylib.data.manifest import DatasetError

# And what begins with a dot.
CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX", "Icon\r", "DICOMDIR", "manifest.csv")
BESIDE = {".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".yml", ".yaml", ".xls", ".xlsx", ".pdf",
          ".docx", ".html", ".npy", ".npz", ".mat", ".nii", ".gz", ".zip", ".h5", ".log", ".py",
          ".ipynb", ".db"}  # fmt: skip
TABLES = (".csv", ".tsv", ".csv.gz")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
          "validate": "val", "dev": "val", "test": "test", "testing": "test",
          "eval": "test"}  # fmt: skip
# Words of folders that are neither a class nor a person, such as "images_001" and "stage_2_images".
GENERIC = {"image", "images", "img", "imgs", "png", "jpg", "jpeg", "dicom", "dcm", "film", "films",
           "xray", "xrays", "cxr", "data", "dataset", "set", "stage", "part", "batch",
           "all"}  # fmt: skip
STUDY = re.compile(
    r"(study|series|session|visit|exam|date)?[_ -]?\d*|\d{4}[_-]?\d\d([_-]?\d\d)?|[\d.]{20,}"
    r"|(study|series|session|visit|exam)s?",
    re.I,
)
STUDY_OF = re.compile(r"^(study|series|session|visit|exam)[_ -]?\d+[_ -]+(?=[a-z])", re.I)
PERSON = re.compile(r"(patient|person|subject|child|case|sub|pat|pt|p|id)[_ -]?\d+", re.I)
NO_FILM = re.compile(
    r"mask|segment|annotation|ground.?truth|thumb|heat.?map|overlay|bounding|grad.?cam|contour"
    r"|(^|[_. -])(gt|roi|bbox|label|preview)(s|es)?($|[_. -])", re.I
)  # fmt: skip
NO_FILM_STEM = re.compile(
    r"(^|[_. -]|left|right)(mask|seg|segmentation|annotation|overlay|thumb|thumbnail|gt|roi)s?"
    r"([_. -]?(\d*|left|right|inverted))$", re.I
)  # fmt: skip
# Names of a class that is not what is looked for; the other is class 1.
NEGATIVE = {"normal", "normals", "healthy", "negative", "neg", "control", "controls", "other",
            "others", "none", "no finding", "no", "n", "false", "0", "benign"}  # fmt: skip
# Names of people in public sets' files, and in files in general: as few as fit are proposed.
STEMS = (r"NORMAL2-IM-\d+|IM-\d+|person\d+", r"^\D*\d+(?=[_. -])", r"^.+(?=[_ -]\d+$)")


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


def nearest(beside, *ends):
    """Of the files beside films those with such ends, as near to the folder itself as any is, for
    an archive may have a folder of its own; but none of very many, such as one a film."""
    found = [file for file in beside if file.name.lower().endswith(ends)]
    depth = min((len(file.parts) for file in found), default=0)
    found = [file for file in found if len(file.parts) == depth]
    return found if len(found) <= 50 else []


def lists_of_splits(beside):
    """Likewise texts and tables by the name of a split, such as train_val_list.txt: from path to
    its word."""
    words = {f: [w for w in re.findall("[a-z]+", f.stem.lower()) if w in SPLITS] for f in beside}
    return {file: words[file][0] for file in nearest(filter(words.get, beside), ".txt", *TABLES)}


def images_in(folder):
    """Files that may be films, PurePosixPath below the folder, sorted; what lies beside them, such
    as tables; notes of what is left out."""
    expected = f"{folder}: expected a folder of images or an .npz file of arrays, found"
    if not folder.exists():
        raise DatasetError(f"{expected} nothing; check the path")
    if not folder.is_dir():
        raise DatasetError(f"{expected} another file; name the folder that it lies in")
    found, beside = [], []
    todo, links, seen = [folder], [], set(folder.resolve().parents)
    while todo or links:
        here = (todo or links).pop()
        # A link may lead to where one has been, or out of the set to a folder above.
        if (place := here.resolve()) in seen:
            continue
        seen.add(place)
        for path in visible(here):
            if path.is_dir():
                (links if path.is_symlink() else todo).append(path)
                continue
            file = PurePosixPath(path.relative_to(folder).as_posix())
            (beside if file.suffix.lower() in BESIDE else found).append(file)
    if not found and beside:
        raise DatasetError(
            f"{folder}: expected images, found only {few(sorted(beside))}; unpack what is packed, "
            "and name an .npz file itself"
        )
    known = set(found)
    again = [file for file in found if _is_again(folder, file, known)]
    found = sorted(known.difference(again))
    # A word that stands in all folders of a level, such as the set's own name, tells nothing.
    levels = itertools.zip_longest(*(file.parts[:-1] for file in found))
    telling = [not all(name and NO_FILM.search(name) for name in level) for level in levels]

    def is_film(file):
        words = itertools.compress(file.parts[:-1], telling)
        return not any(map(NO_FILM.search, words)) and not NO_FILM_STEM.search(file.stem)

    films = list(filter(is_film, found))
    drawn = sorted(set(found) - set(films)) if films else []
    films = films or found  # a set of masks, or of films under such a name
    notes = [f"left out, as unpacked twice into one another: {few(again)}"] * bool(again)
    if drawn:
        places = Counter(file.parent for file in drawn)
        where = few(f"{count:,} in {place}" for place, count in sorted(places.items()))
        notes.append(f"left out as masks, thumbnails or annotations by their names: {where}")
    if other := [file for file in beside if not file.name.lower().endswith(TABLES)]:
        notes.append(f"left out, no images: {few(sorted(other))}")
    return sorted(films), sorted(beside), notes


def _is_again(folder, file, known):
    """Whether a file of a folder in one of the same name lies outside of it, too."""
    names = (folder.name, *file.parts)
    for i, (outer, inner) in enumerate(itertools.pairwise(names[:-1])):
        first = PurePosixPath(*names[1 : i + 1], *names[i + 2 :])
        if outer == inner and first in known:
            return (folder / first).stat().st_size == (folder / file).stat().st_size
    return False


def no_classes(folder, files, names, tables):
    """Say why folders are no two classes, where no option can help."""
    expected = f"{folder}: expected a sub-folder of images for each of two classes, found"
    remedy = (
        "move the images of each class into one, or give a table, --table FILE.csv, or say where "
        "names of files have the label, --label REGEX"
    )
    if tables:
        remedy = f"labels may be in {few(tables)}: name the columns, --file COLUMN --label COLUMN"
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


def without(rows, which, why, notes):
    if which.any():
        notes = [*notes, f"left out, for {why}: {few(rows.file[which])}"]
    return rows[~which].reset_index(drop=True), notes


def rows_of_folders(folder, files, named=None):
    """Rows as the folders say: splits, one level of classes, that of a named one, then sites and
    people."""
    splits, parts, odd = [], [], _beside_splits(files) | _splits_of_each(files)
    folders = {}
    for place, name in {(f.parts[:k], f.parts[k]) for f in files for k in range(len(f.parts) - 1)}:
        folders.setdefault(place, set()).add(name)
    for file in files:
        known = [odd.get((level, name)) or (words := _words(name), "" if words else name)
                 for level, name in enumerate(file.parts[:-1])
                 if not _is_again_in(folder, file.parts[: level + 1], folders)]  # fmt: skip
        said = [SPLITS[word] for words, _ in known for word in words if word in SPLITS]
        splits.append(said[0] if said else "")
        parts.append([STUDY_OF.sub("", name) for _, name in known if name])
    # What lies beside the folders, such as a licence, tells nothing of them.
    inside = [each for each in parts if each]
    # A folder around everything is no class, unless there is nothing else.
    while max(map(len, inside), default=0) > 1 and len({each[0] for each in inside}) == 1:
        parts = [each[1:] for each in parts]
        inside = [each[1:] for each in inside if len(each) > 1]
    level = _level_of_classes(inside, named)
    parts = [[*each[level : level + 1], *each[:level], *each[level + 1 :]] for each in parts]
    rows = pd.DataFrame({"file": [file.as_posix() for file in files]})
    rows["labels"], rows["split"] = [frozenset(each[:1]) for each in parts], splits
    below = [[name for name in each[1:] if not _is_study(name)] for each in parts]
    level, notes = _level_of_people(below)
    end = 0 if level is None else level + 1
    if level is not None:
        people = sorted({"/".join(each[:end]) for each in below if len(each) >= end})
        notes.append(f"sub-folders are taken for people: {few(people)}")
    rows["person"] = ["/".join(each[:end]) if len(each) >= end else "" for each in below]
    if level != 0 and any(below):
        rows["site"] = [each[0] if each else "" for each in below]
    if any(splits):
        notes.insert(0, f"the folders {few(sorted(set(splits) - {''}))} are taken for splits")
    return rows, notes


def _is_again_in(folder, place, folders):
    """Whether a folder in one of the same name only holds what was unpacked there; else it may be a
    class, as in COVID/COVID and COVID/normal."""
    beside = folders[place[:-1]]
    same = place[-1] == (folder.name, *place)[-2]
    return same and (len(beside) == 1 or bool(beside & folders.get(place, set())))


def _beside_splits(files):
    """Folders beside those of splits that divide into the same, from (level, name) to a word of
    theirs, "all" where none says which split, and "". Such as external_test beside train and val.
    """
    found = {}
    for level in range(max((len(file.parts) - 1 for file in files), default=0)):
        below = {}
        for file in files:
            if len(file.parts) > level + 2:
                below.setdefault(file.parts[level], set()).add(file.parts[level + 1])
        splits = [name for name in below if any(word in SPLITS for word in _words(name))]
        inside = set().union(*(below[name] for name in splits))
        for name in below:
            if not _words(name) and below[name] <= inside and len(inside) <= 20:
                words = re.findall("[a-z]+", name.lower())
                found[level, name] = [word for word in words if word in SPLITS] or ["all"], ""
    return found


def _splits_of_each(files):
    """Folders whose names differ but in the split, such as hand_train and hand_test: from (level,
    name) to its word, and the name without it."""
    found = {}
    for level, name in {place for file in files for place in enumerate(file.parts[:-1])}:
        words = re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)
        said = [w for word in words if (w := word.lower().removesuffix("set")) in SPLITS]
        rest = " ".join(w for w in words if w.lower().removesuffix("set") not in SPLITS)
        if len(said) == 1:
            found.setdefault((level, rest), {})[name] = said
    return {
        (level, name): (said, rest)
        for (level, rest), names in found.items()
        if len({SPLITS[said] for [said] in names.values()}) > 1
        for name, said in names.items()
    }


def _level_of_classes(parts, named):
    """Which level of folders are classes: 0, unless they are below people or, of all, say so, or
    one of them is named."""
    depth = min(map(len, parts), default=0)
    levels = [{each[level] for each in parts} for level in range(depth)]
    for most in (2, 20):  # of more than two, 0 may be a number among others
        for level, names in enumerate(levels):
            negative = [n for n in names if is_negative(n) and (most == 2 or not n.isdigit())]
            if named in names or 2 <= len(names) <= most and len(negative) == 1:
                return level
    if depth < 2:
        return 0
    people = np.mean([bool(PERSON.fullmatch(name)) or name.isdigit() for name in levels[0]]) > 0.5
    return int(people and 1 < len(levels[1]) <= 20 and not any(map(_is_study, levels[1])))


def is_negative(name):
    """Whether a name of a class says that nothing was found."""
    plain = re.sub("[-_]", " ", name.strip().casefold())
    return plain in NEGATIVE or bool(re.match(r"(no|non|not|without|w/o) |.* negative$", plain))


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
        names = {folder[-1] for folder in deeper}  # few and the same where they are views of people
        if deeper.total() > here.total() / 2 and len(deeper) >= 2 * len(here) <= 2 * len(names):
            continue
        if len(here) < 10 and here.total() > 20 * len(here):
            names = few(sorted({folder[-1] for folder in here}))
            return None, [f"sub-folders of many images are taken for sites, not people: {names}"]
        return level, []
    return None, []


def people_of_folders(files):
    """The name of the last folder of each file that is one of a person, or ""."""
    people = [[n for n in file.split("/")[:-1] if PERSON.fullmatch(n)] for file in files]
    return [found[-1] if found else "" for found in people]


def by_pattern(folder, files, what, pattern):
    """What a regular expression finds in the path of each file, or ""."""
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
    return pd.Series(names, index=files.index)


def proposed(files):
    """A pattern by which names of files share people, and how many there would be; or None."""
    stems = files.map(lambda file: PurePosixPath(file).stem)
    for pattern in STEMS:
        names = stems.str.extract(f"({pattern})")[0].fillna(files)
        sizes = names.value_counts()
        if len(sizes) < 0.95 * len(files) and sizes.iloc[0] <= max(20, len(files) / 20):
            return pattern, len(sizes)
    return None
