"""Config files: what is accepted, and how clearly the rest is refused."""

import sys
from typing import Literal

import pytest
import yaml

from keras_resnet.training.config import (
    ConfigError,
    StrictModel,
    available_configs,
    dump_config,
    load_config,
)


class Step(StrictModel):
    kind: Literal["step"] = "step"
    boundaries: tuple[int, ...] = (60000, 80000)


class Optimizer(StrictModel):
    learning_rate: float = 0.02
    weight_decay: float | None = 1e-4
    schedule: Step | None = Step()


class Stage(StrictModel):
    blocks: int = 2
    width: int = 64


class Config(StrictModel):
    name: str = "run"
    steps: int = 100
    jit: bool | Literal["auto"] = "auto"
    optimizer: Optimizer = Optimizer()
    stages: tuple[Stage, ...] = ()


@pytest.fixture
def write(tmp_path):
    def write(text, name="c.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A throw-away package with two configs in it."""
    folder = tmp_path / "some_package" / "configs"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "quickstart.yaml").write_text("steps: 7\noptimizer: {learning_rate: 1e-3}\n")
    (folder / "voc.yaml").write_text("extends: quickstart.yaml\nname: voc\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "some_package"
    sys.modules.pop("some_package", None)


def test_values_defaults_and_overrides(write):
    path = write("steps: 5\noptimizer:\n  learning_rate: 5e-2\n")
    config = load_config(
        Config,
        path,
        [
            "optimizer.weight_decay=null",
            "optimizer.schedule.boundaries=[10, 20]",
            "name=no",
            "jit=true",
            "steps=12",
        ],
    )
    assert config.steps == 12
    assert config.optimizer.learning_rate == 0.05
    assert config.optimizer.weight_decay is None
    assert config.optimizer.schedule.boundaries == (10, 20)
    assert config.name == "no"
    assert config.jit is True


@pytest.mark.parametrize("text, value", [("1e-3", 1e-3), ("2E5", 2e5), (".5", 0.5), ("3", 3.0)])
def test_numbers_that_yaml_1_1_reads_as_text(write, text, value):
    override = f"optimizer.learning_rate={text}"
    assert load_config(Config, write(""), [override]).optimizer.learning_rate == value


@pytest.mark.parametrize("text", ["no", "on", "1:30", "2024-01-01", "0x1F"])
def test_words_stay_words(write, text):
    assert load_config(Config, write(f"name: {text}\n")).name == text


def test_override_of_a_list_item_and_of_a_missing_branch(write):
    path = write("stages: [{blocks: 1}, {blocks: 2}]\noptimizer: null\n")
    config = load_config(Config, path, ["stages.1.width=32", "optimizer.learning_rate=1"])
    assert [s.width for s in config.stages] == [64, 32]
    assert config.optimizer.learning_rate == 1.0


def test_nearest_valid_key_is_named(write):
    path = write("stepps: 3\noptimizer: {lerning_rate: 1, schedule: {boundarys: [1]}}\n")
    with pytest.raises(ConfigError) as error:
        load_config(Config, path, ["learning_rate=3", "stages=[{wdith: 1}]", "zzz=1"])
    lines = str(error.value).splitlines()
    assert lines[0] == f"6 problems in the config {path}:"
    assert set(lines[1:]) == {
        "  stepps: unknown key; did you mean steps?",
        "  optimizer.lerning_rate: unknown key; did you mean optimizer.learning_rate?",
        "  optimizer.schedule.boundarys: unknown key; did you mean optimizer.schedule.boundaries?",
        "  learning_rate: unknown key; did you mean optimizer.learning_rate?",
        "  stages.0.wdith: unknown key; did you mean stages.0.width?",
        "  zzz: unknown key; valid keys here: jit, name, optimizer, stages, steps",
    }


@pytest.mark.parametrize(
    "override, message",
    [
        ("steps=abc", "steps: must be a whole number. Received: 'abc'"),
        ("steps=1.5", "steps: must be a whole number. Received: 1.5"),
        ("steps=null", "steps: must be a whole number. Received: null"),
        ("name=3", "name: must be text, in quotes where it looks like something else: '3'."),
        ("jit=maybe", "jit: must be true or false, or 'auto'. Received: 'maybe'"),
        ("jit={a: 1}", "jit: must be true or false, or 'auto'. Received: {'a': 1}"),
        ("optimizer=3", "optimizer: must be a section of keys (learning_rate, weight_decay, sche"),
        ("optimizer.schedule=3", "section of keys (kind, boundaries) or null. Received: 3"),
        ("optimizer.learning_rate=.inf", "learning_rate: must be a finite number. Received: inf"),
        ("optimizer.weight_decay=a", "weight_decay: must be a number or null. Received: 'a'"),
        (
            "optimizer.schedule.boundaries=abc",
            "must be a list of whole numbers such as [60000, 80000]. Received: 'abc'",
        ),
        (
            "optimizer.schedule.boundaries=[a]",
            "boundaries.0: must be a whole number. Received: 'a'",
        ),
        ("optimizer.schedule.kind=cosine", "kind: must be 'step'. Received: 'cosine'"),
        ("stages=abc", "stages: must be a list of items. Received: 'abc'"),
        ("stages=[abc]", "stages.0: must be a section of keys (blocks, width). Received: 'abc'"),
    ],
)
def test_plain_words(write, override, message):
    with pytest.raises(ConfigError) as error:
        load_config(Config, write("steps: 1"), [override])
    (line,) = str(error.value).splitlines()[1:]
    assert message in line and "Received: " in line


def test_every_wrong_value_in_one_message(write):
    path = write("steps: ten\noptimizer: {learning_rate: .nan, weight_decay: [1]}\nstages: 3\n")
    with pytest.raises(ConfigError) as error:
        load_config(Config, path)
    message = str(error.value)
    assert isinstance(error.value, ValueError)
    for key, received in (
        ("steps", "'ten'"),
        ("optimizer.learning_rate", "nan"),
        ("optimizer.weight_decay", "[1]"),
        ("stages", "3"),
    ):
        (line,) = [x for x in message.splitlines() if x.startswith(f"  {key}: ")]
        assert line.endswith(f"Received: {received}")


def test_shipped_configs_by_name_and_extends(package):
    assert available_configs(package) == ["quickstart", "voc"]
    assert load_config(Config, "quickstart", package=package).steps == 7
    config = load_config(Config, "voc.yaml", ["optimizer.weight_decay=0"], package=package)
    assert (config.name, config.steps) == ("voc", 7)
    assert config.optimizer == Optimizer(learning_rate=1e-3, weight_decay=0.0)


def test_own_file_extends_a_shipped_one(package, write):
    path = write("extends: quickstart\noptimizer: {weight_decay: 0.5}\n")
    config = load_config(Config, path, package=package)
    assert config.optimizer == Optimizer(learning_rate=1e-3, weight_decay=0.5)


def test_missing_config_lists_the_shipped_ones(package):
    with pytest.raises(ConfigError, match=r"Did you mean 'quickstart'.*: quickstart, voc"):
        load_config(Config, "quikstart", package=package)
    with pytest.raises(ConfigError, match="Did you mean 'voc'"):
        load_config(Config, "VOC", package=package)
    with pytest.raises(ConfigError, match=r"no config file '.*missing\.yaml'"):
        load_config(Config, "missing.yaml")


def test_extends_in_a_circle(write):
    write("extends: b.yaml", "a.yaml")
    path = write("extends: a.yaml", "b.yaml")
    with pytest.raises(ConfigError, match="circle"):
        load_config(Config, path)


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nname: *c\n"


@pytest.mark.parametrize(
    "text, message",
    [
        (BOMB, "aliases"),
        ("steps: 1\nsteps: 2\n", "'steps' appears twice"),
        ("steps: [1\n", "not valid YAML"),
        ("name: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("[1, 2]", "must hold `key: value` pairs, not a list"),
        ("name: " + "[" * 5000, "nested too deeply"),
        ("name: " + "x" * 1_000_001, "larger than"),
        ("? [1]\n: 2\n", "keys must be plain"),
        ("extends: [a, b]\n", "must be one file name"),
        ("3: x\n", "3: "),
    ],
)
def test_refused_files(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(Config, write(text))


@pytest.mark.parametrize("override", ["steps", "=3", "a..b=1", "steps.x=1", "stages.5.width=1"])
def test_refused_overrides(write, override):
    with pytest.raises(ConfigError, match="Received"):
        load_config(Config, write("stages: [{}]\nsteps: 2\n"), [override])


def test_not_utf8(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(Config, tmp_path / "c.yaml")


@pytest.mark.parametrize("name", ["1e-3", "no", "1:30", "null", "a: b", "ü #x", "010", "true", ""])
def test_dump_is_complete_and_reads_back(write, name):
    optimizer = Optimizer(learning_rate=1e-5, weight_decay=None)
    config = Config(name=name, optimizer=optimizer, stages=(Stage(), Stage(width=3)))
    text = dump_config(config)
    assert load_config(Config, write(text)) == config
    # Any other YAML reader sees the same values.
    assert yaml.safe_load(text) == {
        "name": name,
        "steps": 100,
        "jit": "auto",
        "optimizer": {
            "learning_rate": 1e-5,
            "weight_decay": None,
            "schedule": {"kind": "step", "boundaries": [60000, 80000]},
        },
        "stages": [{"blocks": 2, "width": 64}, {"blocks": 2, "width": 3}],
    }
    assert "boundaries: [60000, 80000]" in text


def test_assignments_stay_validated():
    config = Config()
    with pytest.raises(ValueError, match="steps"):
        config.steps = "many"
