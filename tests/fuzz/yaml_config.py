"""Configurations: bytes of a file, or a shipped one that is spoiled."""

import copy
import tempfile
from pathlib import Path

import yaml

from detection.config import load_config
from keras_resnet.training.config import dump_config
from keras_resnet.training.config_error import ConfigError
from tests.detection.test_bad_configs import CASES
from tests.fuzz.choices import Choices

_KEPT = tempfile.TemporaryDirectory()
_PATH = Path(_KEPT.name, "config.yaml")
_SOUND = yaml.safe_load(dump_config(load_config("quickstart")))
SEEDS = [b"\0" + case[2].encode() for case in CASES if len(case[2]) < 5000]
SEEDS += [bytes([1, i, 3 * i, i // 2, i]) for i in range(20)]


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    if data[:1] < b"\1":
        _PATH.write_bytes(data[1:])
    else:
        content = Choices(data[1:]).spoil(copy.deepcopy(_SOUND))
        try:
            text = yaml.dump(content, Dumper=yaml.SafeDumper, sort_keys=False).encode()
        except (yaml.YAMLError, ValueError):  # what YAML cannot express
            return
        _PATH.write_bytes(text)
    try:
        config = load_config(str(_PATH))
    except ConfigError as error:
        assert len(str(error)) < 100_000
        return
    # What is written reads back the same.
    _PATH.write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(_PATH)) == config
