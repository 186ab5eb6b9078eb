"""Planted shortcuts are found, clean suspects pass, and no group is on both sides of a fold."""

import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from xraylib.data import datasets
from xraylib.evaluation import shortcuts


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
    return datasets.from_table(images, table.assign(**columns), ("chest", "abdomen"), "made up")


def noise(n=60, seed=0, side=16):
    """Images that tell nothing, and labels that take turns."""
    images = np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)
    return images, np.arange(n) % 2


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


# --- what no pixel shows -------------------------------------------------------------------


def test_nothing_is_found_where_there_is_nothing():
    data = dataset(*noise(100), age=np.random.default_rng(1).integers(20, 80, 100))
    found = shortcuts.metadata_only(data, ["age"])
    assert near_chance(found.median) and found.n == 100 and len(found.values) == 5


def test_phantoms_give_their_size_away_only_where_it_is_tied():
    def metadata(**options):
        data = datasets.load("phantom", n=32, seed=1, **options)
        return shortcuts.metadata_only(data, ("width", "height"), seeds=1).median

    assert metadata(tie_size=True).low > 0.75
    assert near_chance(metadata())


@pytest.mark.parametrize("blank, filled", [("", "54"), (None, "AP"), (np.nan, np.inf)])
def test_what_was_left_blank_is_a_shortcut(blank, filled):
    images, labels = noise(20)
    cells = [blank if label else filled for label in labels]
    found = shortcuts.metadata_only(dataset(images, labels, column=cells), ["column"])
    assert found.values == (20,) * 5


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
    assert shortcuts.metadata_only(data, ["empty", "one", "flag", "mixed"]).median.k == 60
    assert near_chance(shortcuts.metadata_only(data, ["empty", "one", "mixed"]).median)


@pytest.mark.parametrize(
    "form", ["{:03}Y", "{:02} kVp", "0,{:02}", "19{:02}-11-30", "3/28/19{:02}", "28.3.19{:02}"]
)
@pytest.mark.parametrize("unknown", ["", "N/A"])
def test_ages_and_dates_are_numbers(form, unknown):
    """Those of class 1 are from 20 on, whatever values come twice; of every tenth none is told."""
    labels = noise(80)[1]
    years = np.random.default_rng(0).permutation(40)[np.arange(80) // 2] // 2 + 20 * labels + 11
    cells = [form.format(y) if i % 10 else unknown for i, y in enumerate(years)]
    data = dataset(None, labels, column=cells)
    assert shortcuts.metadata_columns(data, ["column"]).column.dtype == np.float64
    assert min(shortcuts.metadata_only(data, ["column"]).values) >= 72


def test_an_age_in_days_is_less_than_one_in_years():
    ages = shortcuts.metadata_columns(
        dataset(None, [0, 1, 0], age=["090D", "018M", "001Y"]), ["age"]
    )
    assert ages.age.round(2).tolist() == [0.25, 1.5, 1]


def test_of_many_categories_those_that_come_again_tell_and_others_do_not():
    labels = noise(300)[1]
    site = 2 * np.random.default_rng(0).integers(0, 30, 300) + labels  # each has one class only
    own = [f"film {i}" for i in range(300)]
    data = dataset(None, labels, site=[f"site {i}" for i in site], own=own)
    assert min(shortcuts.metadata_only(data, ["site"]).values) > 270
    assert near_chance(shortcuts.metadata_only(data, ["own"]).median)


def test_groups_do_not_leak():
    """Ten people with twelve films each; a number names the person, and the label says nothing."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(10), 12)
    labels = rng.permutation(np.arange(10) % 2)[person]
    images = noise(120)[0]
    number = {"number": rng.permutation(10)[person]}
    together = shortcuts.metadata_only(dataset(images, labels, person, **number), ["number"])
    apart = shortcuts.metadata_only(dataset(images, labels, **number), ["number"])
    assert min(apart.values) > 85 and max(together.values) < min(apart.values) - 10


def test_the_rooms_do_not_bring_tensorflow():
    modules = ("xraylib", "xraylib.models", "xraylib.training", "xraylib.data.datasets",
               "xraylib.evaluation.shortcuts", "xraylib.evaluation.validation", "xraylib.figures",
               "xraylib.pictureless")  # fmt: skip
    code = f"import sys, {', '.join(modules)}; print({{'tensorflow', 'keras'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize(
    "labels, options, message",
    [
        (np.arange(60) == 0, {"metadata": ["split"]}, "fewer folds"),
        (np.arange(60) % 2, {"metadata": ["label"]}, "expected some of"),
        (np.arange(60) % 2, {"metadata": ["age"]}, r"\['age'\]"),
        (np.arange(60) % 2, {"metadata": "file"}, "'file'"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        shortcuts.metadata_only(dataset(noise()[0], labels), **options)


# --- duplicates ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films():
    return list(datasets.load("phantom", n=12, seed=3).images)


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


def pairs(images, distance=8):
    """(first, second, signs apart) of images that look alike."""
    found = shortcuts.alike(shortcuts.hashes(images, progress=False), distance)
    return list(zip(*(each.tolist() for each in found), strict=True))


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found(films, how):
    first, second, apart = pairs([*films, COPIES[how](films[4])])[0]  # nothing is more alike
    assert (first, second) == (4, 12) and apart <= 8


@pytest.mark.parametrize("distance", [0, 4, 8, 15, 16, 40, 64])
def test_alike_are_found_as_if_all_pairs_were_compared(distance):
    rng = np.random.default_rng(distance)
    hashed = rng.integers(0, 2**64, 300, dtype=np.uint64)
    hashed[100:200] = hashed[:100]  # near copies, of which up to 12 signs are turned
    for i in range(100, 200):
        for sign in rng.choice(64, rng.integers(12), replace=False):
            hashed[i] ^= np.uint64(1) << np.uint64(sign)
    found = shortcuts.alike(hashed, distance)
    differ = np.bitwise_count(hashed[:, None] ^ hashed)
    first, second = np.nonzero(np.triu(differ <= distance, k=1))
    expected = sorted(zip(differ[first, second], first, second, strict=True))
    assert list(zip(found[2], found[0], found[1], strict=True)) == expected  # in this order


def test_arrays_and_lists_give_the_same_pairs(films):
    array = datasets.resize([*films, films[0]], 64)
    assert pairs(array) == pairs(list(array)) != []


def test_a_single_image_has_no_duplicate(films):
    assert pairs(films[:1]) == pairs([]) == []


@pytest.mark.parametrize("distance", [-1, 65, 2.5, True])
def test_a_distance_out_of_range_is_refused(films, distance):
    with pytest.raises(ValueError, match="0 to 64"):
        pairs(films, distance)


def test_other_pixels_than_uint8_are_refused():
    with pytest.raises(ValueError, match="image 0: expected uint8 .* got float64"):
        pairs(noise(4)[0] / 255)


@pytest.mark.skipif("XRAYLIB_DATA" not in os.environ, reason="needs the X-rays (XRAYLIB_DATA)")
def test_the_reports_copy_is_found():
    data = datasets.load("xray75")
    [(first, second, _)] = pairs(data.images)
    assert [data.names[i] for i in (first, second)] == ["val/abd/abd3.png", "val/abd/abd4.png"]
    np.testing.assert_array_equal(data.images[first], data.images[second])
