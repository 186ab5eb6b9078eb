"""xraylib.datasets: downloads from a real server with stand-in files, and the report's images."""

import contextlib
import hashlib
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xraylib.data import datasets, download, images
from xraylib.data.manifest import DATA, IMAGE_SETS, DatasetError, ImageSet
from xraylib.data.phantoms.hospitals import hospitals
from xraylib.reduction import isometry

FILES = ["train/abd/a0.png", "train/chst/c0.png", "train/chst/c1.png", "val/abd/a0.png"]
LABELS = [1, 0, 0, 1]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `server.faults` maps a path to what goes wrong at its next requests."""

    def do_GET(self):
        self.server.requested.append(self.path)
        faults = self.server.faults.get(self.path, [])
        fault = faults.pop(0) if faults else None
        body = Path(self.translate_path(self.path)).read_bytes()
        if callable(fault):
            fault()
        if fault == "gone":
            self.send_error(404)
        elif fault == "refused":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "cut":
            self.answer(len(body), body[: len(body) // 2])
        elif fault == "short":  # cut off, but the server says that this is all
            self.answer(len(body) // 2, body[: len(body) // 2])
        elif fault == "wrong":
            self.answer(len(body), body[:-20] + bytes(20))
        elif isinstance(fault, tuple):  # wait half-way
            self.answer(len(body), body[: len(body) // 2])
            fault[0].set()
            fault[1].wait(60)
        else:
            self.answer(len(body), body)

    def answer(self, length, body):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *args):
        pass


def only_a_cache(tmp_path, monkeypatch):
    """An environment that names a cache of its own, and neither a folder nor a mirror."""
    for name in ("XRAYLIB_DATA", "XRAYLIB_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XRAYLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with stand-in files in site/standin, and an environment that names only a cache."""
    only_a_cache(tmp_path, monkeypatch)
    rng = np.random.default_rng(0)
    rows = []
    for i, (file, label) in enumerate(zip(FILES, LABELS, strict=True)):
        path = tmp_path / "site" / "standin" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append([file, label, file.split("/")[0], 10 + i, digest])
    table = pd.DataFrame(rows, columns=["file", "label", "split", "group", "sha256"])
    table.to_csv(tmp_path / "standin.csv", index=False)
    return tmp_path


@contextlib.contextmanager
def serve(folder):
    """A server of a folder on this machine, with its faults, the paths asked for, and its url."""
    handler = lambda *args: Handler(*args, directory=folder)  # noqa: E731
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.faults, server.requested = {}, []
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server(place):
    with serve(place / "site") as server:
        yield server


@pytest.fixture
def source(place, server):
    return ImageSet("standin", place / "standin.csv", f"{server.url}/standin")


def stored(place):
    """What lies in the cache, by name."""
    folder = place / "cache" / "standin"
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def asked(server):
    return [path.removeprefix("/standin/") for path in server.requested]


# Downloads


def test_download(place, server, source):
    folder = download.fetch(source)
    assert folder == place / "cache" / "standin"
    assert stored(place) == sorted(FILES)
    for file in FILES:
        assert (folder / file).read_bytes() == (place / "site/standin" / file).read_bytes()


def test_load_downloads_reads_and_labels(place, source):
    data = datasets.load(source)
    assert data.name == "standin" and data.class_names == ("chest", "abdomen") and len(data) == 4
    assert data.names == FILES and data.labels.tolist() == LABELS
    assert data.groups.tolist() == [10, 11, 12, 13]
    assert data.split.tolist() == ["train", "train", "train", "val"]
    assert data.table.file.tolist() == FILES
    for file, image in zip(FILES, data.images, strict=True):
        np.testing.assert_array_equal(image, Image.open(place / "site/standin" / file))


def test_what_is_there_is_not_downloaded_again(place, server, source):
    download.fetch(source)
    download.fetch(source)
    assert asked(server) == FILES


def test_an_interrupted_download_goes_on(place, server, source):
    server.faults["/standin/" + FILES[2]] = ["gone"]
    with pytest.raises(DatasetError):
        download.fetch(source, retries=0)
    assert stored(place) == sorted(FILES[:2])
    download.fetch(source)
    assert asked(server) == [*FILES[:3], *FILES[2:]]


def test_a_file_spoilt_in_the_cache_is_replaced(place, server, source):
    folder = download.fetch(source)
    (folder / FILES[1]).write_bytes(b"spoilt")
    download.fetch(source)
    assert asked(server) == [*FILES, FILES[1]]
    assert (folder / FILES[1]).read_bytes() == (place / "site/standin" / FILES[1]).read_bytes()


@pytest.mark.parametrize("fault", ["gone", "refused", "cut", "short", "wrong"])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(place, server, source, fault):
    server.faults["/standin/" + FILES[1]] = [fault]
    with pytest.raises(DatasetError) as caught:
        download.fetch(source, retries=0)
    message = str(caught.value)
    assert f"{server.url}/standin/{FILES[1]}" in message  # which URL
    assert str(place / "cache" / "standin") in message  # which folder
    assert "XRAYLIB_DATA" in message and "XRAYLIB_MIRROR" in message
    assert {"gone": "404", "wrong": "hash", "short": "hash"}.get(fault, "") in message
    assert stored(place) == FILES[:1]


@pytest.mark.parametrize("fault", ["refused", "cut", "wrong"])
def test_a_passing_fault_is_overcome(place, server, source, fault):
    server.faults["/standin/" + FILES[1]] = [fault]
    download.fetch(source, retries=1)
    assert asked(server) == [*FILES[:2], *FILES[1:]]
    assert stored(place) == sorted(FILES)


def test_no_server(place):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(DatasetError, match="By hand"):
        download.fetch(ImageSet("standin", place / "standin.csv", url), retries=0)
    assert stored(place) == []


def test_mirror(place, server, monkeypatch):
    monkeypatch.setenv("XRAYLIB_MIRROR", server.url + "/")
    download.fetch(ImageSet("standin", place / "standin.csv", "http://127.0.0.1:9/elsewhere"))
    assert stored(place) == sorted(FILES)


FETCH = (
    "import sys; from pathlib import Path; from xraylib.data import download\n"
    "from xraylib.data.manifest import ImageSet\n"
    "download.fetch(ImageSet('standin', Path(sys.argv[1]), sys.argv[2]))"
)


def start(source):
    arguments = [sys.executable, "-c", FETCH, str(source.manifest), source.url]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once(place, server, source):
    # Each file is held back until both processes have asked for it.
    for file in FILES:
        server.faults["/standin/" + file] = [threading.Barrier(2, timeout=60).wait] * 2
        barrier = server.faults["/standin/" + file]
        barrier[1] = barrier[0]
    both = [start(source), start(source)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert sorted(asked(server)) == sorted(FILES * 2)
    assert stored(place) == sorted(FILES)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_leaves_no_half_file_under_the_name(place, server, source):
    halfway, go_on = threading.Event(), threading.Event()
    server.faults["/standin/" + FILES[1]] = [(halfway, go_on)]
    process = start(source)
    assert halfway.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    go_on.set()
    assert not (place / "cache/standin" / FILES[1]).exists()
    download.fetch(source)
    assert asked(server) == [*FILES[:2], *FILES[1:]]


def test_cache_that_cannot_be_made(place, source, monkeypatch):
    (place / "file").write_text("not a folder")
    monkeypatch.setenv("XRAYLIB_CACHE", str(place / "file"))
    with pytest.raises(DatasetError, match="set XRAYLIB_CACHE"):
        download.fetch(source)


def test_read_only_cache(place, server, source):
    folder = download.fetch(source)
    inside = folder / Path(FILES[0]).parent

    inside.chmod(0o555)
    try:
        if os.access(inside, os.W_OK):
            pytest.skip("this user may write whatever the rights say (root?)")
        assert download.fetch(source) == folder  # complete: nothing to write
        inside.chmod(0o755)
        (folder / FILES[0]).unlink()
        inside.chmod(0o555)
        with pytest.raises(DatasetError, match="set XRAYLIB_CACHE"):
            download.fetch(source)
    finally:
        inside.chmod(0o755)


# A folder of one's own


def test_local_folder_is_used_without_a_download(place, server, source, monkeypatch):
    monkeypatch.setenv("XRAYLIB_DATA", str(place / "site"))
    assert datasets.load(source).labels.tolist() == LABELS
    assert server.requested == [] and not (place / "cache").exists()


def test_local_folder_with_a_file_missing_or_wrong(place, server, source, monkeypatch):
    monkeypatch.setenv("XRAYLIB_DATA", str(place / "site"))
    path = place / "site/standin" / FILES[1]
    path.write_bytes(b"something else")
    found, expected = hashlib.sha256(b"something else").hexdigest(), source.table().sha256[1]
    with pytest.raises(DatasetError) as caught:
        datasets.load(source)
    for part in (str(path), expected, found, "unset XRAYLIB_DATA"):
        assert part in str(caught.value)
    path.unlink()
    with pytest.raises(DatasetError, match="expected a file, found none") as caught:
        datasets.load(source)
    assert str(path) in str(caught.value)
    assert server.requested == []


def test_a_checked_file_that_is_no_image(place, monkeypatch):
    monkeypatch.setenv("XRAYLIB_DATA", str(place / "site"))
    (place / "site/standin" / FILES[0]).write_bytes(b"text")
    table = pd.read_csv(place / "standin.csv")
    table.loc[0, "sha256"] = hashlib.sha256(b"text").hexdigest()
    table.to_csv(place / "standin.csv", index=False)
    with pytest.raises(images.ImageError, match=FILES[0]):
        datasets.load(ImageSet("standin", place / "standin.csv", ""))


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("file", "../outside.png", "below the set's folder"),
        ("file", "/etc/outside.png", "below the set's folder"),
        ("file", FILES[0], "each file once"),
        ("label", 2, "label of 0 or 1"),
        ("label", np.nan, f"label of 0 or 1 for {FILES[1]}, found ''"),
        ("sha256", None, "sha256"),
    ],
)
def test_impossible_manifests(place, column, value, message):
    table = pd.read_csv(place / "standin.csv").astype(object)
    if value is None:
        table = table.drop(columns=column)
    else:
        table.loc[1, column] = value
    table.to_csv(place / "standin.csv", index=False)
    with pytest.raises(DatasetError, match=message):
        download.fetch(ImageSet("standin", place / "standin.csv", "http://127.0.0.1:9"))


def test_missing_and_empty_manifest(tmp_path):
    source = ImageSet("standin", tmp_path / "standin.csv", "")
    with pytest.raises(DatasetError, match="found no file.*clone"):
        source.table()
    (tmp_path / "standin.csv").write_text("")
    with pytest.raises(DatasetError, match="standin.csv.*expected a CSV"):
        source.table()


# Using a set


def test_parts_and_subsets(place, source):
    data = datasets.load(source)
    train, val = (data.subset(data.split == split) for split in ("train", "val"))
    assert train.names == FILES[:3] and val.names == FILES[3:] and len(val) == 1
    assert val.table.file.tolist() == FILES[3:] and val.images[0].shape == (23, 30, 3)
    swapped = data.subset([3, 0])
    assert swapped.names == [FILES[3], FILES[0]] and swapped.groups.tolist() == [13, 10]
    np.testing.assert_array_equal(swapped.images[1], data.images[0])
    none = data.subset(np.zeros(4, bool))
    assert len(none) == 0 and none.images == []
    small = datasets.load(source, size=8)
    assert small.subset(small.split == "val").images.shape == (1, 8, 8, 3)
    with pytest.raises(ValueError, match="expected 4 values"):
        data.subset(np.ones(3, bool))


def test_resize_as_the_report_did(place, source):
    data = datasets.load(source, size=299)
    assert data.images.dtype == np.uint8 and data.images.shape == (4, 299, 299, 3)
    for file, image in zip(FILES, data.images, strict=True):
        original = Image.open(place / "site/standin" / file).convert("RGB")
        np.testing.assert_array_equal(image, original.resize((299, 299), Image.Resampling.NEAREST))


def test_interpolations_differ():
    checks = [np.repeat((np.indices((64, 64)).sum(0) % 2 * 255)[..., None], 3, 2).astype("uint8")]
    nearest, bilinear = (datasets.resize(checks, 16, k)[0] for k in ("nearest", "bilinear"))
    assert set(np.unique(nearest)) <= {0, 255}
    assert np.abs(bilinear.astype(int) - 128).max() < 20
    assert datasets.resize([], 16).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("size", [0, -3, 2.5, True, "8"])
def test_impossible_sizes(size):
    with pytest.raises(ValueError, match="size: expected a whole number"):
        datasets.resize([np.zeros((4, 4, 3), np.uint8)], size)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), "x"]
)
def test_only_8_bit_rgb_is_resized(image):
    with pytest.raises(ValueError, match="image 0: expected uint8 of shape"):
        datasets.resize([image], 4)


def test_names_and_options_are_checked():
    with pytest.raises(ValueError, match=r"\['xray75', 'covid'\] or the path .* got 'xray76'"):
        datasets.load("xray76")
    with pytest.raises(ValueError, match="computed: there are no files"):
        download.fetch("phantom")
    with pytest.raises(ValueError, match="interpolation: expected one of.*got 'area'"):
        datasets.load("xray75", size=8, interpolation="area")
    with pytest.raises(TypeError, match="xray75.*seed"):
        datasets.load("xray75", seed=3)
    with pytest.raises(TypeError, match="options.*got.*lettres"):
        datasets.load("phantom", lettres=(0, 1))


# Phantoms


def test_phantoms():
    data = datasets.load("phantom", n=8, seed=3)
    assert data.name == "phantom" and data.class_names == ("chest", "abdomen")
    assert len(data) == 8 == len(set(data.names)) and set(data.labels.tolist()) == {0, 1}
    for image, (_, row) in zip(data.images, data.table.iterrows(), strict=True):
        assert image.dtype == np.uint8 and image.shape == (row.height, row.width, 3)
        assert (image == image[..., :1]).all() and image.std() > 10
    assert set(data.table.opacity) == {"no"}
    assert set(datasets.load("phantom", n=2, arrows=(1, 0)).table.arrow) == {"yes", "no"}
    again = datasets.load("phantom", n=8, seed=3, size=32).images
    np.testing.assert_array_equal(again, datasets.resize(data.images, 32))
    assert (again != datasets.load("phantom", n=8, seed=4, size=32).images).any()


def test_hospitals():
    data, letters = (hospitals(32, seed=1, bands=bands) for bands in (True, False))
    table = data.table
    counts = table.groupby("source_site")["label"].agg(["sum", "size"]).T.to_dict("list")
    assert counts == {"north": [38, 38], "south": [0, 33], "west": [16, 30]}
    marked = (table["letter"] != "none").groupby(table["source_site"]).mean()
    assert marked["north"] == 1 and marked["south"] == 0 and 0.2 < marked["west"] < 0.8
    changed = (data.images != letters.images).any(axis=(2, 3))  # (n, rows)
    np.testing.assert_array_equal(changed.any(axis=1), table["letter"] != "none")
    assert not changed[:, :28].any()
    parts = table[table["clean50"] != ""]
    assert parts.groupby(["clean50", "label"]).size().tolist() == [9, 9, 15, 15]
    assert not parts["group"].duplicated().any()


# The report's 75 images: what the manifest says, and what the files are


@pytest.fixture(scope="module")
def manifest():
    return IMAGE_SETS["xray75"].table()


@pytest.fixture(scope="module")
def xray75():
    if not os.environ.get("XRAYLIB_DATA"):
        pytest.skip("set XRAYLIB_DATA to a folder that holds xray75/ to test the real images")
    return datasets.load("xray75")


def test_manifest_counts(manifest):
    counts = manifest.groupby(["split", "label"]).size().to_dict()
    assert counts == {("train", 0): 33, ("train", 1): 32, ("val", 0): 5, ("val", 1): 5}
    assert manifest.file.is_unique and (manifest.sha256.str.len() == 64).all()
    assert (manifest.label == manifest.file.str.contains("/abd/")).all()
    assert (manifest.split == manifest.file.str.split("/").str[0]).all()


def test_manifest_groups(manifest):
    assert (manifest.groupby("group").split.nunique() == 1).all()
    assert (manifest.groupby("group").label.nunique() == 1).all()
    shared = manifest[manifest.duplicated("group", keep=False)].groupby("group").file.agg(list)
    short = {tuple(f.replace("/abd/abd", " ").removesuffix(".png") for f in g) for g in shared}
    assert short == {
        ("train 0", "train 16", "train 17"),
        ("train 1", "train 2"),
        ("train 3", "train 4", "train 5"),
        ("train 8", "train 9"),
        ("train 10", "train 11", "train 12"),
        ("train 14", "train 15"),
        ("val 0", "val 1"),
        ("val 3", "val 4"),
    }


def test_manifest_knows_the_duplicate(manifest):
    same = manifest[manifest.duplicated("sha256", keep=False)]
    assert same.file.tolist() == ["val/abd/abd3.png", "val/abd/abd4.png"]


def test_manifest_refutes_two_claims_of_the_report(manifest):
    abdomen = manifest[manifest.label == 1]
    assert 0 < (abdomen.arrow == "yes").sum() < len(abdomen)  # "arrows exist in all" of them
    assert (abdomen.letter != "none").sum() > 0  # letters "unique to" the chest
    assert set(manifest.arrow) == {"yes", "no"} and set(manifest.letter) == {"L", "R", "none"}


def test_files_are_as_the_manifest_says(xray75, manifest):
    assert (
        len(xray75) == 75
        and len(xray75.subset(xray75.split == "train")) == 65
        and len(xray75.subset(xray75.split == "val")) == 10
    )
    assert xray75.names == manifest.file.tolist()
    folder = download.fetch("xray75")
    for image, row in zip(xray75.images, manifest.itertuples(), strict=True):
        assert image.shape == (row.height, row.width, 3)
        assert (folder / row.file).stat().st_size == row.bytes
        assert hashlib.sha256((folder / row.file).read_bytes()).hexdigest() == row.sha256
        with Image.open(folder / row.file) as file:
            assert file.mode == row.mode
    chest = [image.shape for image in xray75.subset(xray75.labels == 0).images]
    assert set(chest) == {(512, 512, 3)}
    bytes_of = [(folder / f"val/abd/abd{i}.png").read_bytes() for i in (3, 4)]
    assert bytes_of[0] == bytes_of[1]


def test_fingerprint_of_the_report(xray75):
    from sklearn.decomposition import PCA

    report = json.loads((DATA / "report.json").read_text())["pca"]
    pca = PCA(0.9).fit(isometry(datasets.resize(xray75.images, 299)))
    expected = report["explained_variance_ratio"]
    np.testing.assert_allclose(pca.explained_variance_ratio_, expected, atol=1e-5, rtol=0)
