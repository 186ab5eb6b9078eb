"""Records and verdicts, and the ledger's page that is written from them."""

import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.script import script
from xraylib import ledger
from xraylib.evaluation.metrics import Spread, proportion

SCRIPT = Path(__file__).resolve().parent.parent / "book/_pages/write.py"


SHARE = {"value": [1, 2, 0.0, 1.0], "text": "1/2", "kind": "close"}
COVER = {"covid.majority": SHARE}
COVER |= {
    f"covid.{key}": {"value": 1, "values": [1, 2], "n": 2, "text": "1/2", "kind": "spread"}
    for key in ("whole", "blind", "meta.original_format")
}
COVER["covid.blind.difference"] = {"value": [0.0, -0.1, 0.1], "text": "0", "kind": "close"}


@pytest.fixture
def shown(monkeypatch):
    """What the ledger displays, as the outputs that an executed cell would have."""
    outputs = []

    def display(bundle, raw=False, metadata=None):
        bundle = bundle if raw else {"text/html": bundle.to_html()}
        metadata = metadata or {}
        outputs.append(new_output("display_data", bundle, metadata=metadata))

    monkeypatch.setattr(ledger, "display", display)
    return outputs


@pytest.fixture
def write(tmp_path, shown):
    """Write an executed chapter that judges some claims, or the results."""

    def write(name, *judged, holds=True, dataset="phantom"):
        shown.clear()
        for claims in judged:
            ledger.judge(claims, holds)
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
        done = script(SCRIPT, *paths)
        written = paths[-1] / "ledger.md"
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
            {"value": 80, "text": "80/118 = 0.68 (0.59–0.76), 74 to 93 over 4 seeds",
             "kind": "spread", "values": [74, 93, 84, 80], "n": 118},
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
        found = {key: record["text"] for key, record in ledger.results().items()}
        assert found == {"a": "a of measured", "b": "b of measured", "c": "c of scratch"}
    finally:
        ledger.results.cache_clear()


def test_a_judgement_is_a_record_and_a_box(shown):
    ledger.judge("T3.6.1-sum T4.1.4-pooling", np.bool_(True))
    wrong, right = ({"verdict": verdict, "holds": True} for verdict in ("wrong", "right"))
    assert collected(shown) == {
        "verdict.T3.6.1-sum": {"value": wrong, "text": "wrong", "kind": "verdict"},
        "verdict.T4.1.4-pooling": {"value": right, "text": "right", "kind": "verdict"},
    }
    box = shown[-1]["data"]["text/markdown"]
    assert "Section 3.6.1 of the report: $y = \\sum_{i=1}^n a(w_i^T" in box
    assert "**Wrong.** The activation is applied once" in box and "*(Rosenblatt 1958)*" in box
    assert all(line.startswith(">") for line in box.splitlines())
    assert "“A normal pooling layer" in box and "**Right.**" in box and "Not so" not in box


def test_a_box_says_what_a_run_does_not_bear_out(shown):
    ledger.judge("D-arrows", False)
    assert "(Not so in this run, on the images that it has.)" in shown[-1]["data"]["text/markdown"]
    assert collected(shown)["verdict.D-arrows"]["value"]["holds"] is False


def test_an_unknown_claim_is_refused(shown):
    with pytest.raises(ValueError, match=r"no 'T3\.6\.1-sums'; did you mean.*'T3\.6\.1-sum'"):
        ledger.judge("T3.6.1-sums", True)
    assert shown == []


RECORDS = {
    "net": {"value": 72, "values": [71, 72, 75], "n": 75, "text": "long", "kind": "spread"},
    "share": {"value": list(proportion(59, 65)), "text": "59/65", "kind": "exact"},
    "loss": {"value": 0.35, "values": [0.3, 0.35, 0.5], "text": "0.35 (…)", "kind": "spread"},
    "apart": {"value": [0.031, -0.12, 0.17], "text": "0.03 (-0.12 to 0.17)", "kind": "close"},
    "count": {"value": 41, "text": "41,000", "kind": "exact"},
    "name": {"value": "xray75", "text": "the report's", "kind": "exact"},
    "costs": {"value": {"PCA": [1.5]}, "text": "", "kind": "timing"},
}


@pytest.mark.parametrize(
    "key, words",
    [
        ("net", "72 of 75"), ("net:range", "71 to 75"), ("net:interval", "0.89 to 0.99"),
        ("share", "59 of 65"), ("share:interval", "0.81 to 0.97"), ("loss", "0.35 (…)"),
        ("loss:range", "0.30 to 0.50"), ("loss:value", "0.35"), ("apart", "0.03 (-0.12 to 0.17)"),
        ("apart:value", "0.03"), ("count", "41,000"),
    ],
)  # fmt: skip
def test_numbers_as_one_says_them(monkeypatch, key, words):
    monkeypatch.setattr(ledger, "results", lambda: RECORDS)
    assert ledger.spoken(*key.split(":")) == words
    assert ledger.filled(f"It is {{{key}}}, $x_{{i}}$.") == f"It is {words}, $x_{{i}}$."


@pytest.mark.parametrize(
    "key",
    ["none", "count:range", "net:value", "loss:interval", "net:shout", "name:value", "costs:value"],
)
def test_numbers_that_cannot_be_said(monkeypatch, key):
    monkeypatch.setattr(ledger, "results", lambda: RECORDS)
    with pytest.raises(ValueError, match="measure it with|cannot be said as"):
        ledger.spoken(*key.split(":"))


def test_a_table_shows_real_films_beside_this_run(shown, monkeypatch):
    monkeypatch.setattr(ledger, "results", lambda: RECORDS)
    rows = {"network": ("net", Spread((7, 8), 9)), "seconds": ("new", 3.2, {"timing": True})}
    rows["dates"] = ("count", None)  # which this run has not
    rows["losses"] = ("each", [0.3, -0.001, 0.5], {"spread": True})
    ledger.beside(rows, "Right", said={"network": "all"})
    found = collected(shown)
    assert set(found) == {"net", "new", "each"}
    assert found["net"]["n"] == 9 and found["new"]["kind"] == "timing"
    table = shown[-1]["data"]["text/html"]
    cells = re.findall(r"<t[dh] [^>]*>(.*?)</t[dh]>", table)
    assert [c for c in cells if c and c != "&nbsp;"] == [
        "the report", "real films", "this run", "network", "all", "long",
        "7/9 = 0.78 (0.40–0.97), 7 to 8 over 2 seeds",
        "seconds", "–", "not measured yet", "3.2", "dates", "–", "41,000", "–",
        "losses", "–", "not measured yet", "0.30 (0.00 to 0.50)",
    ]  # fmt: skip


def test_a_table_of_a_small_show_records_nothing(shown, monkeypatch):
    monkeypatch.setattr(ledger, "results", lambda: RECORDS)
    rows = {"network": [("net", None), ("new", 3)], "other": [None, ("net", 4)]}
    ledger.beside(rows, "Right", ["one", "two"], keep=False)
    assert collected(shown) == {} and len(shown) == 1
    cells = re.findall(r"<td [^>]*>(.*?)</td>", shown[-1]["data"]["text/html"])
    assert cells == ["long", "not measured yet", "–", "3", "–", "long", "–", "4"]


def test_the_ledger_has_every_statement_in_the_reports_order(write, page):
    write("01_one.ipynb", "T3.6.1-sum", "E4f")
    write("02_two.ipynb", "D-arrows", holds=False)
    text = page()
    claims = ledger.claims()
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    table = [line for line in lines if any(f" {v} |" in line for v in ledger.VERDICTS)]
    assert len([line for line in table if "“" in line or "`" in line or "$" in line]) == len(claims)
    assert "| [T3.6.1-sum](#T3.6.1-sum) | $y = " in text and "| T3.6.1-rule | " in text
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert heads[:3] == ["Section by section", "1 Abstract", "2 Introduction"]
    assert heads.index("3.6.1 The perceptron") < heads.index("3.6.2 Multi-layered perceptron")
    assert text.count("(Not so in this run.)") == 1
    assert "2026-01-02" in text and "`abc1234`" in text and "3 of them are judged" in text
    counts = [sum(c["verdict"] == v for c in claims.values()) for v in ledger.VERDICTS]
    whole = " | ".join(map(str, [*counts, len(claims)]))
    assert f"| all | {whole} |" in text


def test_a_claim_judged_in_two_chapters_is_refused(write, page):
    write("01_one.ipynb", "E1", "E2")
    write("02_two.ipynb", "E2")
    message = page()
    assert "E2" in message and "01_one.ipynb" in message and "02_two.ipynb" in message


def test_a_claim_judged_twice_in_a_chapter_is_refused(write, page, tmp_path):
    write("01_one.ipynb", "E1")
    notebook = nbformat.read(tmp_path / "01_one.ipynb", 4)
    notebook.cells[1].outputs *= 2
    nbformat.write(notebook, tmp_path / "01_one.ipynb")
    message = page()
    assert "01_one.ipynb" in message and "'verdict.E1' is recorded twice" in message


def test_a_run_that_knew_another_verdict_is_refused(write, page, tmp_path):
    write("01_one.ipynb", "E1")
    path = tmp_path / "01_one.ipynb"
    path.write_text(path.read_text().replace('\\"right\\"', '\\"wrong\\"'))
    assert "E1 was 'wrong' when it ran, and is 'right' in data/claims.yml; run it" in page()


def test_what_is_missing_is_named(write, page, tmp_path):
    assert "make book" in page()
    write("01_one.ipynb", "E1")
    (tmp_path / "measured.json").unlink()
    message = page()
    assert "measured.json" in message and "make results" in message


def test_a_tolerance_is_as_wide_as_five_trainings_of_many_can_lie_apart():
    scores = np.arange(40) % 4 / 4

    def mean(trainings, times):
        return times * scores[trainings].mean()

    found = ledger.reach(mean, 40, 1)
    # At most all five are 0 or all are 0.75, of a mean of 0.375; in 500 draws nearly so.
    assert 1.5 * 0.25 < found <= 1.5 * 0.375 and ledger.reach(mean, 40, 1) == found
    assert ledger.reach(mean, 40, 2) == pytest.approx(2 * found)
    assert ledger.reach(mean, 40, 0) == 0.02 and ledger.reach(mean, 40, 1, least=2) == 2


def test_a_range_is_one_value_where_its_ends_look_alike():
    assert ledger.span([11, 9, 10]) == "9 to 11"
    assert ledger.span([0.861, 0.859], 2) == "0.86"
