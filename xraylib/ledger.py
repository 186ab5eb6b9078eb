"""The numbers of a run, and what the book finds of the report's statements.

A chapter notes a number with :func:`record` or :func:`beside` and judges a statement with
:func:`judge`. ``make results`` collects the numbers of real images into ``results/``, where later
runs find them for their tables, and the prose to quote them (:func:`spoken`).
"""

import base64
import difflib
import json
import re
import statistics
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from IPython.display import display

from xraylib.evaluation.metrics import Proportion, Spread

ROOT = Path(__file__).resolve().parent.parent
_HIDDEN = "application/papermill.record/"  # neither JupyterLab nor MyST-NB shows such outputs


def record(key, value, text=None, *, tolerance=None, spread=False, timing=False, setting=False):
    """Note a number under a key such as "E4b.correct", and its kind.

    The kind says what another run must give, see ``make reproduce``: "exact", the same; "close",
    the same within a tolerance; "spread", over many trainings the same distribution; "timing" and
    "setting", anything. By default a number is exact, and a ``metrics.Spread`` a spread.

    Args:
        key: claim id, dot, name of the quantity; unique in the book.
        value: anything JSON can hold, of NumPy or not. Of a tuple with names, such as
            ``metrics.Proportion``, a list is stored; of a spread the median.
        text: how the prose shows it; by default ``str(value)``, of a list with ``spread=True`` its
            median and range with two digits.
        tolerance: by how much each number within the value may differ, above 0.
        spread: the value is a list of numbers, one a training.
        timing: it is of this machine on this day, such as seconds or MiB.
        setting: it is what the run was told, such as the number of seeds.

    Raises:
        ValueError: the value does not fit the kind, or there are two kinds.
    """
    counted = isinstance(value, Spread)
    chosen = {"close": tolerance is not None, "spread": spread or counted, "timing": timing,
              "setting": setting}  # fmt: skip
    kinds = [kind for kind, is_it in chosen.items() if is_it]
    if len(kinds) > 1:
        raise ValueError(f"{key}: is it {' or '.join(kinds)}? Leave out all but one of these")
    try:  # NumPy's numbers as Python's, tuples as lists
        plain = json.loads(json.dumps(value, default=lambda each: each.tolist()))
    except (AttributeError, TypeError):
        raise ValueError(f"{key}: expected what JSON can hold, got {value!r}") from None
    kept = {"value": plain, "text": str(value), "kind": kinds[0] if kinds else "exact"}
    if tolerance is not None:
        if not tolerance > 0:
            raise ValueError(f"{key}: expected a tolerance above 0, got {tolerance}; leave it out")
        kept["tolerance"] = float(tolerance)
    if counted:
        kept |= {"value": value.median.k, "values": plain[0], "n": plain[1]}
    elif spread:
        listed = isinstance(plain, list) and plain
        if not listed or not all(isinstance(each, int | float) for each in plain):
            expected = "a list of numbers, one a training, for a spread"
            raise ValueError(f"{key}: expected {expected}; got {plain!r}")
        kept |= {"value": statistics.median(plain), "values": plain, "text": _of_trainings(plain)}
    if text is not None:
        kept["text"] = text
    _note(key, kept)


def _note(name, kept):
    bundle = {_HIDDEN + "application/json": json.dumps(kept)}
    display(bundle, raw=True, metadata={"scrapbook": {"name": name, "mime_prefix": _HIDDEN}})


def reach(number, n, *of, least=0.02):
    """A tolerance: how far a number of five of n trainings may lie from that of all of them.

    It is half as far again as the furthest of 500 draws, and at least so much. The number is a
    function of an array of trainings, by their positions, and of what follows n.
    """
    rng, all_of_them = np.random.default_rng(0), number(np.arange(n), *of)
    few = np.array([number(rng.choice(n, 5), *of) for _ in range(500)])
    return max(least, 1.5 * float(np.abs(few - all_of_them).max()))


def hand_over(name, numbers):
    """Give numbers to the figure of the page that moves, behind the cell with the tag "moves-NAME".

    They are anything JSON can hold, of NumPy or not; arrays of bytes go as base64. Nothing of it is
    shown or recorded.
    """

    def plain(each):
        if getattr(each, "dtype", None) in ("uint8", "int8"):
            return base64.b64encode(each.tobytes()).decode()
        return each.tolist()

    text = json.dumps(numbers, default=plain, separators=(",", ":"))
    display({_HIDDEN + "application/json": text}, raw=True, metadata={"moving": name})


def _of_trainings(values):
    """A list of numbers, one a training, as text: median and range."""
    return f"{statistics.median(values):z.2f} ({span(values, 2)})"


def span(values, digits=0):
    """A range as text, "9 to 11", or the one value if it is one; each with so many digits."""
    ends = [f"{value:z.{digits}f}" for value in (min(values), max(values))]  # z: no -0.00
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


VERDICTS = ("right", "imprecise", "wrong", "contradicts itself", "not supported", "left out")


@cache
def claims():
    """The statements of the report with what the book finds, ``data/claims.yml``, by id."""
    return yaml.safe_load((ROOT / "data" / "claims.yml").read_text())


def judge(names, holds):
    """Show what the book finds of statements of the report, and note that a cell bears it out.

    Args:
        names: id of a statement in ``data/claims.yml``, or several, with blanks between them, that
            stand and fall together.
        holds: whether the cell's evidence is what the book says that it found; computed, of course.

    Raises:
        ValueError: there is no such statement.
    """
    names, boxes = names.split(), []
    places = {"Appendix": "The report's code", "References": "The report's references",
              "notebook": "The author's notebook"}  # fmt: skip
    doubt = "" if holds else " (Not so in this run, on the images that it has.)"
    for name in names:
        if name not in claims():
            near = difflib.get_close_matches(name, claims(), 3)
            raise ValueError(f"data/claims.yml has no {name!r}; did you mean {near}?")
        claim = claims()[name]
        verdict, section = claim["verdict"], claim["section"]
        value = {"verdict": verdict, "holds": bool(holds)}
        _note(f"verdict.{name}", {"value": value, "text": verdict, "kind": "verdict"})
        where = places.get(section, f"Section {section} of the report")
        found = filled(claim["found"], "not measured yet") + doubt
        sources = "; ".join(map(source, claim["sources"]))
        said = f"**{verdict.capitalize()}.** {found} *({sources})*"
        boxes.append(f"> {where}: {quoted(claim)} {said}")
    display({"text/markdown": "\n>\n".join(boxes)}, raw=True, metadata={"claims": names})


def quoted(claim):
    """The report's words as Markdown: formulas and code as such."""
    quote = claim["quote"]
    if claim["kind"] == "formula":
        # A line of an aligned equation stands alone here; the cases of a function keep their mark.
        alone = quote if r"\begin" in quote else quote.replace("&", "")
        return f"${alone.strip('$ ')}$"
    return f"`{quote}`" if claim["kind"] == "code" else f"“{quote}”"


# What a statement is judged by, besides publications.
GROUNDS = {"text": "the report's text", "code": "the report's code", "log": "the report's own log",
           "arithmetic": "arithmetic", "measured": "measured here"}  # fmt: skip


def source(key):
    """A source of a claim in words: author and year of a publication, or what it is."""
    return GROUNDS.get(key) or _publications()[key]


@cache
def _publications():
    from pybtex.database import parse_file

    found = {}
    for key, entry in parse_file(ROOT / "book" / "references.bib").entries.items():
        people = entry.persons.get("author") or entry.persons["editor"]
        last = [" ".join(person.prelast_names + person.last_names) for person in people]
        names = f"{last[0]} et al." if len(last) > 2 else " and ".join(last)
        found[key] = f"{names} {entry.fields['year']}".replace("{", "").replace("}", "")
    return found


def filled(template, missing=None):
    """A text of ``data/claims.yml`` with its numbers, {key} or {key:form}, see :func:`spoken`.

    missing stands for a number that was not measured yet; None: that is an error.
    """

    def number(found):
        formula, key, form = found.groups()  # mathematics has braces of its own
        if formula or (missing is not None and key not in results()):
            return formula or missing
        return spoken(key, form)

    return re.sub(r"(\$[^$]*\$)|\{([^{}:]+):?(\w*)\}", number, template)


def spoken(key, form=""):
    """A number of ``results/`` as one says it.

    Args:
        key: of its record.
        form: "" where images are counted "72 of 75" (of trainings the median one), else its text;
            "range" over the trainings, "9 to 11"; "interval", "0.89 to 0.99"; "value", an estimate
            without its interval, or the median of a spread.

    Raises:
        ValueError: it was not measured, or has no such form.
    """
    record = results().get(key)
    if record is None:
        raise ValueError(f"results/ has no {key!r}: measure it with `make results`")
    counted = _counted(record)
    middle = getattr(counted, "median", counted)
    if form == "":
        return f"{middle.k} of {middle.n}" if counted else record["text"]
    if form == "range" and "values" in record:
        return span(record["values"], 0 if counted else 2)
    if form == "interval" and counted:
        return f"{middle.low:.2f} to {middle.high:.2f}"
    if form == "value" and not counted:
        value = record["value"][0] if isinstance(record["value"], list) else record["value"]
        if isinstance(value, int | float):
            return f"{value:z.2f}"
    raise ValueError(f"{key!r}, {record['text']!r}, cannot be said as {form!r}")


def _counted(record):
    """The images right that a record counts, as a Spread or Proportion; None of other numbers."""
    value = record.get("value")
    if "n" in record:
        return Spread(tuple(record["values"]), record["n"])
    return Proportion(*value) if isinstance(value, list) and len(value) == 4 else None


def collect(notebook):
    """The records of an executed notebook, an ``nbformat`` node.

    Returns:
        dict key → {"value", "text", "kind"} in the order of the notebook; what is close has its
        "tolerance" too, a spread its "values" and, where they count images, "n", all images.

    Raises:
        ValueError: a key was recorded twice.
    """
    found = {}
    for output in (each for cell in notebook["cells"] for each in cell.get("outputs", [])):
        key = output.get("metadata", {}).get("scrapbook", {}).get("name")
        content = output.get("data", {}).get(_HIDDEN + "application/json")
        if key is None or content is None:
            continue
        if key in found:
            raise ValueError(f"{key!r} is recorded twice; give each number a key of its own")
        found[key] = json.loads(content)
    return found


def beside(rows, caption, columns=("",), *, said=None, keep=True):
    """Record numbers, and show what was measured on real films beside this run.

    Args:
        rows: dict label → (key, value) or (key, value, settings of :func:`record`); of several
            columns a list of these, or of None for nothing. A value is None where this run has
            not measured it, or cannot.
        caption: of the table.
        columns: their names, where there are several.
        said: dict label → what the report says, as a column of its own.
        keep: record the numbers; False for a small show of a long measurement.
    """
    table = {}
    for label, cells in rows.items():
        there, here = [], []
        for cell in cells if isinstance(cells, list) else [cells]:
            key, value, settings = (*(cell or (None, None)), {})[:3]
            known = results().get(key, {"text": "not measured yet"})["text"]
            there.append("–" if cell is None else known)
            in_words = _of_trainings if settings.get("spread") else str
            here.append("–" if value is None else settings.get("text") or in_words(value))
            if keep and value is not None:
                record(key, value, **settings)
        table[label] = [*([said.get(label, "–")] if said else []), *there, *here]
    heads = ["the report"] if said else []
    for where in ("real films", "this run"):
        heads += [f"{name}, {where}".removeprefix(", ") for name in columns]
    frame = pd.DataFrame.from_dict(table, orient="index", columns=heads)
    display(frame.style.set_caption(caption))


@cache
def report():
    """The report's own numbers, ``data/report.json``, as a dict."""
    return json.loads((ROOT / "data" / "report.json").read_text())


@cache
def results():
    """The records of the last run on real images, as :func:`collect` returns them: of the profile
    ``xray``, and of ``scratch`` where that has none."""
    found = {}
    for name in ("scratch.json", "measured.json"):
        path = ROOT / "results" / name
        found |= json.loads(path.read_text())["records"] if path.exists() else {}
    return found


def on_real_films(keys):
    """What was measured on the book's real films: of each key a Spread or Proportion, or None."""
    return [_counted(results().get(key, {})) for key in keys]
