"""One body in numbers: where its parts lie and what they are made of.

`body` lists the parts of a person, in centimetres, from the neck to the thighs. A chest and
an abdomen film are two windows on the same kind of body, so that nothing but the anatomy
in the window tells them apart. `xraylib.data.phantoms.projection` casts the parts onto a film.

Axes: x to the right of the film (the patient's left), y downwards from the top of the first
thoracic vertebra, z towards the front, each zero in the middle of the trunk. Attenuation is
in 1/cm; an organ carries its difference from the tissue that it lies in. Sizes are those of an
adult, rounded.
"""

from typing import NamedTuple

import numpy as np

from xraylib.data.phantoms.projection import LUNG, SOFT
from xraylib.data.phantoms.skeleton import pelvis, ribs, shoulders, spine

# Rows of numbers stay rows.
# fmt: off


class Body(NamedTuple):
    """The parts of one body, as rows of numbers that `xraylib.data.phantoms.projection` takes."""

    tubes: list  # (points (..., n, 3), radius, attenuation of wall, of core, wall thickness)
    blobs: list  # (x, y, z, a, b, c, angle, squareness, attenuation)
    breasts: list  # blobs of soft tissue
    gas: list  # as blobs, then the level of fluid (y): bubbles that merge instead of adding
    skin: list  # soft tubes (points, radius) that merge with the trunk: arms and shoulders
    shapes: dict  # name -> (y, left, right, half depth, squareness, z): sections
    vessels: list  # as tubes, seen inside the lungs only
    domes: tuple  # right and left diaphragm: (x, y, z of its top, how far it falls outwards)


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
    spine(out, level, pitch, dense, person)
    drop = person.uniform(0.8, 1.2) - 0.04 * breath
    ribs(out, level[5:17], wide, deep, drop, flare, dense, person)
    girdle, arm, lift = person.uniform(0.95, 1.03), day.uniform(1, 14), day.normal(0, 0.9)
    shoulders(out, wide * girdle, arm, lift, day.uniform(0, 2), dense)
    pelvis(out, foot, wide * (1.10 if female else 1.03), dense)

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
