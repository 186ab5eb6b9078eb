"""Look-alikes of public sets: what is understood of names, folders and tables.

Files are empty here: nothing opens a picture before names and tables are understood.
"""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xraylib.data import layouts
from xraylib.data.layouts.folders import proposed
from xraylib.data.manifest import DatasetError


def put(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def numbered(folder, count):
    """The names of so many films of a folder: 0.png, 1.png and so on."""
    files = [f"{k}.png" for k in range(count)]
    put(folder, *files)
    return files


def tables(folder, **those):
    for name, columns in those.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)


def people(rows):
    return dict(zip(rows.file, rows.person, strict=True))


def classes(rows):
    return rows["class"].value_counts().to_dict()


# Splits and people in names: the pneumonia set of Kermany and others


@pytest.fixture
def kermany(tmp_path):
    for split in ("train", "val", "test"):
        normal, ill = (tmp_path / f"chest_xray/{split}/{name}" for name in ("NORMAL", "PNEUMONIA"))
        put(normal, *(f"IM-0{i // 2:03d}-000{i % 2}.jpeg" for i in range(6)))
        put(normal, "NORMAL2-IM-0927-0001.jpeg")
        put(ill, *(f"person{i // 3}_virus_{i}.jpeg" for i in range(9)))
    return tmp_path


def test_splits_as_folders(kermany):
    folder, rows, notes = layouts.read(kermany)
    assert folder == kermany and classes(rows) == {"PNEUMONIA": 27, "NORMAL": 21}
    assert rows.groupby("split").size().to_dict() == {"test": 16, "train": 16, "val": 16}
    assert set(zip(rows.label, rows["class"], strict=True)) == {(0, "NORMAL"), (1, "PNEUMONIA")}
    assert "the folders test, train, val are taken for splits" in notes


def test_people_in_names_of_files_are_proposed_and_set(kermany):
    _, rows, _ = layouts.read(kermany)
    pattern, count = proposed(rows.file)
    _, rows, _ = layouts.read(kermany, person=pattern)
    assert set(rows.person) == {"IM-0000", "IM-0001", "IM-0002", "NORMAL2-IM-0927", "person0",
                                "person1", "person2"} and count == 7  # fmt: skip
    _, rows, notes = layouts.read(kermany, person=r"(person\d+)_")
    assert set(rows.person) == {"person0", "person1", "person2", ""}
    assert any("nobody in" in note and "and 16 more" in note for note in notes)
    for wrong, message in (("(", "regular expression"), (r"patient\d", "is in none, such as")):
        with pytest.raises(DatasetError, match=message):
            layouts.read(kermany, person=wrong)


@pytest.mark.parametrize(
    "names, count",
    [
        ([f"{i // 3:08d}_{i % 3:03d}" for i in range(90)], 30),
        ([f"patient-{i // 2}-view{i % 2}" for i in range(80)], 40),
        ([f"COVID-{i}" for i in range(80)], None),
        ([f"{i}" for i in range(80)], None),
        ([f"scan_{i}" for i in range(80)], None),
        ([f"2019_{i}" for i in range(80)], None),
    ],
)
def test_stems_are_proposed_where_files_share_them(names, count):
    found = proposed(pd.Series([f"a/{name}.png" for name in names]))
    assert (found and found[1]) == count


# Folders below a class


@pytest.mark.parametrize(
    "files, person, site",
    [
        (("p1x/PA/1.png", "p1x/L/1.png", "p2x/PA/1.png", "p2x/L/1.png", "q/PA/1.png", "q/L/1.png"),
         "p1x", None),
        (("patient1/x.png", "patient2/y.png"), "patient1", None),
        (("patient1/study1/x.png", "patient2/study1/x.png"), "patient1", None),
        (("patient1/2019-03-01/x.png", "patient2/2020-03-01/x.png"), "patient1", None),
        (("p1/more/x.png", "p2/y.png"), "p1", None),
        (("7/images/x.png", "8/images/y.png"), "7", None),
        (("Bern/p1/x.png", "Bern/p2/x.png", "Ulm/p1/x.png"), "Bern/p1", "Bern"),
        (("Bern/Ann/x.png", "Bern/Bo/x.png", "Ulm/C/x.png", "Ulm/D/x.png"), "Bern/Ann", "Bern"),
        (("images/x.png", "images/y.png"), "", None),
    ],
)  # fmt: skip
def test_what_a_sub_folder_is(tmp_path, files, person, site):
    for name in ("ill", "normal"):
        put(tmp_path, *(f"{name}/{file}" for file in files))
    _, rows, _ = layouts.read(tmp_path)
    first = rows[rows.file == f"ill/{files[0]}"].iloc[0]
    assert first.person == person and first.get("site") == site


def test_people_above_and_classes_below(tmp_path):
    for person in range(6):
        for name in ("ill", "normal"):
            numbered(tmp_path / f"patient{person}/{name}", 2)
    _, rows, _ = layouts.read(tmp_path)
    assert classes(rows) == {"ill": 12, "normal": 12}
    assert people(rows)["patient3/ill/0.png"] == people(rows)["patient3/normal/1.png"] == "patient3"


def test_a_set_unpacked_into_itself(tmp_path):
    """As the archive of the pneumonia set is packed: everything is there twice, and counts once."""
    root = tmp_path / "chest_xray"
    for inside in ("", "chest_xray/"):
        put(root, *(f"{inside}train/{name}/{i}.jpeg" for name in ("NORMAL", "ILL") for i in (1, 2)))
    put(root, "__MACOSX/chest_xray/train/NORMAL/._1.jpeg")
    put(root, "chest_xray/train/ILL/3.jpeg")
    for folder in (tmp_path, root):
        _, rows, notes = layouts.read(folder)
        assert classes(rows) == {"NORMAL": 2, "ILL": 3} and set(rows.split) == {"train"}
        assert any("as unpacked twice into one another" in note for note in notes)
    (root / "chest_xray/train/ILL/1.jpeg").write_bytes(b"another")
    assert classes(layouts.read(root)[1]) == {"NORMAL": 2, "ILL": 4}


def test_folders_of_many_images_are_sites(tmp_path):
    for name in ("ill", "normal"):
        put(tmp_path, *(f"{name}/{site}/{i}.png" for site in ("Bern", "Ulm") for i in range(30)))
    _, rows, notes = layouts.read(tmp_path)
    assert set(rows.person) == {""} and set(rows.site) == {"Bern", "Ulm"}
    assert any("taken for sites, not people: Bern, Ulm" in note for note in notes)


def test_masks_and_thumbnails_are_left_out_and_named(tmp_path):
    """As in the COVID-19 Radiography Database, and in the sets of Montgomery and Shenzhen."""
    for name in ("COVID", "Normal"):
        for kind in ("images", "masks"):
            put(tmp_path / name / kind, *(f"{name}-{i}.png" for i in (1, 2)))
        put(tmp_path, f"{name}/thumbnails/{name}-1.png", f"{name}/images/{name}-1_mask.png")
    put(tmp_path, "COVID.metadata.xlsx", "README.md.txt")
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"COVID": 2, "Normal": 2} and set(rows.person) == {""}
    assert any("2 in COVID/masks" in note and "1 in Normal/images" in note for note in notes)
    assert "left out, no images: COVID.metadata.xlsx, README.md.txt" in notes


def test_classes_below_parts_of_the_body_and_people(tmp_path):
    """MURA: the name of a study's folder says what was found."""
    for part in ("XR_ELBOW", "XR_HAND"):
        put(tmp_path, *(f"MURA-v1.1/train/{part}/patient{p:05d}/study{s}_{found}/image{i}.png"
                        for p in range(4) for s, found in ((1, "positive"), (2, "negative"))
                        for i in (1, 2)))  # fmt: skip
    _, rows, _ = layouts.read(tmp_path)
    assert classes(rows) == {"positive": 16, "negative": 16} and set(rows.split) == {"train"}
    assert set(zip(rows.label, rows["class"], strict=True)) == {(0, "negative"), (1, "positive")}
    assert rows.person.nunique() == 8 and set(rows.site) == {"XR_ELBOW", "XR_HAND"}


# Classes


def test_links_lead_nowhere_twice(tmp_path):
    put(tmp_path / "set", *(f"{name}/{k}.png" for name in ("normal", "ill") for k in range(3)))
    put(tmp_path / "elsewhere", "3.png")
    for link, place in (("ill/up", ".."), ("normal/beside", "../ill"), ("ill/more", "../..")):
        (tmp_path / "set" / link).symlink_to(place)
    (tmp_path / "set/ill/linked").symlink_to("../../elsewhere")
    _, rows, _ = layouts.read(tmp_path / "set")
    names = [file.rsplit("/", 1)[1] for file in rows.file]
    assert sorted(names) == sorted(["0.png", "1.png", "2.png"] * 2 + ["3.png"])


def test_labels_in_names_of_files(tmp_path):
    """As in the sets of Shenzhen and Montgomery: the last digit is the label."""
    put(tmp_path, *(f"CXR_png/CHNCXR_{i:04d}_{i % 2}.png" for i in range(6)), "CXR_png/notes.png")
    with pytest.raises(DatasetError, match="found 7 images.*--label REGEX"):
        layouts.read(tmp_path)
    _, rows, notes = layouts.read(tmp_path, label=r"_(\d)$")
    assert rows.label.tolist() == [0, 1, 0, 1, 0, 1] and classes(rows) == {"0": 3, "1": 3}
    assert "left out, for --label finds nothing in their names: CXR_png/notes.png" in notes
    with pytest.raises(DatasetError, match="--label: expected a pattern that is in names"):
        layouts.read(tmp_path, label="ill|well")


def test_one_class_against_others(tmp_path):
    for name in ("COVID", "Normal", "Lung_Opacity", "Viral Pneumonia"):
        put(tmp_path, *(f"{name}/images/{name}-{i}.png" for i in range(3)))
    with pytest.raises(DatasetError, match=r"found 4: COVID \(3\), .*--positive NAME.*--negative"):
        layouts.read(tmp_path)
    _, rows, notes = layouts.read(tmp_path, positive="COVID")
    assert classes(rows) == {"other": 9, "COVID": 3} and rows.label.sum() == 3
    assert any("all that is not 'COVID': Lung_Opacity, Normal, Viral Pneumonia" in n for n in notes)
    _, rows, notes = layouts.read(tmp_path, positive="COVID", negative="Viral Pneumonia")
    assert classes(rows) == {"COVID": 3, "Viral Pneumonia": 3}
    assert any("neither 'COVID' nor 'Viral Pneumonia' for certain: 6 images" in n for n in notes)
    _, rows, _ = layouts.read(tmp_path, negative="Normal")
    assert classes(rows) == {"other": 9, "Normal": 3} and rows.label.sum() == 9
    put(tmp_path, *(f"other/{i}.png" for i in range(2)))
    for option in ("positive", "negative"):
        _, rows, _ = layouts.read(tmp_path, **{option: "other"})
        assert classes(rows) == {"not other": 12, "other": 2}
    with pytest.raises(DatasetError, match="--negative: expected one of .* got 'Flu'"):
        layouts.read(tmp_path, positive="COVID", negative="Flu")


# Tables


@pytest.fixture
def nih(tmp_path):
    """NIH ChestX-ray14: films in twelve folders, findings in one cell, boxes in another table."""
    lines = ["Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender"]
    found = ("No Finding", "Effusion|Mass", "Mass", "Infiltration")
    for k in range(1, 13):
        put(tmp_path, f"images_{k:03d}/images/{k:08d}_000.png")
        lines.append(f"{k:08d}_000.png,{found[k % 4]},0,{k // 2},58,F")
    lines.append("00000099_000.png,Mass,0,99,60,M")
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join(lines))
    boxes = "Image Index,Finding Label,Bbox [x,y,w,h]\n00000002_000.png,Mass,1\n"
    (tmp_path / "BBox_List_2017.csv").write_text(boxes)
    return tmp_path


def test_nih(nih):
    with pytest.raises(DatasetError, match="--positive NAME"):
        layouts.read(nih)
    _, rows, notes = layouts.read(nih, positive="Mass")
    assert classes(rows) == {"Mass": 6, "other": 6}
    assert set(rows.person) == {str(k) for k in range(7)}
    assert rows.file[0] == "images_001/images/00000001_000.png"
    assert set(rows["patient age"]) == {"58"} and "finding labels" not in rows
    said = "labels are from the table Data_Entry_2017.csv: files in 'Image Index'"
    assert any(note.startswith(said) for note in notes)
    assert "1 lines of the table name what is not here, or is here twice: 00000099_000.png" in notes
    _, rows, _ = layouts.read(nih, positive="Mass", negative="No Finding")
    assert classes(rows) == {"Mass": 6, "No Finding": 3}
    _, rows, _ = layouts.read(nih, negative="No Finding")
    assert classes(rows) == {"other": 9, "No Finding": 3}


def test_chexpert(tmp_path):
    """A column for each finding: 1, 0, -1 where the report is uncertain, empty where silent."""
    lines = {"train": [], "valid": []}
    for k in range(8):
        split = "train" if k < 6 else "valid"
        file = f"{split}/patient{k:05d}/study1/view1_frontal.jpg"
        put(tmp_path, file)
        edema = ("1.0", "0.0", "-1.0", "")[k % 4]
        lines[split].append(f"CheXpert-v1.0-small/{file},Female,68,Frontal,AP,{edema},1.0")
    header = "Path,Sex,Age,Frontal/Lateral,AP/PA,Edema,Support Devices\n"
    for split in lines:
        (tmp_path / f"{split}.csv").write_text(header + "\n".join(lines[split]))
    _, rows, notes = layouts.read(tmp_path, positive="Edema")
    assert classes(rows) == {"other": 4, "Edema": 2} and "ap pa" in rows
    assert rows.groupby("split").size().to_dict() == {"train": 5, "val": 1}
    assert people(rows)["train/patient00000/study1/view1_frontal.jpg"] == "patient00000"
    assert "neither 'Edema' nor 'other' for certain: 2 images" in " ".join(notes)


def test_rsna(tmp_path):
    """DICOM files named after the patient, a line a box, and a second table of three kinds."""
    boxes, kinds = ["patientId,x,y,width,height,Target"], ["patientId,class"]
    for k in range(8):
        put(tmp_path, f"stage_2_train_images/id{k}-ab.dcm")
        boxes += [f"id{k}-ab,1,2,3,4,1"] * 2 if k % 2 else [f"id{k}-ab,,,,,0"]
        kinds += [f"id{k}-ab,{('Normal', 'Lung Opacity', 'No Lung Opacity / Not Normal')[k % 3]}"]
    put(tmp_path, "stage_2_test_images/id9-ab.dcm")
    (tmp_path / "stage_2_train_labels.csv").write_text("\n".join(boxes))
    (tmp_path / "stage_2_detailed_class_info.csv").write_text("\n".join(kinds))
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"0": 4, "1": 4} and rows.person[0] == "id0-ab"
    assert any("does not name them: stage_2_test_images/id9-ab.dcm" in note for note in notes)
    table = "stage_2_detailed_class_info.csv"
    with pytest.raises(DatasetError, match=r"No Lung Opacity \(2\), Not Normal \(2\)"):
        layouts.read(tmp_path, table=table)
    _, rows, _ = layouts.read(tmp_path, table=table, positive="Lung Opacity")
    assert classes(rows) == {"other": 5, "Lung Opacity": 3}


def test_padchest_and_vindr(tmp_path):
    """Labels as a list, folders that are numbers; a line for each box of each reader."""
    lines = ["ImageID,ImageDir,PatientID,Labels,Projection"]
    for k in range(8):
        put(tmp_path / "padchest", f"{k % 3}/{k}_a.png")
        found = ("['normal']", "['nodule', 'cardiomegaly']")[k % 2]
        lines.append(f'{k}_a.png,{k % 3},{k // 2},"{found}",PA')
    (tmp_path / "padchest/labels.csv").write_text("\n".join(lines))
    _, rows, _ = layouts.read(tmp_path / "padchest", positive="nodule", negative="normal")
    assert classes(rows) == {"nodule": 4, "normal": 4} and len(set(rows.person)) == 4
    lines = ["image_id,class_name,class_id,rad_id,x_min"]
    for k in range(6):
        put(tmp_path / "vindr", f"train/{k:032x}.dicom")
        found = ("No finding", "No finding") if k % 2 else ("Aortic enlargement", "Mass")
        lines += [f"{k:032x},{name},1,R{r},{r}" for r, name in enumerate(found)]
    (tmp_path / "vindr/train.csv").write_text("\n".join(lines))
    _, rows, _ = layouts.read(tmp_path / "vindr", positive="Mass")
    assert classes(rows) == {"Mass": 3, "other": 3} and set(rows.split) == {"train"}


def test_mimic(tmp_path):
    """Labels of a study, whose films lie in its folder; the table is compressed."""
    films = ["files/p10/p10000032/s50414267/02aa804e.jpg",
             "files/p10/p10000032/s50414267/174413ec.jpg",
             "files/p10/p10000032/s53189527/2a2277a9.jpg",
             "files/p10/p10000764/s57375967/096052b7.jpg",
             "files/p11/p11000011/s51029426/9b314ad7.jpg"]  # fmt: skip
    put(tmp_path, *films)
    table = {
        "subject_id": [10000032, 10000032, 10000764, 11000011, 12000012],
        "study_id": [50414267, 53189527, 57375967, 51029426, 59999999],
        "Consolidation": ["", "", "1.0", "-1.0", "1.0"],
        "No Finding": ["1.0", "1.0", "", "", ""],
    }
    pd.DataFrame(table).to_csv(tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz", index=False)
    _, rows, notes = layouts.read(tmp_path, positive="Consolidation")
    # The uncertain one is left out.
    assert rows.file.tolist() == films[:4] and rows.label.tolist() == [0, 0, 0, 1]
    assert rows.person.tolist() == ["10000032", "10000032", "10000032", "10000764"]
    assert any("folders in 'study_id'" in note for note in notes)
    assert "1 lines of the table name what is not here, or is here twice: 59999999" in notes


@pytest.mark.parametrize("flat", [False, True])
def test_splits_in_a_table_of_their_own(tmp_path, flat):
    """As MIMIC has them; files in folders of their studies, or all in one."""
    films = pd.DataFrame({"dicom_id": [f"{i:02d}f{i:05d}" for i in range(8)]})
    films["study_id"], films["subject_id"] = films.index // 2 + 500, films.index // 4 + 10
    films["split"] = ["train"] * 4 + ["validate"] * 2 + ["test"] * 2
    for film in films.itertuples():
        below = "" if flat else f"p{film.subject_id}/s{film.study_id}/"
        put(tmp_path, f"files/{below}{film.dicom_id}.jpg")
    labels = films.drop_duplicates("study_id")[["subject_id", "study_id"]]
    labels = labels.assign(Edema=["1.0", "", "1.0", ""])
    labels.to_csv(tmp_path / "mimic-cxr-2.0.0-chexpert.csv", index=False)
    films[["dicom_id", "study_id", "subject_id"]].to_csv(tmp_path / "metadata.csv", index=False)
    films.iloc[::-1].to_csv(tmp_path / "split.csv", index=False)
    _, rows, notes = layouts.read(tmp_path, positive="Edema")
    assert rows.split.tolist() == ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert rows.label.tolist() == [1, 1, 0, 0] * 2
    assert any(note.startswith("splits are in 'split'") for note in notes)
    # A table that lacks a film tells no splits, nor one of something else, whatever is wrong in it.
    films.iloc[1:].to_csv(tmp_path / "split.csv", index=False)
    (tmp_path / "scanners.csv").write_text("scanner,set\nA,train\nB,spare parts\n")
    assert (layouts.read(tmp_path, positive="Edema")[1].split == "").all()


def test_splits_of_people_are_not_those_of_files_of_the_same_numbers(tmp_path):
    put(tmp_path, *(f"{k}.png" for k in range(1, 9)))
    ids = range(1, 9)
    labels = {"file": [f"{k}.png" for k in ids], "label": ["ill", "well"] * 4, "patient": ids[::-1]}
    tables(tmp_path, labels=labels, people={"patient": ids, "split": ["train"] * 4 + ["test"] * 4})
    assert (layouts.read(tmp_path, positive="ill")[1].split == "").all()


@pytest.fixture
def open_i(tmp_path):
    """The films of Indiana University as they are on Kaggle: files in one table, in another what
    the report of each examination says; a column of prose has the name of one of labels."""
    files = [f"{uid}_IM-{uid:04d}-{view}001.dcm.png" for uid in (1, 2, 3, 10) for view in (1, 2)]
    put(tmp_path, *(f"images/images_normalized/{file}" for file in files))
    projections = {
        "uid": [int(file.split("_")[0]) for file in files],
        "filename": files,
        "projection": ["Frontal", "Lateral"] * 4,
    }
    reports = {
        "uid": [1, 2, 3, 10, 11],
        "MeSH": ["normal", "Cardiomegaly/borderline;Pulmonary Artery/enlarged", "normal",
                 "Cardiomegaly/mild", "normal"],
        "Problems": ["normal", "Cardiomegaly;Pulmonary Artery", "normal", "Cardiomegaly", "normal"],
        "findings": ["The size of heart and mediastinum is within normal limits."] * 5,
    }  # fmt: skip
    tables(tmp_path, indiana_projections=projections, indiana_reports=reports)
    return tmp_path


@pytest.mark.parametrize("named", [{}, {"columns": {"label": "Problems"}},
                                   {"table": "indiana_projections.csv"}])  # fmt: skip
def test_files_in_one_table_and_labels_in_another(open_i, named):
    _, rows, notes = layouts.read(open_i, positive="Cardiomegaly", negative="normal", **named)
    assert rows.person.tolist() == ["10", "10", "1", "1", "2", "2", "3", "3"]
    assert rows.label.tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert rows.projection.tolist() == ["Frontal", "Lateral"] * 4
    assert any("joined by 'uid': files in 'filename', labels in 'Problems'" in n for n in notes)


@pytest.fixture
def exams(tmp_path):
    """Six films of six examinations of three people, whose folders bear their names."""
    put(tmp_path, *(f"films/patient{i // 2}/f{i}.png" for i in range(6)))
    images = [f"f{i}.png" for i in range(6)]
    return tmp_path, {"image": images, "exam": range(105, 99, -1)}


ILL = ["ill", "well", "well", "ill", "ill", "well"]


def test_people_are_those_of_the_folders_not_examinations(exams):
    folder, films = exams
    tables(folder, films=films, reports={"exam": range(105, 99, -1), "diagnosis": ILL})
    _, rows, notes = layouts.read(folder, positive="ill")
    assert rows.person.tolist() == ["patient0"] * 2 + ["patient1"] * 2 + ["patient2"] * 2
    assert rows["class"].tolist() == ILL and not any("people are unknown" in n for n in notes)


def test_a_code_that_many_films_share_is_no_person(tmp_path):
    films = {"image": numbered(tmp_path / "films", 20), "code": ["a", "b"] * 10}
    tables(tmp_path, films=films, codes={"code": ["a", "b"], "diagnosis": ["ill", "well"]})
    _, rows, _ = layouts.read(tmp_path, positive="ill")
    odd = rows.file.str.extract(r"(\d+)")[0].astype(int) % 2
    assert rows.label.tolist() == (1 - odd).tolist() and set(rows.person) == {""}


def test_numbers_of_lines_join_nothing(exams):
    """As pandas writes them; here they would give every film a wrong label."""
    folder, films = exams
    turned = {"exam": range(100, 106), "diagnosis": ILL}
    pd.DataFrame(films).to_csv(folder / "films.csv")
    pd.DataFrame(turned).to_csv(folder / "reports.csv")
    _, rows, notes = layouts.read(folder, positive="ill")
    assert rows["class"].tolist() == ILL[::-1] and any("joined by 'exam'" in n for n in notes)
    # Two findings of an examination in two lines: nothing says which film is meant.
    tables(
        folder,
        films={"id": range(10, 16), **films},
        reports={"id": range(10, 17), "exam": [*range(100, 106), 100], "diagnosis": [*ILL, "ill"]},
    )
    with pytest.raises(DatasetError, match="the same 'id' differ in exam; rename"):
        layouts.read(folder, positive="ill")


def test_two_columns_that_do_not_agree_are_named(exams):
    folder, films = exams
    both = {"exam": range(100, 106), "visit": range(200, 206)}
    tables(folder, films=films | {"visit": range(200, 206)}, reports=both | {"diagnosis": ILL})
    with pytest.raises(DatasetError, match="the same 'exam' differ in visit; rename"):
        layouts.read(folder, positive="ill")


def test_a_film_without_a_line_is_left_out_not_healthy(exams):
    folder, films = exams
    reports = {"exam": [105, 103, 102, 101, ""], "Edema": [1, 1, "", "", 1]}
    tables(folder, films=films | {"exam": [105, "", 103, 102, 101, 100]}, reports=reports)
    _, rows, notes = layouts.read(folder, positive="Edema")
    assert rows.set_index("file").label.to_dict() == {
        "films/patient0/f0.png": 1, "films/patient1/f2.png": 1, "films/patient1/f3.png": 0,
        "films/patient2/f4.png": 0,
    }  # fmt: skip
    assert any("f1.png" in note and "f5.png" in note for note in notes)


def test_the_named_table_counts_and_of_two_one_must_be_named(exams):
    folder, films = exams
    old, new = ({"exam": range(105, 99, -1), "diagnosis": each} for each in (ILL, ILL[::-1]))
    tables(folder, films=films, old=old, new={"report": new["diagnosis"], **new})
    with pytest.raises(DatasetError, match="labels may be in films.csv with new.csv"):
        layouts.read(folder, positive="ill")
    for table, said in {"old": ILL, "new": ILL[::-1]}.items():
        _, rows, _ = layouts.read(folder, positive="ill", table=f"{table}.csv")
        assert rows["class"].tolist() == said
    tables(folder, new=new | {"exam": range(500, 506)})
    with pytest.raises(DatasetError, match="expected a table with a column of file names"):
        layouts.read(folder, positive="ill", table="new.csv")


def test_a_number_is_no_file_where_files_are_named(tmp_path):
    put(tmp_path, *(f"films/{i}.png" for i in range(1, 7)))
    tables(
        tmp_path,
        films={"image": [f"{i}.png" for i in range(1, 7)], "exam": [6, 5, 4, 3, 2, 1]},
        reports={"exam": [2, 1, 3, 4, 6, 5], "diagnosis": ILL},
    )
    _, rows, _ = layouts.read(tmp_path, positive="ill")
    said = dict(zip([2, 1, 3, 4, 6, 5], ILL, strict=True))
    assert rows["class"].tolist() == [said[exam] for exam in (6, 5, 4, 3, 2, 1)]


def test_headers_in_any_script(exams):
    folder, films = exams
    tables(folder, films={"图像": films["image"], "检查": films["exam"], "Файл": "x"},
           reports={"检查": films["exam"], "Возраст": 7, "diagnosis": ILL})  # fmt: skip
    assert layouts.read(folder, positive="ill")[1]["class"].tolist() == ILL


def test_a_column_that_is_missing_is_named(open_i):
    for what in ("label", "person", "file"):
        with pytest.raises(DatasetError, match=f"--{what}: expected a column .* got 'who'"):
            layouts.read(open_i, columns={what: "who"})


def test_a_table_of_splits(tmp_path):
    numbered(tmp_path / "films", 6)
    films = {"image": range(6), "finding": ["ill", "well"] * 3}
    splits = ["train", "Train", "validate", "test", "test", "train"]
    tables(tmp_path, table=films | {"split": splits})
    _, rows, _ = layouts.read(tmp_path, positive="ill")
    assert rows.split.tolist() == ["train", "train", "val", "test", "test", "train"]
    for strange in ("excluded", ""):
        splits[4] = strange
        tables(tmp_path, table=films | {"split": splits})
        with pytest.raises(DatasetError, match=rf"line of 'split', found '{strange}' \(1\)"):
            layouts.read(tmp_path, positive="ill")
    twice = {"image": [0, 0, 1, 2], "finding": ["ill", "ill", "well", "ill"]}
    tables(tmp_path, table=twice | {"split": ["train", "test", "train", "test"]})
    with pytest.raises(DatasetError, match="films/0.png in more than one split"):
        layouts.read(tmp_path, positive="ill")
    # What is no split stays a column of the table.
    tables(tmp_path, table=films | {"set": list("abcabc")})
    _, rows, _ = layouts.read(tmp_path, positive="ill")
    assert set(rows.split) == {""} and rows["set"].tolist() == list("abcabc")


def test_a_table_of_people(tmp_path):
    put(tmp_path, "films/anna/1.png", "films/anna/2.png", "films/berta/1.png", "films/cleo/1.png")
    table = {"who": ["Anna", "Berta", "Cleo"], "diagnosis": ["ill", "well", "ill"]}
    tables(tmp_path, people=table)
    _, rows, _ = layouts.read(tmp_path, positive="ill", columns={"person": "who"})
    assert dict(zip(rows.file, rows["class"], strict=True)) == {
        "films/anna/1.png": "ill", "films/anna/2.png": "ill", "films/berta/1.png": "well",
        "films/cleo/1.png": "ill",
    }  # fmt: skip
    assert rows.person.tolist() == ["Anna", "Anna", "Berta", "Cleo"]


def test_covidx(tmp_path):
    """A list without a header, its columns divided by blanks."""
    put(tmp_path, "train/a1.png", "train/a2.png", "train/b1.jpg", "train/c1.png")
    lines = "7 a1.png COVID-19 cohen", "7 a2.png COVID-19 cohen", "8 b1.jpg normal rsna"
    (tmp_path / "train.txt").write_text("\n".join([*lines, "9 c1.png pneumonia rsna"]) + "\n")
    with pytest.raises(
        DatasetError, match=r"1, 2, 3, 4 \('1' says '7', and here is train/a1.png\); name"
    ):
        layouts.read(tmp_path, table="train.txt")
    columns = {"label": "3", "person": "1"}
    _, rows, _ = layouts.read(tmp_path, table="train.txt", columns=columns, positive="COVID-19")
    assert rows.label.tolist() == [1, 1, 0, 0] and rows.person.tolist() == ["7", "7", "8", "9"]
    assert rows.split.tolist() == ["train"] * 4


def test_a_table_of_ones_own(tmp_path):
    put(tmp_path / "films", *(f"{k}.png" for k in range(4)))
    table = tmp_path / "ward.csv"
    table.write_text("scan;what;whose\n0.png;ill;Ann\n1.png;well;Bob\n2.png;ill;Ann\n3.png;;Cem\n")
    columns = {"file": "scan", "label": "what", "person": "whose"}
    _, rows, notes = layouts.read(tmp_path / "films", table=table, columns=columns, positive="ill")
    assert people(rows) == {"0.png": "Ann", "1.png": "Bob", "2.png": "Ann"}
    assert any("for certain: 1 images" in note for note in notes)
    with pytest.raises(DatasetError, match="--label: expected a column of the table.*got 'ill'"):
        layouts.read(tmp_path / "films", table=table, columns={"label": "ill"})
    with pytest.raises(
        DatasetError, match="'scan' says '0.png', and here is 0.png.; name them: --file COLUMN"
    ):
        layouts.read(tmp_path / "films", table=table)
    with pytest.raises(DatasetError, match="no.csv: expected a CSV table"):
        layouts.read(tmp_path / "films", table="no.csv")


def test_columns_of_the_manifests_own_names(tmp_path):
    numbered(tmp_path, 4)
    (tmp_path / "t.csv").write_text(
        "file,Finding Labels,labels,who,person,patient,doubt,bits,AP/PA,ap_pa\n"
        "0.png,ill,x,Ann,1,2,why,7,AP,1\n1.png,normal,x,Bob,1,2,why,7,PA,2\n"
        "2.png,ill,x,Ann,1,2,why,7,AP,3\n3.png,normal,x,Cem,1,2,why,7,PA,4\n"
    )
    _, rows, _ = layouts.read(tmp_path, columns={"person": "who"})
    assert rows.person.tolist() == ["Ann", "Bob", "Ann", "Cem"] and rows.label.sum() == 2
    assert sorted(set(rows) - {"file", "label", "class", "split", "person"}) == ["ap pa"]


def test_lists_of_files_are_splits(nih):
    for name, start in (("train_val_list.txt", 1), ("test_list.txt", 9)):
        films = [f"{k:08d}_000.png" for k in range(start, 9 if start == 1 else 14)]
        (nih / name).write_text("\n".join(films) + "\n")
    _, rows, notes = layouts.read(nih, positive="Mass")
    assert rows.split.tolist() == ["train"] * 8 + ["test"] * 4
    assert "splits are in the lists test_list.txt, train_val_list.txt" in notes
    (nih / "test_list.txt").write_text("00000009_000.png\n")  # which split has the others?
    assert set(layouts.read(nih, positive="Mass")[1].split) == {""}


@pytest.mark.parametrize("text", ["", 'we trained, on Monday,\nwith "one, two\na, b, c, d\n'])
def test_a_text_that_is_called_by_a_split_and_is_no_list(tmp_path, text):
    put(tmp_path, *(f"{name}/{name}{k}.png" for name in ("ill", "normal") for k in range(3)))
    (tmp_path / "training_notes.txt").write_text(text)
    _, rows, notes = layouts.read(tmp_path)
    assert len(rows) == 6 and set(rows.split) == {""}
    assert "left out, no images: training_notes.txt" in notes


def test_leading_zeros_that_a_program_took_away(tmp_path):
    put(tmp_path, *(f"films/{k:04d}.png" for k in (7, 12, 30)))
    table = tmp_path / "t.csv"
    table.write_text("film,label,beds\n7,ill,1\n12,normal,2\n30,ill,2\n")
    _, rows, _ = layouts.read(tmp_path)
    assert dict(zip(rows.file, rows.label, strict=True)) == {
        "films/0007.png": 1, "films/0012.png": 0, "films/0030.png": 1
    }  # fmt: skip
    for column in ("7\n12\n31", "7\n12\n12"):  # not each is a film, or not each another
        lines = zip(column.split(), ("ill", "normal", "ill"), strict=True)
        table.write_text("film,label\n" + "\n".join(map(",".join, lines)))
        with pytest.raises(DatasetError, match="names are here|labels may be in"):
            layouts.read(tmp_path)


def test_a_table_of_folders_without_header(tmp_path):
    for k in range(5):
        put(tmp_path, *(f"{1001 + k}/ST-{side}/film.png" for side in (1, 2)))
    (tmp_path / "labels.csv").write_text("1001,1\n1002,0\n1003,1\n1004,0\n1005,0\n")
    _, rows, _ = layouts.read(tmp_path, table="labels.csv", columns={"label": "2"})
    assert len(rows) == 10 and rows.label[rows.file.str.startswith("1001/")].tolist() == [1, 1]
    assert set(rows["class"]) == {"0", "1"}
    assert rows.person.tolist() == [str(1001 + k // 2) for k in range(10)]  # kept together


@pytest.mark.parametrize(
    ("header", "number", "named"),
    [("image,label\n", 5, True), ("", 4, False), ("image.png,normal\n", 5, False)],
)
def test_a_header_is_told_from_a_films_line(tmp_path, header, number, named):
    put(tmp_path / "films", "image.png", *(f"{k}.png" for k in range(4)))
    lines = "0,ill\n1,normal\n2,ill\n3,normal\n" + "image,ill\n" * named
    (tmp_path / "films" / "t.csv").write_text(header + lines)
    columns = {} if named else {"file": "1", "label": "2"}
    _, rows, _ = layouts.read(tmp_path / "films", table="t.csv", columns=columns)
    assert len(rows) == number and classes(rows).keys() == {"ill", "normal"}


@pytest.mark.parametrize(
    "encoding, content",
    [
        ("utf-8-sig", "image,label\n{0}.png,ill\n{1}.png,normal\n"),
        ("utf-16", "image,label\n{0}.png,ill\n{1}.png,normal\n"),
        ("cp1252", "image;label;Größe, cm\n{0}.png;ill;1,5\n{1}.png;normal;1,7\n"),
        ("utf-8", "image|label\n{0}.png|ill\n{1}.png|normal\n"),
        ("utf-8", "\n# made by hand\n\nno, image, label\n1, {0}, ill\n0, {1}, normal\n"),
        ("utf-8", "image,label\r\nC:\\old\\{0}.dcm,ill\r\nC:\\old\\{1}.dcm,normal\r\n"),
        ("utf-8", "image,label\n{0}.png,ill\n{1}.png,normal\n2.png,NaN\n3.png,N/A\n4.png,?\n"),
    ],
    ids=["BOM", "UTF-16", "semicolons", "bars", "blanks", "another format", "missing"],
)
def test_tables_as_programs_write_them(tmp_path, encoding, content):
    # An a with its dots beside it, as one system keeps it.
    put(tmp_path / "images", "a\u0308b.png", "film 2.png", "2.png", "3.png", "4.png")
    (tmp_path / "T.CSV").write_bytes(content.format("\xe4b", "film 2").encode(encoding))
    (tmp_path / "empty.csv").write_bytes(b"\n")
    _, rows, _ = layouts.read(tmp_path, positive="ill")
    assert dict(zip(rows.file, rows["class"], strict=True)) == {
        "images/a\u0308b.png": "ill", "images/film 2.png": "normal"
    }  # fmt: skip


def test_numbers_of_lines_are_no_films(tmp_path):
    numbered(tmp_path, 8)
    order = [3, 1, 0, 2, 7, 6, 5, 4]
    lines = [f"{i},{k}.png,{'ill' if k % 2 else 'normal'}" for i, k in enumerate(order)]
    (tmp_path / "t.csv").write_text("no,image,label\n" + "\n".join(lines[:6]))
    _, rows, _ = layouts.read(tmp_path)
    assert [int(file[0]) % 2 for file in rows.file] == rows.label.tolist() and len(rows) == 6
    (tmp_path / "t.csv").write_text("no,image,label\n" + "\n".join(lines).replace(".png", ""))
    with pytest.raises(DatasetError, match="'no' and 'image' both do.*--file COLUMN"):
        layouts.read(tmp_path)
    _, again, _ = layouts.read(tmp_path, columns={"file": "image"})
    assert [int(file[0]) % 2 for file in again.file] == again.label.tolist()


def test_a_form_and_a_second_opinion_are_no_labels(tmp_path):
    put(tmp_path, *(f"train/{k}.png" for k in range(6)), *(f"test/{k}.png" for k in range(6, 20)))
    tables(tmp_path, labels={"id": range(6), "target": [0, 1] * 3})
    tables(tmp_path, sample={"id": range(6, 20), "target": 0})
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"0": 3, "1": 3} and set(rows.split) == {"train"}
    assert any("labels.csv" in note for note in notes)
    for file, label in (("id", "target"), ("file", "label")):
        tables(tmp_path, sample={file: [1, 2, 3, 4, 5, 0], label: [1, 0, 1, 0, 1, 1]})
        with pytest.raises(DatasetError, match="different things of 1 images, such as train/0.png"):
            layouts.read(tmp_path)
        assert len(layouts.read(tmp_path, table="labels.csv")[1]) == 6


def test_tables_that_go_on_in_another(tmp_path):
    films = pd.DataFrame({"image": numbered(tmp_path, 12), "label": ["normal", "ill"] * 6})
    films["patient"], films["set"] = films.index // 2, ["TRAIN"] * 6 + ["TEST"] * 6
    b = films[6:9].astype({"patient": float})[["patient", "image", "set", "label"]]
    tables(tmp_path, a=films[:6], b=b, c=films[9:][["image", "label"]])
    _, rows, notes = layouts.read(tmp_path)
    assert len(rows) == 12 and rows.split.tolist().count("train") == 6
    assert people(rows)["7.png"] == "3" and people(rows)["11.png"] == ""
    assert any("a.csv and b.csv have equal columns" in note for note in notes)
    assert "3 more are from the table c.csv" in notes


def test_a_film_of_the_same_name_is_another(tmp_path):
    put(tmp_path, *(f"patient{p}/study1/view.jpg" for p in range(1, 5)), "patient5/study2/view.jpg")
    lines = [(f"train/patient{p}/study{s}/view.jpg", ("normal", "ill")[p % 2])
             for p in (1, 2, 3, 4, 6, 7) for s in (1, 2)]  # fmt: skip
    tables(tmp_path, t=pd.DataFrame(lines, columns=["path", "label"]))
    _, rows, notes = layouts.read(tmp_path)
    assert rows.label.tolist() == [1, 0, 1, 0]  # study2 of the others is not patient5's
    assert any("8 lines of the table name what is not here, or" in note for note in notes)


def test_folders_win_over_a_table_only_where_they_tell(tmp_path):
    put(tmp_path, *(f"{'frontal' if k < 5 else 'lateral'}/{k}.png" for k in range(8)))
    tables(tmp_path, t={"image": [f"{k}.png" for k in range(8)], "label": ["normal", "ill"] * 4})
    assert classes(layouts.read(tmp_path)[1]) == {"ill": 4, "normal": 4}
    (tmp_path / "lateral").rename(tmp_path / "other")
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"frontal": 5, "other": 3}
    assert "labels are from folders; t.csv has some, too: --table t.csv" in notes


def test_a_split_of_another_name_and_what_lies_beside(tmp_path):
    put(tmp_path, "set/LICENSE", *(f"set/{split}/{name}/{k}.png" for k in range(2)
                                  for split in ("train", "external_test", "unseen")
                                  for name in ("normal", "ill")))  # fmt: skip
    _, rows, notes = layouts.read(tmp_path / "set")
    assert classes(rows) == {"normal": 6, "ill": 6}
    assert rows.split.value_counts().to_dict() == {"train": 4, "test": 4, "": 4}
    assert "left out, for they are in no class's folder: LICENSE" in notes


def test_masks_in_a_set_that_is_called_by_them(tmp_path):
    put(tmp_path, *(f"Infection Segmentation Data/{name}/{kind}/{k}.png" for k in range(3)
                    for name in ("COVID-19", "Normal") for kind in ("images", "lung masks")),
        "Infection Segmentation Data/Normal/images/0_left_mask.png",
        "Infection Segmentation Data/Normal/gt/0.png")  # fmt: skip
    for folder in (tmp_path, tmp_path / "Infection Segmentation Data"):
        _, rows, _ = layouts.read(folder)
        assert classes(rows) == {"COVID-19": 3, "Normal": 3}


@pytest.mark.parametrize(
    "content, encoding",
    [
        ("文件名,诊断,患者编号\n1.jpg,肺炎,7\n2.jpg,正常,8\n", "gbk"),
        ("Файл;Диагноз;Кто\n1.jpg;пневмония;7\n2.jpg;норма;8\n", "cp1251"),
        ("Bild;Größe;Patient\n1.jpg;groß;7\n2.jpg;klein;8\n", "cp1252"),
        ("film;°C ±1;qui\n1.jpg;5 €;7\n2.jpg;d’accord;8\n", "cp1252"),
    ],
)
def test_a_table_in_the_writing_of_its_land(tmp_path, content, encoding):
    put(tmp_path, "1.jpg", "2.jpg")
    (tmp_path / "t.csv").write_bytes(content.encode(encoding))
    lines = [line.replace(";", ",").split(",") for line in content.splitlines()]
    columns = dict(zip(("file", "label", "person"), lines[0], strict=True))
    _, rows, _ = layouts.read(tmp_path, columns=columns, positive=lines[1][1])
    assert rows["class"].tolist() == [lines[1][1], lines[2][1]]
    assert rows.person.tolist() == ["7", "8"]


def test_what_an_archive_has_in_a_folder_of_its_own(tmp_path, nih):
    (tmp_path / "archive").mkdir()
    for path in list(nih.iterdir()):
        if path.name != "archive":
            path.rename(tmp_path / "archive" / path.name)
    for name, start, end in (("train_val_list.txt", 1, 9), ("test_list.txt", 9, 13)):
        lines = "\n".join(f"{k:08d}_000.png" for k in range(start, end))
        (tmp_path / "archive" / name).write_text(lines)
    (tmp_path / "readme.txt").write_text("No table and no list\n")
    _, rows, notes = layouts.read(tmp_path, positive="Mass")
    assert classes(rows) == {"Mass": 6, "other": 6} and len(set(rows.person)) == 7
    assert rows.split.tolist() == ["train"] * 8 + ["test"] * 4
    table = "archive/Data_Entry_2017.csv"
    assert any(f"the table {table}:" in note for note in notes)
    assert classes(layouts.read(tmp_path, table=table, positive="Mass")[1]) == classes(rows)


def test_a_table_names_the_films_beside_it(tmp_path):
    for split, count in (("train", 8), ("test", 4)):
        films = numbered(tmp_path / split, count)
        said = ["ill", "normal"] if split == "train" else ["normal", "ill"]
        columns = {"film": films, "label": said * (count // 2), "Case_ID": np.arange(count) // 2}
        tables(tmp_path / split, labels=columns)
    _, rows, notes = layouts.read(tmp_path)
    assert rows.label.tolist() == [0, 1] * 2 + [1, 0] * 4 and rows.person.nunique() == 4
    assert rows.split.value_counts().to_dict() == {"train": 8, "test": 4}


def test_two_opinions_of_studies(tmp_path):
    """MIMIC has the findings of two programs, in tables of equal columns."""
    put(tmp_path, *(f"p{k // 4}/s{500 + k // 2}/{k:02d}-ab.jpg" for k in range(16)))
    of = {"subject_id": [k // 2 for k in range(8)], "study_id": range(500, 508)}
    said = {"chexpert": ["1.0", "0.0", "-1.0", ""] * 2, "negbio": ["1.0", "0.0", "0.0", ""] * 2}
    tables(tmp_path, **{name: of | {"Edema": each} for name, each in said.items()})
    with pytest.raises(DatasetError, match="different things of 4 images.*--table FILE.csv"):
        layouts.read(tmp_path)
    _, rows, _ = layouts.read(tmp_path, table="chexpert.csv")
    assert classes(rows) == {"other": 8, "Edema": 4} and rows.person.nunique() == 4


@pytest.mark.parametrize(
    "header", ["Patient No", "patient_number", "participant_id", "PersonID", "Case-ID", "pt_id"]
)
def test_headers_of_people_and_numbers_as_a_spreadsheet_writes_them(tmp_path, header):
    numbered(tmp_path, 8)
    lines = [f"{k},0;{k % 2},0;{k // 2},0;{k},5;control" for k in range(8)]
    text = "\n".join([f"image;target;{header};age;case", *lines, ";;;;", ";;;;"])
    (tmp_path / "t.csv").write_text(text)
    _, rows, notes = layouts.read(tmp_path)
    assert rows.label.tolist() == [0, 1] * 4 and rows.age[1] == "1,5"
    assert rows.person.tolist() == [str(k // 2) for k in range(8)]
    assert not any("not here" in note for note in notes)


def test_lists_with_labels_are_tables(tmp_path):
    """COVIDx: a list without a header for each split."""
    for name, films in (("train", range(8)), ("test", range(8, 12))):
        put(tmp_path, *(f"{name}/f{k}.png" for k in films))
        lines = [f"{k // 2} f{k}.png {('positive', 'negative')[k % 2]} cohen" for k in films]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines))
    with pytest.raises(DatasetError, match="in test.txt: name the columns, --file COLUMN --label"):
        layouts.read(tmp_path)
    _, rows, notes = layouts.read(tmp_path, columns={"file": "2", "label": "3", "person": "1"})
    assert classes(rows) == {"positive": 6, "negative": 6} and rows.person.nunique() == 6
    assert rows.split.value_counts().to_dict() == {"train": 8, "test": 4}
    assert not any("does not name" in note for note in notes)


def test_what_two_tables_name_is_not_left_out(tmp_path):
    """VinDr-CXR: tables of other columns, in a folder beside the films."""
    put(tmp_path, *(f"{'train' if k < 6 else 'test'}/f{k}.dicom" for k in range(10)))
    (tmp_path / "annotations").mkdir()
    films = pd.DataFrame({"image_id": [f"f{k}" for k in range(9)], "Pneumonia": [0, 1] * 4 + [0]})
    tables(tmp_path / "annotations", train=films[:6].assign(rad_id="R1"), test=films[6:])
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"other": 5, "Pneumonia": 4} and set(rows.split) == {"train", "test"}
    assert "left out, for the table does not name them: test/f9.dicom" in notes


def test_an_uncertain_finding_is_no_class(tmp_path):
    columns = {"image": numbered(tmp_path, 8), "Edema": ["1", "0", "-1", ""] * 2}
    tables(tmp_path, t=columns)
    _, rows, notes = layouts.read(tmp_path)  # one finding, which is there or not
    assert classes(rows) == {"other": 4, "Edema": 2} and any("2 images" in n for n in notes)
    tables(tmp_path, t=columns | {"Mass": ["0", "1", "-1", "0"] * 2})
    with pytest.raises(DatasetError, match=r"found 2: Edema \(2\), Mass \(2\);|cannot: add"):
        layouts.read(tmp_path)
    _, _, notes = layouts.read(tmp_path, positive="Edema")
    assert not any("or not" in note for note in notes)
    tables(tmp_path, t={"image": columns["image"], "Edema": [1, -1] * 4})
    with pytest.raises(DatasetError, match="found only of one, and 4 that are.*--label COLUMN"):
        layouts.read(tmp_path)
    _, rows, _ = layouts.read(tmp_path, columns={"label": "Edema"}, positive="1")
    assert classes(rows) == {"1": 4, "-1": 4}


@pytest.mark.parametrize("ill, well", [("TRUE", "FALSE"), ("Y", "N"), ("Yes", "No"), ("1", "0")])
def test_words_for_yes_and_no(tmp_path, ill, well):
    tables(tmp_path, t={"image": numbered(tmp_path, 4), "label": [ill, well] * 2})
    assert layouts.read(tmp_path)[1].label.tolist() == [1, 0, 1, 0]


def test_names_that_differ_in_capitals_are_named_and_no_others(tmp_path):
    names = [f"finding {k}" for k in range(58)] + ["Mass", "mass"]
    tables(tmp_path, t={"image": numbered(tmp_path, 60), "label": names})
    with pytest.raises(DatasetError, match="nobody confuses, found 'Mass', 'mass'; rename"):
        layouts.read(tmp_path, positive="finding 1")


@pytest.mark.parametrize(
    "train, test",
    [("hand_train/{}", "hand_test/{}"), ("{}_train", "{}_test"), ("TrainSet/{}", "TestSet/{}"),
     ("trainset/{}", "testset/{}"), ("XR_HAND-train/{}", "XR_HAND-test/{}")],
)  # fmt: skip
def test_a_split_within_names_of_folders(tmp_path, train, test):
    for name, count in (("normal", 2), ("ill", 3)):
        put(tmp_path, *(f"{s.format(name)}/{k}.png" for s in (train, test) for k in range(count)))
    _, rows, _ = layouts.read(tmp_path)
    assert classes(rows) == {"normal": 4, "ill": 6} and set(rows.person) == {""}
    assert rows.split.value_counts().to_dict() == {"train": 5, "test": 5}


def test_a_class_of_the_sets_own_name(tmp_path):
    put(tmp_path, *(f"COVID/{name}/{k}.png" for name in ("COVID", "Normal") for k in range(2)))
    for folder in (tmp_path, tmp_path / "COVID"):
        assert classes(layouts.read(folder)[1]) == {"COVID": 2, "Normal": 2}


def test_classes_below_what_is_no_class_and_films_beside_them(tmp_path):
    """COVID-QU-Ex has its classes twice; TBX11K has films without a class beside the folders."""
    put(tmp_path, *(f"{part}/{part}/Train/{name}/images/{k}.png" for k in range(2)
                    for part in ("Lung Segmentation Data", "Infection Segmentation Data")
                    for name in ("COVID-19", "Non-COVID", "Normal")))  # fmt: skip
    _, rows, _ = layouts.read(tmp_path, positive="COVID-19", negative="Normal")
    assert classes(rows) == {"COVID-19": 4, "Normal": 4}
    tb = tmp_path / "Train"  # a name that says nothing
    put(tb, *(f"TBX11K/imgs/{name}/{k}.png" for name in ("health", "sick", "tb") for k in (1, 2)))
    put(tb, "TBX11K/imgs/test/3.png", "TBX11K/imgs/tb/DICOMDIR", "TBX11K/imgs/tb/Icon\r")
    _, rows, notes = layouts.read(tb, positive="tb")
    assert classes(rows) == {"tb": 2, "other": 4}
    assert "left out, for they are in no class's folder: TBX11K/imgs/test/3.png" in notes


def test_people_where_names_have_the_labels(tmp_path):
    put(tmp_path, *(f"films/patient{k // 2}/{k}_{k % 2}.png" for k in range(6)))
    _, rows, _ = layouts.read(tmp_path, label=r"_(\d)$")
    assert rows.person.tolist() == ["patient0"] * 2 + ["patient1"] * 2 + ["patient2"] * 2


def test_one_film_under_two_names_of_classes(tmp_path):
    films = numbered(tmp_path, 6)
    said = {"image": [*films, "0.png"], "label": ["ill", "normal"] * 3 + ["normal"]}
    tables(tmp_path, t=said)
    for positive in (None, "ill"):
        _, rows, notes = layouts.read(tmp_path, positive=positive)
        assert classes(rows) == {"ill": 2, "normal": 3} and "0.png" not in set(rows.file)
    said["label"][0] = "ill|infiltrate"  # a further finding, however, may stand beside it
    tables(tmp_path, t={name: each[:6] for name, each in said.items()})
    assert classes(layouts.read(tmp_path, positive="ill")[1]) == {"ill": 3, "other": 3}


def test_where_nothing_is_said_is_not_no_finding(tmp_path):
    """CheXpert: neither 1 for the finding nor for "No Finding"."""
    finding = {"Edema": ["1", "0", ""] * 2, "No Finding": ["", "", "1"] * 2}
    tables(tmp_path, t={"image": numbered(tmp_path, 6), **finding})
    assert classes(layouts.read(tmp_path, positive="Edema")[1]) == {"Edema": 2, "other": 4}
    _, rows, _ = layouts.read(tmp_path, positive="Edema", negative="No Finding")
    assert classes(rows) == {"Edema": 2, "No Finding": 2}


def test_a_film_that_is_here_twice_is_said_to_be(tmp_path):
    put(tmp_path, *(f"{folder}/{k}.png" for folder in ("large", "small") for k in range(4)))
    tables(tmp_path, t={"image": [f"{k}.png" for k in range(4)], "label": ["ill", "normal"] * 2})
    with pytest.raises(DatasetError, match="'0.png', and more than one file here has that name"):
        layouts.read(tmp_path, table="t.csv")
    put(tmp_path, "large/4.png", "small/5.png")
    tables(tmp_path, t={"image": [f"{k}.png" for k in range(6)], "label": ["ill", "normal"] * 3})
    _, rows, notes = layouts.read(tmp_path, table="t.csv")
    assert len(rows) == 2 and any("not here, or is here twice: 0.png" in note for note in notes)


def test_a_table_for_each_split(tmp_path):
    images = numbered(tmp_path / "images", 12)
    films = pd.DataFrame({"image": images, "label": ["ill", "normal"] * 6})
    tables(tmp_path, train=films[:6], val=films[6:9], test=films[9:])
    _, rows, notes = layouts.read(tmp_path)
    assert rows.split.value_counts().to_dict() == {"train": 6, "val": 3, "test": 3}
    assert "splits are in the lists test.csv, train.csv, val.csv" in notes
    for name in ("val", "test"):
        (tmp_path / f"{name}.csv").unlink()
    assert set(layouts.read(tmp_path)[1].split) == {""}


def test_people_and_splits_that_folders_do_not_tell(tmp_path):
    films = [f"{name}/{name}{k}.png" for name in ("ill", "normal") for k in range(4)]
    put(tmp_path, *films)
    tables(tmp_path, people={"image": films, "Patient ID": [k // 2 for k in range(8)]})
    for name, ends in (("train", "01"), ("test", "23")):
        (tmp_path / f"{name}.txt").write_text("\n".join(f for f in films if f[-5] in ends))
    _, rows, notes = layouts.read(tmp_path)
    assert classes(rows) == {"ill": 4, "normal": 4}
    assert rows.person.tolist() == [str(k // 2) for k in range(8)]
    assert rows.split.tolist() == ["train", "train", "test", "test"] * 2
    assert "people are in 'Patient ID' of the table people.csv" in notes


def test_sites_above_more_than_two_classes(tmp_path):
    put(tmp_path, *(f"{site}/{name}/{k}.png" for k in range(12)
                    for site, others in (("Bern", ("TB",)), ("Ulm", ("flu",)))
                    for name in ("normal", *others)))  # fmt: skip
    with pytest.raises(DatasetError, match=r"found 3: normal \(24\), TB \(12\), flu \(12\)"):
        layouts.read(tmp_path)


@pytest.mark.parametrize(
    "words", [("Training set", "Test set"), ("train_data", "TESTSET "), ("Train", "TEST")]
)
@pytest.mark.parametrize("header", ["Split", "use", "Dataset_type"])
def test_splits_in_other_words_and_under_any_name(tmp_path, words, header):
    numbered(tmp_path, 4)
    columns = {"image": [f"{k}.webp" for k in range(4)], "label": [1, 0] * 2}
    tables(tmp_path, t=columns | {header: [words[0]] * 2 + [words[1]] * 2})
    assert layouts.read(tmp_path)[1].split.tolist() == ["train", "train", "test", "test"]


def test_what_is_wrong_with_the_only_table_is_said(tmp_path):
    numbered(tmp_path, 4)
    (tmp_path / "t.csv").write_text("image,label\n0.png,ill\n1.png,a,b\n")
    for columns in ({}, {"file": "image", "label": "label"}):
        with pytest.raises(DatasetError, match="t.csv: expected a CSV table .*line 3.*save it"):
            layouts.read(tmp_path, columns=columns)
    for label, found in (("", "none"), ("ill", "ill")):
        (tmp_path / "t.csv").write_text(f"image,label\n0.png,{label}\n1.png,{label}\n")
        with pytest.raises(DatasetError, match=rf"two classes, found {found}.*--label COLUMN"):
            layouts.read(tmp_path)
    (tmp_path / "t.csv").write_text("sep=;\nimage;label;x\n0.png;ill;,\n1.png;normal;,\n")
    assert classes(layouts.read(tmp_path)[1]) == {"ill": 1, "normal": 1}


def test_nothing_but_what_is_packed(tmp_path):
    put(tmp_path, "chestmnist.npz", "films.zip")
    with pytest.raises(DatasetError, match="found only chestmnist.npz, films.zip; unpack"):
        layouts.read(tmp_path)


def test_a_message_stays_short(tmp_path):
    put(tmp_path, *(f"patient{k:05d}/study1/view1.jpg" for k in range(3000)))
    with pytest.raises(DatasetError, match="look like people, not like classes.*--table") as error:
        layouts.read(tmp_path)
    assert len(str(error.value)) < 500


# Arrays


def test_medmnist(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 20), ("val", 6), ("test", 6)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n)[:, None] % 2
    np.savez(tmp_path / "pneumoniamnist.npz", **arrays)
    folder, rows, _ = layouts.read(tmp_path / "pneumoniamnist.npz")
    assert folder == tmp_path / "pneumoniamnist" and classes(rows) == {"0": 16, "1": 16}
    assert rows.groupby("split").size().to_dict() == {"test": 6, "train": 20, "val": 6}
    pixels = np.asarray(Image.open(folder / "train/000003.png"))
    np.testing.assert_array_equal(pixels, arrays["train_images"][3])
    several = {f"{s}_labels": rng.integers(0, 2, (len(arrays[f"{s}_labels"]), 14))
               for s in ("train", "val", "test")}  # fmt: skip
    np.savez(tmp_path / "chestmnist.npz", **arrays | several)
    _, rows, _ = layouts.read(tmp_path / "chestmnist.npz", positive="3")
    assert rows.label.sum() == sum(labels[:, 3].sum() for labels in several.values())
    for x in (arrays["train_images"] / 255, arrays["train_images"][:5]):
        np.savez(tmp_path / "wrong.npz", train_images=x, train_labels=arrays["train_labels"])
        with pytest.raises(DatasetError, match="train_images: expected uint8"):
            layouts.read(tmp_path / "wrong.npz")
        assert sorted(p.name for p in tmp_path.iterdir() if "wrong" in p.name) == ["wrong.npz"]
    (tmp_path / "no.npz").write_bytes(b"PK")
    with pytest.raises(DatasetError, match="expected an .npz file"):
        layouts.read(tmp_path / "no.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(DatasetError, match="train_images, train_labels and so on, found a"):
        layouts.read(tmp_path / "other.npz")


@pytest.mark.parametrize("words", [["ill", "normal"], [b"ill", b"normal"]])
def test_arrays_under_names_with_capitals(tmp_path, words):
    x, y = np.zeros((4, 8, 8), np.uint8), np.array(words * 2)
    np.savez(tmp_path / "set.npz", X_train=x, y_train=y, X_test=x, Y_test=y)
    with pytest.raises(DatasetError, match="no --table, --file or --label"):
        layouts.read(tmp_path / "set.npz", label="x")
    (tmp_path / "set.npz").rename(tmp_path / "SET.NPZ")
    _, rows, notes = layouts.read(tmp_path / "SET.NPZ")
    assert classes(rows) == {"ill": 4, "normal": 4} and set(rows.split) == {"train", "test"}
    assert any(note.startswith("class 1 is 'ill'") for note in notes)
    np.savez(tmp_path / "objects.npz", x=x, y=y.astype(object))
    with pytest.raises(DatasetError, match="save its arrays anew.*as numbers or str"):
        layouts.read(tmp_path / "objects.npz")


def test_arrays_that_changed_are_not_those_unpacked(tmp_path):
    path, x = tmp_path / "set.npz", np.zeros((4, 8, 8), np.uint8)
    arrays = {"x_train": x, "y_train": np.array([0, 1, 0, 1]), "x_test": x[:0]}
    np.savez(path, **arrays, y_test=np.zeros((0, 1), int))  # a part may be empty
    for _ in range(2):  # what is there already is used
        folder, rows, _ = layouts.read(path)
    assert len(rows) == 4
    np.savez(path, x_train=x + 9, y_train=arrays["y_train"])
    with pytest.raises(DatasetError, match="all of what set.npz now has; move it away"):
        layouts.read(path)
    folder.rename(tmp_path / "old")
    layouts.read(path)
    assert np.asarray(Image.open(folder / "train/000000.png")).max() == 9


def test_arrays_of_several_findings_and_other_names(tmp_path):
    x, findings = np.zeros((6, 8, 8), np.uint8), np.array([[1, 0], [0, 1], [-1, 0], [0, 0]] * 2)[:6]
    arrays = {"x_train": x, "y_train": findings, "x_valid": x, "y_valid": findings, "ages": x}
    np.savez(tmp_path / "set.npz", **arrays)
    _, rows, notes = layouts.read(tmp_path / "set.npz", positive="0")
    assert rows.label.sum() == 4 and len(rows) == 10  # -1 is neither
    assert set(rows.split) == {"train", "val"}
    assert any("images nor labels: ages" in note for note in notes)
    wrong = {"y_train": findings + 3}, {"y_train": np.array(1)}, {"y_train": np.array([None] * 6)}
    for k, change in enumerate(wrong):
        np.savez(tmp_path / f"{k}.npz", x_train=x, **change)
        with pytest.raises(DatasetError, match=rf"{k}.npz: (y_train: )?expected"):
            layouts.read(tmp_path / f"{k}.npz")
    np.save(tmp_path / "one.npy", x)
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(DatasetError, match="expected an .npz file"):
        layouts.read(tmp_path / "one.npz")
