"""All eight EXIF orientations come out alike in training, `detect` and the exported model.

So do the other places where files may name an orientation, of which only EXIF counts.
"""

import io
import json
import struct
import zlib

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

from detection.data import DataPipelineConfig, load_coco, numpy_batches
from detection.data.loader import PyDatasetLoader
from detection.load_image import load_image
from detection.predict import detect
from keras_resnet.data.images import decode_image, image_size
from tests.detection.small_model import small_model

SIZE = (48, 80)  # Height and width of the upright picture.
BOX = [10, 4, 30, 20]


@pytest.fixture(scope="module")
def upright():
    coarse = np.random.default_rng(3).integers(0, 256, (6, 10, 3), dtype="uint8")
    picture = Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC)
    return np.asarray(picture)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, upright):
    """A data set of the picture, stored in each orientation and annotated as it is shown."""
    folder = tmp_path_factory.mktemp("orientations")
    # What Pillow does to show each orientation, undone.
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    images, boxes = [], []
    for orientation in range(1, 9):
        stored = Image.fromarray(upright)
        if orientation > 1:
            stored = stored.transpose(Image.Transpose(undo[orientation]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        name = f"{orientation}.png"
        stored.save(folder / name, exif=exif)
        assert Image.open(folder / name).size == (SIZE if orientation > 4 else SIZE[::-1])
        shown = ImageOps.exif_transpose(Image.open(folder / name))
        np.testing.assert_array_equal(np.asarray(shown), upright)
        image = {"id": orientation, "file_name": name, "height": SIZE[0], "width": SIZE[1]}
        images.append(image)
        box = {"id": orientation, "image_id": orientation, "category_id": 1, "bbox": BOX}
        boxes.append(box)
    content = {
        "images": images,
        "annotations": boxes,
        "categories": [{"id": 1, "name": "a"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("pipeline", ["tf.data", "PyDataset"])
def test_training(folder, upright, pipeline):
    if pipeline == "tf.data":
        pytest.importorskip("tensorflow")
        from detection.data.pipeline import tf_pipeline as make
    else:
        make = PyDatasetLoader
    dataset = load_coco(folder, folder / "annotations.json")
    config = DataPipelineConfig(
        batch_size=8, min_sides=(SIZE[0],), max_side=SIZE[1], horizontal_flip=0.0, shuffle=False
    )
    ((x, y),) = numpy_batches(make(dataset, config, training=True, endless=False))
    assert sorted(y["index"].tolist()) == list(range(8))
    for row in range(8):
        np.testing.assert_array_equal(x["images"][row, : SIZE[0], : SIZE[1]], upright)
        assert tuple(x["image_sizes"][row]) == SIZE
        np.testing.assert_array_equal(y["boxes"][row, 0], [10, 4, 40, 24])


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return small_model()


@pytest.fixture(scope="module")
def expected(model, upright):
    found = detect(model, upright)
    assert len(found.scores) > 0
    return found


def test_detect(folder, model, expected):
    for found in detect(model, [folder / f"{i}.png" for i in range(1, 9)]):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="SavedModels are written by TensorFlow"
)
def test_serving(folder, model, expected):
    """The function that `export_saved_model` writes, in a graph."""
    import tensorflow as tf

    from detection.serving import serve_bytes

    serve = tf.function(
        lambda image_bytes: serve_bytes(model, image_bytes),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
    files = [(folder / f"{i}.png").read_bytes() for i in range(1, 9)]
    outputs = {name: value.numpy() for name, value in serve(tf.constant(files)).items()}
    assert outputs["valid"].all()
    for row in range(8):
        count = outputs["num_detections"][row]
        assert count == len(expected.scores)
        np.testing.assert_allclose(outputs["boxes"][row, :count], expected.boxes, atol=1e-2)
        np.testing.assert_allclose(outputs["scores"][row, :count], expected.scores, atol=1e-4)


def encoded(picture, kind, **options):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def chunk(kind, content):
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def in_small_chunks(png, size):
    """The file with its pixels in as many chunks of `size` bytes as that takes."""
    start, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    (length,) = struct.unpack(">I", png[start : start + 4])
    content = png[start + 8 : start + 8 + length]
    assert start + 12 + length == end
    parts = [content[i : i + size] for i in range(0, length, size)]
    return png[:start] + b"".join(chunk(b"IDAT", part) for part in parts) + png[end:]


# How XMP says "turn by 90 degrees".
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
# A directory of one entry: the orientation, one short, 6.
TIFF = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def _elsewhere(picture):
    """dict from a name to (the file, whether it is to be turned)."""
    png = encoded(picture, "PNG")
    exif = chunk(b"eXIf", TIFF)
    text = b"\nexif\n%8d\n%s\n" % (6 + len(TIFF), (b"Exif\0\0" + TIFF).hex().encode())
    profile = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    xmp = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    many = in_small_chunks(png, 3)
    assert many.count(b"IDAT") > 1100
    return {
        "XMP in JPEG": (encoded(picture, "JPEG", xmp=XMP), False),
        "XMP in PNG": (png[:33] + xmp + png[33:], False),
        "raw profile in PNG": (png[:33] + profile + png[33:], False),
        "EXIF before the pixels": (png[:33] + exif + png[33:], True),
        "EXIF as in JPEG": (png[:33] + chunk(b"eXIf", b"Exif\0\0" + TIFF) + png[33:], True),
        "EXIF after the pixels": (png[:-12] + exif + png[-12:], True),
        "EXIF after many chunks": (many[:-12] + exif + many[-12:], True),
        "EXIF after the end": (png + exif, False),
        "EXIF that is damaged": (png[:33] + chunk(b"eXIf", b"\xff" * 26) + png[33:], False),
    }


def test_where_else_an_orientation_may_stand(upright, tmp_path):
    """Python's paths and the served graph turn by EXIF, wherever that stands, and nothing else."""
    for name, (data, turned) in _elsewhere(upright).items():
        stored = np.asarray(Image.open(io.BytesIO(data)))
        assert stored.shape[:2] == SIZE
        expected = np.rot90(stored, -1) if turned else stored
        path = tmp_path / "image"
        path.write_bytes(data)
        assert image_size(data) == (expected.shape[:2], turned), name
        for image in (decode_image(data), load_image(path), load_image(Image.open(path))):
            np.testing.assert_array_equal(image, expected, err_msg=name)


def test_where_else_an_orientation_may_stand_in_the_graph(upright):
    tf = pytest.importorskip("tensorflow")
    from keras_resnet import decode_ops

    decode = tf.function(
        decode_ops.decode_image, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    )
    for name, (data, _) in _elsewhere(upright).items():
        image, valid = decode(data)
        assert valid, name
        np.testing.assert_array_equal(image, decode_image(data), err_msg=name)


def test_tiff_is_turned_by_its_own_tag_only(upright):
    """Pillow turns TIFF while it decodes, by XMP, too."""
    for tags, turned in (({274: 6}, True), ({700: XMP}, False)):
        data = encoded(upright, "TIFF", tiffinfo=tags)
        expected = np.rot90(upright, -1) if turned else upright
        assert image_size(data)[0] == expected.shape[:2]
        np.testing.assert_array_equal(decode_image(data), expected)
