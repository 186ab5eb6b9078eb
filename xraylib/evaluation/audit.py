"""What a set of images is worth: what is there, what leaks, what tells the classes apart.

``python -m xraylib audit MANIFEST`` writes it as a page. Chapters 02 (data) and 05 (evaluation)
show how each test works, and on what it can be wrong.
"""

import base64
import io
import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from xraylib.data import datasets, images, manifest
from xraylib.evaluation import metrics, shortcuts
from xraylib.evaluation.audit_page import page
from xraylib.evaluation.shortcuts import black_centre, centre_crop, thumbnails
from xraylib.evaluation.validation import cross_validate

SEEDS, FOLDS = 3, 5
SHOWN = 8  # films of each class on the contact sheet
TOLD = 1000  # pairs of films that are alike
SCORED = 3000  # films, half of each class, that suspects are scored on, whatever the set
# What a manifest says that is no measure of the films.
NO_SUSPECTS = {"file", "label", "class", "split", "group", "sha256", "url", "width", "height",
               "original_filename", "original_sha256"}  # fmt: skip

VIEWS = {
    "16 × 16 pixels": thumbnails,
    "the same of the outer fifth": lambda film: thumbnails(black_centre(film, 0.8)),
    "the same of the central tenth": lambda film: thumbnails(centre_crop(film, 0.1)),
    "the four corners, 8 × 8 pixels each": lambda film: _corners(film[0]),
    "grey values without places": shortcuts.grey_values,
    "fine detail, which resampling changes": shortcuts.fine_detail,
}


def audit(path, *, backbone=True, store=None, progress=True):
    """Look at a set of images as its manifest describes it.

    Args:
        path: of the manifest, or the name of one of the book's sets.
        backbone: whether to score averaged features of EfficientNet-Lite0, too, which takes most of
            the time.
        store: folder to keep what is computed of the films in, see
            :func:`xraylib.data.arrays.filled`.
        progress: show bars on stderr.

    Returns a dict that can be written as JSON: set, classes, counts, majority, sizes, doubtful,
    leaks, sheet (a PNG as a base64 text), scored (how many films the suspects were told of: of a
    large set those of some people, drawn at random) and suspects, a list, the strongest first, each
    with what, kind, right, auc, control, flagged, or why it is not applicable.
    Raises ValueError and DatasetError as :func:`xraylib.data.datasets.load` does.
    """
    data = datasets.load(manifest.find(path, crossing=True))
    scored = _scored(data)
    seen, part = _seen(data, scored, progress), data.subset(scored)
    found = {
        "set": data.name,
        "classes": list(data.class_names),
        "counts": _counts(data),
        "majority": str(metrics.majority(data.labels)),
        "sizes": _sizes(data),
        "doubtful": [
            f"{n}: {why}" for n, why in zip(data.names, seen["doubt"], strict=True) if why
        ],
        "leaks": _leaks(data, seen),
        "sheet": _sheet(data),
        "scored": {"films": len(part), "majority": str(metrics.majority(part.labels))},
    }
    tests = [("beside the picture", what, X) for what, X in _beside(part)]
    tests += [("of the picture", what, seen[what]) for what in VIEWS]
    if backbone:
        what = "averaged features of EfficientNet-Lite0"
        tests.append(("of the picture", what, _features(part, store, progress)))
    bar = tqdm(tests, desc="suspects", leave=False, disable=None if progress else True)
    # Of few films a fold takes less time than its way to a worker.
    with joblib.parallel_config(**({"n_jobs": 1} if len(part) < 1000 else {})):
        suspects = [_suspect(part, *test) for test in bar]
    suspects.sort(key=lambda each: each.get("auc", [0, 0])[1], reverse=True)
    return found | {"suspects": suspects}


def _corners(film):
    """The four corners, a tenth of each side, where letters are: float64 (1, 256), 0..1."""
    h, w = (max(1, side // 10) for side in film.shape[:2])
    corners = [film[:h, :w], film[:h, -w:], film[-h:, :w], film[-h:, -w:]]
    return thumbnails(corners, 8).reshape(1, -1)


def _scored(data):
    """bool (n,), the films to score suspects on: of many some people with all of theirs."""
    if len(data) <= SCORED:
        return np.ones(len(data), bool)
    films = pd.crosstab(data.groups, data.labels).sample(frac=1, random_state=0)
    before = films.cumsum() - films
    chosen = films.index[((before < SCORED // 2) & (films > 0)).any(axis=1)]
    return np.isin(data.groups, chosen)


def _seen(data, scored, progress):
    """What one reading of each film gives: "doubt" and "hash" of all, views of those to score."""

    def look(i):
        film = data.images[i]
        row = {"doubt": images.doubt(film), "hash": shortcuts.hashes([film], False)[0]}
        row["pixels"] = joblib.hash(film)  # equal where these are
        views = VIEWS.items() if scored[i] else ()
        return row | {what: view([film])[0].astype("float32") for what, view in views}

    # Threads: reading, resizing and sums work outside of Python.
    jobs = (joblib.delayed(look)(i) for i in range(len(data)))
    rows = joblib.Parallel(-1, "threading", return_as="generator")(jobs)
    rows = list(tqdm(rows, "films", len(data), leave=False, disable=None if progress else True))
    every = ("doubt", "hash", "pixels", *VIEWS)
    return {what: np.array([row[what] for row in rows if what in row]) for what in every}


def _counts(data):
    names = np.array(data.class_names)[data.labels]
    table = pd.DataFrame({"class": names, "split": data.split, "group": data.groups})
    counts = table.groupby("class").agg(images=("group", "size"), people=("group", "nunique"))
    counts = counts.join(pd.crosstab(table["class"], table.split))
    return counts.loc[list(data.class_names)].reset_index().to_dict("records")


def _sizes(data):
    rows = []
    for label, name in enumerate(data.class_names):
        part, row = data.table[data.labels == label], {"class": name}
        for side in ("width", "height"):
            if side in part:
                pixels = pd.to_numeric(part[side], errors="coerce")
                low, middle, high = pixels.quantile([0, 0.5, 1])
                row[side] = f"{middle:.0f} ({low:.0f} to {high:.0f})"
        for what in ("format", "bits", "site"):
            if what in part:
                often = part[what].value_counts().head(5)
                row[what] = ", ".join(f"{value} ({n})" for value, n in often.items())
        rows.append(row)
    return rows


def _leaks(data, seen):
    sides = pd.Series(data.split).groupby(data.groups).transform("nunique")
    crossing = [name for name, n in zip(data.names, sides, strict=True) if n > 1]
    pairs = np.stack(shortcuts.alike(seen["hash"]), axis=1)
    of_two = pairs[data.groups[pairs[:, 0]] != data.groups[pairs[:, 1]]]
    told = []
    for i, j, signs in of_two[:TOLD]:
        same = seen["pixels"][i] == seen["pixels"][j]
        how = "the same pixels" if same else f"{signs} of 64 signs apart"
        where = "" if data.split[i] == data.split[j] else ", in two splits"
        told.append(f"{data.names[i]} = {data.names[j]} ({how}{where})")
    cut = f": of {len(of_two):,} pairs the most alike" if len(of_two) > TOLD else ""
    return {
        "people on both sides of a split": crossing,
        f"films alike, of two people{cut}": told,
        "pairs of films alike, of one person": len(pairs) - len(of_two),
    }


def _sheet(data):
    """A PNG with some films of each class, a row a class."""
    rng, rows = np.random.default_rng(0), []
    for label in (0, 1):
        of = np.flatnonzero(data.labels == label)
        shown = rng.choice(of, min(SHOWN, len(of)), replace=False)
        films = [datasets.resize([data.images[i]], 112, "bilinear", True)[0] for i in shown]
        films += [np.zeros_like(films[0])] * (SHOWN - len(films))
        rows.append(np.concatenate(films, axis=1))
    file = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _beside(data):
    """(what, DataFrame) of all that a table says of the films, besides what they show."""
    if {"width", "height"} <= set(data.table):
        yield "width and height", shortcuts.metadata_columns(data, ["width", "height"])
    for column in data.table:
        if column not in NO_SUSPECTS:
            yield column, shortcuts.metadata_columns(data, [column])


def _features(data, store, progress):
    from xraylib.models.backbones import efficientnet_lite0  # here, because it brings TensorFlow
    from xraylib.models.builders import best_precision
    from xraylib.training import frozen

    backbone = efficientnet_lite0(dtype=best_precision("efficientnet_lite0", frozen=True))
    square = datasets.at_size(data.images, data.table, 224, "bilinear", store=store)
    found = frozen.averaged(backbone, square, store=store, progress=progress)
    return np.asarray(found, np.float32)


def _suspect(data, kind, what, X):
    """How well one of them tells the classes apart, and the same with shuffled labels."""
    found = {"what": what, "kind": kind}
    if len(pd.DataFrame(X).drop_duplicates()) < 2:
        return found | {"not_applicable": "it is the same for all films"}
    beside = kind == "beside the picture"
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=5000))
    model = shortcuts.metadata_tree(X) if beside else linear

    def scores(labels, seeds):
        settings = {"seeds": seeds, "folds": FOLDS, "progress": False}
        return cross_validate(model, X, labels, data.groups, **settings)

    control = []
    try:
        crossed = scores(data.labels, SEEDS)
        for seed in range(SEEDS):
            labels = _shuffled(data, seed)
            area = roc_auc_score(labels, scores(labels, [seed]).together)
            control.append(round(float(area), 3))
    except ValueError as error:
        why = f"there are too few films or people for {FOLDS} folds ({error})"
        return found | {"not_applicable": why}
    area = metrics.evaluate(data.labels, crossed.together, groups=data.groups).auc
    area = [round(float(each), 3) for each in area]
    flagged = area[1] > max(0.6, *control)
    if flagged and beside and _label_itself(X, data.labels):
        found["what"] += " (no value is in both classes: is it the label itself?)"
    return found | {
        "right": str(crossed.spread), "auc": area, "control": control, "flagged": flagged
    }  # fmt: skip


def _shuffled(data, seed):
    """Labels shuffled among people: films of one are alike. Who has both gets one of them."""
    rng = np.random.default_rng(seed)
    person = np.unique(data.groups, return_inverse=True)[1]
    films = rng.permutation(len(person))
    of_each = films[np.unique(person[films], return_index=True)[1]]
    return rng.permutation(data.labels[of_each])[person]


def _label_itself(X, labels):
    """Whether it is one column of few values, each of them in one class alone."""
    classes = pd.Series(labels).groupby(X.iloc[:, 0].map(str).to_numpy()).nunique()
    return X.shape[1] == 1 and len(classes) < 20 and (classes == 1).all()


def summary(found):
    """The findings in a few lines of text."""
    lines = [
        f"{found['set']}: " + ", ".join(
            f"{row['images']:,} images of {row['people']:,} people {row['class']}"
            for row in found["counts"]
        ),
        f"always saying the larger class: {found['majority']}",
    ]  # fmt: skip
    for what, which in found["leaks"].items():
        if isinstance(which, list) and which:
            lines.append(f"{what}: {len(which)}, such as {which[0]}")
    if found["doubtful"]:
        lines.append(f"films to look at: {len(found['doubtful'])}, such as {found['doubtful'][0]}")
    flagged = [each for each in found["suspects"] if each.get("flagged")]
    for each in flagged[:8]:
        value, low, high = each["auc"]
        lines.append(f"{each['kind']}, {each['what']}: AUC {value:.2f} ({low:.2f} to {high:.2f})")
    if not any("auc" in each for each in found["suspects"]):
        why = found["suspects"][-1]["not_applicable"]
        lines.append(f"none of the suspects could be scored, such as the last: {why}")
    elif not flagged:
        lines.append("none of the suspects tells the classes apart")
    return "\n".join(lines)


def write(path, *, folder=None, **options):
    """Audit a set and write ``audit.html``, one self-contained page, and ``audit.json``.

    The folder is made if needed; None: beside the manifest, of the book's own sets the current
    folder. Path, options and errors are those of :func:`audit`.
    Returns (pathlib.Path of the page, dict of the findings).
    """
    if folder is None:
        folder = Path(path).expanduser().parent if str(path).endswith(".csv") else "."
    else:
        Path(folder).mkdir(parents=True, exist_ok=True)  # before minutes of work
    folder = Path(folder).resolve()
    found = audit(path, **options)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    manifest.store({folder / "audit.json": text, folder / "audit.html": page(found)})
    return folder / "audit.html", found
