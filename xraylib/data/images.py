"""One image file, whatever its format, as an array; and whether arrays are images."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from xraylib.data.arrays import OnDisk

# Named, so that a file cannot choose a decoder that starts other programs (EPS runs Ghostscript).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")

# How the decoders speak of a file that ends too early or has bytes that cannot be.
_DAMAGE = (EOFError, SyntaxError, struct.error, zlib.error)
_DAMAGED = ("truncated", "broken", "corrupt", "less than the expected", "premature", "InvalidDicom",
            "unexpected end", "not enough", "bad ", "invalid", "decoder error")  # fmt: skip


class ImageError(ValueError):
    """A file cannot be read as an image; the message names the file, the reason and a remedy."""


def read(path):
    """Read an image file as 8-bit RGB.

    Pillow reads PNG, JPEG, GIF, BMP, TIFF, WebP and PNM, OpenCV what has 16 bits a channel;
    pydicom and GDCM, from ``pip install 'pydicom>=3' python-gdcm``, read DICOM (known by its first
    bytes), compressed or not.

    Args:
        path: a local file. Of several frames or pages the first is read.

    Returns:
        uint8 (h, w, 3), 0..255, own memory.

        - Grey is repeated to three channels; palettes and CMYK become RGB; EXIF orientation is
          applied.
        - Transparency is composed on black, the colour around a radiograph. (Keras' ``load_img``
          drops alpha; opaque images agree to the bit.)
        - What is deeper than 8 bits (16-bit, 32-bit, float; grey or colour) is stretched linearly
          from the image's own minimum and maximum to 0 and 255; a constant image is 0. Files do
          not say how many of their 16 bits they use; radiographs mostly use 10 to 14. Values far
          from all the rest, such as those of a burnt-in marker, do not count as an end: those
          further from the middle 98 % than these are wide.
        - DICOM: rescale slope or modality LUT, then the first VOI LUT or window from end to end;
          without one, or where it would leave nothing to see, stretched as above. Padding does not
          count and is black. MONOCHROME1 is inverted, so that bone is bright.

    Raises:
        ImageError: the file is missing, a folder, unreadable, empty, damaged, cut off, in no known
            format, or larger than ``PIL.Image.MAX_IMAGE_PIXELS``.
    """
    path = Path(path)
    try:
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no file" if path.exists() else "nothing"
            raise ImageError(f"{path}: expected an image file, found {kind}; check the path")
        empty, dicom = not path.stat().st_size, _is_dicom(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened: {error.strerror}; check its rights") from error
    if empty:
        raise ImageError(f"{path}: expected an image, found an empty file; fetch it again")
    try:
        return _dicom(path) if dicom else _pillow(path)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        expected = f"an image ({', '.join(FORMATS)} or DICOM)"
        found = "something else, or a rare kind: check what the file is, or convert it to PNG"
        raise ImageError(f"{path}: expected {expected}, found {found}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: {error}; reduce the image first") from error
    except Exception as error:  # decoders raise nearly anything on a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        what = "of a kind that is not supported: convert it, such as to PNG"
        if isinstance(error, _DAMAGE) or any(word in reason for word in _DAMAGED):
            what = "damaged or cut off: fetch it again"
        raise ImageError(f"{path}: cannot be decoded ({reason}); the file is {what}") from error


def _is_dicom(path):
    with path.open("rb") as file:
        head = file.read(132)
    # Older files have no magic: they begin with a tag of group 8 or 2, and are known by the name.
    tagged = head[:2] in (b"\x08\0", b"\0\x08", b"\x02\0")
    return head[128:] == b"DICM" or (tagged and path.suffix.lower() == ".dcm")


def _check_size(path, width, height):
    limit = Image.MAX_IMAGE_PIXELS
    if limit and width * height > limit:
        found = f"{width} x {height} pixels"
        raise ImageError(f"{path}: found {found}, expected at most {limit}; reduce it first")


def _ends(values):
    """Lowest and highest value, without those that lie far from all the rest."""
    low, high = np.percentile(values, [1, 99])
    width = high - low
    if width:
        values = values[(values >= low - width) & (values <= high + width)]
    return values.min(), values.max()


def _stretch(values, low=None, high=None):
    """Map low..high (by default the values' own ends) linearly to uint8 0..255."""
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("expected finite grey values, found NaN or infinity")
    if low is None:
        low, high = _ends(values)
    if high == low:
        return np.zeros(values.shape, np.uint8)
    return np.round(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _pillow(path):
    # As a stream: of a name Pillow maps some files into memory, and scrambles them where it turns.
    with path.open("rb") as stream, Image.open(stream, formats=FORMATS) as file:
        _check_size(path, *file.size)  # Pillow only warns up to twice its limit
        tags = getattr(file, "tag_v2", {})  # of TIFF: PhotometricInterpretation, "0 is white", and
        inverted, signed = tags.get(262) == 0, tags.get(339) == (2,)  # SampleFormat, with a sign
        deep = file.mode in ("RGB", "RGBA", "LA") and _bits(file) > 8
        if deep and tags.get(284) == 2:  # PlanarConfiguration; Pillow and OpenCV both misread it
            raise ValueError("colours of 16 bits in planes, one after the other")
        image = ImageOps.exif_transpose(file)
        if deep:  # Pillow has decoded it, so that it is whole, but keeps 8 of the bits
            colours = Image.fromarray(_deep_colour(path))
            colours.getexif()[_ORIENTATION] = file.getexif().get(_ORIENTATION, 1)
            return np.array(ImageOps.exif_transpose(colours))
    if image.mode == "L" and signed:
        image = Image.fromarray(np.asarray(image).view(np.int8).astype(np.int32))
    if image.mode == "F" or image.mode.startswith("I"):
        grey = _stretch(image)
        grey = 255 - grey if inverted else grey  # Pillow does so itself, but only for 8 bits
        return np.repeat(grey[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))


def _bits(file):
    """Bits of a channel as it is stored, of a file that Pillow has opened."""
    if said := getattr(file, "tag_v2", {}).get(258):  # BitsPerSample, of TIFF
        return max(said)
    deep = ";16" in str(file.tile) or file.mode.startswith("I;16")
    return 16 if deep else {"1": 1, "I": 32, "F": 32}.get(file.mode, 8)


def header(path):
    """What a file that :func:`read` reads says of itself, besides its picture.

    Returns:
        dict with format, such as "PNG" or "DICOM", and bits, of a channel as it is stored; of a
        DICOM file also patient (its ID), sex, age, view, modality and manufacturer, "" where it
        does not say.
    """
    if not _is_dicom(Path(path)):
        with Image.open(path, formats=FORMATS) as file:
            return {"format": file.format, "bits": _bits(file)}
    import pydicom

    data = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    said = {key: str(data.get(tag) or "").strip() for key, tag in _SAID.items()}
    return {"format": "DICOM", "bits": data.get("BitsStored") or ""} | said


_SAID = {"patient": "PatientID", "sex": "PatientSex", "age": "PatientAge", "view": "ViewPosition",
         "modality": "Modality", "manufacturer": "Manufacturer"}  # fmt: skip
_ORIENTATION = 274  # the tag of EXIF


def _deep_colour(path):
    """An image of 16 bits a channel, stretched like grey of 16 bits."""
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError("OpenCV cannot read its 16 bits a channel")
    colours = pixels[..., 2::-1].astype(np.float64)
    if pixels.shape[2] == 4:
        colours *= pixels[..., 3:] / 65535  # on black
    return _stretch(colours)


def _dicom(path):
    try:
        import pydicom
        from pydicom import pixels
    except ImportError as error:
        raise ImageError(f"{path}: DICOM needs pydicom: pip install 'pydicom>=3'") from error
    data = pydicom.dcmread(path, force=True)
    if not data:  # pydicom gives up all of a file that ends within an element
        raise EOFError("unexpected end")
    if "Rows" not in data or "Columns" not in data or not data.dir("PixelData"):
        found = "DICOM without one; check the path, or fetch it again"
        raise ImageError(f"{path}: expected a DICOM image, found {found}")
    _check_size(path, data.Columns, data.Rows)
    _complete(data)
    array = _dicom_pixels(path, data)
    kind = data.PhotometricInterpretation
    if kind in ("MONOCHROME1", "MONOCHROME2") and array.ndim == 2:
        there = ~_padding(array, data)
        grey = np.zeros(array.shape, np.uint8)
        grey[there] = _dicom_grey(array[there], data)
        return np.repeat(grey[..., None], 3, axis=2)
    ends = (0, 255) if data.BitsStored <= 8 else ()
    if kind == "PALETTE COLOR":
        array = pixels.apply_color_lut(array, data)[..., :3]
        # Entries of 8 bits are said to have 16 where they lie in words.
        bits = data.RedPaletteColorLookupTableDescriptor[2] if array.max() > 255 else 8
        ends = 0, max(2**bits - 1, array.max())
    if array.ndim != 3:
        raise ImageError(f"{path}: expected a grey or colour DICOM image, found {kind}; convert it")
    return _stretch(array, *ends)


def _complete(data):
    """Fill in what a header lacks: it follows from the rest, or is nearly always so."""
    from pydicom import uid

    colours = str(data.get("PhotometricInterpretation"))[:3] in ("RGB", "YBR")
    for name, value in {
        "SamplesPerPixel": 3 if colours else 1,
        "PlanarConfiguration": 0,
        "PixelRepresentation": 0,
        "PhotometricInterpretation": "RGB" if data.get("SamplesPerPixel") == 3 else "MONOCHROME2",
        "BitsAllocated": 16 if len(data.get("PixelData", "")) > data.Rows * data.Columns else 8,
    }.items():
        if data.get(name) in (None, ""):
            setattr(data, name, value)
    if data.get("BitsStored") in (None, "") or data.BitsStored > data.BitsAllocated:
        data.BitsStored = data.BitsAllocated
    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit


def _dicom_pixels(path, data):
    """The stored values of the first frame, (h, w) or (h, w, 3)."""
    from pydicom import pixels, uid

    syntax = data.file_meta.TransferSyntaxUID
    if syntax == uid.JPEGExtended12Bit and data.BitsStored > 8:
        return _by_gdcm(path, data)
    try:
        decoder = pixels.get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    if decoder is None or not decoder.is_available:
        raise ImageError(
            f"{path}: its compression, {syntax.name}, needs a decoder: pip install python-gdcm; "
            "if that is there, convert the file: gdcmconv --raw"
        )
    drawn = any(e.tag.group >> 8 == 0x60 and e.tag.element == 0x0102 and e.value for e in data)
    as_stored = data.PixelRepresentation or drawn or syntax.is_compressed
    if data.SamplesPerPixel == 1 and not as_stored:
        # pydicom drops bits above those stored. Unless there are drawings in them, they are zero,
        # or the header is wrong.
        data.BitsStored = data.BitsAllocated
    return pixels.pixel_array(data, index=0)


def _by_gdcm(path, data):
    """Grey values of the one compression that GDCM reads and pydicom does not ask it for."""
    try:
        import gdcm
    except ImportError as error:
        needed = "needs a decoder: pip install python-gdcm"
        raise ImageError(f"{path}: its compression, JPEG Extended, {needed}") from error
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise ValueError("GDCM finds it broken")
    # SWIG gives bytes as a str.
    content = reader.GetImage().GetBuffer().encode("utf-8", errors="surrogateescape")
    values = np.frombuffer(content, np.int16 if data.PixelRepresentation else np.uint16)
    return values[: data.Rows * data.Columns].reshape(data.Rows, data.Columns)


def _padding(array, data):
    """bool (h, w), the pixels that are no part of the picture; none where all would be."""
    first, last = data.get("PixelPaddingValue"), data.get("PixelPaddingRangeLimit")
    if first in (None, ""):
        return np.zeros(array.shape, bool)
    # Of signed pixels it may be given as unsigned.
    ends = np.array([first, first if last in (None, "") else last], int).astype(array.dtype)
    padding = (array >= ends.min()) & (array <= ends.max())
    return padding & ~padding.all()


def _dicom_grey(array, data):
    """uint8 (n,), bone bright, of stored values (n,)."""
    from pydicom import pixels

    if data.get("RescaleSlope", 1) in (0, None):  # which would leave nothing
        data.RescaleSlope = 1
    if data.get("RescaleIntercept", 0) is None:
        data.RescaleIntercept = 0
    values = pixels.apply_modality_lut(array, data)
    shown, ends = values, ()
    try:
        if data.get("VOILUTSequence"):
            size, first, bits = data.VOILUTSequence[0].LUTDescriptor
            # Of a table of 8 bits pydicom takes the places, too, for numbers of 8 bits.
            data.VOILUTSequence[0].LUTDescriptor = [size, first, 16]
            shown = pixels.apply_voi_lut(values, data)
            ends = 0, max(2**bits - 1, shown.max())
        elif data.get("WindowWidth") is not None and data.get("WindowCenter") is not None:
            # The output range of pydicom's window follows from six tags: ask it what far below and
            # far above the window become.
            centre, width = (float(np.ravel(v)[0]) for v in (data.WindowCenter, data.WindowWidth))
            bounds = pixels.apply_modality_lut(np.array([0, 2**data.BitsStored - 1]), data)
            if width > 2 * np.ptp(bounds):
                raise ValueError("the window is of deeper pixels, before they were converted")
            ends = pixels.apply_voi_lut(np.array([centre - 10 * width, centre + 10 * width]), data)
            shown = pixels.apply_voi_lut(values, data)
        grey = _stretch(shown, *ends)
        blank = np.ptp(grey) == 0
    # A window or table that cannot be.
    except (ValueError, TypeError, AttributeError, IndexError, struct.error):
        blank = True
    if blank:  # the header speaks of other values than the pixels have
        grey = _stretch(values)
    return 255 - grey if data.PhotometricInterpretation == "MONOCHROME1" else grey


def doubt(image):
    """What makes an image hardly worth looking at, or "" where nothing does.

    Args:
        image: uint8 (h, w, 3), as :func:`read` gives it.

    Returns:
        str: "constant", "n grey levels" where there are fewer than 32, or "clipped" with the share
        where more than 60 % of its pixels are at one end, 0 or 255.
    """
    counts = max((np.bincount(plane.ravel(), minlength=256) for plane in np.moveaxis(image, -1, 0)),
                 key=np.count_nonzero)  # fmt: skip
    levels, shares = np.count_nonzero(counts), counts[[0, 255]] / counts.sum()
    if levels == 1:
        return "constant"
    if levels < 32:
        return f"{levels} grey levels"
    if shares.max() > 0.6:
        return f"clipped, {100 * shares.max():.0f} % {('black', 'white')[shares.argmax()]}"
    return ""


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
    if isinstance(images, OnDisk):  # 256 at a time
        for start in range(0, len(images), 256):
            check_images(images[start : start + 256], size)
        return images
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
