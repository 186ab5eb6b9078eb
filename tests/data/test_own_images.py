"""Your own images: the command on real folders, the profile that it writes, a chapter on it."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.project.command import xraylib
from xraylib import ledger
from xraylib.data import datasets, images, own_images, phantoms
from xraylib.data.manifest import DatasetError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The project without its environment: the command writes into its profiles."""
    house = tmp_path_factory.mktemp("house")
    skip = shutil.ignore_patterns("__pycache__", "cache", ".*", "own.yml")
    for name in ("xraylib", "data", "results", "notebooks"):
        shutil.copytree(ROOT / name, house / name, ignore=skip)
    (house / "book").mkdir()
    shutil.copy(ROOT / "book/references.bib", house / "book")
    return house


@pytest.fixture(autouse=True)
def profiles(house, monkeypatch):
    """Where commands of this process write; where the book's own sets are must not matter."""
    monkeypatch.setattr(own_images, "PROFILES", house / "notebooks/profiles")
    monkeypatch.setenv("XRAYLIB_DATA", str(house / "nowhere"))


def python(house, *arguments):
    """Python in the house, where it finds the house's package first."""
    paths = os.pathsep.join([str(house), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    environment = os.environ | {"PYTHONPATH": paths, "JUPYTER_PREFER_ENV_PATH": "1"}
    environment["XRAYLIB_DATA"] = str(house / "nowhere")
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def film(patient, number, ill):
    image, _ = phantoms.radiograph(0, patient=patient, film=number, seed=3, opacity=ill)
    return image


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """As few as are taken: 10 healthy films of 5 people, 40 ill ones of 36, in four formats."""
    folder = tmp_path_factory.mktemp("my films") / "films"
    for patient in range(5):
        for number in range(2):
            save(folder / f"normal/patient{patient}/{number}.png", film(patient, number, False))
    for patient in range(100, 135):
        save(folder / f"Pneumonia/{patient}.jpg", film(patient, 0, True))
    for number in range(4):  # deeper than a film shows, and below one folder more
        deep = film(135, number, True).astype(np.uint16) * 13 + 200
        save(folder / f"Pneumonia/patient135/study/{number}.png", deep)
    write_dicom(folder / "Pneumonia/136.dcm", film(136, 0, True))
    for clutter in (".DS_Store", "normal/Thumbs.db", "normal/.hidden/x.png"):
        (folder / clutter).parent.mkdir(exist_ok=True)
        (folder / clutter).write_bytes(b"clutter")
    (folder / "notes.txt").write_text("of the ward")
    return folder


def write_dicom(path, grey):
    pydicom = pytest.importorskip("pydicom")
    data = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small.dcm", download=False))
    data.set_pixel_data(grey, "MONOCHROME2", 8)
    data.save_as(path)


@pytest.fixture(scope="module")
def made(house, films):
    done = python(house, "-m", "xraylib", "manifest", films)
    assert done.returncode == 0, done.stderr
    # Other tests make own.yml anew.
    profiles = house / "notebooks/profiles"
    shutil.copy(profiles / "own.yml", profiles / "films.yml")
    return done.stdout


@pytest.fixture(scope="module")
def table(films, made):
    return pd.read_csv(films / "manifest.csv")


def test_the_command_says_what_it_made_of_the_folder(made):
    rows = {line.split()[0]: line.split()[1:] for line in made.splitlines()[:3]}
    assert rows["label"] == ["images", "people", "train", "val"]
    assert rows["normal"][:3] == ["0", "10", "5"] and rows["Pneumonia"][:3] == ["1", "40", "37"]
    for row in ("normal", "Pneumonia"):
        assert int(rows[row][1]) == int(rows[row][3]) + int(rows[row][4])
    assert "note: left out, no images: notes.txt" in made
    assert "note: 36 images are each taken for a person of its own" in made
    assert made.splitlines()[-1].endswith("own.yml; now: make book PROFILE=own")


def test_the_manifest_says_what_the_files_are(films, table):
    always = table.columns[: table.columns.get_loc("sha256") + 1]
    assert len(table) == 50 and not table[always].isna().any(axis=None)
    assert table[table.format == "DICOM"].modality.tolist() == ["MR"]  # what the file says
    assert dict(zip(table["class"], table.label, strict=True)) == {"normal": 0, "Pneumonia": 1}
    for row in table.itertuples():
        content = (films / row.file).read_bytes()
        assert row.file.split("/")[0] == row[3] and row.bytes == len(content)
        assert row.sha256 == hashlib.sha256(content).hexdigest()
        assert images.read(films / row.file).shape == (row.height, row.width, 3)


def test_people_are_sub_folders_and_stay_on_one_side(table):
    person = table.file.str.extract("(patient[0-9]+)/")[0].fillna(table.file)
    assert (table.groupby(person).group.nunique() == 1).all()
    assert table.group.nunique() == person.nunique() == 42
    assert (table.groupby("group").split.nunique() == 1).all()
    held_out = table[table.split == "val"].groupby("label").size()
    assert set(table.split) == {"train", "val"}
    assert held_out[0] == 2 and 5 <= held_out[1] <= 9


def test_the_profile_is_the_default_one_with_these_images(house, films, made):
    folder = house / "notebooks/profiles"
    own, default = (yaml.safe_load((folder / f"{p}.yml").read_text()) for p in ("films", "phantom"))
    # The report's way of resizing, which skips pixels, is for the report's images.
    mine = {"dataset": str(films / "manifest.csv"), "interpolation": "bilinear"}
    assert default["interpolation"] == "nearest" and own == default | mine


def test_load_by_the_path_of_the_manifest(films, table, monkeypatch):
    monkeypatch.setenv("XRAYLIB_DATA", "/nowhere")
    data = datasets.load(films / "manifest.csv")
    assert data.name == "films" and data.class_names == ("normal", "Pneumonia") and len(data) == 50
    assert data.names == table.file.tolist() and data.labels.tolist() == table.label.tolist()
    for name, image in zip(data.names, data.images, strict=True):
        np.testing.assert_array_equal(image, images.read(films / name))
    monkeypatch.chdir(films)
    assert datasets.load("manifest.csv", size=8).images.shape == (50, 8, 8, 3)


def test_a_chapter_runs_on_them(house, films, made):
    profile = house / "notebooks/profiles/films.yml"
    page = house / ".run/films/02_data.ipynb"
    chapter = ["notebooks/run.py", "notebooks/02_data.ipynb", page, "--profile", profile]
    done = python(house, *chapter)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(page, 4)
    found = ledger.collect(notebook)
    assert found["data.name"]["text"] == "your images (films)"
    assert found["data.n"]["value"] == 50 and found["data.people"]["value"] == 42
    assert {"traps.bytes", "traps.rim", "data.square.Pneumonia"} <= set(found)
    for claim in ("D-arrows", "D-letters"):
        assert not found[f"verdict.{claim}"]["value"]["holds"]
    printed = "".join(o.text for c in notebook.cells for o in c.get("outputs", []) if "text" in o)
    assert "letters and arrows: not recorded for these images" in printed


@pytest.mark.skipif("SLOW" not in os.environ, reason="minutes; SLOW=1 make test runs it")
@pytest.mark.parametrize(
    "name",
    ["03_dimensionality_reduction", "04_transfer_learning", "05_evaluation", "07_report_network"],
)
def test_as_few_as_are_taken_and_trained_once(house, films, made, name):
    """Such as plots of t-SNE, which the report's learning rate leaves in one place."""
    settings = yaml.safe_load((house / "notebooks/profiles/films.yml").read_text())
    profile = house / "notebooks/profiles/few.yml"
    few = {"epochs": 1, "tuning_epochs": 1, "cv_seeds": 1, "draws": 1}
    profile.write_text(yaml.safe_dump(settings | few))
    chapter = [f"notebooks/{name}.ipynb", house / f".run/few/{name}.ipynb"]
    done = python(house, "notebooks/run.py", *chapter, "--profile", profile)
    assert done.returncode == 0, done.stderr


# Small pictures of noise, to go wrong with


def noise(folder, *files, seed=0):
    rng = np.random.default_rng(seed)
    for file in files:
        save(folder / file, rng.integers(0, 256, (9, 8), dtype=np.uint8))


def two_classes(folder, count=25, names=("0", "b")):
    for seed, name in enumerate(names):
        noise(folder, *(f"{name}/{k}.png" for k in range(count)), seed=seed)


def taken(folder, *options):
    """The command succeeds; what it says."""
    done = xraylib("manifest", folder, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(house, folder, *words, options=()):
    """The command fails, says these words and nothing of Python, and leaves nothing behind."""
    before = sorted(folder.rglob("*")) if folder.exists() else []
    profile = house / "notebooks/profiles/own.yml"
    settings = profile.read_text() if profile.exists() else None
    done = xraylib("manifest", folder, *options)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert [word for word in (str(folder), *words) if word not in done.stderr] == [], done.stderr
    assert (sorted(folder.rglob("*")) if folder.exists() else []) == before
    assert (profile.read_text() if profile.exists() else None) == settings
    assert not list(profile.parent.glob("*.partial"))


def test_no_folder_or_a_file(house, tmp_path):
    refused(house, tmp_path / "films", "expected a folder of images", "found nothing; check")
    (tmp_path / "film.png").write_bytes(b"")
    refused(house, tmp_path / "film.png", "found another file; name the folder that it lies in")


def test_not_two_classes(house, tmp_path):
    refused(house, tmp_path, "found 0 images and no such sub-folder")
    noise(tmp_path, "0.png", "1.png")
    refused(house, tmp_path, "found 2 images and no such sub-folder; move the images of")
    noise(tmp_path, "0/0.png", ".git/0.png")
    refused(house, tmp_path, "found only '0'; add a sub-folder")
    (tmp_path / "b").mkdir()
    refused(house, tmp_path, "images of the class 'b', found none; add them")
    noise(tmp_path, "b/0.png", "c/0.png")
    refused(house, tmp_path, "found 3: 0 (1), b (1), c (1); add --positive NAME", "--negative")


@pytest.mark.parametrize("names", [("Covid", "covid"), ("a", " ")])
def test_names_of_classes_that_confuse(house, tmp_path, names):
    for name in names:
        noise(tmp_path, f"{name}/0.png")
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes the two names for one")
    refused(house, tmp_path, "names of classes that nobody confuses", repr(min(names)), "rename")


def test_too_few_images_or_people(house, tmp_path):
    two_classes(tmp_path, 24)
    refused(house, tmp_path, "50 images or more", "24 of 24 people in 0, 24 of 24 people in b")
    noise(tmp_path, *(f"b/{k}.png" for k in range(24, 60)), seed=7)
    for k in range(9, 24):
        (tmp_path / f"0/{k}.png").unlink()
    refused(house, tmp_path, "9 of 9 people in 0, 60 of 60 people in b", "add images")
    noise(tmp_path, *(f"0/patient{k % 4}/{k}.png" for k in range(20)), seed=8)
    for k in range(9):
        (tmp_path / f"0/{k}.png").unlink()
    refused(house, tmp_path, "5 people or more in each class, found 20 of 4 people in 0")


def test_one_person_with_most_of_the_images(house, tmp_path):
    two_classes(tmp_path)
    noise(tmp_path, *(f"b/patient7/{k}.png" for k in range(13)), seed=7)
    refused(house, tmp_path, "the person of b/patient7/0.png has 13", "(25)", "leave some")


def test_files_that_are_no_images_are_named_together(house, tmp_path):
    two_classes(tmp_path)
    (tmp_path / "0/notes.txt").write_text("no image, and left out")
    whole = (tmp_path / "b/0.png").read_bytes()
    (tmp_path / "b/0.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b/empty.png").write_bytes(b"")
    words = ("2 of 51 files", "b/0.png: cannot be decoded", "damaged or cut off: fetch it again")
    refused(house, tmp_path, *words, "b/empty.png: expected an image, found an empty file")


def test_the_same_file_in_both_classes(house, tmp_path):
    two_classes(tmp_path)
    shutil.copy(tmp_path / "0/3.png", tmp_path / "b/x.png")
    refused(house, tmp_path, "the same file is in both: 0/3.png, b/x.png; take it out of one")


def test_a_manifest_that_is_there(house, tmp_path):
    two_classes(tmp_path)
    taken(tmp_path)
    refused(house, tmp_path, "expected no manifest yet, found one", "--force")
    noise(tmp_path, "0/new.png", seed=9)
    profile = house / "notebooks/profiles/own.yml"
    profile.write_text(profile.read_text().replace("epochs: 20", "epochs: 3", 1))
    taken(tmp_path, "--force")
    assert "0/new.png" in (tmp_path / "manifest.csv").read_text()
    kept = yaml.safe_load(profile.read_text())
    assert kept["epochs"] == 3 and kept["dataset"] == str(tmp_path / "manifest.csv")


def test_a_folder_that_cannot_be_written(house, tmp_path):
    two_classes(tmp_path)
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write whatever the rights say (root?)")
        refused(house, tmp_path, "manifest.csv: cannot be written", "copy the images")
    finally:
        tmp_path.chmod(0o755)


def test_columns_of_a_table_that_lies_beside_the_images(house, tmp_path):
    noise(tmp_path, *(f"{k}.png" for k in range(50)))
    lines = [f"{k},{('well', 'ill')[k % 2]}" for k in range(50)]
    (tmp_path / "ward.csv").write_text("\n".join(["scan,what", *lines]))
    taken(tmp_path, "--file", "scan", "--label", "what", "--positive", "ill")
    assert pd.read_csv(tmp_path / "manifest.csv").label.tolist().count(1) == 25


def test_which_class_is_positive(house, tmp_path):
    two_classes(tmp_path)
    refused(house, tmp_path, "one of 0 (25), b (25), got 'c'", options=("--positive", "c"))
    taken(tmp_path, "--positive", "0")
    assert datasets.load(tmp_path / "manifest.csv").class_names == ("b", "0")


@pytest.mark.parametrize(
    "names, positive",
    [(("COVID", "Normal"), "COVID"), (("No_Finding", "Effusion"), "Effusion"), (("A", "B"), None),
     (("healthy", "control"), None)],
)  # fmt: skip
def test_the_alphabet_does_not_choose_the_positive_class(house, tmp_path, names, positive):
    two_classes(tmp_path, names=names)
    if positive is None:
        refused(house, tmp_path, f"add --positive {min(names)} or --positive {max(names)}")
        return
    assert f"note: class 1 is {positive!r}" in taken(tmp_path)
    assert datasets.load(tmp_path / "manifest.csv").class_names[1] == positive


def test_people_in_both_classes_and_copies_are_told(house, tmp_path):
    two_classes(tmp_path)
    noise(tmp_path, "0/patient7/x.png", "b/patient7/y.png", seed=7)
    shutil.copy(tmp_path / "0/3.png", tmp_path / "0/4.png")  # 3 = 4, 4 = x: one person, a chain
    (tmp_path / "0/5.png").unlink()
    shutil.copy(tmp_path / "0/patient7/x.png", tmp_path / "0/5.png")
    (tmp_path / "b/patient7/more").mkdir()
    shutil.copy(tmp_path / "b/0.png", tmp_path / "b/patient7/more/0.png")
    said = taken(tmp_path)
    assert "the same name in each class is one person: patient7" in said
    for same in ("0/3.png = 0/4.png", "0/5.png = 0/patient7/x.png"):
        assert same in said
    group = pd.read_csv(tmp_path / "manifest.csv").set_index("file").group
    assert group["0/3.png"] == group["0/4.png"] != group["0/5.png"]
    joined = ("0/5.png", "0/patient7/x.png", "b/patient7/y.png", "b/0.png")
    assert len({group[file] for file in joined}) == 1
    assert group.nunique() == 50 - 1 - 2 + 1


def test_uneven_classes_and_blank_images_are_told(house, tmp_path):
    noise(tmp_path, *(f"normal/{k}.png" for k in range(60)))
    noise(tmp_path, *(f"rare/p{k // 2}/{k}.png" for k in range(10)), seed=1)
    assert "always saying 'normal' is right on 60 of 70 images" in taken(tmp_path)
    rng = np.random.default_rng(0)
    for path in tmp_path.rglob("*.png"):  # large enough for more than 32 grey levels
        save(path, rng.integers(0, 256, (30, 30), dtype=np.uint8))
    save(tmp_path / "normal/7.png", np.zeros((30, 30), np.uint8))
    said = taken(tmp_path, "--force")
    assert "1 images to look at, or to leave out: normal/7.png (constant)" in said


# Files and manifests that changed afterwards


def test_files_that_changed_or_went(house, tmp_path):
    two_classes(tmp_path)
    taken(tmp_path)
    noise(tmp_path, "0/3.png", seed=9)
    with pytest.raises(DatasetError, match="0/3.png: expected SHA-256.*xraylib manifest .*--force"):
        datasets.load(tmp_path / "manifest.csv")
    (tmp_path / "0/3.png").unlink()
    with pytest.raises(DatasetError, match="0/3.png: expected a file, found none.*--force"):
        datasets.load(tmp_path / "manifest.csv")


def test_manifests_that_cannot_be_right(house, tmp_path):
    path = tmp_path / "manifest.csv"
    with pytest.raises(DatasetError, match="expected a manifest, found no file; make it: python"):
        datasets.load(path)
    two_classes(tmp_path, names=("01", "NA"))  # neither a number nor a gap
    taken(tmp_path, "--positive", "NA")
    assert datasets.load(str(path)).class_names == ("01", "NA")
    good = path.read_text()
    for old, new, message in (
        (",class,", ",kind,", "expected a column class.*make it anew"),
        (",train,", ",other,", "the split train and val or test.*make it anew"),
        (",01,", ",02,", "expected a column class.*make it anew"),
    ):
        path.write_text(good.replace(old, new, 1))
        with pytest.raises(DatasetError, match=message):
            datasets.load(path)


def test_a_manifest_corrected_by_hand(house, tmp_path):
    """Names of people are taken; what would make scores too good is refused."""
    two_classes(tmp_path, names=("normal", "ill"))
    taken(tmp_path)
    path = tmp_path / "manifest.csv"
    table = pd.read_csv(path)
    n = np.arange(len(table))
    named = table.assign(group=[f"patient {i}" for i in table.group])
    named.to_csv(path, index=False)
    assert len(set(datasets.load(path, pictures=False).groups)) == 50
    both_sides = table.assign(group=n // 2, split=np.where(n % 2, "train", "val"))
    no_group = table.assign(group=[None, *table.group[1:]])
    one_class = table.assign(split=np.where(n < 10, "val", "train"))
    for wrong, message in (
        (both_sides, "each person in one part of split, found group 0 in"),
        (no_group, "a group for .*, the person of whom it is, found none"),
        (one_class, "each with images of both classes"),
    ):
        wrong.to_csv(path, index=False)
        with pytest.raises(DatasetError, match=message):
            datasets.load(path, pictures=False)
