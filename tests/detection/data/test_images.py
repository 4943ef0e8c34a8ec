"""Decoding images of all kinds, EXIF orientation, and the check of image files."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from detection.data import DataError, load_coco, verify_images
from detection.data.images import decode_image
from tests.detection.data.helpers import write_coco


def _encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _picture(mode="RGB", size=(9, 6)):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), "uint8")
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(mode):
    if mode == "I;16":
        grey = np.arange(54, dtype="uint16").reshape(6, 9) * 257
        image, expected = Image.fromarray(grey), np.repeat(grey[..., None] // 257, 3, axis=2)
    else:
        image = _picture(mode)
        expected = np.asarray(image.convert("RGB"))
    kind = "TIFF" if mode == "CMYK" else "PNG"
    decoded = decode_image(_encode(image, kind))
    assert decoded.shape == (6, 9, 3) and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = _picture()
    data = _encode(image, "PNG", exif=exif)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(decode_image(data), expected)
    np.testing.assert_array_equal(decode_image(data, size=expected.shape[:2]), expected)
    if orientation >= 5:
        # Annotated as stored: the annotation decides.
        np.testing.assert_array_equal(decode_image(data, size=(6, 9)), np.asarray(_picture()))


@pytest.mark.parametrize("data", [b"", b"no image", _encode(_picture(), "JPEG")[:200]])
def test_what_does_not_decode_is_named(data):
    with pytest.raises(DataError, match=r"some/file\.jpg does not decode"):
        decode_image(data, "some/file.jpg")


def test_another_size_is_refused():
    with pytest.raises(DataError, match="9 x 6 pixels, but its annotation says 9 x 7"):
        decode_image(_encode(_picture(), "PNG"), size=(7, 9))


def test_verify_images_finds_each_fault(tmp_path):
    images, path = write_coco(tmp_path, [(60, 90)] * 5)
    dataset = load_coco(images, path)
    assert len(verify_images(dataset)) == 0
    (images / "000001.jpg").unlink()
    (images / "000002.jpg").write_bytes(b"text")
    Image.new("RGB", (30, 20)).save(images / "000003.jpg")
    data = (images / "000004.jpg").read_bytes()
    (images / "000004.jpg").write_bytes(data[: len(data) // 2])
    found = {"missing_image": 1, "undecodable_image": 1, "size_mismatch": 1}
    problems = verify_images(dataset)
    assert problems.counts() == found
    assert "30 x 20 in the file, 90 x 60 annotated" in problems.summary()
    for kind, number in (("missing_image", 1), ("undecodable_image", 2), ("size_mismatch", 3)):
        ((where, detail),) = problems.of_kind(kind)
        assert where.endswith(f"00000{number}.jpg") and f"image id {number}" in detail
    # Only decoding sees that a file ends too early.
    assert verify_images(dataset, decode=True).counts() == {**found, "undecodable_image": 2}


def test_turned_photographs_pass_as_shown_and_as_stored(tmp_path):
    images, path = write_coco(tmp_path, [(60, 90), (90, 60)])
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("000001.jpg", "000002.jpg"):
        Image.new("RGB", (90, 60)).save(images / name, exif=exif)
    dataset = load_coco(images, path)
    assert len(verify_images(dataset)) == 0
    assert dataset.read(0)["image"].shape == (60, 90, 3)
    assert dataset.read(1)["image"].shape == (90, 60, 3)
