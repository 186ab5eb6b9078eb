"""The numbers of a run: glued into the prose, kept for the ledger, compared with ``results/``.

A notebook notes a number with :func:`record`. The rendered page takes its text through
``{glue:text}``; ``make results`` collects the values of a run on real images into ``results/``,
from where :func:`measured` reads them back, so that a run on phantoms can show them beside its own.
"""

import ast
import json
import re
from functools import cache
from pathlib import Path

from IPython.display import display

ROOT = Path(__file__).resolve().parent.parent
_HIDDEN = "application/papermill.record/"  # MyST-NB shows such outputs only where they are glued


def record(key, value, text=None):
    """Note a number under a key such as "E4b.correct".

    Args:
        key: claim id, dot, name of the quantity; unique within a chapter.
        value: anything JSON can hold.
        text: how the prose shows it; ``str(value)`` if None.
    """
    _glue(key, str(value) if text is None else text, json.dumps(value))


def span(values, digits=0):
    """A range as text, "9 to 11", or the one value if it is one; each with so many digits."""
    ends = [f"{value:.{digits}f}" for value in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


VERDICTS = ("reproduced", "corrected", "not supported")
# What a target can be called and a link can show unchanged: no blanks, brackets or underscores.
_CLAIM = re.compile(r"[EDT]([.-]?[A-Za-z0-9])+")


def verdict(claim, says, found, verdict):
    """Note what the report claims, what this run found, and how the claim stands.

    Args:
        claim: its id, such as "E1" or "T3.6.1-sum": E an experiment, D the data set, T theory;
            the page has a target of that name, ``(E1)=``, where it is judged.
        says: the claim in a few words, as Markdown.
        found: what this run found, with k/n and interval where it is a score, as Markdown.
        verdict: one of VERDICTS; computed by the cell from what it found.

    Raises:
        ValueError: another verdict, or an id that cannot be a target.
    """
    if not _CLAIM.fullmatch(claim):
        raise ValueError(
            f"claim must be E, D or T, then letters and digits, joined by single dots or hyphens, "
            f"as in 'T3.6.1-sum'; got {claim!r}"
        )
    if verdict not in VERDICTS:
        raise ValueError(f"{claim}: verdict must be one of {VERDICTS}; got {verdict!r}")
    value = {"says": says, "found": found, "verdict": verdict}
    record(f"verdict.{claim}", value, verdict)


def _glue(name, text, value=None):
    # MyST-NB reads the text as a Python literal: unquoted, 22,141,121 would become a tuple.
    bundle = {_HIDDEN + "text/plain": repr(text)}
    if value is not None:
        bundle[_HIDDEN + "application/json"] = value
    scrap = {"scrapbook": {"name": name, "mime_prefix": _HIDDEN}}
    display(bundle, raw=True, metadata=scrap)


def collect(notebook):
    """The records of an executed notebook.

    Args:
        notebook: an ``nbformat`` notebook node.

    Returns:
        dict key → {"value": ..., "text": ...} in the order of the notebook.

    Raises:
        ValueError: a key was recorded twice.
    """
    found = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            key = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if key is None or _HIDDEN + "application/json" not in data:
                continue
            if key in found:
                raise ValueError(f"{key!r} is recorded twice; give each number a key of its own")
            text = ast.literal_eval(data[_HIDDEN + "text/plain"])
            value = json.loads(data[_HIDDEN + "application/json"])
            found[key] = {"value": value, "text": text}
    return found


@cache
def report():
    """The report's own numbers, ``data/report.json``, as a dict."""
    return json.loads((ROOT / "data" / "report.json").read_text())


@cache
def results():
    """The records of the last measurement on real images, as :func:`collect` returns them."""
    path = ROOT / "results" / "measured.json"
    return json.loads(path.read_text())["records"] if path.exists() else {}


def measured(key):
    """The text of a number measured on real images, from ``results/``, or "not measured yet"."""
    return results().get(key, {"text": "not measured yet"})["text"]


def quote(*keys):
    """Glue numbers of ``results/`` for the prose, each under "results." and its key."""
    for key in keys:
        _glue(f"results.{key}", measured(key))
