"""The audit of a set of films: what is built in is found, and nothing else."""

import functools
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from tests.book.browser import CHROMIUM, MISSING, chromium
from tests.project.command import xraylib
from xraylib.data import own_images, phantoms
from xraylib.evaluation import audit, audit_page

N = 60


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Fits of sixty films lose more by several threads than they gain."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def two_views(monkeypatch):
    """Of the pictures two suspects alone: for what is not about the others."""
    some = ("16 × 16 pixels", "the four corners, 8 × 8 pixels each")
    monkeypatch.setattr(audit, "VIEWS", {what: audit.VIEWS[what] for what in some})


@functools.cache
def chest(patient):
    return np.asarray(
        Image.fromarray(phantoms.radiograph(0, patient=patient, seed=4)[0]).resize((96, 96))
    )


def write(folder, change=lambda i, image: image, table=lambda table: table):
    """Chest films of 60 people, half of them called ill by nothing that is in the picture."""
    (folder / "phantom.yml").write_text("dataset: phantom\ninterpolation: nearest\n")
    for i in range(N):
        path = folder / "films" / ("ill", "well")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Sizes and bytes are drawn alike; letters are left to chance.
        Image.fromarray(change(i, chest(i))).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_images, "PROFILES", folder)
        done = xraylib("manifest", folder / "films", "--positive", "ill")
    assert done.returncode == 0, done.stderr
    path = folder / "films/manifest.csv"
    table(pd.read_csv(path)).to_csv(path, index=False)
    return path


@pytest.fixture
def films(tmp_path):
    return functools.partial(write, tmp_path)


@pytest.fixture(scope="module")
def untied(tmp_path_factory):
    """The folder of an audit of such films as they are."""
    path = write(tmp_path_factory.mktemp("untied"))
    done = xraylib("audit", path, "--quick")
    assert done.returncode == 0, done.stderr
    return path.parent


def suspects(found):
    return {each["what"].split(" (")[0]: each for each in found["suspects"]}


def test_where_nothing_is_tied_nothing_is_flagged(untied):
    found = json.loads((untied / "audit.json").read_text())
    assert [each["what"] for each in found["suspects"] if each.get("flagged")] == []
    assert found["counts"][0] | {"train": 0, "val": 0} == {
        "class": "well", "images": 30, "people": 30, "train": 0, "val": 0
    }  # fmt: skip
    for what in ("width and height", "format", "bits"):
        assert suspects(found)[what]["not_applicable"] == "it is the same for all films"
    assert "the same pixels" not in str(found["leaks"])
    assert "none of the suspects" in audit.summary(found)


def test_of_a_large_set_some_people_are_scored(films, two_views, monkeypatch):
    def two_films_each(table):
        return table.assign(group=table.group // 2)

    monkeypatch.setattr(audit, "SCORED", 20)
    path = films(table=two_films_each)
    found = audit.audit(path, backbone=False, progress=False)
    scored = found["scored"]["films"]
    assert 20 <= scored <= 22 and scored < N  # whole people, half of each class
    assert all(each["right"].startswith(tuple(f"{k}/{scored}" for k in range(scored + 1)))
               for each in found["suspects"] if "right" in each)  # fmt: skip
    assert found["counts"][0]["images"] == N // 2  # told of all
    assert f"Scored are {scored} of the {N} films" in audit_page.page(found)


def test_what_is_tied_is_found(films, two_views):
    """A letter in a corner, another size, and a note that only the ill have."""

    def change(i, image):
        image = image.copy()
        if i % 2 == 0:
            image[3:7, 3:7] = 255
            return np.pad(image, ((0, 8), (0, 0)))
        return image

    def table(table):
        ill, told = table["class"] == "ill", np.arange(N) % 4 < 2
        dose = np.where(told, np.where(ill, "2", "1"), "")
        return table.assign(ward=np.where(ill, "7", ""), day=np.arange(N) % 7, dose=dose)

    found = audit.audit(films(change, table), backbone=False, progress=False)
    for what in ("width and height", "ward", "the four corners, 8 × 8 pixels each"):
        assert suspects(found)[what]["flagged"], what
    assert not suspects(found)["day"]["flagged"]
    is_it_the_label = [each["what"] for each in found["suspects"] if "the label" in each["what"]]
    assert [what.split()[0] for what in is_it_the_label] == ["ward"]  # of both, some have no dose
    assert found["suspects"][0]["auc"][1] >= found["suspects"][-1].get("auc", [0, 0])[1]


def test_what_is_known_of_ten_people_is_not_what_is_known_of_sixty_films(films, two_views):
    """The labels of a person's films are shuffled together, or nothing but the films would vary."""

    def table(table):
        person = np.arange(N) // 6
        label = person % 2
        return table.assign(group=person, label=label, ward=[f"ward {p}" for p in person],
                            split=np.where(person < 6, "train", "val"),
                            **{"class": np.where(label, "ill", "well")})  # fmt: skip

    found = suspects(audit.audit(films(table=table), backbone=False, progress=False))
    assert not found["ward"]["flagged"] and found["ward"]["auc"][0] == 0.5
    assert all(ward == 0.5 for ward in found["ward"]["control"])
    assert not any("is it the label" in each["what"] for each in found.values())


def test_people_with_films_of_both_classes_have_a_control(films, two_views):
    """Whose first film is always of the same one."""
    path = films(table=lambda t: t.sort_index(key=lambda i: t.file.str[5:]).assign(
        group=t.file.str.extract(r"(\d+)")[0].astype(int) // 2, split="train"
    ).assign(split=lambda t: np.where(t.group < 20, "train", "val")))  # fmt: skip
    found = suspects(audit.audit(path, backbone=False, progress=False))
    assert len(found["16 × 16 pixels"]["control"]) == audit.SEEDS


def test_leaks_and_blank_films(films, two_views):
    """A copy of another person, a person on both sides of the split, a film without a picture."""

    def change(i, image):
        image = chest(0) if i == 2 else image
        return np.where(image > 127, 130, 120).astype(np.uint8) if i == 5 else image

    def table(table):
        held_out = table.index[table.split == "val"][0]
        table.loc[held_out, "group"] = table.group[table.split == "train"].iloc[0]
        return table

    path = films(change, table)
    done = xraylib("audit", path, "--quick")
    assert done.returncode == 0, done.stderr
    found = json.loads((path.parent / "audit.json").read_text())
    assert found["doubtful"] == ["well/5.png: 2 grey levels"]
    assert len(found["leaks"]["people on both sides of a split"]) == 2
    assert any(
        "ill/0.png = ill/2.png (the same pixels" in each
        for each in found["leaks"]["films alike, of two people"]
    )
    assert "films to look at: 1, such as well/5.png" in done.stdout
    assert "people on both sides of a split: 2" in done.stdout


def test_of_many_copies_some_are_told_and_all_are_counted(films, two_views, monkeypatch):
    """As in a set that somebody enlarged with copies: pairs grow with their square."""
    kept = []

    def one_but_for_a_pixel(i, image):
        kept.append(image)
        copy = kept[0].copy()
        copy[0, 0] = i
        return copy

    path = films(one_but_for_a_pixel)
    n = len(pd.read_csv(path))
    monkeypatch.setattr(audit, "TOLD", 7)
    leaks = audit.audit(path, backbone=False, progress=False)["leaks"]
    name = next(name for name in leaks if name.startswith("films alike"))
    alone = leaks["pairs of films alike, of one person"]
    assert name.endswith(f"of {n * (n - 1) // 2 - alone:,} pairs the most alike")
    assert len(leaks[name]) == 7 and all("of 64 signs apart" in each for each in leaks[name])


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_the_page_stands_alone(untied):
    page = untied / "audit.html"
    assert re.findall(r"""(?:src|href)=(?!"data:)[^ >]+""", page.read_text()) == []
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 800})
        complaints = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.goto(page.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert tab.locator("img").evaluate("image => image.naturalWidth") > 500
        rows = tab.locator("tbody").last.locator("tr")
        assert rows.count() >= 8 and complaints == []


def test_of_a_handful_of_films_nothing_is_said(films, tmp_path):
    """Least of all that nothing tells the classes apart."""

    def handful(table):
        some = table.groupby(["class", "split"]).head(2)
        return some.assign(group=np.where(some["class"] == "ill", -1, some.group))

    path = films(table=handful)
    done = xraylib("audit", path, "--quick", "--folder", tmp_path / "new" / "one")
    assert done.returncode == 0, done.stderr
    assert "none of the suspects could be scored" in done.stdout
    assert "too few films or people" in done.stdout and "tells the classes" not in done.stdout
    assert (tmp_path / "new/one/audit.html").is_file()


def test_a_set_that_is_none_is_named(tmp_path):
    done = xraylib("audit", tmp_path / "manifest.csv", "--quick")
    assert done.returncode == 1 and "expected a manifest, found no file" in done.stderr
    assert xraylib("audit", "phantom", "--quick").returncode == 1
