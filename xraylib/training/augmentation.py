"""The report's random affine augmentation (section 4.2) as one resampling.

Keras' ``ImageDataGenerator`` resamples every colour channel on its own with SciPy. Here the same
transform (rotation, shift, shear, zoom, flip, in this order) is one call of OpenCV an image.
"""

import cv2
import numpy as np


def random_matrices(
    n, image_shape, rng, *, rotation=20.0, shift=0.2, shear=0.2, zoom=0.2, horizontal_flip=True
):
    """Draw random affine transforms as Keras' ``ImageDataGenerator`` does, by default the report's.

    Args:
        n: number of transforms.
        image_shape: (height, width, ...) of the images they are meant for, pixels.
        rng: a ``numpy.random.Generator``.
        rotation: largest angle, degrees; drawn uniformly from ±rotation.
        shift: largest shift along each axis, fraction of that axis' length.
        shear: largest shear angle, degrees. The report's 0.2 is therefore a fifth of a degree.
        zoom: each axis is scaled by its own factor from 1 ± zoom (above 1 shrinks the picture).
        horizontal_flip: mirror every second image on average.

    Returns:
        float64 (n, 2, 3): each maps an output pixel's (x, y, 1) to the (x, y) of the input pixel
        that is shown there, x to the right and y down.

    Raises:
        ValueError: a negative range, or a zoom of 1 and more.
    """
    for name, value in {"rotation": rotation, "shift": shift, "shear": shear}.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be a number of 0 or more, got {value!r}")
    if not 0 <= zoom < 1:
        raise ValueError(f"zoom must be a number from 0 to below 1, got {zoom!r}")
    height, width = image_shape[:2]
    theta = np.deg2rad(rng.uniform(-rotation, rotation, n))
    shift_x = rng.uniform(-shift, shift, n) * width
    shift_y = rng.uniform(-shift, shift, n) * height
    phi = np.deg2rad(rng.uniform(-shear, shear, n))
    zoom_x, zoom_y = rng.uniform(1 - zoom, 1 + zoom, (2, n))
    flip = horizontal_flip & (rng.random(n) < 0.5)
    return affine_matrices((height, width), theta, shift_x, shift_y, phi, zoom_x, zoom_y, flip)


def affine_matrices(image_shape, theta, shift_x, shift_y, phi, zoom_x, zoom_y, flip):
    """Compose rotation, shift, shear and zoom about the centre, then the flip.

    Order and signs are those of Keras 3's ``apply_affine_transform``, without two of its slips:
    there ``height_shift_range`` moves columns and ``width_shift_range`` rows, and a picture that is
    not square turns about a point beside its centre. The report's images are square and its two
    ranges equal, so nothing of it depends on either.

    Args:
        image_shape: (height, width), pixels.
        theta: (n,) rotation, radians.
        shift_x: (n,) shift of the sampling grid to the right, pixels.
        shift_y: (n,) the same downwards.
        phi: (n,) shear, radians.
        zoom_x: (n,) horizontal scale of the sampling grid.
        zoom_y: (n,) vertical scale.
        flip: (n,) bool, mirror left and right afterwards.

    Returns:
        float64 (n, 2, 3), see :func:`random_matrices`.
    """
    height, width = image_shape

    def stack(entries):
        return np.stack(np.broadcast_arrays(*entries), -1).reshape(-1, 3, 3)

    def translation(x, y):
        return stack([1, 0, x, 0, 1, y, 0, 0, 1])

    x, y = (width - 1) / 2, (height - 1) / 2
    cos, sin = np.cos(theta), np.sin(theta)
    matrix = (
        translation(x, y)
        @ stack([cos, -sin, 0, sin, cos, 0, 0, 0, 1])
        @ translation(shift_x, shift_y)
        @ stack([1, -np.sin(phi), 0, 0, np.cos(phi), 0, 0, 0, 1])
        @ stack([zoom_x, 0, 0, 0, zoom_y, 0, 0, 0, 1])
        @ translation(-x, -y)
        # Keras flips the finished picture, so the flip meets the output coordinates first.
        @ stack([np.where(flip, -1, 1), 0, np.where(flip, width - 1, 0), 0, 1, 0, 0, 0, 1])
    )
    return matrix[:, :2]


def apply(images, matrices):
    """Resample each image once, bilinearly; beyond the edge the nearest pixel is repeated.

    Args:
        images: (n, height, width, channels), uint8 or float32, any range.
        matrices: (n, 2, 3) from :func:`random_matrices`.

    Returns:
        Array of the same shape and dtype.

    Raises:
        ValueError: shape, dtype or the number of matrices is wrong.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype not in (np.uint8, np.float32):
        raise ValueError(
            "images must be a uint8 or float32 array (n, height, width, channels), got "
            f"{images.dtype} {images.shape}; a list of images of several sizes must be resized "
            "first (xraylib.data.datasets.load(..., size=299))"
        )
    expected, found = (len(images), 2, 3), np.shape(matrices)
    if found != expected:
        raise ValueError(f"expected matrices of shape {expected}, one an image, got {found}")
    out, (height, width) = np.empty_like(images), images.shape[1:3]
    how = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
    for source, target, matrix in zip(images, out, matrices, strict=True):
        target[...] = cv2.warpAffine(source, matrix, (width, height), **how).reshape(target.shape)
    return out


def augment(images, rng, **ranges):
    """One random version of each image: :func:`random_matrices`, then :func:`apply`."""
    images = np.asarray(images)
    return apply(images, random_matrices(len(images), images.shape[1:3], rng, **ranges))
