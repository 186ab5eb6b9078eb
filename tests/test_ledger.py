"""Records and verdicts, and the ledger's page that is written from them."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from xraylib import ledger
from xraylib.evaluation import proportion

SCRIPT = Path(__file__).resolve().parent.parent / "book/_pages/write.py"


SHARE = {"value": [1, 2, 0.0, 1.0], "text": "1/2", "kind": "close"}
COVER = {f"covid.{key}": SHARE for key in ("meta.original_format", "majority")}
COVER |= {
    f"covid.{key}": {"value": 1, "values": [1, 2], "n": 2, "text": "1/2", "kind": "spread"}
    for key in ("whole", "blind")
}
COVER["covid.blind.difference"] = {"value": [0.0, -0.1, 0.1], "text": "0", "kind": "close"}


@pytest.fixture
def shown(monkeypatch):
    """What the ledger displays, as the outputs that an executed cell would have."""
    outputs = []

    def display(bundle, raw, metadata):
        outputs.append(new_output("display_data", bundle, metadata=metadata))

    monkeypatch.setattr(ledger, "display", display)
    return outputs


def verdict(claim, found="ours", how="corrected", says="theirs"):
    return {"claim": claim, "says": says, "found": found, "verdict": how}


@pytest.fixture
def write(tmp_path, shown):
    """Write an executed chapter, or the results, with some verdicts."""

    def write(name, *verdicts, dataset="phantom"):
        shown.clear()
        for each in verdicts:
            ledger.verdict(**each)
        run = {"profile": dataset, "seconds": 1, "date": "2026-01-03", "commit": "def5678"}
        run |= {"processor": "a processor", "cores": 2, "graphics": [], "system": "a system"}
        run |= {"python": "3.11", "packages": {}}
        metadata = {"xraylib": run, "papermill": {"parameters": {"dataset": dataset}}}
        cells = [new_markdown_cell("# One"), new_code_cell(outputs=shown[:])]
        notebook = new_notebook(cells=cells, metadata=metadata)
        if name.endswith(".ipynb"):
            nbformat.write(notebook, tmp_path / name)
            return
        provenance = run | {"profile": "xray", "date": "2026-01-02", "commit": "abc1234"}
        content = {"provenance": provenance, "records": ledger.collect(notebook) | COVER}
        (tmp_path / name).write_text(json.dumps(content))

    write("measured.json")
    return write


@pytest.fixture
def page(tmp_path):
    """Run the script; return the page, or what it says on a failure."""

    def page():
        paths = tmp_path, tmp_path / "measured.json", tmp_path / "pages"
        done = subprocess.run(
            [sys.executable, SCRIPT, *paths], capture_output=True, text=True, check=False
        )
        written = paths[-1] / "ledger.md"
        assert "Traceback" not in done.stderr
        assert (done.returncode == 0) == written.exists()
        return written.read_text() if done.returncode == 0 else done.stderr

    return page


def rows(text):
    """Claim → cells, in the order of the page."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {line[0]: line[1:] for line in cells if line[0].startswith("[")}


def test_a_key_recorded_twice_is_refused(shown):
    ledger.record("a.b", 1)
    ledger.record("a.b", 1)
    with pytest.raises(ValueError, match="twice"):
        ledger.collect(new_notebook(cells=[new_code_cell(outputs=shown)]))


def collected(shown):
    return ledger.collect(new_notebook(cells=[new_code_cell(outputs=shown)]))


class Spread(NamedTuple):
    """Images right of n, one number a seed."""

    values: tuple
    n: int

    def __str__(self):
        return f"half of {self.n}"


@pytest.mark.parametrize(
    "value, options, expected",
    [
        (41, {}, {"value": 41, "text": "41", "kind": "exact"}),
        (41, {"text": "41,000"}, {"value": 41, "text": "41,000", "kind": "exact"}),
        ([1, 2, 3], {"text": ""}, {"value": [1, 2, 3], "text": "", "kind": "exact"}),
        (np.arange(2), {}, {"value": [0, 1], "text": "[0 1]", "kind": "exact"}),
        (
            proportion(1, 4),
            {},
            {"value": list(proportion(1, 4)), "text": "1/4 = 0.25 (0.01–0.81)", "kind": "exact"},
        ),
        (0.5, {"tolerance": 0.01},
         {"value": 0.5, "text": "0.5", "kind": "close", "tolerance": 0.01}),
        (12.3, {"timing": True}, {"value": 12.3, "text": "12.3", "kind": "timing"}),
        (30, {"setting": True}, {"value": 30, "text": "30", "kind": "setting"}),
        (
            Spread((74, 93, 84, 80), 118),
            {},
            {"value": 80, "text": "half of 118", "kind": "spread", "values": [74, 93, 84, 80],
             "n": 118},
        ),
        (
            np.array([0.3, -0.001, 0.5, 0.4]),
            {"spread": True},
            {"value": 0.35, "text": "0.35 (0.00 to 0.50)", "kind": "spread",
             "values": [0.3, -0.001, 0.5, 0.4]},
        ),
        (
            [2, 3],
            {"spread": True, "text": "2 or 3"},
            {"value": 2.5, "text": "2 or 3", "kind": "spread", "values": [2, 3]},
        ),
    ],
)  # fmt: skip
def test_a_record_knows_its_kind(shown, value, options, expected):
    ledger.record("a.b", value, **options)
    assert collected(shown) == {"a.b": expected}


@pytest.mark.parametrize(
    "value, options, what",
    [
        (1, {"tolerance": 0.1, "timing": True}, "close or timing.*Leave out all but one"),
        (Spread((1, 2), 3), {"tolerance": 0.1}, "close or spread"),
        ([1], {"spread": True, "setting": True}, "spread or setting"),
        (1, {"tolerance": 0}, "tolerance above 0, got 0; leave it out"),
        (1, {"spread": True}, "list of numbers, one a training.*got 1"),
        ([], {"spread": True}, "list of numbers"),
        (["a"], {"spread": True}, "list of numbers"),
        ({1, 2}, {}, "what JSON can hold"),
    ],
)
def test_a_value_that_does_not_fit_its_kind_is_refused(shown, value, options, what):
    with pytest.raises(ValueError, match=rf"a\.b: .*{what}"):
        ledger.record("a.b", value, **options)
    assert shown == []


def test_what_was_measured_with_another_profile_is_found_too(shown, tmp_path, monkeypatch):
    """In results/scratch.json, where results/measured.json lacks it."""
    monkeypatch.setattr(ledger, "ROOT", tmp_path)
    (tmp_path / "results").mkdir()
    for name, keys in (("measured", "ab"), ("scratch", "bc")):
        records = {key: {"value": 1, "text": f"{key} of {name}"} for key in keys}
        (tmp_path / f"results/{name}.json").write_text(json.dumps({"records": records}))
    ledger.results.cache_clear()
    try:
        assert list(map(ledger.measured, "abcd")) == [
            "a of measured", "b of measured", "c of scratch", "not measured yet"
        ]  # fmt: skip
    finally:
        ledger.results.cache_clear()


def test_a_verdict_is_a_record(shown):
    ledger.verdict("E1", says="a | b", found="*b*", verdict="corrected")
    value = {"says": "a | b", "found": "*b*", "verdict": "corrected"}
    record = {"value": value, "text": "corrected", "kind": "verdict"}
    assert collected(shown) == {"verdict.E1": record}


def test_another_verdict_is_refused(shown):
    with pytest.raises(ValueError, match="E1: .*'not supported'.*got 'wrong'"):
        ledger.verdict("E1", says="", found="", verdict="wrong")
    assert shown == []


@pytest.mark.parametrize("claim", ["E10", "E3b", "D1", "D-size", "T3.6.1-sum", "T3.6.4-BCE"])
def test_ids_that_can_be_targets(shown, claim):
    ledger.verdict(**verdict(claim))
    assert len(shown) == 1


@pytest.mark.parametrize(
    "claim", ["X1", "E", "e1", "E 1", "E1_a", "T3--x", "T3.", "E1)", "T3.6.1-süm", "E1\n"]
)
def test_ids_that_cannot_be_targets(shown, claim):
    with pytest.raises(ValueError, match="T3.6.1-sum"):
        ledger.verdict(**verdict(claim))


def test_rows_in_natural_order_with_links(write, page):
    write("01_one.ipynb", *map(verdict, ("T3.6.1", "T3.10", "T3.6-word", "T3.1", "D1", "E10")))
    write("02_two.ipynb", *map(verdict, ("E3b", "E2", "E3", "E1")))
    write("02_two.partial.ipynb", verdict("E99"))
    text = page()
    order = ["E1", "E2", "E3", "E3b", "E10", "D1", "T3.1", "T3.6-word", "T3.6.1", "T3.10"]
    assert list(rows(text)) == [f"[{claim}]({claim})" for claim in order]
    assert text.startswith("(ledger)=\n# The ledger: every claim and how it stands\n")
    starts = [line[:7] for line in text.splitlines() if line.startswith(("## ", "| Claim"))]
    assert starts == ["## Expe", "| Claim", "## The ", "| Claim", "## Theo", "| Claim"]
    assert "2026-01-02" in text and "`abc1234`" in text and "`phantom`" in text


def test_verdicts_are_those_of_the_reports_images(write, page):
    write("01_one.ipynb", verdict("E1", "1/4", "reproduced"), verdict("E2"), verdict("T1", "t"))
    write("measured.json", verdict("E1", "3/4", "corrected"), verdict("T1", "t"))
    text = page()
    table = rows(text)
    assert table["[E1](E1)"] == ["theirs", "3/4", "1/4", "[corrected](judged-E1)"]
    assert table["[E2](E2)"] == ["theirs", "not measured yet", "ours", "[open](judged-E2)"]
    assert table["[T1](T1)"] == ["theirs", "t", "[corrected](judged-T1)"]
    assert "**3 claims**: 2 corrected, 1 open." in text


def test_the_whole_measurement_counts_before_a_small_one(write, page):
    write("01_one.ipynb", verdict("E4l", "1 pair", "not supported"))
    write("measured.json", verdict("E4l", "2 epochs", "not supported"))
    write("scratch.json", verdict("E4l", "10 pairs", "reproduced"))
    found = ["theirs", "10 pairs", "1 pair", "[reproduced](judged-E4l)"]
    assert rows(page())["[E4l](E4l)"] == found


def test_a_run_on_the_reports_images_shows_where_it_differs(write, page):
    verdicts = verdict("E1", "1/4", "reproduced"), verdict("E2"), verdict("T1", "new")
    write("01_one.ipynb", *verdicts, dataset="xray75")
    write("measured.json", verdict("E1", "3/4", "corrected"), verdict("T1", "old"))
    table = rows(page())
    both = "[corrected](judged-E1) (this run: **reproduced**)"
    assert table["[E1](E1)"] == ["theirs", "3/4", "1/4", both]
    assert table["[E2](E2)"] == ["theirs", "not measured yet", "ours", "[corrected](judged-E2)"]
    assert table["[T1](T1)"] == ["theirs", "old (this run: new)", "[corrected](judged-T1)"]


def test_bars_and_line_breaks_do_not_end_a_cell(write, page):
    write("01_one.ipynb", verdict("T1", says=r"`a|b`" + "\n\nand $|x|$", found=r"$\|x\|$"))
    says, found, _ = rows(page())["[T1](T1)"]
    assert (says, found) == (r"`a\|b` and $\|x\|$", r"$\\|x\\|$")


def test_a_claim_judged_in_two_chapters_is_refused(write, page):
    write("01_one.ipynb", verdict("E1"), verdict("E2"))
    write("02_two.ipynb", verdict("E2"))
    message = page()
    assert "E2" in message and "01_one.ipynb" in message and "02_two.ipynb" in message


def test_a_claim_judged_twice_in_a_chapter_is_refused(write, page, tmp_path):
    write("01_one.ipynb", verdict("E1"))
    notebook = nbformat.read(tmp_path / "01_one.ipynb", 4)
    notebook.cells[1].outputs *= 2
    nbformat.write(notebook, tmp_path / "01_one.ipynb")
    message = page()
    assert "01_one.ipynb" in message and "'verdict.E1' is recorded twice" in message


def test_what_is_missing_is_named(write, page, tmp_path):
    assert "make book" in page()
    write("01_one.ipynb", verdict("E1"))
    (tmp_path / "measured.json").unlink()
    message = page()
    assert "measured.json" in message and "make results" in message


def test_a_range_is_one_value_where_its_ends_look_alike():
    assert ledger.span([11, 9, 10]) == "9 to 11"
    assert ledger.span([0.861, 0.859], 2) == "0.86"
