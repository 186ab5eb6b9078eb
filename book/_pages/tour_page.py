"""The page "Ten minutes": five findings of the book, each with a figure and the cell it is from."""

import io

import matplotlib.figure
import numpy as np

from xraylib import figures
from xraylib.evaluation.metrics import Proportion, Spread, proportion
from xraylib.ledger import spoken

GREY, BLUE = "#777777", "#0072b2"

TEXT = """\
(tour)=
# Ten minutes

Five findings from taking one student report at its word. All numbers are of real films; each \
figure is drawn from the file of measurements. Behind each stands a chapter, with the cell that \
measured it.

A word on counting. *72 of 75* means: 72 of 75 films were classified correctly, by models that \
were not trained on them, unless the text says *training*. The films are dealt into five parts, \
all films of a person into one, and each part is judged by a model trained on the other four. A \
line in a figure is the 95 % interval: what the share may be for films like these. The baseline \
is not one half but what *always saying the larger class* gets, the dashed line: {larger} for \
chest and abdomen, {covid_larger} for COVID-19.

## 1. Ten of ten is not much

The report's network told ten chest and abdominal X-rays apart without an error. A network that \
errs on three films in ten still does so about once in {lucky} tries: the interval goes from \
{ten_low} to 1.00. With every film held out once, a smaller stand-in for the network, \
EfficientNet-Lite0, gets {network} right in the median of {trainings} repetitions.

```{{figure}} tour_ten.svg
:alt: Intervals on a line from 0 to 1: ten of ten reaches from {ten_low} to 1, the held-out score \
is much narrower

Ten films against all films held out. [Chapter 5](chapter-evaluation) has the arithmetic.
```

## 2. The task was easy

And that network is not needed. Films shrunk to 4 × 4 grey pixels give {pixels4}, a network \
whose weights are random {random}, and the width and height of the *file*, without any picture, \
{size}; always saying the larger class, {larger}. \
So a good score can be had here without looking at a body, and whether a network does look at one \
cannot be told from its score.

```{{figure}} tour_easy.svg
:alt: Films right of {n}: the network {network}, sixteen pixels {pixels4}, random weights \
{random}, width and height of the file {size}, always the larger class {larger}

Four ways to tell chest from abdomen; the dashed line is always saying the larger class. [Chapter \
2](traps) and [chapter 5](rivals).
```

## 3. A score in training cannot tell sense from nonsense

The report's first classifier was right on 98.7 % of 75 images. It had been trained on every one \
of them, and the report itself says that it may be over-fitted. A remark in the code goes further: \
images and labels are "not matching up correctly", which the author took for harmless. It probably \
was not. We trained the same network on randomly shuffled labels: its training looks like the \
author's log, {hat} of its training images are right in the median, and {hat_out} when they are \
held out.

```{{figure}} tour_hat.svg
:alt: Shares of images right, a dot for each training: with scrambled labels near 1 on the \
training images and near one half on images held out

The same network with right and with scrambled labels, a dot for each of {hat_trainings} \
trainings. [Chapter 3](pca-network).
```

## 4. It may be the source

For COVID-19 the report gives 96.7 %: {headline} training images. The films are not on record, so \
the book takes {covid_n} others, whose *site* is known: the hospital or the collection that they \
come from. Knowing only the site gives {site} right. A network that sees the films, trained as in \
the report, gets {whole}, and one trained on films with the middle blacked out, which on computed \
films hides most of the lungs, {blind}; the difference, {blind_apart} of the films, is not beyond \
chance. In a site that it has never seen it gets {outside}, where always saying the larger class \
gets {outside_larger}. How the mean score of all trainings orders these films (AUC {outside_auc}) \
is at the border of chance. They are too few to say more.

```{{figure}} tour_site.svg
:alt: Films right of {covid_n}: site alone {site}, whole films {whole}, middle blacked out \
{blind}, always the larger class {covid_larger}

What a classifier of COVID-19 may rely on; the dashed line is always saying the larger class. \
[Chapter 6](chapter-covid) takes it apart.
```

## 5. One training is a draw

Repeat that with another seed, which also deals the films into other parts, and {whole_range} of \
{covid_n} films are right. Who does it once prints one of these dots. An earlier edition of this \
book did so as well, and its numbers differed on the next machine; it quotes distributions now.

```{{figure}} tour_draws.svg
:alt: A swarm of dots, a dot for each training, from {whole_range} films right of {covid_n}

{whole_trainings} repetitions with one network and the same films; the dashed line is always \
saying the larger class. [Chapter 5](training-noise) says what a seed pins, and [chapter \
6](chapter-covid) lets you draw.
```

## And what does one do about it?

Divide people, not pictures, between training and test. Say *k* of *n*, with an interval, and the \
baseline. \
Put a much simpler model beside yours. Look for what tells the classes apart besides the body. \
Leave a site out. Train more than once. [Chapter 8](chapter-today) goes on from there, and [your \
own images](own-images) can be put to the same tests with one command.
"""

KEYS = {
    "network": "rival.network", "pixels4": "rival.pixels4", "random": "rival.random",
    "size": "traps.sides", "larger": "eval.majority", "hat": "E2.scrambled.trained",
    "hat_out": "E2.scrambled.held_out", "site": "covid.meta.source_site", "whole": "covid.whole",
    "blind": "covid.blind", "outside": "covid.outside", "covid_larger": "covid.majority",
}  # fmt: skip


def page(records):
    """Markdown of the page and its figures as SVG, by file name; or nothing where one is missing.

    Args:
        records: of ``results/measured.json``.
    """
    if not set(KEYS.values()) <= records.keys():
        return {}
    figures.use_style()
    found = {name: spoken(key) for name, key in KEYS.items()}
    found |= {
        "ten_low": f"{proportion(10, 10).low:.2f}",
        "trainings": len(records["rival.network"]["values"]),
        "hat_trainings": len(records["E2.scrambled.trained"]["values"]),
        "whole_trainings": len(records["covid.whole"]["values"]),
        "whole_range": spoken("covid.whole", "range"),
        "outside_larger": spoken("covid.inside.majority"),
        "outside_auc": spoken("covid.outside.auc"),
        "blind_apart": spoken("covid.blind.difference"),
        "lucky": f"{1 / proportion(10, 10).low ** 10:.0f}",
        "headline": spoken("E5.headline"),
        "n": records["rival.network"]["n"],
        "covid_n": records["covid.whole"]["n"],
    }
    score = {name: _score(records[key]) for name, key in KEYS.items()}
    ten = {"ten of ten": proportion(10, 10), "all films, held out": score["network"]}
    easy = {"the network": "network", "4 × 4 pixels": "pixels4", "random weights": "random",
            "width and height of the file": "size"}  # fmt: skip
    site = {"the site alone, no film": "site", "whole films": "whole",
            "the middle blacked out": "blind"}  # fmt: skip
    hat = {(labels, images): records[f"E2.{labels}.{images}"]
           for labels in ("right", "scrambled") for images in ("trained", "held_out")}  # fmt: skip
    return {
        "tour.md": TEXT.format(**found),
        "tour_ten.svg": _lines(ten, score["larger"]),
        "tour_easy.svg": _lines({k: score[v] for k, v in easy.items()}, score["larger"]),
        "tour_hat.svg": _swarms(
            {f"{labels} labels, {'training images' if images == 'trained' else 'held out'}":
             np.divide(record["values"], record["n"]) for (labels, images), record in hat.items()},
            "share of images right",
        ),
        "tour_site.svg": _lines({k: score[v] for k, v in site.items()}, score["covid_larger"]),
        "tour_draws.svg": _swarms(
            {"": records["covid.whole"]["values"]},
            f"films right of {found['covid_n']}",
            score["covid_larger"].k,
        ),
    }  # fmt: skip


def _score(record):
    if "values" in record:
        return Spread(tuple(record["values"]), record["n"]).median
    return Proportion(*record["value"])


def _lines(scores, larger):
    return _svg(
        figures.bars_with_intervals(list(scores), list(scores.values()), larger.k / larger.n)
    )


def _swarms(values, label, larger=None):
    """A dot for each training, piled up where they are alike."""
    figure, axis = _figure(len(values))
    for y, (name, found) in enumerate(values.items()):
        found, piles = np.sort(found), {}
        for value in found:
            pile = piles[value] = piles.get(value, -1) + 1
            axis.plot(value, y + 0.3 - min(0.09 * pile, 0.6), "o", color=BLUE, markersize=4)
        axis.text(0.005, y - 0.28, name, fontsize=9, transform=axis.get_yaxis_transform())
    if larger is not None:
        axis.axvline(larger, color=GREY, linestyle="--", linewidth=1)
    axis.set(xlabel=label)
    return _svg(figure)


def _figure(rows):
    figure = matplotlib.figure.Figure(figsize=(5.2, 0.7 + 0.55 * rows), layout="constrained")
    axis = figure.subplots()
    axis.set(ylim=(rows - 0.4, -0.6), yticks=[])
    axis.spines[["top", "right", "left"]].set_visible(False)
    return figure, axis


def _svg(figure):
    with matplotlib.rc_context({"svg.hashsalt": "tour", "svg.fonttype": "none"}):
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
