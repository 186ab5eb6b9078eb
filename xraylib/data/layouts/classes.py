"""Two classes of the labels that a set has, and which of them is class 1."""

import shlex
from collections import Counter

import numpy as np

from xraylib.data.layouts.folders import few, is_negative
from xraylib.data.manifest import DatasetError


def two_classes(folder, rows, positive, negative):
    """The rows with label and class in place of their sets of names; notes."""
    counts = Counter(
        name for names in rows.labels for name in names if name and not name.endswith(" or not")
    )
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
    without = any(names and not names & counts.keys() for names in rows.labels)
    if positive is None and negative is None and len(counts) == 1 and without:
        [positive] = counts  # a single finding, which is there or not
    if positive is None and negative is not None and len(counts) > 2:
        positive = _all_but(negative)
        sure = rows.labels.map(lambda names: {n for n in names if n and not n.endswith(" or not")})
        two = sure.map(lambda names: {n if n == negative else positive for n in names})
        rows = rows.assign(labels=two.map(frozenset))
        everything = few(sorted(counts.keys() - {negative}))
        notes.append(f"class 1, {positive!r}, is all that is not {negative!r}: {everything}")
    if positive is None:
        positive = _positive(
            folder, sorted(counts, key=lambda n: (n.casefold(), n)), known, negative
        )
    has = rows.labels.map(lambda names: positive in names).astype(int)
    out = rows.labels.map(lambda names: not names or f"{positive} or not" in names)
    others = [name for name in counts if name != positive]
    if negative is None and len(others) == 1 and not any("" in names for names in rows.labels):
        # The other may stand beside it, unless it says that nothing was found.
        if is_negative(others[0]) or rows.labels.map(len).max() == 1:
            [negative] = others
    if negative is None:
        negative = _all_but(positive)
        if others:
            notes.append(
                f"class 0, {negative!r}, is all that is not {positive!r}: {few(sorted(others))}"
            )
    else:
        has_other = rows.labels.map(lambda names: negative in names)
        out |= has_other == (has == 1)  # neither of them, or both
    if out.any():
        why = f"they are neither {positive!r} nor {negative!r} for certain"
        notes.append(f"left out, for {why}: {int(out.sum()):,} images")
    rows = rows.assign(label=has, **{"class": np.where(has, positive, negative)})[~out]
    if rows.label.nunique() < 2:
        raise DatasetError(
            f"{folder}: expected images of {positive!r} and of {negative!r}, found only of one, "
            f"and {int(out.sum()):,} that are neither for certain (-1 is uncertain); name another "
            f"class, --positive or --negative, of {few(known)}; or take what one column says for "
            "classes: --file COLUMN --label COLUMN"
        )
    notes.append(f"class 1 is {positive!r}: a score of 1 says so, and sensitivity is of this class")
    return rows.drop(columns="labels").reset_index(drop=True), notes


def _all_but(name):
    """What all classes but one are called together."""
    return "not other" if name.casefold() == "other" else "other"


def _positive(folder, names, known, negative):
    """Which of two names is looked for."""
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
