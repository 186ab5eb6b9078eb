"""Sphinx extension: link each glossary term where a chapter first uses it, and index the place.

Chapters stay plain prose: the terms are those of ``glossary.md``, found by their spelling.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

# Words in these are no prose, or are a link already.
NOT_PROSE = (
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.reference,
    nodes.caption,
    nodes.raw,
    nodes.term,
    addnodes.pending_xref,
)


def spellings(glossary):
    """The terms of a MyST page with a glossary directive.

    Args:
        glossary: its path.

    Returns:
        dict spelling in lower case → main term; lines that stand together share a definition,
        and the first of them is the main term.
    """
    block = re.search(r"^(`{3,}|:{3,})\{glossary\}\n(.*?)^\1", glossary.read_text(), re.S | re.M)
    found, main = {}, None
    for line in block.group(2).splitlines():
        if not line.strip() or line[0] in " :":
            main = None
        else:
            main = main or line.strip()
            found[line.strip().lower()] = main
    return found


class FirstUse(SphinxTransform):
    """Turns the first use of each term into a link, with an entry in the index."""

    default_priority = 800  # before Sphinx reads the index entries of a page, at 850

    def apply(self, **kwargs):
        number = re.match(r"chapters/(\d+)", self.env.docname)
        if not number:
            return
        glossary = Path(self.env.srcdir) / "glossary.md"
        self.env.note_dependency(str(glossary))
        terms = spellings(glossary)
        longest_first = sorted(terms, key=len, reverse=True)
        words = re.compile(
            rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])", re.I
        )
        title = next(self.document.findall(nodes.title)).astext()
        chapter = f"{int(number.group(1))} {title.split(':')[0]}"
        used = set()
        for text in list(self.document.findall(nodes.Text)):
            if not _is_prose(text):
                continue
            pieces, end = [], 0
            for match in words.finditer(text):
                term = terms[match.group().lower()]
                if term not in used:
                    used.add(term)
                    before = nodes.Text(text[end : match.start()])
                    pieces += [before, *self.link(match, term, chapter)]
                    end = match.end()
            if pieces:
                text.parent.replace(text, [*pieces, nodes.Text(text[end:])])

    def link(self, match, term, chapter):
        """The index entry under term and chapter, its target, and the link to the definition."""
        anchor = nodes.make_id(f"use-{term}")
        target = nodes.target("", "", ids=[anchor])
        self.document.note_explicit_target(target)
        link = addnodes.pending_xref(
            "",
            nodes.inline("", match.group(), classes=["xref", "std", "std-term"]),
            refdomain="std", reftype="term", reftarget=term, refdoc=self.env.docname,
            refexplicit=True, refwarn=True,
        )  # fmt: skip
        entry = ("single", f"{term}; {chapter}", anchor, "", None)
        return addnodes.index(entries=[entry]), target, link


def _is_prose(text):
    """In a paragraph, and not in what NOT_PROSE lists."""
    node, paragraph = text.parent, False
    while node is not None:
        if isinstance(node, NOT_PROSE):
            return False
        paragraph = paragraph or isinstance(node, nodes.paragraph)
        node = node.parent
    return paragraph


def main_terms_only(app, env):
    """The index lists a term once, not each of its spellings."""
    entries = env.get_domain("index").entries
    if "glossary" in entries:
        main = set(spellings(Path(env.srcdir) / "glossary.md").values())
        entries["glossary"] = [entry for entry in entries["glossary"] if entry[1] in main]


def setup(app):
    """Called by Sphinx."""
    app.connect("env-updated", main_terms_only)
    app.add_transform(FirstUse)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
