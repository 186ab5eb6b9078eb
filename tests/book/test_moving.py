"""The figures that move say what Python says; without scripts they are not there."""

import re

import numpy as np
import pytest

from tests.book.browser import NEEDS_BOOK, address
from xraylib.data import datasets
from xraylib.evaluation.metrics import proportion
from xraylib.training import augmentation

WHERE = {
    "augmentation": "02_data",
    "components": "03_dimensionality_reduction",
    "counted": "05_evaluation",
    "kernel": "01_theory",
    "swarm": "06_covid19",
    "threshold": "06_covid19",
    "tsne": "03_dimensionality_reduction",
}
pytestmark = NEEDS_BOOK


@pytest.fixture(scope="module")
def figure(browser):
    """The figure of a name, offline and on a phone; its page is opened once and as it was left."""
    phone, found = {"viewport": {"width": 390, "height": 844}, "offline": True}, {}

    def figure(name, **options):
        if options or name not in found:
            tab = browser.new_context(**phone, **options).new_page()
            tab.goto(address(f"chapters/{WHERE[name]}.html"))
            there = tab.locator(f"[data-moving={name}]")
            if options:
                return there
            found[name] = there
        return found[name]

    return figure


def move(figure, name, value):
    """Set a slider, as a reader would drag it."""
    figure.get_by_label(name, exact=False).first.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


def said(figure):
    return figure.get_by_role("status").inner_text()


def shown(figure, number=0):
    """Grey values of a canvas, uint8 (h, w)."""
    width, values = (
        figure.locator("canvas")
        .nth(number)
        .evaluate(
            """canvas => [canvas.width,
            [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]]"""
        )
    )
    return np.array(values, np.uint8).reshape(-1, width, 4)[..., 0]


@pytest.mark.parametrize("name", WHERE)
def test_without_scripts_and_in_print_the_still_figure_stands_alone(figure, name):
    assert not figure(name, java_script_enabled=False).is_visible()
    there = figure(name)
    assert there.is_visible()
    there.page.emulate_media(media="print")
    assert not there.is_visible()
    there.page.emulate_media(media="screen")


@pytest.mark.parametrize(("k", "n"), [(10, 10), (9, 10), (71, 75), (300, 300), (280, 300)])
def test_k_of_n_has_the_exact_interval(figure, k, n):
    there = figure("counted")
    move(there, "films", n)
    move(there, "errors", n - k)
    _, _, low, high = proportion(k, n)[:4]
    assert f"{k} of {n}: the true share may be anything from {low:.2f} to {high:.2f}" in said(there)


def test_the_film_moves_as_the_augmentation_moves_it(figure):
    there = figure("augmentation")
    film = datasets.load("phantom", n=1, size=160, interpolation="box").images
    assert np.array_equal(shown(there), film[0, ..., 0])
    for name, value in {"rotation": 13, "shift across": 0.1, "shift down": -0.05, "shear": 8,
                        "zoom": 1.1}.items():  # fmt: skip
        move(there, name, value)
    there.get_by_label("flip").select_option("yes")
    # A slider moves the picture, Keras the grid that reads it.
    matrix = augmentation.affine_matrices(
        (160, 160), np.deg2rad([13]), [-16], [8], np.deg2rad([8]), [1.1], [1.1], [True]
    )
    expected = augmentation.apply(film, matrix)[0, ..., 0]
    assert np.abs(shown(there).astype(int) - expected).mean() < 0.5


def test_the_threshold_counts_and_weighs(figure):
    there = figure("threshold")
    data = there.evaluate("root => JSON.parse(root.querySelector('script').textContent)")
    scores, labels = np.array(data["scores"]), np.array(data["labels"])
    move(there, "threshold", 0.3)
    move(there, "share of", 0.05)
    called = scores >= 0.3
    hits, false = (called & (labels == 1)).sum(), (called & (labels == 0)).sum()
    sensitivity, specificity = hits / labels.sum(), 1 - false / (labels == 0).sum()
    assert f"Sensitivity {hits} of {labels.sum()}" in said(there)
    right = 0.05 * sensitivity / (0.05 * sensitivity + 0.95 * (1 - specificity))
    assert f"{100 * right:.0f} % have it, of the others" in said(there)
    benefit = 100 * (0.05 * sensitivity - 0.95 * (1 - specificity) * 0.3 / 0.7)
    assert f"of an ill person found: {benefit:.1f};".replace("-", "\u2212") in said(there)


def test_all_components_make_the_film(figure):
    there = figure("components")
    move(there, "components", 74)
    film = datasets.load("phantom", n=75, size=64, interpolation="box").images[0, ..., 0]
    assert np.abs(shown(there).astype(int) - film).mean() < 3
    assert said(there).startswith("74 of 74 components, which keep 100 %")
    move(there, "components", 3)
    assert np.abs(shown(there).astype(int) - film).mean() > 6


def test_the_kernel_is_that_of_the_chapter(figure):
    there = figure("kernel")
    film, found = shown(there).astype(int), shown(there, 1)
    edges = (film[1:-1, 2:] - film[1:-1, :-2]) * 2 + film[:-2, 2:] - film[:-2, :-2]
    edges += film[2:, 2:] - film[2:, :-2]
    bright = found[1:-1, 1:-1] > 128
    assert bright[edges > 20].all() and not bright[edges < -20].any()
    there.get_by_label("kernel").first.select_option("nothing changed")
    assert np.array_equal(shown(there, 1)[1:-1, 1:-1], film[1:-1, 1:-1])


def test_who_trains_five_times_prints_the_best(figure):
    there = figure("swarm")
    there.get_by_role("button", name="Train five times").click()
    found = re.search(r"Right: ([\d, ]+) of (\d+)\. A paper would print (\d+)", said(there))
    assert max(map(int, found[1].split(", "))) == int(found[3])


@pytest.mark.parametrize("name", [name for name in WHERE if name != "swarm"])
def test_each_moves_by_keyboard(figure, name):
    there = figure(name)
    there.page.reload()
    before = there.inner_html() + str([shown(there, k).sum() for k in range(drawn(there))])
    there.get_by_role("slider" if name != "kernel" else "spinbutton").first.focus()
    there.page.keyboard.press("ArrowUp")
    assert before != there.inner_html() + str([shown(there, k).sum() for k in range(drawn(there))])


def drawn(figure):
    return figure.locator("canvas").count()
