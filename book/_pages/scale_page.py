"""The page "A hundred thousand X-rays": what each stage costs, measured and extrapolated."""

import io

import matplotlib
import numpy as np
import seaborn

WHAT = {
    "manifest": "manifest: read every file, tell people, classes, splits",
    "reading": "reading: to 224 × 224 pixels, kept on the disk",
    "features": "averaged features of EfficientNet-Lite0",
    "audit": "audit, without these features: all films read, 3,000 scored",
    "validation": "logistic regression on the features, 15 folds of people",
    "components": "23 principal components of the pixels",
    "clusters": "k-means in two, of the features",
    "neighbours": "t-SNE of the features",
}
FAR = 100_000
INTRO = """\
(scale)=
# A hundred thousand X-rays

What does it cost to take all of a public set, and not a sample? `make bench-scale` measures it: \
{sizes} films of 512 × 512 pixels, phantoms that were moved about, three of each person, JPEG, on \
{cores} cores without a graphics card ({date}). Each stage ran once, in a process of its own, on \
one machine; the powers of so few sizes are rough. {remark}What is \
written *like this* was not measured. The smallest set stands for what a stage costs before it \
begins; beyond that, time is taken to grow by the power of the number of films that fits the \
measurements, and in proportion to it at least.

```{{figure}} scale.svg
:name: fig-scale
:alt: Two log-log plots over the number of films: the seconds of each stage rise by a power near \
one; the memory of most stages stays nearly flat

Time grows with the films; memory hardly does where films are read one by one. Dots: measured. \
Dotted lines: extrapolated.
```

## Time

| stage | {heads} | power |
|---|{rule}--:|
"""
MEMORY = """
## Memory

The largest memory of the process and its workers together, in MB. What features take for the \
smallest set is TensorFlow and the backbone, not the films. The logistic regression, k-means and \
t-SNE hold the averaged features of all films at once, the first of them in each of its workers; \
chapters take a sample of a large set.

| stage | {heads} |
|---|{rule}
"""
DISK = """
## Disk

Kept are the films at 224 × 224 pixels, 150 kB each, and their averaged features, 2.5 kB each: \
{disk} for {far} films. Whole maps of features, on which the report's top model is trained, take \
125 kB per image and augmented version; the number of versions is a parameter (`draws`).

## On more than one machine, or a card

Reading, features and folds are batches that know nothing of each other. Inside \
`joblib.parallel_config("dask")` the workers of a Dask cluster take them: each reads and writes \
its rows on the disk that they share, and only paths travel. A worker that dies takes one batch \
with it, which is computed again; a test does so with two processes, one of which is killed.
"""
CARD = """
## What a graphics card gains

Measured once on one {card} with {cores} processor cores beside it ({date}, TensorFlow \
{tensorflow}, JAX {jax}, state {commit}). Nothing is repeated here, and another card will differ.

**Features** of EfficientNet-Lite0, averaged. The last column is the largest difference of a \
feature from those of the first row on the same framework; the largest feature is {largest:.1f}. \
Images were checked and features averaged by the processor then.

| Keras on | precision | images a batch | images a second | largest difference |
|---|---|--:|--:|--:|
{features}
Since then the card takes the average. On another machine of the kind, with trainings on the cores \
beside it, so that these rates compare with each other but not with those above ({averaged[date]}, \
state {averaged[commit]}; images a second, in batches of {batches}):

| | precision | {heads} |
|---|---|{rule}
{averages}
Fetching a number a channel instead of a whole map gives {gain} times as many images a second in \
single precision. Larger batches give {larger} times as many in single precision, which is little; \
presumably the card waits for the processor, which checks the images. In halves they give up to \
{larger_halves} times. One run cannot say how sure that is. The audit uses halves \
(`mixed_float16`): at their lowest rate here {far} films are {far_time}, once they are read. \
`float32` on such a card rounds the factors of a product to ten bits (TF32) unless TensorFlow is \
told otherwise.

**Every layer of Inception V3**, from random weights:

| | precision | images a second |
|---|---|--:|
{whole}
**A fold of a small network**, 60 images and 20 epochs, with as many trainings side by side on the \
card as there are workers:

| network | workers | seconds a fold |
|---|--:|--:|
{folds}
On two cores of another machine without a card a fold of the three took {without}, with two \
trainings side by side. The same training with the same seed gave other scores on the card (by up \
to {again:.2f}), on a core the same. `NetworkClassifier` therefore trains on the cores of the \
processor, one training a core; networks of which every layer is trained stay on the card.
"""


def page(scale, card=None):
    """Markdown of the page, and the figure as SVG, from ``scale.json`` and ``card.json``."""
    rows, about = scale["rows"], scale["about"]
    sizes = sorted({row["n"] for row in rows})
    seconds, memory = (
        {(r["stage"], r["n"]): r[key] for r in rows} for key in ("seconds", "memory_mb")
    )
    far = [*sizes, FAR] if FAR not in sizes else sizes
    heads = " | ".join(f"{n:,}" for n in far)
    rule = "--:|" * len(far)
    remark = f"{about['remark']} " if "remark" in about else ""
    about = about | {"remark": remark}
    text = INTRO.format(sizes=_listed(f"{n:,}" for n in sizes), heads=heads, rule=rule, **about)
    powers = {}
    for stage, what in WHAT.items():
        power, at = _fit({n: seconds[stage, n] for n in sizes if (stage, n) in seconds})
        powers[stage] = power, at
        cells = [
            _time(seconds[stage, n]) if (stage, n) in seconds else f"*{_time(at(n))}*" for n in far
        ]
        text += f"| {what} | {' | '.join(cells)} | {power:.2f} |\n"
    text += MEMORY.format(heads=" | ".join(f"{n:,}" for n in sizes), rule="--:|" * len(sizes))
    for stage, what in WHAT.items():
        cells = [f"{memory[stage, n]:,}" if (stage, n) in memory else "" for n in sizes]
        text += f"| {what} | {' | '.join(cells)} |\n"
    text += DISK.format(disk=f"{FAR * (224 * 224 * 3 + 2560) / 1e9:.0f} GB", far=f"{FAR:,}")
    if card:
        text += _on_card(card)
    return text, _figure(sizes, far, seconds, memory, powers)


def _on_card(card):
    averaged = card["averaged_on_the_card"]
    rates = {(r["what"], r["precision"]): r["images_a_second"] for r in averaged["rows"]}
    ours, maps = (rates[what, "float32"] for what in ("averaged on the card", "whole maps"))
    gains = sorted(a / b for a, b in zip(ours, maps, strict=True))
    return CARD.format(
        **card["about"],
        largest=card["largest_feature"],
        features=_rows(card["features"], "backend", "precision", "batch", "images_a_second", "off"),
        averaged=averaged,
        batches=_listed(map(str, averaged["batches"])),
        heads=" | ".join(map(str, averaged["batches"])),
        rule="--:|" * len(averaged["batches"]),
        averages="".join(
            f"| {what} | {precision} | {' | '.join(map(str, found))} |\n"
            for (what, precision), found in rates.items()
        ),
        gain=f"{gains[0]:.1f} to {gains[-1]:.1f}",
        larger=f"{ours[-1] / ours[0]:.2f}",
        larger_halves=f"{max(row[-1] / row[0] for row in rates.values()):.2f}",
        far=f"{FAR:,}",
        far_time=_time(FAR / min(rates["averaged on the card", "mixed_float16"])),
        whole=_rows(card["inception_v3"], "what", "precision", "images_a_second"),
        folds=_rows(card["folds"], "network", "workers", "seconds"),
        without=_listed(f"{seconds:.2f} s" for seconds in card["folds_on_two_cores"]),
        again=card["same_training_again"],
    )


def _rows(rows, *columns):
    named = {"tensorflow": "TensorFlow", "jax": "JAX", 0.0: "0"}
    cells = [[named.get(row[c], f"{row[c]}") for c in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _listed(words):
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _fit(seconds):
    """The power of n by which time grows, beyond that of the smallest set; a function of n.

    The smallest set stands for what a stage costs before it begins. Extrapolated is in proportion
    to n at least, whatever the measurements say of so few sizes.
    """
    start = seconds[min(seconds)]
    more = {n: s - start for n, s in seconds.items() if s > start}
    power = np.polyfit(*np.log([list(more), list(more.values())]), 1)[0] if len(more) > 1 else 1.0
    last = max(seconds)
    beyond = max(seconds[last] - start, 0.1)
    return power, lambda m: start + beyond * (m / last) ** max(1, power)


def _time(seconds):
    """With a space that does not break."""
    if seconds < 100:
        return f"{seconds:.0f}\u00a0s"
    return f"{seconds / 60:.0f}\u00a0min" if seconds < 6000 else f"{seconds / 3600:.1f}\u00a0h"


def _figure(sizes, far, seconds, memory, powers):
    with matplotlib.rc_context({"font.size": 9, "svg.hashsalt": "scale"}):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        time, peak = figure.subplots(1, 2)
        colours = seaborn.color_palette("colorblind", len(WHAT))
        for (stage, _), colour in zip(WHAT.items(), colours, strict=True):
            there = [n for n in sizes if (stage, n) in seconds]
            line = {"color": colour, "marker": "o", "markersize": 3}
            time.plot(there, [seconds[stage, n] for n in there], label=stage, **line)
            ends = [max(there), *[n for n in far if n > max(there)]]
            time.plot(ends, [powers[stage][1](n) for n in ends], ":", color=colour)
            peak.plot(there, [memory[stage, n] for n in there], **line)
        time.set(xscale="log", yscale="log", xlabel="films", ylabel="seconds")
        peak.set(xscale="log", yscale="log", xlabel="films", ylabel="memory, MB", ylim=(50, 30_000))
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
