"""Collect the records of executed chapters: ``collect.py FOLDER RESULTS.json``."""

import argparse
import json
from pathlib import Path

import nbformat

from xraylib import ledger


def main():
    """Write the records of every chapter in a folder to one file, whole or not at all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    seconds, runs, records = {}, [], {}
    for path in sorted(arguments.folder.glob("[0-9]*.ipynb")):
        if ".partial" in path.name:
            continue
        notebook = nbformat.read(path, as_version=4)
        runs.append(dict(notebook.metadata["xraylib"]))
        seconds[path.stem] = runs[-1]["seconds"]
        found = ledger.collect(notebook)
        if twice := records.keys() & found.keys():
            parser.error(f"{path}: recorded in an earlier chapter too: {sorted(twice)}")
        records |= found
    if not records:
        parser.error(
            f"{arguments.folder}: no executed chapter with records; run `make book` first"
        )
    # Chapters may have run at different commits; the machine and versions are the newest's.
    commits = " and ".join(sorted({run["commit"] for run in runs}))
    run = max(runs, key=lambda run: run["date"])
    run |= {"seconds": seconds, "commit": commits}
    partial = arguments.results.with_suffix(".partial")
    text = json.dumps({"provenance": run, "records": records}, indent=1)
    partial.write_text(text + "\n")
    partial.replace(arguments.results)
    print(f"{arguments.results}: {len(records)} numbers")


if __name__ == "__main__":
    main()
