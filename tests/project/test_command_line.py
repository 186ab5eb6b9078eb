"""The commands as a user types them; in a process of their own where that matters."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.project.command import xraylib
from xraylib.data import datasets, images
from xraylib.models import builders
from xraylib.training import fitting, saving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    model = builders.report_network("efficientnet_lite0", seed=0)
    saving.save(
        model, folder / "m.keras", class_names=("chest", "abdomen"), trained_on="nothing yet"
    )
    for name, image in zip("ab", datasets.load("phantom", n=2).images, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_predict_prints_score_and_label(folder):
    command = [sys.executable, "-m", "xraylib", "predict", "m.keras", "a.png", "b.png"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, rows = done.stdout.splitlines()[:2], done.stdout.splitlines()[2:]
    assert "nothing yet" in head[0] and "no diagnosis" in head[0]
    assert "0 = chest" in head[1] and "1 = abdomen" in head[1]
    assert len(rows) == 2
    for name, row in zip("ab", rows, strict=True):
        path, score, label = row.split("\t")
        assert path == f"{name}.png" and 0 <= float(score) <= 1
        assert label == ("abdomen" if float(score) >= 0.5 else "chest")


def test_predict_names_the_bad_image_and_goes_on(folder):
    done = xraylib("predict", folder / "m.keras", folder / "notes.txt", folder / "b.png")
    assert done.returncode == 1
    assert "notes.txt" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(folder / "b.png"))


def test_predict_says_where_there_is_nothing_to_see(folder):
    Image.new("L", (64, 64)).save(folder / "black.png")
    done = xraylib("predict", folder / "m.keras", folder / "black.png", folder / "b.png")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 4
    assert "black.png: constant; its score says little" in done.stderr
    assert "b.png" not in done.stderr


def test_predict_with_a_bad_model(folder):
    done = xraylib("predict", folder / "notes.txt", folder / "a.png")
    assert done.returncode == 1
    assert "notes.txt" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_fetch(monkeypatch, tmp_path):
    done = xraylib("fetch", "xray76")
    assert done.returncode == 1
    assert "xray75" in done.stderr and "Traceback" not in done.stderr
    monkeypatch.setenv("XRAYLIB_DATA", str(tmp_path))
    empty = xraylib("fetch", "xray75")
    assert empty.returncode == 1 and str(tmp_path) in empty.stderr


def test_usage():
    done = xraylib("predict")
    assert done.returncode == 2 and "usage" in done.stderr


def test_whoever_reads_may_stop_reading(folder):
    done = subprocess.run(
        f"{sys.executable} -m xraylib predict m.keras a.png b.png a.png b.png | head -1",
        shell=True, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("# m.keras") and done.stderr == ""


def test_a_name_that_is_not_utf_8_has_a_line_of_its_own(folder):
    name = os.fsencode(folder) + b"/caf\xe9.png"
    shutil.copy(folder / "a.png", name)
    done = subprocess.run(
        [sys.executable, "-m", "xraylib", "predict", folder / "m.keras", name, folder / "b.png"],
        capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    rows = done.stdout.decode().splitlines()[2:]
    assert done.returncode == 0 and done.stderr == b"" and len(rows) == 2
    assert "caf\\udce9.png" in rows[0]


def test_a_prediction_resizes_as_the_training_did(folder):
    """The file knows; an image twice as wide as high tells the ways apart."""
    wide = np.repeat(np.asarray(Image.open(folder / "a.png").convert("L")), 2, axis=1)
    Image.fromarray(wide).save(folder / "wide.png")
    model, card = saving.load(folder / "m.keras")
    printed = []
    for resized in ({}, {"interpolation": "bilinear", "keep_aspect": True}):
        saving.save(model, folder / "n.keras", class_names="ab", trained_on="", **resized)
        done = xraylib("predict", folder / "n.keras", folder / "wide.png")
        printed.append(float(done.stdout.split("\t")[1]))
        square = datasets.resize([images.read(folder / "wide.png")], 224, **resized)
        assert printed[-1] == pytest.approx(fitting.predict(model, square)[0], abs=6e-5)
    assert printed[0] != printed[1]
