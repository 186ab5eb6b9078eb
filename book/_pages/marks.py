"""Markdown that reads without Sphinx, and how a page is made of it.

Chapters and pages are plain Markdown, as JupyterLab, GitHub and Colab show it. What only the
book needs stands in comments and links that nobody sees there:

* ``72 of 75<!--rival.network-->``: a number of ``results/``, see ``xraylib.ledger.spoken`` for the
  forms, as in ``71 to 75<!--rival.network:range-->``. What belongs to the mark is the number before
  it, with all that such a number may have, or whatever stands in ``**bold**`` before it.
  ``marks.py RESULTS`` writes the numbers anew; a test holds each to its record.
* ``1,725<!--=75*23-->``: arithmetic, held to its value.
* ``[Pan and Yang 2010](cite:pan2010survey)``: a source.
* ``[Figure 3.2](#fig-variance)``: a figure, counted anew with the numbers.
* ``<!--(training-noise)=-->``: a place that other chapters lead to.
* ``> **Seeds are not patients.** …``: a box; with ``<!--warning-->`` behind its title a warning.
"""

import ast
import operator
import re
import sys

import nbformat

from xraylib import ledger

_ONE = r"[−-]?\d[\d,]*(?:\.\d+)?(?:e[−-]?\d+)?"
# "72 of 75", "71 to 75", "0.03 (-0.12 to 0.17)", "about 3,000", "none", "12.5 %", "5 and 7"
_NUMBER = (
    rf"(?:about |none|all|{_ONE})(?:{_ONE})?(?:(?: of | to | and |/|–){_ONE})?"
    rf"(?: \({_ONE}(?: to |–){_ONE}\))?(?: %| million)?"
)
MARK = re.compile(rf"(?P<text>\*\*[^*\n]+\*\*|{_NUMBER})<!--(?!warning-->)(?P<key>=?[^<>(\n]+?)-->")
CITE = re.compile(r"\[(?P<text>[^\[\]]+)\]\(cite:(?P<key>\w+)\)")
FIGURE = re.compile(r"\[Figures? [\d.]+\]\(#(?P<name>fig-[\w-]+)\)")
PLACE = re.compile(r"<!--(?P<name>\([\w.-]+\)=)-->")
_BOX = re.compile(r"^> \*\*(?P<title>[^*\n]+)\*\*(?P<rest>.*(?:\n>.*)*)", re.M)
_SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
          ast.Div: operator.truediv, ast.Pow: operator.pow}  # fmt: skip


def said(key):
    """What a mark's text must be.

    Raises:
        ValueError: there is no such record, or the arithmetic is none.
    """
    if key.startswith("="):
        return computed(key[1:])
    key, _, form = key.partition(":")
    return ledger.spoken(key, form)


def computed(expression):
    """The value of sums, products and powers, as one writes it: "1,725"."""

    def value(node):
        match node:
            case ast.Constant(int() | float() as number):
                return number
            case ast.BinOp(left, sign, right) if type(sign) in _SIGNS:
                return _SIGNS[type(sign)](value(left), value(right))
        raise ValueError(f"expected plain arithmetic in a mark, got {expression!r}")

    try:
        found = value(ast.parse(expression, mode="eval").body)
    except SyntaxError:
        raise ValueError(f"expected plain arithmetic in a mark, got {expression!r}") from None
    return f"{found:,.0f}" if found == int(found) else f"{found:,.4g}"


def renewed(text, figures=None):
    """A text with the numbers of its marks as they are now; figures: name → "3.2"."""

    def number(match):
        now, bold = said(match["key"]), match["text"].startswith("**")
        return f"{f'**{now}**' if bold else now}<!--{match['key']}-->"

    def figure(match):
        if figures is None or match["name"] not in figures:
            return match[0]
        return f"[Figure {figures[match['name']]}](#{match['name']})"

    return FIGURE.sub(figure, MARK.sub(number, text))


def figures(notebooks):
    """All figures of the chapters: name → its number, as the book counts them."""
    found = {}
    for path in notebooks:
        number, count = int(path.stem[:2]), 0
        for cell in nbformat.read(path, as_version=4).cells:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            if name:
                count += 1
                found[name] = f"{number}.{count}"
    return found


def myst(text):
    """A text as MyST: with its citations, references, targets and boxes."""
    text = PLACE.sub(lambda match: match["name"], text)
    text = re.sub(r"<!--(?!warning-->)[^>]*-->", "", text)
    text = CITE.sub(_citation, text)
    text = FIGURE.sub(lambda match: f"{{numref}}`{match['name']}`", text)
    return _BOX.sub(_admonition, text)


def _citation(match):
    """With what stands behind the year, such as a chapter."""
    known = ledger.source(match["key"])
    if not match["text"].startswith(known):
        raise ValueError(f"a source should be cited as {known!r}, not {match['text']!r}")
    return f"{{cite:alp}}`{match['key']}`{match['text'].removeprefix(known)}"


def _admonition(match):
    body = re.sub(r"^> ?|<!--warning-->", "", match["rest"], flags=re.M).strip()
    kind = "warning" if "<!--warning-->" in match[0] else "note"
    return f":::{{admonition}} {match['title'].rstrip('.')}\n:class: {kind}\n{body}\n:::"


def texts(cell):
    """What of a cell is prose: its Markdown, or a figure's caption."""
    if cell.cell_type == "markdown":
        return [("source", cell)]
    figure = cell.metadata.get("mystnb", {}).get("figure")
    return [("caption", figure)] if figure and "caption" in figure else []


def main():
    """Write the numbers of all chapters and pages anew."""
    root = ledger.ROOT
    chapters = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    counted = figures(chapters)
    for path in [*chapters, *sorted((root / "book").glob("*.md")), root / "README.md"]:
        before = path.read_text()
        if path.suffix == ".md":
            after = renewed(before, counted)
        else:
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                for name, holder in texts(cell):
                    holder[name] = renewed(holder[name], counted)
            after = nbformat.writes(notebook) + "\n"
        if after != before:
            path.write_text(after)
            print(path.relative_to(root))


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))
