"""X-ray paths in closed form: a body of cylinders, ellipsoids and super-ellipses onto a film.

Each part adds its attenuation (1/cm) times the length (cm) that the ray runs through it, by a
formula rather than by tracing rays; only the pixels of its bounding box are visited. Rays
come nearly parallel: parts are magnified by their depth, as in a cone beam, and no more.
Pictures are float64, (height, width).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from xraylib.anatomy import FAT, LUNG, SOFT


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

    def place(self, points):
        """(n, 3) points of the body to (n, 3) of the film."""
        x, y, z = np.asarray(points, float).T
        across = x + self.turn * z
        grow = 1 + self.magnify * z
        down = self.centre + (y - self.centre) * grow - self.tilt * across
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
        step = max(1, 40_000 // (rows * cols))
        for i in range(0, len(which), step):
            some = which[i : i + step]
            c = left[some, None, None] + np.arange(cols)
            r = top[some, None, None] + np.arange(rows)[:, None]
            inside = (c < right[some, None, None]) & (r < foot[some, None, None])
            flat = np.minimum(r, h - 1) * w + np.minimum(c, w - 1)
            yield some, flat, inside, film.x[0] + c * film.pixel, film.y[0] + r * film.pixel


_SIDES = np.array([5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700])


def _collect(flat, value, into, merge):
    """Add patches to the picture, or keep the larger value where parts merge."""
    (np.maximum if merge else np.add).at(into.reshape(-1), flat.reshape(-1), value.reshape(-1))


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
    points, radius, chain, kind = [], [], [], []
    for at, r, *rest in parts:
        at = np.asarray(at, float)
        count, n = at.size // (3 * at.shape[-2]), at.shape[-2]
        points.append(at.reshape(-1, 3))
        radius.append(np.broadcast_to(np.asarray(r, float), at.shape[:-1]).reshape(-1))
        chain.append(np.repeat(np.arange(count) + (chain[-1][-1] + 1 if chain else 0), n))
        kind += [rest] * (count * n)
    at, chain = film.place(np.concatenate(points)), np.concatenate(chain)
    radius, kind = np.concatenate(radius), np.array(kind, float)
    along, own = np.diff(at, axis=0), np.flatnonzero(chain[:-1] == chain[1:])
    along[chain[:-1] != chain[1:]] = 0
    flat = np.hypot(along[:, 0], along[:, 1]) + 1e-9
    unit = along[:, :2] / flat[:, None]
    slant = np.minimum(np.hypot(flat, along[:, 2]) / flat, 2.4)
    # Pieces meet in the plane that halves the angle between them.
    cut = np.zeros((len(at), 2))
    cut[:-1] += unit
    cut[1:] += unit
    t = np.column_stack(
        [
            at[own, :2],
            at[own + 1, :2],
            unit[own],
            flat[own],
            slant[own],
            cut[own],
            cut[own + 1],
            radius[own],
            radius[own + 1],
            kind[own],
        ]
    )
    reach = np.maximum(t[:, 12], t[:, 13]) + film.pixel
    box = (
        np.minimum(t[:, 0], t[:, 2]) - reach,
        np.maximum(t[:, 0], t[:, 2]) + reach,
        np.minimum(t[:, 1], t[:, 3]) - reach,
        np.maximum(t[:, 1], t[:, 3]) + reach,
    )
    for i, flat, inside, x, y in _patches(film, *box):
        (px, py, qx, qy, ux, uy, long, slant, ax, ay, bx, by, r0, r1, wall_mu, core_mu, wall) = t[
            i
        ].T[:, :, None, None]
        dx, dy = x - px, y - py
        taper = (r1 - r0) / long
        if merge:  # round ends
            share = np.clip(dx * ux + dy * uy, 0, long)
            r = r0 + taper * share
            off = (dx - share * ux) ** 2 + (dy - share * uy) ** 2
        else:
            r = np.maximum((r0 + dx * (ux * taper)) + dy * (uy * taper), 0)
            off = np.square(dx * uy - dy * ux)
            inside &= (dx * ax + dy * ay >= 0) & ((x - qx) * bx + (y - qy) * by < 0)
        # What is finer than a pixel is drawn as wide as one and as much fainter.
        thin = np.maximum(r, 0.7 * film.pixel)
        path = np.square(r / thin)
        path *= np.sqrt(np.maximum(thin * thin - off, 0))
        path *= 2 * slant * wall_mu
        if (core_mu != wall_mu).any():
            core = np.square(np.maximum(r - wall, 0)) - off
            path += 2 * slant * (core_mu - wall_mu) * np.sqrt(np.maximum(core, 0))
        path *= inside
        _collect(flat, path, into, merge)


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
        warp: None, or displacements in x and y (cm), each (height, width), that make the
            shapes irregular.
    """
    b = np.array(parts, float)
    b[:, :3] = film.place(b[:, :3])
    a_cos, a_sin = b[:, 3] * np.cos(b[:, 6]), b[:, 3] * np.sin(b[:, 6])
    b_cos, b_sin = b[:, 4] * np.cos(b[:, 6]), b[:, 4] * np.sin(b[:, 6])
    square = b[:, 7] > 0
    across = np.where(square, abs(a_cos) + abs(b_sin), np.hypot(a_cos, b_sin))
    down = np.where(square, abs(a_sin) + abs(b_cos), np.hypot(a_sin, b_cos))
    if warp is not None:
        across, down = (v + np.abs(w).max() for v, w in zip((across, down), warp, strict=True))
    box = b[:, 0] - across, b[:, 0] + across, b[:, 1] - down, b[:, 1] + down
    turn = np.stack([np.cos(b[:, 6]), np.sin(b[:, 6])], 1)
    for i, flat, inside, x, y in _patches(film, *box):
        cx, cy, _, ra, rb, rc, _, sq, mu = b[i, :9].T[:, :, None, None]
        c, s = turn[i].T[:, :, None, None]
        dx, dy = x - cx, y - cy
        if warp is not None:
            dx, dy = dx + warp[0].reshape(-1)[flat], dy + warp[1].reshape(-1)[flat]
        u, v = ((dx * c + dy * s) / ra) ** 2, ((dy * c - dx * s) / rb) ** 2
        path = 1 - (1 - sq) * (u + v)
        if sq.any():
            path -= sq * (np.square(u * u) + np.square(v * v))
        path = 2 * rc * mu * np.sqrt(np.maximum(path, 0)) * inside
        if b.shape[1] > 9:  # gas stands above its fluid
            path *= y < b[i, 9][:, None, None]
        _collect(flat, path, into, merge)


def stack(film, shape, round_off=0.8):
    """Length of the path (cm) through a stack of super-ellipses, one at each height.

    Args:
        film: Film.
        shape: (rows, left, right, half depth, squareness, z): heights (n,) and, at each, the
            edges and half the depth (n,), in cm. A section is
            (z/c)² = 1 - (1 - squareness) u² - squareness u⁴ for u from -1 to 1.
        round_off: blur of the outline, cm.

    Returns:
        float64 (height, width).
    """
    rows, left, right, depth, square, z = shape
    soften = round_off / film.pixel

    def curve(v):
        line = np.interp(film.y, rows, v, left=v[0], right=v[-1])
        return ndimage.gaussian_filter1d(line, soften, mode="nearest", truncate=3)

    grow, out = 1 + film.magnify * z, np.zeros((len(film.y), len(film.x)))
    shift = film.middle(film.y) + film.turn * z
    lo, hi, c = curve(left) * grow + shift, curve(right) * grow + shift, curve(depth)
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
    np.multiply(path, 2 * c, out=out[box])
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
    rows = sum(grid[i + k] * a[k][:, None] for k in range(3))
    return sum(rows[:, j + k] * b[k] for k in range(3))


def wide(picture, sigma):
    """A wide Gaussian blur (sigma in pixels) of every 8th pixel, interpolated in between."""
    small = ndimage.gaussian_filter(picture[::8, ::8], sigma / 8, mode="nearest", truncate=3)

    def taps(n, top):
        at = np.arange(n) / 8
        i = np.minimum(at.astype(int), top - 1)
        return i, np.minimum(i + 1, top - 1), at - i

    i0, i1, t = taps(picture.shape[0], small.shape[0])
    rows = small[i0] * (1 - t)[:, None] + small[i1] * t[:, None]
    j0, j1, t = taps(picture.shape[1], small.shape[1])
    return rows[:, j0] * (1 - t) + rows[:, j1] * t


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

    trunk = stack(film, parts.shapes["trunk"])
    total = FAT * trunk + (SOFT - FAT) * stack(film, parts.shapes["muscle"])
    limbs = empty()
    tubes(film, [(p, r, 1, 1, 0.1) for p, r in parts.skin], limbs, merge=True)
    total = np.maximum(total, (SOFT - 0.004) * limbs)
    fine, grain, cloud = (mottle(film, rng, size) for size in (0.22, 0.5, 1.6))
    total *= 1 + 0.010 * cloud + 0.004 * grain + 0.002 * fine
    total -= (SOFT - LUNG) * lung

    branches = empty()
    tubes(film, parts.vessels, branches)
    total += (branches + 0.03 * np.abs(grain) + 0.025 * fine) * np.minimum(lung / 5, 1)

    bone = empty()
    tubes(film, parts.tubes, bone)
    blobs(film, parts.blobs, bone)
    for name in ("sacrum", "ilium right", "ilium left"):
        bone += 0.10 * stack(film, parts.shapes[name], 0.3)
    total += bone * (1 + 0.06 * fine)  # trabeculae
    if parts.breasts:
        blobs(film, parts.breasts, total)

    gas = empty()
    squeeze = np.clip(0.28 * cloud, -0.5, 0.5)
    blobs(film, parts.gas, gas, merge=True, warp=(squeeze, squeeze[::-1, ::-1]))
    gas *= gas / (gas + 0.35)  # walls are soft
    total -= SOFT * np.minimum(gas, 0.5 * trunk) * (1 + 0.08 * grain)
    return np.maximum(total, 0), lung
