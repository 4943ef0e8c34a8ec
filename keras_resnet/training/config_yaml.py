"""YAML as configs need it: bounded, without aliases and tags, without YAML 1.1's surprises."""

import re
from typing import ClassVar

import yaml

from keras_resnet.training.config_error import ConfigError

MAX_CHARACTERS = 1_000_000
_SCALAR = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses aliases, tags and repeated keys, with plain rules for scalars.

    Words are booleans only as `true` and `false` (YAML 1.1 also takes `no` and `on`), numbers are
    decimal (1.1 reads `1:30` as 90 and `1e-3` as text), and dates stay text.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not allowed in configs", mark
            )
        # A tag asks for a type, such as !!python/object; those of plain YAML fail in many ways.
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(
                None, None, f"tags ({event.tag}) are not allowed in configs", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "keys must be plain words or numbers", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} appears twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+(?:_[0-9]+)*$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"
        r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
):
    # An empty scalar has no first character; PyYAML files its resolvers under "".
    _Loader.add_implicit_resolver(
        _SCALAR + _tag, re.compile(_pattern), ["" if c == "\0" else c for c in _first]
    )
# PyYAML's integers start in base 8 after a leading zero; here 010 is ten.
_Loader.add_constructor(
    _SCALAR + "int", lambda loader, node: int(loader.construct_scalar(node).replace("_", ""))
)


class _Dumper(yaml.SafeDumper):
    """Mappings one key a line, lists of scalars on one line."""

    def ignore_aliases(self, data):
        return True

    def represent_sequence(self, tag, sequence, flow_style=None):
        scalars = all(not isinstance(item, (list, tuple, dict)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=scalars)


def parse(text, where):
    """Reads YAML text into dicts, lists and scalars.

    Args:
        text: str.
        where: how errors name the text, such as a file name.

    Returns:
        The value; None for empty text.

    Raises:
        ConfigError: malformed, too large, aliases, tags, repeated keys, nested too deeply.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{where} is larger than {MAX_CHARACTERS} characters.")
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise ConfigError(f"{where} is nested too deeply.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from None


def dump(value):
    """Writes dicts, lists and scalars as YAML that `parse` reads back to the same value.

    Args:
        value: nested dicts, lists and scalars.

    Returns:
        str.
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


# Text that either our rules (`1e-3`) or YAML 1.1 (`no`) would read as something else is quoted, so
# that other YAML readers understand the file too.
_Dumper.yaml_implicit_resolvers = {
    first: [*yaml.SafeDumper.yaml_implicit_resolvers.get(first, []), *own]
    for first, own in _Loader.yaml_implicit_resolvers.items()
} | {
    first: rules
    for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
    if first not in _Loader.yaml_implicit_resolvers
}
