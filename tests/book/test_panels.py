"""The panels of a wide figure, as they stand one below the other on a phone."""

import io
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book/_ext"))

import panels  # noqa: E402


def written(figure, **kept):
    """The SVG of a figure, and where its axes are in it, as matplotlib measures them."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "panels"}):
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        renderer = figure.canvas.get_renderer()
        whole = figure.get_tightbbox(renderer).padded(0.1)
        boxes = [axes.get_tightbbox(renderer) for axes in figure.axes]
    plt.close(figure)
    points = 72 / figure.dpi
    return file.getvalue(), [
        np.array([box.x0 * points - whole.x0 * 72, whole.y1 * 72 - box.y1 * points,
                  box.x1 * points - whole.x0 * 72, whole.y1 * 72 - box.y0 * points])
        for box in boxes
    ]  # fmt: skip


def drawn(rows, columns, **kept):
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, 3), layout="constrained", squeeze=False, **kept
    )
    for axis in axes.flat:
        axis.plot([0, 1], [0, 5])
        axis.set(title="a title", xlabel="horizontal", ylabel="" if kept else "vertical")
    return figure, axes


def test_each_panel_is_whole_in_one_part_and_in_no_other():
    figure, axes = drawn(2, 2)
    axes[0, 1].imshow(np.eye(3), aspect="auto")
    svg, places = written(figure)
    found = panels.parts(svg)
    assert [len(part) for part in found] == [1, 1]
    for number, place in enumerate(places):
        for column, ((x, y, width, height),) in enumerate(found):
            box = np.array([x, y, x + width, y + height])
            inside = (box[:2] - 1 <= place[:2]).all() and (place[2:] <= box[2:] + 1).all()
            assert inside == (number % 2 == column), (number, column)
            if not inside:
                assert place[0] > box[2] - 1 or place[2] < box[0] + 1


def test_numbers_that_panels_share_stand_beside_each():
    figure, _ = drawn(1, 3, sharey=True)
    svg, places = written(figure)
    (first,), *others = panels.parts(svg)
    for (strip, view), place in zip(others, places[1:], strict=True):
        assert strip[:2] == first[:2] and 10 < strip[2] < 60  # the numbers, not the curve
        assert view[0] <= place[0] + 1 and view[0] + view[2] >= place[2] - 1


def test_a_bar_of_colours_stays_with_its_panel_and_a_legend_below_is_a_part():
    figure, axes = drawn(1, 2)
    shown = axes[0, 0].imshow(np.eye(3), aspect="auto")
    figure.colorbar(shown, ax=axes[0, 0])
    figure.legend(["a curve that has a long name, and longer"], loc="outside lower center")
    svg, places = written(figure)
    found = [part[0] for part in panels.parts(svg)]
    assert len(found) == 3 and found[2][1] > found[0][1] + found[0][3] - 5
    assert found[0][0] + found[0][2] >= places[2][2] - 1  # the bar's numbers


def test_a_title_of_all_panels_is_a_part_and_takes_no_numbers_away():
    figure, _ = drawn(1, 3, sharey=True)
    figure.suptitle("a title of them all, and a long one")
    (title,), (first,), *others = panels.parts(written(figure)[0])
    assert title[1] + title[3] <= first[1] + 6
    assert [len(part) for part in others] == [2, 2]  # each with the numbers


def test_numbers_below_that_rows_share_are_not_lost():
    figure, axes = drawn(2, 2, sharex=True)
    axes[0, 0].set_title("a title that reaches far into the panel at its right, over the gap")
    assert panels.parts(written(figure)[0]) == []


def test_an_empty_place_and_an_arrow_from_panel_to_panel():
    figure, axes = drawn(2, 3)
    axes[1, 2].axis("off")
    axes[1, 2].clear()
    axes[1, 2].axis("off")
    assert len(panels.parts(written(figure)[0])) == 3
    figure, axes = drawn(1, 2)
    ends = {"xyA": (1, 1), "xyB": (0, 1), "coordsA": "data", "coordsB": "data"}
    arrow = matplotlib.patches.ConnectionPatch(axesA=axes[0, 0], axesB=axes[0, 1], **ends)
    figure.add_artist(arrow)
    assert panels.parts(written(figure)[0]) == []


def test_letters_that_are_text_have_no_known_size():
    figure, _ = drawn(1, 2)
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert panels.parts(written(figure)[0]) == []


@pytest.mark.parametrize("rows, columns, width", [(1, 1, 7.2), (3, 1, 7.2), (1, 2, 4)])
def test_what_can_be_read_as_it_is_stays_whole(rows, columns, width):
    figure, _ = drawn(rows, columns)
    figure.set_size_inches(width, 3)
    assert panels.parts(written(figure)[0]) == []


def test_a_panel_across_all_others_keeps_their_figure_whole():
    figure = plt.figure(figsize=(7.2, 4), layout="constrained")
    for axis in figure.subplot_mosaic("AA;BC").values():
        axis.set(xlabel="x")
    assert [len(part) for part in panels.parts(written(figure)[0])] == []
