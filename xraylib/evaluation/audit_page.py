"""The findings of an audit as one page of HTML, without anything beside it."""

from html import escape

import pandas as pd

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .3rem .8rem; border-bottom: 1px solid #ccc; }
td { vertical-align: top; } .strong td { background: #fdf0e3; }
svg { vertical-align: middle; } img { max-width: 100%; } h2 { margin-top: 2.5rem; }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818; }
  th, td { border-color: #444; } .strong td { background: #3a2a17; } }
"""


def page(found):
    """HTML of what :func:`xraylib.evaluation.audit.audit` gives."""
    name, (above, below) = escape(found["set"]), map(escape, found["classes"])
    return f"""<!doctype html><html lang=en><meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>Audit of {name}</title><style>{STYLE}</style>
<h1>Audit of {name}</h1>
<p>Teaching material: it says what a set of images can be trusted with, and nothing of any
patient.</p>
<h2>What is there</h2>
{_table(found["counts"])}
{_table(found["sizes"])}
<p>Always saying the larger class is right on <b>{escape(found["majority"])}</b>: compare every
accuracy with that.</p>
<img alt="Some films of each class: above {above}, below {below}"
src="data:image/png;base64,{found["sheet"]}">
<p>Above {above}, below {below}; chosen at random.</p>
{_list("Films to look at", found["doubtful"], "No film is blank, nearly so, or clipped.")}
<h2>What leaks from training to test</h2>
{"".join(_leak(what.capitalize(), which) for what, which in found["leaks"].items())}
<h2>What tells the classes apart</h2>
<p>Each row is all that a small classifier was shown, in five folds with people kept together. The
AUC says how often a film of the second class gets the higher score; 0.5 is guessing. Its 95 %
interval draws people whole. The control is the same with labels shuffled among people. Marked is
what lies above every control and 0.6 with its whole interval. {_of_whom(found)}</p>
{_suspects(found["suspects"])}
<p><b>Beside the picture</b> means that it has nothing to do with the body: a network may learn it
instead of the illness, and what is marked has to go, or to be made alike. <b>Of the picture</b>
shows anatomy too: a high score says that the task is easy, or that something else gives it away;
this test cannot tell which. A score near 0.5 clears nothing but this suspect, seen in this way.
Letters burnt into a film are looked for in its corners only.</p>
"""


def _table(rows):
    return pd.DataFrame(rows).to_html(index=False, na_rep="", border=0)


def _leak(what, which):
    if isinstance(which, list):
        return _list(what, which, f"{what}: none.")
    return f"<p>{what}, which is no leak: {which:,}.</p>"


def _of_whom(found):
    """Which films the suspects are scored on, where it is not all."""
    films = sum(row["images"] for row in found["counts"])
    scored = found["scored"]
    if scored["films"] == films:
        return ""
    return (
        f"Scored are {scored['films']:,} of the {films:,} films, all of people drawn at random, of "
        f"both classes alike as far as there are; there the larger class is {scored['majority']}."
    )


def _list(title, items, none, most=20):
    if not items:
        return f"<p>{escape(none)}</p>"
    shown = "".join(f"<li>{escape(item)}" for item in items[:most])
    more = f"<li>and {len(items) - most:,} more" if len(items) > most else ""
    return f"<p>{escape(title)}: {len(items):,}</p><ul>{shown}{more}</ul>"


def _suspects(suspects):
    rows = []
    for each in suspects:
        first = f"<td>{escape(each['what'])}<td>{escape(each['kind'])}"
        if "auc" not in each:
            why = escape(each["not_applicable"])
            rows.append(f"<tr>{first}<td colspan=4>not applicable: {why}")
            continue
        value, low, high = each["auc"]
        reach = f"({low:.2f} to {high:.2f})" if low < high else "(no interval)"
        control = ", ".join(f"{c:.2f}" for c in each["control"])
        strong = " class=strong" if each["flagged"] else ""
        auc = f"<td>{value:.2f} {reach}<td>{_bar(value, low, high)}"
        rows.append(f"<tr{strong}>{first}{auc}<td>{control}<td>{escape(each['right'])}")
    head = "<th>Shown<th>Kind<th>AUC<th>0.5 to 1<th>Control<th>Films right"
    return f"<table><thead><tr>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def _bar(value, low, high):
    """The interval from 0.5 to 1 as a line, the value as a dot."""
    x = [round(4 + 92 * min(max(2 * each - 1, 0), 1), 1) for each in (value, low, high)]
    line = f'<line x1={x[1]} x2={x[2]} y1=8 y2=8 stroke="#c60" stroke-width=3 />'
    dot = f'<circle cx={x[0]} cy=8 r=4 fill="#c60" />'
    return f'<svg width=100 height=16 role=img aria-label="{value:.2f}">{line}{dot}</svg>'
