"""What a user notices of xraylib.phantoms: pixels, truth, switches, groups, errors."""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import xraylib
from xraylib.data import phantoms
from xraylib.data.phantoms import projection

CHEST, ABDOMEN = 0, 1


def changed(a, b):
    """The box (row0, col0, row1, col1) of pixels that differ, or None."""
    rows, cols = np.nonzero(a != b)
    if not len(rows):
        return None
    return rows.min(), cols.min(), rows.max() + 1, cols.max() + 1


@pytest.fixture(scope="module")
def films():
    return list(phantoms.stream(48, seed=1, arrows=(0.1, 0.6)))


# --- the same everywhere, and different where it should be ---------------------------------


@pytest.mark.parametrize(
    "label, options, digest",
    [
        (CHEST, {}, "d17a56e09713f8f7"),
        (CHEST, dict(seed=7, patient=2, film=1, opacity=True, letter="R"), "61758c5ef2ce3a10"),
        (ABDOMEN, {}, "b105b1dd84ecb380"),
        (
            ABDOMEN,
            dict(seed=7, patient=2, arrow=True, letter="L", tie_size=True),
            "253c1c1fa1d8b5ad",
        ),
    ],
)
def test_same_seed_same_pixels_on_any_machine(label, options, digest):
    image, _ = phantoms.radiograph(label, **options)
    assert hashlib.sha256(image.tobytes()).hexdigest()[:16] == digest


def test_seed_patient_and_film_each_change_the_image():
    options = [{}, dict(seed=1), dict(patient=1), dict(film=1)]
    images = [phantoms.radiograph(CHEST, **o)[0] for o in options]
    assert len({image.tobytes() for image in images}) == 4


def test_random_access_equals_streaming(films):
    for i in (47, 0, 13):
        alone = phantoms.example(i, seed=1, arrows=(0.1, 0.6))
        assert np.array_equal(alone.image, films[i].image)
        assert alone._replace(image=None, truth=None) == films[i]._replace(image=None, truth=None)


def test_a_longer_stream_begins_like_a_shorter_one(films):
    short = phantoms.stream(3, seed=1, arrows=(0.1, 0.6))
    for a, b in zip(short, films, strict=False):
        assert np.array_equal(a.image, b.image)


# --- what a radiograph looks like ------------------------------------------------------------


def test_grey_images_that_use_the_scale(films):
    for film in films:
        assert film.image.dtype == np.uint8 and film.image.ndim == 2
        low, high = np.percentile(film.image, [1, 99])
        assert low < 70 and high > 190
        assert len(np.unique(film.image)) > 150


def test_lungs_are_darker_than_what_lies_between_them(films):
    for film in films[::2]:
        lungs = film.truth["lungs"]
        assert 0.15 < lungs.mean() < 0.75
        rows, cols = np.nonzero(lungs)
        row = slice(int(np.percentile(rows, 40)), int(np.percentile(rows, 60)))
        middle = int(np.median(cols))
        spine = np.median(film.image[row, middle - 4 : middle + 5])
        assert np.median(film.image[lungs]) < spine - 40


def test_the_lumbar_spine_is_brighter_than_the_flanks(films):
    brighter = []
    for film in films[1::2]:
        h, w = film.image.shape
        line = film.image[int(0.3 * h) : int(0.55 * h)].mean(0)
        spine = line[int(0.42 * w) : int(0.58 * w)]
        brighter.append(np.sort(spine)[-w // 20 :].mean() - np.median(line))
    assert np.min(brighter) > 5 and np.median(brighter) > 30


# --- paths against volumes: the sum of all rays through a body is its volume -------------------


def volume(draw):
    """Sum of the paths (cm³) on a 12 cm film with a pixel of 0.05 cm and no tilt."""
    line = (np.arange(240) - 119.5) * 0.05
    film = projection.Film(line, line, 0.05, 0, 0, (0, 0), 0, 0)
    picture = np.zeros((240, 240))
    result = draw(film, picture)
    return (picture if result is None else result).sum() * 0.05**2


def test_an_ellipsoid_casts_its_volume():
    part = (0.3, -0.2, 1, 3, 1.5, 2, 0.7, 0, 1)
    cast = volume(lambda film, picture: projection.blobs(film, [part], picture))
    assert cast == pytest.approx(4 / 3 * np.pi * 3 * 1.5 * 2, rel=0.005)


def test_a_bent_slanting_pipe_casts_the_volume_of_its_wall():
    points, wall = [(-4, -2, 0), (0, 0, 2), (4, -1, 0)], 0.3
    length = np.sqrt(4**2 + 2**2 + 2**2) + np.sqrt(4**2 + 1 + 2**2)
    part = (points, 0.8, 1, 0, wall)
    cast = volume(lambda film, picture: projection.tubes(film, [part], picture))
    assert cast == pytest.approx(np.pi * (0.8**2 - 0.5**2) * length, rel=0.02)


def test_a_stack_of_ellipses_casts_its_volume():
    shape = ([-4, 4], [-2, -2], [2, 2], [1.5, 1.5], 0, 0)
    cast = volume(lambda film, _: projection.stack(film, shape))
    assert cast == pytest.approx(np.pi * 2 * 1.5 * 8, rel=0.01)


# --- the switches ------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [CHEST, ABDOMEN])
@pytest.mark.parametrize("marker", [dict(letter="L"), dict(letter="R"), dict(arrow=True)])
def test_a_marker_changes_pixels_in_its_box_only(label, marker):
    name = next(iter(marker))
    for patient in range(4):
        plain, truth = phantoms.radiograph(label, patient=patient)
        marked, box = phantoms.radiograph(label, patient=patient, **marker)
        assert truth[name] is None and truth["side"] == "none"
        assert box["side"] == marker.get("letter", "none")
        box = box[name]
        row0, col0, row1, col1 = changed(plain, marked)
        assert box[0] <= row0 < row1 <= box[2] and box[1] <= col0 < col1 <= box[3]
        assert 0 <= box[0] and 0 <= box[1]
        assert box[2] <= plain.shape[0] and box[3] <= plain.shape[1]
        # The box is tight enough to be worth something.
        assert (box[2] - box[0]) * (box[3] - box[1]) < 0.06 * plain.size


@pytest.mark.parametrize("letter", ["L", "R"])
def test_the_letter_is_near_the_top_on_the_side_that_it_names(letter):
    for patient in range(5):
        image, truth = phantoms.radiograph(ABDOMEN, patient=patient, letter=letter)
        row0, col0, row1, col1 = truth["letter"]
        assert row1 < 0.25 * image.shape[0]
        assert ((col0 + col1) / 2 > image.shape[1] / 2) == (letter == "L")
        assert image[row0:row1, col0:col1].max() > 225


def test_opacities_brighten_their_mask_in_the_lungs_and_nothing_else():
    for patient in range(6):
        well, truth = phantoms.radiograph(CHEST, patient=patient)
        ill, found = phantoms.radiograph(CHEST, patient=patient, opacity=True)
        mask = found["opacity_mask"]
        assert not truth["opacity_mask"].any() and mask.any()
        assert np.array_equal(well[~mask], ill[~mask])
        assert (found["lungs"] | ~mask).all()
        assert (ill[mask] >= well[mask]).all()
        assert ill[mask].mean() > well[mask].mean() + 5


def test_markers_are_as_frequent_as_asked_for_in_each_class():
    def share(key, **probability):
        films = phantoms.examples({"i": i} | probability for i in range(40))
        marked = [(film.label, film.truth[key] is not None) for film in films]
        return [np.mean([m for label, m in marked if label == k]) for k in (CHEST, ABDOMEN)]

    assert share("letter", letters=(1, 0)) == [1, 0]
    chest, abdomen = share("arrow", arrows=(0.1, 0.8))
    assert chest < 0.35 and abdomen > 0.55


def test_a_marker_switch_moves_nothing_else():
    for i in range(8):
        bare = phantoms.example(i, letters=(0, 0), arrows=(0, 0))
        full = phantoms.example(i, letters=(1, 1), arrows=(1, 1))
        keep = np.ones(bare.image.shape, bool)
        for box in (full.truth["letter"], full.truth["arrow"]):
            keep[box[0] : box[2], box[1] : box[3]] = False
        assert np.array_equal(bare.image[keep], full.image[keep])


def test_opacity_is_for_the_asked_fraction_of_chests_only():
    films = list(phantoms.stream(32, opacity=0.5))
    ill = [film.truth["opacity_mask"].any() for film in films]
    assert not any(ill[1::2])
    assert 0.25 < np.mean(ill[::2]) < 0.75


# --- sizes ------------------------------------------------------------------------------------


def test_sizes_say_nothing_about_the_class_unless_tied(films):
    sizes = np.array([film.image.shape for film in films])
    assert sizes.min() >= 160 and sizes.max() <= 512
    mean = [sizes[k::2].mean(0) for k in (CHEST, ABDOMEN)]
    assert np.abs(mean[0] - mean[1]).max() < 2.5 * sizes.std() / np.sqrt(len(films) / 2)


def test_tied_sizes_follow_the_real_set():
    sizes = [film.image.shape for film in phantoms.stream(24, tie_size=True)]
    assert set(sizes[::2]) == {(512, 512)}
    heights, widths = np.array(sizes[1::2]).T
    assert 179 <= heights.min() and heights.max() <= 623
    assert 157 <= widths.min() and widths.max() <= 512
    assert len(set(sizes[1::2])) > 8


# --- groups and split -------------------------------------------------------------------------


def test_classes_take_turns_and_names_are_unique(films):
    assert [film.label for film in films] == [0, 1] * 24
    assert [films[0].name, films[1].name] == ["chest-0000", "abdomen-0001"]
    assert len({film.name for film in films}) == 48


@pytest.fixture(scope="module")
def layout():
    """Label, group and split of 75 films."""
    films = phantoms.examples({"i": i} for i in range(75))
    return [(film.label, film.group, film.split) for film in films]


def test_patients_have_one_to_three_films_and_one_class(layout):
    chests = [group for label, group, _ in layout if label == CHEST]
    counts = [len(list(run)) for _, run in itertools.groupby(chests)]
    assert counts[:10] == [1, 1, 2, 1, 3] * 2
    assert not set(chests) & {group for label, group, _ in layout if label == ABDOMEN}


@pytest.mark.parametrize("n", [40, 75])
def test_no_patient_crosses_the_split_and_both_classes_are_validated(layout, n):
    sides = {}
    for _, group, split in layout[:n]:
        sides.setdefault(group, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    val = [label for label, _, split in layout[:n] if split == "val"]
    assert set(val) == {CHEST, ABDOMEN}
    assert 0.08 < len(val) / n < 0.18


def test_75_films_split_as_the_report_does(layout):
    assert sum(label == CHEST for label, _, _ in layout) == 38
    assert sum(split == "train" for _, _, split in layout) == 65


# --- many films at once ------------------------------------------------------------------------

MARKED = [
    {"label": i % 2, "patient": i // 2, "seed": 7, "letter": ("L", None)[i % 2]} for i in range(24)
]
MAKE = f"""
import hashlib
from xraylib.data import phantoms
films = phantoms.radiographs({MARKED})
print(hashlib.sha256(b"".join(image.tobytes() for image, _ in films)).hexdigest())
"""


@pytest.fixture
def house(tmp_path):
    """A copy of the package, which keeps its films beside it; run(code) starts a process in it."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(xraylib.__file__).parent, tmp_path / "xraylib", ignore=skip)

    def run(code):
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        return subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return tmp_path, run


def kept(folder):
    """When each film on disk was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob(".run/films/**/output.pkl")}


def test_films_are_computed_once_also_by_two_chapters_at_a_time(house):
    folder, run = house
    alone = b"".join(phantoms.radiograph(**each)[0].tobytes() for each in MARKED)
    expected = hashlib.sha256(alone).hexdigest()
    for process in [run(MAKE), run(MAKE)]:
        found, said = process.communicate()
        assert (found.strip(), said) == (expected, "")
    films = kept(folder)
    assert len(films) == len(MARKED)
    other_letters = MAKE.replace("'L'", "'R'")
    for again in (MAKE, other_letters):
        found, said = run(again).communicate()
        assert (found.strip() == expected) == (again == MAKE) and said == ""
        assert kept(folder) == films


def test_a_film_that_is_damaged_or_of_other_sources_is_not_taken(house):
    folder, run = house
    make = MAKE.replace(str(MARKED), str(MARKED[:1]))
    expected = run(make).communicate()[0]
    [film] = kept(folder)
    film.write_bytes(film.read_bytes()[:100])
    assert run(make).communicate()[0] == expected != ""
    assert film.stat().st_size > 100
    with (folder / "xraylib/data/phantoms/markers.py").open("a") as source:
        source.write("# changed\n")
    assert run(make).communicate()[0] == expected
    assert len(kept(folder)) == 2


def test_many_films_are_those_of_the_stream(films):
    many = phantoms.examples({"i": i, "seed": 1, "arrows": (0.1, 0.6)} for i in (5, 0))
    for number, film in zip((5, 0), many, strict=True):
        same = films[number]
        assert np.array_equal(film.image, same.image) and film[1:5] == same[1:5]
        assert film.truth.keys() == same.truth.keys()
        for key in film.truth:
            np.testing.assert_array_equal(film.truth[key], same.truth[key])


# --- memory and errors ------------------------------------------------------------------------


def test_a_stream_holds_one_image_at_a_time():
    held = []
    tracemalloc.start()
    try:
        for film in phantoms.stream(20):
            held.append(tracemalloc.get_traced_memory()[0] - film.image.nbytes)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # An image with its masks takes up to 0.8 MB; fourteen more of them must not be felt.
    assert np.median(held[-5:]) - np.median(held[:5]) < 1e6
    assert peak < 60e6


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: phantoms.radiograph(2), "label must be 0"),
        (lambda: phantoms.radiograph(0, seed=-1), "seed must be an integer from 0"),
        (lambda: phantoms.radiograph(0, seed=2**32), "seed must be"),
        (lambda: phantoms.radiograph(0, patient=0.5), "patient must be an integer"),
        (lambda: phantoms.radiograph(0, film=-1), "film must be"),
        (lambda: phantoms.radiograph(0, letter="A"), "letter must be 'L', 'R' or None, got 'A'"),
        (lambda: phantoms.radiograph(1, opacity=True), "opacity must be False for an abdomen"),
        (lambda: phantoms.stream(0), "n must be an integer from 1"),
        (lambda: phantoms.stream(2.5), "n must be an integer"),
        (lambda: phantoms.stream(4, seed=-3), "seed must be"),
        (
            lambda: phantoms.stream(4, letters=(0.5, 1.5)),
            r"letters must be a pair .* got \(0.5, 1.5\)",
        ),
        (lambda: phantoms.stream(4, arrows=0.5), "arrows must be a pair"),
        (lambda: phantoms.stream(4, arrows=(0.1, 0.2, 0.3)), "arrows must be a pair"),
        (lambda: phantoms.stream(4, opacity=float("nan")), "opacity must be a number from 0 to 1"),
        (lambda: phantoms.example(-1), "i must be an integer from 0"),
        (lambda: phantoms.examples([{"i": 0}, {"i": -1}]), "i must be an integer from 0"),
        (lambda: phantoms.radiographs([{"label": 0}, {"label": 2}]), "label must be 0"),
    ],
)
def test_wrong_arguments_are_refused_at_once(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_chest_without_any_bubble_of_gas():
    """One patient in some 1,600 has none; an empty list of shapes once ended in an error."""
    image, _ = phantoms.radiograph(CHEST, patient=153, seed=1)
    assert image.std() > 20
