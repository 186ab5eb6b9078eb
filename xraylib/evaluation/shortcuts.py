"""Tests of what tells the classes apart besides anatomy, and of what a model makes of it.

Each test hides the anatomy, or most of it, and keeps a suspect: if a small classifier can still
tell the classes apart, a network could too. A suspect is a shortcut only if it has nothing to do
with the body, as the size of a file or a letter; the rim and the middle of a film show anatomy
too. A score near chance does not clear a data set; it says that this suspect, seen in this way,
gives nothing away.
"""

import math

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, TargetEncoder
from sklearn.tree import DecisionTreeClassifier
from tqdm import tqdm

from xraylib.data import datasets
from xraylib.data.layouts.cells import stated
from xraylib.evaluation.validation import cross_validate

MANY_VALUES = 20  # more than a tree of depth 3 can tell apart one by one


def black_centre(images, share=0.5):
    """Black out the middle of each image and keep the rim.

    Args:
        images: array (n, h, w, 3), or list of (h, w, 3) arrays of any sizes.
        share: of the area, 0..1, that the black box covers; it has the shape of the image.

    Returns new images, an array for an array and a list for a list.
    Raises ValueError where an argument is not as above.
    """
    _check(images, share)
    out = images.copy() if isinstance(images, np.ndarray) else [image.copy() for image in images]
    for image in out:
        image[_box(image.shape, share)] = 0
    return out


def centre_crop(images, share=0.1):
    """Keep the middle of each image, this share of the area or one pixel, and drop the rim.

    All else as in :func:`black_centre`.
    """
    _check(images, share)
    if isinstance(images, np.ndarray):
        return images[(slice(None), *_box(images.shape[1:], share, least=1))].copy()
    return [image[_box(image.shape, share, least=1)].copy() for image in images]


def _check(images, share):
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a share of the area from 0 to 1, got {share!r}")
    for i, image in enumerate(images):
        if np.ndim(image) != 3 or image.shape[-1] != 3 or image.size == 0:
            raise ValueError(
                f"image {i}: expected the shape (h, w, 3), got {np.shape(image)}; for one image "
                "pass [image]"
            )


def _box(shape, share, least=0):
    """Rows and columns of the central box of this share of the area, with equal margins."""
    slices = []
    for side in shape[:2]:
        margin = int(side * (1 - math.sqrt(share)) / 2)
        kept = side - 2 * margin if share else least
        slices.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    return tuple(slices)


def thumbnails(images, size=16):
    """Grey values of each image at size × size pixels, averaged over the area and the channels.

    Images are a uint8 array (n, h, w, 3), or a list of (h, w, 3). Returns float64 (n, size²), 0..1.
    """
    small = datasets.resize(images, size, "bilinear").mean(axis=-1)
    return small.reshape(len(small), -1) / 255


def grey_values(images):
    """Mean, spread and seven quantiles of each image's grey values: nothing of what is where.

    Images are a sequence of uint8 (h, w, 3). Returns float64 (n, 9), 0..255: mean, standard
    deviation, and the quantiles of 1, 5, 25, 50, 75, 95 and 99 %.
    """
    shares = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    greys = (image.mean(axis=-1) for image in images)  # one at a time: some are large
    return np.array([[g.mean(), g.std(), *np.quantile(g, shares)] for g in greys])


def fine_detail(images):
    """How much each image varies from pixel to pixel, which resampling changes.

    Images are a sequence of uint8 (h, w, 3), brought to 299 × 299 first, pixels skipped.
    Returns float64 (n, 3), the shares of the power spectrum's energy above half of the highest
    frequency, across, up and down, and both; logarithms to base 10.
    """
    fades = np.outer(np.hanning(299), np.hanning(299))  # or the edges would count as detail
    high = np.abs(np.fft.fftfreq(299)) > 0.25  # cycles per pixel; 0.5 is the highest
    octave = [(~high, high), (high, ~high), (high, high)]
    shares = []
    for image in images:
        grey = datasets.resize([image], 299)[0].mean(axis=-1)
        power = np.abs(np.fft.fft2((grey - grey.mean()) * fades)) ** 2
        whole = max(power.sum(), 1)  # a blank film has none
        shares.append([power[np.ix_(*each)].sum() / whole for each in octave])
    return np.log10(np.array(shares) + 1e-12)


def metadata_only(data, metadata, *, seeds=5):
    """How many images a small decision tree gets right that sees no pixel, in five folds of groups.

    Args:
        data: Dataset of two classes or more.
        metadata: columns of ``data.table`` for a tree of depth 3. Columns of numbers, of ages and
            of dates are numbers; others are categories, of many each known by its share of class 1.
            Whether a value is missing (NaN, None, an empty cell, "N/A") is one of the things that
            the tree sees: what was left blank for one class only is a shortcut itself.
        seeds: how often, each time with the people dealt anew; or the seeds themselves.

    Returns metrics.Spread, over the dealings.
    Raises ValueError of unknown columns, the label among them, or too few groups.
    """
    X = metadata_columns(data, metadata)
    settings = {"seeds": seeds, "progress": False}
    return cross_validate(metadata_tree(X), X, data.labels, data.groups, **settings).spread


def metadata_columns(data, names):
    """Columns of a Dataset's table, by their names, as a classifier can take them.

    Returns pandas.DataFrame of float64 where all values are numbers, also of one unit, ages as
    DICOM writes them, such as "045Y" (in years), or dates of one form (in days), else of str with
    "(missing)".
    Raises ValueError of unknown columns, or the label.
    """
    known = [column for column in data.table.columns if column != "label"]
    unknown = [name for name in names if name not in known]
    if isinstance(names, str) or unknown:
        got = repr(names) if isinstance(names, str) else unknown
        raise ValueError(f"metadata: expected some of the columns {known}, got {got}")
    columns = {}
    for name in names:
        values = data.table[name]
        values = stated(values.where(values.notna(), "").astype(str)).replace("", np.nan)
        said = values.notna()
        ways = (each for each in _as_numbers(values) if said.any() and (each.notna() == said).all())
        text = values.astype(object).where(said, "(missing)")
        # Trees take no infinite numbers, but a very large one.
        columns[name] = next((each.clip(-1e30, 1e30) for each in ways), text)
    return pd.DataFrame(columns)


def _as_numbers(values):
    """The ways in which text may be numbers, each as float64, NaN where it is none."""
    yield pd.to_numeric(values, errors="coerce").astype(float)
    told = values.astype(str).str.extract(r"^(-?\d+(?:[.,]\d+)?) ?(\D*)$")
    number, unit = told[0].str.replace(",", ".").astype(float), told[1]
    yield number / unit.map({"D": 365.25, "W": 52.18, "M": 12, "Y": 1})
    if unit.nunique() == 1:
        yield number
    for form in ("ISO8601", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y"):
        dates = pd.to_datetime(values, format=form, errors="coerce", utc=True)
        yield (dates - dates.min()) / pd.Timedelta(days=1)


def metadata_tree(columns):
    """A decision tree of depth 3 for such columns; what is missing is something that it sees."""
    numbers = list(columns.select_dtypes("floating"))
    values = columns.drop(columns=numbers).nunique()
    few = list(values.index[values <= MANY_VALUES])
    many = list(values.index[values > MANY_VALUES])
    # The median, and a column of its own that says where it was put in.
    fill = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_by_one = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    by_share = TargetEncoder(target_type="binary")  # of class 1
    return make_pipeline(
        make_column_transformer((fill, numbers), (one_by_one, few), (by_share, many)),
        DecisionTreeClassifier(max_depth=3),
    )


def hashes(images, progress=True):
    """A perceptual hash of each image, 64 signs of its coarse structure: uint64 (n,).

    Images are a sequence of uint8 (h, w, 3); progress shows a bar on stderr.
    Raises ValueError of other images.
    Source: ``imagehash.phash`` (Zauner 2010): the signs, about their median, of the lowest 8 × 8
    frequencies of the discrete cosine transform of 32 × 32 grey pixels.
    """
    found = np.zeros(len(images), np.uint64)
    bar = tqdm(images, desc="hash", leave=False, disable=None if progress else True)
    for i, image in enumerate(bar):
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            got = f"{image.dtype} {image.shape}"
            raise ValueError(f"image {i}: expected uint8 of shape (h, w, 3), got {got}")
        found[i] = int(str(imagehash.phash(Image.fromarray(image))), 16)
    return found


def alike(hashed, distance=8):
    """Pairs of hashes that differ in few signs.

    Copies that were compressed or resized are up to 6 signs apart; nine of ten that were brightened
    up to 8, that lost 2 % at each side up to 8, that got an arrow up to 10. In the 75 X-rays and in
    the COVID-19 set no two people are closer than 10. Not found are mirrored, inverted or strongly
    cropped copies, and most other films of one person.

    Args:
        hashed: what :func:`hashes` gives.
        distance: the largest number of signs, 0..64, in which a pair may differ; always even.

    Returns (first, second, apart): int32 (m,), positions with first < second, and uint8 (m,), the
    signs in which they differ; the most alike first, then by position. Of a set in which thousands
    are copies of one another m is millions.
    Raises ValueError of a distance out of range.
    """
    if isinstance(distance, bool) or distance not in range(65):
        raise ValueError(f"distance: expected a whole number from 0 to 64, got {distance!r}")
    near = [  # an image a time: all pairs at once would fill the memory
        np.flatnonzero(np.bitwise_count(hashed[i + 1 :] ^ one) <= distance).astype(np.int32) + i + 1
        for i, one in enumerate(hashed)
    ]
    first = np.repeat(np.arange(len(hashed), dtype=np.int32), [len(each) for each in near])
    second = np.concatenate([np.empty(0, np.int32), *near])
    apart = np.bitwise_count(hashed[first] ^ hashed[second])
    order = np.argsort(apart, kind="stable")
    return first[order], second[order], apart[order]
