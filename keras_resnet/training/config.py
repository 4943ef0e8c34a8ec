"""Configs: YAML files validated against a schema, with overrides from the command line."""

import difflib
import importlib.resources
import pathlib
import re

import pydantic

from keras_resnet.training.config_error import ConfigError
from keras_resnet.training.config_words import describe_errors
from keras_resnet.training.config_yaml import MAX_CHARACTERS, dump, parse

MAX_EXTENDS = 5


class StrictModel(pydantic.BaseModel):
    """Base of config schemas: unknown keys, infinities and NaN are refused.

    Example:
    ```python
    class Optimizer(StrictModel):
        learning_rate: float = 0.1

    class Config(StrictModel):
        optimizer: Optimizer = Optimizer()
        epochs: int = 10

    config = load_config(Config, "my.yaml", overrides=["optimizer.learning_rate=1e-3"])
    ```
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", validate_assignment=True, validate_default=True, allow_inf_nan=False
    )


def available_configs(package):
    """Names of the configs that a package ships in its `configs` folder.

    Args:
        package: name of an importable package, such as `"detection"`.

    Returns:
        Sorted list of names without `.yaml`.
    """
    folder = importlib.resources.files(package) / "configs"
    if not folder.is_dir():
        return []
    return sorted(f.name[: -len(".yaml")] for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_config(schema, source, overrides=(), package=None):
    """Reads a config file, applies overrides and validates the result.

    A file may name one base by `extends: other.yaml` (a file beside it, or a config of the
    package); its own values replace those of the base, mapping by mapping.

    Args:
        schema: subclass of `StrictModel`.
        source: path of a YAML file, or the name of a config of the package, such as
            `"quickstart"`.
        overrides: strings `a.b.c=value`; the value is YAML (`1e-3`, `[1, 2]`, `null`). An index
            into a list counts from 0.
        package: package whose `configs` folder holds named configs, or None.

    Returns:
        An instance of `schema`.

    Raises:
        ConfigError: missing file, malformed YAML, unknown keys, wrong values; the message lists
            every problem.

    Example:
    ```python
    config = load_config(TrainConfig, "quickstart", ["train.epochs=2"], package="detection")
    ```
    """
    values, name = _read(source, package, folder=pathlib.Path(), chain=())
    return _validated(schema, values, overrides, name)


def override_config(config, overrides, name="given"):
    """A copy of a config with some of its values replaced.

    Args:
        config: instance of a `StrictModel`; stays as it is.
        overrides: strings `a.b.c=value`, as for `load_config`.
        name: str, what messages call the config.

    Returns:
        An instance of the same schema.

    Raises:
        ConfigError: unknown keys, wrong values; the message lists every problem.

    Example:
    ```python
    longer = override_config(config, ["train.epochs=24"])
    ```
    """
    return _validated(type(config), config.model_dump(mode="json"), overrides, name)


def dump_config(config):
    """The complete config as YAML, defaults included; `load_config` reads it back equal.

    Args:
        config: instance of a `StrictModel`.

    Returns:
        str.
    """
    return dump(config.model_dump(mode="json"))


def _validated(schema, values, overrides, name):
    for override in overrides:
        _override(values, override)
    try:
        return schema.model_validate(values)
    except pydantic.ValidationError as error:
        problems = describe_errors(schema, error.errors(include_url=False))
    except RecursionError:
        problems = ["nested too deeply"]
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "\n".join(f"  {p}" for p in dict.fromkeys(problems))
    raise ConfigError(f"{count} in the config {name}:\n{lines}")


def _read(source, package, folder, chain):
    """Returns (values of the file merged over its bases, its name)."""
    file = _find(str(source), package, folder)
    name = str(file)
    if name in chain or len(chain) >= MAX_EXTENDS:
        raise ConfigError(f"`extends` goes in a circle or too far: {' -> '.join([*chain, name])}.")
    try:
        with file.open("rb") as stream:
            # One byte over the bound is enough for `parse` to refuse.
            text = stream.read(4 * MAX_CHARACTERS + 1).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"{name} is not UTF-8 text.") from None
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.") from None
    values = parse(text, name)
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{name} must hold `key: value` pairs, not a {type(values).__name__}.")
    base = values.pop("extends", None)
    if base is None:
        return values, name
    if not isinstance(base, str):
        raise ConfigError(f"`extends` in {name} must be one file name. Received: {base!r}")
    parent = file.parent if isinstance(file, pathlib.Path) else pathlib.Path()
    base_values, _ = _read(base, package, parent, (*chain, name))
    return _merge(base_values, values), name


def _find(source, package, folder):
    named = None
    bare = re.fullmatch(r"[\w.-]+", source) is not None
    if package and bare:
        stem = source.removesuffix(".yaml")
        if stem in available_configs(package):
            named = importlib.resources.files(package) / "configs" / f"{stem}.yaml"
    path = folder / source
    # A bare word means the shipped config, even if a folder or file here has the same name.
    if named is not None and not (source.endswith(".yaml") and path.is_file()):
        return named
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(_of_folder(path))
    message = f"There is no config file {str(path)!r}."
    names = available_configs(package) if package else []
    if names:
        lower = {name.lower(): name for name in names}
        close = difflib.get_close_matches(source.removesuffix(".yaml").lower(), lower, n=1)
        hint = f" Did you mean {lower[close[0]]!r}?" if close else ""
        message += f"{hint} Configs of the package {package!r}: {', '.join(names)}."
    # Only here: it brings the readers of images with it.
    from keras_resnet.data.missing_paths import tried

    raise ConfigError(f"{message}\n{tried(path)}")


def _of_folder(path):
    """What to give in place of a folder: the configuration in it, or the option for its data."""
    inside = path / "config.yaml"
    instead = f"its configuration: {inside}" if inside.is_file() else f"its data: --data {path}"
    return f"{path} is a folder, not a configuration. Give {instead}\nReceived: {str(path)!r}"


def _merge(base, values):
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _override(values, text):
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"An override must look like a.b.c=value. Received: {text!r}")
    value = parse(value, f"The value of the override {text!r}")
    target = values
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(target, list):
            if not part.isdecimal() or int(part) >= len(target):
                raise ConfigError(
                    f"{'.'.join(parts[:depth])} is a list of {len(target)}; address its items by "
                    f"0 to {len(target) - 1}. Received: {text!r}"
                )
            part = int(part)
        elif not isinstance(target, dict):
            raise ConfigError(
                f"{'.'.join(parts[:depth])} is a single value and has no key {part!r}. "
                f"Received: {text!r}"
            )
        if last:
            target[part] = value
        elif isinstance(target, dict):
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
        else:
            target = target[part]
