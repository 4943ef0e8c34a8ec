"""Small data sets written in TFDS' own format, read back under the names of real builders."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from detection.config import DataConfig
from detection.data import DataError, DataPipelineConfig, verify_images
from detection.data.coco_categories import COCO_ID_OF
from detection.data.tfds import load_tfds
from detection.data.voc import VOC_CLASSES
from detection.datasets import open_dataset

_VOC_NAMES = ["aeroplane", "bicycle", "bird"]


def _jpeg(seed, size):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), "uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def _write(folder, name, version, features, examples, split="train"):
    target = os.path.join(folder, name, version)
    os.makedirs(target)
    short = name.split("/")[0]
    for shard in range(2):
        path = os.path.join(target, f"{short}-{split}.tfrecord-{shard:05d}-of-00002")
        with tf.io.TFRecordWriter(path) as writer:
            for example in examples[shard::2]:
                writer.write(features.serialize_example(features.encode_example(example)))
    lengths = [len(examples[shard::2]) for shard in range(2)]
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=lengths,
            num_bytes=0,
            filename_template=tfds.core.ShardedFileTemplate(
                data_dir=target, dataset_name=short, split=split, filetype_suffix="tfrecord"
            ),
        )
    ]
    tfds.folder_dataset.write_metadata(data_dir=target, features=features, split_infos=splits)


@pytest.fixture
def voc_folder(tmp_path):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(),
            "image/filename": tfds.features.Text(),
            "objects": tfds.features.Sequence(
                {
                    "label": tfds.features.ClassLabel(names=_VOC_NAMES),
                    "bbox": tfds.features.BBoxFeature(),
                    "is_difficult": np.bool_,
                }
            ),
        }
    )
    # As TFDS does it: the corners of the XML, counted from 1, over the size.
    height, width = 40, 80
    boxes = [(11, 5, 30, 20), (1, 1, 80, 40)]
    examples = []
    for index in range(3):
        objects = [
            {
                "label": label,
                "bbox": tfds.features.BBox(y1 / height, x1 / width, y2 / height, x2 / width),
                "is_difficult": bool(label),
            }
            for label, (x1, y1, x2, y2) in enumerate(boxes[:index])
        ]
        image = io.BytesIO(_jpeg(index, (height, width)))
        examples.append({"image": image, "image/filename": f"00000{index}.jpg", "objects": objects})
    _write(tmp_path, "voc/2007", "5.0.0", features, examples)
    return tmp_path


def test_voc_boxes_equal_the_zero_based_corners(voc_folder):
    dataset = load_tfds("voc/2007", "train", data_dir=voc_folder)
    assert [record.image_id for record in dataset.records] == ["000000", "000002", "000001"]
    assert dataset.class_names == VOC_CLASSES  # TFDS' own list of the 20 names.
    record = dataset.records[1]
    np.testing.assert_allclose(record.boxes, [[10, 4, 30, 20], [0, 0, 80, 40]], atol=1e-4)
    assert record.classes.tolist() == [0, 1]
    assert record.difficult.tolist() == [False, True]
    assert len(dataset.records[0].boxes) == 0
    assert len(dataset.problems) == 0


def test_difficult_objects_can_be_left_out(voc_folder):
    dataset = load_tfds("voc/2007", "train", data_dir=voc_folder, keep_difficult=False)
    assert [len(record.boxes) for record in dataset.records] == [0, 1, 1]
    assert not any(record.difficult.any() for record in dataset.records)
    np.testing.assert_allclose(dataset.records[1].boxes, [[10, 4, 30, 20]], atol=1e-4)


def test_parts_of_the_same_files_go_together(voc_folder):
    config = {
        "format": "tfds",
        "root": str(voc_folder),
        "train": [{"name": "voc/2007", "split": "train[:1]"}, {"split": "train[1:]"}],
        "name": "voc/2007",
        "val": {"split": "train"},
    }
    whole, joined = (open_dataset(DataConfig(**config), split) for split in ("val", "train"))
    assert [r.image_id for r in joined.records] == [r.image_id for r in whole.records]
    config["train"][0]["split"] = "train[:2]"
    with pytest.raises(DataError, match="is in two parts"):
        open_dataset(DataConfig(**config), "train")


def test_pixels_are_read_from_inside_the_record_files(voc_folder):
    dataset = load_tfds("voc/2007", "train", data_dir=voc_folder)
    for index, record in enumerate(dataset.records):
        data = _jpeg(int(record.image_id), (40, 80))
        expected = tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy()
        np.testing.assert_array_equal(dataset.read(index)["image"], expected)
    assert len(verify_images(dataset, decode=True)) == 0


def test_pipeline_reads_them(voc_folder):
    from detection.data.pipeline import tf_pipeline

    dataset = load_tfds("voc/2007", "train", data_dir=voc_folder)
    config = DataPipelineConfig(batch_size=3, min_sides=(40,), max_side=80)
    ((x, y),) = tf_pipeline(dataset, config, training=False).as_numpy_iterator()
    assert x["images"].shape == (3, 64, 96, 3)
    for row in range(3):
        expected = dataset.read(y["index"][row])["image"]
        np.testing.assert_array_equal(x["images"][row, :40, :80], expected)


def test_coco_gets_its_official_ids_back(tmp_path):
    # A few of the 80 names in the order of their ids, among them the first after each gap.
    names = ["person", "fire hydrant", "stop sign", "toothbrush"]
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(encoding_format="jpeg"),
            "image/filename": tfds.features.Text(),
            "image/id": np.int64,
            "objects": tfds.features.Sequence(
                {
                    "id": np.int64,
                    "area": np.int64,
                    "bbox": tfds.features.BBoxFeature(),
                    "label": tfds.features.ClassLabel(names=names),
                    "is_crowd": np.bool_,
                }
            ),
        }
    )
    box = tfds.features.BBox(0.25, 0.1, 0.75, 0.5)
    objects = [
        {"id": 5, "area": 70, "bbox": box, "label": 2, "is_crowd": False},
        {"id": 6, "area": 90, "bbox": box, "label": 3, "is_crowd": True},
    ]
    examples = [
        {
            "image": io.BytesIO(_jpeg(index, (60, 50))),
            "image/filename": f"{image_id:012d}.jpg",
            "image/id": image_id,
            "objects": objects,
        }
        for index, image_id in enumerate((139, 285))
    ]
    _write(tmp_path, "coco/2017", "1.1.0", features, examples, "validation")
    dataset = load_tfds("coco/2017", "validation", data_dir=tmp_path)
    assert [category.id for category in dataset.categories] == [1, 11, 13, 90]
    content = dataset.to_coco()
    assert [image["id"] for image in content["images"]] == [139, 285]
    first, second = content["annotations"][:2]
    np.testing.assert_allclose(first["bbox"], [5, 15, 20, 30], atol=1e-4)
    assert (first["category_id"], first["area"], first["iscrowd"]) == (13, 70, 0)
    assert (second["category_id"], second["iscrowd"]) == (90, 1)


def test_official_ids():
    # The ids left out of 1..90 by the data set's authors.
    gaps = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert set(COCO_ID_OF.values()) == set(range(1, 91)) - gaps


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"(?s)does not know 'no_such_set'.*Tried: .*In "):
        load_tfds("no_such_set", "train", data_dir=tmp_path)
    with pytest.raises(DataError, match="download=True"):
        load_tfds("voc/2012", "train", data_dir=tmp_path)
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(num_classes=2)}
    )
    image = io.BytesIO(_jpeg(0, (20, 20)))
    _write(tmp_path, "labels", "1.0.0", features, [{"image": image, "label": 1}] * 2)
    with pytest.raises(DataError, match="no detection data set"):
        load_tfds("labels", "train", data_dir=tmp_path)


def test_reader_is_not_imported_with_the_package():
    code = "import sys, detection.data; sys.exit('tensorflow_datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
