"""Sphinx extension: buttons of a chapter: the notebook as a file, on Colab, on Binder.

The theme's own would offer the executed copy, whose path no repository has.
"""

import os
import re
import subprocess
from pathlib import Path


def repository():
    """The repository's owner/name on GitHub, by the workflow or the checkout; None if unknown."""
    if name := os.environ.get("GITHUB_REPOSITORY"):
        return name
    asked = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    found = re.search(r"github\.com[:/]([\w.-]+/[\w.-]+?)(?:\.git)?/?$", done.stdout.strip())
    return found.group(1) if found else None


def buttons(app, pagename, templatename, context, doctree):
    """Put them in place of the theme's."""
    header = context.get("header_buttons", [])
    chapter = re.match(r"chapters/(\d\w+)$", pagename)
    for group in [b for b in header if b.get("label") == "download-buttons"]:
        kept = ["download-pdf-button"] + ["download-source-button"] * bool(chapter)
        group["buttons"] = [b for b in group["buttons"] if b["label"] in kept]
        for button in group["buttons"]:
            if button["label"] == "download-source-button":
                button["tooltip"] = "The notebook of this chapter, ready to run"
    name = app.config.chapter_buttons_repository
    if chapter and name:
        path = f"notebooks/{chapter.group(1)}.ipynb"
        colab = f"https://colab.research.google.com/github/{name}/blob/main/{path}"
        binder = f"https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/{path}"
        links = [("Colab", colab, "a graphics card"), ("Binder", binder, "a processor")]
        header.insert(
            0,
            {
                "type": "group",
                "tooltip": "Run this chapter in the browser",
                "icon": "fas fa-rocket",
                "label": "launch-buttons",
                "buttons": [
                    {"type": "link", "url": url, "text": text, "icon": "fas fa-rocket",
                     "tooltip": f"On {text}, with {what}", "label": f"launch-{text.lower()}"}
                    for text, url, what in links
                ],
            },
        )  # fmt: skip


def answered(text, name):
    """The text of a notebook that asks on Colab for the repository, with its owner/name put in."""
    asked = r"input\(.*https://github\.com/\.\.\.: ..?\)"
    return re.sub(asked, lambda _: f'\\"https://github.com/{name}\\"', text)


def notebooks(app, exception):
    """What is downloaded is the notebook as it stands in the repository, without outputs.

    Where the repository is known, the copy does not ask for it on Colab.
    """
    copies = Path(app.outdir) / "_sources/chapters"
    if exception is None and app.builder.name == "html" and copies.is_dir():
        name = app.config.chapter_buttons_repository
        for notebook in (Path(app.srcdir).parent / "notebooks").glob("[0-9]*.ipynb"):
            text = notebook.read_text(encoding="utf-8")
            text = answered(text, name) if name else text
            (copies / notebook.name).write_text(text, encoding="utf-8")


def setup(app):
    """Called by Sphinx."""
    app.add_config_value("chapter_buttons_repository", repository(), "html", [str, type(None)])
    app.connect("html-page-context", buttons, priority=900)
    app.connect("build-finished", notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
