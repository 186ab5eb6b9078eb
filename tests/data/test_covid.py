"""The set "covid": originals that are converted after the download, and the real films."""

import hashlib
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.data.test_datasets import only_a_cache, serve
from xraylib.data import datasets, download, images
from xraylib.data.manifest import DATA, IMAGE_SETS, DatasetError, ImageSet

FILES = ["images/covid-a-1.png", "images/covid-b-1.png", "images/other-c-1.png"]
ORIGINALS = ["large photo, 1.jpg", "alpha.png", "grey#2.png"]
SIZES = [(512, 341), (30, 20), (512, 512)]


def digest(content):
    return hashlib.sha256(content).hexdigest()


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Originals in site/o/r/abc/images, what becomes of them in site/films, and a cache."""
    only_a_cache(tmp_path, monkeypatch)
    rng = np.random.default_rng(0)
    noise = lambda *shape: rng.integers(0, 256, shape, dtype=np.uint8)  # noqa: E731
    pictures = [Image.fromarray(noise(20, 30, 3)).resize((900, 600)), noise(20, 30, 4)]
    pictures += [np.kron(noise(20, 20), np.ones((40, 40), np.uint8))]
    pictures = [p if isinstance(p, Image.Image) else Image.fromarray(p) for p in pictures]
    (tmp_path / "site/o/r/abc/images").mkdir(parents=True)
    (tmp_path / "site/films/images").mkdir(parents=True)
    for picture, original, file in zip(pictures, ORIGINALS, FILES, strict=True):
        path = tmp_path / "site/o/r/abc/images" / original
        path.write_bytes(encoded(picture, "JPEG" if path.suffix == ".jpg" else "PNG"))
        # What it must become, in the words of the datasheet.
        picture = Image.open(path).convert("RGBA")
        black = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        grey = Image.alpha_composite(black, picture).convert("RGB").convert("L")
        longest = max(grey.size)
        if longest > 512:
            size = [round(side * 512 / longest) for side in grey.size]
            grey = grey.resize(size, Image.Resampling.LANCZOS)
        grey.save(tmp_path / "site/films" / file, optimize=True)
    return tmp_path


@pytest.fixture
def server(place):
    with serve(place / "site") as server:
        yield server


@pytest.fixture
def source(place, server):
    """The set with its manifest; `write` changes the manifest."""
    table = pd.DataFrame({"file": FILES, "label": [1, 1, 0], "split": "all", "group": [0, 0, 1]})
    table["sha256"] = [digest((place / "site/films" / f).read_bytes()) for f in FILES]
    table["width"], table["height"] = zip(*SIZES, strict=True)
    table["original_filename"] = ORIGINALS
    originals = [place / "site/o/r/abc/images" / o for o in ORIGINALS]
    table["original_sha256"] = [digest(path.read_bytes()) for path in originals]
    table["url"] = [f"{server.url}/o/r/abc/images/{quote(o)}" for o in ORIGINALS]
    table.to_csv(place / "stand-in.csv", index=False)
    names = ("other", "covid")
    return ImageSet("standin", place / "stand-in.csv", "", names, folder="films")


def change(source, row, **cells):
    table = pd.read_csv(source.manifest, keep_default_na=False)
    for column, value in cells.items():
        table.loc[row, column] = value
    table.to_csv(source.manifest, index=False)


def stored(place):
    folder = place / "cache/films"
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def asked(server):
    return [path.split("/")[-1] for path in server.requested]


def pixels(path):
    with Image.open(path) as image:
        assert image.mode == "L" and image.info == {}
        return np.array(image)


def assert_converted(place, files=FILES):
    for file in files:
        np.testing.assert_array_equal(
            pixels(place / "cache/films" / file), pixels(place / "site/films" / file)
        )


# The conversion


@pytest.mark.parametrize(
    "colour, grey",
    [
        ((255, 0, 0, 255), 76),  # ITU-R 601: 0.299, 0.587, 0.114
        ((0, 255, 0, 255), 150),
        ((0, 0, 255, 255), 29),
        ((255, 255, 255, 128), 128),
        ((255, 255, 255, 0), 0),
        ((77, 77, 77, 255), 77),
    ],
)
@pytest.mark.parametrize("mode", ["RGBA", "PA"])
def test_conversion_of_colour_and_transparency(tmp_path, colour, grey, mode):
    image = Image.new("RGBA", (7, 5), colour)
    if mode == "PA":
        image = image.quantize(2)
    image.save(tmp_path / "original.png")
    found = pixels(io.BytesIO(download.convert(tmp_path / "original.png")))
    assert found.shape == (5, 7) and set(found.ravel()) == {grey}


@pytest.mark.parametrize(
    "size, expected",
    [
        ((512, 3), (512, 3)),
        ((40, 511), (40, 511)),
        ((513, 513), (512, 512)),
        ((1024, 600), (512, 300)),
        ((700, 1200), (299, 512)),
        ((2000, 1), (512, 1)),
    ],
)
def test_conversion_reduces_and_never_enlarges(tmp_path, size, expected):
    Image.new("L", size, 90).save(tmp_path / "original.png")
    found = pixels(io.BytesIO(download.convert(tmp_path / "original.png")))
    assert found.shape[::-1] == expected and set(found.ravel()) == {90}


def test_conversion_averages_what_it_reduces(tmp_path):
    board = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "original.png")
    found = pixels(io.BytesIO(download.convert(tmp_path / "original.png"))).astype(int)
    assert np.abs(found[8:-8, 8:-8] - 127.5).max() < 2


def test_conversion_leaves_no_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a name"
    image = Image.new("RGB", (8, 8), (9, 9, 9))
    image.save(tmp_path / "original.jpg", exif=exif, dpi=(72, 72), comment="a name")
    content = download.convert(tmp_path / "original.jpg")
    pixels(io.BytesIO(content))
    assert b"name" not in content


# Downloads


def test_download_and_conversion(place, server, source):
    folder = download.fetch(source)
    assert folder == place / "cache/films"
    assert stored(place) == sorted([*FILES, *(f"originals/{o}" for o in ORIGINALS)])
    assert_converted(place)
    assert asked(server) == [quote(o) for o in ORIGINALS]
    download.fetch(source)
    assert len(server.requested) == 3


def test_load(place, source):
    data = datasets.load(source)
    assert data.name == "standin" and data.class_names == ("other", "covid")
    assert data.labels.tolist() == [1, 1, 0] and data.groups.tolist() == [0, 0, 1]
    assert data.split.tolist() == ["all"] * 3 and len(data.subset(data.split == "all")) == 3
    for (width, height), image in zip(SIZES, data.images, strict=True):
        assert image.shape == (height, width, 3) and image.dtype == np.uint8
        assert (image == image[..., :1]).all()
    with pytest.raises(TypeError, match=r"standin.*no further options, got \['seed'\]"):
        datasets.load(source, seed=0)


def test_an_interrupted_download_goes_on(place, server, source):
    path = f"/o/r/abc/images/{quote(ORIGINALS[1])}"
    server.faults[path] = ["cut"]
    with pytest.raises(DatasetError) as caught:
        download.fetch(source, retries=0)
    message = str(caught.value)
    assert (
        server.url + path in message and str(place / "cache/films/originals/alpha.png") in message
    )
    assert f"XRAYLIB_DATA to a folder that has films/{FILES[1]}" in message
    assert stored(place) == sorted([FILES[0], f"originals/{ORIGINALS[0]}"])
    download.fetch(source)
    assert asked(server)[2:] == ["alpha.png", quote(ORIGINALS[2])]
    assert_converted(place)


def test_an_original_with_a_changed_byte_is_refused(place, server, source):
    path = place / "site/o/r/abc/images" / ORIGINALS[2]
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="hash") as caught:
        download.fetch(source, retries=0)
    assert quote(ORIGINALS[2]) in str(caught.value) and "By hand" in str(caught.value)
    assert stored(place) == sorted([*FILES[:2], *(f"originals/{o}" for o in ORIGINALS[:2])])


def test_an_original_saved_by_hand_is_used(place, server, source):
    folder = place / "cache/films/originals"
    folder.mkdir(parents=True)
    content = (place / "site/o/r/abc/images" / ORIGINALS[0]).read_bytes()
    (folder / ORIGINALS[0]).write_bytes(content)
    download.fetch(source)
    assert asked(server) == [quote(o) for o in ORIGINALS[1:]]
    assert_converted(place)


@pytest.mark.parametrize("other_encoder", [False, True])
def test_a_conversion_spoilt_in_the_cache_is_made_again(place, server, source, other_encoder):
    if other_encoder:  # the manifest's bytes are not those that are made here
        change(source, 0, sha256=digest(b"the same picture in other bytes"))
    folder = download.fetch(source)
    assert (folder / f"{FILES[0]}.sha256").exists() == other_encoder
    before = (folder / FILES[0]).stat()
    download.fetch(source)
    assert (folder / FILES[0]).stat().st_mtime_ns == before.st_mtime_ns  # nothing is made twice
    # Another picture of the same size; and a picture cut off.
    Image.new("L", SIZES[0]).save(folder / FILES[0])
    (folder / FILES[1]).write_bytes((folder / FILES[1]).read_bytes()[:-30])
    download.fetch(source)
    assert_converted(place)
    assert len(server.requested) == 3  # from the originals that are here


def test_spoilt_and_lost_originals(place, server, source):
    folder = download.fetch(source)
    (folder / "originals" / ORIGINALS[0]).write_bytes(b"spoilt")
    (folder / FILES[0]).unlink()
    (folder / "originals" / ORIGINALS[1]).unlink()  # not needed any more
    download.fetch(source)
    assert asked(server)[3:] == [quote(ORIGINALS[0])]
    assert_converted(place)


def test_an_original_that_is_not_of_the_manifest_size(place, source):
    change(source, 1, width=31)
    with pytest.raises(DatasetError, match="expected 31 x 20 pixels.*alpha.png, got 30 x 20"):
        download.fetch(source)
    assert FILES[1] not in stored(place) and FILES[0] in stored(place)


def test_an_original_that_is_no_image(place, source):
    path = place / "site/o/r/abc/images" / ORIGINALS[1]
    path.write_bytes(b"a page that says: too many requests")
    change(source, 1, original_sha256=digest(path.read_bytes()))
    with pytest.raises(images.ImageError, match="alpha.png"):
        download.fetch(source)
    assert FILES[1] not in stored(place)


def test_mirror_serves_the_converted_files(place, server, source, monkeypatch):
    monkeypatch.setenv("XRAYLIB_MIRROR", server.url + "/")
    download.fetch(source)
    assert server.requested == [f"/films/{file}" for file in FILES]
    assert stored(place) == sorted(FILES)
    monkeypatch.delenv("XRAYLIB_MIRROR")
    download.fetch(source)  # complete: no original is asked for
    assert len(server.requested) == 3
    monkeypatch.setenv("XRAYLIB_MIRROR", server.url)
    monkeypatch.setenv("XRAYLIB_CACHE", str(place / "another"))
    server.faults[f"/films/{FILES[1]}"] = ["wrong"]
    with pytest.raises(DatasetError, match=f"films/{FILES[1]}(.|\n)*hash"):
        download.fetch(source, retries=0)


def test_local_folder(place, server, source, monkeypatch):
    monkeypatch.setenv("XRAYLIB_DATA", str(place / "site"))
    assert download.fetch(source) == place / "site/films"
    assert server.requested == [] and not (place / "cache").exists()


FETCH = (
    "import sys; from pathlib import Path; from xraylib.data import download\n"
    "from xraylib.data.manifest import ImageSet\n"
    "download.fetch(ImageSet('standin', Path(sys.argv[1]), '', folder='films'))"
)


def test_two_processes_at_once(place, server, source):
    # Each original is held back until both processes have asked for it.
    for original in ORIGINALS:
        wait = threading.Barrier(2, timeout=60).wait
        server.faults[f"/o/r/abc/images/{quote(original)}"] = [wait, wait]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH, str(source.manifest)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert stored(place) == sorted([*FILES, *(f"originals/{o}" for o in ORIGINALS)])
    assert_converted(place)


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files, for a full disk")
def test_a_full_disk_leaves_no_half_conversion(place, server, source):
    folder = download.fetch(source)
    for file in FILES:
        (folder / file).unlink()
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n" + FETCH
    arguments = [sys.executable, "-c", limited, str(source.manifest)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "set XRAYLIB_CACHE" in done.stderr
    assert stored(place) == sorted(f"originals/{o}" for o in ORIGINALS)
    download.fetch(source)
    assert_converted(place)


@pytest.mark.parametrize(
    "cells, message",
    [
        ({"original_filename": "../../outside.png"}, "below the set's folder"),
        ({"original_filename": ORIGINALS[1]}, "each original_filename once"),
    ],
)
def test_impossible_manifests(source, server, cells, message):
    change(source, 0, **cells)
    with pytest.raises(DatasetError, match=message):
        download.fetch(source)
    assert server.requested == []


@pytest.mark.parametrize("column", ["url", "width", "original_filename"])
def test_manifest_without_a_column(source, column):
    pd.read_csv(source.manifest).drop(columns=column).to_csv(source.manifest, index=False)
    with pytest.raises(DatasetError, match=f"found no.*'{column}'"):
        download.fetch(source)


# The real set: what the manifest says


@pytest.fixture(scope="module")
def manifest():
    return IMAGE_SETS["covid"].table()


def test_manifest_counts(manifest):
    assert manifest.label.value_counts().to_dict() == {1: 69, 0: 49}
    assert manifest.groupby("label").group.nunique().to_dict() == {1: 67, 0: 46}
    assert ((manifest.label == 1) == (manifest.finding == "COVID-19")).all()
    assert (manifest.finding_group == "healthy").sum() == 33
    for column in ("sha256", "original_sha256"):
        assert manifest[column].is_unique and (manifest[column].str.len() == 64).all()
    assert manifest[["width", "height"]].max(axis=1).le(512).all()


def test_manifest_groups(manifest):
    assert (manifest.groupby("group").split_group.nunique() == 1).all()
    assert (manifest.groupby("split_group").group.nunique() == 1).all()
    assert (manifest.groupby("group").label.nunique() == 1).all()
    assert sorted(set(manifest.group)) == list(range(113))


def test_manifest_clean50(manifest):
    part = manifest[manifest.clean50 != ""]
    assert part.groupby(["clean50", "label"]).size().to_dict() == {
        ("spare", 0): 1, ("spare", 1): 1, ("test", 0): 9, ("test", 1): 9,
        ("train", 0): 15, ("train", 1): 15,
    }  # fmt: skip
    assert part.group.is_unique  # one film a person: nobody on two sides
    assert set(manifest.split) == {"all"}


def test_manifest_gives_everybody_their_due(manifest):
    due = manifest[["licence", "attribution", "source_url", "source_site", "url"]]
    assert (due != "").all(axis=None)
    assert not manifest.attribution.str.contains("[?\ufffd]").any()
    assert manifest.url.str.match(r"https://raw\.githubusercontent\.com/[\w./%-]+$").all()
    nih = manifest[manifest.source_site == "nihcc.app.box.com"]
    assert nih.attribution.str.contains("NIH Clinical Center; Wang X et al.").all()
    sheet = (DATA / "covid.md").read_text()
    for text in ("https://nihcc.app.box.com/v/ChestXray-NIHCC", "NIH Clinical Center", "CVPR 2017"):
        assert text in sheet


def test_datasheet_counts_what_the_manifest_says(manifest):
    sheet = (DATA / "covid.md").read_text()
    stated = manifest.assign(age=np.where(manifest.age == "", "", "stated"))
    for column in ("source_site", "view_best", "sex", "age", "original_format", "licence"):
        for value, films in stated.groupby(column):
            counts = [
                (part.label == label).sum()
                for part in (films, films[films.clean50 != ""])
                for label in (0, 1)
            ]
            assert f"| {value or 'not stated'} | {' | '.join(map(str, counts))} |" in sheet
    for group, films in manifest.groupby("finding_group"):
        line = next(line for line in sheet.splitlines() if line.startswith(f"| {group}"))
        numbers = [len(films), films.group.nunique(), (films.clean50 != "").sum()]
        assert line.endswith(f"| {' | '.join(map(str, numbers))} |")
    best = manifest.groupby("source_site").label.agg(lambda v: v.value_counts().max()).sum()
    jpeg = ((manifest.original_format == "JPEG") == (manifest.label == 1)).sum()
    ill = ((manifest.finding_group != "healthy") == (manifest.label == 1)).sum()
    for k in (best, jpeg, ill):
        assert f"right in {k} of 118" in sheet


# The real films


@pytest.fixture(scope="module")
def covid():
    folder = os.environ.get("XRAYLIB_DATA")
    if not folder or not (Path(folder) / "covid-chestxray").is_dir():
        pytest.skip("set XRAYLIB_DATA to a folder that holds covid-chestxray/ to test the films")
    return datasets.load("covid")


def test_films_are_as_the_manifest_says(covid, manifest):
    assert len(covid) == 118 and covid.names == manifest.file.tolist()
    assert covid.class_names == ("other", "covid") and covid.name == "covid"
    for image, row in zip(covid.images, manifest.itertuples(), strict=True):
        assert image.shape == (row.height, row.width, 3) and image.dtype == np.uint8
        assert (image == image[..., :1]).all() and image.std() > 10, row.file
        # No side differs by more than rounding from the original's shape.
        scale = min(1, 512 / max(row.original_width, row.original_height))
        assert row.width == round(row.original_width * scale)
        assert row.height == round(row.original_height * scale)


def test_clean50(covid):
    names = ("train", "test", "spare")
    train, test, spare = (covid.subset(covid.table.clean50 == name) for name in names)
    assert (len(train), len(test), len(spare)) == (30, 18, 2)
    assert train.labels.sum() == 15 and test.labels.sum() == 9
    assert not set(train.groups) & set(test.groups)


def test_manifest_follows_the_one_beside_the_films(covid, manifest):
    path = download.fetch("covid") / "manifest.csv"
    if not path.is_file():
        pytest.skip("these films come without a manifest of their own")
    theirs = pd.read_csv(path, keep_default_na=False)
    assert ((theirs.label == "covid") == manifest.label).all()
    parts = theirs.mirror.str.extract(r"^(?P<repo>[^@]+)@(?P<commit>\w+)[^:]*:(?P<path>.+)$")
    urls = "https://raw.githubusercontent.com/" + parts.repo + "/" + parts.commit + "/"
    assert (urls + parts.path.map(quote) == manifest.url).all()
    changed = [c for c in theirs.columns.intersection(manifest.columns) if c != "label"]
    changed = [c for c in changed if not theirs[c].equals(manifest[c])]
    assert changed == ["attribution"]


def test_a_changed_byte_and_a_missing_film_are_refused(covid, manifest, tmp_path, monkeypatch):
    folder = download.fetch("covid")
    for file in manifest.file:
        (tmp_path / "covid-chestxray" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "covid-chestxray" / file).symlink_to(folder / file)
    monkeypatch.setenv("XRAYLIB_DATA", str(tmp_path))
    path = tmp_path / "covid-chestxray" / manifest.file[100]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="SHA-256") as caught:
        datasets.load("covid")
    for part in (str(path), manifest.sha256[100], digest(content), "unset XRAYLIB_DATA"):
        assert part in str(caught.value)
    path.unlink()
    with pytest.raises(DatasetError, match="expected a file, found none"):
        download.fetch("covid")


# The command


def test_fetch_from_the_command_line(tmp_path, place, server, source):
    def run(**environment):
        return subprocess.run(
            [sys.executable, "-m", "xraylib", "fetch", "covid"],
            capture_output=True, text=True, check=False, env=os.environ | environment,
        )  # fmt: skip

    folder = download.fetch(source)
    for file in IMAGE_SETS["covid"].table().file:  # wrong films under the right names
        path = tmp_path / "data/covid-chestxray" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((folder / FILES[0]).read_bytes())
    for data, message in (("data", "SHA-256"), ("nothing", "found none")):
        done = run(XRAYLIB_DATA=str(tmp_path / data))
        assert done.returncode == 1 and done.stdout == ""
        assert "covid-chestxray" in done.stderr and message in done.stderr
        assert "Traceback" not in done.stderr


def test_fetch_prints_the_folder(covid):
    done = subprocess.run(
        [sys.executable, "-m", "xraylib", "fetch", "covid"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).name == "covid-chestxray"
