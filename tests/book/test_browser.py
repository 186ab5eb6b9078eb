"""The rendered book in a real browser, opened from the disk: what a reader meets."""

import io
import re
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlparse
from urllib.request import url2pathname

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.book.browser import NEEDS_BOOK, PAGES, address

pytestmark = NEEDS_BOOK
FOUND = [*PAGES.glob("*.html"), *PAGES.glob("chapters/*.html")]
ALL = sorted(path.relative_to(PAGES).as_posix() for path in FOUND)
CHAPTERS = [page for page in ALL if re.match(r"chapters/\d", page)]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}


@contextmanager
def pages(browser):
    """Open pages without a network; an error if one asks for it, or logs an error."""
    complaints, contexts = [], []

    def open_page(page, query="", **options):
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        context.set_offline(True)
        tab = context.new_page()
        tab.on("request", lambda r: None if local(r.url) else complaints.append(f"asks {r.url}"))
        tab.on("requestfailed", lambda r: complaints.append(f"misses {r.url}"))
        tab.on("pageerror", lambda error: complaints.append(f"fails: {error}"))
        tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        tab.goto(address(page) + query)
        tab.wait_for_load_state("load")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def open_page(browser):
    with pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module", params=ALL)
def opened(request, browser):
    """(page, tab): each page of the book, opened once on a phone for all that is asked of it."""
    with pages(browser) as open_page:
        yield request.param, open_page(request.param, viewport=PHONE)


def local(url):
    return url.startswith(("file:", "data:", "blob:"))


def test_a_page_needs_no_network_and_nothing_is_wider_than_a_phone(opened):
    page, tab = opened
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    # What it loads before a reader asks for more, the page itself included.
    loaded = "performance.getEntriesByType('resource').map(entry => entry.name)"
    files = {PAGES / page} | {
        Path(url2pathname(urlparse(url).path))
        for url in tab.evaluate(loaded)
        if url.startswith("file:")
    }
    weight = sum(file.stat().st_size for file in files if file.is_file())
    assert weight < (4e6 if page == "index.html" else 6e6)
    broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
    assert tab.evaluate(broken) == []


def test_mathematics_is_set(opened):
    page, tab = opened
    if 'class="math' in (PAGES / page).read_text():
        tab.evaluate("MathJax.startup.promise.then(() => null)")
        assert tab.locator("mjx-container").count() > 0
        assert tab.locator("mjx-merror").all_inner_texts() == []
    assert "\\(" not in tab.locator("main").inner_text()


def test_a_wide_figure_can_be_scrolled_by_keyboard_on_a_phone(opened):
    _, tab = opened
    for figure in tab.locator("figure:has(.scroll[tabindex='0'])").all():
        figure.locator(".scroll").focus()
        tab.keyboard.press("ArrowRight")
        tab.wait_for_function("document.activeElement.scrollLeft > 0")


# Pixels a point of each view in a row, as the browser draws it.
SCALES = """row => [...row.children].map(view => {
  const padding = parseFloat(getComputedStyle(view).paddingLeft);
  return (view.getBoundingClientRect().width - 2 * padding) / parseFloat(view.style.aspectRatio);
})"""


def test_on_a_phone_the_panels_of_a_wide_figure_stand_one_below_the_other(opened):
    page, tab = opened
    figures = tab.locator("figure:has(.panels)").all()
    assert figures or page not in CHAPTERS
    for figure in figures:
        rows = figure.locator(".panels > div")
        boxes = [row.bounding_box() for row in rows.all()]
        ends = [box["y"] + box["height"] for box in boxes]
        assert all(end <= box["y"] for end, box in zip(ends, boxes[1:], strict=False))
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        assert len(boxes) > 1 and figure.locator("> .scroll").is_hidden()
    # Numbers that stand beside a panel fit its lines, in both modes.
    for mode in ("dark", "light"):
        tab.emulate_media(color_scheme=mode)
        tab.wait_for_function(f"document.documentElement.dataset.theme == '{mode}'")
        for row in tab.locator(".panels > div:has(img + img)").all():
            assert np.ptp(row.evaluate(SCALES)) < 0.02
    # Where there is room the figure is whole, and only there: nobody meets it twice.
    tab.set_viewport_size(DESK)
    for figure in figures:
        assert figure.locator(".panels").is_hidden() and figure.locator("> .scroll").is_visible()
    tab.set_viewport_size(PHONE)


def test_solutions_wait_until_they_are_asked_for(opened):
    page, tab = opened
    if page not in CHAPTERS:
        return
    solutions = tab.locator("details", has=tab.get_by_text("Show a solution", exact=True))
    assert solutions.count() >= 3
    first = solutions.first
    assert first.locator(".cell_input").is_hidden()
    first.locator("summary").click()
    assert first.locator(".cell_input").is_visible()


# axe takes half a minute for a long page: of code and rows that look alike, one is examined.
# MathJax looks after its own mathematics.
ONE_OF_A_KIND = """() => {
  const seen = new Set();
  document.querySelectorAll("mjx-container").forEach(each => each.remove());
  document.querySelectorAll(".highlight, tbody tr").forEach(each => {
    const looks = [...each.querySelectorAll("*")].map(e => `${e.localName}.${e.className}`);
    looks.some(look => !seen.has(look)) ? looks.forEach(look => seen.add(look)) : each.remove();
  });
}"""


def test_no_barrier_that_axe_calls_serious(opened):
    """axe-core's rules; in dark mode those of colour, as the rest is alike. The last to ask, as it
    takes the page to pieces."""
    _, tab = opened
    tab.set_viewport_size(DESK)
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    tab.evaluate(ONE_OF_A_KIND)
    # Pictures come late: a box takes the focus once it does scroll.
    tab.wait_for_function(
        "[...document.querySelectorAll('.scroll')]"
        ".every(box => box.tabIndex == 0 || box.scrollWidth <= box.clientWidth + 1)"
    )
    options = {"preload": False, "resultTypes": ["violations", "incomplete"]}
    found = barriers(tab, options)
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    options["runOnly"] = ["color-contrast", "link-in-text-block"]
    found += barriers(tab, options)
    assert [
        (each["id"], node["html"][:200], node["failureSummary"])
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ] == []


def barriers(tab, options):
    """Violations; and text in the very colour of its ground, of which axe is not sure."""
    response = Axe().run(tab, options=options).response
    found = response["violations"]
    for each in response["incomplete"]:
        checks = [(node, check) for node in each["nodes"] for check in node["any"]]
        same = [n for n, check in checks if (check["data"] or {}).get("messageKey") == "equalRatio"]
        found += [each | {"nodes": same}] * bool(same)
    return found


def test_dark_mode_keeps_figures_on_white(open_page):
    tab = open_page(CHAPTERS[1], color_scheme="dark")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    ground = "images => images.map(image => getComputedStyle(image).backgroundColor)"
    colours = tab.locator("figure img").evaluate_all(ground)
    assert len(colours) >= 4 and set(colours) == {"rgb(255, 255, 255)"}
    tab.get_by_role("button", name="Color mode").click()
    assert tab.evaluate("document.documentElement.dataset.mode") != "auto"


def test_what_is_dark_on_the_screen_is_printed_on_white(open_page):
    tab = open_page(CHAPTERS[1], color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor %s 'rgb(255, 255, 255)'"
    for media, is_white in {"print": "==", "screen": "!="}.items():
        tab.emulate_media(media=media)
        tab.wait_for_function(ground % is_white)


def test_search_finds_from_the_disk(open_page):
    tab = open_page("search.html", query="?q=occlusion")
    tab.locator("#search-results li").first.wait_for()
    found = tab.locator("#search-results li").all_inner_texts()
    assert any("Evaluation" in each for each in found)


def natural(claim):
    """E2 before E10, small and capital letters alike, as the page sorts."""
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", claim.lower())]


def test_the_ledger_filters_and_sorts(open_page):
    tab = open_page("chapters/ledger.html")
    rows = tab.locator("table.ledger tbody tr:visible")
    count = rows.count()
    assert tab.locator(".ledger-tools output").inner_text() == f"{count} of {count} claims shown"
    tab.get_by_label("Verdict").select_option("not supported")
    few = rows.count()
    assert 0 < few < count
    verdicts = tab.locator("table.ledger tbody tr:visible td:nth-child(3)")
    assert set(verdicts.all_inner_texts()) == {"not supported"}
    tab.get_by_label("Verdict").select_option("all")
    tab.get_by_label("Words").fill("plot CLASSES")
    assert 0 < rows.count() < few
    tab.get_by_label("Words").fill("no claim has these words")
    assert rows.count() == 0
    assert tab.get_by_role("heading", name="Model evaluation").is_hidden()
    tab.get_by_label("Words").fill("")
    tab.get_by_label("Section").select_option("3.5.1 Hierarchical clustering")
    claims = tab.locator("table.ledger tbody tr:visible td:first-child")
    before = sorted(claims.all_inner_texts(), key=natural)
    head = tab.get_by_role("columnheader", name="Claim").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending" and claims.all_inner_texts() == before
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert claims.all_inner_texts() == before[::-1]


def test_a_row_of_the_ledger_leads_to_the_cell_that_measured_it(open_page):
    tab = open_page("chapters/ledger.html")
    row = tab.locator("table.ledger tbody tr", has=tab.get_by_role("link", name="E4f", exact=True))
    row.get_by_role("link", name="E4f", exact=True).click()
    assert tab.url.endswith("05_evaluation.html#e4f")
    box = tab.locator(".admonition", has=tab.locator("#e4f"))
    assert "[[33, 0], [32, 0]]" in box.inner_text()


def test_on_a_phone_a_row_of_the_checklist_is_a_card(open_page):
    tab = open_page("chapters/06_covid19.html", viewport={"width": 390, "height": 844})
    row = tab.locator("table.cards tbody tr").nth(1)
    cells = [cell.bounding_box() for cell in row.locator("td:not(:empty)").all()]
    assert len(cells) == 3  # its part stands in the row above
    assert all(a["y"] + a["height"] <= b["y"] + 1 for a, b in zip(cells, cells[1:], strict=False))
    assert row.evaluate("row => row.scrollWidth <= row.clientWidth")


def test_on_a_phone_a_row_of_the_ledger_is_a_card(open_page):
    tab = open_page("chapters/ledger.html", viewport={"width": 390, "height": 844})
    row = tab.locator("table.ledger tbody tr").first
    lefts = {round(cell.bounding_box()["x"]) for cell in row.locator("td").all()}
    assert len(lefts) == 1  # one below the other
    labels = row.locator("td").evaluate_all("cells => cells.map(cell => cell.dataset.label)")
    assert labels[0] == "Claim" and labels[-1] == "What the book finds"


def test_a_view_of_a_panel_shows_what_the_figure_shows_there(open_page):
    """The browser takes the box from the address; where it did not, all would be the whole."""
    from PIL import Image, ImageChops

    def picture(locator, width):
        seen = Image.open(io.BytesIO(locator.screenshot())).convert("L")
        return seen.resize((width, width * seen.height // seen.width))

    tab = open_page("chapters/01_theory.html", viewport={"width": 390, "height": 2000})
    views = tab.locator("#fig-losses .panels img")
    boxes = [list(map(float, re.findall(r"[\d.]+", view.get_attribute("src").split("viewBox")[1])))
             for view in views.all()]  # fmt: skip
    alone = [picture(view, 200) for view in views.all()]
    tab.set_viewport_size({"width": 1200, "height": 2000})
    tab.wait_for_timeout(500)  # until the figure is drawn in its new size, on a busy machine too
    whole = tab.locator("#fig-losses .scroll > img")
    natural = whole.evaluate("image => image.naturalWidth") * 3 / 4  # points
    seen = Image.open(io.BytesIO(whole.screenshot())).convert("L")
    scale = seen.width / natural
    edges = [[round(scale * v) for v in (x, y, x + w, y + h)] for x, y, w, h in boxes]
    for number, view in enumerate(alone):
        there = [seen.crop(box).resize(view.size) for box in edges]
        apart = [np.mean(ImageChops.difference(view, each)) for each in there]
        assert np.argmin(apart) == number and apart[number] < 12, apart
    assert np.mean(ImageChops.difference(alone[0], alone[1].resize(alone[0].size))) > 12


def test_a_term_leads_to_the_glossary_and_the_index_back(open_page):
    tab = open_page("chapters/01_theory.html")
    tab.locator("article a:has(> .std-term)", has_text="dropout").first.click()
    assert "glossary.html#term-" in tab.url.lower()
    tab = open_page("genindex.html")
    tab.locator("a[href*='01_theory.html#use-']").first.click()
    tab.wait_for_load_state("load")
    anchor = tab.url.split("#")[1]
    assert tab.locator(f"[id='{anchor}']").count() == 1


def test_previous_and_next_lead_through_the_whole_book():
    page, seen = "index.html", []
    while page not in seen:
        seen.append(page)
        following = re.search(r'class="right-next"\s+href="([^"]+)"', (PAGES / page).read_text())
        page = urljoin(page, following[1]) if following else page
    assert set(seen) == set(ALL) - {"search.html"}
