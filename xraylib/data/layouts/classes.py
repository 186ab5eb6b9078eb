"""Two classes of the labels that a set has, and which of them is class 1."""

import shlex
from collections import Counter

import numpy as np

from xraylib.data.layouts.folders import few, is_negative
from xraylib.data.manifest import DatasetError

UNCERTAIN = "{} or not"


def findings_of(marks, names):
    """For each line of marks the names of those that are 1 and, as uncertain, of those that are -1;
    or {""}."""
    said = {1: "{}", -1: UNCERTAIN}
    lines = ([said[m].format(n) for m, n in zip(line, names, strict=True) if m in said]
             for line in marks.tolist())  # fmt: skip
    return [frozenset(line or [""]) for line in lines]


def certain(names):
    """Of the names of an image those that are certain."""
    return {name for name in names if name and not name.endswith(UNCERTAIN.format(""))}


def two_classes(folder, rows, positive, negative):
    """The rows with label and class in place of their sets of names; notes."""
    # Sorted, for sets have another order in each process, and equal counts would be said in it.
    counts = Counter(name for names in rows.labels for name in sorted(certain(names)))
    known = [f"{name} ({count:,})" for name, count in counts.most_common()]
    alike = Counter(name.strip().casefold() for name in counts)
    if confused := [n for n in sorted(counts) if alike[n.strip().casefold()] > 1 or not n.strip()]:
        raise DatasetError(
            f"{folder}: expected names of classes that nobody confuses, found "
            f"{few(map(repr, confused))}; rename or merge them"
        )
    for option, name in (("positive", positive), ("negative", negative)):
        if name is not None and name not in counts:
            raise DatasetError(f"{folder}: --{option}: expected one of {few(known)}, got {name!r}")
    if positive is not None and positive == negative:
        raise DatasetError(f"--negative: expected another class than {positive!r}")
    notes = []
    if positive is None and negative is not None and len(counts) > 2:
        positive = _all_but(negative)
        everything = few(sorted(counts.keys() - {negative}))
        notes.append(f"class 1, {positive!r}, is all that is not {negative!r}: {everything}")
        two = [{n if n == negative else positive for n in certain(names)} for names in rows.labels]
        rows = rows.assign(labels=two)
    elif positive is None:
        silent = any(names and not certain(names) for names in rows.labels)
        positive = _positive(folder, counts, known, negative, silent)
    has = np.array([positive in names for names in rows.labels])
    out = np.array([not n or UNCERTAIN.format(positive) in n for n in rows.labels])
    others = sorted(counts.keys() - {positive})
    if negative is None and len(others) == 1 and not any("" in names for names in rows.labels):
        # The other may stand beside it, unless it says that nothing was found.
        if is_negative(others[0]) or rows.labels.map(len).max() == 1:
            [negative] = others
    if negative is None:
        negative = _all_but(positive)
        if others:
            notes.append(f"class 0, {negative!r}, is all that is not {positive!r}: {few(others)}")
    else:
        out |= has == [negative in names for names in rows.labels]  # neither of them, or both
    if out.any():
        why = f"they are neither {positive!r} nor {negative!r} for certain"
        notes.append(f"left out, for {why}: {out.sum():,} images")
    rows = rows.assign(label=has.astype(int), **{"class": np.where(has, positive, negative)})[~out]
    if rows.label.nunique() < 2:
        raise DatasetError(
            f"{folder}: expected images of {positive!r} and of {negative!r}, found only of one, "
            f"and {out.sum():,} that are neither for certain (-1 is uncertain); name another "
            f"class, --positive or --negative, of {few(known)}; or take what one column says for "
            "classes: --file COLUMN --label COLUMN"
        )
    notes.append(f"class 1 is {positive!r}: a score of 1 says so, and sensitivity is of this class")
    return rows.drop(columns="labels").reset_index(drop=True), notes


def _all_but(name):
    """What all classes but one are called together."""
    return "not other" if name.casefold() == "other" else "other"


def _positive(folder, names, known, negative, silent):
    """Which of two names is looked for; or the only one, where others are silent of it."""
    names = sorted(names, key=lambda name: (name.casefold(), name))
    if len(names) == 1 and silent and negative is None:
        return names[0]
    if len(names) < 2:
        raise DatasetError(
            f"{folder}: expected two classes, found {few(known) or 'none'}; say where others are, "
            "in another column, --file COLUMN --label COLUMN, or in names, --label REGEX, or add "
            "their images"
        )
    if len(names) > 2:
        raise DatasetError(
            f"{folder}: expected two classes, found {len(names)}: {few(known)}; add --positive "
            "NAME for one against all others, --negative NAME for all others against one, or both"
        )
    if negative is not None:
        return next(name for name in names if name != negative)
    negatives = list(map(is_negative, names))
    if sum(negatives) != 1:
        first, second = map(shlex.quote, names)
        raise DatasetError(
            f"{folder}: expected to see from the names {names} which class is looked for, and "
            f"cannot: add --positive {first} or --positive {second}; sensitivity will be of that "
            "class"
        )
    return names[negatives.index(False)]
