"""Collect the records of executed chapters: ``collect.py FOLDER RESULTS.json``."""

import argparse
import json
from pathlib import Path

import nbformat

from xraylib import ledger


def chapters(folder):
    """What the executed chapters of a folder recorded, and how they were run.

    Args:
        folder: path of a run, such as ``.run/xray``.

    Returns:
        (provenance, records): of the newest chapter, with the seconds of each, all commits
        and parameters; and a dict as ``ledger.collect`` gives it.

    Raises:
        ValueError: nothing was recorded, or something twice.
    """
    seconds, runs, parameters, records = {}, [], {}, {}
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        if ".partial" in path.name:
            continue
        notebook = nbformat.read(path, as_version=4)
        runs.append(dict(notebook.metadata["xraylib"]))
        seconds[path.stem] = runs[-1]["seconds"]
        parameters |= notebook.metadata["papermill"]["parameters"]
        found = ledger.collect(notebook)
        if twice := records.keys() & found.keys():
            raise ValueError(f"{path}: recorded in an earlier chapter too: {sorted(twice)}")
        records |= found
    if not records:
        raise ValueError(
            f"{folder}: no executed chapter with records; run `make book` first"
        )
    # Chapters may have run at different commits; the machine and versions are the newest's.
    commits = " and ".join(sorted({run["commit"] for run in runs}))
    run = max(runs, key=lambda run: run["date"])
    return run | {"seconds": seconds, "commit": commits, "parameters": parameters}, records


def write(path, content):
    """Write it as JSON, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


def main():
    """Write the records of every chapter in a folder to one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    try:
        provenance, records = chapters(arguments.folder)
    except ValueError as error:
        parser.error(str(error))
    claims = [
        key.removeprefix("verdict.")
        for key, record in records.items()
        if record["kind"] == "verdict" and not record["value"]["holds"]
    ]
    if claims:
        parser.error(
            f"{arguments.folder}: what data/claims.yml finds of {', '.join(claims)} is "
            "not so on these images; mend it, or the cell that judges"
        )
    write(arguments.results, {"provenance": provenance, "records": records})
    print(f"{arguments.results}: {len(records)} numbers")


if __name__ == "__main__":
    main()
