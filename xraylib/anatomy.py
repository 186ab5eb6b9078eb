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

from functools import partial
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


def _bone(out, place, dense, wall, core, thick, text):
    """A pair of bones, from rows "x y z radius, ..." that `place` moves to where they belong."""
    rows = np.array([row.split() for row in text.split(",")], float)
    line = _round(_both(*place(rows[:, :3])), rows[:, 3])
    out.tubes.append((*line, wall * dense, core, thick))


def _shell(out, at, size, angle, square, core, wall=0.14):
    """A bone with a denser wall (cm) around its core (attenuation)."""
    hard = 0.4 * (BONE - SOFT)
    out.blobs.append((*at, *size, angle, square, hard))
    out.blobs.append((*at, *(r - wall for r in size), angle, square, core - SOFT - hard))


def _spine(out, level, pitch, dense, rng):
    """Vertebrae: waisted cylinders between end plates; pedicles, processes and joints behind."""
    sag = rng.uniform(0.05, 0.25)  # how far the lower end plates are seen from above
    for i, (y, p) in enumerate(np.stack([level, pitch], 1)):
        lumbar = np.clip((i - 13) / 6, 0, 1)  # 0 down to T10, 1 at L3
        w = 1.3 + 1.0 * np.clip((i - 9) / 11, 0, 1) + 0.12 * (i < 5)  # half width
        v = p * (0.41 + 0.02 * rng.rand())  # half height
        z, back = -5.0 + lumbar, (0.5 + 0.5 * lumbar) * dense
        hips = w * np.array([0.97, 1.07, 1.04, 0.93, 0.92, 0.95, 1.06, 1.1, 0.99])
        line = np.zeros((9, 3)) + (0, y, z)
        line[:, 1] += v * np.array([-1, -0.88, -0.7, -0.3, 0, 0.3, 0.7, 0.88, 1])
        wall, core = (0.14 + 0.04 * lumbar) * dense, (0.045 + 0.018 * lumbar) * dense
        out.tubes.append((line, hips + rng.uniform(-0.03, 0.03, 9), wall, core, 0.11))
        tilt = sag * np.clip(abs(i - 18.5) / 3, 0, 1) * (i > 12)
        for up in (-1, 1):
            out.blobs.append((0, y + up * (v - 0.08), z, 1.04 * w, 0.13 + tilt, w,
                rng.uniform(-0.05, 0.05), 0.3, 0.032 * dense / (1 + 2 * tilt)))
        out.blobs.append((0, y + 0.5 * p, z, 0.95 * w, 0.6 * (p - 2 * v), w, 0, 0.5, 0.026))
        for s in (-1, 1):
            at = (s * (0.6 + 0.06 * lumbar) * w, y - 0.35 * v, z - 1.5)
            eye = np.array([0.26 + 0.14 * lumbar, 0.36 + 0.22 * lumbar]) * rng.uniform(0.85, 1.1)
            out.blobs.append((*at, *eye, 1.0, s * 0.2, 0, 0.17 * back))
            out.blobs.append((*at, *(eye - 0.12), 1.0, s * 0.2, 0, -0.16 * back))
        joint = _both((0.52, 0.2, 0), (0.68, 0.8, 0), (0.7, 1.2, 0), (0.6, 1.6, 0))
        joint = joint * (w, v, 1) + (0, y, z - 2.4) + rng.uniform(-0.1, 0.1, (2, 4, 3))
        out.tubes.append((joint, [0.28, 0.46, 0.5, 0.3], 0.32 * back, 0.10 * back, 0.11))
        lamina = _both((0.6, -0.1, 0), (0.3, 0.35, -0.4), (0, 0.6, -0.6))
        lamina = lamina * (w, v, 1) + (0, y, z - 2.4)
        out.tubes.append((lamina, [0.4, 0.5, 0.4], 0.15 * back, 0.09 * back, 0.1))
        wing = _both((0.8, -0.25, 0), (0.8, -0.3, -0.2), (1, -0.5, -0.5)) * (w, v, 1)
        wing[:, 2, 0] += np.array([-1, 1]) * (0.9 + 1.5 * lumbar) * (0.7 + 0.4 * rng.rand(2))
        wing += (0, y, z - 2)
        out.tubes.append((wing, [0.4, 0.3, 0.12], 0.16 * dense, 0.09, 0.09))
        lean = rng.uniform(-0.15, 0.15)
        spike = [(0, y + 0.1 * v, z - 3), (lean, y + 0.8 * v, z - 4), (lean, y + 1.3 * v, z - 4)]
        out.tubes.append((spike, [0.12, 0.28, 0.4], 0.42 * back, 0.1 * back, 0.12))


def _ribs(out, level, wide, deep, drop, flare, dense, rng):
    """Twelve pairs of tilted hoops: the back half high and dense, the front half low and open."""
    span = np.array([6.6, 9.1, 10.9, 12.0, 12.7, 13.2, 13.5, 13.7, 13.7, 13.5, 12.9, 11.8])
    span = span * (1 + flare * (np.arange(12) / 12 - 0.5))
    fall = np.array([5.0, 7.0, 8.4, 9.2, 9.7, 9.9, 9.9, 9.7, 9.3, 8.6, 8, 7])
    end = np.array([140, 136, 134, 134, 134, 132, 128, 124, 118, 105, 72, 46], float)
    end += rng.uniform(-5, 5, 12)
    for i in range(12):
        a, weak = span[i] * wide, (0.5, 0.75, 1, 0.75)[min(i, 2) + (i > 8)]
        turn = np.radians(np.linspace(np.degrees(np.arcsin(1.7 / a)), end[i], 15))
        x = a * np.sin(turn)
        z = 1.0 * deep - (6.0 + 0.3 * min(i, 8)) * deep * np.cos(turn)
        y = level[i] - 0.35 - 0.15 * np.sin(np.minimum(2 * turn, np.pi))
        y = y + fall[i] * drop * (0.5 - 0.5 * np.cos(turn) + 0.04 * np.sin(turn))
        y = y + 0.9 * max(i - 5, 0) * turn  # low ribs hang
        thick = 0.44 + 0.16 * np.sin(turn) - 0.08 * (turn / 2) ** 2
        slim = 1 - 0.12 * max(i - 8, 0)
        thick *= slim * np.sqrt(np.clip((turn[-1] - turn) / 0.8, 0.05, 1))  # no hard ends
        hoop = _both(*np.stack([x, y, z], 1))
        # The two sides are not each other's mirror image.
        hoop[..., 1] += rng.normal(0, 0.14, (2, 1)) + rng.normal(0, 0.16, (2, 1)) * turn
        hoop[..., 0] *= 1 + rng.normal(0, 0.008, (2, 1)) * turn
        ends = np.searchsorted(turn, (0, 1.6, 1.9, 2.15, 9))
        for start, stop, mu in zip(ends[:-1], ends[1:], (1, 0.78, 0.6, 0.45), strict=True):
            part = slice(max(start - 1, 0), stop)
            mu = mu * weak
            if stop > start:
                out.tubes.append((hoop[:, part], thick[part], 0.34 * mu * dense, 0.13 * mu, 0.13))


def _shoulders(out, wide, arm, lift, turn, dense):
    """Clavicles, shoulder blades and upper arms."""

    def place(points):  # blades swing outwards when the arms do
        x, y, z = points.T
        x = x + turn * np.clip((y - 4) / 5, 0, 2) * (z < -4)
        return np.stack([x * wide, y - lift * np.clip((x - 4) / 8, 0, 1), z], 1)

    bone = partial(_bone, out, place, dense)
    bone(0.34, 0.13, 0.17, "1.6 3.9 7 .82, 4 3 7.5 .66, 7 2.4 6 .55, 10 1.6 3 .5, 13 .7 0 .52, "
        "16.2 .5 -1 .7")
    bone(0.24, 0.12, 0.15, "9.6 5.2 -8 .25, 11.4 3.6 -8 .4, 14 1.6 -6 .55, 17 .4 -4 .8")
    bone(0.26, 0.09, 0.16, "15.6 5 -4 .75, 14.4 8 -6 .5, 13 12 -8 .4, 12 14.8 -8 .45")
    bone(0.2, 0.1, 0.1, "10.8 1.6 -7 .2, 10.2 5 -8.5 .22, 10.6 11 -9 .25, 12 14.8 -8 .4")
    ball = np.array([17.4 * wide, 3.7 - lift, -2])
    neck, elbow = ball + (0.9 + 0.05 * arm, 2.8, 0), ball + (1 + arm, 27, -1)
    hand = elbow + (1 + 0.3 * arm, 30, 2)
    for s in (-1, 1):
        _shell(out, (s * 15.4 * wide, 3.8 - lift, -3), (0.9, 1.7, 1.3), s * 0.2, 0.2, SPONGY)
        _shell(out, (s * ball[0], *ball[1:]), (2.2, 2.3, 2.1), 0, 0, SOFT + 0.07)
    shaft = _both(ball, ball + (0.3, 1.5, 0), neck, elbow - (0.8, 14, 0), elbow, hand)
    out.tubes.append((*_round(shaft, [0.4, 2.0, 1.3, 1.1, 1.1, 0.8]), 0.30 * dense, 0.06, 0.3))
    deep = ball + (-0.8, 2.2, 0)
    out.skin.append((_both((2, -4.5, -2), (6, -0.4, -2), (11 * wide, 4.2 - lift, -2.5), deep),
        [4.8, 5.0, 6.6, 6.2]))
    out.skin.append((_both(deep, neck + (0, 1, 0), elbow, hand), [6.2, 5.4, 4.3, 3.2]))


def _pelvis(out, y, wide, dense):
    """Sacrum, iliac wings, pubic rami, hips and thighs; y is the lower end of L5."""
    half = np.array([2.2, 3.4, 4.8, 4.9, 4.2, 3.3, 2.2, 0.5]) * wide
    out.shapes["sacrum"] = (y + np.array([-0.6, 0.2, 1.5, 2.8, 4.2, 6, 8.4, 10.4]), -half, half,
        [0.5, 1.3, 1.8, 1.6, 1.2, 0.75, 0.4, 0], 0.25, -6)
    out.tubes.append((((0, y - 0.3, -6), (0, y + 4, -6), (0, y + 9, -6)), [2.3, 1.8, 0.3], 0.025,
        0.025, 0.1))
    for k in range(4):  # holes under arches, and spines in the middle
        x, v = (2.5 - 0.32 * k) * wide, y + 1.9 + 1.75 * k
        for s in (-1, 1):
            out.blobs.append((s * x, v, -6, 0.55, 0.36, 1.0, s * 0.3, 0, -0.06))
        arch = _both((x - 1, v, -6), (x - 0.4, v - 0.5, -6), (x + 0.4, v - 0.5, -6), (x + 1, v, -6))
        out.tubes.append((arch, 0.2, 0.2 * dense, 0.2, 0.1))
        out.blobs.append((0, v - 0.6, -7, 0.3, 0.7, 0.8, 0, 0, 0.1))
    rows = y + np.array([-4.3, -3.7, -2, 0, 2, 4, 6, 7.5, 9.2, 10.8])
    outer = np.array([10.6, 12.0, 13.5, 14.2, 14.1, 13.2, 12.0, 11.6, 12.0, 11.6]) * wide
    inner = np.array([9.2, 7.4, 5.7, 5.0, 4.9, 5.6, 6.5, 6.9, 7.0, 7.2]) * wide
    plate = np.array([0.9, 1.2, 1.15, 1.0, 1.15, 1.6, 2.1, 2.3, 2.1, 0])
    out.shapes["ilium right"] = (rows, -outer, -inner, plate, 1, -2)
    out.shapes["ilium left"] = (rows, inner, outer, plate, 1, -2)
    bone = partial(_bone, out, lambda points: points * (wide, 1, 1) + (0, y, 0), dense)
    # Crest; edge below the front spine; thick bone from sacrum to hip; brim; joint with the
    # sacrum, dark and bright; pubis; ischium; roof of the socket.
    bone(0.3, 0.14, 0.1, "5 -1 -5 .2, 6.4 -3 -4 .26, 8.4 -4.2 -2 .28, 10.8 -4.1 0 .3, "
        "12.9 -2.6 2 .3, 14.1 0 4 .26, 14 2.6 5 .15")
    bone(0.2, 0.12, 0.12, "14 2 4 .15, 13.3 4.2 5 .3, 12.1 6 4 .25, 12.2 7.4 3 .3, 12.1 9 2 .2")
    bone(0.026, 0.026, 0.1, "5.2 -.8 -5 .1, 6.2 2.8 -3 1.4, 7.6 5.6 -1 1.6, "
        "8.8 7.8 0 1.5, 9.2 9.4 0 .2")
    bone(0.3, 0.2, 0.1, "3.8 2.4 -5 .1, 5.6 3.6 -3 .2, 6.9 5.6 -1 .25, 7.2 8 1 .25, "
        "6.6 10.2 3 .22, 5 11.6 4 .15")
    bone(-0.2, -0.2, 0.1, "4.9 .1 -6 .12, 4.8 1.6 -6 .12, 4.55 3 -6 .12, 4.2 4.4 -6 .12")
    bone(0.25, 0.2, 0.1, "5.2 .1 -6 .2, 5.1 1.6 -6 .2, 4.85 3 -6 .2, 4.5 4.4 -6 .2")
    bone(0.13, 0.07, 0.12, "7.4 9.8 2 .4, 5.2 11.4 4 .75, 3 12.2 5 .7, 1.45 12.8 5 1, "
        "1.4 14.4 5 .85, 2.6 15.8 3 .55, 4.6 16.8 0 .3")
    bone(0.16, 0.09, 0.12, "7.6 10 0 .3, 6.9 12.6 -2 1.2, 6.3 14.8 -3 1.35, 5.6 16.4 -3 1.1, "
        "4.2 16.6 -2 .2")
    bone(0.3, 0.2, 0.12, "7.1 9.7 1 .15, 7.9 8.7 1 .3, 9.4 8.15 1 .4, 10.9 8.6 1 .35, "
        "11.9 9.6 1 .2")
    ball = np.array([9.4 * wide, y + 10.9, 1.0])
    knee = ball + (4.2, 3.4, -1)
    for s in (-1, 1):
        _shell(out, (s * ball[0], *ball[1:]), (2.35, 2.35, 2.2), 0, 0, SOFT + 0.06)
        out.blobs.append((s * (knee[0] + 0.5), knee[1] - 0.9, 0, 1.4, 1.9, 1.4, s * 0.4, 0, 0.09))
        out.blobs.append((s * knee[0], knee[1] + 0.4, 0, 1.9, 2.4, 1.6, 0, 0, 0.04))
    thigh = _both(ball + (1.5, 1.2, 0), knee - (1.2, 1, 0), knee + (0.1, 1, 0),
        knee + (-0.2, 4.5, 0), knee + (-1, 16, 0))
    out.tubes.append((*_round(thigh, [1.45, 1.4, 1.9, 1.5, 1.35]), 0.17 * dense, 0.05, 0.3))


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

    across = [-10, -10.8, -10.6, -9.6, -6.5, -2, 3, 7.5, 10.2, 11, 11, 10, 7, 4, 3, 0.5, -0.5, 0]
    down = [98, 80, 55, 38, 42, 52, 46, 30, 18, 40, 70, 95, 112, 120, 102, 110, 130, 150]
    colon = np.stack(place(np.array(across), np.array(down) / 100), 1)
    colon += rng.uniform(-1.2, 1.2, (18, 2))
    flat = rng.uniform(0.1, 0.5) if erect else np.inf
    full = rng.beta(1.3, 1.6)  # hardly any gas to a lot of it
    for _ in range(1 + int(6 * full)):
        a = int(rng.uniform(0, 15))
        part = colon[a : a + int(rng.uniform(2, 6))]
        out.gas.extend(_chain(part, rng.uniform(1.3, 2.6), rng.uniform(0.5, 0.85), rng))
    for _ in range(int(rng.uniform(0, 4))):  # stool: small bubbles along the colon
        n, at = int(rng.uniform(12, 40)), rng.uniform(0, 15) + rng.uniform(0, 2, 40)
        line = [np.interp(at, np.arange(18), v) for v in colon.T]
        line = line + rng.normal(0, rng.uniform(0.5, 1.0), (2, 40))
        for x, y, r in zip(*line[:, :n], rng.uniform(0.14, 0.5, n), strict=True):
            out.gas.append((x, y, 2, 1.3 * r, r, r, 6 * r, 0, 0.9, np.inf))
    for _ in range(int(rng.uniform(1, 3 + 6 * full))):  # small bowel: short arcs in the middle
        x, y = place(rng.uniform(-6, 7), rng.uniform(0.35, 1.15))
        t = rng.uniform(0, 2 * np.pi) + np.linspace(0, rng.uniform(0.8, 2.5), 6)
        r = rng.uniform(1.0, 3.2)
        arc = np.stack([x + r * np.cos(t), y + 0.7 * r * np.sin(t)], 1)
        out.gas.extend(_chain(arc, rng.uniform(0.5, 1.2), rng.uniform(0.45, 0.9), rng, flat))
    for _ in range(int(rng.uniform(4, 20))):
        x, y = place(rng.uniform(-10, 10), rng.uniform(0.25, 1.4))
        r = rng.uniform(0.2, 0.8)
        out.gas.append((x, y, 2, r * rng.uniform(1, 1.6), r, r, rng.uniform(0, 3), 0, 1, np.inf))
    if rng.rand() < 0.75:  # stomach bubble under the left dome
        x, y = place(rng.uniform(4, 7), rng.uniform(0.07, 0.15))
        a, b, turn = rng.uniform(1.5, 4), rng.uniform(1, 2), rng.uniform(-0.3, 0.3)
        out.gas.append((x, y, 4, a, b, 0.8 * b, turn, 0.2, 1, y + (0.4 * b if erect else np.inf)))


def _lungs(out, top, wide, deep, flare, domes, rng):
    """Two lungs as if nothing lay between them and below them; then their vessels."""
    bottom = max(domes[0][1], domes[1][1]) + 10
    k = np.array([0, 0.01, 0.03, 0.08, 0.16, 0.28, 0.42, 0.58, 0.8, 1.0])
    rows = top + k * (bottom - top)
    outer = np.array([4.4, 5.5, 6.6, 8.2, 9.9, 11.6, 12.7, 13.2, 13.5, 13.4]) * wide
    outer *= 1 + flare * (k - 0.5)
    inner = np.array([4.0, 2.9, 2.0, 1.2, 0.6, 0.3, 0.2, 0.2, 0.2, 0.2])
    depth = np.array([0.5, 1.8, 3.4, 5.2, 6.8, 8.2, 9.0, 9.3, 9.0, 0.5]) * deep
    out.shapes["lung right"] = (rows, -outer, -inner, depth, 0.7, 0)
    out.shapes["lung left"] = (rows, inner, outer, depth, 0.7, 0)
    for s, dome in zip((-1, 1), domes, strict=True):
        hilum = np.array([s * (3.4 if s > 0 else 3.0) * wide, top + 0.40 * (dome[1] - top), 0.0])
        out.blobs.append((*(hilum - (s * 0.3, 0.3, 0)), 1.0, 1.7, 1.0, -s * 0.3, 0, 0.05))
        # Branches fork in two, each generation shorter and thinner.
        turn = np.concatenate([np.linspace(-1.35, 1.25, 6), np.linspace(0.6, 1.5, 2)])
        turn = turn + rng.uniform(-0.2, 0.2, 8)
        start = hilum + np.stack([np.zeros(8), 1.4 * np.sin(turn), rng.uniform(-2, 2, 8)], 1)
        radius = rng.uniform(0.3, 0.64, 8)
        for length in (2.9, 2.8, 2.6, 2.3, 1.8):
            run, n = length * rng.uniform(0.7, 1.3, len(turn)), len(turn)
            end = [s * run * np.cos(turn), run * np.sin(turn), rng.uniform(-1, 1, n)]
            end, thick = start + np.stack(end, 1), np.stack([radius, 0.78 * radius], 1)
            out.vessels.append((np.stack([start, end], 1), thick, SOFT - LUNG, SOFT - LUNG, 0.1))
            fork = rng.uniform(0.18, 0.55, n)
            turn = np.concatenate([turn - fork, turn + 0.7 * fork])
            start = np.concatenate([end, end])
            radius = np.concatenate([radius, radius]) * rng.uniform(0.5, 0.8, 2 * n)


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
    wide = tall * person.uniform(0.91, 1.09) * (0.96 if female else 1.02)
    fat = 0.4 + 3.6 * person.beta(1.4, 3)  # cm under the skin
    age, dense = person.rand(), person.uniform(0.65, 1.0)
    deep = person.uniform(0.92, 1.08) * (1 + 0.04 * fat)
    erect = day.rand() < 0.6
    flare = person.uniform(-0.05, 0.15)  # from a barrel to a bell
    breath = day.uniform(-2.2, 1.4)  # cm that the diaphragm is lower than usual

    pitch = [np.full(5, 1.65), np.linspace(1.85, 2.65, 12), np.linspace(3.2, 3.6, 5)]
    pitch = np.concatenate(pitch) * tall
    level = np.cumsum(pitch) - pitch / 2 - pitch[:5].sum()
    foot = pitch[5:].sum()
    _spine(out, level, pitch, dense, person)
    drop = person.uniform(0.8, 1.2) - 0.04 * breath
    _ribs(out, level[5:17], wide, deep, drop, flare, dense, person)
    girdle, arm, lift = person.uniform(0.95, 1.03), day.uniform(1, 14), day.normal(0, 0.9)
    _shoulders(out, wide * girdle, arm, lift, day.uniform(0, 2), dense)
    _pelvis(out, foot, wide * (1.10 if female else 1.03), dense)

    top = person.uniform(19.5, 21.2) * tall + breath
    right = (-5.8 * wide, top, 1.5, person.uniform(0.04, 0.08))
    left = (6.4 * wide, top + person.uniform(0.5, 1.8), 1.5, person.uniform(0.04, 0.08))
    out = out._replace(domes=(right, left))
    _lungs(out, -0.6 * tall, wide, deep, flare, (right, left), person)

    # Heart, great vessels and the airway; a supine, old or stout heart is wider.
    big = person.uniform(0.72, 1.12) * (1 if erect else 1.08) * (1 + 0.08 * age + 0.02 * fat)
    knob, low = 6.8 * tall, left[1] + person.uniform(-1.5, 0.5)
    y = np.concatenate([[-14, -2, 1, knob - 1.7], knob + np.array([-0.8, 0.3, 1.5, 2.6]),
        knob + (low - knob) * np.array([0.36, 0.5, 0.62, 0.76, 0.9, 1.0]),
        low + np.array([1.5, 3, 5, 14])])
    bulge = person.uniform(-0.5, 0.5, 2)
    to_left = [4, 2.8, 2.4, 2.1, 2.7 + age, 3.0 + 1.1 * age, 2.7 + 0.9 * age, 2.5 + 0.2 * age,
        3.1 + bulge[0], 4.0 + bulge[0] + bulge[1], 5.2 * big + bulge[1], 6.6 * big, 7.8 * big,
        8.4 * big, 8.5 * big, 7.8 * big, 5.2, 2.2]
    to_right = [4, 2.8, 2.4, 2.3, 2.2, 2.2, 2.2, 2.2, 2.3, 2.7, 3.3 * big, 3.8 * big, 3.9 * big,
        3.7 * big, 3.2 * big, 2.6, 2.2, 2.2]
    thick = [5, 5, 4.5, 4, 4, 4, 4, 4.2, 5, 5.4, 5.8, 6, 6, 6, 5.5, 5, 5, 5]
    out.shapes["mediastinum"] = (y, -np.array(to_right), np.array(to_left) * wide, thick, 0.55, 2)
    aorta = [(2.2, knob, -3), (2.4 + age, knob + 5, -4), (1.9 + age, top, -3), (1, top + 9, -2)]
    out.tubes.append((aorta, [1.2, 1.25, 1.1, 1], 0.012, 0.012, 0.1))
    lean = 0.3 * age
    windpipe = [(0, -16, 1), (0, -4, 0), *((-lean, y, -2) for y in (3, knob + 0.5, knob + 2.5))]
    out.tubes.append((windpipe, [1.05, 1.05, 1.05, 1.0, 0.1], -0.2, -0.2, 0.1))
    for x, y in ((-2.9, 2.6), (3.5, 3.2)):
        line = [(-lean, knob + 0.7, -2), (x, knob + y, -2)]
        out.tubes.append((line, [0.6, 0.45], -0.15, -0.15, 0.1))

    # Soft organs of the abdomen, seen by the fat around them.
    out.blobs.append((-4.8 * wide, top + 6.8, 1, 8.3 * wide, 7.2, 7, 0.25, 0, 0.012))
    out.blobs.append((8.8 * wide, left[1] + 4.6, -3, 3, 5, 3.5, -0.3, 0, 0.012))
    for s, y in ((-1, 0.62), (1, 0.55)):
        at = (s * 5.9 * wide, top + y * (foot - top), -4)
        out.blobs.append((*at, 2.7, 5.4, 2.6, s * 0.25, 0, 0.024))
        psoas = [(2, -15, -3), (3.8, -5, -3), (5.8, 4, -1), (8.5, 11, 2)]
        psoas = np.array(psoas) * (s, 1, 1) + (0, foot, 0)
        out.tubes.append((psoas, [0.8, 2.0, 1.9, 0.4], 0.035, 0.035, 0.1))
        back = [(s * 2.4, 8, -8), (s * 2.6, foot - 2, -8), (s * 1.5, foot + 7, -8)]
        out.tubes.append((back, [1.5, 2.8, 0.3], 0.012, 0.012, 0.1))
    out.blobs.append((0, foot + 9.5, 4, 4.3, 3.2, 3.5, 0, 0, 0.012))
    _bowel(out, left[1] + 0.5, foot, wide, erect, day)
    if female:  # deeper below, so that the lower edge is the sharp one
        size = person.uniform(0.6, 1.3) * (0.8 + 0.1 * fat)
        sag, hang = 1.5 if erect else 0.4, person.uniform(18.5, 21.5)
        for s in (-1, 1):
            x, y = s * 8.2 * wide, (hang + sag) * tall
            for b in size * np.array([3.4, 5, 7]):
                a = 6.4 * size - 0.15 * b
                out.breasts.append((x, y - b, 9, a, b, size, s * 0.12, 0.1, 0.5 * SOFT))

    # The trunk: all within the skin, and the part of it within the fat.
    rows = np.array([-16, -7, -4, -1, 2, 6, 10, 18, 26, 33, 40, 47, 56, 80]) * tall
    half = np.array([6.2, 5.8, 6.5, 9, 13.0, 13.9, 14.1, 14.1, 13.8, 13.3, 14.2, 15.8, 17, 16.5])
    thick = np.array([5.5, 5.5, 6, 7.5, 9, 10, 10.3, 10.1, 9.6, 9.4, 9.4, 9.5, 9.6, 8.5]) * deep
    thick *= 1 + person.uniform(-0.06, 0.14) * np.exp(-(((rows - 37) / 9) ** 2))
    half = half * wide - (0.7 if female else 0) * np.exp(-(((rows - 33 * tall) / 5) ** 2))
    roll = fat * np.array([0.3, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1, 1.1, 1.3, 1.3, 1.3, 1.2, 1])
    out.shapes["trunk"] = (rows, -half - roll, half + roll, thick + 0.8 * roll, 0.35, 0)
    out.shapes["muscle"] = (rows, -half, half, thick, 0.35, 0)
    return out
