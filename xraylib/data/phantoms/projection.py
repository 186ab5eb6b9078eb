"""X-ray paths in closed form: a body of cylinders, ellipsoids and super-ellipses onto a film.

Each part adds its attenuation (1/cm) times the length (cm) that the ray runs through it, by a
formula rather than by tracing rays; only the pixels of its bounding box are visited. Rays
come nearly parallel: parts are magnified by their depth, as in a cone beam, and no more.
Pictures are float64, (height, width).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Attenuation in 1/cm, near that of tissue at 60 to 70 keV (NIST, Hubbell and Seltzer 2004).
SOFT, FAT, LUNG, BONE, SPONGY = 0.20, 0.182, 0.05, 0.50, 0.265


class Film(NamedTuple):
    """Where the pixels lie (cm, evenly spaced), and how points of the body get there."""

    x: np.ndarray  # (width,)
    y: np.ndarray  # (height,)
    pixel: float  # cm
    turn: float  # about the long axis, radians
    tilt: float  # in the film's plane, radians
    curve: tuple  # sideways bend of the spine: cm, phase
    magnify: float  # 1/cm of depth
    centre: float  # row that pose turns about, cm

    def middle(self, y):
        """Where the spine's line is at these heights, cm."""
        bend = self.curve[0] * np.sin(y / 9 + self.curve[1])
        return self.tilt * (y - self.centre) + bend

    def slope(self, y):
        """How far the spine's line leans at these heights, radians."""
        return self.tilt + self.curve[0] / 9 * np.cos(y / 9 + self.curve[1])

    def place(self, points):
        """(n, 3) points of the body to (n, 3) of the film."""
        x, y, z = np.asarray(points, float).T
        across = x + self.turn * z
        grow = 1 + self.magnify * z
        down = self.centre + (y - self.centre) * grow - self.slope(y) * across
        return np.stack([across * grow + self.middle(y), down, z], 1)


def _patches(film, x0, x1, y0, y1):
    """Patches of pixels over boxes in cm, in batches of like size.

    Yields which boxes (n,), the pixels' flat indices (n, rows, columns), whether they are
    their box's (no patch reads over the edge), x (n, 1, columns) and y (n, rows, 1).
    """
    h, w = len(film.y), len(film.x)
    left, right = ((v - film.x[0]) / film.pixel for v in (x0, x1))
    top, foot = ((v - film.y[0]) / film.pixel for v in (y0, y1))
    left, right = np.clip(np.ceil(left), 0, w), np.clip(np.floor(right) + 1, 0, w)
    top, foot = np.clip(np.ceil(top), 0, h), np.clip(np.floor(foot) + 1, 0, h)
    left, right, top, foot = (v.astype(int) for v in (left, right, top, foot))
    wide, tall = (np.searchsorted(_SIDES, v) for v in (right - left, foot - top))
    kind = np.where((right > left) & (foot > top), 100 * tall + wide, -1)
    for one in np.unique(kind[kind >= 0]):
        which, rows, cols = np.flatnonzero(kind == one), _SIDES[one // 100], _SIDES[one % 100]
        step = max(1, 20_000 // (rows * cols))
        for i in range(0, len(which), step):
            some = which[i : i + step]
            c = left[some, None, None] + np.arange(cols)
            r = top[some, None, None] + np.arange(rows)[:, None]
            inside = (c < right[some, None, None]) & (r < foot[some, None, None])
            flat = np.minimum(r, h - 1) * w + np.minimum(c, w - 1)
            yield some, flat, inside, film.x[0] + c * film.pixel, film.y[0] + r * film.pixel


_SIDES = np.array([6, 9, 12, 16, 22, 30, 42, 60, 85, 120, 170, 240, 340, 480, 700])


def tubes(film, parts, into, merge=False):
    """Add chains of cut, tapered cylinders with a wall to a picture, in place.

    Across a cylinder of radius r at a distance d from its axis, the ray runs
    2 sqrt(r² - d²) / sin(angle between axis and ray).

    Args:
        film: Film.
        parts: rows (points, radius, wall, core, thickness): points (..., n, 3) and radius
            (broadcast to (..., n)) in cm; attenuation of the wall and of what is inside it in
            1/cm; thickness of the wall in cm.
        into: float64 (height, width) that attenuation times path is added to.
        merge: keep the larger value instead of adding, and round the ends.
    """
    points, radius, kind, size, long = [], [], [], [], []
    for at, r, *rest in parts:
        at, r = np.asarray(at, float), np.asarray(r, float)
        points.append(at.reshape(-1, 3))
        radius.append(r.ravel() if r.size == at.size // 3 else np.resize(r, at.size // 3))
        kind.append(rest)
        size.append(at.size // 3)
        long += [at.shape[-2]] * (size[-1] // at.shape[-2])
    at, chain = film.place(np.concatenate(points)), np.repeat(np.arange(len(long)), long)
    radius, kind = np.concatenate(radius), np.repeat(np.array(kind, float), size, axis=0)
    along, own = np.diff(at, axis=0), np.flatnonzero(chain[:-1] == chain[1:])
    along[chain[:-1] != chain[1:]] = 0
    flat = np.hypot(along[:, 0], along[:, 1]) + 1e-9
    unit = along[:, :2] / flat[:, None]
    slant = np.minimum(np.hypot(flat, along[:, 2]) / flat, 2.4)
    # Pieces meet in the plane that halves the angle between them.
    cut = np.zeros((len(at), 2))
    cut[:-1] += unit
    cut[1:] += unit
    # What is finer than a pixel is drawn as wide as one and as much fainter.
    thin = np.maximum(radius, 0.7 * film.pixel)
    wall, core, hull = kind[own].T
    weight = 2 * slant[own] * (radius[own] ** 2 + radius[own + 1] ** 2)
    weight /= thin[own] ** 2 + thin[own + 1] ** 2
    columns = [at[own, :2], at[own + 1, :2], unit[own], flat[own], cut[own], cut[own + 1]]
    columns += [thin[own], thin[own + 1], weight * wall, weight * (core - wall), hull]
    t = np.column_stack(columns)
    # Its box: between the ends of its two cuts, or around round ends.
    end, reach = np.stack([own, own + 1]), film.pixel
    reach = reach + np.stack([thin[end], thin[end]])
    if not merge:
        skew = np.clip((cut[end] * unit[own]).sum(-1), 0.25, 2)
        reach = film.pixel + np.abs(cut[end].T[::-1].transpose(0, 2, 1)) / skew * thin[end]
    spot = at[end, :2].transpose(2, 0, 1)
    (x0, y0), (x1, y1) = (spot - reach).min(1), (spot + reach).max(1)
    for i, flat, inside, x, y in _patches(film, x0, x1, y0, y1):
        row = t[i].T[..., None, None]
        px, py, qx, qy, ux, uy, long, ax, ay, bx, by, r0, r1, hull, fill, wall = row
        dx, dy = x - px, y - py
        taper = (r1 - r0) / long
        if merge:  # round ends
            share = np.clip(dx * ux + dy * uy, 0, long)
            r = r0 + taper * share
            off = (dx - share * ux) ** 2 + (dy - share * uy) ** 2
        else:
            r = (r0 + dx * (ux * taper)) + dy * (uy * taper)
            off = dx * uy - dy * ux
            off *= off
            inside &= dx * ax + dy * ay >= 0
            inside &= (x - qx) * bx + (y - qy) * by < 0
        path = r * r
        path -= off
        np.sqrt(np.maximum(path, 0, out=path), out=path)
        path *= hull
        if fill.any():
            r = np.maximum(r - wall, 0)
            path += fill * np.sqrt(np.maximum(r * r - off, 0))
        path *= inside
        (np.maximum if merge else np.add).at(into.reshape(-1), flat.reshape(-1), path.reshape(-1))


def blobs(film, parts, into, merge=False, warp=None):
    """Add ellipsoids to a picture, in place; their path is 2 c sqrt(1 - u² - v²).

    Args:
        film: Film.
        parts: rows (x, y, z, a, b, c, angle, squareness, attenuation[, floor]): centre and half
            axes in cm, angle in the film's plane in radians; as squareness goes from 0 to 1, the
            fourth powers of u² and v² take over and the ellipsoid becomes a box; below the floor
            (y, cm) there is nothing.
        into: as for :func:`tubes`.
        merge: as for :func:`tubes`.
        warp: None, or displacements in x and y (cm, up to 0.5), each (height, width), that make
            the shapes irregular.
    """
    if not len(parts):
        return
    b = np.array(parts, float).reshape(len(parts), -1)
    b[:, 6] -= film.slope(b[:, 1])
    b[:, :3] = film.place(b[:, :3])
    a_cos, a_sin = b[:, 3] * np.cos(b[:, 6]), b[:, 3] * np.sin(b[:, 6])
    b_cos, b_sin = b[:, 4] * np.cos(b[:, 6]), b[:, 4] * np.sin(b[:, 6])
    square = b[:, 7] > 0
    across = np.where(square, abs(a_cos) + abs(b_sin), np.hypot(a_cos, b_sin))
    down = np.where(square, abs(a_sin) + abs(b_cos), np.hypot(a_sin, b_cos))
    if warp is not None:
        across, down = (v + 0.5 for v in (across, down))
    box = b[:, 0] - across, b[:, 0] + across, b[:, 1] - down, b[:, 1] + down
    turn = np.stack([np.cos(b[:, 6]), np.sin(b[:, 6])], 1)
    for i, flat, inside, x, y in _patches(film, *box):
        cx, cy, _, ra, rb, rc, _, sq, mu = b[i, :9].T[:, :, None, None]
        c, s = turn[i].T[:, :, None, None]
        dx, dy = x - cx, y - cy
        if warp is not None:
            dx, dy = dx + warp[0].reshape(-1)[flat], dy + warp[1].reshape(-1)[flat]
        u, v = dx * (c / ra) + dy * (s / ra), dy * (c / rb) - dx * (s / rb)
        u *= u
        v *= v
        if sq.any():
            path = 1 - (1 - sq) * (u + v) - sq * (np.square(u * u) + np.square(v * v))
        else:
            path = 1 - u - v
        np.sqrt(np.maximum(path, 0, out=path), out=path)
        path *= 2 * rc * mu
        path *= inside
        if b.shape[1] > 9:  # gas stands above its fluid
            path *= y < b[i, 9][:, None, None]
        (np.maximum if merge else np.add).at(into.reshape(-1), flat.reshape(-1), path.reshape(-1))


def stack(film, shape, round_off=0.8, mu=1):
    """Length of the path (cm) through a stack of super-ellipses, one at each height.

    Args:
        film: Film.
        shape: (rows, left, right, half depth, squareness, z): heights (n,) and, at each, the
            edges and half the depth (n,), in cm. A section is
            (z/c)² = 1 - (1 - squareness) u² - squareness u⁴ for u from -1 to 1.
        round_off: blur of the outline, cm.
        mu: factor.

    Returns:
        float64 (height, width).
    """
    rows, left, right, depth, square, z = shape
    soften = round_off / film.pixel

    lines = np.stack([np.interp(film.y, rows, v) for v in (left, right, depth)])
    lo, hi, c = ndimage.gaussian_filter1d(lines, soften, mode="nearest", truncate=3)
    grow, out = 1 + film.magnify * z, np.zeros((len(film.y), len(film.x)))
    shift = film.middle(film.y) + film.turn * z
    lo, hi = lo * grow + shift, hi * grow + shift
    # Only the box that it fills.
    box = (
        slice(*np.searchsorted(film.y, (rows[0], rows[-1]))),
        slice(*np.searchsorted(film.x, (lo.min(), hi.max()))),
    )
    lo, hi, c = lo[box[0], None], hi[box[0], None], c[box[0], None]
    half = np.maximum((hi - lo) / 2, 1e-6)
    u = film.x[box[1]] / half
    u -= (hi + lo) / 2 / half
    u *= u
    path = square * u
    path += 1 - square
    path *= u
    np.sqrt(np.maximum(np.subtract(1, path, out=path), 0, out=path), out=path)
    np.multiply(path, 2 * mu * c, out=out[box])
    return out


def mottle(film, rng, spacing):
    """Smooth noise (height, width), about 1 in size: a quadratic B-spline on a lattice in cm."""

    def taps(v):
        at = (v - v[0]) / spacing
        i = at.astype(int)
        t = at - i
        return i, (0.5 * (1 - t) ** 2, 0.75 - (t - 0.5) ** 2, 0.5 * t * t)

    (i, a), (j, b) = taps(film.y), taps(film.x)
    grid = rng.standard_normal((i[-1] + 3, j[-1] + 3)) * 1.8
    cols = sum(grid[:, j + k] * b[k] for k in range(3))
    out = cols[i] * a[0][:, None]
    for k in (1, 2):
        part = cols[i + k]
        part *= a[k][:, None]
        out += part
    return out


def _enlarge(small, step, shape):
    """A picture of every step-th pixel to all of them, linear in between."""

    def taps(n, top):
        at = np.arange(n) / step
        i = np.minimum(at.astype(int), top - 1)
        return i, at - i

    j0, t = taps(shape[1], small.shape[1])
    cols = small[:, j0] + np.diff(small, axis=1, append=small[:, -1:])[:, j0] * t
    i0, t = taps(shape[0], small.shape[0])
    out, step = cols[i0], np.diff(cols, axis=0, append=cols[-1:])[i0]
    step *= t[:, None]
    out += step
    return out


def wide(small, sigma, shape):
    """A wide Gaussian blur (sigma in pixels) of every 8th pixel, interpolated in between."""
    small = ndimage.gaussian_filter(small, sigma / 8, mode="nearest", truncate=3)
    return _enlarge(small, 8, shape)


def project(film, parts, rng):
    """A body onto a film.

    Args:
        film: Film.
        parts: :class:`xraylib.anatomy.Body`.
        rng: numpy.random.RandomState for the texture of the tissues.

    Returns:
        total: attenuation along each ray, float64 (height, width), at least 0.
        lung: thickness of the lungs in it, cm.
    """

    def empty():
        return np.zeros((len(film.y), len(film.x)))

    lung, heart = empty(), stack(film, parts.shapes["mediastinum"], 0.5)
    for name, dome in zip(("lung right", "lung left"), parts.domes, strict=True):
        cols = np.flatnonzero(film.x < 5 if dome[0] < 0 else film.x > -5)
        end = np.searchsorted(film.y, parts.shapes[name][0][-1])
        own = slice(0, end), slice(cols[0], cols[-1] + 1)
        if not end:
            continue
        half = stack(film._replace(x=film.x[own[1]], y=film.y[own[0]]), parts.shapes[name], 0.3)
        half *= 0.5
        ((x, top, z),) = film.place([dome[:3]])
        d = film.x[own[1]] - x
        d = np.where(d * dome[0] < 0, 0.55 * d, d)  # it falls less towards the heart
        # The diaphragm is a bowl: what it fills of the lung lies between z - m and z + m.
        below = film.y[own[0], None] - (top + dome[3] * d**2 + 0.0007 * d**4)
        np.maximum(below, 0, out=below)
        m = np.sqrt(below / 0.09)
        part = np.minimum(half, z + m)
        part -= np.maximum(-half, z - m)
        part = 2 * half - np.maximum(part, 0, out=part)
        # The heart lies on the bowl and takes no lung from below it.
        part -= heart[own] * np.maximum(1 - below / 2, 0)
        lung[own] += np.maximum(part, 0, out=part)

    # What is smooth is computed for every third pixel.
    x, y = (v[0] + np.arange(0, len(v) + 2, 3) * film.pixel for v in (film.x, film.y))
    small, limbs = film._replace(x=x, y=y, pixel=3 * film.pixel), np.zeros((len(y), len(x)))
    soft = FAT * stack(small, parts.shapes["trunk"])
    soft += (SOFT - FAT) * stack(small, parts.shapes["muscle"])
    tubes(small, [(p, r, 1, 1, 0.1) for p, r in parts.skin], limbs, merge=True)
    cloud = mottle(small, rng, 1.6)
    soft = np.maximum(soft, (SOFT - 0.004) * limbs) * (1 + 0.007 * cloud)
    soft = ndimage.gaussian_filter(soft, 0.9, mode="nearest", truncate=2)
    total, cloud = (_enlarge(v, 3, lung.shape) for v in (soft, cloud))
    fine, grain = (mottle(film, rng, size) for size in (0.22, 0.5))
    scratch = 1 + 0.003 * grain
    total *= scratch
    total -= np.multiply(lung, SOFT - LUNG, out=scratch)

    branches = empty()
    tubes(film, parts.vessels, branches)
    if lung.any():
        branches += np.multiply(np.abs(grain, out=scratch), 0.03, out=scratch)
        branches += np.multiply(fine, 0.025, out=scratch)
        np.minimum(np.multiply(lung, 0.2, out=scratch), 1, out=scratch)
        total += np.multiply(branches, scratch, out=branches)

    bone = np.multiply(branches, 0, out=branches)
    tubes(film, parts.tubes, bone)
    blobs(film, parts.blobs, bone)
    for name in ("sacrum", "ilium right", "ilium left"):
        bone += stack(film, parts.shapes[name], 0.3, 0.10)
    bone *= 1 + 0.035 * fine  # trabeculae
    total += bone
    if parts.breasts:
        blobs(film, parts.breasts, total)

    gas, squeeze = empty(), np.clip(0.28 * cloud, -0.5, 0.5)
    large = [row for row in parts.gas if max(row[3:5]) > 0.7]
    blobs(film, large, gas, merge=True, warp=(squeeze, squeeze[::-1, ::-1]))
    blobs(film, [row for row in parts.gas if max(row[3:5]) <= 0.7], gas, merge=True)
    gas *= np.divide(gas, np.add(gas, 0.35, out=scratch), out=scratch)  # walls are soft
    gas *= SOFT + 0.016 * grain
    total -= np.minimum(gas, np.multiply(total, 0.5, out=scratch), out=gas)
    return np.maximum(total, 0, out=total), lung
