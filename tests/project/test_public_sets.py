"""The page "Your own images", followed to the letter on look-alikes of three public sets.

Files, folders and tables have the names of the public sets; the pixels are phantoms.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.project.command import xraylib
from xraylib.data import datasets, own_images, phantoms

PAGE = Path(__file__).resolve().parents[2] / "book/own_images.md"


def commands(name):
    """What the page says to type for a set: arguments of ``python -m xraylib``."""
    block = next(b for b in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S) if name in b)
    return [shlex.split(line)[3:] for line in block.splitlines()]


def film(path, patient, label=0, number=0, opacity=False):
    image, _ = phantoms.radiograph(label, patient=patient, film=number, seed=5, opacity=opacity)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).resize((120, 110)).save(path)


def kermany(folder):
    for split, children in (("train", range(24)), ("val", range(20, 26)), ("test", range(24, 34))):
        for child in children:
            film(folder / f"chest_xray/{split}/NORMAL/IM-{child:04d}-0001.jpeg", child)
            for number in range(2):
                name = f"person{child}_{('virus', 'bacteria')[number]}_{child * 2 + number}.jpeg"
                path = folder / f"chest_xray/{split}/PNEUMONIA/{name}"
                film(path, 100 + child, number=number, opacity=True)


def radiography(folder):
    for name in ("COVID", "Normal", "Lung_Opacity", "Viral Pneumonia"):
        for i in range(30):
            set_ = folder / f"COVID-19_Radiography_Dataset/{name}"
            film(set_ / f"images/{name}-{i}.png", i + 50 * len(name), opacity=name != "Normal")
            (set_ / "masks").mkdir(exist_ok=True)
            mask = np.zeros((30, 30), np.uint8)
            mask[5:25, i % 20 : i % 20 + 8] = 255
            Image.fromarray(mask).save(set_ / f"masks/{name}-{i}.png")
        (set_.parent / f"{name}.metadata.xlsx").write_bytes(b"a table")


def nih(folder):
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View"]
    for i in range(96):
        name = f"{i // 2 + 1:08d}_{i % 2:03d}.png"
        found = ("No Finding", "Effusion|Infiltration", "Effusion", "Mass")[i // 2 % 4]
        film(folder / f"nih/images_{i % 12 + 1:03d}/images/{name}", i // 2, opacity="Eff" in found)
        lines.append(f"{name},{found},{i % 2},{i // 2 + 1},{30 + i % 40},{'MF'[i % 2]},PA")
    lines.append("00099999_000.png,Effusion,0,99999,40,M,PA")
    (folder / "nih/Data_Entry_2017.csv").write_text("\n".join(lines))
    (folder / "nih/README_CHESTXRAY.pdf").write_bytes(b"%PDF")


@pytest.mark.parametrize(
    "make, name, counts, people, said",
    [
        (kermany, "chest_xray", {"NORMAL": 40, "PNEUMONIA": 80}, 68,
         ["not kept, for people are on both sides", "dealt anew"]),
        (radiography, "COVID-19_Radiography_Dataset", {"Normal": 30, "COVID": 30}, 60,
         ["left out as masks", "30 in COVID/masks", "taken for a person of its own"]),
        (nih, "nih", {"No Finding": 24, "Effusion": 48}, 36,
         ["labels are from the table Data_Entry_2017.csv", "1 lines of the table name what"]),
    ],
)  # fmt: skip
def test_from_a_download_to_an_audit(tmp_path, monkeypatch, make, name, counts, people, said):
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(own_images, "PROFILES", tmp_path)
    (tmp_path / "phantom.yml").write_text("dataset: phantom\n")
    first, second = commands(f"manifest {name}")
    done = xraylib(*first)
    assert done.returncode == 0, done.stderr
    assert [words for words in said if words not in done.stdout] == []
    data = datasets.load(tmp_path / name / "manifest.csv", pictures=False)
    assert data.table["class"].value_counts().to_dict() == counts
    assert len(set(data.groups)) == people
    assert (data.table.groupby("group").split.nunique() == 1).all()
    audited = xraylib(*second, *([] if make is nih else ["--quick"]))
    assert audited.returncode == 0, audited.stderr
    found = json.loads((tmp_path / name / "audit.json").read_text())
    assert {row["class"]: row["images"] for row in found["counts"]} == counts
    assert (tmp_path / name / "audit.html").stat().st_size > 10_000
    shown = [each["what"] for each in found["suspects"]]
    assert ("averaged features of EfficientNet-Lite0" in shown) == (make is nih)
    if make is nih:
        assert {"patient age", "patient gender"} <= set(shown)
