"""The rendered book: what a reader would trip over. `make test` renders it first."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import numpy as np
import pytest
from PIL import Image

from tests.book.test_chapters import judgements
from xraylib import ledger

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "book/_build/html"
ALL = sorted([*PAGES.glob("*.html"), *PAGES.glob("chapters/*.html")])
CHAPTERS = sorted((PAGES / "chapters").glob("[0-9]*.html"))

pytestmark = pytest.mark.skipif(not CHAPTERS, reason="no rendered book here; run `make book`")


def text(page):
    html = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)
    return re.sub(r"<[^>]*>", "", html)


@pytest.mark.parametrize("page", ALL, ids=lambda p: p.stem)
def test_no_number_is_missing(page):
    """Every number that a chapter quotes from results/ was measured, every glued one is there."""
    words = text(page)
    assert "not measured yet" not in words
    assert "{glue" not in words and "{cite" not in words and "{numref" not in words


@pytest.mark.parametrize("page", ALL, ids=lambda p: p.stem)
def test_no_warnings_or_errors_on_the_page(page):
    words = text(page)
    for sign in ("Traceback (most recent call last)", "WARNING:", "DeprecationWarning", "it/s]"):
        assert sign not in words


def test_all_chapters_are_reached_from_the_first_page():
    first = (PAGES / "index.html").read_text()
    for page in ALL:
        assert page.stem in ("index", "search") or f'{page.stem}.html"' in first


def test_figures_have_captions_and_alternative_texts():
    for page in CHAPTERS:
        html = page.read_text()
        # Parts of a figure for a phone have one text together.
        parted = re.findall(
            r'<div class="panels" role="img" aria-label="([^"]*)">.*?</div></div>', html
        )
        html = re.sub(r'<div class="panels".*?</div></div>', "", html)
        images = re.findall(r"<img[^>]*src=\"\.\./_images[^>]*>", html)
        assert len(images) >= 4
        texts = [re.search(r"alt=\"([^\"]*)\"", image)[1] for image in images]
        assert all(" " in text for text in texts) and set(parted) <= set(texts)
        assert html.count("<figcaption") == len(images)


class Links(HTMLParser):
    """What a page has to offer, and what it asks for."""

    def __init__(self, page):
        super().__init__()
        self.anchors, self.targets = set(), []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("id", "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def test_every_link_inside_the_book_leads_to_something_that_is_there():
    """Files and anchors, of pages, pictures, styles and scripts."""
    pages = {page: Links(page) for page in ALL}
    dead = []
    for page, links in pages.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchors = pages[file].anchors if file in pages else set()
            of_page = parts.fragment and not parts.fragment.startswith("svgView(")
            if not file.is_file() or (of_page and unquote(parts.fragment) not in anchors):
                dead.append(f"{page.name}: {target}")
    assert dead == []


def test_nothing_but_a_link_leads_out_of_the_book():
    """No script, style, font or picture comes from elsewhere, nor one that waits for a click."""
    for page in ALL:
        html = page.read_text()
        assert re.findall(r'<(?!a\s)\w+[^>]*(?:src|href)="(?:https?:)?//[^"]*"', html) == []
        assert "unpkg" not in html and "cdn." not in html
    for style in (PAGES / "_static").rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text()), style


def test_every_chapter_has_exercises_with_solutions_that_run():
    """The solutions are cells of the notebook: papermill runs them for the page."""
    for page in CHAPTERS:
        questions = re.findall(r"<strong>\d+\. [^<]+</strong>", page.read_text())
        assert len(questions) >= 3
        notebook = nbformat.read(ROOT / f"notebooks/{page.stem}.ipynb", 4)
        solved = [c for c in notebook.cells if "hide-cell" in c.metadata.get("tags", [])]
        assert len(solved) == len(questions), page.stem
        assert all(cell.cell_type == "code" and cell.source for cell in solved)


def test_the_picture_of_the_title_page_is_that_of_the_results(tmp_path):
    """Its numbers cannot be others than those of results/."""
    drawn = tmp_path / "cover.png"
    script = [ROOT / "book/_pages/cover.py", ROOT / "results/measured.json", drawn]
    subprocess.run([sys.executable, *script], check=True)
    pictures = [np.asarray(Image.open(p), int) for p in (drawn, ROOT / "results/cover.png")]
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5, "run: make results"


def test_mathematics_comes_with_the_book():
    html = (PAGES / "chapters/02_data.html").read_text()
    sources = re.findall(r"<script[^>]*src=\"([^\"]*mathjax[^\"]*)\"", html, flags=re.I)
    assert sources
    for source in sources:
        assert not source.startswith(("http", "//"))
        assert (PAGES / "chapters" / source.split("?")[0]).resolve().is_file()


def test_every_claim_in_the_ledger_leads_to_where_it_is_judged():
    page = PAGES / "chapters/ledger.html"
    tables = re.findall(r"<table.*?</table>", page.read_text(), flags=re.S)
    claims = [table for table in tables if "<p>Claim</p>" in table.split("</thead>")[0]]
    rows = [row for table in claims for row in re.findall(r"<tr.*?</tr>", table, flags=re.S)]
    rows = [row for row in rows if "<td" in row]
    assert len(rows) == len(ledger.claims())
    links = [re.search(r'<td[^>]*>(?:<p>)?<a [^>]*href="([^"#]+)#([^"]+)"', row) for row in rows]
    links = [link for link in links if link]  # the others were judged by reading
    judged = [judgements(nbformat.read(path, 4)) for path in ROOT.glob("notebooks/0*.ipynb")]
    assert len(links) == sum(len(names) for chapter in judged for names, _ in chapter)
    for link in links:
        chapter = (page.parent / link.group(1)).read_text()
        assert f'id="{link.group(2)}"' in chapter, link.group(0)
