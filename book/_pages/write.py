"""Write the pages that a run makes: ``write.py RUN RESULTS.json FOLDER [--films RUN]``.

RUN: a folder of executed chapters. FOLDER gets each of them as a page, the ledger, and "About this
run". With --films, figures that show films are those of that other run.
"""

import argparse
import json
from pathlib import Path

import about_page
import chapter_page
import cover
import ledger_page
import nbformat
import scale_page
import tour_page


def executed(run):
    """The chapters of a run, by name; ValueError if there are none."""
    paths = sorted(p for p in run.glob("[0-9]*.ipynb") if ".partial" not in p.name)
    if not paths:
        raise ValueError(f"{run}: expected executed chapters, found none; run `make book`")
    return {path.stem: nbformat.read(path, as_version=4) for path in paths}


def pages(run, results, films=None):
    """All pages: dict from file name to text; ValueError says what is missing or wrong."""
    chapters = executed(run)
    stand_ins = executed(films) if films else {}
    try:
        measured = json.loads(results.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{results}: expected measurements, but: {error}; run `make results`"
        ) from None
    reproduced = [_beside(results, name) for name in ("reproduced", "reproduced_elsewhere")]
    scratch = _beside(results, "scratch")
    if scratch:
        measured["records"] |= scratch["records"]
    known_as = f"{results.parent.name}/{results.name}"
    found = {
        "ledger.md": ledger_page.page(chapters, measured),
        "about.md": about_page.page(
            chapters, known_as, measured["provenance"], filter(None, reproduced), scratch
        ),
        "cover.md": cover.caption(measured["records"]),
    }
    if scale := _beside(results, "scale"):
        found["scale.md"], found["scale.svg"] = scale_page.page(scale, _beside(results, "card"))
    found |= tour_page.page(measured["records"])
    for name, notebook in chapters.items():
        try:
            if films:
                chapter_page.replace_films(notebook, stand_ins[name])
            found[f"{name}.ipynb"] = nbformat.writes(chapter_page.page(notebook))
        except ValueError as error:
            raise ValueError(f"{run / name}.ipynb: {error}") from None
    return found


def _beside(results, name):
    """What another file of measurements holds, or None."""
    path = results.with_name(f"{name}.json")
    return json.loads(path.read_text()) if path.exists() else None


def main():
    """Parse the command line and write the pages, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--films", type=Path)
    arguments = parser.parse_args()
    try:
        found = pages(arguments.run, arguments.results, arguments.films)
    except ValueError as error:
        parser.error(str(error))
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for old in arguments.folder.iterdir():
        if old.name not in found:
            old.unlink()
    for name, text in found.items():
        path = arguments.folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    main()
