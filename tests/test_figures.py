"""What the figures show, asked of the figures themselves."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from xraylib import figures, ledger
from xraylib.evaluation import evaluate, proportion


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_contact_sheet_shows_every_image_uncut():
    images = [np.full((30, 20 + i, 3), 10 * i, "uint8") for i in range(7)]
    figure = figures.contact_sheet(images, [f"no. {i}" for i in range(7)], ["chest"] * 7, columns=3)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert len(shown) == 7
    for axis, image in zip(shown, images, strict=True):
        np.testing.assert_array_equal(axis.images[0].get_array(), image)
        assert axis.images[0].get_clim() == (0, 255)  # never stretched on its own


def test_training_curves_put_the_report_beside_the_run():
    log = ledger.report()["xray"]["history"]
    ours = {"accuracy": [0.5, 0.6], "val_accuracy": [0.4, 0.7], "loss": [1, 0.9], "mae": [0.5, 0.4]}
    axes = figures.training_curves(ours, log).axes
    assert len(axes) == 6
    report, run = axes[0], axes[1]
    np.testing.assert_array_equal(report.lines[0].get_ydata(), log["acc"])
    np.testing.assert_array_equal(report.lines[1].get_ydata(), log["val_acc"])
    np.testing.assert_array_equal(run.lines[1].get_ydata(), [0.4, 0.7])
    assert list(run.lines[0].get_xdata()) == [1, 2]  # epochs count from 1
    assert report.get_ylim() == run.get_ylim()


def test_bars_show_share_and_interval():
    axis = figures.bars_with_intervals(["a", "b"], [proportion(9, 10), proportion(5, 10)]).axes[0]
    interval, dot = axis.lines[:2]
    assert list(dot.get_xdata()) == [0.9]
    np.testing.assert_allclose(interval.get_xdata(), proportion(9, 10)[2:])
    assert "9/10" in {text.get_text() for text in axis.texts}
    assert axis.yaxis_inverted()  # the first on top


def test_image_sizes_colours_the_classes():
    table = pd.DataFrame({"width": [10, 20, 30], "height": [10, 30, 20], "label": [0, 1, 1]})
    axis = figures.image_sizes(table, ("chest", "abdomen")).axes[0]
    assert [len(dots.get_offsets()) for dots in axis.collections] == [1, 2]
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["chest (1)", "abdomen (2)"]


def test_classes_of_any_name_have_the_two_colours_of_the_book():
    table = pd.DataFrame({"width": [10, 20], "height": [10, 30], "label": [0, 1]})
    axis = figures.image_sizes(table, ("normal", "chest")).axes[0]
    dots = [dots.get_facecolor()[0] for dots in axis.collections]
    sheet = figures.contact_sheet([np.zeros((4, 4))] * 2, classes=np.array([0, 1]))
    frames = [axis.spines["top"].get_edgecolor() for axis in sheet.axes]
    for name, label in (("chest", 0), ("abdomen", 1)):
        for colour in (dots[label], frames[label]):
            assert matplotlib.colors.to_hex(colour) == figures.COLOURS[name].lower()


def test_cumulative_variance_begins_at_one_component():
    ratios = ledger.report()["pca"]["explained_variance_ratio"]
    axis = figures.cumulative_variance([0.5, 0.3, 0.2], ratios).axes[0]
    ours, report = axis.lines[:2]
    assert list(ours.get_xdata()) == [1, 2, 3] and axis.get_xlim()[0] == 1
    np.testing.assert_allclose(ours.get_ydata(), [0.5, 0.8, 1.0])
    assert len(report.get_xdata()) == 23
    assert report.get_ydata()[-1] == pytest.approx(0.9026, abs=1e-4)


def test_reliability_has_a_dot_a_bin_and_its_count_beside_it():
    labels = [0, 1, 0, 1, 1, 1]
    results = {
        "ours": evaluate(labels, [0.12, 0.32, 0.32, 0.92, 0.92, 0.92]),
        "another": evaluate(labels, [0.5] * 6),
    }
    axis = figures.reliability(results).axes[0]
    ours, another = axis.collections
    np.testing.assert_allclose(ours.get_offsets(), [[0.12, 0], [0.32, 0.5], [0.92, 1]])
    np.testing.assert_allclose(another.get_offsets(), [[0.5, 4 / 6]])
    assert np.all(np.diff(ours.get_sizes()) > 0)
    assert [text.get_text() for text in axis.texts] == ["1", "2", "3", "6"]
    assert list(axis.lines[0].get_xdata()) == list(axis.lines[0].get_ydata())  # the diagonal
    assert ours.get_facecolor()[0][:3] == pytest.approx(matplotlib.colors.to_rgb("#009E73"))
    assert ours.get_facecolor()[0][:3].tolist() != another.get_facecolor()[0][:3].tolist()
    legend = [text.get_text() for text in axis.figure.legends[0].get_texts()]
    assert legend[0] == f"ours (ECE {results['ours'].ece:.2f}, n = 6)" and len(legend) == 2


def test_roc_runs_from_corner_to_corner_with_its_area_in_the_legend():
    labels = [0, 0, 1, 1]
    curves = {"ours": (labels, [0.1, 0.4, 0.35, 0.8]), "another": (labels, [0.1, 0.2, 0.8, 0.9])}
    axis = figures.roc(curves).axes[0]
    _, ours, another = axis.lines
    np.testing.assert_allclose(ours.get_xydata(), [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]])
    np.testing.assert_allclose(another.get_xydata(), [[0, 0], [0, 0.5], [0, 1], [1, 1]])
    legend = [text.get_text() for text in axis.figure.legends[0].get_texts()]
    assert legend == ["ours (AUC 0.75, n = 4)", "another (AUC 1.00, n = 4)"]
    with pytest.raises(ValueError, match="third: expected labels of both classes"):
        figures.roc({"third": ([1, 1], [0.2, 0.3])})
