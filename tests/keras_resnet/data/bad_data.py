"""Labelled images as they come: each with what becomes of it. Also the source of a table."""

import io
import pickle
import struct
import tarfile
import zipfile
from typing import NamedTuple

import numpy as np

from tests.keras_resnet.data.test_cifar import batch, binary_files, python_files

IMAGES = np.zeros((4, 8, 8, 3), "uint8")
LABELS = np.arange(4)


class Case(NamedTuple):
    """A file that is refused.

    Args:
        what: str, the input.
        reason: pattern of the message.
        content: function without arguments that returns the bytes of the file.
    """

    what: str
    reason: str
    content: object


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **{"x_train": IMAGES, "y_train": LABELS, **arrays})
    return buffer.getvalue()


def zipped(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, **options)
    return buffer.getvalue()


def npy(shape, content=b"", dtype="|u1"):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + content


def flipped():
    content = bytearray(npz())
    content[300] ^= 255
    return bytes(content)


NPZ = [
    Case("array of objects (a pickle)", "allow_pickle=False", lambda: npz(y_train=[{}] * 4)),
    Case("pickle", "not a readable", lambda: pickle.dumps([1, 2])),
    Case("empty file", "not a readable", lambda: b""),
    Case("cut off", "not a readable", lambda: npz()[:-99]),
    Case("flipped byte", "not a readable", flipped),
    Case("labels as text", "one integer", lambda: npz(y_train=["a"] * 4)),
    Case("labels with decimals", "one integer", lambda: npz(y_train=LABELS / 2)),
    Case("negative label", "outside", lambda: npz(y_train=LABELS - 1)),
    Case("label of 10^12", "more than", lambda: npz(y_train=[1, 2, 3, 10**12])),
    Case("fewer labels than images", "shape", lambda: npz(y_train=LABELS[:3])),
    Case("images with decimals", "uint8", lambda: npz(x_train=IMAGES / 2)),
    Case("no images", "no images", lambda: npz(x_train=IMAGES[:0], y_train=LABELS[:0])),
    Case("other names of arrays", "no array x_train", lambda: zipped({"a.npy": npy((1,), b"1")})),
    Case(
        "300 MB of zeros in 300 KB",
        "unpacks from",
        lambda: zipped({"x_train.npy": bytes(300_000_000), "y_train.npy": b""}),
    ),
    Case(
        "header that promises 10^15 bytes",
        "not a readable",
        lambda: zipped({"x_train.npy": npy((10**15,)), "y_train.npy": npy((1,), b"1")}),
    ),
    Case(
        "header of 9,000 brackets",
        "not a readable",
        lambda: zipped({"x_train.npy": npy("(" * 9000), "y_train.npy": npy((1,), b"1")}),
    ),
]


def pickled(content):
    """CIFAR-10's python version with another file in the place of the test images."""
    return {**python_files(), "test_batch": content}


def with_array(state):
    """A pickle of the published form whose array is described by `state`."""

    class Described:
        def __reduce__(self):
            return np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), state

    return pickle.dumps({b"data": Described(), b"labels": [1]}, 2)


UINT8 = np.dtype("uint8")


CIFAR = [
    Case("an object of another class", "NEWOBJ", lambda: pickle.dumps(zipfile.ZipInfo())),
    Case("the array of protocol 5", "asks for", lambda: pickle.dumps(batch([0]), 5)),
    Case("object number 2^31", "numbers an object", lambda: b"\x80\x02}r\xff\xff\xff\x7f."),
    Case("persistent id", "opcode", lambda: b"\x80\x02Pid\n."),
    Case("registered extension", "opcode", lambda: b"\x80\x02\x82\x01."),
    Case("text of 2^40 bytes", "test_batch", lambda: b"\x80\x04\x8d" + bytes(5) + b"\1\0\0."),
    Case(
        "1,000,000 lists deep",
        "holds no dict",
        lambda: b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    ),
    Case(
        "array larger than its data",
        "does not hold",
        lambda: with_array((1, (1, 3072), UINT8, False, b"short")),
    ),
    Case(
        "array of 2^60 rows",
        "does not hold",
        lambda: with_array((1, (2**60, 3072), UINT8, False, b"x")),
    ),
    Case(
        "array of objects",
        "does not hold",
        lambda: with_array((1, (1, 3072), np.dtype("O"), False, [1] * 3072)),
    ),
    Case(
        "array of `'a' * 10^15` rows",
        "does not hold",
        lambda: with_array((1, ("a", 10**15), UINT8, False, b"x")),
    ),
    Case(
        "label of 400 digits",
        "does not hold",
        lambda: pickle.dumps({**batch([0]), b"labels": [10**400]}, 2),
    ),
    Case("array without parts", "does not hold", lambda: with_array({"a": 1})),
    Case("cut off", "test_batch", lambda: pickle.dumps(batch([0]), 2)[:-50]),
    Case("empty file", "test_batch", lambda: b""),
]


def archived(*members):
    """A tar archive of CIFAR-10's binary version without test images, and these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in binary_files().items():
            if name != "test_batch.bin":
                add(archive, tarfile.TarInfo(f"cifar/{name}"), content)
        for member in members:
            add(archive, *member)
    return buffer.getvalue()


def add(archive, member, content=b""):
    if content:
        member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def link(kind, target, name="cifar/test_batch.bin"):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return (member,)


def long_name():
    """A member whose name in front of it has 600 MB."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 600_000_000
    return member.tobuf(tarfile.GNU_FORMAT) + b"a" * 1000


ARCHIVES = [
    Case(
        "link to a file outside",
        "holds no CIFAR-10 test set",
        lambda: archived(link(tarfile.SYMTYPE, "/etc/passwd")),
    ),
    Case(
        "hard link to a file outside",
        "holds no CIFAR-10 test set",
        lambda: archived(link(tarfile.LNKTYPE, "/etc/passwd")),
    ),
    Case("name of 600 MB", "larger than", long_name),
    Case("cut off", "not a readable", lambda: archived()[:-5000]),
    Case("no archive", "not a readable", lambda: b"\x1f\x8bno archive"),
]


def rows():
    """Rows of the table: source, input, outcome."""
    for source, cases in ((".npz", NPZ), ("CIFAR pickle", CIFAR), ("CIFAR archive", ARCHIVES)):
        for case in cases:
            yield source, case.what, "refused, named"
    yield "CIFAR archive", "members `../x` and `/x`", "accepted: read in memory, never written"
