"""Tests of what tells the classes apart besides anatomy, and of what a model makes of it.

Each test hides the anatomy, or most of it, and keeps a suspect: if a small classifier can still
tell the classes apart, a network could too. A suspect is a shortcut only if it has nothing to do
with the body, as the size of a file or a letter; the rim and the middle of a film show anatomy
too. A score near chance does not clear a data set; it says that this suspect, seen in this way,
gives nothing away.
"""

import itertools
import math

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.spatial import KDTree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tqdm import tqdm

from xraylib import datasets, phantoms
from xraylib.evaluation import Spread, proportion


def black_centre(images, share=0.5):
    """Black out the middle of each image and keep the rim.

    Args:
        images: array (n, h, w, 3), or list of (h, w, 3) arrays of any sizes.
        share: of the area, 0..1, that the black box covers; it has the shape of the image.

    Returns:
        New images, an array for an array and a list for a list.

    Raises:
        ValueError: images of another shape, or a share out of range.
    """
    _check(images, share)
    whole_array = isinstance(images, np.ndarray)
    out = images.copy() if whole_array else [image.copy() for image in images]
    for image in out:
        image[_box(image.shape, share)] = 0
    return out


def centre_crop(images, share=0.1):
    """Keep the middle of each image and drop the rim.

    Args:
        images: array (n, h, w, 3), or list of (h, w, 3) arrays of any sizes.
        share: of the area, 0..1, that is kept, one pixel at least; it has the shape of the image.

    Returns:
        New images, an array for an array and a list for a list.

    Raises:
        ValueError: images of another shape, or a share out of range.
    """
    _check(images, share)
    if isinstance(images, np.ndarray):
        return images[(slice(None), *_box(images.shape[1:], share, least=1))].copy()
    return [image[_box(image.shape, share, least=1)].copy() for image in images]


def _check(images, share=0.5):
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a share of the area from 0 to 1, got {share!r}")
    if isinstance(images, np.ndarray) and (images.ndim != 4 or images.shape[-1] != 3):
        raise ValueError(
            f"expected images (n, h, w, 3), got {images.shape}; for one image pass [image]"
        )
    for i, image in enumerate(images):
        if np.ndim(image) != 3 or image.shape[-1] != 3 or image.size == 0:
            raise ValueError(f"image {i}: expected the shape (h, w, 3), got {np.shape(image)}")


def _box(shape, share, least=0):
    """Rows and columns of the central box of this share of the area, with equal margins."""
    slices = []
    for side in shape[:2]:
        margin = int(side * (1 - math.sqrt(share)) / 2)
        kept = side - 2 * margin if share else least
        slices.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    return tuple(slices)


def thumbnails(images, size=16):
    """Grey values of each image at size × size pixels, averaged over the area and the channels.

    Args:
        images: uint8 array (n, h, w, 3), or list of (h, w, 3).
        size: side in pixels.

    Returns:
        float64 (n, size²), 0..1.
    """
    small = datasets.resize(images, size, "bilinear").mean(axis=-1)
    return small.reshape(len(small), -1) / 255


def metadata_only(data, metadata, *, folds=5, seed=0):
    """How many images a small decision tree gets right that sees no pixel.

    Args:
        data: Dataset of two classes or more.
        metadata: columns of ``data.table`` for a tree of depth 3. Columns of numbers stay numbers;
            others are categories. Whether a value is missing (NaN, None, an empty cell) is one of
            the things that the tree sees: what was left blank for one class only is a shortcut
            itself.
        folds: of the cross-validation, by groups.
        seed: of the folds and of the tree.

    Returns:
        evaluation.Proportion.

    Raises:
        ValueError: unknown columns, the label among them, or too few groups.
    """
    columns = _metadata(data, metadata)
    splits = _splits(data.labels, data.groups, folds, seed)
    predicted = cross_val_predict(_tree(columns, seed), columns, data.labels, cv=splits)
    return proportion((predicted == data.labels).sum(), len(data))


def audit(data, *, metadata=(), folds=5, seed=0, random_weights=True):
    """How many images a small classifier gets right that sees only a suspect.

    Each image is scored once, by a classifier that has not seen its group. Images are seen as
    16 × 16 grey pixels, by a logistic regression, unless the row says otherwise. The last row is
    the control: whole groups are dealt to the classes at random, so that films of a person still
    share a label and the classes keep their sizes. It must stay near chance, the share of the
    larger class.

    Args:
        data: Dataset of two classes or more.
        metadata: columns of ``data.table`` for the first row, see :func:`metadata_only`.
        folds: of the cross-validation; each class needs as many groups.
        seed: of the folds, the control and the random weights.
        random_weights: whether to include features of an EfficientNet-Lite0 that has never seen a
            picture, which takes TensorFlow and some 30 ms an image.

    Returns:
        dict from the name of a suspect, fit for an axis, to its evaluation.Proportion.

    Raises:
        ValueError: unknown columns, the label among them, or too few classes or groups.
    """
    _check(data.images)
    pairs = np.unique(np.stack([data.labels, data.groups], axis=1), axis=0)
    classes, people = np.unique(pairs[:, 0], return_counts=True)
    if len(classes) < 2 or folds < 2 or people.min() < folds:
        raise ValueError(
            "expected two classes or more, and of each as many groups as folds, two or more; got "
            f"folds={folds} and {dict(zip(classes.tolist(), people.tolist(), strict=True))} groups "
            "of each class: take fewer folds, or more images"
        )
    logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    splits = _splits(data.labels, data.groups, folds, seed)
    results = {}
    with tqdm(desc="audit", unit="row", leave=False, disable=None) as bar:

        def score(name, features, model=logistic, labels=data.labels, splits=splits):
            predicted = cross_val_predict(model, features, labels, cv=splits)
            results[name] = proportion((predicted == labels).sum(), len(labels))
            bar.update()

        if len(metadata):
            name = f"{', '.join(metadata)} alone"
            results[name] = metadata_only(data, metadata, folds=folds, seed=seed)
            bar.update()
        score("only the outer fifth", thumbnails(black_centre(data.images, 0.8)))
        score("central half blacked out", thumbnails(black_centre(data.images, 0.5)))
        score("only the central tenth", thumbnails(centre_crop(data.images, 0.1)))
        for size in (16, 8, 4, 2):
            score(f"{size} × {size} pixels", thumbnails(data.images, size))
        score("mean grey value", [[image.mean()] for image in data.images])
        if random_weights:
            score("network with random weights", _random_features(data.images, seed))
        dealt = _deal(data.labels, data.groups, np.random.default_rng(seed))
        control = _splits(dealt, data.groups, folds, seed)
        score("control: shuffled labels", thumbnails(data.images), logistic, dealt, control)
    return results


def _splits(labels, groups, folds, seed):
    classes = len(np.unique(labels))
    dealer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    splits = list(dealer.split(labels, labels, groups))
    if any(len(np.unique(labels[train])) < classes for train, _ in splits):
        raise ValueError("a class has all its images in one fold: take fewer folds")
    return splits


def _deal(labels, groups, rng):
    """Deal whole groups to the classes at random; each class ends with as many images as it had.

    Swapping labels between groups would not do: where one class has the larger groups its size
    would change, and swapping among groups of one size would leave most large ones as they are.
    """
    classes, room = np.unique(labels, return_counts=True)
    people, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    dealt = np.empty(len(people), labels.dtype)
    order = rng.permutation(len(people))
    for person in order[np.argsort(-sizes[order], kind="stable")]:  # the large ones fit first
        # As if drawn from what is left of the labels: with groups of one, a permutation.
        odds = np.where(room >= sizes[person], room, 0)
        odds = odds if odds.any() else room.clip(0)
        chosen = rng.choice(len(classes), p=odds / odds.sum())
        dealt[person] = classes[chosen]
        room[chosen] -= sizes[person]
    return dealt[member]


def _metadata(data, names):
    """The columns as floats, or as str with a category for what is missing."""
    known = [column for column in data.table.columns if column != "label"]
    unknown = [name for name in names if name not in known]
    if isinstance(names, str) or unknown:
        got = repr(names) if isinstance(names, str) else unknown
        raise ValueError(f"metadata: expected some of the columns {known}, got {got}")
    columns = {}
    for name in names:
        values = data.table[name].replace(r"^\s*$", np.nan, regex=True)
        numbers = pd.to_numeric(values, errors="coerce").astype(float)
        text = values.astype(object).where(values.notna(), "(missing)").astype(str)
        all_numbers = (numbers.notna() == values.notna()).all() and values.notna().any()
        # Trees take no infinite numbers, but a very large one.
        columns[name] = numbers.clip(-1e30, 1e30) if all_numbers else text.astype(object)
    return pd.DataFrame(columns)


def _tree(columns, seed):
    numbers = [name for name in columns if columns[name].dtype.kind == "f"]
    others = [name for name in columns if name not in numbers]
    # The median, and a column of its own that says where it was put in.
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encode = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer([("numbers", fill, numbers), ("others", encode, others)]),
        DecisionTreeClassifier(max_depth=3, random_state=seed),
    )


def _random_features(images, seed):
    from xraylib import models, training  # here, because they bring TensorFlow

    network = models.efficientnet_lite0(weights=None, seed=seed)
    square = datasets.resize(images, models.native_size(network), "bilinear")
    maps = training.features(network, square)
    return maps.mean(axis=(1, 2), dtype="float32")


def near_duplicates(data, distance=8):
    """Pairs of images that look alike to a perceptual hash.

    The hash keeps 64 signs of the coarse structure. Copies that were compressed or resized are up
    to 6 apart; nine of ten that were brightened up to 8, that lost 2 % at each side up to 8, that
    got an arrow up to 10. In the 75 X-rays and in the COVID-19 set no two people are closer than
    10. Not found are mirrored, inverted or strongly cropped copies, and most other films of one
    person.

    Args:
        data: Dataset of uint8 images.
        distance: the largest number of signs, 0..64, in which a pair may differ; always even.

    Returns:
        pandas.DataFrame, a row a pair, the most alike first: first and second (names), distance,
        identical (the same pixels), same_group, same_split (bool), labels (such as "chest, chest").

    Raises:
        ValueError: images that are not uint8 (h, w, 3), or a distance out of range.

    Source: ``imagehash.phash`` (Zauner 2010): the signs, about their median, of the lowest 8 × 8
    frequencies of the discrete cosine transform of 32 × 32 grey pixels.
    """
    whole = isinstance(distance, (int, np.integer)) and not isinstance(distance, bool)
    if not whole or not 0 <= distance <= 64:
        raise ValueError(f"distance: expected a whole number from 0 to 64, got {distance!r}")
    _check(data.images)
    bits = np.zeros((len(data), 64), bool)
    for i, image in enumerate(tqdm(data.images, desc="hash", leave=False, disable=None)):
        if image.dtype != np.uint8:
            raise ValueError(f"image {i}: expected uint8, got {image.dtype}")
        bits[i] = imagehash.phash(Image.fromarray(image)).hash.ravel()
    pairs = KDTree(bits).query_pairs(distance, p=1, output_type="ndarray")
    apart = (bits[pairs[:, 0]] != bits[pairs[:, 1]]).sum(axis=1)
    first, second = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], apart))].T
    names, classes = np.array(data.names), np.array(data.class_names)[data.labels]
    same = [
        np.array_equal(data.images[i], data.images[j]) for i, j in zip(first, second, strict=True)
    ]
    return pd.DataFrame(
        {
            "first": names[first],
            "second": names[second],
            "distance": np.sort(apart),
            "identical": np.array(same, bool),
            "same_group": data.groups[first] == data.groups[second],
            "same_split": data.split[first] == data.split[second],
            "labels": [", ".join(two) for two in np.stack([classes[first], classes[second]], 1)],
        }
    )


def switch_markers(models, *, prepare=None, n=100, size=224, dealings=1, seed=0):
    """Tie a letter to the class, train, and cut the tie: a shortcut whose truth is known.

    The task is to tell phantom chests with opacities (1) from those without (0). A model is trained
    twice, on the same films: once with a letter on every film with opacities and on no other
    ("tied"), once with a letter on half of the films of each class ("alike"). Both are tested on
    films of other patients, three times, and nothing but the letters differs: on the same class
    as in the tied training ("tied"), on no film ("without"), on the other class ("switched").
    A model that looks at the lungs scores the same three times. One that reads the letter gets all
    of "tied" right, half of "without", and none of "switched".

    Chests and abdomens would not do for this: they differ so clearly that even a logistic
    regression on thumbnails has no need of the letter.

    Args:
        models: dict from a name to a function (X_train, y_train, X_test, seed) -> scores (m,) in
            0..1, of what prepare gives and int64 labels; called once a training. All of them are
            dealt the same patients.
        prepare: function of uint8 images (m, size, size, 3) -> X (m, ...), called once for all
            models and dealings; None: the models get the images.
        n: patients to train on, and as many others to test on, one film each; a multiple of 4. It
            takes some 0.15 s a patient, divided by the cores, the first time.
        size: side of the images in pixels; a letter is about a sixteenth of it high.
        dealings: how often the patients are dealt anew to training and test.
        seed: of the phantoms and of the dealings, and passed on to the models.

    Returns:
        dict from the name of a model to a dict of evaluation.Spread over the dealings: "trained
        tied, tested tied", "trained tied, tested without", "trained tied, tested switched", and the
        same for "trained alike". A score of 0.5 or more says opacities.

    Raises:
        ValueError: n is no such number, there is no dealing, or a model returns something else
            than such scores.

    Source: the design of Zech et al. 2018, where the tie was that of hospital and prevalence.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 4 or n % 4:
        raise ValueError(f"n: expected a multiple of 4, so that both classes are equal; got {n!r}")
    if dealings < 1:
        raise ValueError(f"expected 1 dealing or more, got dealings={dealings}")
    patients, rng = np.arange(2 * n), np.random.default_rng(seed)
    labels = patients % 2
    sides = rng.choice(["L", "R"], len(patients))
    images = []
    for lettered in (False, True):  # the same films, marked or not
        made = phantoms.radiographs(
            {
                "label": 0,
                "patient": patient,
                "seed": seed,
                "opacity": labels[patient] == 1,
                "letter": str(sides[patient]) if lettered else None,
            }
            for patient in patients
        )
        images += [np.repeat(image[..., None], 3, axis=2) for image, _ in made]
    images = datasets.resize(images, size, "bilinear")
    X = images if prepare is None else np.asarray(prepare(images))
    if len(X) != 4 * n:
        raise ValueError(f"expected prepare to return {4 * n} rows, one an image; got {X.shape}")

    tied = labels == 1
    trainings = {"tied": tied, "alike": patients // 2 % 2 == 1}
    tests = {"tied": tied, "without": np.zeros_like(tied), "switched": ~tied}
    train, test = slice(n), slice(n, None)
    right = {name: {} for name in models}
    for _ in range(dealings):
        who = patients.copy()  # at each place; the classes take turns, as they did
        for label in (0, 1):
            who[label::2] = rng.permutation(who[label::2])
        shown = np.concatenate([who[test] + 2 * n * letters[test] for letters in tests.values()])
        for (name, model), (tie, letters) in itertools.product(models.items(), trainings.items()):
            given = X[who[train] + 2 * n * letters[train]]
            scores = np.asarray(model(given, labels[train], X[shown], seed), float)
            # NaN fails the second test too.
            if scores.shape != (3 * n,) or not ((scores >= 0) & (scores <= 1)).all():
                raise ValueError(
                    f"expected {name} to return {3 * n} scores from 0 to 1, one a test image; got "
                    f"the shape {scores.shape} with values {np.unique(scores)[:5].tolist()}"
                )
            called = (scores.reshape(3, n) >= 0.5) == labels[test]
            for tested, count in zip(tests, called.sum(axis=1).tolist(), strict=True):
                right[name].setdefault(f"trained {tie}, tested {tested}", []).append(count)
    return {
        name: {what: Spread(tuple(values), n) for what, values in counts.items()}
        for name, counts in right.items()
    }
