"""Read one image file, whatever its format, into the array that the rest of the package expects."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# Named, so that a file cannot choose a decoder that starts other programs (EPS runs Ghostscript).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
_MIN_IS_WHITE = 262, 0  # TIFF tag PhotometricInterpretation and the value that means "0 is white"


class ImageError(ValueError):
    """A file cannot be read as an image; the message names the file, the reason and a remedy."""


def read(path):
    """Read an image file as 8-bit RGB.

    PNG, JPEG, GIF, BMP, TIFF, WebP and PNM go through Pillow; DICOM (by the suffix
    ``.dcm`` or the magic bytes) through pydicom, which ``pip install 'xraylib[dicom]'`` brings.

    Args:
        path: a local file. Of several frames or pages the first is read.

    Returns:
        uint8 (h, w, 3), 0..255, own memory.

        - Grey is repeated to three channels; palettes and CMYK become RGB.
        - EXIF orientation is applied.
        - Transparency is composed on black, the colour around a radiograph. (Keras' ``load_img``
          drops alpha instead; for opaque images the two agree to the bit.)
        - Grey deeper than 8 bits (16-bit, 32-bit, float) is stretched linearly so that the image's
          own minimum is 0 and its maximum 255; a constant image is 0. Files do not say how many
          of their 16 bits they use, and radiographs mostly use 10 to 14.
        - 16-bit colour keeps the upper 8 bits, as Pillow does.
        - DICOM: rescale slope or modality LUT, then the first VOI LUT or window, whose ends become
          0 and 255; without one, minimum and maximum as above. MONOCHROME1 is inverted, so that
          bone is bright.

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
        raise ImageError(
            f"{path}: expected an image ({', '.join(FORMATS)} or DICOM), "
            f"found something else; check what the file is"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: {error}; reduce the image first") from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ImageError(
            f"{path}: cannot be decoded ({reason}); "
            f"the file is damaged, cut off or of an unsupported kind: fetch it again or convert it"
        ) from error


def _check_size(path, width, height):
    limit = Image.MAX_IMAGE_PIXELS
    if limit and width * height > limit:
        raise ImageError(
            f"{path}: expected at most {limit} pixels, found {width} x {height}; reduce it first"
        )


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
        # Pillow only warns up to twice its limit.
        _check_size(path, *file.size)
        tag, white = _MIN_IS_WHITE
        inverted = getattr(file, "tag_v2", {}).get(tag) == white
        image = ImageOps.exif_transpose(file)
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _stretch(image)
        # Pillow inverts 8-bit TIFFs whose zero is white, but not deeper ones.
        grey = 255 - grey if inverted else grey
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
        raise ImageError(
            f"{path}: DICOM files need pydicom; install it with: pip install 'xraylib[dicom]'"
        ) from error
    data = pydicom.dcmread(path)
    if "Rows" not in data or "Columns" not in data:
        raise ImageError(f"{path}: expected a DICOM image, found DICOM without one; check the path")
    _check_size(path, data.Columns, data.Rows)
    array = pixels.pixel_array(data, index=0)
    kind = data.PhotometricInterpretation
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        grey = _window(pixels.apply_modality_lut(array, data), data)
        grey = 255 - grey if kind == "MONOCHROME1" else grey
        return np.repeat(grey[..., None], 3, axis=2)
    bits = data.BitsStored
    if kind == "PALETTE COLOR":
        array = pixels.apply_color_lut(array, data)[..., :3]
        bits = data.RedPaletteColorLookupTableDescriptor[2]
    if array.ndim != 3:
        raise ImageError(f"{path}: expected a grey or colour DICOM image, found {kind}; convert it")
    return _stretch(array, 0, 2**bits - 1)


def _window(values, data):
    from pydicom import pixels

    if data.get("VOILUTSequence"):
        low, high = 0, 2 ** data.VOILUTSequence[0].LUTDescriptor[2] - 1
    elif data.get("WindowWidth") is not None and data.get("WindowCenter") is not None:
        # The output range of pydicom's window follows from six tags: ask it what far below and
        # far above the window become.
        centre, width = (float(np.ravel(v)[0]) for v in (data.WindowCenter, data.WindowWidth))
        ends = np.array([centre - 10 * width, centre + 10 * width])
        low, high = pixels.apply_voi_lut(ends, data)
    else:
        return _stretch(values)
    return _stretch(pixels.apply_voi_lut(values, data), low, high)
