"""What of the chapters is executed a second time, by nbval in `make test`."""

from nbval.plugin import IPyNbCell


def pytest_collection_modifyitems(config, items):
    """Leave out what comes after the last checked table of a chapter.

    `make book` has just executed every cell, and stops at one that fails. What remains is
    to compare the checked tables; no cell below the last of them has a part in that, and
    most of the trainings stand there.
    """
    cells = [item for item in items if isinstance(item, IPyNbCell)]
    last = {cell.path: cell.cell_num for cell in cells if cell.options["check"]}
    left = [cell for cell in cells if cell.cell_num > last.get(cell.path, -1)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_collectstart(collector):
    """Libraries chat on stderr, on each machine in another way."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr",)
