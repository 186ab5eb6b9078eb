"""Execute one chapter with papermill: ``run.py NOTEBOOK OUTPUT --profile PROFILE.yml``.

The output appears only when every cell ran. On a failure the partial notebook and the
kernel's stderr stay beside it, and the last lines name notebook, cell and error.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
import papermill
import yaml
from assemble import assembled
from papermill.exceptions import PapermillException, PapermillExecutionError
from provenance import provenance


def declared(notebook):
    """The parameters that a chapter declares; ValueError if there are none."""
    try:
        chapter = nbformat.read(notebook, as_version=4)
        found = papermill.inspect_notebook(str(notebook))
    except (ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise ValueError(f"{notebook}: no notebook that can be run: {error}") from None
    # Papermill only warns, and would run the chapter with whatever stands in it.
    if not found and any(cell.cell_type == "code" for cell in chapter.cells):
        raise ValueError(
            f"{notebook}: expected a cell with the tag 'parameters', found none"
        )
    return set(found)


def settings(profile, known):
    """The parameters of a profile; ValueError if one is unknown."""
    try:
        wanted = dict(yaml.safe_load(profile.read_text()) or {})
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise ValueError(
            f"{profile}: expected lines such as 'seed: 0', but: {error}"
        ) from None
    # A misspelt parameter would be left out without a word, and the default taken.
    if unknown := sorted(map(str, wanted.keys() - known)):
        what = f"no chapter has {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        raise ValueError(f"{profile}: {what}")
    return wanted


def execute(notebook, output, profile):
    """Run a chapter; return None or the message that says what went wrong."""
    try:
        own = declared(notebook)
        chapters = notebook.parent.glob("[0-9]*.ipynb")
        wanted = settings(profile, own.union(*map(declared, chapters)))
        whole = assembled(notebook)
    except ValueError as error:
        return str(error)
    parameters = {name: value for name, value in wanted.items() if name in own}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.stem + ".partial.ipynb")
    stderr = output.with_suffix(".stderr.txt")
    nbformat.write(whole, partial)
    made = provenance()  # of the state that runs, which may change before it ends
    start = time.perf_counter()
    terminal = os.fdopen(os.dup(2), "w")
    try:
        with stderr.open("w", buffering=1) as errors:
            # The kernel inherits it, so that what C libraries print is kept too.
            os.dup2(errors.fileno(), 2)
            papermill.execute_notebook(
                str(partial),
                str(partial),
                parameters=parameters,
                stderr_file=errors,
                # Written at the end, or on failure: twice a cell takes longer than most.
                request_save_on_cell_execute=False,
                # Whole lines and few of them: other chapters write to the same terminal.
                progress_bar={
                    "desc": notebook.stem,
                    "file": terminal,
                    "mininterval": 30,
                    "bar_format": "{desc}: {n_fmt} of {total_fmt} cells, {elapsed}\n",
                },
            )
    except PapermillExecutionError as error:
        return (
            f"{notebook}: cell {error.cell_index} (In [{error.exec_count}]): "
            f"{error.ename}: {error.evalue}\n"
            f"    the notebook so far: {partial}\n    the kernel's stderr: {stderr}"
        )
    except (PapermillException, nbformat.ValidationError, RuntimeError) as error:
        what = f"{type(error).__name__}: {error}"
        return f"{notebook}: {what}\n    the kernel's stderr: {stderr}"
    finally:
        terminal.flush()
        os.dup2(terminal.fileno(), 2)
    executed = nbformat.read(partial, as_version=4)
    # Pages show what a chapter prints; bars and library chatter stay in the stderr file.
    for cell in executed.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.metadata.tags.append("remove-cell")
    executed.metadata["xraylib"] = {
        "profile": profile.stem,
        "seconds": round(time.perf_counter() - start, 1),
    } | made
    nbformat.write(executed, partial)
    partial.replace(output)
    return None


def main():
    """Parse the command line, run, and report on one chapter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--profile", type=Path, required=True)
    arguments = parser.parse_args()
    message = execute(arguments.notebook, arguments.output, arguments.profile)
    if message:
        print(f"\nFAILED {message}", file=sys.stderr)
    return 1 if message else 0


if __name__ == "__main__":
    sys.exit(main())
