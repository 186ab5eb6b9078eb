"""The page "About this run": what made the pages, how long it took, on what, with which data."""

import hashlib
from pathlib import Path

from chapter_page import duration, machine

from xraylib.data import datasets, manifest

INTRO = """\
(about-run)=
# About this run

Every chapter was executed with the profile `{profile}`, {when}, on {machine}; \
all of them took {total}. `make book` does it again.

## Chapters

| chapter | time to run | executed | commit |
|---|---|---|---|
"""
MACHINE = """
## Machine and versions

| what | which |
|---|---|
"""
DATA = """
## Data

Two runs with the same fingerprint had the same images. That of a set made of files is the \
SHA-256 of its manifest, which holds the SHA-256 of every file, and each file is checked against \
it before it is used; that of the computed images is the SHA-256 of the first ten's pixels.

| image set | images | fingerprint |
|---|---|---|
"""
PARAMETERS = """
## Parameters

The profile sets these; a chapter takes those that it declares in its first cell.

| parameter | value |
|---|---|
"""
RESULTS = """
## Numbers on real images

What the text quotes "on the report's X-rays" or "on real films" is read from `{file}`, measured \
on {date} with the profile `{profile}`, commit `{commit}`, on {cores} cores ({processor}).
"""
SCRATCH = """
What the chapter on the report's own network quotes is read from `results/scratch.json`, measured \
on {date} with the profile `{profile}`, commit `{commit}`, on {cores} cores ({processor}).
"""
AFTERWARDS = """
### Measured again

"""
NEVER = """\
Not yet: `make reproduce` measures them again, with other seeds and rounded otherwise, and what \
comes of it will stand here.
"""
AGAIN = """\
`make reproduce` measured them again on {date}, commit `{commit}`, on {cores} cores \
({processor}), with seeds from {seed} on and {rounding}; chapters {chapters} took {total} \
together. They were compared with the numbers of {then[date]}, commit `{then[commit]}`{older}.

| kind | another measurement must | agree | differ | not measured again |
|---|---|---|---|---|
"""
KINDS = {
    "exact": "give the same, as these are counts and arithmetic",
    "close": "lie within its tolerance, which is kept beside it; those of means of few trainings "
    "are wide, as such means are",
    "spread": "not be plainly of another distribution, as these are scores of trainings: "
    "$p \\ge 0.001$ (Mann–Whitney), and the median within the range",
    "verdict": "give the same verdict",
}
DIFFERENCES = """
| number | kind | published | measured again | $p$ |
|---|---|---|---|---|
"""


def fingerprint(name, seed):
    """Number of images and SHA-256 in hexadecimal of an image set, see DATA."""
    if name == "phantom":
        found = hashlib.sha256()
        for image in datasets.load("phantom", n=10, seed=seed).images:
            found.update(repr(image.shape).encode() + image.tobytes())
        return "computed, any number", found.hexdigest()
    image_set = manifest.find(name)
    table = image_set.manifest.read_bytes().replace(b"\r\n", b"\n")
    return f"{len(image_set.table())} files", hashlib.sha256(table).hexdigest()


def again(reproduced, provenance):
    """What ``make reproduce`` found on one machine, as MyST Markdown; see :func:`page`."""
    run, then = reproduced["provenance"], reproduced["published"]
    counts, differences = reproduced["counts"], reproduced["differences"]
    threads = run["rounding"].get("TF_NUM_INTRAOP_THREADS", "all")
    onednn = "without" if run["rounding"].get("TF_ENABLE_ONEDNN_OPTS") == "0" else "with"
    older = then["commit"] != provenance["commit"] or then["date"] != provenance["date"]
    text = AGAIN.format(
        seed=run["parameters"]["seed"],
        rounding=f"on {threads} thread{'s' * (threads != '1')}, {onednn} oneDNN",
        chapters=", ".join(name[:2] for name in sorted(run["seconds"])),
        total=duration(sum(run["seconds"].values())),
        then=then,
        older=", which are older than those of this book: it is due again" * older,
        **{key: run[key] for key in ("date", "commit", "cores", "processor")},
    )
    outcomes = "agree", "differ", "not measured"
    text += _rows(
        (kind, must, *(counts[kind][outcome] for outcome in outcomes))
        for kind, must in KINDS.items()
        if kind in counts
    )
    if not differences:
        return text + "\n**All that was measured again agrees.**\n"
    columns = "kind", "published", "found", "p"
    text += f"\n**These differ:**\n{DIFFERENCES}"
    return text + _rows(
        (f"`{row['key']}`", *(_cell(row[column]) for column in columns)) for row in differences
    )


def page(chapters, results, provenance, reproduced=(), scratch=None):
    """The page as MyST Markdown.

    Args:
        chapters: dict from the name of a chapter's file, without ending, to its executed notebook.
        results: path of the measurements on real images, as the reader knows it.
        provenance: of those measurements.
        reproduced: what ``notebooks/reproduce.py`` wrote about them, a dict for each machine.
        scratch: what ``make scratch`` measured, as ``notebooks/collect.py`` writes it; None if
            nothing.

    Returns:
        str.
    """
    runs = [notebook.metadata["xraylib"] for notebook in chapters.values()]
    last = max(runs, key=lambda run: run["date"])
    dates = sorted({run["date"] for run in runs})
    text = INTRO.format(
        profile=last["profile"],
        when=f"on {dates[0]}" if len(dates) == 1 else f"between {dates[0]} and {dates[-1]}",
        machine=machine(last),
        total=duration(sum(run["seconds"] for run in runs)),
    )
    text += _rows(
        (f"[](./{name})", duration(run["seconds"]), run["date"], f"`{run['commit']}`")
        for name, run in zip(chapters, runs, strict=True)
    )
    facts = {
        "processor": f"{last['processor']}, {last['cores']} cores",
        "graphics card": ", ".join(last["graphics"]) or "none",
        "system": last["system"],
        "Python": last["python"],
    }
    text += MACHINE + _rows((facts | last["packages"]).items())
    parameters = {}
    for notebook in chapters.values():
        parameters |= notebook.metadata["papermill"]["parameters"]
    sets = {parameters[k]: None for k in ("dataset", "covid_dataset") if k in parameters}
    found = {name: fingerprint(name, parameters.get("seed", 0)) for name in sets}
    text += DATA + _rows((f"`{_short(s)}`", n, f"`{value}`") for s, (n, value) in found.items())
    text += PARAMETERS + _rows((f"`{k}`", f"`{_short(v)}`") for k, v in parameters.items())
    text += RESULTS.format(file=results, **provenance)
    if scratch:
        # Trainings that take a card may have run elsewhere: the file says so.
        text += SCRATCH.format(**scratch["provenance"]) + scratch["provenance"].get("remark", "")
    machines = [again(each, provenance) for each in reproduced]
    return text + AFTERWARDS + ("\n".join(machines) or NEVER)


def _short(value):
    """Of a path its last two parts: a page need not tell whose folder it was."""
    return "/".join(Path(value).parts[-2:]) if "/" in str(value) else value


def _cell(value):
    """A text, a number or None; a bar would end the cell."""
    return "" if value is None else " ".join(str(value).split()).replace("|", r"\|")


def _rows(rows):
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)
