"""No registered class opens a file or a connection, whatever its config says.

Keras makes objects of registered classes from the text in a model file, in its safe mode too.
"""

import importlib
import inspect
import os
import pkgutil
import sys

import keras
import pytest

import detection
import keras_resnet
from tests.detection.small_model import small_model

URL = "https://127.0.0.1:9/weights.safetensors"


def registered():
    """All classes of both packages that Keras knows by name."""
    for package in (keras_resnet, detection):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    objects = keras.saving.get_custom_objects()
    return {
        name: value
        for name, value in objects.items()
        if name.startswith(("keras_resnet>", "detection>")) and inspect.isclass(value)
    }


CLASSES = registered()
# Whole configs by class, of parts of models in use.
MODELS = (
    lambda: small_model(),
    lambda: small_model(
        roi_heads={"cascade": {}, "convolutions": [8], "head_norm": "batch", "hidden": [8]}
    ),
    lambda: keras_resnet.ResNet(
        (1,), width=8, shortcut="avg_pool", stem="deep", norm={"kind": "group", "groups": 4}
    ),
    lambda: keras_resnet.ResNet((1, 1), width=8, block="basic", shortcut="zero_pad"),
    lambda: keras_resnet.ResNet((1, 1), width=8, squeeze_excitation=4, norm="frozen"),
    lambda: keras_resnet.ResNet((1,), width=8, stochastic_depth=0.2, norm="sync_batch"),
    lambda: keras_resnet.ResNet((1,), width=8, block="preact_bottleneck"),
    lambda: keras_resnet.ResNet((1,), width=8, block="preact_basic"),
    lambda: keras_resnet.CifarResNet20(shortcut="highway"),
)


@pytest.fixture(scope="module")
def configs():
    found = {}
    for make in MODELS:
        model = make()
        for layer in (model, *model._flatten_layers()):
            name = keras.saving.get_registered_name(type(layer))
            found.setdefault(name, layer.get_config())
    return found


class Watch:
    """What was opened: every event of Python's audit that names one of the texts."""

    def __init__(self):
        self.texts, self.events = (), []
        sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if not self.texts:
            return
        if event.startswith(("socket.", "urllib.", "subprocess.", "os.system", "ftplib.")) or (
            event.startswith(("open", "os.", "shutil.", "glob."))
            and any(text in str(argument) for text in self.texts for argument in arguments)
        ):
            self.events.append((event, str(arguments)))


WATCH = Watch()


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A function that tries a config; what was accessed meanwhile ends in `WATCH.events`."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    WATCH.events.clear()

    def refused(name, real):
        def instead(*arguments, **options):
            if any(text in str(a) for text in WATCH.texts for a in arguments):
                WATCH.events.append((name, str(arguments)))
            return real(*arguments, **options)

        return instead

    # These are not part of Python's audit.
    for name in ("stat", "lstat", "access"):
        monkeypatch.setattr(os, name, refused(name, getattr(os, name)))
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        for name in ("GFile", "exists", "isdir", "glob", "listdir", "stat"):
            monkeypatch.setattr(
                tf.io.gfile, name, refused(f"gfile.{name}", getattr(tf.io.gfile, name))
            )

    def try_config(kind, config):
        WATCH.texts = (str(path), URL)
        try:
            kind.from_config(config)
        except Exception:
            pass  # Errors are right; what counts is what was touched before.
        finally:
            WATCH.texts = ()

    return str(path), try_config


def variants(config, text):
    """The config with each of its values in turn replaced by a text, inside dicts and lists too."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield {**config, key: text}
            for changed in variants(value, text):
                yield {**config, key: changed}
    elif isinstance(config, (list, tuple)):
        for i, value in enumerate(config[:3]):
            yield [*config[:i], text, *config[i + 1 :]]
            for changed in variants(value, text):
                yield [*config[:i], changed, *config[i + 1 :]]


def config_of(kind, name, configs):
    """A config of the class: of a model in use, or of its constructor's arguments."""
    named = {}
    # A class that hands its arguments on has those of the classes that it is one of.
    for base in reversed(kind.__mro__[: kind.__mro__.index(object)]):
        for p in inspect.signature(base.__init__).parameters.values():
            if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                named[p.name] = None if p.default is p.empty else p.default
    return {**named, **configs.get(name, {})}


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_from_config_opens_nothing(name, configs, watched):
    path, try_config = watched
    config = config_of(CLASSES[name], name, configs)
    tried = 0
    for text in (path, URL):
        for changed in variants(config, text):
            # The whole of a detector's parts is tried with their own classes.
            if name != "detection>FasterRCNN" or any(v == text for v in changed.values()):
                try_config(CLASSES[name], changed)
                tried += 1
    assert tried >= 2
    assert WATCH.events == []


def test_an_access_is_seen(watched):
    path, try_config = watched

    class Opens:
        @classmethod
        def from_config(cls, config):
            with open(config["path"], "rb") as file:
                file.read()

    class Connects:
        @classmethod
        def from_config(cls, config):
            import socket

            socket.create_connection(("127.0.0.1", 9), timeout=1)

    try_config(Opens, {"path": path})
    assert [event for event, _ in WATCH.events] == ["open"]
    try_config(Connects, {"path": URL})
    assert "socket.connect" in [event for event, _ in WATCH.events]


def test_models_in_use_cover_the_layers(configs):
    """Most classes are tried with every value they really get."""
    layers = {name for name, kind in CLASSES.items() if issubclass(kind, keras.layers.Layer)}
    assert len(CLASSES) >= 30
    assert len(layers & set(configs)) >= 20
