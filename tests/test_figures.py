"""What the figures show, asked of the figures themselves."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from xraylib import figures
from xraylib.evaluation.metrics import evaluate, proportion


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


def test_bars_show_share_and_interval():
    axis = figures.bars_with_intervals(["a", "b"], [proportion(9, 10), proportion(5, 10)]).axes[0]
    interval, dot = axis.lines[:2]
    assert list(dot.get_xdata()) == [0.9]
    np.testing.assert_allclose(interval.get_xdata(), proportion(9, 10)[2:])
    assert "9/10" in {text.get_text() for text in axis.texts}
    assert axis.yaxis_inverted()  # the first on top


def test_classes_of_any_name_have_the_two_colours_of_the_book():
    sheet = figures.contact_sheet([np.zeros((4, 4))] * 2, classes=np.array([0, 1]))
    frames = [axis.spines["top"].get_edgecolor() for axis in sheet.axes]
    for name, label in (("chest", 0), ("abdomen", 1)):
        assert matplotlib.colors.to_hex(frames[label]) == figures.COLOURS[name].lower()


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
