"""The rendered book: what a reader would trip over. `make test` renders it first."""

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parent.parent / "book/_build/html"
CHAPTERS = sorted((PAGES / "chapters").glob("*.html"))  # and the ledger

pytestmark = pytest.mark.skipif(not CHAPTERS, reason="no rendered book here; run `make book`")


def text(page):
    html = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.S)
    return re.sub(r"<[^>]*>", "", html)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_no_number_is_missing(page):
    """Every number that a chapter quotes from results/ was measured, every glued one is there."""
    words = text(page)
    assert "not measured yet" not in words
    assert "{glue" not in words and "{cite" not in words and "{numref" not in words


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda p: p.stem)
def test_no_warnings_or_errors_on_the_page(page):
    words = text(page)
    for sign in ("Traceback (most recent call last)", "WARNING:", "DeprecationWarning", "it/s]"):
        assert sign not in words


def test_all_chapters_are_reached_from_the_first_page():
    first = (PAGES / "index.html").read_text()
    for page in CHAPTERS:
        assert f"chapters/{page.name}" in first


def test_figures_have_captions_and_alternative_texts():
    for page in CHAPTERS:
        if page.stem == "ledger":
            continue  # tables only
        html = page.read_text()
        images = re.findall(r"<img[^>]*src=\"\.\./_images[^>]*>", html)
        assert len(images) >= 4
        for image in images:
            alt = re.search(r"alt=\"([^\"]*)\"", image)
            assert alt and " " in alt.group(1), image
        assert html.count("<figcaption") == len(images)


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
    rows = [row for table in tables for row in re.findall(r"<tr.*?</tr>", table, flags=re.S)]
    for row in [row for row in rows if "<td" in row]:
        link = re.search(r'<td[^>]*>(?:<p>)?<a [^>]*href="([^"#]+)#([^"]+)"', row)
        assert link, row
        chapter = (page.parent / link.group(1)).read_text()
        assert f'id="{link.group(2)}"' in chapter, link.group(0)
