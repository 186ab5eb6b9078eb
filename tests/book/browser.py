"""Open pages in the machine's Chromium, from the disk, as a reader would."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

PAGES = Path(__file__).resolve().parents[2] / "book/_build/html"
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
MISSING = "no Chromium on PATH; install it, or name one: CHROMIUM=path"
NEEDS_BOOK = [
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.skipif(
        not (PAGES / "index.html").exists(), reason="no rendered book here; run `make book`"
    ),
]


@contextmanager
def chromium():
    """A browser; it ends with the block."""
    # As root, in a container, Chromium's own sandbox refuses to work.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def address(page):
    """file:// and so on, of a page such as "chapters/ledger.html"."""
    return (PAGES / page).as_uri()
