"""Images in folders: classes, splits, sites and people by the names of folders and files."""

import itertools
import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from xraylib.data.layouts.films import Films
from xraylib.data.manifest import DatasetError

# And what begins with a dot.
CLUTTER = ("Thumbs.db", "desktop.ini", "__MACOSX", "Icon\r", "DICOMDIR", "manifest.csv")
BESIDE = set(
    ".csv .tsv .txt .md .json .xml .yml .yaml .xls .xlsx .pdf .docx .html .npy .npz .mat .nii .gz "
    ".zip .h5 .log .py .ipynb .db".split()
)
TABLES = (".csv", ".tsv", ".csv.gz")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
          "validate": "val", "dev": "val", "test": "test", "testing": "test",
          "eval": "test"}  # fmt: skip
# Words of folders that are neither a class nor a person, such as "images_001" and "stage_2_images".
GENERIC = set(
    "image images img imgs png jpg jpeg dicom dcm film films xray xrays cxr data dataset set stage "
    "part batch all".split()
)
STUDY = re.compile(
    r"(study|series|session|visit|exam|date)?[_ -]?\d*|(study|series|session|visit|exam)s"
    r"|\d{4}[_-]?\d\d([_-]?\d\d)?|[\d.]{20,}", re.I
)  # fmt: skip
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
    """Of the files beside films those with such ends that lie highest, for an archive may have a
    folder of its own; but none of very many, such as one a film."""
    found = [file for file in beside if file.name.lower().endswith(ends)]
    depth = min((len(file.parts) for file in found), default=0)
    found = [file for file in found if len(file.parts) == depth]
    return found if len(found) <= 50 else []


def lists_of_splits(beside):
    """From path to split: texts and tables named after one, such as train_val_list.txt."""
    splits = {file: _split_in(file.stem) for file in beside}
    return {file: splits[file] for file in nearest(filter(splits.get, beside), ".txt", *TABLES)}


def films_in(folder):
    """Films of a folder, by their names, and notes of what is left out."""
    expected = f"{folder}: expected a folder of images or an .npz file of arrays, found"
    if not folder.exists():
        raise DatasetError(f"{expected} nothing; check the path")
    if not folder.is_dir():
        raise DatasetError(f"{expected} another file; name the folder that it lies in")
    everything = list(_files_below(folder))
    beside = sorted(file for file in everything if file.suffix.lower() in BESIDE)
    known = set(everything).difference(beside)
    if beside and not known:
        raise DatasetError(
            f"{folder}: expected images, found only {few(beside)}; unpack what is packed, and name "
            "an .npz file itself"
        )
    again = [file for file in everything if file in known and _is_again(folder, file, known)]
    found = sorted(known.difference(again))
    # A word that stands in all folders of a level, such as the set's own name, tells nothing.
    levels = itertools.zip_longest(*(file.parts[:-1] for file in found))
    telling = [not all(name and NO_FILM.search(name) for name in level) for level in levels]

    def is_film(file):
        words = itertools.compress(file.parts[:-1], telling)
        return not any(map(NO_FILM.search, words)) and not NO_FILM_STEM.search(file.stem)

    # Or a set of masks, or of films under such a name.
    films = list(filter(is_film, found)) or found
    notes = [f"left out, as unpacked twice into one another: {few(again)}"] * bool(again)
    if drawn := Counter(file.parent for file in set(found).difference(films)):
        where = few(f"{count:,} in {place}" for place, count in sorted(drawn.items()))
        notes.append(f"left out as masks, thumbnails or annotations by their names: {where}")
    if other := [file for file in beside if not file.name.lower().endswith(TABLES)]:
        notes.append(f"left out, no images: {few(other)}")
    return Films(folder, films, beside), notes


def _files_below(folder):
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
            else:
                yield PurePosixPath(path.relative_to(folder).as_posix())


def _is_again(folder, file, known):
    """Whether a file of a folder in one of the same name lies outside of it, too."""
    names = (folder.name, *file.parts)
    for i, (outer, inner) in enumerate(itertools.pairwise(names[:-1])):
        first = PurePosixPath(*names[1 : i + 1], *names[i + 2 :])
        if outer == inner and first in known:
            return (folder / first).stat().st_size == (folder / file).stat().st_size
    return False


def no_classes(films, names, tables):
    """Say why folders are no two classes, where no option can help."""
    remedy = (
        "move the images of each class into one, or give a table, --table FILE.csv, or say where "
        "names of files have the label, --label REGEX"
    )
    if tables:
        remedy = f"labels may be in {few(tables)}: name the columns, --file COLUMN --label COLUMN"
    if not names:
        found = f"{len(films.files):,} images and no such sub-folder"
    elif len(names) == 1:
        for path in visible(films.folder):
            if path.is_dir() and not any(path.rglob("*.*")):
                raise DatasetError(
                    f"{films.folder}: expected images of the class {path.name!r}, found none; add "
                    "them, or move the folder away"
                )
        found = f"only {min(names)!r}"
        remedy = f"add a sub-folder for the other, or name the folder above, or {remedy}"
    elif len(names) > max(20, len(films.files) // 20):
        look = "which look like people, not like classes"
        found = f"{len(names):,} ({few(sorted(names))}), {look}"
    else:
        return
    raise DatasetError(
        f"{films.folder}: expected a sub-folder of images for each of two classes, found {found}; "
        f"{remedy}"
    )


def without(rows, which, why, notes):
    """The rows but for some, and the notes with what these are and why they are left out."""
    if which.any():
        notes = [*notes, f"left out, for {why}: {few(rows.file[which])}"]
    return rows[~which].reset_index(drop=True), notes


def rows_of_folders(films, named):
    """Rows as the folders say: splits, one level of classes, that of a named one, then sites and
    people."""
    splits, parts = splits_and_folders(films)
    # What lies beside the folders, such as a licence, tells nothing of them.
    inside = [each for each in parts if each]
    # A folder around everything is no class, unless there is nothing else.
    while max(map(len, inside), default=0) > 1 and len({each[0] for each in inside}) == 1:
        parts = [each[1:] for each in parts]
        inside = [each for each in parts if each]
    level = _level_of_classes(inside, named)
    parts = [[*each[level : level + 1], *each[:level], *each[level + 1 :]] for each in parts]
    rows = pd.DataFrame({"file": list(map(str, films.files))})
    rows["labels"], rows["split"] = [frozenset(each[:1]) for each in parts], splits
    below = [[name for name in each[1:] if not _is_study(name)] for each in parts]
    level, notes = _level_of_people(below)
    end = 0 if level is None else level + 1
    rows["person"] = ["/".join(each[:end]) if len(each) >= end else "" for each in below]
    if level is not None:
        people = few(sorted(set(rows.person) - {""}))
        notes.append(f"sub-folders are taken for people: {people}")
    if level != 0 and any(below):
        rows["site"] = [each[0] if each else "" for each in below]
    if any(splits):
        notes.insert(0, f"the folders {few(sorted(set(splits) - {''}))} are taken for splits")
    return rows, notes


def splits_and_folders(films):
    """For each film the split that its folders say, or "", and the other folders: two lists."""
    splits, parts, folders = [], [], defaultdict(set)
    for file in films.files:
        for level, name in enumerate(file.parts[:-1]):
            folders[file.parts[:level]].add(name)
    # From (level, name) to what a name says of which that is not plain by itself.
    odd = _beside_splits(films.files) | _splits_of_each(folders)
    for file in films.files:
        said = [odd.get((level, name)) or _split_and_rest(name)
                for level, name in enumerate(file.parts[:-1])
                if not _is_again_in(films.folder, file.parts[: level + 1], folders)]  # fmt: skip
        splits.append(next((split for split, _ in said if split), ""))
        parts.append([STUDY_OF.sub("", rest) for _, rest in said if rest])
    return splits, parts


def _is_again_in(folder, place, folders):
    """Whether a folder in one of the same name only holds what was unpacked there."""
    beside = folders[place[:-1]]  # or it may be a class, as in COVID/COVID and COVID/normal
    same = place[-1] == (folder.name, *place)[-2]
    return same and (len(beside) == 1 or bool(beside & folders.get(place, set())))


def _split_in(name):
    """The split that a name says, or ""."""
    return next((SPLITS[w] for w in re.findall("[a-z]+", name.lower()) if w in SPLITS), "")


def _split_and_rest(name):
    """The split that a folder's name says, and the name unless all its words are general; or ""."""
    words = re.findall("[a-z]+", re.sub("x[-_ ]ray", "xray", name.lower()))
    general = words and all(word in GENERIC or word in SPLITS for word in words)
    return (_split_in(name), "") if general else ("", name)


def _beside_splits(files):
    """Folders that divide as those of splits beside them, such as external_test beside train."""
    found = {}
    for level in range(max((len(file.parts) - 1 for file in files), default=0)):
        below = defaultdict(set)
        for file in files:
            if len(file.parts) > level + 2:
                below[file.parts[level]].add(file.parts[level + 1])
        inside = set().union(*(below[name] for name in below if _split_and_rest(name)[0]))
        for name in below:
            if _split_and_rest(name)[1] and below[name] <= inside and len(inside) <= 20:
                found[level, name] = _split_in(name), ""
    return found


def _splits_of_each(folders):
    """Folders whose names differ but in the split, such as hand_train and hand_test."""
    found = defaultdict(dict)
    for place, names in folders.items():
        for name in names:
            words = re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", name)
            splits = [SPLITS.get(word.lower().removesuffix("set"), "") for word in words]
            rest = " ".join(word for word, split in zip(words, splits, strict=True) if not split)
            said = list(filter(None, splits))
            if len(said) == 1:
                found[len(place), rest][name] = said[0]
    return {
        (level, name): (split, rest)
        for (level, rest), names in found.items()
        if len(set(names.values())) > 1
        for name, split in names.items()
    }


def _level_of_classes(parts, named):
    """Which level of folders are classes: 0, unless another has a named or a negative one, or 0 are
    people."""
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


def _is_study(name):
    return bool(STUDY.fullmatch(name)) and not name.isdigit()


def _level_of_people(below):
    """Which level of folders below a class is people, or None; what is above them are sites."""
    levels = [
        Counter(tuple(each[: level + 1]) for each in below if len(each) > level)
        for level in range(max(map(len, below), default=0))
    ]
    for level in reversed(range(len(levels))):
        if np.mean([bool(PERSON.fullmatch(folder[-1])) for folder in levels[level]]) > 0.5:
            return level, []
    for level, (here, deeper) in enumerate(itertools.pairwise([*levels, Counter()])):
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
        expected = f"--{what}: expected a regular expression, got {pattern} ({error})"
        raise DatasetError(expected) from error
    found = [regex.search(file) or regex.search(PurePosixPath(file).stem) for file in files]
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
