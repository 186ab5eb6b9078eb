"""An executed chapter as a page: plain Markdown as MyST, and what the book finds in boxes."""

import marks
from nbformat.v4 import new_markdown_cell

from xraylib import ledger

# What network.js fills, where scripts run.
TRY_NETWORK = """\
<div class="try-network" role="region" aria-label="Try the network" hidden>
<p class="try-title">Try the network</p>
<p>It runs in this page, and no film leaves the page. It is loaded when you ask for it, 11 MB.</p>
<p><button type="button">Load the network</button></p>
<p role="status"></p>
</div>"""


def duration(seconds):
    """In words: "52 s", "4 min", "1 h 10 min"; from two minutes on in whole ones."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def machine(run):
    """The processor cores and graphics cards of a run in a few words."""
    cores = f"{run['cores']} core" + "s" * (run["cores"] != 1)
    cards = run["graphics"]
    return cores + (", no graphics card" if not cards else f", {' and '.join(cards)}")


def page(notebook):
    """Change an executed notebook into what the reader sees.

    Args:
        notebook: an ``nbformat`` node with the metadata that ``notebooks/run.py`` writes; changed.

    Returns:
        The same node.

    Raises:
        ValueError: its first cell has no title, or a mark or a claim is wrong.
    """
    run = notebook.metadata["xraylib"]
    first = notebook.cells[0]
    lines = first.source.splitlines()
    heading = next((i for i, line in enumerate(lines) if line.startswith("# ")), None)
    if heading is None:
        raise ValueError("expected a title '# ...' in the first cell, found none")
    badges = (
        f"[runs in {duration(run['seconds'])}](about-run)\n[{machine(run)}](about-run)\n"
        f"[profile {run['profile']}](about-run)"
    )
    lines[heading + 1 : heading + 1] = ["", ":::{div} run-badges", badges, ":::"]
    first.source = "\n".join(lines)
    # The pages know one backbone.
    found = ledger.collect(notebook)
    in_page = found.get("network.file", found.get("eval.backbone", {})).get("value")
    in_page = in_page and in_page != "inception_v3"
    handed = _handed(notebook)
    cells = []
    for number, cell in enumerate(notebook.cells):
        if "records" in cell.metadata.get("tags", []):
            continue
        for name, holder in marks.texts(cell):
            holder[name] = marks.myst(holder[name])
        cells.append(cell)
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("moves-"):
                moves = tag.removeprefix("moves-")
                cells.append(new_markdown_cell(_moving(moves, handed), id=f"{tag}-{number}"))
        if "try-network" in cell.metadata.get("tags", []) and in_page:
            cells.append(new_markdown_cell(TRY_NETWORK, id=f"network-{number}"))
        if cell.cell_type == "code":
            _prompt(cell)
            if boxes := _boxes(cell):
                cells.append(new_markdown_cell(boxes, id=f"claims-{number}"))
    notebook.cells = cells
    return notebook


# What the figures that move invite to; moving.js has what they do.
MOVING = {
    "augmentation": "Move the film yourself",
    "components": "Put a film together from components",
    "counted": "What k of n says",
    "kernel": "Try a kernel",
    "swarm": "Train once, as a paper does",
    "threshold": "Move the threshold, and the share of the ill",
    "tsne": "Another perplexity, another start",
}


def _handed(notebook):
    """What cells handed to figures that move, JSON by the figures' names."""
    return {
        output.metadata["moving"]: next(iter(output.data.values()))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "moving" in output.get("metadata", {})
    }


def _moving(name, handed):
    """HTML of a figure that moves, which moving.js fills."""
    if name not in MOVING:
        raise ValueError(f"moves-{name}: expected one of {', '.join(MOVING)}")
    if name not in handed and name != "counted":
        raise ValueError(f"moves-{name}: no cell hands it numbers with ledger.hand_over")
    data = handed.get(name, "{}").replace("<", "\\u003c")
    return (
        f'<div class="moving" data-moving="{name}" role="group" aria-label="{MOVING[name]}" '
        f'hidden>\n<p>{MOVING[name]}</p>\n<script type="application/json">{data}</script>\n</div>'
    )


def _prompt(cell):
    """What a folded cell has on its fold."""
    tags = cell.metadata.get("tags", [])
    text = None
    if "hide-cell" in tags:
        text = "Show a solution"
    elif "hide-input" in tags:
        table = any("text/html" in output.get("data", {}) for output in cell.outputs)
        what = "of this figure" if "figure" in cell.metadata.get("mystnb", {}) else ""
        text = f"Show the code {what or 'of this table' * table}".rstrip()
    if text:
        cell.metadata.setdefault("mystnb", {})["code_prompt_show"] = text


def _boxes(cell):
    """What the book finds of the claims that a cell judges, as one box; they leave its outputs."""
    records = ledger.collect({"cells": [cell]})
    holds = {
        key.removeprefix("verdict."): record["value"]["holds"]
        for key, record in records.items()
        if key.startswith("verdict.")
    }
    if not holds:
        return ""
    cell.outputs = [each for each in cell.outputs if "claims" not in each.get("metadata", {})]
    claims = {name: ledger.claims()[name] for name in holds}
    fine = all(claim["verdict"] == "right" for claim in claims.values())
    places = list(dict.fromkeys(place(claim) for claim in claims.values()))
    text = [f":::{{admonition}} {'Right' if fine else 'Set right'}: {' and '.join(places)}"]
    text.append(":class: " + ("hint" if fine else "important"))
    for name, claim in claims.items():
        found = marks.myst(ledger.filled(claim["found"]))
        doubt = "" if holds[name] else " (Not so in this run, on the images that it has.)"
        said = f"**{claim['verdict'].capitalize()}.** {found}{doubt} *({sources(claim)})*"
        text += ["", f"({name})=", f"{ledger.quoted(claim)} {said}"]
    return "\n".join([*text, ":::"])


def place(claim):
    """Where a claim stands in the report, in words."""
    words = {"Appendix": "the report's code", "References": "its references",
             "notebook": "the author's notebook"}  # fmt: skip
    return words.get(claim["section"], f"section {claim['section']}")


def sources(claim):
    """What a claim is judged by, as MyST."""
    return "; ".join(
        ledger.source(key) if key in ledger.GROUNDS else f"{{cite:alp}}`{key}`"
        for key in claim["sources"]
    )


def replace_films(notebook, stand_in):
    """Take the figures that show films from another run of the same chapter.

    Args:
        notebook: executed; its cells with the tag "films" are changed.
        stand_in: the chapter executed on images that may be shown to anybody.

    Raises:
        ValueError: a cell is not in the other run.
    """
    others = {cell["id"]: cell for cell in stand_in.cells}
    for cell in notebook.cells:
        if "films" in cell.metadata.get("tags", []):
            if cell["id"] not in others:
                raise ValueError("expected the same cells in both runs; run both anew")
            cell.outputs = others[cell["id"]].outputs
            cell.metadata.mystnb.figure.caption = (
                f"{cell.metadata.mystnb.figure.caption.rstrip()} "
                "(Computed films stand here for those of the run, which are not ours to show.)\n"
            )
