"""The command line in this process: starting one takes a second, and TensorFlow ten."""

import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from xraylib.__main__ import main


def xraylib(*arguments):
    """What ``python -m xraylib`` with these arguments returns and prints."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code
    for stream in (out, err):
        stream.flush()
    stdout, stderr = (stream.buffer.getvalue().decode() for stream in (out, err))
    return SimpleNamespace(returncode=code, stdout=stdout, stderr=stderr)
