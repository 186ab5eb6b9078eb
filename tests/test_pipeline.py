"""From notebook to page: what runs again when something changes, and what a failure says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.make import make
from xraylib import ledger

ROOT = Path(__file__).resolve().parent.parent


def write_notebook(path, *code, prose=""):
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    profile = yaml.safe_load((ROOT / "notebooks/profiles/phantom.yml").read_text())
    lines = "\n".join(f"{name} = {value!r}" for name, value in profile.items())
    parameters = new_code_cell(lines, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell(f"# {path.stem}\n\n{prose}"), parameters]
    cells += map(new_code_cell, code)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The project with two small chapters in place of its own, and its real pipeline."""
    folder = tmp_path_factory.mktemp("house")
    for name in ("Makefile", "_config.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy2(ROOT / name, folder)
    for name in ("xraylib", "data", "results", "book"):
        skip = shutil.ignore_patterns("_build", "chapters", "cache", "__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    (folder / "notebooks").mkdir()
    shutil.copytree(ROOT / "notebooks/profiles", folder / "notebooks/profiles")
    for script in (ROOT / "notebooks").glob("*.py"):
        shutil.copy2(script, folder / "notebooks")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    write_notebook(
        folder / "notebooks/01_one.ipynb",
        "from xraylib import ledger",
        "ledger.record('a.b', 41, '41,000')",
        "ledger.verdict('E3b', '$|a|$ of 40', '$|a|$ of 41', 'corrected')",
        "ledger.verdict('T3.6.1-sum', 'one', 'another', 'corrected')",
        prose="There are exactly {glue:text}`a.b` photons.\n\n(E3b)=\n(T3.6.1-sum)=\n"
        "```{admonition} Set right: two claims\nBoth.\n```",
    )
    write_notebook(folder / "notebooks/02_two.ipynb", "print('the set is', dataset)")
    (folder / "book/index.md").write_text("# A book\n\nSee [one](chapters/01_one).\n")
    (folder / "book/bibliography.md").unlink()
    (folder / "book/_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n"
        "  - file: chapters/01_one\n  - file: chapters/02_two\n  - file: chapters/ledger\n"
    )
    built = make(folder, "book")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def ran(done):
    """The chapters that papermill executed in a run of make."""
    lines = done.stdout.splitlines()
    return [line.split("/")[1].split(".")[0] for line in lines if "notebooks/run.py" in line for
            line in [line.split(" notebooks/run.py ")[1]]]  # fmt: skip


def test_builds_pages_and_then_nothing(house):
    assert (house / "book/_build/html/index.html").exists()
    page = (house / "book/_build/html/chapters/01_one.html").read_text()
    assert "exactly 41,000 photons" in re.sub("<[^>]*>", "", page)
    assert "the set is phantom" in (house / "book/_build/html/chapters/02_two.html").read_text()
    again = make(house, "book")
    assert again.returncode == 0 and ran(again) == []
    assert again.stdout.splitlines() == ["book/_build/html/index.html"]


def test_the_ledger_leads_to_where_a_claim_is_judged(house):
    """Also where targets stand in a row above a box; a broken one would have failed the build."""
    page = (house / "book/_build/html/chapters/ledger.html").read_text()
    chapter = (house / "book/_build/html/chapters/01_one.html").read_text()
    for claim, anchor in (("E3b", "e3b"), ("T3.6.1-sum", "t3-6-1-sum")):
        assert re.search(rf'href="01_one.html#{anchor}"><span[^>]*>{re.escape(claim)}<', page)
        assert f'id="{anchor}"' in chapter
    assert page.count("<table") == 2 and r"\(|a|\)</span> of 41" in page


@pytest.mark.parametrize(
    "changed, expected",
    [
        ("notebooks/02_two.ipynb", ["02_two"]),
        ("xraylib/phantoms/markers.py", ["01_one", "02_two"]),
        ("notebooks/profiles/phantom.yml", ["01_one", "02_two"]),
        ("data/xray75.csv", ["01_one", "02_two"]),
        ("book/index.md", []),
    ],
)
def test_runs_again_what_depends_on_a_change(house, changed, expected):
    """Asked of make itself (-n), against the files of a finished build."""
    path = house / changed
    before = path.stat().st_mtime
    try:
        os.utime(path)
        done = make(house, "-n", "book")
        assert done.returncode == 0, done.stderr
        assert sorted(ran(done)) == expected
        assert "jupyter-book build" in done.stdout
    finally:
        os.utime(path, (before, before))


def test_a_changed_lock_runs_everything_again(house):
    """With the environment it describes, which a dry run shows without installing it."""
    path = house / "requirements.lock"
    before = path.stat().st_mtime
    try:
        os.utime(path)
        done = make(house, "-n", "book")
        assert "pip install" in done.stdout and sorted(ran(done)) == ["01_one", "02_two"]
    finally:
        os.utime(path, (before, before))


def test_another_profiles_parameters_do_not_matter(house):
    os.utime(house / "notebooks/profiles/report.yml")
    assert make(house, "book").stdout.splitlines() == ["book/_build/html/index.html"]


def test_another_profile_renders_again(house):
    done = make(house, "-n", "book", "PROFILE=xray")
    assert sorted(ran(done)) == ["01_one", "02_two"] and "profiles/xray.yml" in done.stdout
    # A dry run may have noted the other profile; the finished one is still complete.
    assert make(house, "book").returncode == 0


def test_an_unknown_profile_is_named(house):
    done = make(house, "book", "PROFILE=moon")
    assert done.returncode != 0
    assert "moon" in done.stderr and "phantom" in done.stderr and "report" in done.stderr
    assert make(house, "book").returncode == 0


def test_a_failing_cell_stops_the_build(house):
    path = house / "notebooks/02_two.ipynb"
    good = path.read_text()
    page = house / "book/_build/html/chapters/02_two.html"
    before = page.read_text()
    try:
        write_notebook(path, "import sys\nprint('a warning', file=sys.stderr)", "1 / 0")
        done = make(house, "book")
        assert done.returncode != 0
        last = done.stderr[done.stderr.index("FAILED") :]
        assert "notebooks/02_two.ipynb" in last and "ZeroDivisionError: division by zero" in last
        assert "In [4]" in last
        assert "jupyter-book" not in done.stdout and page.read_text() == before
        partial = house / ".run/phantom/02_two.partial.ipynb"
        assert "division by zero" in partial.read_text()
        assert "a warning" in (house / ".run/phantom/02_two.stderr.txt").read_text()
    finally:
        path.write_text(good)
    assert make(house, "book").returncode == 0
    assert not partial.exists()


def test_what_cannot_be_run_is_named(house):
    """A chapter whose parameters papermill would silently ignore, and one that is no notebook."""
    path = house / "notebooks/02_two.ipynb"
    good = path.read_text()
    try:
        path.write_text(good.replace('"parameters"', '"parametres"'))
        untagged = make(house, "book")
        path.write_text("{")
        broken = make(house, "book")
    finally:
        path.write_text(good)
    for done, what in ((untagged, "the tag 'parameters'"), (broken, "no notebook")):
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert "FAILED notebooks/02_two.ipynb" in done.stderr and what in done.stderr
    assert make(house, "book").returncode == 0


@pytest.mark.parametrize(
    "text, what",
    [("datset: xray75", "no chapter has datset"), ("a: [", "seed: 0"), ("- 1", "seed")],
)
def test_a_profile_with_a_slip_is_refused(house, text, what):
    """A misspelt parameter must not quietly mean the default."""
    mine = house / "notebooks/profiles/mine.yml"
    try:
        mine.write_text(text + "\n")
        done = make(house, "chapters", "PROFILE=mine")
    finally:
        mine.unlink()
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "FAILED notebooks/profiles/mine.yml" in done.stderr and what in done.stderr


def test_a_broken_link_fails_the_build(house):
    path = house / "book/index.md"
    good = path.read_text()
    try:
        path.write_text(good + "\nSee [nowhere](chapters/03_three).\n")
        done = make(house, "book")
        assert done.returncode != 0 and "03_three" in done.stdout + done.stderr
    finally:
        path.write_text(good)
    assert make(house, "book").returncode == 0


def test_records_are_collected_with_provenance(house):
    notebook = nbformat.read(house / ".run/phantom/01_one.ipynb", 4)
    found = ledger.collect(notebook)
    assert list(found) == ["a.b", "verdict.E3b", "verdict.T3.6.1-sum"]
    assert found["a.b"] == {"value": 41, "text": "41,000"}
    target = house / "results.json"
    done = subprocess.run(
        [house / ".venv/bin/python", "notebooks/collect.py", ".run/phantom", target],
        cwd=house, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import json

    results = json.loads(target.read_text())
    assert results["records"] == found
    assert results["provenance"]["profile"] == "phantom"
    assert {"date", "commit", "python", "packages", "processor", "cores"} <= set(
        results["provenance"]
    )
