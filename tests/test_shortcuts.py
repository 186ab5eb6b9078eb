"""Planted shortcuts are found, clean suspects pass, and no group is on both sides of a fold."""

import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.ndimage import white_tophat
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from xraylib import datasets, evaluation, figures, shortcuts


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Fits of sixty images lose more by several threads than they gain."""
    with threadpool_limits(1):
        yield


def dataset(images, labels, groups=None, split="train", **columns):
    """A set made of arrays."""
    labels = np.asarray(labels, np.int64)
    table = pd.DataFrame({"file": [f"film {i}" for i in range(len(labels))], "label": labels})
    table["group"] = np.arange(len(labels)) if groups is None else groups
    table["split"] = split
    return datasets._dataset(images, table.assign(**columns), ("chest", "abdomen"), "made up")


def noise(n=60, seed=0, side=16):
    """Images that tell nothing, and labels that take turns."""
    images = np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)
    return images, np.arange(n) % 2


def audit(data, **options):
    return shortcuts.audit(data, random_weights=False, **options)


def near_chance(result, people=None):
    """Within three standard deviations of a half, for so many independent answers."""
    return abs(result.k / result.n - 0.5) < 1.5 / np.sqrt(people or result.n)


# --- what is hidden and what is kept -------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.8, 1])
@pytest.mark.parametrize("shape", [(100, 100), (101, 200), (7, 4), (1, 1)])
def test_the_centre_has_the_share_of_the_area_that_was_asked_for(share, shape):
    image = np.full((*shape, 3), 200, np.uint8)
    (rim,), (centre,) = (f([image], share) for f in (shortcuts.black_centre, shortcuts.centre_crop))
    height, width = shape
    slack = (2 * height + 2 * width + 4) / image[..., 0].size
    assert (rim == 0).mean() == pytest.approx(share, abs=slack)
    assert centre[..., 0].size / image[..., 0].size == pytest.approx(share, abs=slack)
    assert centre.size > 0 and image.min() == 200
    assert np.array_equal(rim, rim[::-1, ::-1])  # the box is in the middle
    if share == 0:
        assert (rim == 200).all()
    if share == 1:
        assert (rim == 0).all() and np.array_equal(centre, image)


def test_rim_and_centre_are_the_pixels_of_the_image():
    images, _ = noise(3, side=51)
    rims = shortcuts.black_centre(images, 0.3)
    crops = shortcuts.centre_crop(images, 0.3)
    side = crops.shape[1]
    start = (51 - side) // 2
    inside = np.s_[:, start : start + side, start : start + side]
    assert np.array_equal(crops, images[inside])
    assert (rims[inside] == 0).all()
    assert np.array_equal(rims.sum((1, 2)) + crops.sum((1, 2)), images.sum((1, 2)))


def test_a_list_stays_a_list_and_an_array_an_array():
    images, _ = noise(4)
    for hide in (shortcuts.black_centre, shortcuts.centre_crop):
        array, as_list = hide(images), hide(list(images))
        assert isinstance(array, np.ndarray) and isinstance(as_list, list)
        assert np.array_equal(array, np.array(as_list)) and array.dtype == np.uint8
        array[:] = 7
        assert (images != 7).any()
        assert len(hide(images[:0])) == 0 and hide([]) == []


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_a_share_out_of_range_is_refused(share):
    for hide in (shortcuts.black_centre, shortcuts.centre_crop):
        with pytest.raises(ValueError, match="from 0 to 1"):
            hide(noise(2)[0], share)


@pytest.mark.parametrize("wrong", [np.zeros((9, 9, 3)), np.zeros((2, 9, 9)), [np.zeros((9, 9))]])
def test_other_shapes_are_refused(wrong):
    for hide in (shortcuts.black_centre, shortcuts.centre_crop):
        with pytest.raises(ValueError, match=r"h, w, 3\)"):
            hide(wrong)


# --- the audit -----------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [False, True])
def test_a_mark_in_the_corner_is_found_there_and_nowhere_else(as_list):
    images, labels = noise(side=64)
    images[labels == 1, 2:8, 2:8] = 255
    found = audit(dataset(list(images) if as_list else images, labels))
    assert found["only the outer fifth"].low > 0.85
    assert found["central half blacked out"].low > 0.85
    assert found["16 × 16 pixels"].low > 0.85
    assert near_chance(found["only the central tenth"])
    assert near_chance(found["control: shuffled labels"])
    assert not any("alone" in name for name in found)


def test_a_mark_in_the_middle_is_found_there_and_nowhere_else():
    images, labels = noise(side=64)
    images[labels == 1, 28:36, 28:36] = 255
    found = audit(dataset(images, labels))
    assert found["only the central tenth"].low > 0.85
    assert near_chance(found["only the outer fifth"])
    assert near_chance(found["central half blacked out"])


def test_brightness_is_found_at_every_size_down_to_one_number():
    images, labels = noise(side=64)
    images[labels == 1] //= 2
    found = audit(dataset(images, labels))
    assert list(found) == [
        "only the outer fifth",
        "central half blacked out",
        "only the central tenth",
        "16 × 16 pixels",
        "8 × 8 pixels",
        "4 × 4 pixels",
        "2 × 2 pixels",
        "mean grey value",
        "control: shuffled labels",
    ]
    assert all(result.low > 0.85 for result in list(found.values())[:-1])
    figures.bars_with_intervals(list(found), list(found.values()))


def test_nothing_is_found_where_there_is_nothing():
    found = audit(dataset(*noise(100), age=np.random.default_rng(1).integers(20, 80, 100)),
                  metadata=["age"])  # fmt: skip
    assert all(map(near_chance, found.values()))
    assert all(result.n == 100 for result in found.values())


def test_phantoms_give_their_size_away_only_where_it_is_tied():
    def metadata(**options):
        data = datasets.load("phantom", n=32, seed=1, **options)
        small = datasets.resize(data.images, 16)
        data = datasets._dataset(small, data.table, data.class_names, data.name)
        return audit(data, metadata=("width", "height"))["width, height alone"]

    assert metadata(tie_size=True).low > 0.75
    assert near_chance(metadata())


@pytest.mark.parametrize("blank, filled", [("", "54"), (None, "AP"), (np.nan, np.inf)])
def test_what_was_left_blank_is_a_shortcut(blank, filled):
    images, labels = noise(20)
    cells = [blank if label else filled for label in labels]
    found = audit(dataset(images, labels, column=cells), metadata=["column"], folds=2)
    assert found["column alone"].k == 20


def test_categories_numbers_and_columns_without_a_value_go_together():
    images, labels = noise()
    data = dataset(
        images,
        labels,
        empty=[""] * 60,
        one=["same"] * 60,
        flag=labels == 1,
        mixed=["7", "seven", None] * 20,
    )
    found = audit(data, metadata=["empty", "one", "flag", "mixed"])["empty, one, flag, mixed alone"]
    assert found.k == 60
    found = audit(data, metadata=["empty", "one", "mixed"])["empty, one, mixed alone"]
    assert near_chance(found)


def people(seed=0):
    """Thirty people with four films each that are all but equal; the label says nothing."""
    rng = np.random.default_rng(seed)
    faces, _ = noise(30, seed)
    groups = np.repeat(np.arange(30), 4)
    images = faces[groups] // 2 + rng.integers(0, 8, (120, 16, 16, 3), np.uint8)
    return images, rng.permutation(np.arange(30) % 2)[groups], groups


def test_groups_do_not_leak():
    images, labels, groups = people()
    kept_together, torn_apart = (
        audit(dataset(images, labels, groups)),
        audit(dataset(images, labels)),
    )
    for name in ("16 × 16 pixels", "only the outer fifth", "control: shuffled labels"):
        assert near_chance(kept_together[name], people=30)
    assert torn_apart["16 × 16 pixels"].k == 120  # they would be recognised


def test_the_control_stays_near_chance_where_one_class_has_all_the_large_groups():
    """Even though an honest test finds the classes; so it is in the report's X-rays."""
    rng = np.random.default_rng(0)
    groups = np.array([*range(40), *np.repeat(np.arange(40, 50), 4)])
    labels = (groups >= 40).astype(int)
    images = rng.integers(0, 200, (80, 16, 16, 3), np.uint8)
    images[labels == 1] += 50
    data = dataset(images, labels, groups)
    controls = []
    for seed in range(4):
        found = audit(data, seed=seed)
        assert found["16 × 16 pixels"].low > 0.85
        controls.append(found["control: shuffled labels"])
    assert abs(np.mean([control.k / control.n for control in controls]) - 0.5) < 0.12


def test_same_seed_same_result():
    data = dataset(*people())
    assert audit(data, seed=3) == audit(data, seed=3)


def test_three_classes():
    images, _ = noise()
    labels = np.arange(60) % 3
    images[labels == 2] //= 4
    images[labels == 1] //= 2
    found = audit(dataset(images, labels))
    assert found["mean grey value"].low > 0.85
    assert found["control: shuffled labels"].k < 35


def test_random_weights_are_a_row_of_their_own():
    images, labels = noise(20)
    images[labels == 1] //= 3
    found = shortcuts.audit(dataset(images, labels), folds=2)
    assert found["network with random weights"].low > 0.7


def test_tensorflow_is_imported_only_where_it_is_needed():
    code = "import sys, xraylib.shortcuts; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    "labels, options, message",
    [
        (np.zeros(60), {}, "two classes"),
        (np.arange(60) == 0, {}, "fewer folds"),
        (np.arange(60) % 2, {"folds": 1}, "two or more"),
        (np.arange(60) % 2, {"folds": 31}, "fewer folds"),
        (np.arange(60) % 2, {"metadata": ["label"]}, "expected some of"),
        (np.arange(60) % 2, {"metadata": ["age"]}, r"\['age'\]"),
        (np.arange(60) % 2, {"metadata": "file"}, "'file'"),
    ],
)
def test_what_cannot_be_audited_is_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        audit(dataset(noise()[0], labels), **options)


def test_no_images_at_all():
    empty = dataset(noise()[0][:0], [])
    with pytest.raises(ValueError, match="two classes"):
        audit(empty)
    assert shortcuts.near_duplicates(empty).empty


# --- duplicates ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films():
    return [film for film in datasets.load("phantom", n=12, seed=3).images]


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


COPIES = {
    "the same": lambda image: image.copy(),
    "compressed": lambda image: jpeg(image, 30),
    "half as large": lambda image: np.asarray(Image.fromarray(image).resize((90, 110))),
    "darker": lambda image: (image * 0.6).astype(np.uint8),
    "brighter": lambda image: (255 * (image / 255) ** 0.8).astype(np.uint8),
    "cropped by 1 %": lambda image: image[
        len(image) // 100 : -(len(image) // 100), image.shape[1] // 100 :
    ],
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found(films, how):
    split = ["train"] * 12 + ["val"]
    data = dataset([*films, COPIES[how](films[4])], [0] * 12 + [1], split=split)
    found = shortcuts.near_duplicates(data)
    pair = found[(found["first"] == "film 4") & (found["second"] == "film 12")].iloc[0]
    assert pair.distance <= 8 and pair.identical == (how == "the same")
    assert not pair.same_group and not pair.same_split
    assert pair.labels == "chest, abdomen"
    assert found.index[0] == pair.name  # nothing is more alike


def test_pairs_up_to_the_distance_by_distance(films):
    data = dataset([*films, films[0], jpeg(films[2], 5)], [0] * 14, groups=[*range(12), 0, 2])
    everything = shortcuts.near_duplicates(data, 64)
    assert len(everything) == 14 * 13 // 2
    assert everything.distance.is_monotonic_increasing
    first = everything.iloc[0]
    assert (first["first"], first["second"], first.distance) == ("film 0", "film 12", 0)
    assert first.identical and first.same_group and first.same_split
    assert (everything["first"] != everything["second"]).all()
    for distance in (0, 8, 20):
        some = shortcuts.near_duplicates(data, distance)
        pd.testing.assert_frame_equal(some, everything[everything.distance <= distance])


def test_arrays_and_lists_give_the_same_pairs(films):
    array = datasets.resize([*films, films[0]], 64)
    one, other = (dataset(images, [0] * 13) for images in (array, list(array)))
    pd.testing.assert_frame_equal(shortcuts.near_duplicates(one), shortcuts.near_duplicates(other))


def test_a_single_image_has_no_duplicate(films):
    found = shortcuts.near_duplicates(dataset(films[:1], [0]))
    assert len(found) == 0
    assert list(found) == "first second distance identical same_group same_split labels".split()


@pytest.mark.parametrize("distance", [-1, 65, 2.5, True])
def test_a_distance_out_of_range_is_refused(films, distance):
    with pytest.raises(ValueError, match="0 to 64"):
        shortcuts.near_duplicates(dataset(films, [0] * 12), distance)


def test_other_pixels_than_uint8_are_refused():
    with pytest.raises(ValueError, match="expected uint8, got float64"):
        shortcuts.near_duplicates(dataset(noise(4)[0] / 255, [0, 1, 0, 1]))


@pytest.mark.skipif("XRAYLIB_DATA" not in os.environ, reason="needs the X-rays (XRAYLIB_DATA)")
def test_the_reports_copy_is_found():
    found = shortcuts.near_duplicates(datasets.load("xray75"))
    assert found[["first", "second", "identical"]].to_numpy().tolist() == [
        ["val/abd/abd3.png", "val/abd/abd4.png", True]
    ]


# --- the controlled experiment ---------------------------------------------------------------


def reads_letters(train, labels, test, seed):
    """Looks for something small and bright in the upper corners, and at nothing else."""

    def spots(images):
        height, width = images.shape[1] // 6, images.shape[2] // 4
        top = images[:, :height].mean(axis=-1)
        corners = np.concatenate([top[:, :, 7:width], top[:, :, -width:-7]], axis=2)
        return np.array([[white_tophat(corner, (14, 14)).max()] for corner in corners])

    stump = DecisionTreeClassifier(max_depth=1).fit(spots(train), labels)
    return stump.predict(spots(test)).astype(float)


def reads_lungs(train, labels, test, seed):
    """The lower three quarters as a small picture, where no letter is."""
    part = np.s_[:, train.shape[1] // 4 :]
    small = shortcuts.thumbnails(train[part], 24), shortcuts.thumbnails(test[part], 24)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return model.fit(small[0], labels).predict_proba(small[1])[:, 1]


def test_a_model_that_reads_the_letter_is_caught_and_one_that_reads_lungs_is_not():
    calls = []

    def both(*arguments):
        calls.append(arguments)
        return reads_letters(*arguments)

    caught = shortcuts.switch_markers({"it": both}, n=40)["it"]
    assert caught["trained tied, tested tied"].median.low > 0.75
    assert near_chance(caught["trained tied, tested without"].median)
    assert caught["trained tied, tested switched"].median.high < 0.25
    # With no tie to learn it may still guess by the letter, and loses there what it gains here.
    alike = [caught[f"trained alike, tested {test}"].median.k for test in ("tied", "switched")]
    assert abs(sum(alike) - 40) < 12
    figures.bars_with_intervals(list(caught), list(caught.values()))

    # What the model was given, twice: the same films, but for the letters.
    (train, labels, test, seed), (alike, again, test_again, _) = calls
    assert np.array_equal(test, test_again) and np.array_equal(labels, again)
    assert labels.sum() == 20 and seed == 0 and train.shape == (40, 224, 224, 3)
    assert np.array_equal(train[:, 112:], alike[:, 112:]) and not np.array_equal(train, alike)
    tied, without, switched = np.split(test, 3)
    assert np.array_equal(tied[:, 112:], without[:, 112:])
    differs = np.array([(a != b).any() for a, b in zip(tied, without, strict=True)])
    assert np.array_equal(differs, labels == 1)  # patients take turns in both parts
    differs = np.array([(a != b).any() for a, b in zip(switched, without, strict=True)])
    assert np.array_equal(differs, labels == 0)

    honest = np.split(reads_lungs(train, labels, test, 0), 3)
    assert np.array_equal(honest[0], honest[1]) and np.array_equal(honest[1], honest[2])
    assert ((honest[0] >= 0.5) == labels).mean() > 0.65


def test_patients_are_dealt_anew_and_films_prepared_once():
    prepared, given = [], []

    def prepare(images):
        prepared.append(len(images))
        return np.arange(len(images))  # the number of a film: patient, + 16 with a letter

    def model(X_train, y_train, X_test, seed):
        given.append((X_train, y_train, X_test))
        return np.full(len(X_test), 0.5)

    options = {"prepare": prepare, "n": 8, "size": 32}
    found = shortcuts.switch_markers({"one": model, "other": model}, dealings=3, **options)
    assert prepared == [32] and len(given) == 12
    assert set(found["one"].values()) == {evaluation.Spread((4, 4, 4), 8)}  # all called opacities
    assert found["one"] == found["other"]
    by_model = given[0::4] + given[1::4], given[2::4] + given[3::4]
    for one, another in zip(*by_model, strict=True):  # which are dealt the same patients
        assert all(np.array_equal(*each) for each in zip(one, another, strict=True))
    parts = []
    for (tied, y, test), (alike, again, test_again) in zip(given[::4], given[1::4], strict=True):
        assert np.array_equal(test, test_again) and np.array_equal(y, again)
        # The same patients, half of each class, and none of them in the test.
        assert np.array_equal(tied % 16, alike % 16) and np.array_equal(tied % 2, y)
        assert sorted([*tied % 16, *test[:8] % 16]) == list(range(16))
        assert np.array_equal(tied >= 16, y == 1) and np.bincount(y[alike >= 16]).tolist() == [2, 2]
        lettered = test.reshape(3, 8) >= 16
        assert not lettered[1].any() and np.array_equal(lettered[0], ~lettered[2])
        assert np.array_equal(lettered[0], test[:8] % 2 == 1)
        parts.append(tuple(sorted(tied % 16)))
    assert len(set(parts)) == 3
    with pytest.raises(ValueError, match="1 dealing or more"):
        shortcuts.switch_markers({"it": model}, dealings=0, **options)
    with pytest.raises(ValueError, match="32 rows, one an image"):
        shortcuts.switch_markers({}, **options | {"prepare": lambda images: images[1:]})


@pytest.mark.parametrize("n", [0, -4, 6, 4.0, True])
def test_a_number_of_patients_that_does_not_divide_is_refused(n):
    with pytest.raises(ValueError, match="multiple of 4"):
        shortcuts.switch_markers({"it": reads_letters}, n=n)


@pytest.mark.parametrize(
    "scores",
    [np.zeros(5), np.full(12, np.nan), np.full(12, 2.0), np.zeros((12, 1))],
)
def test_a_model_that_returns_no_scores_is_refused(scores):
    with pytest.raises(ValueError, match="12 scores from 0 to 1"):
        shortcuts.switch_markers({"it": lambda *arguments: scores}, n=4, size=32)
