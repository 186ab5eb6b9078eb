"""The stages of the report's networks, counted on the models themselves."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from xraylib import architecture, models


def test_stages_of_inception_v3():
    """94 convolutions, eleven mixed blocks, shapes as in the paper's table 1."""
    network = models.report_network(source="inception_v3", weights=None, trainable="top")
    stages = architecture.stages(network)
    names = [name for name, _, _ in stages]
    assert names == ["stem 1", "stem 2", *(f"mixed{i}" for i in range(11)), "top"]
    assert sum(count for name, _, count in stages if name != "top") == 94
    shapes = dict((name, shape) for name, shape, _ in stages)
    assert shapes["mixed2"] == (35, 35, 288) and shapes["mixed7"] == (17, 17, 768)
    assert shapes["mixed10"] == (8, 8, 2048) and stages[-1][2] == 2


def test_stages_of_efficientnet_lite0():
    network = models.report_network(source="efficientnet_lite0", weights=None, trainable="top")
    stages = architecture.stages(network)
    assert [shape[0] for _, shape, _ in stages][:-1] == [112, 112, 56, 28, 14, 14, 7, 7, 7]
    assert [shape[2] for _, shape, _ in stages] == [32, 16, 24, 40, 80, 112, 192, 320, 1280, 16]
    convolutions = sum("Conv2D" in type(layer).__name__ for layer in network.layers)
    assert sum(count for _, _, count in stages) == convolutions


def test_block_diagram_has_a_box_a_stage():
    stages = [("stem", (112, 112, 32), 1), ("top", (1, 1, 16), 2)]
    axis = architecture.block_diagram(stages, "two").axes[0]
    first, last = axis.patches
    assert first.get_height() > last.get_height() and first.get_width() > last.get_width()
    assert {"stem", "top", "112²\n×32"} <= {text.get_text() for text in axis.texts}
    plt.close("all")
