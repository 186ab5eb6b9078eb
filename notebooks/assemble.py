"""A chapter with what it notes for ``results/``, behind the cells that find it.

Readers need not scroll past bookkeeping, so it stands in a file beside the chapter, such as
``records/05_evaluation.py``. A block begins with ``# %% name`` and runs behind the cell
that binds this name; where a chapter renames it, the run stops and says so.
"""

import ast
import re

import nbformat
from nbformat.v4 import new_code_cell

NOTED = "records"  # the tag of such a cell


def assembled(notebook):
    """A chapter, ready to run.

    Args:
        notebook: path of a chapter.

    Returns:
        nbformat node; blocks are cells with the tags "records" and "remove-cell".

    Raises:
        ValueError: a block names what no cell binds or more than one, or is there twice.
    """
    chapter = nbformat.read(notebook, as_version=4)
    file = notebook.parent / "records" / f"{notebook.stem}.py"
    if not file.exists():
        return chapter
    blocks = re.split(r"^# %% (\w+)\n", file.read_text(), flags=re.M)[1:]
    if twice := {name for name in blocks[::2] if blocks[::2].count(name) > 1}:
        raise ValueError(f"{file}: more than one block {sorted(twice)}: join them")
    behind = {}
    for name, source in zip(blocks[::2], blocks[1::2], strict=True):
        cells = [k for k, cell in enumerate(chapter.cells) if name in _bound(cell)]
        if len(cells) != 1:
            what = "no cell binds" if not cells else "more than one cell binds"
            raise ValueError(f"{file}: block {name!r}: {what} this name in {notebook.name}")
        behind.setdefault(cells[0], []).append((name, source.strip("\n")))
    found = []
    for k, cell in enumerate(chapter.cells):
        found.append(cell)
        for name, source in behind.get(k, ()):
            tags = {"tags": [NOTED, "remove-cell"]}
            found.append(new_code_cell(source, id=f"{NOTED}-{name}", metadata=tags))
    chapter.cells = found
    return chapter


def _bound(cell):
    """The names that a cell binds at its top level."""
    if cell.cell_type != "code":
        return set()
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:  # a line for IPython, such as !pip
        return set()
    found = set()
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.add(statement.name)
        elif isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = getattr(statement, "targets", None) or [statement.target]
            found |= {n.id for target in targets for n in ast.walk(target)
                      if isinstance(n, ast.Name)}  # fmt: skip
    return found
