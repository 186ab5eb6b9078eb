"""The bones of a body: spine, ribs, shoulders and pelvis, each as chains of tubes and shells.

Each function adds its bones to a `xraylib.data.phantoms.anatomy.Body`; axes and units are explained
there. `dense` is the mineral of the bones, 1 for the densest.
"""

from functools import partial

import numpy as np

from xraylib.data.phantoms.projection import BONE, SOFT, SPONGY

# Rows of numbers stay rows.
# fmt: off


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


def spine(out, level, pitch, dense, rng):
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


def ribs(out, level, wide, deep, drop, flare, dense, rng):
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


def shoulders(out, wide, arm, lift, turn, dense):
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


def pelvis(out, y, wide, dense):
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
