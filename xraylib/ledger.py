"""The numbers of a run: glued into the prose, kept for the ledger, compared with ``results/``.

A notebook notes a number with :func:`record`. The rendered page takes its text through
``{glue:text}``; ``make results`` collects the values of a run on real images into ``results/``,
from where :func:`measured` reads them back, so that a run on phantoms can show them beside its own.
"""

import json
import re
import statistics
from functools import cache
from pathlib import Path

from IPython.display import display

ROOT = Path(__file__).resolve().parent.parent
_HIDDEN = "application/papermill.record/"  # MyST-NB shows such outputs only where they are glued


def record(key, value, text=None, *, tolerance=None, spread=False, timing=False, setting=False):
    """Note a number under a key such as "E4b.correct", and what kind of number it is.

    Its kind says what another run must give, see ``make reproduce``: "exact", the same; "close",
    the same within a tolerance; "spread", values of many trainings, the same distribution;
    "timing" and "setting", anything. Without one of the keywords a number is exact, but an
    ``evaluation.Spread`` is a spread.

    Args:
        key: claim id, dot, name of the quantity; unique within a chapter.
        value: anything JSON can hold, of NumPy or not; of a tuple with names, such as
            ``evaluation.Proportion``, a list is stored; of a spread the median.
        text: how the prose shows it; ``str(value)`` if None, of a list with ``spread=True`` its
            median and range with two digits.
        tolerance: by how much each number within the value may differ, above 0.
        spread: the value is a list of numbers, one a training.
        timing: it is of this machine on this day, such as seconds or MiB.
        setting: it is what the run was told, such as the number of seeds.

    Raises:
        ValueError: the value does not fit the kind, or there are two kinds.
    """
    counted = {"values", "n"} <= set(getattr(value, "_fields", ()))
    chosen = {"close": tolerance is not None, "spread": spread or counted, "timing": timing,
              "setting": setting}  # fmt: skip
    kinds = [kind for kind, is_it in chosen.items() if is_it] or ["exact"]
    if len(kinds) > 1:
        raise ValueError(f"{key}: is it {' or '.join(kinds)}? Leave out all but one of these")
    kept = {"value": _plain(key, value), "text": str(value), "kind": kinds[0]}
    if tolerance is not None:
        if not tolerance > 0:
            raise ValueError(f"{key}: expected a tolerance above 0, got {tolerance}; leave it out")
        kept["tolerance"] = float(tolerance)
    if counted:
        values = _numbers(key, kept["value"][value._fields.index("values")])
        # A number of images is a whole one: of an even number of trainings the lower middle one.
        kept |= {"value": statistics.median_low(values), "values": values, "n": int(value.n)}
    elif spread:
        values = _numbers(key, kept["value"])
        kept |= {"value": statistics.median(values), "values": values}
        kept["text"] = f"{_fixed(kept['value'], 2)} ({span(values, 2)})"
    if text is not None:
        kept["text"] = text
    _glue(key, kept["text"], kept)


def _plain(key, value):
    """The value as JSON gives it back: NumPy's numbers as Python's, tuples as lists."""
    try:
        return json.loads(json.dumps(value, default=lambda each: each.tolist()))
    except (AttributeError, TypeError):
        raise ValueError(f"{key}: expected what JSON can hold, got {value!r}") from None


def _numbers(key, values):
    listed = isinstance(values, list) and values
    if not listed or not all(isinstance(each, int | float) for each in values):
        raise ValueError(
            f"{key}: expected a list of numbers, one a training, for a spread; got {values!r}"
        )
    return values


def _fixed(value, digits):
    return f"{round(value, digits) + 0:.{digits}f}"  # no -0.00


def span(values, digits=0):
    """A range as text, "9 to 11", or the one value if it is one; each with so many digits."""
    ends = [_fixed(value, digits) for value in (min(values), max(values))]
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
    _glue(f"verdict.{claim}", verdict, {"value": value, "text": verdict, "kind": "verdict"})


def _glue(name, text, kept=None):
    # MyST-NB reads the text as a Python literal: unquoted, 22,141,121 would become a tuple.
    bundle = {_HIDDEN + "text/plain": repr(text)}
    if kept is not None:
        bundle[_HIDDEN + "application/json"] = json.dumps(kept)
    scrap = {"scrapbook": {"name": name, "mime_prefix": _HIDDEN}}
    display(bundle, raw=True, metadata=scrap)


def collect(notebook):
    """The records of an executed notebook.

    Args:
        notebook: an ``nbformat`` notebook node.

    Returns:
        dict key → {"value", "text", "kind"} in the order of the notebook; what is close has its
        "tolerance" too, a spread its "values" and, where they count images, "n", all images.

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
            found[key] = json.loads(data[_HIDDEN + "application/json"])
    return found


@cache
def report():
    """The report's own numbers, ``data/report.json``, as a dict."""
    return json.loads((ROOT / "data" / "report.json").read_text())


@cache
def results():
    """The records of the last measurements on real images, as :func:`collect` returns them.

    Those of the profile ``xray``, and of ``scratch`` what the other lacks.
    """
    found = {}
    for name in ("scratch.json", "measured.json"):
        path = ROOT / "results" / name
        found |= json.loads(path.read_text())["records"] if path.exists() else {}
    return found


def measured(key):
    """The text of a number measured on real images, from ``results/``, or "not measured yet"."""
    return results().get(key, {"text": "not measured yet"})["text"]


def quote(*keys):
    """Glue numbers of ``results/`` for the prose, each under "results." and its key."""
    for key in keys:
        _glue(f"results.{key}", measured(key))
