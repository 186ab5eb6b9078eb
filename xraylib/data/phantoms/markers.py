"""What is written on a film: lead letters and drawn arrows, burnt into the finished picture."""

import numpy as np

# fmt: off
STROKES = {  # in a box of height 1, y downwards
    "L": ([(0.08, 0.06), (0.08, 0.94), (0.56, 0.94)],),
    "R": ([(0.08, 0.96), (0.08, 0.06), (0.34, 0.06), (0.50, 0.12), (0.56, 0.27), (0.50, 0.42),
        (0.34, 0.50), (0.08, 0.50)], [(0.32, 0.50), (0.60, 0.96)]),
}
# fmt: on


def _strokes(shape, lines, radius):
    """Coverage 0..1 of round-ended strokes (row, col in pixels) on a patch of this shape."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    nearest = np.full(shape, np.inf)
    for line in lines:
        for (r0, c0), (r1, c1) in zip(line[:-1], line[1:], strict=True):
            dr, dc = r1 - r0, c1 - c0
            t = np.clip(((y - r0) * dr + (x - c0) * dc) / (dr * dr + dc * dc + 1e-12), 0, 1)
            nearest = np.minimum(nearest, np.hypot(y - r0 - t * dr, x - c0 - t * dc))
    return np.clip(radius + 0.5 - nearest, 0, 1)


def _burn(image, lines, radius, grey):
    """Draw strokes into the image in place; return their box (row0, col0, row1, col1)."""
    points = np.concatenate([np.array(line) for line in lines])
    row0, col0 = np.maximum(np.floor(points.min(0) - radius - 1), 0).astype(int)
    row1, col1 = np.minimum(np.ceil(points.max(0) + radius + 2), image.shape).astype(int)
    part = image[row0:row1, col0:col1]
    cover = _strokes(part.shape, [np.array(line) - (row0, col0) for line in lines], radius)
    part[:] = np.round(part * (1 - cover) + grey * cover).astype(np.uint8)
    return int(row0), int(col0), int(row1), int(col1)


def burn_letter(image, letter, rng):
    """A lead letter near the top, on the side that it names (the patient's left is right)."""
    h, w = image.shape
    tall = rng.uniform(0.045, 0.075) * np.sqrt(h * w)
    row, gap, lean = rng.uniform(0.025, 0.10) * h, rng.uniform(0.03, 0.09) * w, rng.normal(0, 0.1)
    col = w - gap - 0.6 * tall if letter == "L" else gap
    lines = [
        [(row + tall * v, col + tall * (u - lean * (v - 0.5))) for u, v in line]
        for line in STROKES[letter]
    ]
    return _burn(image, lines, max(0.7, 0.075 * tall), rng.uniform(235, 255))


def burn_arrow(image, rng):
    """An arrow as an editor draws it, white or black, at something in the picture."""
    h, w = image.shape
    long = rng.uniform(0.07, 0.15) * np.sqrt(h * w)
    tip = np.array([rng.uniform(0.25, 0.75) * h, rng.uniform(0.25, 0.75) * w])
    turn, grey = rng.uniform(0, 2 * np.pi), 255.0 if rng.rand() < 0.7 else 0.0
    thick = max(0.6, rng.uniform(0.02, 0.06) * long)

    def back(length, angle):
        return tip - length * np.array([np.sin(turn + angle), np.cos(turn + angle)])

    barbs = [back(0.38 * long, 0.5), tip, back(0.38 * long, -0.5)]
    return _burn(image, [[back(long, 0), tip], barbs], thick, grey)
