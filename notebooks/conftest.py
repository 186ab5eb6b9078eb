"""What of the chapters is executed a second time, by nbval in `make test`."""

import ast
import symtable

from IPython.core.inputtransformer2 import TransformerManager
from nbval.plugin import IPyNbCell


def pytest_collection_modifyitems(config, items):
    """Leave out what no checked table of a chapter rests on, such as most of the trainings.

    `make book` has just executed every cell, and stops at one that fails. What remains is
    to compare the checked tables.
    """
    wanted, left = {}, []
    for cell in reversed([item for item in items if isinstance(item, IPyNbCell)]):
        binds, changes, uses = names(TransformerManager().transform_cell(cell.cell.source))
        here = wanted.setdefault(cell.path, set())
        if cell.options["check"] or (binds | changes) & here:
            wanted[cell.path] = here - binds | uses
        else:
            left.append(cell)
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def names(code):
    """Names that a cell binds, that it changes, and that it takes from cells above."""
    binds, changes, uses = set(), set(), set()
    for statement in ast.parse(code).body:
        table = symtable.symtable(ast.unparse(statement), "cell", "exec")
        loops = set()
        for node in ast.walk(statement):
            if isinstance(node, ast.For):
                loops |= within(node.target)
            if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(
                node.ctx, ast.Store
            ):
                changes |= within(node.value)  # a[0].b = 1 changes a
        uses |= used(table) - binds - loops
        found = [s for s in table.get_symbols() if s.is_assigned() or s.is_imported()]
        binds |= {symbol.get_name() for symbol in found}
    return binds, changes, uses


def within(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def used(table):
    """Global names that a scope and the scopes in it use."""
    module = table.get_type() == "module"
    here = [each for each in table.get_symbols() if each.is_referenced()]
    found = {each.get_name() for each in here if module or each.is_global()}
    return found.union(*map(used, table.get_children()))


def pytest_collectstart(collector):
    """Libraries chat on stderr, on each machine in another way."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
