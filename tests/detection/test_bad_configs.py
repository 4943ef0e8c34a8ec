"""Configurations of strangers: each refused with a message, and nothing in them is run."""

import os
import re
import socket
import subprocess
import typing

import pydantic
import pytest

from detection.config import Config, load_config
from keras_resnet.classification.config import ClassifierConfig, load_classifier_config
from keras_resnet.training.config_error import ConfigError
from keras_resnet.training.config_yaml import MAX_CHARACTERS

BASE = "extends: quickstart\n"


def bomb(levels=12):
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines)


# What it is, a pattern of the message, the text.
CASES = [
    ("object of Python", "tags", BASE + "run: !!python/object/apply:os.system ['touch exploded']"),
    ("name of Python", "tags", BASE + "run: !!python/name:os.system"),
    ("module of Python", "tags", BASE + "!!python/module:os : 1"),
    ("tag of its own", "tags", BASE + "run: !run {name: a}"),
    ("tag of plain YAML that does not fit", "tags", BASE + "run: !!timestamp a"),
    ("binary tag", "tags", BASE + "run: !!binary aGk="),
    ("tag on the whole file", "tags", "!!set {extends, run}"),
    ("bomb of aliases", "aliases", bomb()),
    ("alias of itself", "aliases", "a: &a [*a]"),
    ("merge key", "aliases", "a: &a {b: 1}\nc:\n  <<: *a"),
    ("100,000 brackets deep", "nested too deeply", "a: " + "[" * 100_000),
    ("100,000 maps deep", "nested too deeply", "a: " + "{a: " * 100_000),
    ("5 MB", f"larger than {MAX_CHARACTERS}", BASE + "#" * 5_000_000),
    ("key twice", "appears twice", BASE + "run: {name: a, name: b}"),
    ("list as a key", "keys must be", BASE + "? [a]\n: b"),
    ("cut off", "not valid YAML", BASE + "run: {name: "),
    ("control character", "not valid YAML", BASE + "run: \x01"),
    ("number of 5000 digits", "not valid YAML", BASE + "train: {steps: " + "9" * 5000 + "}"),
    ("a list", "must hold", "- a\n- b"),
    ("a word", "must hold", "a"),
    ("unknown key", r"run\.nmae: unknown key; did you mean run\.name", BASE + "run: {nmae: a}"),
    ("text for a number", r"train\.steps: .*Received: 'many'", BASE + "train: {steps: many}"),
    ("list for a section", r"run: .*Received: \[1\]", BASE + "run: [1]"),
    ("list for a name", r"model\.architecture", BASE + "model: {architecture: [1]}"),
    ("section for a number", r"train\.steps: .*Received: \{", BASE + "train: {steps: {a: 1}}"),
    ("negative number", r"data\.max_bad_images", BASE + "data: {max_bad_images: -1}"),
    ("infinity", r"train\.learning_rate", BASE + "train: {learning_rate: .inf}"),
    ("not a number", r"train\.learning_rate", BASE + "train: {learning_rate: .nan}"),
    ("base that is a list", "must be one file name", "extends: [quickstart]"),
    ("base that is no file", "no config file", "extends: /dev/zero"),
    ("base that is no YAML", "must hold|not valid YAML", "extends: /etc/passwd"),
    ("`download:` with a command", "download: unknown key", BASE + "download: touch exploded"),
    ("`download:` with a script", "download: unknown key", BASE + "download: |\n  import os\n"),
    (
        "`data.download` with a command",
        r"data\.download",
        BASE + "data: {format: tfds, download: 'touch exploded'}",
    ),
    (
        "`data.download` with an address",
        r"data\.download",
        BASE + "data: {format: tfds, download: 'https://127.0.0.1:9/a.zip'}",
    ),
]


@pytest.fixture
def nothing_runs(monkeypatch, tmp_path):
    """Commands, processes and the network raise an error that no reader catches."""

    class Ran(BaseException):
        pass

    def refused(*arguments, **options):
        raise Ran(arguments)

    for module, names in (
        (os, ("system", "popen", "execv", "fork", "posix_spawn")),
        (subprocess, ("Popen", "run")),
        (socket, ("socket", "create_connection")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refused)
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(("reason", "text"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_refused(tmp_path, reason, text, nothing_runs):
    path = tmp_path / "data.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        load_config(str(path))
    assert "data.yaml" in str(caught.value) or "extends" in text
    assert len(str(caught.value)) < 3000


def test_no_utf8(tmp_path, nothing_runs):
    (tmp_path / "a.yaml").write_bytes(b"run: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("text", ["train.steps=!!python/name:os.system", "run.name=*a", "run=&a b"])
def test_overrides_are_read_by_the_same_rules(text, nothing_runs):
    with pytest.raises(ConfigError):
        load_config("quickstart", [text])


def lists_of(schema, prefix=""):
    """Keys of a schema that take lists of plain values."""
    for name, field in schema.model_fields.items():
        kinds = [field.annotation, *typing.get_args(field.annotation)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
                yield from lists_of(kind, f"{prefix}{name}.")
        if any(typing.get_origin(kind) is tuple for kind in kinds):
            yield prefix + name


def refusal(load, source, override):
    with pytest.raises(ConfigError) as caught:
        load(source, [override])
    return str(caught.value)


@pytest.mark.parametrize(
    ("schema", "load", "source", "fewest"),
    [
        (Config, load_config, "quickstart", 15),
        (ClassifierConfig, load_classifier_config, "finetune", 8),
    ],
)
def test_lists_that_messages_show_are_taken(schema, load, source, fewest):
    keys = sorted(set(lists_of(schema)))
    assert len(keys) >= fewest
    for key in keys:
        message = refusal(load, source, f"{key}=abc")
        assert f"  {key}: " in message and message.endswith("Received: 'abc'"), message
        example = re.search(r"such as (\[.*?\]+)(, or null| or null|\. )", message)[1]
        try:
            load(source, [f"{key}={example}"])
        except ConfigError as error:
            # It may contradict other keys, but is of the right kind.
            assert f"{key}" not in str(error) or "must be a" not in str(error), error


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "model.rpn.anchor_sizes=[16, 32, 64]",
            "model.rpn.anchor_sizes: must be a list of lists such as [[32], [64], [128], [256], "
            "[512]]. Received: 16, 32, 64",
        ),
        (
            "model.rpn.anchor_sizes=[[16], [32], 64]",
            "model.rpn.anchor_sizes.2: must be a list of numbers such as [128]. Received: 64",
        ),
        (
            "model.rpn.anchor_sizes=[[16], 7, 7, 7, 7, 7, 64]",
            "model.rpn.anchor_sizes: must be a list of lists such as [[32], [64], [128], [256], "
            "[512]]. Received: 7, 7, 7, 7, 7, 64",
        ),
        (
            "model.rpn.anchor_sizes=[[16], [], [], [], [], [], 64]",
            "model.rpn.anchor_sizes.6: must be a list of numbers such as [512]. Received: 64",
        ),
        (
            "model.roi_heads.cascade.box_weights=[[1, 2, 3], [1, 2, 3, 4], [1, 2]]",
            "model.roi_heads.cascade.box_weights.0: must be a list of 4 numbers such as "
            "[10, 10, 5, 5]. Received: [1, 2, 3]",
        ),
        (
            "model.test_time.scales=128",
            "model.test_time.scales: must be a list of whole numbers such as [600, 800, 1000]. "
            "Received: 128",
        ),
    ],
)
def test_examples_are_of_the_key_and_lists_of_lists_one_mistake(override, expected):
    assert refusal(load_config, "quickstart", override).splitlines()[1] == f"  {expected}"


def test_what_else_is_wrong_in_a_list_of_lists_is_told():
    lines = refusal(load_config, "quickstart", "model.rpn.anchor_sizes=[3, 2, [a]]").splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("[512]]. Received: 3, 2")
    assert lines[2] == "  model.rpn.anchor_sizes.2.0: must be a number. Received: 'a'"


def rows():
    """Rows of the table: source, input, outcome."""
    for case in CASES:
        yield "YAML", case[0], "refused, named"
