"""A small data set written in TFDS' own format and read back under the name of a real one."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from keras_resnet.data.config import ClassificationPipelineConfig
from keras_resnet.data.errors import DataError
from keras_resnet.data.loader import PyDatasetLoader
from keras_resnet.data.tfds import load_tfds
from tests.keras_resnet.data.helpers import smooth_image

NAMES = ["ant", "bee", "cat"]


def encode(index, size, kind):
    buffer = io.BytesIO()
    Image.fromarray(smooth_image(size, seed=index)).save(buffer, kind)
    buffer.seek(0)
    return buffer


def write(root, name, version, features, examples, split="train", shards=2):
    folder = root / name / version
    folder.mkdir(parents=True)
    short = name.split("/")[0]
    for shard in range(shards):
        path = folder / f"{short}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples[shard::shards]:
                writer.write(features.serialize_example(features.encode_example(example)))
    info = tfds.core.SplitInfo(
        name=split,
        shard_lengths=[len(examples[shard::shards]) for shard in range(shards)],
        num_bytes=0,
        filename_template=tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=short, split=split, filetype_suffix="tfrecord"
        ),
    )
    tfds.folder_dataset.write_metadata(data_dir=folder, features=features, split_infos=[info])


def features_of(**image):
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(**image),
            "label": tfds.features.ClassLabel(names=NAMES),
            "id": tfds.features.Text(),
        }
    )


@pytest.fixture
def folder(tmp_path):
    sizes = [(30, 40), (50, 24), (33, 33), (40, 41), (28, 60)]
    examples = [
        {"image": encode(i, size, "JPEG"), "label": NAMES[i % 3], "id": f"n{i}"}
        for i, size in enumerate(sizes)
    ]
    features = features_of(encoding_format="jpeg")
    write(tmp_path, "imagenette/320px-v2", "1.0.0", features, examples)
    return tmp_path


def test_images_and_labels_in_the_order_of_the_files(folder):
    data = load_tfds("imagenette/320px-v2", "train", data_dir=folder)
    # TFDS' own list of names counts, not that of the files.
    assert len(data.class_names) == 10
    order = [0, 2, 4, 1, 3]
    assert data.labels.tolist() == [i % 3 for i in order]
    for position, number in enumerate(order):
        content = encode(number, data.read(position).shape[:2], "JPEG").getvalue()
        expected = tf.io.decode_jpeg(content, dct_method="INTEGER_ACCURATE")
        np.testing.assert_array_equal(data.read(position), expected)
    assert "tfrecord-00001-of-00002" in data.where(4)
    assert data.images is None
    assert len(load_tfds("imagenette/320px-v2", "train[:40%]", data_dir=folder)) == 2


def test_the_loader_reads_them(folder):
    data = load_tfds("imagenette/320px-v2", "train", data_dir=folder)
    config = ClassificationPipelineConfig(batch_size=5, image_size=24, eval_resize=28)
    x, y = PyDatasetLoader(data, config, training=False)[0]
    np.testing.assert_array_equal(y, data.labels)
    small = Image.fromarray(data.read(0)).resize((37, 28), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(x[0], np.asarray(small)[2:26, 6:30])


def test_small_images_of_one_size_are_kept_in_memory(tmp_path):
    examples = [
        {"image": smooth_image((32, 32), seed=i), "label": i % 3, "id": str(i)} for i in range(6)
    ]
    features = features_of(shape=(32, 32, 3), encoding_format="png")
    write(tmp_path, "cifar10", "3.0.2", features, examples, split="test", shards=1)
    data = load_tfds("cifar10", "test", data_dir=tmp_path)
    assert data.images.shape == (6, 32, 32, 3) and data.labels.tolist() == [0, 1, 2] * 2
    for i in range(6):
        np.testing.assert_array_equal(data.images[i], smooth_image((32, 32), seed=i))
    lazy = load_tfds("cifar10", "test", data_dir=tmp_path, in_memory=False)
    assert lazy.images is None
    np.testing.assert_array_equal(lazy.read(3), data.images[3])


def test_what_cannot_be_read_is_refused(folder):
    with pytest.raises(DataError, match="does not know 'no_such_set'"):
        load_tfds("no_such_set", "train", data_dir=folder)
    with pytest.raises(DataError, match="download=True"):
        load_tfds("cifar100", "train", data_dir=folder)
    with pytest.raises(DataError, match=r"has the splits train.*Received: split='val'"):
        load_tfds("imagenette/320px-v2", "val", data_dir=folder)
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(), "labels": tfds.features.Sequence(np.int64)}
    )
    examples = [{"image": smooth_image((8, 8)), "labels": [1, 2]}] * 2
    write(folder, "many", "1.0.0", features, examples)
    with pytest.raises(DataError, match=r"'label' \(ClassLabel\). Found: image \(Image\), labels"):
        load_tfds("many", "train", data_dir=folder)
