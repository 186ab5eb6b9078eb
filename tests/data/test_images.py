"""xraylib.data.images, with files written on the spot."""

import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xraylib.data.images import ImageError, doubt, header, read

GREY = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
COLOUR = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def save(array, path, mode=None, **options):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def three(grey):
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm", "PNG"])
def test_rgb_survives_to_the_bit(tmp_path, suffix):
    image = read(save(COLOUR, tmp_path / f"x.{suffix}"))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, COLOUR)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif", "pgm"])
def test_grey_is_repeated(tmp_path, suffix):
    np.testing.assert_array_equal(read(save(GREY, tmp_path / f"x.{suffix}")), three(GREY))


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_come_close(tmp_path, suffix):
    smooth = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    image = read(save(smooth, tmp_path / f"x.{suffix}", quality=95))
    assert image.shape == (64, 64, 3)
    assert np.abs(image.astype(int) - three(smooth)).mean() < 3


def test_path_may_be_a_string_and_the_suffix_wrong(tmp_path):
    path = save(COLOUR, tmp_path / "x.png")
    other = path.rename(tmp_path / "x.jpg")
    np.testing.assert_array_equal(read(str(other)), COLOUR)


def test_result_is_ones_own(tmp_path):
    image = read(save(GREY, tmp_path / "x.png"))
    image[0, 0] = 7
    assert (read(tmp_path / "x.png")[0, 0] == GREY[0, 0]).all()


def test_black_and_white(tmp_path):
    image = read(save(GREY, tmp_path / "x.png", mode="1"))
    assert set(np.unique(image)) == {0, 255}


def test_transparency_is_composed_on_black(tmp_path):
    alpha = np.zeros((12, 20), np.uint8)
    alpha[:, 5:10], alpha[:, 10:] = 128, 255
    expected = np.round(COLOUR * (alpha[..., None] / 255.0))
    rgba = read(save(np.dstack([COLOUR, alpha]), tmp_path / "rgba.png"))
    assert np.abs(rgba - expected).max() <= 1
    grey = read(save(np.dstack([GREY, alpha]), tmp_path / "la.png"))
    assert np.abs(grey - three(np.round(GREY * (alpha / 255.0)))).max() <= 1


def test_palette_with_and_without_transparency(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.save(tmp_path / "solid.png")
    image.save(tmp_path / "hole.png", transparency=1)
    image.save(tmp_path / "hole.gif", transparency=1)
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    np.testing.assert_array_equal(read(tmp_path / "solid.png"), [[red, green, blue]])
    np.testing.assert_array_equal(read(tmp_path / "hole.png"), [[red, (0, 0, 0), blue]])
    np.testing.assert_array_equal(read(tmp_path / "hole.gif"), [[red, (0, 0, 0), blue]])


def test_cmyk(tmp_path):
    inks = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [0, 255, 255, 0]]], np.uint8)
    Image.fromarray(inks, "CMYK").save(tmp_path / "x.tif")
    np.testing.assert_array_equal(
        read(tmp_path / "x.tif"), [[(255, 255, 255), (0, 0, 0), (255, 0, 0)]]
    )


@pytest.mark.parametrize(
    "name, values",
    [
        ("x.png", np.array([[100, 1000], [2000, 4095]], np.uint16)),
        ("x.tif", np.array([[100, 1000], [2000, 4095]], np.uint16)),
        ("x.tif", np.array([[-1000, 0], [40, 3000]], np.int32)),
        ("x.tif", np.array([[-0.5, 0.0], [0.25, 1.5]], np.float32)),
    ],
)
def test_deep_grey_is_stretched_from_its_minimum_to_its_maximum(tmp_path, name, values):
    low, high = float(values.min()), float(values.max())
    expected = np.round((values.astype(float) - low) / (high - low) * 255)
    np.testing.assert_array_equal(read(save(values, tmp_path / name)), three(expected))


def test_constant_deep_grey_is_black(tmp_path):
    assert not read(save(np.full((3, 4), 900, np.uint16), tmp_path / "x.png")).any()


DEEP = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # 12 bits in a file of 16


def deep_png(path, *planes, kind, orientation=None):
    rows = [b"\0" + row.astype(">u2").tobytes() for row in np.stack(planes, axis=-1)]
    path.write_bytes(png(64, 64, zlib.compress(b"".join(rows)), depth=16, kind=kind))
    return path


@pytest.mark.parametrize("kind, planes", [(2, 3), (6, 3), (4, 1)], ids=["rgb", "rgba", "la"])
def test_grey_of_12_bits_stored_as_16_bit_colour_or_with_alpha(tmp_path, kind, planes):
    alpha = [np.full_like(DEEP, 65535)] * (kind in (4, 6))
    image = read(deep_png(tmp_path / "x.png", *[DEEP] * planes, *alpha, kind=kind))
    np.testing.assert_array_equal(image, read(save(DEEP, tmp_path / "grey.png")))


def test_16_bit_colour_and_transparency(tmp_path):
    path = deep_png(tmp_path / "x.png", DEEP, DEEP // 2, DEEP * 0, kind=2)
    expected = np.round(np.stack([DEEP, DEEP // 2, DEEP * 0], axis=-1) / 4095 * 255)
    np.testing.assert_array_equal(read(path), expected)
    hole = np.where(np.arange(64) < 32, 0, 65535) * np.ones((64, 1), int)
    image = read(deep_png(tmp_path / "x.png", *[DEEP] * 3, hole, kind=6))
    assert not image[:, :32].any() and image[-1, -1].tolist() == [255] * 3
    cut = path.read_bytes()
    path.write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ImageError, match="damaged or cut off: fetch it again"):
        read(path)


def test_16_bit_colour_is_turned_as_exif_says(tmp_path):
    path = deep_png(tmp_path / "x.png", DEEP, DEEP, DEEP, kind=2)
    exif = Image.Exif()
    exif[274] = 6
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + chunk + whole[33:])  # after the header
    np.testing.assert_array_equal(read(path), np.rot90(read(save(DEEP, tmp_path / "g.png")), 3))


def test_16_bit_colour_in_planes_is_refused(tmp_path):
    """What is installed reads such a TIFF as noise."""
    tags = {256: 64, 257: 64, 258: 16, 262: 2, 273: 8, 277: 3, 278: 64, 279: 8192, 284: 2}
    tables, entries = 8 + 3 * 8192 + 2 + 12 * len(tags) + 4, b""
    for tag, value in tags.items():
        several = {258: 0, 273: 6, 279: 18}.get(tag)  # one a plane: where they stand in the tables
        count, value = (1, value) if several is None else (3, tables + several)
        entries += struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, count, value)
    after = struct.pack("<3H6I", *[16] * 3, *[8, 8 + 8192, 8 + 2 * 8192], *[8192] * 3)
    head = struct.pack("<2sHI", b"II", 42, 8 + 3 * 8192)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4) + after
    (tmp_path / "x.tif").write_bytes(head + 3 * DEEP.astype("<u2").tobytes() + directory)
    with pytest.raises(ImageError, match="16 bits in planes.*convert it"):
        read(tmp_path / "x.tif")


@pytest.mark.parametrize("value", [65535, 40000])
def test_a_burnt_in_marker_does_not_squeeze_the_film(tmp_path, value):
    marked = DEEP.copy()
    marked[:3, :10] = value
    image = read(save(marked, tmp_path / "x.png"))[..., 0]
    assert (image[:3, :10] == 255).all()
    film = np.ones(DEEP.shape, bool)
    film[:3, :10] = False
    plain = read(save(DEEP, tmp_path / "plain.png"))[..., 0]
    assert np.abs(image[film].astype(int) - plain[film]).max() <= 1


@pytest.mark.parametrize(
    "image, expected",
    [
        (np.full((40, 48, 3), 255), "constant"),
        (np.zeros((40, 48, 3)), "constant"),
        (three(np.arange(64 * 64).reshape(64, 64) % 16), "16 grey levels"),
        (three(np.where(np.arange(4096) < 3000, 255, np.arange(4096) % 200).reshape(64, 64)),
         "clipped, 73 % white"),
        (three(np.arange(64 * 64).reshape(64, 64) % 200), ""),
    ],
)  # fmt: skip
def test_images_to_look_at(image, expected):
    assert doubt(image.astype(np.uint8)) == expected


def test_what_a_file_says_of_itself(tmp_path):
    assert header(save(GREY, tmp_path / "x.jpg")) == {"format": "JPEG", "bits": 8}
    assert header(save(DEEP, tmp_path / "x.png")) == {"format": "PNG", "bits": 16}
    assert header(save(DEEP, tmp_path / "x.tif"))["bits"] == 16
    deep = deep_png(tmp_path / "c.png", DEEP, DEEP, DEEP, kind=2)
    assert header(deep) == {"format": "PNG", "bits": 16}
    assert header(save(GREY, tmp_path / "x.bmp", mode="1"))["bits"] == 1
    said = header(bundled("MR_small.dcm"))
    assert said["format"] == "DICOM" and said["bits"] == 16 and said["patient"] == "4MR1"
    assert said["modality"] == "MR" and said["view"] == ""
    # A file may be a TIFF too, by what stands before its magic bytes.
    both, tiff = tmp_path / "x", save(np.zeros((1, 1), np.uint8), tmp_path / "1.tif").read_bytes()
    both.write_bytes(tiff.ljust(128, b"\0") + Path(bundled("MR_small.dcm")).read_bytes()[128:])
    assert header(both) == said and len(tiff) < 128


def test_a_tiff_with_a_sign(tmp_path):
    values = np.array([[-100, -50], [0, 100]], np.int8)
    Image.fromarray(values.view(np.uint8)).save(tmp_path / "x.tif", tiffinfo={339: 2})
    np.testing.assert_array_equal(read(tmp_path / "x.tif")[..., 0], [[0, 64], [128, 255]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_that_lies_on_its_side(tmp_path, dtype):
    grey = (np.arange(12).reshape(3, 4) * 20).astype(dtype)
    Image.fromarray(grey).save(tmp_path / "x.tif", tiffinfo={274: 6})
    upright = read(save(np.rot90(grey, -1), tmp_path / "y.png"))
    np.testing.assert_array_equal(read(tmp_path / "x.tif"), upright)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_whose_zero_is_white(tmp_path, dtype):
    path = save(np.array([[0, 100], [200, 255]], dtype), tmp_path / "x.tif")
    data = path.read_bytes()
    black_is_zero = struct.pack("<HHIHH", 262, 3, 1, 1, 0)
    assert data.count(black_is_zero) == 1
    path.write_bytes(data.replace(black_is_zero, struct.pack("<HHIHH", 262, 3, 1, 0, 0)))
    np.testing.assert_array_equal(read(path), three(255 - np.array([[0, 100], [200, 255]])))


def test_nan_is_refused(tmp_path):
    path = save(np.array([[0, np.nan]], np.float32), tmp_path / "x.tif")
    with pytest.raises(ImageError, match="x.tif.*NaN"):
        read(path)


@pytest.mark.parametrize("orientation, turns", [(3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path, orientation, turns):
    exif = Image.Exif()
    exif[274] = orientation
    path = save(COLOUR, tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read(path), np.rot90(COLOUR, turns))


def test_first_frame_of_several(tmp_path):
    second = Image.fromarray(255 - GREY)
    for name in ("x.gif", "x.tif"):
        save(GREY, tmp_path / name, save_all=True, append_images=[second])
        np.testing.assert_array_equal(read(tmp_path / name), three(GREY))


# What is no image


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty"),
        (b"hello, I am a text file\n" * 20, "something else"),
        (b"<html><body>404</body></html>", "something else"),
        (b"\x89PNG\r\n\x1a\n", "x.png"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "something else"),
    ],
)
def test_other_files_are_refused(tmp_path, content, reason):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on cut EXIF
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.gif", "x.bmp", "x.tif", "x.webp", "x.ppm"])
def test_cut_off_anywhere_is_an_error_or_the_whole_image(tmp_path, name):
    path = save(COLOUR, tmp_path / name)
    whole, data = read(path), path.read_bytes()
    refused = 0
    for length in range(1, len(data), 7):
        path.write_bytes(data[:length])
        try:
            image = read(path)
        except ImageError as error:
            assert name in str(error) and "\n" not in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(image, whole)
    assert refused > len(data) / 7 * 0.8


def test_flipped_bits_in_a_png_are_noticed(tmp_path):
    path = save(COLOUR, tmp_path / "x.png")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(ImageError, match="x.png"):
        read(path)


def png(width, height, pixels, depth=8, kind=2):
    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_small_file_cannot_fill_the_memory(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png(side, side, zlib.compress(bytes(1000))))
    with pytest.raises(ImageError, match="bomb.png.*pixels.*reduce"):
        read(tmp_path / "bomb.png")


def test_missing_folder_and_pipe(tmp_path):
    with pytest.raises(ImageError, match="nowhere.png.*found nothing"):
        read(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="a folder"):
        read(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match="pipe.png"):
            read(tmp_path / "pipe.png")


def test_unreadable(tmp_path):
    path = save(GREY, tmp_path / "x.png")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read whatever the rights say (root?)")
    with pytest.raises(ImageError, match="cannot be opened.*rights"):
        read(path)


# DICOM


@pytest.fixture
def dicom(tmp_path):
    """A function that writes a 12-bit DICOM file; values, tags -> path."""
    pydicom = pytest.importorskip("pydicom")

    def write(values, kind="MONOCHROME2", name="x.dcm", **tags):
        data = pydicom.dcmread(bundled("MR_small.dcm"))
        for tag in ("WindowCenter", "WindowWidth", "SmallestImagePixelValue"):
            data.pop(tag, None)
        bits = 12 if np.max(values) < 4096 else 16
        data.set_pixel_data(np.asarray(values, np.uint16), kind, bits, generate_instance_uid=False)
        for tag, value in tags.items():
            if tag.startswith("PixelPadding"):  # may be written as unsigned, whatever the pixels
                data.add_new(tag, "US", value % 65536)
            else:
                setattr(data, tag, value)
        data.save_as(tmp_path / name)
        return tmp_path / name

    return write


RAMP = np.arange(0, 4096, 16).reshape(16, 16)


def test_dicom_without_a_window_is_stretched(dicom):
    image = read(dicom(RAMP + 5))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, three(np.round(RAMP / RAMP.max() * 255)))


def test_dicom_window_after_rescaling(dicom):
    # Stored 1000..2000 is -24..976 after rescaling: the whole width of the window.
    path = dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=476, WindowWidth=1000)
    image = read(path)[..., 0]
    assert (image[RAMP <= 1000] == 0).all() and (image[RAMP >= 2000] == 255).all()
    assert image[RAMP == 1504] == 129  # (480 - 475.5) / 999 + .5, PS3.3 C.11.2.1.2.1
    # A window that the pixels do not fill must not be stretched: contrast belongs to the film.
    narrow = read(dicom(1400 + RAMP // 64, WindowCenter=2048, WindowWidth=4096))
    assert narrow.max() - narrow.min() < 8 and 80 < narrow.mean() < 100


def test_dicom_first_of_several_windows(dicom):
    several = read(dicom(RAMP, WindowCenter=[1500, 500], WindowWidth=[1000, 10]))
    np.testing.assert_array_equal(several, read(dicom(RAMP, WindowCenter=1500, WindowWidth=1000)))


def test_dicom_monochrome1_is_inverted(dicom):
    upright, inverted = read(dicom(RAMP)), read(dicom(RAMP, kind="MONOCHROME1"))
    np.testing.assert_array_equal(inverted, 255 - upright)


def test_dicom_is_known_by_its_magic(dicom, tmp_path):
    expected = read(dicom(RAMP))
    np.testing.assert_array_equal(read(dicom(RAMP, name="IM0001")), expected)


def test_a_png_called_dcm_is_read(tmp_path):
    save(COLOUR, tmp_path / "x.png").rename(tmp_path / "x.dcm")
    np.testing.assert_array_equal(read(tmp_path / "x.dcm"), COLOUR)
    (tmp_path / "x.dcm").write_bytes(b"<html><body>404</body></html>" * 9)
    with pytest.raises(ImageError, match="x.dcm.*found something else"):
        read(tmp_path / "x.dcm")


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1"])
def test_dicom_table_instead_of_a_window(dicom, kind, bits):
    pydicom = pytest.importorskip("pydicom")
    table = pydicom.Dataset()
    table.add_new((0x0028, 0x3002), "US", [4096, 0, bits])
    curve = np.round((np.arange(4096) / 4095) ** 2 * (2**bits - 1)).astype(int)
    table.add_new((0x0028, 0x3006), "US", curve.tolist())
    image = read(dicom(RAMP, kind, VOILUTSequence=[table]))
    shown = np.round(curve[RAMP] / (2**bits - 1) * 255).astype(int)
    np.testing.assert_array_equal(image[..., 0], shown if kind[-1] == "2" else 255 - shown)


def bundled(name):
    pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file

    return get_testdata_file(name, download=False)


@pytest.mark.parametrize(
    "name", ["SC_rgb_rle_16bit.dcm", "SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm"]
)
def test_dicom_colour_in_16_bits_in_frames_and_as_ycbcr(name):
    expected = read(bundled("SC_rgb_rle.dcm"))  # the same picture, plain
    assert expected.shape == (100, 100, 3) and tuple(expected[5, 50]) == (255, 0, 0)
    np.testing.assert_allclose(read(bundled(name)).astype(int), expected, atol=6)


def test_dicom_palette():
    path = bundled("examples_palette.dcm")
    import pydicom

    data = pydicom.dcmread(path)
    expected = pydicom.pixels.apply_color_lut(data.pixel_array, data) / 257  # its LUT has 16 bits
    np.testing.assert_allclose(read(path), expected, atol=0.51)


@pytest.mark.parametrize(
    "name, found",
    [
        ("test-SR.dcm", "DICOM without one"),
        ("rtplan.dcm", "DICOM without one"),
        ("no_meta.dcm", "something else"),
        ("MR_truncated.dcm", "damaged"),
    ],
)
def test_dicom_without_an_image_or_damaged(name, found):
    with pytest.raises(ImageError, match=f"{name}.*{found}"):
        read(bundled(name))


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small.dcm"])
def test_dicom_cut_off_is_to_be_fetched_again(tmp_path, name):
    data = Path(bundled(name)).read_bytes()
    for share in (0.1, 0.3, 0.6, 0.9):
        (tmp_path / "x.dcm").write_bytes(data[: int(share * len(data))])
        with pytest.raises(ImageError, match="x.dcm.*fetch it again"):
            read(tmp_path / "x.dcm")


@pytest.mark.parametrize(
    "tags",
    [
        {"PhotometricInterpretation": "MONOCHROME2"},
        {"PhotometricInterpretation": None, "PlanarConfiguration": None},
        {"SamplesPerPixel": None},
    ],
)
def test_dicom_colour_whose_header_says_something_else(dicom, tags):
    import pydicom

    data = pydicom.dcmread(path := dicom(RAMP))
    data.set_pixel_data(COLOUR, "RGB", 8, generate_instance_uid=False)
    for tag, value in tags.items():
        setattr(data, tag, value)
    data.save_as(path)
    np.testing.assert_array_equal(read(path), COLOUR)
    data.set_pixel_data(COLOUR.astype(np.uint16), "RGB", 16, generate_instance_uid=False)
    data.save_as(path)
    np.testing.assert_array_equal(read(path), COLOUR)  # its range, not that of 16 bits


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 100, "WindowWidth": 0},  # not allowed
        {"WindowCenter": 60000, "WindowWidth": 100},  # all would be black
        {"WindowCenter": 2**19, "WindowWidth": 2**20},  # of deeper pixels: nearly black
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"PhotometricInterpretation": None},
        {"SamplesPerPixel": None, "BitsStored": None, "PixelRepresentation": None},
        {"BitsStored": 8, "HighBit": 7},  # but the pixels have 12
    ],
)
def test_dicom_headers_that_the_pixels_contradict(dicom, tags):
    """Then the pixels are right."""
    np.testing.assert_array_equal(read(dicom(RAMP, **tags)), read(dicom(RAMP)))


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_dicom_padding_is_black_and_no_end_of_the_range(dicom, kind):
    padded = np.vstack([np.full((4, 16), 65535), RAMP])
    image = read(dicom(padded, kind, PixelPaddingValue=65535))
    assert not image[:4].any()
    np.testing.assert_array_equal(image[4:], read(dicom(RAMP, kind, name="plain.dcm")))
    padded[:2] = 60000
    limits = {"PixelPaddingValue": 60000, "PixelPaddingRangeLimit": 65535}
    np.testing.assert_array_equal(read(dicom(padded, kind, **limits)), image)


def test_dicom_signed_padding_given_as_unsigned(dicom):
    values = np.vstack([np.full((4, 16), -2000), RAMP - 1000]).astype(np.int16)
    path = dicom(values.view(np.uint16), PixelPaddingValue=-2000, PixelRepresentation=1)
    np.testing.assert_array_equal(read(path)[4:], read(dicom(RAMP, name="plain.dcm")))


def test_dicom_drawings_in_the_bits_above_the_picture(dicom):
    drawn = RAMP.copy()
    drawn[3] |= 1 << 12
    import pydicom

    data = pydicom.dcmread(path := dicom(drawn, BitsStored=12, HighBit=11))
    data.add_new((0x6000, 0x0100), "US", 16)  # Overlay Bits Allocated
    data.add_new((0x6000, 0x0102), "US", 12)  # Overlay Bit Position
    data.save_as(path)
    np.testing.assert_array_equal(read(path), read(dicom(RAMP, name="plain.dcm")))


SYNTAXES = ("JPEGLosslessProcess14_1", "JPEGLosslessProcess14", "JPEGLSLossless", "RLELossless",
            "JPEG2000Lossless", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian",
            "ImplicitVRLittleEndian")  # fmt: skip


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_dicom_in_every_lossless_compression(dicom, tmp_path, syntax):
    gdcm = pytest.importorskip("gdcm")
    plain, path = dicom(RAMP), tmp_path / "compressed.dcm"
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    np.testing.assert_array_equal(read(path), read(plain))


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_dicom_jpeg_of_12_bits(name):
    pytest.importorskip("gdcm")
    same = read(bundled("JPEG2000.dcm"))[..., 0]  # another scan of the same phantom
    image = read(bundled(name))[..., 0]
    assert image.shape == same.shape and np.corrcoef(image.ravel(), same.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    "missing, file, remedy",
    [
        ("pydicom", None, "pip install 'pydicom>=3'"),
        ("gdcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG-LS Lossless.*pip install python-gdcm"),
        ("gdcm", "JPGExtended.dcm", "JPEG Extended.*pip install python-gdcm"),
    ],
)
def test_dicom_says_what_to_install(tmp_path, missing, file, remedy):
    path = tmp_path / "x.dcm"
    path.write_bytes(Path(bundled(file)).read_bytes() if file else bytes(128) + b"DICM" + bytes(99))
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"  # what Python does for a missing package
        "from xraylib.data.images import ImageError, read\n"
        "try: read(sys.argv[1])\n"
        "except ImageError as error: print(error)\n"
    )
    arguments = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert re.search(f"x.dcm.*{remedy}", done.stdout) and "fetch it again" not in done.stdout
