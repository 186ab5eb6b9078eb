"""Arrays on disk: what is computed once, what an interruption leaves, what travels."""

import multiprocessing
import pickle
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xraylib.data import arrays, datasets
from xraylib.data.manifest import DatasetError

WHOLE = np.random.default_rng(0).integers(0, 256, (50, 4, 3), np.uint8)


class Part:
    """Rows of the array above; notes which were asked for, and fails from a certain one on."""

    def __init__(self, log, fails_at=None):
        self.log, self.fails_at = log, fails_at

    def __call__(self, rows):
        if self.fails_at is not None and rows.start >= self.fails_at:
            raise RuntimeError("cut off")
        with open(self.log, "a") as file:
            file.write(f"{rows.start}\n")
        return WHOLE[rows.start : rows.stop]


@pytest.fixture
def fill(tmp_path):
    def fill(known_by="it", batch_size=8, **options):
        part = Part(tmp_path / "log", **options)
        settings = {"batch_size": batch_size, "progress": False}
        return arrays.filled(tmp_path / "kept", known_by, WHOLE.shape, "uint8", part, **settings)

    fill.asked = lambda: (tmp_path / "log").read_text().split()
    fill.folder = tmp_path / "kept"
    return fill


def test_it_is_computed_once_and_read_as_an_array(fill):
    found = fill()
    assert (found.shape, found.dtype, found.ndim, len(found)) == ((50, 4, 3), np.uint8, 3, 50)
    np.testing.assert_array_equal(np.asarray(found), WHOLE)
    assert fill.asked() == ["0", "8", "16", "24", "32", "40", "48"]
    np.testing.assert_array_equal(fill()[:], WHOLE)
    assert len(fill.asked()) == 7
    fill("another")
    assert len(fill.asked()) == 14
    part = Part(fill.folder / "log")
    in_memory = arrays.filled(None, None, WHOLE.shape, "uint8", part, batch_size=8, progress=False)
    assert type(in_memory) is np.ndarray
    np.testing.assert_array_equal(in_memory, WHOLE)


def test_an_interruption_loses_no_more_than_a_batch(fill):
    with pytest.raises(RuntimeError, match="cut off"):
        fill(fails_at=20)
    np.testing.assert_array_equal(fill()[:], WHOLE)
    assert fill.asked() == ["0", "8", "16", "24", "32", "40", "48"]
    assert [path.suffix for path in sorted(fill.folder.iterdir())] == [".lock", ".npy"]


def test_what_other_batches_left_is_not_taken_for_more_than_it_is(fill):
    with pytest.raises(RuntimeError, match="cut off"):
        fill(fails_at=20)
    np.testing.assert_array_equal(fill(batch_size=12)[:], WHOLE)


def test_two_processes_share_a_folder(fill):
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=fill) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0, 0] and len(fill.asked()) == 7


@pytest.mark.parametrize(
    "key", [3, -1, slice(4, 20, 3), [5, 2, 2], np.arange(50) % 3 == 0, ([4, 1], [0, 2])]
)
def test_rows_are_read_as_numpy_would(fill, key):
    np.testing.assert_array_equal(fill()[key], WHOLE[key])
    some = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(fill().rows(some)[key], WHOLE[some][key])


def test_rows_of_rows(fill):
    odd = np.arange(50) % 2 == 1
    found = arrays.rows(arrays.rows(fill(), odd), np.arange(25)[::-1])
    np.testing.assert_array_equal(found[:], WHOLE[odd][::-1])
    assert found.shape == (25, 4, 3) and joblib.hash(found.known_by) != joblib.hash(fill().known_by)
    np.testing.assert_array_equal(arrays.rows(WHOLE, odd), WHOLE[odd])


def test_it_travels_as_a_path(fill):
    sent = pickle.dumps(fill())
    assert len(sent) < 400 + len(str(fill.folder))
    np.testing.assert_array_equal(pickle.loads(sent)[:], WHOLE)


def test_a_full_disk_is_noticed_before_the_work(fill, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 5))
    with pytest.raises(OSError, match="room for 0.0 GB, found 0.0.*fewer draws"):
        fill()
    assert not list(fill.folder.glob("*.npy"))


# Image sets


@pytest.fixture
def films(tmp_path):
    """A manifest of 40 films of several sizes."""
    import hashlib

    rng, rows = np.random.default_rng(0), []
    for i in range(40):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (20 + i, 30), np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append(
            (path.name, i % 2, "ill" if i % 2 else "well", ("train", "val")[i > 30], i, digest)
        )
    columns = ["file", "label", "class", "split", "group", "sha256"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path / "manifest.csv"


def test_images_in_a_store_are_those_in_memory(films, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "MANY", 30)
    how = {"size": 16, "interpolation": "bilinear", "keep_aspect": True}
    kept = datasets.load(films, store=tmp_path / "kept", **how)
    plain = datasets.load(films, **how)
    assert isinstance(kept.images, arrays.OnDisk)
    np.testing.assert_array_equal(kept.images[:], plain.images)
    part = kept.subset(kept.labels == 1)
    np.testing.assert_array_equal(part.images[:], plain.subset(plain.labels == 1).images)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(films.parent / "7.png")
    with pytest.raises(DatasetError, match="7.png: expected SHA-256"):
        datasets.load(films, store=tmp_path / "kept", size=8)
    with pytest.raises(DatasetError, match="7.png: expected SHA-256"):
        datasets.load(films, size=8)


def test_many_films_of_their_own_sizes_are_read_when_asked_for(films, monkeypatch):
    few = datasets.load(films)
    monkeypatch.setattr(datasets, "MANY", 30)
    many = datasets.load(films)
    assert isinstance(few.images, list) and isinstance(many.images, datasets.Pictures)
    for a, b in zip(few.images, many.images, strict=True):
        np.testing.assert_array_equal(a, b)
    last = many.subset(np.arange(40) > 37).images
    assert [image.shape for image in last] == [(58, 30, 3), (59, 30, 3)]
    assert len(many.images[5:9]) == 4


def test_a_sample_of_a_large_set(films):
    data = datasets.load(films, max_images=20, size=8)
    assert (len(data), data.of, data.images.shape) == (29, 40, (29, 8, 8, 3))
    # Of each class and split as many as its share, but ten where there are so many.
    assert pd.crosstab(data.labels, data.split)["train"].tolist() == [10, 10]
    again = datasets.load(films, max_images=20)
    assert again.names == data.names and set(data.names) <= set(datasets.load(films).names)
    whole = datasets.load(films, max_images=40)
    assert len(whole) == whole.of == 40


def test_halves_are_widened_as_numpy_widens_them():
    """All 65,536 of them, with what is too small for a normal number, infinity and none."""
    halves = np.arange(65_536, dtype=np.uint16).view(np.float16).reshape(16, 4, 1024)
    np.testing.assert_array_equal(arrays.as_float32(halves), halves.astype(np.float32))
    np.testing.assert_array_equal(arrays.as_float32(halves[::2, 1]), halves[::2, 1].astype("f4"))
    assert arrays.as_float32(halves).dtype == arrays.as_float32(np.arange(3)).dtype == np.float32
