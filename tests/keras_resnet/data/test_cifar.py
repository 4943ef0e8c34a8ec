"""CIFAR files in the layouts of cs.toronto.edu/~kriz/cifar.html, written here byte by byte."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from keras_resnet.data.cifar import load_cifar

NAMES = ["airplane", "automobile", "bird", "cat", "deer"]
NAMES += ["dog", "frog", "horse", "ship", "truck"]
FINE = [f"fine_{i:02}" for i in range(100)]
PER_FILE = 3


def image(number):
    """Row, column and channel can be told from every pixel."""
    y, x, c = np.indices((32, 32, 3))
    return ((7 * y + 3 * x + 90 * c + 11 * number) % 256).astype("uint8")


def row(number):
    """ "The first 1024 entries contain the red channel values, ... stored in row-major order"."""
    return b"".join(image(number)[:, :, channel].tobytes() for channel in range(3))


def label(number, classes=10):
    return (3 * number + 1) % classes


def batch(numbers, classes=10):
    data = np.stack([np.frombuffer(row(n), "uint8") for n in numbers])
    if classes == 10:
        return {b"batch_label": b"x", b"data": data, b"labels": [label(n) for n in numbers]}
    coarse = [label(n, 20) for n in numbers]
    return {b"data": data, b"fine_labels": [label(n, 100) for n in numbers], b"coarse": coarse}


def numbers_of(position):
    return range(PER_FILE * position, PER_FILE * (position + 1))


def python_files(classes=10, protocol=2):
    # Six files of CIFAR-10, the sixth the test set; two of CIFAR-100.
    if classes == 10:
        names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
        meta = ("batches.meta", {b"label_names": [n.encode() for n in NAMES]})
    else:
        names, meta = ["train", "test"], ("meta", {b"fine_label_names": [n.encode() for n in FINE]})
    files = {name: batch(numbers_of(i), classes) for i, name in enumerate(names)}
    files[meta[0]] = meta[1]
    return {name: pickle.dumps(value, protocol) for name, value in files.items()}


def binary_files(classes=10):
    if classes == 10:
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        text = ("batches.meta.txt", "\n".join(NAMES) + "\n\n")
    else:
        names, text = ["train.bin", "test.bin"], ("fine_label_names.txt", "\n".join(FINE) + "\n")
    files = {}
    for i, name in enumerate(names):
        content = b""
        for n in numbers_of(i):
            labels = [label(n)] if classes == 10 else [label(n, 20), label(n, 100)]
            content += bytes(labels) + row(n)
        files[name] = content
    files[text[0]] = text[1].encode()
    return files


def place(tmp_path, files, how):
    folder = {"folder": tmp_path, "nested": tmp_path / "cifar-10-batches-py"}.get(how)
    if folder is not None:
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return tmp_path
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-batches/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("how", ["folder", "nested", "archive"])
@pytest.mark.parametrize("version", [python_files, binary_files])
@pytest.mark.parametrize("classes", [10, 100])
def test_published_layouts(tmp_path, how, version, classes):
    path = place(tmp_path, version(classes), how)
    train, test = (load_cifar(path, split, classes) for split in ("train", "test"))
    files = 5 if classes == 10 else 1
    for data, numbers in (
        (train, range(files * PER_FILE)),
        (test, numbers_of(files)),
    ):
        assert data.class_names == tuple(NAMES if classes == 10 else FINE)
        assert data.labels.tolist() == [label(n, classes) for n in numbers]
        np.testing.assert_array_equal(data.images, [image(n) for n in numbers])
        assert data.images.flags.c_contiguous
    assert train.summary() == f"CIFAR-{classes} train: {files * PER_FILE} images, {classes} classes"


@pytest.mark.parametrize("protocol", range(5))
def test_every_pickle_protocol(tmp_path, protocol):
    data = load_cifar(place(tmp_path, python_files(protocol=protocol), "folder"), "test")
    np.testing.assert_array_equal(data.images[0], image(5 * PER_FILE))


def test_python_2_pickles_as_published(tmp_path):
    """Texts are byte strings there and the array's constructor has its name of 2009."""
    files = python_files()
    data = batch(numbers_of(5))[b"data"]
    state = pickle.dumps(data, 2)
    # The opcodes of Python 2's cPickle: SHORT_BINSTRING keys, as in the real files.
    content = b"\x80\x02}(U\x04data" + state[2:-1] + b"U\x06labels]("
    content += b"".join(b"K" + bytes([label(n)]) for n in numbers_of(5)) + b"eu."
    content = content.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
    files["test_batch"] = content
    found = load_cifar(place(tmp_path, files, "folder"), "test")
    np.testing.assert_array_equal(found.images, [image(n) for n in numbers_of(5)])
    assert found.labels.tolist() == [label(n) for n in numbers_of(5)]


class Bomb:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "bomb",
    [
        Bomb(os.system, "touch exploded"),
        Bomb(eval, "open('exploded', 'w')"),
        Bomb(np.load, "x.npy"),
        Bomb(getattr, "text", "upper"),
    ],
    ids=["system", "eval", "numpy", "getattr"],
)
@pytest.mark.parametrize("where", ["test_batch", "batches.meta"])
def test_malicious_pickles_are_refused(tmp_path, monkeypatch, bomb, where):
    monkeypatch.chdir(tmp_path)
    files = python_files()
    files[where] = pickle.dumps({b"data": bomb, b"label_names": bomb})
    with pytest.raises(ValueError, match=rf"{where} is not a file of the CIFAR.*it asks for"):
        load_cifar(place(tmp_path, files, "folder"), "test")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "name, content",
    [
        ("test_batch", b""),
        ("test_batch", b"no pickle"),
        ("test_batch", python_files()["test_batch"][:-400]),
        ("test_batch", pickle.dumps([1, 2])),
        ("test_batch", pickle.dumps({b"labels": [1]})),
        ("test_batch", pickle.dumps({b"data": batch([0])[b"data"], b"labels": 1})),
        ("test_batch", pickle.dumps({b"data": batch([0])[b"data"], b"labels": ["a"]})),
        ("test_batch", pickle.dumps({b"data": batch([0])[b"data"], b"labels": np.array([1, 2])})),
        ("test_batch", pickle.dumps({b"data": batch([0])[b"data"] / 2, b"labels": [1]})),
        ("batches.meta", pickle.dumps({b"other": [b"a"]})),
        ("batches.meta", pickle.dumps({b"label_names": [1, 2]})),
        ("batches.meta", pickle.dumps({b"label_names": 3})),
    ],
)
def test_files_that_hold_something_else(tmp_path, name, content):
    files = python_files()
    files[name] = content
    with pytest.raises(ValueError, match=rf"^{name} "):
        load_cifar(place(tmp_path, files, "folder"), "test")


def test_labels_outside_the_classes(tmp_path):
    files = binary_files()
    files["test_batch.bin"] = bytes([10]) + row(0)
    with pytest.raises(ValueError, match=r"CIFAR-10 test.*label 10"):
        load_cifar(place(tmp_path, files, "folder"), "test")


def test_cut_binary(tmp_path):
    files = binary_files()
    files["test_batch.bin"] = files["test_batch.bin"][:-1]
    path = place(tmp_path, files, "folder")
    with pytest.raises(ValueError, match=rf"3073 bytes. Received: {3 * 3073 - 1} bytes"):
        load_cifar(path, "test")
    assert len(load_cifar(path / "data_batch_1.bin", "train")) == 15


def test_what_is_missing(tmp_path):
    files = python_files()
    del files["data_batch_3"]
    path = place(tmp_path, files, "folder")
    with pytest.raises(ValueError, match=r"no CIFAR-10 train set.*data_batch_3.*found: batches"):
        load_cifar(path, "train")
    with pytest.raises(ValueError, match="no CIFAR-100 test set"):
        load_cifar(path, "test", classes=100)
    (path / "batches.meta").unlink()
    with pytest.raises(ValueError, match=r"batches\.meta is missing"):
        load_cifar(path, "test")
    with pytest.raises(ValueError, match="no folder or file"):
        load_cifar(tmp_path / "nowhere", "test")
    with pytest.raises(ValueError, match="split='val'"):
        load_cifar(path, "val")
    with pytest.raises(ValueError, match="classes=20"):
        load_cifar(path, "test", classes=20)
    (tmp_path / "c.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="not a readable tar archive"):
        load_cifar(tmp_path / "c.tar.gz", "test")
    whole = place(tmp_path, python_files(), "archive").read_bytes()
    (tmp_path / "d.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable tar archive"):
        load_cifar(tmp_path / "d.tar.gz", "test")


def test_npz_instead(tmp_path):
    images = np.stack([image(0), image(1)])
    np.savez(tmp_path / "c.npz", x_test=images, y_test=[3, 9], x_train=images, y_train=[0, 1])
    data = load_cifar(tmp_path / "c.npz", "test")
    np.testing.assert_array_equal(data.images, images)
    assert len(data.class_names) == 10
