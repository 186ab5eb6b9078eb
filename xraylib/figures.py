"""One function for each kind of figure of the book, in one visual language."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
from sklearn import metrics

# Okabe and Ito's palette, told apart by colour-blind readers too; one meaning a colour throughout.
# 0 and 1 are the classes by their labels, whatever a set calls them.
COLOURS = {
    0: "#0072B2",
    1: "#E69F00",
    "chest": "#0072B2",
    "abdomen": "#E69F00",
    "covid": "#D55E00",
    "report": "#7F7F7F",
    "ours": "#009E73",
    "validation": "#CC79A7",
}


def use_style():
    """Set matplotlib's defaults for the book: sizes in inches, quiet axes, a white ground.

    A notebook then shows its figures as SVG: sharp on paper, a projector and a phone.
    """
    from IPython import get_ipython

    if get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # Without the date, the same figure is the same file.
        set_matplotlib_formats("svg", metadata={"Date": None})
    plt.rcParams.update(
        {
            "figure.figsize": (7.2, 3.6),
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "figure.facecolor": "white",
            "svg.hashsalt": "xraylib",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E6E6E6",
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )


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
    cell = width / columns
    height = rows * (cell * min(tallest, 1.35) + (0.28 if titles else 0.05))
    figure, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained"
    )
    for index, axis in enumerate(axes.flat):
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        if index >= len(images):
            axis.set_visible(False)
            continue
        axis.imshow(images[index], cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            axis.set_title(titles[index], fontsize=8, loc="center", pad=3)
        if classes is not None:
            axis.spines[:].set(visible=True, color=COLOURS[classes[index]], linewidth=2)
    return figure


def image_sizes(table, class_names):
    """Width against height of each image, coloured by class.

    Args:
        table: DataFrame with columns width and height (pixels) and label (0 or 1).
        class_names: names of class 0 and 1.

    Returns:
        matplotlib Figure.
    """
    figure, axis = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
    rng = np.random.default_rng(0)  # moves dots apart that would hide each other
    for label, (name, marker) in enumerate(zip(class_names, "os", strict=True)):
        rows = table[table["label"] == label]
        jitter = rng.uniform(-6, 6, (2, len(rows)))
        axis.scatter(
            rows["width"] + jitter[0],
            rows["height"] + jitter[1],
            s=26, marker=marker, color=COLOURS[label], alpha=0.7, linewidths=0,
            label=f"{name} ({len(rows)})",
        )  # fmt: skip
    top = 1.06 * max(table["width"].max(), table["height"].max())
    axis.plot([0, top], [0, top], color="#BBBBBB", linewidth=1, zorder=0)
    axis.text(0.3 * top, 0.3 * top, "square", rotation=45, color="#888888", ha="center", va="top")
    axis.set(xlim=(0, top), ylim=(0, top), xlabel="width (pixels)", ylabel="height (pixels)")
    axis.set_aspect("equal")
    axis.legend(loc="upper left")
    return figure


def bars_with_intervals(names, results, chance=0.5, colours=None):
    """Shares as dots with their intervals, one line each, the first on top.

    Args:
        names: what was measured, one a line.
        results: for each an ``evaluation.Proportion``, or an ``evaluation.Spread``: then dot and
            line are of the median training, and each training is a small mark above the line.
        chance: where guessing would lie, a dashed line; the share of the larger class.
        colours: one key of COLOURS for all or a list; "ours" if None.

    Returns:
        matplotlib Figure.
    """
    if colours is None or isinstance(colours, str):
        colours = [colours or "ours"] * len(names)
    # Names above the lines: narrow enough for a phone, whose readers see them with the numbers.
    figure, axis = plt.subplots(figsize=(5.2, 0.6 + 0.44 * len(names)), layout="constrained")
    for y, (name, result, colour) in enumerate(zip(names, results, colours, strict=True)):
        look = {"color": COLOURS[colour], "clip_on": False}
        if hasattr(result, "values"):
            shares = np.array(result.values) / result.n
            axis.plot(shares, np.full(len(shares), y - 0.14), "|", markersize=5, alpha=0.6, **look)
            result = result.median
        share = result.k / result.n
        axis.plot([result.low, result.high], [y, y], linewidth=2.5, **look)
        axis.plot(share, y, "o", markersize=7, **look)
        axis.annotate(
            f"{result.k}/{result.n}", (1.03, y), xycoords=("axes fraction", "data"), va="center"
        )
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # no line crosses a name
        axis.text(0.01, y - 0.3, name, fontsize=9, va="bottom", bbox=behind)
    axis.axvline(chance, color="#888888", linestyle="--", linewidth=1, zorder=0)
    axis.set(yticks=[], xlim=(0, 1), xlabel="share correct")
    axis.spines["left"].set_visible(False)
    axis.set_ylim(len(names) - 0.6, -0.9)
    return figure


def training_curves(ours, report=None, names=("accuracy", "loss", "mae")):
    """Training and validation values over the epochs, the report's log beside a run of ours.

    Args:
        ours: dict of lists as ``training.fit`` returns it.
        report: a history of ``data/report.json`` (acc, val_acc, ...), or None.
        names: which quantities, one row each.

    Returns:
        matplotlib Figure; a column for the report, if given, and one for the run.
    """
    keras_2 = {"accuracy": "acc", "mae": "mean_absolute_error", "loss": "loss"}
    labels = {"accuracy": "accuracy", "mae": "mean absolute error", "loss": "cross-entropy"}
    columns = ([("the report's log", report, keras_2)] if report else []) + [
        ("this run", ours, {name: name for name in names})
    ]
    figure, axes = plt.subplots(
        len(names), len(columns), squeeze=False, sharex="col", sharey="row",
        figsize=(7.2, 2.0 * len(names)), layout="constrained",
    )  # fmt: skip
    for column, (title, history, key) in enumerate(columns):
        for row, name in enumerate(names):
            axis = axes[row, column]
            for prefix, label, colour, dash in (
                ("", "training (augmented, dropout)", "ours", "-"),
                ("val_", "validation (neither)", "validation", "--"),
            ):
                values = history.get(prefix + key[name])
                if values:
                    epochs = np.arange(1, len(values) + 1)
                    axis.plot(epochs, values, dash, color=COLOURS[colour], label=label)
            if column == 0:
                axis.set_ylabel(labels[name])
            if row == 0:
                axis.set_title(title)
        axes[-1, column].set_xlabel("epoch")
    for name, axis in zip(names, axes[:, 0], strict=True):  # shared along a row
        axis.set_ylim(0, 1.04 if name == "accuracy" else None)
    axes[0, 0].legend(loc="lower right", fontsize=8)
    return figure


def cumulative_variance(ours, report=None):
    """Share of the variance that the first k components keep, for k from 1.

    Args:
        ours: explained-variance ratios of a run, largest first.
        report: those of the report, or None.

    Returns:
        matplotlib Figure.
    """
    figure, axis = plt.subplots(figsize=(7.2, 3.2), layout="constrained")
    for ratios, label, colour in ((ours, "this run", "ours"), (report, "the report", "report")):
        if ratios is not None:
            counts = np.arange(1, len(ratios) + 1)
            style = "o-" if label == "the report" else "-"
            axis.plot(
                counts, np.cumsum(ratios), style, color=COLOURS[colour], markersize=4, label=label
            )
    axis.axhline(0.9, color="#888888", linestyle="--", linewidth=1)
    axis.set(xlim=(1, None), ylim=(0, 1.02), xlabel="components", ylabel="share of the variance")
    axis.set_xticks([1, *range(10, len(ours) + 1, 10)])
    axis.legend(loc="lower right")
    return figure


def reliability(results):
    """How often a score is right: share of class 1 against mean score, a dot a bin.

    Args:
        results: dict from a name, a key of COLOURS or any other, to an
            ``evaluation.BinaryResult``.

    Returns:
        matplotlib Figure; a dot has the number of its images beside it and grows with it, and a
        calibrated classifier's dots lie on the dashed diagonal.
    """
    figure, axis = _unit_square("mean score", "share of class 1")
    for index, (name, result) in enumerate(results.items()):
        colour, bins = _colours(results)[index], result.reliability
        label = f"{name} (ECE {result.ece:.2f}, n = {result.n})"
        axis.plot(bins["mean_score"], bins["share"], color=colour, linewidth=1, label=label)
        sizes = 12 + 240 * bins["n"] / result.n
        axis.scatter(bins["mean_score"], bins["share"], sizes, colour, alpha=0.7, linewidths=0)
        for x, y, n in bins.itertuples(index=False):
            axis.annotate(
                str(n), (x, y), (0, -15 if index % 2 else 8), textcoords="offset points",
                ha="center", fontsize=7, color=colour,
            )  # fmt: skip
    _legend_below(axis)
    return figure


def roc(curves):
    """Sensitivity against false alarms at every threshold, a line a classifier.

    Args:
        curves: dict from a name, a key of COLOURS or any other, to (labels, scores): (n,) of 0 and
            1, both, and (n,) of class 1.

    Returns:
        matplotlib Figure; the legend has the areas under the curves, and guessing follows the
        dashed diagonal.

    Raises:
        ValueError: labels of one class only.
    """
    figure, axis = _unit_square("1 - specificity", "sensitivity")
    for (name, (labels, scores)), colour in zip(curves.items(), _colours(curves), strict=True):
        if len(np.unique(labels)) != 2:
            raise ValueError(f"{name}: expected labels of both classes, got {np.unique(labels)}")
        false_alarms, sensitivity, _ = metrics.roc_curve(labels, scores)
        label = f"{name} (AUC {metrics.roc_auc_score(labels, scores):.2f}, n = {len(labels)})"
        axis.plot(false_alarms, sensitivity, color=colour, label=label)
    _legend_below(axis)
    return figure


def _unit_square(xlabel, ylabel):
    figure, axis = plt.subplots(figsize=(4.2, 4.6), layout="constrained")
    axis.plot([0, 1], [0, 1], "--", color="#888888", linewidth=1)
    axis.set(xlim=(-0.08, 1.08), ylim=(-0.08, 1.08), xlabel=xlabel, ylabel=ylabel, aspect="equal")
    return figure, axis


def _legend_below(axis):
    axis.figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", fontsize=8)


def _colours(names):
    """Those that mean a name, and for other names the next ones."""
    rest = itertools.cycle(COLOURS[name] for name in reversed(COLOURS) if name not in names)
    return [COLOURS[name] if name in COLOURS else next(rest) for name in names]
