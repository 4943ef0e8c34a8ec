"""Decoding in the graph against Pillow, preparation against the NumPy form used by `detect`."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from detection.data.transforms import prepare_image

tf = pytest.importorskip("tensorflow")

from detection.serving_ops import prepare_images  # noqa: E402
from keras_resnet.decode_ops import decode_image  # noqa: E402


@pytest.fixture(scope="module")
def decode():
    return tf.function(
        decode_image, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    )


@pytest.fixture(scope="module")
def picture():
    coarse = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype="uint8")
    return Image.fromarray(coarse).resize((53, 38), Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(data):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def exif(orientation, endian="<"):
    tags = Image.Exif()
    tags.endian = endian
    tags[0x010F] = "a maker before it"
    tags[0x0112] = orientation
    tags[0x0131] = "and software after it"
    return tags.tobytes()


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_all_orientations_are_turned_as_pillow_does(decode, picture, kind, endian):
    for orientation in range(1, 9):
        data = encoded(picture, kind, exif=exif(orientation, endian))
        assert Image.open(io.BytesIO(data)).getexif()[0x0112] == orientation
        image, valid = decode(data)
        assert valid
        np.testing.assert_array_equal(image, by_pillow(data), err_msg=f"orientation {orientation}")


def test_orientation_after_other_segments(decode, picture):
    data = encoded(picture, "JPEG", exif=exif(6), icc_profile=bytes(70_000), comment=b"c" * 300)
    # An APP1 segment of another kind (XMP) in front.
    other = b"\xff\xe1" + (2 + 40).to_bytes(2, "big") + b"http://ns.adobe.com/xap/1.0/\0".ljust(40)
    data = data[:2] + other + data[2:]
    image, valid = decode(data)
    assert valid
    np.testing.assert_array_equal(image, by_pillow(data))
    assert image.shape[:2] == (53, 38)


def test_orientation_out_of_range_is_ignored(decode, picture):
    for orientation in (0, 9, 700):
        image, _ = decode(encoded(picture, "JPEG", exif=exif(orientation)))
        assert image.shape == (38, 53, 3)


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"subsampling": 0, "quality": 99}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("P", "PNG", {}),
        ("1", "PNG", {}),
    ],
)
def test_pixels_equal_pillow(decode, picture, mode, kind, options):
    data = encoded(picture.convert(mode), kind, **options)
    image, valid = decode(data)
    assert valid
    np.testing.assert_array_equal(image, by_pillow(data))


def test_what_does_not_decode_is_not_valid(decode, picture):
    jpeg, png = encoded(picture, "JPEG", exif=exif(6)), encoded(picture, "PNG")
    bad = {
        "empty": b"",
        "text": b"no image",
        "gif": encoded(picture, "GIF"),
        "bmp": encoded(picture, "BMP"),
        "jpeg header only": jpeg[:3],
        "png header only": png[:8],
        "png header and garbage": png[:8] + b"garbage" * 9,
        "jpeg cut in the exif": jpeg[:30],
        "jpeg cut in half": jpeg[: len(jpeg) // 2],
        "jpeg cut at the end": jpeg[:-20],
        "png cut in half": png[: len(png) // 2],
        "png with a wrong checksum": png[:20] + b"\x01" + png[21:],
    }
    for name, data in bad.items():
        image, valid = decode(data)
        assert not valid, name
        assert image.shape == (1, 1, 3), name


def test_any_changed_byte_gives_an_answer(decode, picture):
    generator = np.random.default_rng(0)
    valid = []
    for source in (encoded(picture, "JPEG", exif=exif(6)), encoded(picture, "PNG", exif=exif(6))):
        for _ in range(200):
            data = np.frombuffer(source, "uint8").copy()
            positions = generator.integers(0, min(len(data), 400), 3)
            data[positions] = generator.integers(0, 256, 3)
            valid.append(bool(decode(data.tobytes())[1]))
    assert any(valid)
    assert not all(valid)


def test_size_is_bounded_before_decoding(picture):
    for kind in ("JPEG", "PNG"):
        data = encoded(picture, kind)
        assert decode_image(tf.constant(data), max_pixels=53 * 38)[1]
        assert not decode_image(tf.constant(data), max_pixels=53 * 38 - 1)[1]


def test_prepared_as_in_detect():
    generator = np.random.default_rng(1)
    rule = {"min_side": 37, "max_side": 61, "size_divisor": 16}
    for height, width in [(20, 30), (37, 61), (90, 31), (1, 50), (200, 200), (33, 100), (74, 99)]:
        image = generator.integers(0, 256, (height, width, 3), dtype="uint8")
        expected, _ = prepare_image(image, rule["min_side"], rule["max_side"])
        prepared, size = prepare_images(tf.constant(image[None]), rule)
        assert tuple(size.numpy()) == expected.shape[:2]
        assert all(-16 < s - p <= 0 and p % 16 == 0 for s, p in zip(size, prepared.shape[1:3]))
        inside = prepared[0, : size[0], : size[1]]
        np.testing.assert_allclose(inside, expected, atol=1e-2)
        assert np.sum(prepared) == pytest.approx(np.sum(inside), rel=1e-5)


@pytest.mark.parametrize("rounding", ["nearest", "floor"])
def test_sizes_round_as_in_detect(rounding):
    from detection.data.transforms import resized_size

    rule = {"min_side": 75, "max_side": 125, "size_divisor": 32, "rounding": rounding}
    generator = np.random.default_rng(2)
    for height, width in generator.integers(1, 400, (60, 2)):
        _, size = prepare_images(tf.zeros([1, height, width, 3], tf.uint8), rule)
        assert tuple(size.numpy()) == resized_size(int(height), int(width), 75, 125, rounding)


def test_without_a_rule_images_are_only_padded():
    prepared, size = prepare_images(tf.ones([2, 33, 20, 3], tf.uint8), {})
    assert prepared.shape == (2, 64, 32, 3)
    assert tuple(size.numpy()) == (33, 20)
    assert np.sum(prepared) == 2 * 33 * 20 * 3
