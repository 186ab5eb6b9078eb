"""Write the ledger's page: ``ledger_page.py FOLDER RESULTS.json PAGE.md``.

Folder: the executed chapters. Results: what was measured on the report's images.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import nbformat

from xraylib import ledger

GROUPS = {"E": "Experiments", "D": "The data set's traps", "T": "Theory"}
INTRO = """\
(ledger)=
# The ledger: every claim and how it stands

Each row is a claim of the report, written down by the cell that tests it; the id leads to \
the place where it is judged. How a claim about experiments or images stands is decided on \
real images, the report's own 75 and, for COVID-19, a set under open licences: by the run \
of {date} (profile `{profile}`, commit `{commit}`), whose numbers are in `{results}`. \
"This run" is the one that made these pages, with the \
profile `{now}`. Claims of theory, ids beginning with T, do not depend on images.

**{n} claims**: {counts}.
"""


def judged(folder):
    """The verdicts of executed chapters.

    Args:
        folder: where the chapters are.

    Returns:
        dict claim → verdict as :func:`xraylib.ledger.verdict` takes it, and the chapters.

    Raises:
        ValueError: no chapter, or a claim was recorded twice.
    """
    paths = sorted(p for p in folder.glob("[0-9]*.ipynb") if ".partial" not in p.name)
    if not paths:
        raise ValueError(
            f"{folder}: expected executed chapters, found none; run `make book` first"
        )
    chapters = [nbformat.read(path, as_version=4) for path in paths]
    found, where = {}, {}
    for path, chapter in zip(paths, chapters, strict=True):
        try:
            records = verdicts(ledger.collect(chapter))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if twice := found.keys() & records.keys():
            claim = min(twice)
            raise ValueError(
                f"{path}: expected each claim once, but {claim} has a verdict in "
                f"{where[claim]} too; give one of them an id of its own"
            )
        found |= records
        where |= dict.fromkeys(records, path)
    return found, chapters


def verdicts(records):
    """Those of the records that are verdicts, by claim."""
    prefix = "verdict."
    return {
        key.removeprefix(prefix): record["value"]
        for key, record in records.items()
        if key.startswith(prefix)
    }


def natural(claim):
    """Sort E2 before E10, and T3.6-word before T3.6.1."""
    parts = re.findall(r"\d+|[^\d.]+", claim)
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in parts]


def standing(then, now, comparable):
    """How a claim stands: by the results, else by a run that can stand in for them."""
    if then is None and not comparable:
        return "open"
    return (then or now)["verdict"]


def row(claim, then, now, comparable):
    """A line of a table; ``then`` is the verdict in the results, None if there is none."""
    verdict = f"**{standing(then, now, comparable)}**"
    if comparable and then and then["verdict"] != now["verdict"]:
        verdict += f" (this run: **{now['verdict']}**)"
    found = [then["found"] if then else "not measured yet", now["found"]]
    if claim.startswith("T"):
        differs = then and then["found"] != now["found"]
        found = [f"{found[0]} (this run: {found[1]})" if differs else now["found"]]
    cells = [f"[{claim}]({claim})", now["says"], *found, verdict]
    # In a table, a bar inside mathematics or code ends the cell too.
    cells = [" ".join(cell.split()).replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(cells)} |"


def table(letter, rows):
    """A group's heading and table."""
    found = ["What is right"] if letter == "T" else ["Ours, on real images", "This run"]
    head = ["Claim", "The report says", *found, "Verdict"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows]
    return "\n".join(["", f"## {GROUPS[letter]}", "", *lines, ""])


def page(folder, results):
    """The page as MyST Markdown; ValueError says what is missing."""
    now, chapters = judged(folder)
    try:
        measured = json.loads(results.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{results}: expected measurements, but: {error}; run `make results`"
        ) from None
    then = verdicts(measured["records"])
    parameters = [chapter.metadata["papermill"]["parameters"] for chapter in chapters]
    on_its_images = all("phantom" not in p.values() for p in parameters)
    rows, counts = {letter: [] for letter in GROUPS}, Counter()
    for claim in sorted(now, key=natural):
        comparable = on_its_images or claim.startswith("T")
        pair = then.get(claim), now[claim]
        counts[standing(*pair, comparable)] += 1
        rows[claim[0]].append(row(claim, *pair, comparable))
    kinds = [kind for kind in (*ledger.VERDICTS, "open") if counts[kind]]
    intro = INTRO.format(
        **{key: measured["provenance"][key] for key in ("date", "profile", "commit")},
        results=f"{results.parent.name}/{results.name}",
        now=chapters[0].metadata["xraylib"]["profile"],
        n=len(now),
        counts=", ".join(f"{counts[kind]} {kind}" for kind in kinds) or "none judged yet",
    )
    return intro + "".join(table(letter, rows[letter]) for letter in GROUPS if rows[letter])


def main():
    """Parse the command line and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("page", type=Path)
    arguments = parser.parse_args()
    try:
        text = page(arguments.folder, arguments.results)
    except ValueError as error:
        parser.error(str(error))
    arguments.page.write_text(text)


if __name__ == "__main__":
    main()
