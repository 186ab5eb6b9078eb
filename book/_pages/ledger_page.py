"""The ledger's page: every claim that the chapters test, and how it stands."""

import re
from collections import Counter

from chapter_page import JUDGED

from xraylib import ledger

GROUPS = {"E": "Experiments", "D": "The data set's traps", "T": "Theory"}
INTRO = """\
(ledger)=
# The ledger: every claim and how it stands

Each row is a claim of the report, written down by the cell that tests it; the id leads to \
the place in the text where it is set right, the verdict to the cell that measured it. \
How a claim about experiments or images stands is decided on real images, the report's own 75 \
and, for COVID-19, a set under open licences: by the run of {date} (profile `{profile}`, commit \
`{commit}`), whose numbers are in `{results}`. "This run" is the one that made these pages, with \
the profile `{now}`. Claims of theory, ids beginning with T, do not depend on images.

**{n} claims**: {counts}.
"""


def judged(chapters):
    """The verdicts of executed chapters.

    Args:
        chapters: dict from the name of a chapter to its executed notebook.

    Returns:
        dict claim → verdict as :func:`xraylib.ledger.verdict` takes it.

    Raises:
        ValueError: a claim was recorded twice.
    """
    found, where = {}, {}
    for name, chapter in chapters.items():
        try:
            records = verdicts(ledger.collect(chapter))
        except ValueError as error:
            raise ValueError(f"{name}.ipynb: {error}") from None
        if twice := found.keys() & records.keys():
            claim = min(twice)
            raise ValueError(
                f"{name}.ipynb: expected each claim once, but {claim} has a verdict in "
                f"{where[claim]} too; give one of them an id of its own"
            )
        found |= records
        where |= dict.fromkeys(records, f"{name}.ipynb")
    return found


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
    verdict = f"[{standing(then, now, comparable)}]({JUDGED}{claim})"
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


def page(chapters, measured, results):
    """The page as MyST Markdown.

    Args:
        chapters: see :func:`judged`.
        measured: the measurements on real images, as ``notebooks/collect.py`` writes them.
        results: the path of their file, as the reader knows it.

    Returns:
        str.

    Raises:
        ValueError: see :func:`judged`.
    """
    now = judged(chapters)
    then = verdicts(measured["records"])
    parameters = [chapter.metadata["papermill"]["parameters"] for chapter in chapters.values()]
    sets = [p[key] for p in parameters for key in ("dataset", "covid_dataset") if key in p]
    on_its_images = set(sets) <= {"xray75", "covid"}
    rows, counts = {letter: [] for letter in GROUPS}, Counter()
    for claim in sorted(now, key=natural):
        comparable = on_its_images or claim.startswith("T")
        pair = then.get(claim), now[claim]
        counts[standing(*pair, comparable)] += 1
        rows[claim[0]].append(row(claim, *pair, comparable))
    kinds = [kind for kind in (*ledger.VERDICTS, "open") if counts[kind]]
    intro = INTRO.format(
        **{key: measured["provenance"][key] for key in ("date", "profile", "commit")},
        results=results,
        now=next(iter(chapters.values())).metadata["xraylib"]["profile"],
        n=len(now),
        counts=", ".join(f"{counts[kind]} {kind}" for kind in kinds) or "none judged yet",
    )
    return intro + "".join(table(letter, rows[letter]) for letter in GROUPS if rows[letter])
