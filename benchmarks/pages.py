"""The rendered book as pages, against the same as one document, which the report is."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.book.browser import CHROMIUM, chromium

BUILT = Path(__file__).resolve().parent.parent / "book/_build"
WAYS = {
    "one document": BUILT / "singlehtml/index.html",
    "its longest chapter": BUILT / "html/chapters/01_theory.html",
    "its first page": BUILT / "html/index.html",
}
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime / 1000"
SET = "window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => null) : null"


def run():
    """Time to the first sight of a page, to the last formula, and what it loads from the disk."""
    print("\nPages, opened from the disk in Chromium, best of three")
    if CHROMIUM is None or not all(page.exists() for page in WAYS.values()):
        print("  left out: needs Chromium, and both forms of the book: make book pdf")
        return
    size = sum(path.stat().st_size for path in (BUILT / "html").rglob("*") if path.is_file())
    print(f"  the whole folder: {size / 1e6:.1f} MB")
    seen = {name: [] for name in WAYS}
    with chromium() as browser:
        for _ in range(3):
            for name, page in WAYS.items():
                seen[name].append(_open(browser, page))
    slowest = None
    for name, rounds in seen.items():
        painted, done, size = map(min, zip(*rounds, strict=True))
        slowest = slowest or painted
        ratio = slowest / painted
        print(
            f"  {name:<24}{size / 1e6:6.1f} MB   first sight {painted:.2f} s {ratio:5.1f} ×"
            f"   complete {done:.2f} s"
        )


def _open(browser, page):
    """(seconds to the first contentful paint, seconds until all is set, bytes loaded)."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    tab, files = context.new_page(), set()
    tab.on("request", lambda request: files.add(unquote(urlsplit(request.url).path)))
    tab.goto(page.as_uri())
    tab.evaluate(SET)
    done, painted = tab.evaluate("performance.now() / 1000"), tab.evaluate(PAINTED)
    context.close()
    return painted, done, sum(os.path.getsize(file) for file in files if os.path.isfile(file))
