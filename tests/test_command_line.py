"""The commands as a user types them, each in a process of its own."""

import subprocess
import sys

import pytest
from PIL import Image

from xraylib import datasets, models, training


def run(*arguments, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "xraylib", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("predict")
    model = models.report_network(source="efficientnet_lite0", trainable="top", seed=0)
    training.save(
        model, folder / "m.keras", class_names=("chest", "abdomen"), trained_on="nothing yet"
    )
    for name, image in zip("ab", datasets.load("phantom", n=2).images, strict=True):
        Image.fromarray(image).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_predict_prints_score_and_label(folder):
    done = run("predict", folder / "m.keras", folder / "a.png", folder / "b.png")
    assert done.returncode == 0, done.stderr
    head, rows = done.stdout.splitlines()[:2], done.stdout.splitlines()[2:]
    assert "nothing yet" in head[0] and "no diagnosis" in head[0]
    assert "0 = chest" in head[1] and "1 = abdomen" in head[1]
    assert len(rows) == 2
    for name, row in zip("ab", rows, strict=True):
        path, score, label = row.split("\t")
        assert path == str(folder / f"{name}.png") and 0 <= float(score) <= 1
        assert label == ("abdomen" if float(score) >= 0.5 else "chest")


def test_predict_names_the_bad_image_and_goes_on(folder):
    done = run("predict", folder / "m.keras", folder / "notes.txt", folder / "b.png")
    assert done.returncode == 1
    assert "notes.txt" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(folder / "b.png"))


def test_predict_with_a_bad_model(folder):
    done = run("predict", folder / "notes.txt", folder / "a.png")
    assert done.returncode == 1
    assert "notes.txt" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_fetch(folder, tmp_path):
    done = run("fetch", "xray76")
    assert done.returncode == 1
    assert "xray75" in done.stderr and "Traceback" not in done.stderr
    empty = run("fetch", "xray75", XRAYLIB_DATA=str(tmp_path))
    assert empty.returncode == 1 and str(tmp_path) in empty.stderr


def test_usage():
    done = run("predict")
    assert done.returncode == 2 and "usage" in done.stderr
