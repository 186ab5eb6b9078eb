"""A network as a sequence of stages, counted and drawn."""

import re

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

# Names of layers that end a stage: Inception V3's blocks, EfficientNet-Lite0's stages.
_STAGE_ENDS = re.compile(
    r"(mixed\d+)$|(stem)_relu|block(?:0|2|4|7|10|14|15)_project_bn|(head)_relu"
)


def stages(model):
    """A report network as a sequence of stages.

    Args:
        model: from ``models.report_network``.

    Returns:
        list of (name, (height, width, channels) of what leaves the stage, number of its
        convolutions); the last is "top". Depthwise convolutions count as one each.
    """
    found, count, inside_source = [], 0, True
    for layer in model.layers:
        count += "Conv2D" in type(layer).__name__
        end = _STAGE_ENDS.match(layer.name)
        name = next(filter(None, end.groups()), None) if end else None
        if end and not name:
            name = f"stage {sum(n.startswith('stage') for n, _, _ in found) + 1}"
        elif not found or found[-1][0].startswith("stem"):
            # Inception's stem pools twice; its first block begins after the second.
            if type(layer).__name__ == "MaxPooling2D":
                name = f"stem {len(found) + 1}"
        if name and inside_source:
            found.append((name, tuple(layer.output.shape[1:]), count))
            count = 0
        if layer.name == "features":
            inside_source = False
        if not inside_source and len(layer.output.shape) == 4:
            last = tuple(layer.output.shape[1:])
    return [*found, ("top", last, count)]


def block_diagram(stages, title):
    """A network as a row of boxes: height the size of the map, width the number of its channels.

    Args:
        stages: from :func:`stages`.
        title: above the row.

    Returns:
        matplotlib Figure; the number in a box counts its convolutions.
    """
    figure, axis = plt.subplots(figsize=(7.2, 2.9), layout="constrained")
    axis.set_axis_off()
    axis.set_title(title)
    largest = max(shape[0] for _, shape, _ in stages)
    colours = plt.get_cmap("cividis")(np.linspace(0.25, 0.95, len(stages)))
    x = 0.0
    for (name, (height, _, channels), convolutions), colour in zip(stages, colours, strict=True):
        tall = 0.35 + 1.65 * np.sqrt(height / largest)
        wide = 0.3 + 0.75 * np.sqrt(channels / 2048)
        axis.add_patch(Rectangle((x, -tall / 2), wide, tall, facecolor=colour, edgecolor="black"))
        middle = x + wide / 2
        axis.text(middle, 0, str(convolutions), ha="center", va="center", fontsize=8,
                  color="white" if colour[:3].mean() < 0.55 else "black")  # fmt: skip
        axis.text(middle, 1.12, f"{height}²\n×{channels}", ha="center", va="bottom", fontsize=6.5)
        axis.text(middle, -1.12, name, ha="right", va="top", fontsize=7, rotation=45)
        x += wide + 0.14
    axis.set(xlim=(-0.3, x), ylim=(-1.9, 1.75))
    return figure
