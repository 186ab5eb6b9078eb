"""Run make as a user would, also from within a run of make."""

import os
import subprocess


def make(folder, *arguments):
    """Run it in a folder; without what an outer make passes on, such as its options."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, env=environment
    )
