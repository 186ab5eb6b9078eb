"""One body in numbers: where its parts lie and what they are made of.

`body` lists the parts of a person, in centimetres, from the neck to the thighs. A chest and
an abdomen film are two windows on the same kind of body, so that nothing but the anatomy
in the window tells them apart. `xraylib.projection` casts the parts onto a film.

Axes: x to the right of the film (the patient's left), y downwards from the top of the first
thoracic vertebra, z towards the front, each zero in the middle of the trunk. Attenuation is
in 1/cm, near that of tissue at 60 to 70 keV (NIST, Hubbell and Seltzer 2004:
soft tissue about 0.20, fat 0.18, inflated lung 0.05, compact bone 0.5); an organ carries its
difference from the tissue that it lies in. Sizes are those of an adult, rounded.
"""

from typing import NamedTuple

import numpy as np

# Rows of numbers stay rows.
# fmt: off
SOFT, FAT, LUNG, BONE, SPONGY = 0.20, 0.182, 0.05, 0.50, 0.265


class Body(NamedTuple):
    """The parts of one body, as rows of numbers that `xraylib.projection` takes."""

    tubes: list  # (points (..., n, 3), radius, attenuation of wall, of core, wall thickness)
    blobs: list  # (x, y, z, a, b, c, angle, squareness, attenuation)
    breasts: list  # blobs of soft tissue
    gas: list  # as blobs, then the level of fluid (y): bubbles that merge instead of adding
    skin: list  # soft tubes (points, radius) that merge with the trunk: arms and shoulders
    shapes: dict  # name -> (y, left, right, half depth, squareness, z): sections
    vessels: list  # as tubes, seen inside the lungs only
    domes: tuple  # right and left diaphragm: (x, y, z of its top, how far it falls outwards)


def _both(*points):
    """Points of the left side (x, y, z) to chains of both sides, (2, n, 3)."""
    return np.array(points, float) * [[[-1, 1, 1]], [[1, 1, 1]]]


def _round(points, radius):
    """Cut the corners of chains (..., n, 3) and of their radius (n,) twice, so that they curve."""
    radius = np.broadcast_to(np.array(radius)[:, None], (*points.shape[:-1], 1))
    line = np.concatenate([points, radius], -1)
    for _ in range(2):
        a, b = line[..., :-1, :], line[..., 1:, :]
        cut = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], -2)
        cut = cut.reshape(*line.shape[:-2], -1, 4)[..., 1:-1, :]
        line = np.concatenate([line[..., :1, :], cut, line[..., -1:, :]], -2)
    return line[..., :3], line[..., 3]


def _shell(out, at, size, angle, square, core, wall=0.14):
    """A bone with a denser wall (cm) around its core (attenuation)."""
    hard = 0.4 * (BONE - SOFT)
    out.blobs.append((*at, *size, angle, square, hard))
    out.blobs.append((*at, *(r - wall for r in size), angle, square, core - SOFT - hard))


def _spine(out, level, pitch, dense, rng):
    """Vertebrae with discs between; pedicles, processes and joints behind."""
    for i, (y, p) in enumerate(np.stack([level, pitch], 1)):
        lumbar = np.clip((i - 13) / 6, 0, 1)  # 0 down to T10, 1 at L3
        w = 1.3 + 1.0 * np.clip((i - 9) / 11, 0, 1) + 0.12 * (i < 5)  # half width
        v = p * (0.42 + 0.02 * rng.rand())  # half height
        z, back = -5.0 + lumbar, (0.5 + 0.5 * lumbar) * dense
        out.blobs.append((0, y, z, w, v, w, 0, 0.7, (0.075 + 0.035 * lumbar) * dense))
        out.blobs.append((0, y, z, 0.9 * w, v - 0.13, w, 0, 0.7, -0.035 * dense))
        for s in (-1, 1):
            for up in (-1, 1):  # flared rims of the end plates
                out.blobs.append((s * 0.92 * w, y + up * 0.84 * v, z, 0.36, 0.24, 0.9,
                    s * up * 0.35, 0, 0.13 * dense))
            out.blobs.append((s * 0.6 * w, y - 0.3 * v, z - 1.5, 0.26 + 0.14 * lumbar,
                0.36 + 0.22 * lumbar, 1.0, 0, 0, 0.2 * dense))
            out.blobs.append((s * 0.6 * w, y - 0.3 * v, z - 1.5, 0.13 + 0.12 * lumbar,
                0.22 + 0.2 * lumbar, 1.0, 0, 0, -0.17 * dense))
        joint = _both((0.5 * w, y + 0.35 * v, z - 2.4), (0.62 * w, y + 0.8 * v, z - 2.4),
            (0.6 * w, y + 1.45 * v, z - 2.4))
        out.tubes.append((joint, [0.3, 0.46, 0.34], 0.26 * back, 0.14 * back, 0.12))
        lamina = _both((0.6 * w, y - 0.1 * v, z - 2.4), (0, y + 0.7 * v, z - 3))
        out.tubes.append((lamina, [0.45, 0.4], 0.17 * back, 0.10 * back, 0.1))
        reach = w + (0.9 + 1.3 * lumbar) * (0.8 + 0.3 * rng.rand())
        wing = _both((0.8 * w, y - 0.2 * v, z - 2), (reach, y - (0.5 - 0.3 * rng.rand()) * v,
            z - 2.5))
        out.tubes.append((wing, [0.42, 0.3], 0.2 * dense, 0.10, 0.1))
        spike = [(0, y + 0.3 * v, z - 3), (0.08, y + 0.9 * v, z - 4), (0.02, y + 1.3 * v, z - 4)]
        out.tubes.append((spike, [0.14, 0.24, 0.34], 0.36 * back, 0.16 * back, 0.12))


def _ribs(out, level, wide, deep, drop, dense, rng):
    """Twelve pairs of tilted hoops: the back half high, the front half low and open."""
    span = np.array([5.6, 8.0, 10.1, 11.5, 12.4, 13.0, 13.4, 13.6, 13.7, 13.5, 12.9, 11.8])
    fall = np.array([3.8, 5.0, 6.6, 7.8, 8.7, 9.2, 9.4, 9.4, 9.2, 8.6, 8, 7])
    end = np.array([150, 152, 152, 150, 148, 144, 138, 132, 124, 105, 72, 46])
    for i in range(12):
        a, weak = span[i] * wide, (0.5, 0.75, 1, 0.8)[min(i, 2) + (i > 8)]
        turn = np.radians(np.linspace(np.degrees(np.arcsin(1.7 / a)), end[i], 15))
        x = a * np.sin(turn)
        z = 1.0 * deep - (6.0 + 0.3 * min(i, 8)) * deep * np.cos(turn)
        y = level[i] - 0.35 - 0.5 * np.sin(np.minimum(2 * turn, np.pi))
        y = y + fall[i] * drop * (1 - np.cos(turn)) / 2
        y = y + (0.9 * max(i - 5, 0) + rng.uniform(-0.15, 0.15)) * turn  # low ribs hang
        thick = 0.44 + 0.16 * np.sin(turn) - 0.08 * (turn / 2) ** 2
        thick *= np.clip((turn[-1] - turn) / 0.35, 0.15, 1)  # no hard ends
        out.tubes.append((_both(*np.stack([x, y, z], 1)), thick * (1 - 0.12 * max(i - 8, 0)),
            0.34 * dense * weak, 0.13 * weak, 0.13))


def _shoulders(out, wide, arm, dense):
    """Clavicles, shoulder blades and upper arms."""

    def chain(radius, wall, core, thick, *points):
        points = np.array(points) * (wide, 1, 1)
        out.tubes.append((*_round(_both(*points), radius), wall * dense, core, thick))

    chain([0.95, 0.7, 0.58, 0.52, 0.55, 0.75], 0.34, 0.13, 0.17, (1.6, 3.9, 7), (4, 3.0, 7.5),
        (7, 2.4, 6), (10, 1.6, 3), (13, 0.7, 0), (16.2, 0.5, -1))
    chain([0.25, 0.4, 0.55, 0.8], 0.24, 0.12, 0.15, (9.6, 5.2, -8), (11.4, 3.6, -8),
        (14, 1.6, -6), (17, 0.4, -4))
    chain([0.75, 0.5, 0.4, 0.45], 0.26, 0.09, 0.16, (15.6, 5.0, -4), (14.4, 8, -6), (13, 12, -8),
        (12, 14.8, -8))
    chain([0.2, 0.22, 0.25, 0.4], 0.2, 0.10, 0.1, (10.8, 1.6, -7), (10.2, 5, -8.5),
        (10.6, 11, -9), (12, 14.8, -8))
    ball = np.array([17.4 * wide, 3.7, -2])
    neck, elbow = ball + (0.9 + 0.05 * arm, 2.8, 0), ball + (1 + arm, 27, -1)
    hand = elbow + (1 + 0.3 * arm, 30, 2)
    for s in (-1, 1):
        _shell(out, (s * 15.4 * wide, 3.8, -3), (0.9, 1.7, 1.3), s * 0.2, 0.2, SPONGY)
        out.blobs.append((s * 14.4 * wide, 2.5, 0, 0.8, 0.55, 1.2, s * 0.5, 0, 0.12))
        _shell(out, (s * ball[0], *ball[1:]), (2.2, 2.3, 2.1), 0, 0, SOFT + 0.07)
    shaft = _both(ball, ball + (0.3, 1.5, 0), neck, elbow - (0.8, 14, 0), elbow, hand)
    out.tubes.append((*_round(shaft, [0.4, 2.0, 1.3, 1.1, 1.1, 0.8]), 0.30 * dense, 0.06, 0.3))
    deep = ball + (-0.8, 2.2, 0)
    out.skin.append((_both((2, -4.5, -2), (6, -0.4, -2), (11 * wide, 4.2, -2.5), deep),
        [4.8, 4.9, 6.2, 5.7]))
    out.skin.append((_both(deep, neck + (0, 1, 0), elbow, hand), [5.7, 5.2, 4.3, 3.2]))


def _pelvis(out, y, wide, dense):
    """Sacrum, iliac wings, pubic rami, hips and thighs; y is the lower end of L5."""
    half = np.array([2.3, 4.6, 5.1, 4.4, 3.2, 1.9, 0.5]) * wide
    out.shapes["sacrum"] = ([y - 0.6, y + 0.6, y + 2, y + 4, y + 6, y + 8, y + 10], -half, half,
        [0.6, 1.4, 1.6, 1.4, 1.1, 0.8, 0], 0.6, -6)
    for k in range(4):  # holes under arches, and spines in the middle
        x, v = (2.5 - 0.32 * k) * wide, y + 1.9 + 1.75 * k
        for s in (-1, 1):
            out.blobs.append((s * x, v, -6, 0.55, 0.36, 1.0, s * 0.3, 0, -0.06))
        arch = _both((x - 1, v, -6), (x - 0.4, v - 0.5, -6), (x + 0.4, v - 0.5, -6), (x + 1, v, -6))
        out.tubes.append((arch, 0.2, 0.2 * dense, 0.2, 0.1))
        out.blobs.append((0, v - 0.6, -7, 0.3, 0.7, 0.8, 0, 0, 0.1))
    rows = [y - 4.3, y - 3.7, y - 2, y, y + 2, y + 4, y + 6, y + 7.5, y + 9.2, y + 10.8]
    outer = np.array([10.6, 12.0, 13.5, 14.2, 14.1, 13.2, 12.0, 11.6, 12.0, 11.6]) * wide
    inner = np.array([9.2, 7.4, 5.7, 4.9, 4.6, 4.9, 5.6, 6.3, 6.9, 7.6]) * wide
    plate = np.array([0.9, 1.0, 0.9, 0.7, 0.8, 1.3, 1.8, 2.0, 1.8, 0])
    out.shapes["ilium right"] = (rows, -outer, -inner, plate, 1, -2)
    out.shapes["ilium left"] = (rows, inner, outer, plate, 1, -2)

    def chain(radius, wall, core, thick, *points):
        points = np.array(points) * (wide, 1, 1) + (0, y, 0)
        out.tubes.append((*_round(_both(*points), radius), wall * dense, core, thick))

    # crest
    chain([0.25, 0.35, 0.4, 0.42, 0.4, 0.3, 0.15], 0.3, 0.14, 0.12, (5.0, -1.0, -5),
        (6.4, -3.0, -4), (8.4, -4.2, -2), (10.8, -4.1, 0), (12.9, -2.6, 2), (14.1, 0, 4),
        (14.0, 2.6, 5))
    # brim
    chain([0.25, 0.32, 0.36, 0.32, 0.25], 0.4, 0.2, 0.13, (4.6, 1.6, -4), (5.5, 4, -2),
        (6.5, 6.5, 0), (6.7, 8.5, 2), (6.2, 10.4, 3))
    # joint with the sacrum
    chain([0.12] * 4, -0.2, -0.2, 0.1, (4.95, 0.2, -6), (4.75, 2.2, -6), (4.25, 4.2, -6),
        (3.7, 6, -6))
    chain([0.2] * 4, 0.25, 0.2, 0.1, (5.25, 0.2, -6), (5.05, 2.2, -6), (4.55, 4.2, -6),
        (4.0, 6, -6))
    # pubis
    chain([1.0, 0.8, 0.85, 1.15, 0.9, 0.6, 0.5], 0.2, 0.09, 0.12, (7.2, 9.6, 2), (5.4, 11.2, 4),
        (3, 12.3, 5), (1.3, 12.8, 5), (1.2, 14.6, 5), (2.4, 15.8, 3), (4.4, 16.6, 0))
    # ischium
    chain([1.2, 1.15, 1.4, 1.2, 0.6], 0.17, 0.08, 0.12, (7.6, 10, 0), (6.9, 12.6, -2),
        (6.3, 14.8, -3), (5.6, 16.4, -3), (4.2, 16.6, -2))
    # The hip: socket roof, ball, neck, trochanters and shaft.
    chain([0.15, 0.3, 0.4, 0.35, 0.2], 0.3, 0.2, 0.12, (7.1, 9.7, 1), (7.9, 8.7, 1),
        (9.4, 8.15, 1), (10.9, 8.6, 1), (11.9, 9.6, 1))
    ball = np.array([9.4 * wide, y + 10.9, 1.0])
    knee = ball + (4.2, 3.4, -1)
    for s in (-1, 1):
        _shell(out, (s * ball[0], *ball[1:]), (2.35, 2.35, 2.2), 0, 0, SOFT + 0.035)
        out.blobs.append((s * (ball[0] + 0.2), ball[1] - 1, 0, 3.2, 2.8, 1.6, 0, 0, 0.02))
        out.blobs.append((s * (knee[0] + 0.5), knee[1] - 0.9, 0, 1.4, 1.9, 1.4, s * 0.4, 0, 0.09))
        out.blobs.append((s * knee[0], knee[1] + 0.4, 0, 1.9, 2.4, 1.6, 0, 0, 0.04))
    thigh = _both(ball + (0.2, 0.1, 0), knee - (1.2, 1, 0), knee + (0.1, 1, 0),
        knee + (-0.2, 4.5, 0), knee + (-1, 16, 0))
    out.tubes.append((*_round(thigh, [0.3, 1.5, 1.9, 1.5, 1.35]), 0.2 * dense, 0.05, 0.36))


def _chain(path, radius, step, rng, flat=np.inf):
    """Pouches of gas along a line of points (n, 2), about `step` radii apart."""
    path = np.asarray(path, float)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    n = max(2, int(length[-1] / (step * radius)))
    s = (np.arange(n) + rng.uniform(-0.18, 0.18, n) + 0.5) / n * length[-1]
    x, y = (np.interp(s, length, path[:, k]) for k in (0, 1))
    turn = np.arctan2(np.gradient(y), np.gradient(x))
    size = radius * rng.uniform(0.55, 1.2, n)
    for i in np.flatnonzero(rng.rand(n) < 0.85):
        long, short = size[i] * rng.uniform(0.6, 0.85), size[i] * rng.uniform(0.8, 1.1)
        dx, dy = rng.uniform(-0.3, 0.3, 2) * radius
        yield (x[i] + dx, y[i] + dy, 2.0, long, short, 0.75 * short, turn[i] + rng.normal(0, 0.3),
            0.05, rng.uniform(0.5, 1.1), y[i] + flat * radius)


def _bowel(out, top, foot, wide, erect, rng):
    """Gas in stomach, colon and small bowel; a different meal on each film."""

    def place(x, y):  # fractions of the way from the left dome to the end of L5
        return x * wide, top + y * (foot - top)

    colon = [place(*p) for p in ((-10, 0.98), (-10.8, 0.8), (-10.6, 0.55), (-9.6, 0.38),
        (-6.5, 0.42), (-2, 0.52), (3, 0.46), (7.5, 0.3), (10.2, 0.18), (11, 0.4), (11, 0.7),
        (10, 0.95), (7, 1.12), (4, 1.2), (3, 1.02), (0.5, 1.1), (-0.5, 1.3), (0, 1.5))]
    colon = np.array(colon) + rng.uniform(-0.9, 0.9, (18, 2))
    flat = rng.uniform(0.1, 0.5) if erect else np.inf
    for _ in range(int(rng.uniform(2, 6))):
        a = int(rng.uniform(0, 15))
        part = colon[a : a + int(rng.uniform(2, 6))]
        out.gas.extend(_chain(part, rng.uniform(1.4, 2.7), rng.uniform(0.6, 1.0), rng))
    for _ in range(int(rng.uniform(1, 5))):  # small bowel: short arcs in the middle
        x, y = place(rng.uniform(-6, 7), rng.uniform(0.35, 1.15))
        t = rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(0.8, 2.5), 6)
        r = rng.uniform(1.2, 3.2)
        arc = np.stack([x + r * np.cos(t), y + 0.7 * r * np.sin(t)], 1)
        out.gas.extend(_chain(arc, rng.uniform(0.6, 1.2), rng.uniform(0.6, 0.9), rng, flat))
    for _ in range(int(rng.uniform(4, 14))):
        x, y = place(rng.uniform(-10, 10), rng.uniform(0.25, 1.4))
        r = rng.uniform(0.25, 0.8)
        out.gas.append((x, y, 2, r * rng.uniform(1, 1.6), r, r, rng.uniform(0, 3), 0, 1, np.inf))
    if rng.rand() < 0.75:  # stomach bubble under the left dome
        x, y = place(rng.uniform(4, 7), rng.uniform(0.1, 0.17))
        a, b = rng.uniform(1.5, 4), rng.uniform(1.0, 2.0)
        level = y + 0.4 * b if erect else np.inf
        out.gas.append((x, y, 4, a, b, 0.8 * b, rng.uniform(-0.3, 0.3), 0.2, 1, level))


def _lungs(out, top, wide, deep, domes, rng):
    """Two lungs as if nothing lay between them and below them; then their vessels."""
    bottom = max(domes[0][1], domes[1][1]) + 10
    k = np.array([0, 0.01, 0.03, 0.08, 0.16, 0.28, 0.42, 0.58, 0.8, 1.0])
    rows = top + k * (bottom - top)
    outer = np.array([4.6, 5.9, 7.2, 8.9, 10.6, 12.0, 12.8, 13.3, 13.5, 13.4]) * wide
    inner = np.array([4.0, 2.9, 2.0, 1.2, 0.6, 0.3, 0.2, 0.2, 0.2, 0.2])
    depth = np.array([0.5, 1.8, 3.4, 5.2, 6.8, 8.2, 9.0, 9.3, 9.0, 0.5]) * deep
    out.shapes["lung right"] = (rows, -outer, -inner, depth, 0.7, 0)
    out.shapes["lung left"] = (rows, inner, outer, depth, 0.7, 0)
    for s, dome in zip((-1, 1), domes, strict=True):
        hilum = np.array([s * (3.4 if s > 0 else 3.0) * wide, top + 0.40 * (dome[1] - top), 0.0])
        out.blobs.append((*(hilum - (s * 0.3, 0.3, 0)), 1.0, 1.7, 1.0, -s * 0.3, 0, 0.05))
        # Branches fork in two, each generation shorter and thinner.
        turn = np.concatenate([np.linspace(-1.35, 1.25, 7), np.linspace(0.6, 1.5, 3)])
        turn = turn + rng.uniform(-0.15, 0.15, 10)
        start = hilum + np.stack([np.zeros(10), 1.4 * np.sin(turn), rng.uniform(-2, 2, 10)], 1)
        radius = rng.uniform(0.35, 0.72, 10)
        for length in (2.7, 2.5, 2.4, 2.2):
            run, n = length * rng.uniform(0.7, 1.3, len(turn)), len(turn)
            end = start + np.stack([s * run * np.cos(turn), run * np.sin(turn),
                rng.uniform(-1, 1, n)], 1)
            out.vessels.append((np.stack([start, end], 1), np.stack([radius, 0.78 * radius], 1),
                SOFT - LUNG, SOFT - LUNG, 0.1))
            fork = rng.uniform(0.18, 0.55, n)
            turn = np.concatenate([turn - fork, turn + 0.7 * fork])
            start = np.concatenate([end, end])
            radius = np.concatenate([radius, radius]) * rng.uniform(0.58, 0.8, 2 * n)


def body(person, day):
    """The parts of one person on one day.

    Args:
        person: numpy.random.RandomState: what stays the same from film to film (size, weight,
            sex, age, bones).
        day: numpy.random.RandomState: what does not (breath, standing or lying, arms, gas).

    Returns:
        Body: lengths in cm, attenuation in 1/cm.
    """
    out = Body([], [], [], [], [], {}, [], ())
    tall, female = person.uniform(0.92, 1.08), person.rand() < 0.5
    wide = tall * person.uniform(0.94, 1.06) * (0.96 if female else 1.02)
    fat = 0.5 + 2.8 * person.beta(1.6, 3)  # cm under the skin
    age, dense = person.rand(), person.uniform(0.75, 1.1)
    deep = person.uniform(0.92, 1.08) * (1 + 0.04 * fat)
    erect = day.rand() < 0.6
    breath = day.uniform(-1.6, 1.0)  # cm that the diaphragm is lower than usual

    pitch = (np.concatenate([np.full(5, 1.65), np.linspace(1.85, 2.65, 12),
        np.linspace(3.2, 3.6, 5)]) * tall)
    level = np.cumsum(pitch) - pitch / 2 - pitch[:5].sum()
    foot = pitch[5:].sum()
    _spine(out, level, pitch, dense, person)
    _ribs(out, level[5:17], wide, deep, person.uniform(0.9, 1.1) - 0.04 * breath, dense, person)
    _shoulders(out, wide * person.uniform(0.95, 1.03), day.uniform(2, 8), dense)
    _pelvis(out, foot, wide * (1.10 if female else 1.03), dense)

    top = 20.4 * tall + breath
    right = (-5.8 * wide, top, 1.5, person.uniform(0.05, 0.08))
    left = (6.4 * wide, top + person.uniform(0.5, 1.8), 1.5, person.uniform(0.05, 0.08))
    out = out._replace(domes=(right, left))
    _lungs(out, -0.6 * tall, wide, deep, (right, left), person)

    # Heart, great vessels and the airway; a supine, old or stout heart is wider.
    big = person.uniform(0.85, 1.1) * (1 if erect else 1.08) * (1 + 0.08 * age + 0.02 * fat)
    knob, low = 6.8 * tall, left[1] - 2.2
    y = np.concatenate([[-14, -2, 1, knob - 1.7], knob + np.array([-0.8, 0.3, 1.5, 2.6]),
        knob + (low - knob) * np.array([0.36, 0.5, 0.62, 0.76, 0.9, 1.0]),
        low + np.array([1.5, 3, 5, 14])])
    bulge = person.uniform(-0.3, 0.3, 2)
    to_left = [4, 2.8, 2.4, 2.1, 2.7 + age, 3.0 + 1.1 * age, 2.7 + 0.9 * age, 2.5 + 0.2 * age,
        3.1 + bulge[0], 3.9 + bulge[0], 5.2 * big, 6.8 * big, 8.1 * big, 8.5 * big, 8.2 * big,
        6.5 * big, 3.2, 2.2]
    to_right = [4, 2.8, 2.4, 2.3, 2.2, 2.2, 2.2, 2.2, 2.3, 2.7, 3.3 * big, 3.8 * big, 3.9 * big,
        3.7 * big, 3.2 * big, 2.6, 2.2, 2.2]
    thick = [5, 5, 4.5, 4, 4, 4, 4, 4.2, 5, 5.4, 5.8, 6, 6, 6, 5.5, 5, 5, 5]
    out.shapes["mediastinum"] = (y, -np.array(to_right), np.array(to_left) * wide, thick, 0.55, 2)
    aorta = [(2.2, knob, -3), (2.4 + age, knob + 5, -4), (1.9 + age, top, -3), (1, top + 9, -2)]
    out.tubes.append((aorta, [1.2, 1.25, 1.1, 1], 0.012, 0.012, 0.1))
    lean = 0.3 * age
    windpipe = [(0, -16, 1), (0, -4, 0), (-lean, 3, -1), (-lean, knob + 0.5, -2),
        (-lean, knob + 2.5, -2)]
    out.tubes.append((windpipe, [1.0, 0.95, 0.9, 0.85, 0.1], -0.2, -0.2, 0.1))
    for x, y in ((-2.9, 2.6), (3.5, 3.2)):
        out.tubes.append(([(-lean, knob + 0.7, -2), (x, knob + y, -2)], [0.6, 0.45], -0.15, -0.15,
            0.1))

    # Soft organs of the abdomen, seen by the fat around them.
    out.blobs.append((-4.8 * wide, top + 6.8, 1, 8.3 * wide, 7.2, 7, 0.25, 0, 0.007))
    out.blobs.append((8.8 * wide, left[1] + 4.6, -3, 3, 5, 3.5, -0.3, 0, 0.012))
    for s, y in ((-1, 0.62), (1, 0.55)):
        at = (s * 5.9 * wide, top + y * (foot - top), -4)
        out.blobs.append((*at, 2.7, 5.4, 2.6, s * 0.25, 0.1, 0.028))
        psoas = [(s * 2.0, foot - 15, -3), (s * 3.8, foot - 5, -3), (s * 5.6, foot + 4, -1)]
        out.tubes.append((psoas, [0.8, 2.0, 2.1], 0.032, 0.032, 0.1))
    out.blobs.append((0, foot + 9.5, 4, 4.3, 3.2, 3.5, 0, 0, 0.012))
    _bowel(out, left[1] + 0.5, foot, wide, erect, day)
    if female:  # deeper below, so that the lower edge is the sharp one
        size = person.uniform(0.75, 1.25) * (0.8 + 0.1 * fat)
        sag = 1.5 if erect else 0.4
        for s in (-1, 1):
            x, y = s * 7.6 * wide, (17.5 + sag) * tall
            for b in (3.4, 5.0, 7.0):
                out.breasts.append((x, y - b * size, 9, (6.4 - 0.15 * b) * size, b * size,
                    0.65 * size, s * 0.12, 0.1, 0.75 * SOFT))

    # The trunk: all within the skin, and the part of it within the fat.
    rows = np.array([-16, -7, -4, -1, 2, 6, 10, 18, 26, 33, 40, 47, 56, 80]) * tall
    half = np.array([6.2, 5.8, 6.5, 9, 13.0, 13.9, 14.1, 14.1, 13.8, 13.3, 14.2, 15.8, 17, 16.5])
    thick = np.array([5.5, 5.5, 6, 7.5, 9, 10, 10.6, 10.6, 10.2, 9.4, 9, 9.2, 9.6, 8.5]) * deep
    half = half * wide - (0.7 if female else 0) * np.exp(-(((rows - 33 * tall) / 5) ** 2))
    roll = fat * np.array([0.3, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1, 1.1, 1.3, 1.3, 1.3, 1.2, 1])
    out.shapes["trunk"] = (rows, -half - roll, half + roll, thick + 0.8 * roll, 0.35, 0)
    out.shapes["muscle"] = (rows, -half, half, thick, 0.35, 0)
    return out
