"""xraylib.data.images, with files written on the spot."""

import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from xraylib.data.images import ImageError, read

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


def test_16_bit_colour_keeps_the_upper_byte(tmp_path):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOUR.astype(int) * 256 + 99)
    (tmp_path / "x.png").write_bytes(png(20, 12, zlib.compress(rows), depth=16))
    np.testing.assert_array_equal(read(tmp_path / "x.png"), COLOUR)


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


def png(width, height, pixels, depth=8):
    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
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
        data.set_pixel_data(np.asarray(values, np.uint16), kind, 12, generate_instance_uid=False)
        for tag, value in tags.items():
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


@pytest.mark.parametrize("name", ["test-SR.dcm", "MR_truncated.dcm", "rtplan.dcm", "no_meta.dcm"])
def test_dicom_without_an_image_or_damaged(name):
    with pytest.raises(ImageError, match=name):
        read(bundled(name))


def test_dicom_bad_window_is_refused(dicom):
    with pytest.raises(ImageError, match="Width"):
        read(dicom(RAMP, WindowCenter=100, WindowWidth=0))


def test_dicom_without_pydicom_says_what_to_install(tmp_path):
    (tmp_path / "x.dcm").write_bytes(bytes(128) + b"DICM" + bytes(100))
    code = (
        "import sys; sys.modules['pydicom'] = None\n"  # what Python does for a missing package
        "from xraylib.data.images import ImageError, read\n"
        "try: read(sys.argv[1])\n"
        "except ImageError as error: print(error)\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "x.dcm")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert "pip install 'pydicom>=3'" in done.stdout and "x.dcm" in done.stdout
