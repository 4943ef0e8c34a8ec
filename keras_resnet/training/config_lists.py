"""Lists in a config: what a schema wants of them, and an example of each."""

import types
import typing

from keras_resnet.training.key_hints import models_in

_SEVERAL = {int: "whole numbers", float: "numbers", str: "texts"}
# Their first ones make lists that show what is wanted.
_EXAMPLES = {int: (1, 2, 3, 4), float: (0.25, 0.5, 0.75, 1.0), str: ("cat", "dog", "cow", "owl")}


def annotated(schema, location):
    """What a schema says of a place in it.

    Args:
        schema: pydantic model.
        location: tuple of str and ints, names of fields and indices into lists.

    Returns:
        The annotation, and the tuple that is its default or else its example; each None where
        there is none.

    Example:
    >>> import pydantic
    >>> class Sizes(pydantic.BaseModel):
    ...     sides: tuple[int, ...] = (320, 640)
    >>> annotated(Sizes, ("sides",))
    (tuple[int, ...], (320, 640))
    """
    models, annotation, default = [schema], None, None
    for part in location:
        sequence = sequence_of(annotation)
        if isinstance(part, int) and sequence:
            annotation = sequence[0] if Ellipsis in sequence else sequence[part % len(sequence)]
            item = default[min(part, len(default) - 1)] if default else None
            default = item if _is_list(item) else None
        else:
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            if not fields:
                return None, None
            annotation = fields[0].annotation
            default = next(filter(_is_list, (fields[0].default, *(fields[0].examples or ()))), None)
        models = list(models_in(annotation))
    return annotation, default


def _is_list(value):
    return isinstance(value, tuple) and len(value) > 0


def sequence_of(annotation):
    """The items of the first list or tuple that an annotation allows.

    Args:
        annotation: a type, or what `typing` makes of types.

    Returns:
        Tuple of annotations, which ends in `...` where any number fits; None for no list.

    Example:
    >>> sequence_of(list[int] | None)
    (<class 'int'>, Ellipsis)
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return arguments
    if origin is list:
        return (*arguments, Ellipsis)
    if origin is typing.Annotated:
        return sequence_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return next(filter(None, map(sequence_of, arguments)), None)
    return None


def list_in_words(sequence, default):
    """What a list must be, with an example.

    Args:
        sequence: as of `sequence_of`.
        default: tuple that fits, or None to make one up.

    Returns:
        str.

    Example:
    >>> list_in_words((int, int), (600, 800))
    'a list of 2 whole numbers such as [600, 800]'
    """
    several = "lists" if sequence_of(sequence[0]) else _SEVERAL.get(_plain(sequence[0]))
    count = "" if Ellipsis in sequence else f"{len(sequence)} "
    shown = _example(sequence) if default is None else default
    text = f"a list of {count}{several or 'items'}"
    return text if shown is None else f"{text} such as {_yaml(shown)}"


def _example(sequence):
    count = 2 if Ellipsis in sequence else len(sequence)
    inner = sequence_of(sequence[0])
    if inner:
        example = _example(inner)
        return None if example is None else (example,) * count
    known = _EXAMPLES.get(_plain(sequence[0]), ())[:count]
    return known if len(known) == count else None


def _plain(annotation):
    """A type without what it is annotated with."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _yaml(value):
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
