"""Sphinx extension: what Jupyter Book's theme and extensions do that this book does not want."""

import shutil
from pathlib import Path

# Of MathJax's bundles the pages load one, tex-chtml.js; what it may load later stays.
UNUSED = ("*svg*", "mml-*", "tex-mml-*", "tex-chtml-full*", "node-main.js", "output/svg*")


def without_thebe(app, config):
    """Jupyter Book always loads Thebe, whose program and kernels come from the network."""
    for listeners in app.events.listeners.values():
        for listener in [each for each in listeners if each.handler.__module__ == "sphinx_thebe"]:
            listeners.remove(listener)


def page(app, pagename, templatename, context, doctree):
    """A bibliography's entries get a role that ARIA 1.2 still has; Thebe's style sheet goes too."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')
    context["css_files"] = [f for f in context["css_files"] if "thebe" not in str(f.filename)]


def smaller(app, exception):
    """Half of what Sphinx copied are other bundles of MathJax."""
    folder = Path(app.outdir) / "_static/mathjax"
    for path in [path for pattern in UNUSED for path in folder.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def setup(app):
    """Called by Sphinx."""
    app.connect("config-inited", without_thebe)
    app.connect("html-page-context", page)
    app.connect("build-finished", smaller)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
