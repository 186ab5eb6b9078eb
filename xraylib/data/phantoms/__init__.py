"""Synthetic radiographs with known truth: X-ray projections of chests and abdomens.

A body (`anatomy`, with its `skeleton`) is projected by Beer and Lambert's law, each part by a
formula (`projection`). Then comes what happens to a film: scatter, quantum noise, blur, a
display curve that shows bones white and air black, collimation, and last of all the markers,
burnt in (`markers`). Lung opacities, letters and arrows can be switched on and off; all else
stays the same, pixel by pixel. The rays have one energy, and soft parts are only as detailed as
a thumbnail needs: made for teaching and for testing, not for dosimetry.

Everything is drawn from `numpy.random.RandomState`, whose stream NumPy has frozen, in
float64, and rounded to 8 bits at the end: the same seed gives the same pixels anywhere.

`radiograph`, `example` and `stream` compute. `radiographs` and `examples` make many films on all
cores and keep them on disk, so that each is computed once, whoever asks for it.
"""

import functools
import hashlib
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import scipy
from scipy import ndimage

from xraylib.data.phantoms import anatomy, projection
from xraylib.data.phantoms.markers import burn_arrow, burn_letter
from xraylib.data.phantoms.projection import LUNG, SOFT

CLASSES = ("chest", "abdomen")
#: Eight films of a class belong to five patients, who have 1, 1, 2, 1 and 3 of them.
PATIENTS, FILMS = (0, 1, 2, 2, 3, 4, 4, 4), (0, 0, 0, 1, 0, 0, 1, 2)
#: Where films are kept, for each state of the sources in a folder of its own; `make clean` empties
#: it. Read when this is imported: what is edited afterwards is not what this process runs.
KEPT = Path(__file__).resolve().parents[3] / ".run" / "films"
KEPT /= hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    + f"{np.__version__} {scipy.__version__}".encode()
).hexdigest()[:16]


class Phantom(NamedTuple):
    """One film of a stream."""

    image: np.ndarray  # uint8 (height, width)
    label: int  # 0 chest, 1 abdomen
    name: str  # such as "chest-0000"
    group: int  # the patient
    split: str  # "train" or "val"
    truth: dict  # see `radiograph`


def _opacity(film, domes, aerated, rng):
    """Patchy consolidation, peripheral and basal: thickness in cm, (height, width)."""
    rows = []
    for dome in rng.permutation(2)[: 1 + (rng.rand() < 0.8)]:
        side = np.sign(domes[dome][0])
        for _ in range(int(rng.uniform(2, 5))):
            x, up = side * rng.uniform(7.5, 11.5), rng.triangular(0, 2.5, 12)
            for _ in range(int(rng.uniform(8, 16))):
                a, at = rng.uniform(1.0, 3.2), (x, domes[dome][1] - up) + rng.normal(0, 1.7, 2)
                b, turn = a * rng.uniform(0.6, 1.1), rng.uniform(0, 3)
                rows.append((*at, 0, a, b, 1, turn, 0, 1))
    thick = np.zeros_like(aerated)
    projection.blobs(film, rows, thick)
    # The sum of soft patches, broken up by a mottle; it takes the place of air.
    patchy = 0.4 * projection.mottle(film, rng, 0.9) + 0.15 * projection.mottle(film, rng, 0.3)
    thick *= np.maximum(1 + patchy, 0)
    thick = ndimage.gaussian_filter(thick, 0.35 / film.pixel, mode="nearest", truncate=3)
    thick = rng.uniform(4, 9) * (1 - np.exp(-0.045 * thick**2)) * np.minimum(aerated / 14, 0.7)
    return np.where((thick > 0.1) & (aerated > 0.5), thick, 0)


def _view(label, h, w, parts, rng):
    """Choose the window on the body and the pose."""
    foot, top = parts.shapes["sacrum"][0][1], parts.domes[0][1]
    # The whole of it; or for an abdomen also its upper or its lower part.
    part = rng.rand()
    part = 0 if label == 0 else 1 + (part < 0.22) + 2 * (part > 0.87)
    side = rng.uniform(*((32, 39), (28, 38), (26, 33), (26, 33))[part])
    middle = (0.66 * top, foot - 3.5, foot - 10, foot + 1)[part] + rng.normal(0, 1.5)
    pixel = side / np.sqrt(h * w)
    y = middle + (np.arange(h) - (h - 1) / 2) * pixel
    x = rng.normal(0, 0.8) + (np.arange(w) - (w - 1) / 2) * pixel
    return projection.Film(
        x,
        y,
        pixel,
        turn=rng.normal(0, 0.05),
        tilt=rng.normal(0, 0.025),
        curve=(0.13 / rng.uniform(0.1, 1), rng.uniform(0, 6)),  # some have a scoliosis
        # Front to back or back to front: what is far from the film is larger.
        magnify=0.005 if rng.rand() < 0.35 else -0.005,
        centre=middle,
    )


def _collimate(grey, rng):
    """On some films a margin that no ray has reached, black or white."""
    h, w = grey.shape
    shutter = np.zeros(grey.shape, bool)
    shade = rng.uniform(0, 12) if rng.rand() < 0.85 else rng.uniform(235, 255)
    on, width = rng.rand(4) < 0.18, rng.beta(1, 3, 4) * 0.05
    rows, cols = int(width[0] * h) + 1, int(width[2] * w) + 1
    for k, side in enumerate(
        (np.s_[:rows], np.s_[h - rows :], np.s_[:, :cols], np.s_[:, w - cols :])
    ):
        if on[k]:
            shutter[side] = True
    return np.where(shutter, shade, grey), shutter


def _size(label, tie_size, rng):
    """Height and width: of the real set's classes if tied, of one common range if not."""
    low, high, tallest = (157, 512, 623) if tie_size else (160, 512, 512)
    w = np.exp(rng.uniform(np.log(low), np.log(high)))
    h = w * rng.triangular(0.72, 1.2, 1.32)
    if tie_size and label == 0:
        return 512, 512
    return int(np.clip(h, low + 22 * tie_size, tallest)), int(w)


def _develop(total, lung, opacity, film, rng):
    """Scatter, noise, blur and display curve: float grey levels 0..255."""
    blur = rng.uniform(0.35, 0.8) * np.sqrt(np.sqrt(total.size) / 330)
    total = ndimage.gaussian_filter(total, blur, mode="nearest", truncate=3)
    dose = np.exp(np.negative(total, out=total), out=total)
    thin = dose[::8, ::8]
    scatter = projection.wide(thin * (1 - thin), 3.5 / film.pixel, dose.shape)
    scatter *= rng.uniform(0.03, 0.16)
    grain = rng.random_sample(total.shape)
    grain -= 0.5
    grain *= 3.5 * np.exp(rng.uniform(-6.8, -5.2))
    grain = ndimage.gaussian_filter(grain, 0.55, mode="nearest", truncate=2)
    detail = rng.uniform(0.4, 1.0)
    base = projection.wide(-np.log(thin + scatter[::8, ::8]), 2.0 / film.pixel, dose.shape)
    base *= detail
    clean = -np.log(dose[::3, ::3] + scatter[::3, ::3]) * (1 + detail) - base[::3, ::3]
    # Opacities come in here, so that neither scatter nor display moves outside them.
    if opacity.any():
        dose *= np.exp(-(SOFT - LUNG) * opacity)
    dose += scatter
    grain *= np.sqrt(dose, out=scatter)
    dose += grain
    dense = np.log(np.maximum(dose, 1e-4, out=dose), out=dose)
    dense *= -1 - detail
    dense -= base
    # Between a straight window and equal use of all greys, as film processors do; then the
    # curve that brings the middle of the picture to the grey that the reader likes.
    levels = np.linspace(0, 1, 65)
    ranks = np.sort(clean, axis=None)
    ranks = ranks[np.round(levels * (ranks.size - 1)).astype(int)]
    low, high, equal = ranks[1] + 0.65 * (ranks[32] - ranks[1]), ranks[-1], rng.uniform(0.6, 0.95)
    knots = equal * ranks + (1 - equal) * (low + (high - low) * levels)
    black, white = rng.triangular(0, 0, 34), rng.triangular(205, 250, 255)
    now, middle = np.interp(ranks[32], knots, levels), np.clip(rng.normal(0.57, 0.09), 0.33, 0.72)
    lift = now * (1 - middle) / (middle * (1 - now))
    levels = levels / (levels + lift * (1 - levels))
    return np.interp(dense, knots, black + (white - black) * levels)


def _check(value, name, least):
    if not isinstance(value, (int, np.integer)) or not least <= value < 2**32:
        raise ValueError(
            f"{name} must be an integer from {least} to 2**32 - 1, got {value!r}: "
            "choose one in that range"
        )


def radiograph(
    label, *, patient=0, film=0, seed=0, opacity=False, letter=None, arrow=False, tie_size=False
):
    """One synthetic radiograph and the truth about it.

    Args:
        label: 0 for a chest, 1 for an abdomen.
        patient: from 0. Films of a patient share the body; patients of the two classes are
            different people.
        film: from 0. Breath, pose, bowel gas, exposure and size belong to the film.
        seed: 0 to 2**32 - 1.
        opacity: patchy opacities as in pneumonia; chests only.
        letter: None, "L" or "R": a lead letter near the top, on the side that it names.
        arrow: an arrow as an editor burns it in.
        tie_size: sizes as in the real set: chests 512 x 512, abdomens 157 to 512 wide and 179
            to 623 high. If false, one distribution for both classes, 160 to 512 either way.

    Returns:
        image: uint8 (height, width), 0 is black.
        truth: dict of `lungs` and `opacity_mask` (bool (height, width)); `letter` and `arrow`,
            None or the box (row0, col0, row1, col1), ends excluded, outside which the marker
            leaves every pixel alone; `side`, "L", "R" or "none", the letter that is shown;
            `pixel_cm`, the width of a pixel.

    Raises:
        ValueError: an argument is out of its range.
    """
    plate, *markers = _order(label, patient, film, seed, opacity, letter, arrow, tie_size)
    return _mark(*_expose(*plate), plate, *markers)


def radiographs(settings):
    """What :func:`radiograph` gives for each of many settings, made on all cores and only once.

    Films without their markers are kept below ``.run/films``, some 80 kB each, and found there by
    whoever asks next: another chapter, another process, or another setting of the markers. A change
    of these sources, of NumPy or of SciPy computes them anew. For more films than should lie on
    disk there is :func:`stream`.

    Args:
        settings: iterable of dict, each the arguments of :func:`radiograph`.

    Returns:
        list of (image, truth), in the order of the settings.

    Raises:
        ValueError, TypeError: arguments are out of their range; before any film is computed.
    """
    orders = [_order(**each) for each in settings]
    plates = dict.fromkeys(plate for plate, _, _ in orders)  # each once
    lacking = [plate for plate in plates if not _kept().check_call_in_cache(*plate)]
    if len(lacking) > 20:  # fewer are computed sooner than processes are started
        joblib.Parallel(-1)(joblib.delayed(_keep)(plate) for plate in lacking)
    return [_mark(*_kept()(*plate), plate, *markers) for plate, *markers in orders]


@functools.cache
def _kept():
    """`_expose` with a memory on disk, which several processes may use at once."""
    return joblib.Memory(KEPT, compress=1, verbose=0).cache(_expose)


def _keep(plate):
    """In a worker, which has its own sources and so its own folder."""
    _kept()(*plate)


def _order(
    label, patient=0, film=0, seed=0, opacity=False, letter=None, arrow=False, tie_size=False
):
    """Checked: all that a film without markers depends on, as `_expose` takes it; letter; arrow."""
    if label not in (0, 1):
        raise ValueError(f"label must be 0 (chest) or 1 (abdomen), got {label!r}: choose one")
    _check(seed, "seed", 0)
    _check(patient, "patient", 0)
    _check(film, "film", 0)
    if letter not in (None, "L", "R"):
        raise ValueError(f"letter must be 'L', 'R' or None, got {letter!r}: choose one of them")
    if opacity and label == 1:
        raise ValueError("opacity must be False for an abdomen, got True: use label 0, a chest")
    plate = int(seed), int(label), int(patient), int(film), bool(opacity), bool(tie_size)
    return plate, letter, arrow


def _expose(seed, label, patient, film, opacity, tie_size):
    """The film before it is marked: image, lungs, opacity mask and the width of a pixel."""
    draws = _draws(seed, label, patient, film)
    person, day, pose = np.random.RandomState([seed, label, patient]), draws(0), draws(1)
    h, w = _size(label, tie_size, pose)
    parts = anatomy.body(person, day)
    view = _view(label, h, w, parts, pose)
    total, lung = projection.project(view, parts, draws(2))
    thick = np.zeros_like(total)
    if opacity:
        thick = _opacity(view, parts.domes, lung, draws(3))
    grey = _develop(total, lung, thick, view, draws(4))
    grey, shutter = _collimate(grey, pose)
    image = np.round(np.clip(grey, 0, 255)).astype(np.uint8)
    return image, (lung > 0.5) & ~shutter, (thick > 0) & ~shutter, view.pixel


def _draws(*film):
    """A source of random numbers for each purpose, the same for the same film."""
    return lambda purpose: np.random.RandomState([*film, purpose])


def _mark(image, lungs, opacity_mask, pixel, plate, letter, arrow):
    """Burn the markers in, in place; image and truth of `radiograph`."""
    draws = _draws(*plate[:4])
    truth = {
        "lungs": lungs,
        "opacity_mask": opacity_mask,
        "letter": None,
        "arrow": None,
        "side": letter or "none",
        "pixel_cm": pixel,
    }
    if letter:
        truth["letter"] = burn_letter(image, letter, draws(6))
    if arrow:
        truth["arrow"] = burn_arrow(image, draws(7))
    return image, truth


def _check_settings(seed, letters, arrows, opacity):
    _check(seed, "seed", 0)
    for name, pair in (("letters", letters), ("arrows", arrows), ("opacity", (opacity, opacity))):
        if np.shape(pair) != (2,) or not all(0 <= p <= 1 for p in pair):
            what = "a number" if name == "opacity" else "a pair (chest, abdomen) of numbers"
            raise ValueError(
                f"{name} must be {what} from 0 to 1, got "
                f"{opacity if name == 'opacity' else pair!r}: give the probability"
            )


def example(i, *, seed=0, letters=(0.5, 0.5), arrows=(0.2, 0.2), opacity=0.0, tie_size=False):
    """Film i (from 0) of the :func:`stream` with these settings, without those before it.

    Args:
        i: number of the film, from 0.
        seed: see :func:`stream`.
        letters: see :func:`stream`.
        arrows: see :func:`stream`.
        opacity: see :func:`stream`.
        tie_size: see :func:`stream`.

    Returns:
        Phantom.

    Raises:
        ValueError: an argument is out of its range.
    """
    about = _choose(i, seed, letters, arrows, opacity, tie_size)
    return _phantom(i, about, *radiograph(**about))


def examples(settings):
    """What :func:`example` gives for each of many settings, made as by :func:`radiographs`.

    Args:
        settings: iterable of dict, each the arguments of :func:`example`.

    Returns:
        list of Phantom, in the order of the settings.

    Raises:
        ValueError, TypeError: arguments are out of their range; before any film is computed.
    """
    settings = list(settings)
    chosen = [_choose(**each) for each in settings]
    films = zip(settings, chosen, radiographs(chosen), strict=True)
    return [_phantom(each["i"], about, *film) for each, about, film in films]


def _choose(i, seed=0, letters=(0.5, 0.5), arrows=(0.2, 0.2), opacity=0.0, tie_size=False):
    """The arguments of `radiograph` for film i of a stream."""
    _check(i, "i", 0)
    _check_settings(seed, letters, arrows, opacity)
    k, label = divmod(int(i), 2)
    patient, film = 5 * (k // 8) + PATIENTS[k % 8], FILMS[k % 8]
    # The same draws whatever the settings, so that a switch moves nothing else.
    lettered, left, arrowed, ill = np.random.RandomState([seed, label, patient, film, 8]).rand(4)
    return dict(
        label=label,
        patient=patient,
        film=film,
        seed=seed,
        tie_size=tie_size,
        letter=("L" if left < 0.6 else "R") if lettered < letters[label] else None,
        arrow=arrowed < arrows[label],
        opacity=label == 0 and ill < opacity,
    )


def _phantom(i, about, image, truth):
    """Film i of a stream, from the arguments and the results of `radiograph`."""
    label, patient = about["label"], about["patient"]
    name, split = f"{CLASSES[label]}-{i:04d}", "val" if patient % 8 == 3 else "train"
    return Phantom(image, label, name, 2 * patient + label, split, truth)


def stream(n, *, seed=0, letters=(0.5, 0.5), arrows=(0.2, 0.2), opacity=0.0, tie_size=False):
    """A set of n films, one at a time; film i depends on its number and the settings alone.

    Chests and abdomens take turns, chest first. Patients whose number leaves 3 when divided
    by 8 are for validation, about 13 % of the films, so that no patient is on both sides.

    Args:
        n: how many, at least 1.
        seed: 0 to 2**32 - 1.
        letters: how likely a letter is, for (chest, abdomen): a shortcut where the two differ.
            Films that carry one at a low probability carry it at a higher one too.
        arrows: the same for arrows.
        opacity: fraction of the chests that have opacities.
        tie_size: see :func:`radiograph`.

    Returns:
        iterator of Phantom, one image in memory at a time.

    Raises:
        ValueError: an argument is out of its range; at once, not at the first film.
    """
    _check(n, "n", 1)
    settings = dict(seed=seed, letters=letters, arrows=arrows, opacity=opacity, tie_size=tie_size)
    _check_settings(seed, letters, arrows, opacity)
    return (example(i, **settings) for i in range(n))
