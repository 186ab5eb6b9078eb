"""One function for each kind of figure of the book, in one visual language."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

# Okabe and Ito's palette, told apart by colour-blind readers too; one meaning a colour throughout.
# 0 and 1 are the classes by their labels, whatever a set calls them.
COLOURS = {
    0: "#0072B2", 1: "#E69F00", "chest": "#0072B2", "abdomen": "#E69F00", "covid": "#D55E00",
    "report": "#7F7F7F", "ours": "#009E73", "validation": "#CC79A7",
}  # fmt: skip


def use_style():
    """Set matplotlib's defaults for the book: sizes in inches, quiet axes, a white ground.

    A notebook then shows its figures as SVG: sharp on paper, a projector and a phone.
    """
    from IPython import get_ipython

    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # Without the date, the same figure is the same file.
        set_matplotlib_formats("svg", metadata={"Date": None})
    plt.rc("figure", figsize=(7.2, 3.6), dpi=110, facecolor="white")
    plt.rc("savefig", bbox="tight")
    plt.rc("svg", hashsalt="xraylib")
    plt.rc("axes", grid=True, axisbelow=True, titlesize=10, titlelocation="left")
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E6E6E6")
    plt.rc("font", size=10)
    plt.rc("legend", frameon=False)
    plt.rc("lines", linewidth=1.8)


def contact_sheet(images, titles=None, classes=None, columns=6, width=7.2):
    """Images side by side in rows, each with its own shape kept.

    Args:
        images: list of (height, width) or (height, width, 3) arrays, 0..255.
        titles: one line above each, or None.
        classes: for each image a key of COLOURS that colours its frame, or None.
        columns: images a row.
        width: of the figure, inches.

    Returns:
        matplotlib Figure.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    height = rows * (width / columns * min(tallest, 1.35) + (0.28 if titles else 0.05))
    size = {"figsize": (width, height), "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, squeeze=False, **size)
    for index, axis in enumerate(axes.flat):
        if index >= len(images):
            axis.set_visible(False)
            continue
        axis.set(xticks=[], yticks=[])  # and so no grid
        axis.spines[:].set_visible(False)
        axis.imshow(images[index], cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            axis.set_title(titles[index], fontsize=8, loc="center", pad=3)
        if classes is not None:
            axis.spines[:].set(visible=True, color=COLOURS[classes[index]], linewidth=2)
    return figure


def bars_with_intervals(names, results, chance=0.5, colours=None, *, real=None):
    """Shares as dots with their intervals, one line each, the first on top.

    Args:
        names: what was measured, one a line.
        results: for each a ``metrics.Proportion``, or a ``metrics.Spread``: dot and line are
            then of the median training, and each training is a small mark above the line.
        chance: where guessing would lie, a dashed line; the share of the larger class.
        colours: for each a key of COLOURS; "ours" if None.
        real: the same as measured on real films, or None where it was not. It stands first, and the
            results below it, in grey.

    Returns:
        matplotlib Figure.
    """
    colours, real = colours or ["ours"] * len(names), real or [None] * len(names)
    # Names above the lines: narrow enough for a phone, whose readers see them with the numbers.
    twice = any(each is not None for each in real)
    height = (0.5 if twice else 0.44) * len(names) + 0.6
    figure, axis = plt.subplots(figsize=(5.2, height), layout="constrained")
    lines = zip(names, results, real, colours, strict=True)
    for y, (name, here, first, colour) in enumerate(lines):
        result = here if first is None else first
        if twice:
            middle = getattr(here, "median", here)
            below = {"color": "#888888", "clip_on": False}
            axis.plot([middle.low, middle.high], [y + 0.16] * 2, linewidth=1.2, **below)
            axis.plot(middle.k / middle.n, y + 0.16, "o", markersize=4, **below)
            if first is None:
                axis.text(0.01, y - 0.3, name, fontsize=9, va="bottom")
                continue
        look = {"color": COLOURS[colour], "clip_on": False}
        if hasattr(result, "values"):
            shares = np.array(result.values) / result.n
            axis.plot(shares, np.full(len(shares), y - 0.14), "|", markersize=5, alpha=0.6, **look)
            result = result.median
        share = result.k / result.n
        axis.plot([result.low, result.high], [y, y], linewidth=2.5, **look)
        axis.plot(share, y, "o", markersize=7, **look)
        beside = "axes fraction", "data"
        axis.annotate(f"{result.k}/{result.n}", (1.03, y), xycoords=beside, va="center")
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # no line crosses a name
        axis.text(0.01, y - 0.3, name, fontsize=9, va="bottom", bbox=behind)
    axis.axvline(chance, color="#888888", linestyle="--", linewidth=1, zorder=0)
    axis.set(xlim=(0, 1), ylim=(len(names) - 0.6, -0.9), yticks=[], xlabel="share correct")
    axis.spines["left"].set_visible(False)
    return figure


def reliability(results):
    """How often a score is right: share of class 1 against mean score, a dot a bin.

    Args:
        results: dict from a name, a key of COLOURS or any other, to a ``metrics.BinaryResult``.

    Returns:
        matplotlib Figure; a dot grows with the number of its images, which stands beside it, and
        a calibrated classifier's dots lie on the dashed diagonal.
    """
    figure, axis = plt.subplots(figsize=(4.2, 4.6), layout="constrained")
    axis.plot([0, 1], [0, 1], "--", color="#888888", linewidth=1)
    limits = {"xlim": (-0.08, 1.08), "ylim": (-0.08, 1.08), "aspect": "equal"}
    axis.set(**limits, xlabel="mean score", ylabel="share of class 1")
    spare = itertools.cycle(COLOURS[name] for name in reversed(COLOURS) if name not in results)
    for index, (name, result) in enumerate(results.items()):
        colour = COLOURS[name] if name in COLOURS else next(spare)
        bins = result.reliability
        label = f"{name} (ECE {result.ece:.2f}, n = {result.n})"
        axis.plot(bins["mean_score"], bins["share"], color=colour, linewidth=1, label=label)
        sizes = 12 + 240 * bins["n"] / result.n
        axis.scatter(bins["mean_score"], bins["share"], sizes, colour, alpha=0.7, linewidths=0)
        for x, y, n in bins.itertuples(index=False):
            place = {"xytext": (0, -15 if index % 2 else 8), "textcoords": "offset points"}
            axis.annotate(str(n), (x, y), **place, ha="center", fontsize=7, color=colour)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", fontsize=8)
    return figure
