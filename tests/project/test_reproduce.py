"""A second measurement is compared with the first, as each number's kind asks for."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.project.make import make
from tests.script import script
from xraylib import ledger
from xraylib.evaluation.metrics import Spread

ROOT = Path(__file__).resolve().parents[2]
RUN = {"profile": "reproduce", "seconds": 60.0, "date": "2026-02-03", "commit": "new0001"}


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Record numbers twice, as dict key → (value, options), and compare them.

    Returns the finished command and what it wrote.
    """

    def recorded(numbers):
        outputs = []
        monkeypatch.setattr(
            ledger,
            "display",
            lambda data, raw, metadata: outputs.append(
                new_output("display_data", data, metadata=metadata)
            ),
        )
        for key, (value, options) in numbers.items():
            if key.startswith("verdict."):
                ledger.judge(key.removeprefix("verdict."), value)
            else:
                ledger.record(key, value, **options)
        metadata = {"xraylib": RUN, "papermill": {"parameters": {"seed": 1000}}}
        return new_notebook(cells=[new_code_cell(outputs=outputs)], metadata=metadata)

    def compare(published, found):
        provenance = {"profile": "xray", "date": "2026-01-02", "commit": "old0001"}
        records = ledger.collect(recorded(published))
        first, again = tmp_path / "measured.json", tmp_path / "reproduced.json"
        first.write_text(json.dumps({"provenance": provenance, "records": records}))
        nbformat.write(recorded(found), tmp_path / "02_two.ipynb")
        done = reproduce(tmp_path, first, again)
        return done, json.loads(again.read_text()) if again.exists() else None

    return compare


def reproduce(*paths):
    return script(ROOT / "notebooks/reproduce.py", *paths)


def trainings(seed, count, share=0.71):
    return Spread(tuple(np.random.default_rng(seed).binomial(118, share, count)), 118)


RANGE = tuple(range(70, 100))  # of 30 trainings
ALIKE = {
    "exact.count": (41, 41),
    "exact.share": (0.1 + 0.2, 0.3),
    "exact.words": (["a", None, True], ["a", None, True]),
    "exact.table": ({"a": [1, 2.5]}, {"a": [1, 2.5]}),
    "exact.unknown": (float("nan"), float("nan")),
    "close.one": (0.50, 0.509),
    "close.each": ([0.5, {"a": 2}], [0.491, {"a": 2.009}]),
    "spread.ordered": (Spread(RANGE, 118), Spread((71, 98, 84), 118)),
    "spread.constant": (Spread((75,) * 30, 75), Spread((75,) * 3, 75)),
    "verdict.E1": (True, True),
}
DIFFERENT = {
    "exact.count": (41, 42),
    "exact.many": (22_141_121_000, 22_141_121_001),
    "exact.share": (0.3, 0.3001),
    "exact.words": (["a"], ["b"]),
    "exact.length": ([1, 2], [1]),
    "exact.table": ({"a": 1}, {"b": 1}),
    "close.one": (0.5, 0.52),
    "close.each": ([0.5, 0.5], [0.5, 0.48]),
    "close.shape": ([0.5, 0.5], [0.5]),
    "spread.above": (Spread(RANGE, 118), Spread((100, 101, 102), 118)),
    "spread.median": (Spread(RANGE, 118), Spread((84, 100, 101), 118)),
    "spread.within": (Spread(RANGE, 118), Spread((98, 99) * 5, 118)),
    "spread.images": (Spread(RANGE, 118), Spread((71, 98, 84), 117)),
    "verdict.E1": (True, False),
}


def both(pairs):
    """Two sets of numbers of pairs of values, with the options that the keys speak of."""
    options = {key: {"tolerance": 0.01} if key.startswith("close") else {} for key in pairs}
    return [{key: (pair[i], options[key]) for key, pair in pairs.items()} for i in (0, 1)]


def test_what_is_alike_agrees(compare):
    done, written = compare(*both(ALIKE))
    assert done.returncode == 0, done.stdout
    assert "every number agrees" in done.stdout
    assert written["differences"] == []
    agree = {kind: counts["agree"] for kind, counts in written["counts"].items()}
    assert agree == {"exact": 5, "close": 2, "spread": 2, "verdict": 1}


def test_what_differs_is_named(compare):
    published, found = both(DIFFERENT)
    published["agrees"] = found["agrees"] = (1, {})
    done, written = compare(published, found)
    assert done.returncode == 1
    assert f"{len(DIFFERENT)} measured again differ: {', '.join(DIFFERENT)}" in done.stderr
    rows = {row["key"]: row for row in written["differences"]}
    assert list(rows) == list(DIFFERENT)
    assert (rows["exact.count"]["published"], rows["exact.count"]["found"]) == ("41", "42")
    # 30 and 3 values can stand in 5456 orders; two have all 3 at one end.
    assert rows["spread.above"]["p"] == pytest.approx(2 / 5456, rel=0.05)
    assert rows["spread.median"]["p"] > 0.001 > rows["spread.within"]["p"]
    assert '"holds": false' in rows["verdict.E1"]["found"]
    printed = [line for line in done.stdout.splitlines() if "spread.above" in line]
    assert len(printed) == 1 and "0.00037" in printed[0]


def test_what_looks_alike_is_shown_with_its_values(compare):
    published = {"a": (0.5, {"text": "0.5"}), "b": (1, {})}
    found = {"a": (0.504, {"text": "0.5"}), "b": (1, {"timing": True})}
    rows = compare(published, found)[1]["differences"]
    assert [(row["published"], row["found"]) for row in rows] == [
        ("0.5", "0.504"), ("1 (exact)", "1 (timing)")
    ]  # fmt: skip


def test_what_is_not_compared_is_counted(compare):
    seconds, seeds, left_out = {"timing": True}, {"setting": True}, (1, {})
    published = {"t": (3.0, seconds), "s": (30, seeds), "a": (1, {}), "b": left_out}
    done, written = compare(
        published, {"t": (9.0, seconds), "s": (3, seeds), "a": (1, {}), "c": left_out}
    )
    assert done.returncode == 0
    assert "measured.json yet: 1 of" in done.stdout
    counts = written["counts"]
    assert counts["timing"]["not compared"] == counts["setting"]["not compared"] == 1
    assert counts["exact"] == {"agree": 1, "differ": 0, "not measured": 1, "not compared": 0}
    assert written["published"] == {"profile": "xray", "date": "2026-01-02", "commit": "old0001"}
    assert written["provenance"]["parameters"] == {"seed": 1000}
    assert written["provenance"]["seconds"] == {"02_two": 60.0}


def test_other_seeds_pass_and_a_shift_does_not(compare):
    """Of 118 films 84 are right, the next time other 84; a network that gets 12 less is seen."""
    names = [f"a.{i}" for i in range(12)]
    first = {name: (trainings(i, 30), {}) for i, name in enumerate(names)}
    again = {name: (trainings(100 + i, 10), {}) for i, name in enumerate(names)}
    assert compare(first, again)[0].returncode == 0
    shifted = {name: (trainings(100 + i, 10, 0.61), {}) for i, name in enumerate(names)}
    assert len(compare(first, shifted)[1]["differences"]) == len(names)


def test_what_cannot_be_compared_is_said(compare, tmp_path):
    done, written = compare({"a": (1, {})}, {"b": (1, {})})
    assert done.returncode == 2 and written is None and "no number of" in done.stderr
    first, again = tmp_path / "measured.json", tmp_path / "reproduced.json"
    (tmp_path / "empty").mkdir()
    assert "no executed chapter" in reproduce(tmp_path / "empty", first, again).stderr
    old = {"provenance": {}, "records": {"E1": {"value": 1, "text": "1"}}}
    first.write_text(json.dumps(old))
    done = reproduce(tmp_path, first, again)
    assert done.returncode == 2 and not again.exists()
    assert "1 have none, such as E1" in done.stderr and "`make results` first" in done.stderr
    first.unlink()
    assert "run `make results`" in reproduce(tmp_path, first, again).stderr


@pytest.mark.parametrize("name", ["reproduce", "reproduce_quick"])
def test_only_seeds_and_their_number_differ_from_the_results(name):
    """Else the numbers would be of something else."""
    results, again = (
        yaml.safe_load((ROOT / f"notebooks/profiles/{each}.yml").read_text())
        for each in ("xray", name)
    )
    counts = {"seed", "cv_seeds"}
    assert {key for key in results if again[key] != results[key]} <= counts
    assert again["seed"] >= results["seed"] + 1000 and min(again[k] for k in counts) >= 3


def test_make_measures_again_and_compares(tmp_path):
    """With a small chapter in place of the book's, whose trainings depend on seed and rounding."""
    for name in ("xraylib", "data", ".venv", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy2(ROOT / "Makefile", tmp_path)
    (tmp_path / "results").mkdir()
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    shutil.copytree(ROOT / "notebooks/profiles", notebooks / "profiles")
    for file in (ROOT / "notebooks").glob("*.py"):
        shutil.copy2(file, notebooks)
    profile = yaml.safe_load((notebooks / "profiles/xray.yml").read_text())
    parameters = "\n".join(f"{name} = {value!r}" for name, value in profile.items())
    code = (
        "import os\nfrom xraylib import ledger\nledger.record('n', 75)\n"
        "rounding = os.environ.get('OMP_NUM_THREADS') != '1'\n"
        "losses = [(seed + i) % 7 + 1e-3 * rounding for i in range(cv_seeds)]\n"
        "ledger.record('losses', losses, spread=True)"
    )
    cells = [new_code_cell(parameters, metadata={"tags": ["parameters"]}), new_code_cell(code)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, notebooks / "02_two.ipynb")
    assert make(tmp_path, "chapters", "PROFILE=xray").returncode == 0
    collect = [sys.executable, "notebooks/collect.py", ".run/xray", "results/measured.json"]
    subprocess.run(collect, cwd=tmp_path, check=True)
    assert make(tmp_path, "chapters", "PROFILE=xray").returncode == 0  # quotes the new results

    done = make(tmp_path, "reproduce")
    assert done.returncode == 0, done.stdout + done.stderr
    written = json.loads((tmp_path / "results/reproduced.json").read_text())
    assert written["counts"]["spread"]["agree"] == written["counts"]["exact"]["agree"] == 1
    provenance = written["provenance"]
    assert provenance["rounding"]["TF_ENABLE_ONEDNN_OPTS"] == "0"
    assert provenance["rounding"]["TF_NUM_INTRAOP_THREADS"] == "1"
    assert provenance["profile"] == "reproduce" and provenance["parameters"]["seed"] == 1000
    # What reproduce writes is no reason to run the chapters of the book again.
    again = make(tmp_path, "-n", "chapters", "PROFILE=xray")
    assert again.returncode == 0 and "run.py" not in again.stdout

    measured = json.loads((tmp_path / "results/measured.json").read_text())
    measured["records"]["n"] |= {"value": 76, "text": "76"}
    (tmp_path / "results/measured.json").write_text(json.dumps(measured))
    quick = make(tmp_path, "reproduce", "QUICK=1")
    assert quick.returncode != 0 and "1 measured again differ: n" in quick.stderr
    assert json.loads((tmp_path / "results/reproduced.json").read_text()) == written
