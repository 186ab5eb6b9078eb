"""The network in the page says what Python says, of whatever film it is given."""

import functools
import json
import os
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from tests.book.browser import CHROMIUM, MISSING, PAGES, address, chromium
from xraylib import ledger
from xraylib.data import datasets, images, phantoms
from xraylib.evaluation import explain
from xraylib.training import fitting, saving

PAGE = "chapters/04_transfer_learning.html"
MODEL = ledger.ROOT / ".run/models/phantom.keras"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.skipif(
        not (PAGES / "_static/network/weights.js").exists() or not MODEL.exists(),
        reason="no rendered book on phantoms here; run `make book`",
    ),
]


@pytest.fixture(scope="module")
def model():
    return saving.load(MODEL)


@pytest.fixture(scope="module")
def tab():
    """The page of chapter 04 with its network loaded, opened from the disk."""
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        tab.context.set_offline(True)
        tab.goto(address(PAGE))
        button = tab.get_by_role("button", name="Load the network")
        button.focus()
        tab.keyboard.press("Enter")
        tab.get_by_text("Ready. Choose a film.").wait_for(timeout=60_000)
        tab.get_by_role("button", name="Computed film 1").click()
        with_a_map(tab, False)  # of each film it takes fifty times as long
        yield tab


def with_a_map(tab, wanted):
    tab.get_by_label("where covering a patch changes the score").set_checked(wanted)


def shown(tab, path, drops=False):
    """What the page finds of a film: its score, or also the drops of the logit, 7 × 7."""
    tab.locator(".try-network input[type=file]").set_input_files(path)
    tab.wait_for_function(
        """([name, drops]) => {
          const root = document.querySelector('.try-network');
          const said = root.querySelector('.try-score')?.textContent ?? '';
          return said.startsWith(name) && (!drops || root.dataset.drops);
        }""",
        arg=[path.name, drops],
        timeout=60_000,
    )
    found = tab.locator(".try-network").evaluate("root => ({...root.dataset})")
    if not drops:
        return float(found["score"])
    return float(found["score"]), np.reshape(json.loads(found["drops"]), (7, 7))


def expected(model, path):
    """The film as Python resizes it, and its score."""
    network, card = model
    square = datasets.resize([images.read(path)], 224, card["interpolation"], card["keep_aspect"])
    return square, fitting.predict(network, square)[0]


def test_twenty_films_of_all_sizes_score_as_in_python(tab, model, tmp_path):
    records = phantoms.examples({"i": i, "seed": 77} for i in range(20))
    assert len({record.image.shape for record in records}) > 10
    for record in records:
        path = tmp_path / f"{record.name}.png"
        Image.fromarray(record.image).save(path)
        assert shown(tab, path) == pytest.approx(expected(model, path)[1], abs=0.01)
    status = tab.locator(".try-network [role=status]")
    assert status.inner_text().startswith(f"{path.name}: score")
    assert tab.locator(".try-network").get_attribute("data-drops") == ""
    with_a_map(tab, True)
    tab.get_by_text("The map is there.").wait_for(timeout=60_000)


def test_the_map_has_its_maximum_where_python_has_it(tab, model, tmp_path):
    with_a_map(tab, True)
    films = 20 if "SLOW" in os.environ else 4  # four seconds each
    for record in phantoms.examples({"i": i, "seed": 78} for i in range(films)):
        path = tmp_path / f"{record.name}.png"
        Image.fromarray(record.image).save(path)
        square, _ = expected(model, path)
        map_ = explain.occlusion(model[0], square, patch=32, stride=32, progress=False)
        _, drops = shown(tab, path, drops=True)
        cells = map_[0, 16::32, 16::32]  # the centres of the patches
        assert drops.argmax() == cells.argmax()
        np.testing.assert_allclose(drops, cells, atol=0.05 * np.ptp(cells) + 0.02)
    with_a_map(tab, False)


FILM = phantoms.radiograph(1, patient=9, seed=3)[0]


def dicom(path, stored, **settings):
    """An uncompressed DICOM file with these stored values."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit = settings.pop("implicit", False)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = (
        ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    )
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    inner = Dataset()
    inner.CodeValue = "in a sequence"
    data.ProcedureCodeSequence = [inner]
    data["ProcedureCodeSequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = int(stored.dtype.kind == "i")
    for name, value in settings.items():
        setattr(data, name, value)
    data.PixelData = stored.astype(f"<{stored.dtype.kind}2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


GREY = FILM.astype(np.uint16) * 9 + 300


@pytest.mark.parametrize(
    "save",
    {
        "JPEG in colour": lambda at: at.with_suffix(".jpg"),
        "DICOM": lambda at: dicom(at.with_suffix(".dcm"), GREY),
        "implicit": lambda at: dicom(at.with_suffix(".dcm"), GREY, implicit=True),
        "window": lambda at: dicom(
            at.with_suffix(".dcm"), GREY, WindowCenter=["1400", "9"], WindowWidth=["1800", "9"]
        ),
        "no use of the window": lambda at: dicom(
            at.with_suffix(".dcm"), GREY, WindowCenter=-9000, WindowWidth=10
        ),
        "inverted, signed, rescaled": lambda at: dicom(
            at.with_suffix(".dcm"), (1500 - GREY.astype(np.int16)), RescaleSlope="0.5",
            RescaleIntercept="-10", PhotometricInterpretation="MONOCHROME1",
        ),
        "padding": lambda at: dicom(
            at.with_suffix(".dcm"), np.pad(GREY, 20, constant_values=4000), PixelPaddingValue=4000
        ),
        "a marker that is brighter than all the rest": lambda at: dicom(
            at.with_suffix(".dcm"), np.where(np.indices(GREY.shape).sum(0) < 12, 4095, GREY // 9)
            .astype(np.uint16),
        ),
    }.items(),
    ids=lambda save: save[0],
)  # fmt: skip
def test_other_formats_are_read_as_in_python(tab, model, tmp_path, save):
    path = save[1](tmp_path / save[0].replace(" ", "-"))
    if path.suffix == ".jpg":
        tinted = np.stack([FILM, FILM // 2 + 60, 255 - FILM // 3], axis=2)
        Image.fromarray(tinted).save(path, quality=95)
    square, score = expected(model, path)
    assert shown(tab, path) == pytest.approx(score, abs=0.01)
    pixels = tab.evaluate(
        """async (bytes) => {
          const image = await film.read(new Blob([Uint8Array.from(bytes)]));
          const {card} = xraylib.network;
          return [...film.resize(image, 224, card.interpolation, card.keep_aspect)];
        }""",
        list(path.read_bytes()),
    )
    apart = np.abs(np.reshape(pixels, square[0].shape) - square[0].astype(int))
    assert apart.max() <= (6 if path.suffix == ".jpg" else 1)  # decoders of JPEG round otherwise


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box",
                                           "hamming"])  # fmt: skip
@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("shape", [(31, 20), (97, 140), (64, 64)])
def test_films_are_resized_as_in_python(tab, interpolation, keep_aspect, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    found = tab.evaluate(
        """([data, height, width, how, keep]) =>
            [...film.resize({data: Uint8ClampedArray.from(data), width, height}, 64, how, keep)]""",
        [image.ravel().tolist(), *shape, interpolation, keep_aspect],
    )
    asked = datasets.resize([image], 64, interpolation, keep_aspect)[0]
    assert np.abs(np.reshape(found, asked.shape) - asked.astype(int)).max() <= 1


def test_what_it_cannot_read_it_says(tab, tmp_path):
    deep, cut, text = (tmp_path / name for name in ("deep.png", "cut.png", "film.txt"))
    Image.fromarray(GREY).save(deep)
    Image.fromarray(FILM).save(cut)
    cut.write_bytes(cut.read_bytes()[:90])
    text.write_text("no film")
    status = tab.locator(".try-network [role=status]")
    for path, what in {
        deep: "16 bits a channel",
        cut: "damaged",
        text: "PNG, JPEG or DICOM",
    }.items():
        tab.locator(".try-network input[type=file]").set_input_files(path)
        tab.get_by_text(f"{path.name} was not read").wait_for()
        assert what in status.inner_text()


def test_a_computed_film_by_keyboard_and_nothing_wider_than_a_phone(tab):
    tab.get_by_role("button", name="Computed film 2: abdomen").focus()
    tab.keyboard.press("Enter")
    tab.get_by_text("computed film 2, abdomen: score").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    assert "no diagnosis" in tab.locator(".try-said").inner_text()


def test_it_runs_from_a_server_too(tab):
    handler = functools.partial(Quiet, directory=str(PAGES))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served = tab.context.browser.new_page()
        served.goto(f"http://127.0.0.1:{server.server_port}/{PAGE}")
        served.get_by_role("button", name="Load the network").click()
        served.get_by_role("button", name="Computed film 1").click(timeout=60_000)
        served.get_by_text("computed film 1, chest: score").first.wait_for()
        served.close()
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of each request."""

    def log_message(self, *args):
        pass
