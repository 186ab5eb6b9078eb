"""From notebook to page: what runs again when something changes, and what a failure says."""

import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pypdf import PdfReader

from tests.book.browser import CHROMIUM, MISSING
from tests.project.make import make
from xraylib import ledger

ROOT = Path(__file__).resolve().parents[2]


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
    for name in ("Makefile", "_config.yml", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    for lock in ROOT.glob("requirements*.lock"):
        shutil.copy2(lock, folder)
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
        "ledger.judge('E3b T3.6.1-sum', True)",
        prose="There are exactly 41,000<!--a.b--> photons and no Dropout; dropout again.\n\n"
        "> **A box.** Both.",
    )
    write_notebook(folder / "notebooks/02_two.ipynb", "print('the set is', dataset)")
    (folder / "book/index.md").write_text("# A book\n\nSee [one](chapters/01_one).\n")
    (folder / "book/_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n"
        "  - file: chapters/01_one\n  - file: chapters/02_two\n  - file: chapters/ledger\n"
        "  - file: chapters/about\n  - file: glossary\n  - file: bibliography\n"
        "  - file: genindex\n"
    )
    glossary = "```{glossary}\nDropout\n  Units set to zero.\n\nLoss\nlosses\n  What falls.\n```\n"
    (folder / "book/glossary.md").write_text(f"# Glossary\n\n{glossary}")
    for page in ("report_figures.md", "symbols.md"):
        (folder / "book" / page).unlink()
    built = make(folder, "book")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@contextmanager
def changed(path, text=None):
    """A file is touched, or gets another text; then it is as it was, for make too."""
    good, before = path.read_bytes(), path.stat()
    try:
        path.touch() if text is None else path.write_text(text)
        yield
    finally:
        path.write_bytes(good)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


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


def page(house, name):
    return (house / f"book/_build/html/{name}.html").read_text()


def test_a_chapter_says_how_long_it_took_and_on_what(house):
    words = re.sub(r"<[^>]*>", "", page(house, "chapters/01_one"))
    assert re.search(r"runs in \d+ s\s+\d+ cores?, .*\s+profile phantom", words)
    about = re.sub(r"<[^>]*>", " ", page(house, "chapters/about"))
    notebook = nbformat.read(house / ".run/phantom/02_two.ipynb", 4)
    run = notebook.metadata["xraylib"]
    for fact in (run["date"], run["processor"], run["packages"]["keras"], "01_one", "dataset"):
        assert fact in about
    assert re.search(r"phantom\s+computed, any number\s+[0-9a-f]{64}", about)


def test_the_first_use_of_a_term_leads_to_the_glossary_and_is_in_the_index(house):
    chapter = page(house, "chapters/01_one")
    links = re.findall(r'href="../glossary.html#term-Dropout"[^>]*><span[^>]*>(\w+)<', chapter)
    assert links == ["Dropout"] and "dropout again" in re.sub("<[^>]*>", "", chapter)
    index = page(house, "genindex")
    entry = r">Dropout<.*?href=.chapters/01_one.html#use-dropout.>([^<]*)<"
    assert re.search(entry, index, re.S).group(1) == "1 01_one"
    assert "Loss" in index and "losses" not in index  # one spelling of each term


def test_launch_buttons_lead_to_the_repository_that_is_known(house, monkeypatch):
    assert "colab.research" not in page(house, "chapters/01_one")
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/their-book")
    os.utime(house / "book/index.md")
    assert make(house, "book").returncode == 0
    found = page(house, "chapters/01_one")
    name, path = "somebody/their-book", "notebooks/01_one.ipynb"
    assert f"https://colab.research.google.com/github/{name}/blob/main/{path}" in found
    assert f"https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/{path}" in found
    assert "colab.research" not in page(house, "chapters/ledger")


def test_the_notebook_to_download_is_the_one_of_the_repository(house):
    html = page(house, "chapters/01_one")
    link = re.search(r'href="(\.\./_sources/chapters/01_one\.ipynb)"', html).group(1)
    file = house / "book/_build/html/chapters" / link
    assert file.read_text() == (house / "notebooks/01_one.ipynb").read_text()


def test_the_ledger_leads_to_where_a_claim_is_judged(house):
    """Also where targets stand in a row above a box; a broken one would have failed the build."""
    page = (house / "book/_build/html/chapters/ledger.html").read_text()
    chapter = (house / "book/_build/html/chapters/01_one.html").read_text()
    for claim, anchor in (("E3b", "e3b"), ("T3.6.1-sum", "t3-6-1-sum")):
        assert re.search(rf'href="01_one.html#{anchor}"><span[^>]*>{re.escape(claim)}<', page)
        assert f'id="{anchor}"' in chapter
    sections = {claim["section"] for claim in ledger.claims().values()}
    assert page.count("<table") == 1 + len(sections)  # the first counts them


@pytest.mark.parametrize(
    "file, expected",
    [
        ("notebooks/02_two.ipynb", ["02_two"]),
        ("xraylib/data/phantoms/markers.py", ["01_one", "02_two"]),
        ("notebooks/profiles/phantom.yml", ["01_one", "02_two"]),
        ("data/xray75.csv", ["01_one", "02_two"]),
        ("book/index.md", []),
    ],
)
def test_runs_again_what_depends_on_a_change(house, file, expected):
    """Asked of make itself (-n), against the files of a finished build."""
    with changed(house / file):
        done = make(house, "-n", "book")
    assert done.returncode == 0, done.stderr
    assert sorted(ran(done)) == expected
    assert "jupyter-book build" in done.stdout


def test_a_changed_lock_runs_everything_again(house):
    """With the environment it describes, which a dry run shows without installing it."""
    with changed(house / "requirements.lock"):
        done = make(house, "-n", "book")
    assert "pip install" in done.stdout and sorted(ran(done)) == ["01_one", "02_two"]


def test_a_corrected_manifest_runs_again_what_uses_it(house, tmp_path):
    """A folder of one's own may have a blank in its name."""
    manifest = tmp_path / "my films" / "manifest.csv"
    manifest.parent.mkdir()
    manifest.write_text("file,label\n")
    profile = house / "notebooks/profiles/mine.yml"
    profile.write_text(f'dataset: "{manifest}"\nseed: 0\n')
    made = [house / f".run/mine/{name}.ipynb" for name in ("01_one", "02_two")]
    made[0].parent.mkdir()
    for path in made:
        path.write_text("{}")
    done = make(house, "-n", "chapters", "PROFILE=mine")
    assert ran(done) == [], done.stderr
    os.utime(manifest, (path.stat().st_mtime + 5,) * 2)
    done = make(house, "-n", "chapters", "PROFILE=mine")
    assert sorted(ran(done)) == ["01_one", "02_two"], done.stderr


def test_a_card_has_an_environment_of_its_own(house):
    done = make(house, "-n", "lab", "GPU=1")
    assert (
        ".venv-gpu/bin/pip install --quiet --no-deps --require-hashes -r requirements-gpu.lock"
        in done.stdout
    )
    assert ".venv-gpu/bin/jupyter lab notebooks" in done.stdout
    assert ".venv-gpu" not in make(house, "-n", "lab").stdout


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


@pytest.mark.parametrize("shown, failed", [("4", 0), ("5", 1)])
def test_checked_tables_are_compared_and_only_what_they_rest_on_runs(tmp_path, shown, failed):
    """By nbval, which `make test` calls; `make book` has run the rest."""
    shutil.copy(ROOT / "notebooks/conftest.py", tmp_path)
    path = tmp_path / "01_one.ipynb"
    changes = "import math\ntable[0] = math.floor(2.9)"
    code = "table = [1]", "slow = 1 / 0", changes, "print(table[0] + 2)", "1 / 0"
    write_notebook(path, *code)
    notebook = nbformat.read(path, 4)
    notebook.cells[5].metadata["tags"] = ["nbval-check-output"]
    notebook.cells[5].execution_count = 2
    notebook.cells[5].outputs = [new_output("stream", name="stdout", text=f"{shown}\n")]
    nbformat.write(notebook, path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", path.name],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == failed, done.stdout
    assert f"{3 - failed} passed, 3 deselected" in done.stdout and "1 / 0" not in done.stdout


def test_what_cannot_be_run_is_named(house):
    """A chapter whose parameters papermill would silently ignore, one that is no notebook, and two
    blocks of records for one place."""
    path = house / "notebooks/02_two.ipynb"
    with changed(path, path.read_text().replace('"parameters"', '"parametres"')):
        untagged = make(house, "book")
    with changed(path, "{"):
        broken = make(house, "book")
    records = house / "notebooks/records/02_two.py"
    records.parent.mkdir(exist_ok=True)
    try:
        records.write_text("# %% seed\n1\n\n# %% seed\n2\n")
        twice = make(house, "book")
    finally:
        records.unlink()
    cell, block = "notebooks/02_two.ipynb", "notebooks/records/02_two.py"
    found = (untagged, cell, "the tag 'parameters'"), (broken, cell, "no notebook")
    for done, where, what in (*found, (twice, block, "join them")):
        assert done.returncode != 0 and "Traceback" not in done.stderr
        assert f"FAILED {where}" in done.stderr and what in done.stderr


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
    with changed(path, path.read_text() + "\nSee [nowhere](chapters/03_three).\n"):
        done = make(house, "book")
    assert done.returncode != 0 and "03_three" in done.stdout + done.stderr


@pytest.mark.skipif(CHROMIUM is None, reason=MISSING)
def test_the_whole_book_as_a_pdf(house):
    done = make(house, "pdf", f"CHROMIUM={CHROMIUM}")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [each.extract_text() for each in PdfReader(house / "book/_build/book.pdf").pages]
    assert len(pages) >= 5 and "exactly 41,000 photons" in " ".join(" ".join(pages).split())
    starts = [text.strip().split("\n")[0] for text in pages]
    assert {"01_one", "02_two", "Glossary"} <= set(starts), "each file begins a new sheet"
    assert make(house, "book").stdout.splitlines() == ["book/_build/html/index.html"]


def test_a_missing_browser_is_named(house):
    done = make(house, "pdf", "CHROMIUM=")
    assert done.returncode != 0 and "CHROMIUM=path" in done.stderr


def test_a_dead_address_is_named(house):
    """Asked of a server on this machine, where one page is and another is not."""

    class Server(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path == "/here" else 404)
            self.end_headers()

        do_GET = do_HEAD

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://localhost:{server.server_port}"
    path = house / "book/index.md"
    links = f"\n[one]({address}/here) [two]({address}/gone)\n"
    with changed(path, path.read_text() + links):
        done = make(house, "links")
    server.shutdown()
    said = done.stdout + done.stderr
    assert done.returncode != 0 and f"{address}/gone" in said and f"{address}/here" not in said


def test_serve_makes_a_chapter_again_when_it_is_edited(house):
    def get():
        with urllib.request.urlopen(f"http://localhost:{port}/chapters/02_two.html") as answer:
            return answer.read().decode()

    def wait_for(what):
        for _ in range(240):
            try:
                if what in get():
                    return True
            except OSError:
                pass
            time.sleep(0.5)
        return False

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    path = house / "notebooks/02_two.ipynb"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    server = subprocess.Popen(
        ["make", "serve", f"PORT={port}"], cwd=house, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert wait_for("the set is phantom")
        with changed(path):
            write_notebook(path, "print('edited, the set is', dataset)")
            assert wait_for("edited, the set is phantom")
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def test_records_are_collected_with_provenance(house):
    notebook = nbformat.read(house / ".run/phantom/01_one.ipynb", 4)
    found = ledger.collect(notebook)
    assert list(found) == ["a.b", "verdict.E3b", "verdict.T3.6.1-sum"]
    assert found["a.b"] == {"value": 41, "text": "41,000", "kind": "exact"}
    target = house / "results.json"
    done = subprocess.run(
        [house / ".venv/bin/python", "notebooks/collect.py", ".run/phantom", target],
        cwd=house, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(target.read_text())
    assert results["records"] == found
    assert results["provenance"]["profile"] == "phantom"
    assert {"date", "commit", "python", "packages", "processor", "cores"} <= set(
        results["provenance"]
    )
