"""The chapters as text: they read without Sphinx, and no number stands in them by hand."""

import ast
import os
import re
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest

from xraylib import ledger

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book/_pages"), str(ROOT / "book/_ext")]
import chapter_buttons  # noqa: E402
import marks  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
FIGURES = marks.figures(NOTEBOOKS)
FOLDED = {"hide-input", "hide-cell"}
CLAIMS = ledger.claims()
REPORT = os.environ.get("XRAYLIB_REPORT")


def chapter(path):
    return nbformat.read(path, as_version=4)


def prose(notebook):
    """(where, text) of all that is read: Markdown, and captions of figures."""
    for cell in notebook.cells:
        for name, holder in marks.texts(cell):
            yield f"cell {cell.id}", holder[name]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def tags(cell):
    return set(cell.metadata.get("tags", []))


every_chapter = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@every_chapter
def test_prose_reads_without_sphinx(path):
    """In JupyterLab, on GitHub and on Colab nothing stands there but what is meant."""
    for where, text in prose(chapter(path)):
        roles = re.findall(r"\{[a-z:]+\}`[^`]*`|^```\{.*|^:::.*|^\([\w.-]+\)=.*", text, re.M)
        assert roles == [], where


@every_chapter
def test_marked_numbers_are_those_of_the_results(path):
    for where, text in prose(chapter(path)):
        assert marks.renewed(text, FIGURES) == text, f"{where}: run `make results`"


def numbers_of(text):
    return {float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


@every_chapter
def test_no_number_is_typed_by_hand(path):
    """What is not marked stands in the code, in the report, or in a source that is cited."""
    notebook = chapter(path)
    known = numbers_of(" ".join(cell.source for cell in code(notebook)))
    known |= numbers_of((ROOT / "data/report.json").read_text())
    known |= numbers_of(" ".join(claim["quote"] for claim in CLAIMS.values()))
    known |= set(range(13)) | {95.0, 0.95, 100.0}
    found = []
    for where, text in prose(notebook):
        for sentence in re.split(r"(?<=[.:;?!|])\s", text):
            if "](cite:" in sentence:
                continue
            plain = marks.MARK.sub("", sentence)
            plain = re.sub(
                r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|https?:\S+", "", plain, flags=re.S
            )
            plain = re.sub(
                r"[Ss]ections? [\d., and–]*|Figures? [\d., and–]*|[Cc]hapter \d+", "", plain
            )
            plain = re.sub(r"^\d+\.|\*\*\d+\.", "", plain, flags=re.M)
            words = re.findall(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?![\w-])", plain)
            found += [
                (where, w) for w in words if float(w.strip(",").replace(",", "")) not in known
            ]
    assert found == []


@every_chapter
def test_cells_are_short_and_folded_cells_are_folded_everywhere(path):
    for cell in code(chapter(path)):
        folded = tags(cell) & FOLDED
        if not tags(cell) & {"remove-cell", "parameters"}:
            assert len(lines(cell)) <= (25 if folded else 20), f"cell {cell.id}"
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert hidden == bool(folded or "remove-cell" in tags(cell)), f"cell {cell.id}"


@every_chapter
def test_there_is_hardly_any_bookkeeping(path):
    cells = code(chapter(path))
    kept = sum(len(lines(cell)) for cell in cells if "remove-cell" in tags(cell))
    noted = sum("ledger.record(" in cell.source for cell in cells)
    assert noted == 0 and kept <= 0.03 * sum(len(lines(cell)) for cell in cells)


def judgements(notebook):
    """(names, the expression of the evidence) of each call of ledger.judge."""
    for cell in code(notebook):
        if "ledger.judge(" in cell.source:
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "ledger.judge":
                    yield ast.literal_eval(node.args[0]).split(), node.args[1]


def test_claims_are_judged_once_and_by_evidence():
    judged = []
    for path in NOTEBOOKS:
        for names, evidence in judgements(chapter(path)):
            judged += names
            assert any(isinstance(n, ast.Name) for n in ast.walk(evidence)), names
    assert sorted(set(judged)) == sorted(judged)
    assert set(judged) <= CLAIMS.keys()
    measured = {name for name, claim in CLAIMS.items() if "measured" in claim["sources"]}
    assert measured - set(judged) == set()


def test_every_claim_is_whole():
    from pybtex.database import parse_file

    known = parse_file(ROOT / "book/references.bib").entries.keys() | ledger.GROUNDS.keys()
    for name, claim in CLAIMS.items():
        assert claim["verdict"] in ledger.VERDICTS, name
        assert claim["sources"] and set(claim["sources"]) <= set(known), name
        ledger.filled(claim["found"])


@pytest.mark.skipif(not REPORT, reason="XRAYLIB_REPORT does not name the report's text")
def test_quotes_are_the_reports_words_where_they_are_said_to_stand():
    text = Path(REPORT).read_text()
    heads = {0: ""}
    for match in re.finditer(r"^#+ (?:(\d[\d.]*)|(References)|(Appendi)ces)\b", text, re.M):
        heads[match.start()] = match[1] or match[2] or match[3] and "Appendix"
    for name, claim in CLAIMS.items():
        if claim["section"] == "notebook":
            continue
        words = r"\s+".join(map(re.escape, claim["quote"].split()))
        places = [match.start() for match in re.finditer(words, text)]
        sections = [heads[max(start for start in heads if start <= place)] for place in places]
        assert claim["section"] in sections, name


def test_the_report_is_judged_section_by_section():
    sections = {claim["section"] for claim in CLAIMS.values()}
    assert len(CLAIMS) >= 150 and len(sections) >= 30
    counts = [claim["verdict"] for claim in CLAIMS.values()]
    assert set(counts) == set(ledger.VERDICTS)


def test_a_mark_takes_what_stands_before_it(monkeypatch):
    said = {"a": "7 of 9", "a:range": "6 to 8", "b": "0.03 (-0.12 to 0.17)", "c": "none"}
    monkeypatch.setattr(marks, "said", lambda key: said[key])
    text = (
        "The 75 films: 1 of 9<!--a--> (0 to 1<!--a:range-->), by 0.3 (-1.2–1.7)<!--b-->, "
        "**x y**<!--c-->."
    )
    assert marks.renewed(text) == (
        "The 75 films: 7 of 9<!--a--> (6 to 8<!--a:range-->), by 0.03 (-0.12 to 0.17)<!--b-->, "
        "**none**<!--c-->."
    )


@pytest.mark.parametrize("expression, value", [("75*23", "1,725"), ("2**8/3", "85.33")])
def test_arithmetic_in_a_mark(expression, value):
    assert marks.computed(expression) == value
    with pytest.raises(ValueError, match="plain arithmetic"):
        marks.computed("open('x')")


def test_a_page_is_made_of_plain_markdown():
    text = (
        "<!--(place)=-->\n## Title\n\nAs [Pan and Yang 2010, p. 3](cite:pan2010survey) say, "
        "[Figure 3.1](#fig-x) has 7 of 9<!--a-->.\n\n> **Seeds.** One\n> two.\n"
    )
    assert marks.myst(text) == (
        "(place)=\n## Title\n\nAs {cite:alp}`pan2010survey`, p. 3 say, {numref}`fig-x` has 7 of 9."
        "\n\n:::{admonition} Seeds\n:class: note\nOne\ntwo.\n:::\n"
    )
    warning = "> **Danger.**<!--warning--> Three.\n"
    assert marks.renewed(warning) == warning
    assert marks.myst(warning) == ":::{admonition} Danger\n:class: warning\nThree.\n:::\n"
    with pytest.raises(ValueError, match="Pan and Yang 2010"):
        marks.myst("[Pan 2010](cite:pan2010survey)")


@every_chapter
def test_a_downloaded_chapter_knows_its_repository(path):
    """On Colab a chapter fetches the rest of the book; the published copy need not ask where."""
    published = nbformat.reads(chapter_buttons.answered(path.read_text(), "who/book"), 4)
    cells = [cell.source for cell in code(published) if "google.colab" in cell.source]
    assert len(cells) == 1 and "input(" not in cells[0]
    assert 'address = "https://github.com/who/book"' in cells[0]


@every_chapter
def test_what_a_chapter_imports_is_declared(path):
    """By the package or its extra "chapters": with these two Colab has all."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = project["dependencies"] + project["optional-dependencies"]["chapters"]
    declared = {re.match(r"[\w-]+", line)[0].lower() for line in declared}
    here = {"xraylib", "tensorflow", "threadpoolctl", *sys.stdlib_module_names}  # scikit-learn's
    own = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python-headless"}
    for cell in code(chapter(path)):
        source = "\n".join(line for line in cell.source.splitlines() if line.strip()[:1] != "!")
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in (name.split(".")[0] for name in names):
                assert name in here or own.get(name, name).lower() in declared, name
