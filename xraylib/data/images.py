"""One image file, whatever its format, as an array; and whether arrays are images."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that a file cannot choose a decoder that starts other programs (EPS runs Ghostscript).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


class ImageError(ValueError):
    """A file cannot be read as an image; the message names the file, the reason and a remedy."""


def read(path):
    """Read an image file as 8-bit RGB.

    Pillow reads PNG, JPEG, GIF, BMP, TIFF, WebP and PNM; pydicom, from
    ``pip install 'pydicom>=3'``, reads DICOM (known by ``.dcm`` or the magic bytes).

    Args:
        path: a local file. Of several frames or pages the first is read.

    Returns:
        uint8 (h, w, 3), 0..255, own memory.

        - Grey is repeated to three channels; palettes and CMYK become RGB; EXIF orientation is
          applied.
        - Transparency is composed on black, the colour around a radiograph. (Keras' ``load_img``
          drops alpha; opaque images agree to the bit.)
        - Grey deeper than 8 bits (16-bit, 32-bit, float) is stretched linearly from the image's
          own minimum and maximum to 0 and 255; a constant image is 0. Files do not say how many
          of their 16 bits they use; radiographs mostly use 10 to 14.
        - 16-bit colour keeps the upper 8 bits, as Pillow does.
        - DICOM: rescale slope or modality LUT, then the first VOI LUT or window from end to end;
          without one, minimum to maximum. MONOCHROME1 is inverted, so that bone is bright.

    Raises:
        ImageError: the file is missing, a folder, unreadable, empty, damaged, cut off, in no known
            format, or larger than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    path = Path(path)
    try:
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no file" if path.exists() else "nothing"
            raise ImageError(f"{path}: expected an image file, found {kind}; check the path")
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror}; check its rights") from error
    if not head:
        raise ImageError(f"{path}: expected an image, found an empty file; fetch it again")
    decode = _dicom if path.suffix.lower() == ".dcm" or head[128:] == b"DICM" else _pillow
    try:
        return decode(path)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        expected = f"an image ({', '.join(FORMATS)} or DICOM)"
        found = "something else; check what the file is"
        raise ImageError(f"{path}: expected {expected}, found {found}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: {error}; reduce the image first") from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ImageError(
            f"{path}: cannot be decoded ({reason}); the file is damaged, cut off or of an "
            "unsupported kind: fetch it again or convert it"
        ) from error


def _check_size(path, width, height):
    limit = Image.MAX_IMAGE_PIXELS
    if limit and width * height > limit:
        found = f"{width} x {height} pixels"
        raise ImageError(f"{path}: found {found}, expected at most {limit}; reduce it first")


def _stretch(values, low=None, high=None):
    """Map low..high (by default the values' own ends) linearly to uint8 0..255."""
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("expected finite grey values, found NaN or infinity")
    low = values.min() if low is None else low
    high = values.max() if high is None else high
    if high == low:
        return np.zeros(values.shape, np.uint8)
    return np.round(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _pillow(path):
    with Image.open(path, formats=FORMATS) as file:
        _check_size(path, *file.size)  # Pillow only warns up to twice its limit
        # TIFF's PhotometricInterpretation, "0 is white".
        inverted = getattr(file, "tag_v2", {}).get(262) == 0
        image = ImageOps.exif_transpose(file)
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _stretch(image)
        grey = 255 - grey if inverted else grey  # Pillow does so itself, but only for 8 bits
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))


def _dicom(path):
    try:
        import pydicom
        from pydicom import pixels
    except ImportError as error:
        raise ImageError(f"{path}: DICOM needs pydicom: pip install 'pydicom>=3'") from error
    data = pydicom.dcmread(path)
    if "Rows" not in data or "Columns" not in data:
        raise ImageError(f"{path}: expected a DICOM image, found DICOM without one; check the path")
    _check_size(path, data.Columns, data.Rows)
    array = pixels.pixel_array(data, index=0)
    kind = data.PhotometricInterpretation
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        values = pixels.apply_modality_lut(array, data)
        low = high = None
        if data.get("VOILUTSequence"):
            low, high = 0, 2 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
        elif data.get("WindowWidth") is not None and data.get("WindowCenter") is not None:
            # The output range of pydicom's window follows from six tags: ask it what far below and
            # far above the window become.
            centre, width = (float(np.ravel(v)[0]) for v in (data.WindowCenter, data.WindowWidth))
            ends = np.array([centre - 10 * width, centre + 10 * width])
            low, high = pixels.apply_voi_lut(ends, data)
        grey = _stretch(pixels.apply_voi_lut(values, data), low, high)
        grey = 255 - grey if kind == "MONOCHROME1" else grey
        return np.repeat(grey[..., None], 3, axis=2)
    bits = data.BitsStored
    if kind == "PALETTE COLOR":
        array = pixels.apply_color_lut(array, data)[..., :3]
        bits = data.RedPaletteColorLookupTableDescriptor[2]
    if array.ndim != 3:
        raise ImageError(f"{path}: expected a grey or colour DICOM image, found {kind}; convert it")
    return _stretch(array, 0, 2**bits - 1)


_SLACK = 0.01  # what resampling in single precision may overshoot 0..255 by


def check_images(images, size=None):
    """Refuse images that a model would misread, and say how to set them right.

    Args:
        images: array (n, height, width, 3) of integers or floats in 0..255, n at least 1; black
            all over is allowed.
        size: height and width, in pixels, that a model takes; None: any.

    Returns:
        The same images, not copied where they are an array already.

    Raises:
        ValueError: another type or shape, no images, values that are not finite or outside 0..255,
            or a largest value above 0 and at most 1, as division by 255 leaves it.
    """
    try:
        array = np.asarray(images)
    except ValueError:  # NumPy on images of several sizes
        array = np.empty(0, object)
    if array.dtype.kind not in "uif":
        raise ValueError(
            f"Images must be numbers in one array; got dtype {array.dtype}. Images of several "
            "sizes must first be resized to one."
        )
    if array.ndim != 4 or array.shape[-1] != 3:
        how = ""
        if array.ndim == 2:
            how = " Is it one grey image? Then pass np.repeat(image[None, ..., None], 3, axis=-1)."
        elif array.ndim == 3:
            how = (" For one colour image pass image[None]; for grey images (n, height, width) "
                   "pass np.repeat(images[..., None], 3, axis=-1).")  # fmt: skip
        elif array.ndim == 4 and array.shape[-1] == 1:
            how = " For grey images pass np.repeat(images, 3, axis=-1)."
        elif array.ndim == 4 and array.shape[1] == 3:
            how = " The channels seem to come first: pass np.moveaxis(images, 1, -1)."
        raise ValueError(f"Images must have shape (n, height, width, 3); got {array.shape}.{how}")
    if array.size == 0:
        raise ValueError(f"There are no images: got shape {array.shape}.")
    if size is not None and array.shape[1:3] != (size, size):
        raise ValueError(
            f"Images must have {size} × {size} pixels, as the model takes them; got "
            f"{array.shape[1]} × {array.shape[2]}. Resize them: datasets.resize(images, {size})."
        )
    low, high = array.min(), array.max()
    if not np.isfinite([low, high]).all():  # min and max of an array with NaN are NaN
        raise ValueError("Pixel values must be finite numbers, but some are NaN or infinite.")
    if low < -_SLACK or high > 255 + _SLACK or 0 < high <= 1:
        already = " These look already scaled." if 0 < high <= 1 else ""
        raise ValueError(
            f"Pixel values must lie in 0..255; got {low:g} to {high:g}.{already} Pass the images "
            "as they were read, neither scaled nor standardised; the model does that itself."
        )
    return array
