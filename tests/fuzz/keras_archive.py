"""`.keras` files: bytes of a file, or a sound description that is spoiled."""

import io
import json
import tempfile
import zipfile
from pathlib import Path

import keras

from keras_resnet.resnet import ResNet
from keras_resnet.untrusted import keras_file
from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.weights import files
from tests.fuzz.choices import Choices

_KEPT = tempfile.TemporaryDirectory()
_PATH = Path(_KEPT.name, "a.keras")
MUTATIONS = 20  # without a fuzzer; some of them build a model


def _members(model):
    model.save(_PATH)
    with zipfile.ZipFile(_PATH) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


_NETWORK = _members(ResNet((1,), width=1, block="basic", classes=1, name="net"))
_LAYERS = _members(keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")]))


def _archive(members, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


# The first byte says whether the rest is the file or makes choices.
SEEDS = [b"\0" + _archive(_LAYERS), b"\0" + _archive(_LAYERS, zipfile.ZIP_STORED)]
SEEDS += [b"\0" + _archive({"config.json": "{}"})]
SEEDS += [bytes([1 + i % 2, i, 3 * i, i // 2, i]) for i in range(20)]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    content = data[1:]
    if data[:1] >= b"\1":
        members = _NETWORK if data[0] % 2 else _LAYERS
        described = Choices(data[1:]).spoil(json.loads(members["config.json"]))
        try:
            text = json.dumps(described)
        except (ValueError, OverflowError):
            return
        content = _archive({**members, "config.json": text}, zipfile.ZIP_STORED)
    _PATH.write_bytes(content)
    for read in (
        lambda: files.read_description(str(_PATH)),
        lambda: files.read_keras(str(_PATH)),
        lambda: keras_file.check_model(_PATH),
    ):
        try:
            read()
        except UntrustedFileError as error:
            assert str(error)
    keras.backend.clear_session()
