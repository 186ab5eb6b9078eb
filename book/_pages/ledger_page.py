"""The ledger's page: statements of the report section by section, and how each stands."""

from collections import Counter

import marks
from chapter_page import sources

from xraylib import ledger

SECTIONS = {  # as the report has them
    "1": "Abstract",
    "2": "Introduction",
    "3.1": "Image processing",
    "3.2": "‘Learning’ within machine learning",
    "3.3": "Classification modelling",
    "3.3.1": "Transfer learning",
    "3.4": "Dimensionality reduction",
    "3.4.1": "Principal component analysis",
    "3.4.2": "t-SNE",
    "3.5": "Cluster analysis",
    "3.5.1": "Hierarchical clustering",
    "3.5.2": "k-means clustering",
    "3.6": "Neural networks",
    "3.6.1": "The perceptron",
    "3.6.2": "Multi-layered perceptron",
    "3.6.3": "Activation function",
    "3.6.4": "Optimisation algorithm",
    "3.6.5": "Convolutional neural network",
    "4": "Methodology",
    "4.1.1": "Deep learning framework",
    "4.1.2": "Building the network model",
    "4.1.3": "Convolutional layers",
    "4.1.4": "Pooling layer",
    "4.1.5": "Dense layers",
    "4.1.6": "Activation in each layer",
    "4.2": "Data preprocessing",
    "4.3": "Dimensionality reduction, applied",
    "4.3.1": "Application of PCA",
    "4.3.2": "Application of t-SNE",
    "4.4": "Transfer learning application",
    "5": "Model evaluation",
    "5.1": "Transferring the learning of the model to COVID-19",
    "6": "Conclusion",
    "References": "",
    "Appendix": "The report's code",
    "notebook": "In the author's notebook, not in the report",
}
INTRO = """\
(ledger)=
# The ledger: the report, statement by statement

{n} statements of the report, in its own words and order, and what this book finds of each: \
{counts}. What is right is listed with the rest, and what the report concedes is to its credit. \
*Contradicts itself* is said where its own text, code or log has something else; *left out*, \
where the reader would have needed to know.

{judged} of them are judged by a cell of a chapter, to which the name of the claim leads; the \
others by reading, with their source. Numbers were measured on real films, the report's own 75 \
and, for COVID-19, a set under open licences, by the run of {date} (profile `{profile}`, commit \
`{commit}`).

## Section by section

"""


def judged(chapters):
    """Which chapter judges each statement, and whether this run bears it out.

    Args:
        chapters: dict from the name of a chapter to its executed notebook.

    Returns:
        dict claim → (name of the chapter, bool).

    Raises:
        ValueError: a claim is judged twice, or by a run that knew another verdict.
    """
    found = {}
    for name, chapter in chapters.items():
        try:
            records = verdicts(ledger.collect(chapter))
        except ValueError as error:
            raise ValueError(f"{name}.ipynb: {error}") from None
        for claim, value in records.items():
            if claim in found:
                raise ValueError(
                    f"{name}.ipynb: expected each claim once, but {claim} is judged in "
                    f"{found[claim][0]}.ipynb too"
                )
            known = ledger.claims().get(claim, {}).get("verdict")
            if known != value["verdict"]:
                raise ValueError(
                    f"{name}.ipynb: {claim} was {value['verdict']!r} when it ran, and is {known!r} "
                    "in data/claims.yml; run it again"
                )
            found[claim] = name, value["holds"]
    return found


def verdicts(records):
    """Those of the records that are verdicts, by claim."""
    prefix = "verdict."
    return {
        key.removeprefix(prefix): record["value"]
        for key, record in records.items()
        if key.startswith(prefix)
    }


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _row(name, where):
    claim = ledger.claims()[name]
    holds = where.get(name, (None, True))[1]
    found = ledger.filled(claim["found"]) + ("" if holds else " (Not so in this run.)")
    cells = [
        f"[{name}](#{name})" if name in where else name,
        ledger.quoted(claim),
        claim["verdict"],
        f"{marks.myst(found)} *({sources(claim)})*",
    ]
    # In a table, a bar inside mathematics or code ends the cell too.
    return [" ".join(cell.split()).replace("|", r"\|") for cell in cells]


def page(chapters, measured):
    """The page as MyST Markdown.

    Args:
        chapters: see :func:`judged`.
        measured: the measurements on real images, as ``notebooks/collect.py`` writes them.

    Returns:
        str.

    Raises:
        ValueError: see :func:`judged`; or a number of a claim was not measured.
    """
    where, claims = judged(chapters), ledger.claims()
    sections = {section: [] for section in SECTIONS}
    for name, claim in claims.items():
        sections[claim["section"]].append(name)
    counts = Counter(claim["verdict"] for claim in claims.values())
    text = INTRO.format(
        n=len(claims),
        judged=len(where),
        counts=", ".join(f"{counts[kind]} {kind}" for kind in ledger.VERDICTS),
        **{key: measured["provenance"][key] for key in ("date", "profile", "commit")},
    )
    overview = []
    for section, names in sections.items():
        here = Counter(claims[name]["verdict"] for name in names)
        title = f"{section} {SECTIONS[section]}".strip()
        numbers = [str(here[kind] or "") for kind in ledger.VERDICTS]
        overview.append([title, *numbers, str(len(names))])
    overview.append(["all", *(str(counts[kind]) for kind in ledger.VERDICTS), str(len(claims))])
    text += _table(["Section", *ledger.VERDICTS, "statements"], overview)
    head = ["Claim", "The report says", "Verdict", "What the book finds"]
    for section, names in sections.items():
        if names:
            title = f"{section} {SECTIONS[section]}".strip()
            text += f"\n## {title}\n\n" + _table(head, [_row(name, where) for name in names])
    return text
