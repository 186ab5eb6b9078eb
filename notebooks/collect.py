"""Collect the records of executed chapters: ``collect.py FOLDER RESULTS.json``."""

import argparse
import datetime
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import nbformat

from xraylib import ledger


def _git(*arguments):
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def provenance(run):
    """What a reader needs to judge and repeat a measurement."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    # The results themselves may have changed: they are what is being written.
    if _git("status", "--porcelain", "--", ".", ":!results"):
        commit += " with changes"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = ("numpy", "scikit-learn", "keras", "opencv-python-headless", "pillow")
    return run | {
        "date": datetime.date.today().isoformat(),
        "commit": commit,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
    }


def main():
    """Write the records of every chapter in a folder to one file, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    chapters, records = {}, {}
    for path in sorted(arguments.folder.glob("[0-9]*.ipynb")):
        if ".partial" in path.name:
            continue
        notebook = nbformat.read(path, as_version=4)
        run = notebook.metadata["xraylib"]
        chapters[path.stem] = run["seconds"]
        found = ledger.collect(notebook)
        if twice := records.keys() & found.keys():
            parser.error(f"{path}: recorded in an earlier chapter too: {sorted(twice)}")
        records |= found
    if not records:
        parser.error(
            f"{arguments.folder}: no executed chapter with records; run `make book` first"
        )
    run = {"profile": run["profile"], "seconds": chapters}
    partial = arguments.results.with_suffix(".partial")
    text = json.dumps({"provenance": provenance(run), "records": records}, indent=1)
    partial.write_text(text + "\n")
    partial.replace(arguments.results)
    print(f"{arguments.results}: {len(records)} numbers")


if __name__ == "__main__":
    main()
