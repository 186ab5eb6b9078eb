"""An executed chapter as a page: its time to run, and the cells that judge claims, to link to."""

from nbformat.v4 import new_markdown_cell

from xraylib import ledger

JUDGED = "judged-"  # before a claim's id: the target of the cell that judges it


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
        ValueError: its first cell has no title.
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
    cells = []
    for number, cell in enumerate(notebook.cells):
        claims = [k.removeprefix("verdict.") for k in _records(cell) if k.startswith("verdict.")]
        tags = cell.metadata.get("tags", [])
        if claims:
            targets = "\n".join(f"({JUDGED}{claim})=" for claim in claims)
            cells.append(new_markdown_cell(targets, id=f"judged-{number}"))
            if "remove-cell" in tags:
                tags[tags.index("remove-cell")] = "hide-cell"
                tags.append("judging")
                which = "this claim" if len(claims) == 1 else "these claims"
                _prompt(cell, f"How the ledger judges {which}: {', '.join(claims)}")
        if "hide-cell" in tags and not claims:
            _prompt(cell, "Show a solution")
        elif "hide-input" in tags:
            table = any("text/html" in output.get("data", {}) for output in cell.outputs)
            shown = " of this table" if table else ""
            if "figure" in cell.metadata.get("mystnb", {}):
                shown = " of this figure"
            _prompt(cell, f"Show the code{shown}")
        cells.append(cell)
    notebook.cells = cells
    return notebook


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


def _records(cell):
    return ledger.collect({"cells": [cell]}) if cell.cell_type == "code" else {}


def _prompt(cell, text):
    cell.metadata.setdefault("mystnb", {})["code_prompt_show"] = text
