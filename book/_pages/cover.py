"""The picture of the title page, and its caption: ``cover.py RESULTS.json PICTURE.png`` draws it.

The scores are those of the chapter on COVID-19 on real films; the film is a computed one.
"""

import json
import sys
from pathlib import Path

SHOWN = {
    "covid.whole": "the whole film",
    "covid.blind": "its middle blacked out,\nwith most of the lungs",
    "covid.meta.original_format": "no film at all: only whether\nits file was JPEG or PNG",
}


def _score(record):
    """The median as a Proportion, and the range."""
    from xraylib.evaluation.metrics import Spread

    spread = Spread(tuple(record["values"]), record["n"])
    return spread.median, f"{spread.range} in {len(spread.values)}"


def draw(records):
    """The picture as a matplotlib Figure, from the records of ``results/``."""
    # Each build writes the caption, which needs none of these; they take seconds to import.
    import matplotlib.pyplot as plt
    import numpy as np

    from xraylib.data import datasets
    from xraylib.evaluation import shortcuts
    from xraylib.evaluation.metrics import Proportion

    films = datasets.load("phantom", n=24, seed=0, size=512, interpolation="lanczos")
    film = films.images[np.flatnonzero(films.labels == 0)[8]]
    looks = film, shortcuts.black_centre(film[None], 0.5)[0], np.zeros_like(film)
    figure, axes = plt.subplots(1, 3, figsize=(9, 4.6), facecolor="black")
    figure.subplots_adjust(0.02, 0.26, 0.98, 0.9, wspace=0.06)
    n, larger = records["covid.whole"]["n"], Proportion(*records["covid.majority"]["value"])
    figure.suptitle(
        f"COVID-19 or not? What was shown, and films called right of {n} "
        f"(always the larger class: {larger.k}).",
        color="white", fontsize=12, x=0.02, ha="left",
    )  # fmt: skip
    for axis, look, (key, name) in zip(axes, looks, SHOWN.items(), strict=True):
        score, reach = _score(records[key])
        reach += " trainings" if axis is not axes[2] else " dealings"
        axis.imshow(look, cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color("#888888")
        text = {"color": "white", "transform": axis.transAxes, "va": "top"}
        axis.text(0, -0.04, f"{score.k}", fontsize=30, fontweight="bold", **text)
        beside = f"of {score.n}, 95 %: {score.low:.2f}–{score.high:.2f}\n{reach}"
        axis.text(0.115 * len(str(score.k)), -0.065, beside, fontsize=9.5, **text)
        axis.text(0, -0.24, name, fontsize=11, linespacing=1.3, **text)
    axes[2].text(
        0.5, 0.5, ".jpg  or  .png", color="#BBBBBB", fontsize=17, family="monospace",
        ha="center", va="center", transform=axes[2].transAxes,
    )  # fmt: skip
    return figure


def _message(records):
    """What the measurements say, as far as their intervals do."""
    values, kind = records["covid.whole"]["values"], records["covid.meta.original_format"]
    below = sum(value < kind["value"] for value in values)
    difference, low, high = records["covid.blind.difference"]["value"]
    if low <= 0 <= high:
        middle = "Whether the network gains from the middle of the film, these films do not say."
    else:
        worse = "worse" if difference > 0 else "better"
        middle = f"With the middle of the film blacked out the network does {worse}."
    return (
        f"Whether its file is JPEG or PNG tells the label of {kind['value']} of {kind['n']} films. "
        f"Fewer are right in {below} of {len(values)} trainings, as the report trained, of a "
        "network that sees the film. "
        f"{middle}"
    )


def caption(records):
    """The figure as MyST Markdown, its numbers in words too, for those who cannot see it."""
    whole, blind, kind = (records[key]["text"] for key in SHOWN)
    return f"""\
```{{figure}} ../results/cover.png
:name: fig-cover
:figclass: cover
:alt: A chest film, called right {whole}; the same film with a black square over \
its middle, {blind}; no film, only the ending of its file, {kind}

{_message(records)} Right of all real films, held out, median training: \
whole films {whole}; without the middle, and so without most of the lungs if real films are like \
computed ones, {blind}, a difference of \
{records["covid.blind.difference"]["text"]}; a small classifier that knows only the format of \
the file {kind}; always the larger class {records["covid.majority"]["text"]}. \
[Chapter six](chapter-covid) takes the first number apart. The film shown is computed: nobody was \
X-rayed for it.
```
"""


def main():
    """Draw and save, whole or not at all."""
    results, picture = map(Path, sys.argv[1:])
    records = json.loads(results.read_text())["records"]
    partial = picture.with_suffix(".partial")
    # No date or version inside: the same results give the same file.
    draw(records).savefig(partial, format="png", dpi=170, metadata={"Software": None})
    partial.replace(picture)


if __name__ == "__main__":
    main()
