"""Run a script of the project in this process: Python and its libraries are loaded already."""

import contextlib
import functools
import importlib.util
import io
import sys
from types import SimpleNamespace
from unittest import mock


@functools.cache
def _loaded(path):
    sys.path.insert(0, str(path.parent))  # its neighbours, as where it is run by its name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def script(path, *arguments):
    """What running it gives: returncode, stdout and stderr."""
    module, out, err = _loaded(path), io.StringIO(), io.StringIO()
    command = [path.name, *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = module.main()
        except SystemExit as stop:
            code = stop.code
    return SimpleNamespace(returncode=code or 0, stdout=out.getvalue(), stderr=err.getvalue())
