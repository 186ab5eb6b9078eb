"""The pages that are written from executed chapters, apart from the ledger's."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results/measured.json"
sys.path.insert(0, str(ROOT / "book/_pages"))
import scale_page  # noqa: E402

from tests.script import script  # noqa: E402


def picture(name):
    """An executed cell with a figure."""
    output = new_output("display_data", {"image/svg+xml": f"<svg>{name}</svg>"})
    return new_code_cell("figure", outputs=[output], metadata={"tags": ["hide-input"]})


def write_run(
    folder, name="01_one", title="# One", seconds=75.3, graphics=(), look="real", dataset="xray75"
):
    run = json.loads(RESULTS.read_text())["provenance"]
    run |= {"seconds": seconds, "graphics": list(graphics), "system": "Linux x86_64"}
    cells = [new_markdown_cell(title), picture(f"{look} plot"), picture(f"{look} film")]
    cells[2].metadata["tags"].append("films")
    figure = {"caption": "Two films.\n", "name": "fig-films"}
    cells[2].metadata["mystnb"] = {"figure": figure}
    for number, cell in enumerate(cells):
        cell["id"] = str(number)
    parameters = {"dataset": dataset, "seed": 0}
    metadata = {"xraylib": run, "papermill": {"parameters": parameters}}
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / f"{name}.ipynb")


def write_pages(run, *options, results=RESULTS):
    return script(ROOT / "book/_pages/write.py", run, results, run / "pages", *options)


def test_a_page_says_what_it_took(tmp_path):
    write_run(tmp_path, seconds=75.3)
    write_run(tmp_path, "02_two", seconds=754, graphics=["NVIDIA H100"])
    assert write_pages(tmp_path).returncode == 0
    first = nbformat.read(tmp_path / "pages/01_one.ipynb", 4).cells[0].source
    second = nbformat.read(tmp_path / "pages/02_two.ipynb", 4).cells[0].source
    assert "runs in 75 s" in first and "2 cores, no graphics card" in first
    assert "runs in 13 min" in second and "2 cores, NVIDIA H100" in second
    about = (tmp_path / "pages/about.md").read_text()
    assert "all of them took 14 min" in about and "| [](./02_two) | 13 min |" in about
    assert "| `xray75` | 75 files | `" in about


def write_results(folder, reproduced=None):
    """The results beside a report of a second measurement, or without one."""
    folder.mkdir()
    (folder / "measured.json").write_text(RESULTS.read_text())
    if reproduced:
        (folder / "reproduced.json").write_text(json.dumps(reproduced))
    return folder / "measured.json"


def reproduced(differences=(), **published):
    provenance = json.loads(RESULTS.read_text())["provenance"]
    none = {"agree": 0, "differ": 0, "not measured": 0, "not compared": 0}
    return {
        "provenance": provenance
        | {"profile": "reproduce", "date": "2026-12-24", "commit": "new0001"}
        | {"cores": 4, "seconds": {"02_data": 40, "05_evaluation": 500}}
        | {"rounding": {"TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}}
        | {"parameters": {"seed": 1000}},
        "published": {key: provenance[key] for key in ("profile", "date", "commit")} | published,
        "counts": {
            "exact": none | {"agree": 50, "not measured": 12},
            "spread": none | {"agree": 30, "differ": len(differences)},
            "timing": none | {"not compared": 7},
        },
        "differences": list(differences),
    }


def about(tmp_path, *report):
    """What the page says of a second measurement."""
    write_run(tmp_path)
    results = write_results(tmp_path / "results", *report)
    assert write_pages(tmp_path, results=results).returncode == 0
    return (tmp_path / "pages/about.md").read_text().split("### Measured again\n")[1]


def test_about_says_that_nothing_was_measured_again(tmp_path):
    text = about(tmp_path)
    assert "Not yet: `make reproduce`" in text and "|" not in text


def test_about_says_where_the_chapter_with_a_measurement_of_its_own_was_measured(tmp_path):
    write_run(tmp_path)
    results = write_results(tmp_path / "results")
    run = json.loads(RESULTS.read_text())["provenance"]
    run |= {"profile": "scratch", "date": "2026-12-12", "commit": "own0007", "cores": 64}
    run["remark"] = "The whole networks were trained on a card.\n"
    content = {"provenance": run, "records": {}}
    (tmp_path / "results/scratch.json").write_text(json.dumps(content))
    assert write_pages(tmp_path, results=results).returncode == 0
    text = (tmp_path / "pages/about.md").read_text()
    assert "on 2026-12-12 with the profile `scratch`, commit `own0007`, on 64 cores" in text
    assert "The whole networks were trained on a card." in text


def test_about_says_when_and_where_numbers_were_measured_again(tmp_path):
    text = about(tmp_path, reproduced())
    assert "on 2026-12-24, commit `new0001`, on 4 cores" in text
    assert "seeds from 1000 on and on 1 thread, without oneDNN" in text
    assert "chapters 02, 05 took 9 min" in text
    assert re.search(
        r"\| exact \|[^|]*\| 50 \| 0 \| 12 \|\n\| spread \|[^|]*\| 30 \| 0 \| 0 \|\n", text
    )
    assert "timing" not in text and "due again" not in text
    assert "All that was measured again agrees" in text
    elsewhere = reproduced()
    elsewhere["provenance"] |= {"processor": "Another", "seconds": {"04_transfer": 60}}
    (tmp_path / "results/reproduced_elsewhere.json").write_text(json.dumps(elsewhere))
    assert write_pages(tmp_path, results=tmp_path / "results/measured.json").returncode == 0
    both = (tmp_path / "pages/about.md").read_text().split("### Measured again\n")[1]
    assert both.startswith(text) and "(Another)" in both and "chapters 04 took 60 s" in both


def test_about_names_what_differed_and_results_that_are_no_more(tmp_path):
    row = {"key": "E4g.x", "kind": "spread", "published": "1 | 2", "found": "9", "p": 0.0002}
    other = {"key": "data.n", "kind": "exact", "published": "75", "found": "76", "p": None}
    text = about(tmp_path, reproduced([row, other], commit="old0001"))
    assert "commit `old0001`, which are older than those of this book: it is due again." in text
    assert "**These differ:**" in text and "agrees" not in text
    assert r"| `E4g.x` | spread | 1 \| 2 | 9 | 0.0002 |" in text
    assert "| `data.n` | exact | 75 | 76 |  |" in text


def test_a_page_does_not_tell_whose_folder_it_was(tmp_path):
    manifest = tmp_path / "somebody/films/manifest.csv"
    manifest.parent.mkdir(parents=True)
    lines = ["file,label,class,split,group,sha256", "a,0,no,train,0,x", "b,1,yes,val,1,y"]
    lines += ["c,1,yes,train,2,x", "d,0,no,val,3,y"]
    manifest.write_text("\n".join(lines))
    write_run(tmp_path, dataset=str(manifest))
    assert write_pages(tmp_path).returncode == 0
    about = (tmp_path / "pages/about.md").read_text()
    assert "| `films/manifest.csv` | 4 files |" in about and "somebody" not in about


def test_films_that_are_not_ours_to_show_are_replaced(tmp_path):
    real, computed = tmp_path / "real", tmp_path / "computed"
    write_run(real)
    write_run(computed, look="computed")
    assert write_pages(real, "--films", computed).returncode == 0
    page = (real / "pages/01_one.ipynb").read_text()
    assert "real plot" in page and "computed film" in page
    assert "real film" not in page and "computed plot" not in page
    assert "Two films. (Computed films stand here" in page


def test_what_is_wrong_is_named(tmp_path):
    write_run(tmp_path, title="no title")
    assert "01_one.ipynb: expected a title '# ...'" in write_pages(tmp_path).stderr
    missing = write_pages(tmp_path, results=tmp_path / "none.json")
    assert "run `make results`" in missing.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (
        "expected executed chapters, found none" in write_pages(tmp_path, "--films", empty).stderr
    )
    assert not (tmp_path / "pages").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("0[2-7]*.ipynb")))
def test_figures_that_show_films_are_marked_so(path):
    """So that a published book can show computed ones. Only a strip of classes is no film."""
    for cell in nbformat.read(path, 4).cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure and ("contact_sheet(" in cell.source or "imshow(" in cell.source):
            marked = "films" in cell.metadata.get("tags", [])
            assert marked or figure["name"] == "fig-linkage", figure["name"]


@pytest.mark.parametrize(
    "low, high, says",
    [
        (-0.1, 0.2, "these films do not say"),
        (0.01, 0.2, "With the middle of the film blacked out the network does worse."),
        (-0.2, -0.01, "With the middle of the film blacked out the network does better."),
    ],
)
def test_the_title_page_says_no_more_than_the_intervals(low, high, says):
    records = json.loads(RESULTS.read_text())["records"]
    middle = (low + high) / 2
    records["covid.blind.difference"] = {"value": [middle, low, high], "text": "made up"}
    records["covid.whole"] |= {"values": [80, 110, 90]}
    records["covid.meta.original_format"] |= {"value": 103}
    place = ROOT / "book/_pages/cover.py"
    spec = importlib.util.spec_from_file_location("cover", place)
    cover = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cover)
    words = cover.caption(records)
    assert says in words and "Fewer are right in 2 of 3 trainings" in words


def test_what_a_large_set_costs_is_measured_or_marked(tmp_path):
    """In proportion beyond the start; what was not measured is in italics."""
    rows = [
        {"n": n, "stage": stage, "seconds": n / 50, "memory_mb": 400, "disk_mb": 0}
        for n in (75, 750, 7500)
        for stage in scale_page.WHAT
        if (n, stage) != (7500, "neighbours")
    ]
    text, figure = scale_page.page({"about": {"cores": 2, "date": "2026-01-02"}, "rows": rows})
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    row = [cell.strip() for cell in lines[scale_page.WHAT["reading"]].split("|")[2:-1]]
    assert row == ["400", "400", "400"]  # the last table is that of memory
    row = next(line for line in text.splitlines() if scale_page.WHAT["neighbours"] in line)
    cells = [cell.strip() for cell in row.replace("\u00a0", " ").split("|")[2:-1]]
    assert cells == ["2 s", "15 s", "*2 min*", "*30 min*", "1.00"]
    assert "75, 750 and 7,500 films" in text and figure.lstrip().startswith("<?xml")


def test_what_a_card_gains_is_what_was_measured_on_it():
    scale, card = (json.loads((ROOT / f"results/{name}.json").read_text())
                   for name in ("scale", "card"))  # fmt: skip
    text, _ = scale_page.page(scale, card)
    for row in card["features"] + card["inception_v3"]:
        assert f"| {row['images_a_second']} |" in text
    assert f"one {card['about']['card']}" in text and "card" not in scale_page.page(scale)[0][-200:]
