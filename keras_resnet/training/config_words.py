"""What is wrong with the values of a config, in words that need no knowledge of pydantic."""

import typing

import pydantic

from keras_resnet.training.config_lists import annotated, list_in_words, sequence_of
from keras_resnet.training.key_hints import models_in, suggest

_LONGEST, _MOST_KEYS, _MOST_TOLD = 80, 8, 5
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_ONE = {"int": "a whole number", "float": "a number", "bool": "true or false", "string": "text"}


def describe_errors(schema, errors):
    """One line on each problem that pydantic found.

    Args:
        schema: the pydantic model that was validated.
        errors: list of dicts, as of `ValidationError.errors()`.

    Returns:
        List of str: the key, what it must be, and what was received.

    Example:
    >>> class Sizes(pydantic.BaseModel):
    ...     sides: tuple[int, ...] = (320,)
    >>> try:
    ...     Sizes(sides="abc")
    ... except pydantic.ValidationError as error:
    ...     print(*describe_errors(Sizes, error.errors()))
    sides: must be a list of whole numbers such as [320]. Received: 'abc'
    """
    told = {}
    for error in _together(map(_of_the_list, errors)):
        location = _without_tags(schema, error["loc"], error["type"] == "extra_forbidden")
        # The alternatives of a union are one problem.
        words, _ = told.setdefault((location, repr(error["input"])), ({}, error))
        words[_words(schema, location, error)] = None
    # What is wrong within a value is the reason why none of its alternatives fits.
    within = {location[:depth] for location, _ in told for depth in range(len(location))}
    return [
        _line(location, list(words), error)
        for (location, _), (words, error) in told.items()
        if location not in within or error["type"] == "value_error" or _is_joint(error)
    ]


def validated(schema, values, what):
    """A pydantic model of values that come from elsewhere, such as a file.

    Args:
        schema: the pydantic model.
        values: dict.
        what: str, the first words of the message about values that do not fit.

    Returns:
        An instance of `schema`.

    Raises:
        ValueError: the first mistakes in plain words.

    Example:
    >>> class Sizes(pydantic.BaseModel):
    ...     side: int = pydantic.Field(gt=0)
    >>> validated(Sizes, {"side": 0}, "The file holds no sizes")
    Traceback (most recent call last):
    ...
    ValueError: The file holds no sizes: side: must be above 0. Received: 0
    """
    try:
        return schema.model_validate(values)
    except pydantic.ValidationError as error:
        problems = describe_errors(schema, error.errors(include_url=False))
    left = len(problems) - _MOST_TOLD
    text = "; ".join([*problems[:_MOST_TOLD], *([f"and {left} more"] if left > 0 else [])])
    # Unknown and missing keys have no value.
    end = "" if "Received: " in text else f". Received: {_shown(values)}"
    raise ValueError(f"{what}: {text}{end}")


def _of_the_list(error):
    """An item that is missing is a mistake of the list it is missing in."""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return {**error, "type": "tuple_type", "loc": error["loc"][:-1]}
    return error


class _Items(tuple):
    """What was received in place of several lists."""

    def __repr__(self):
        return ", ".join(map(repr, self))


def _is_list(value):
    return isinstance(value, (list, tuple))


def _is_joint(error):
    return isinstance(error["input"], _Items)


def _together(errors):
    """Several items of a list that should be lists themselves are one mistake."""
    groups = {}
    for number, error in enumerate(errors):
        location = error["loc"]
        no_list = error["type"] in ("tuple_type", "list_type") and location
        no_list = no_list and isinstance(location[-1], int) and not _is_list(error["input"])
        groups.setdefault(location[:-1] if no_list else number, []).append(error)
    for first, *more in groups.values():
        inputs = _Items(error["input"] for error in (first, *more))
        yield {**first, "loc": first["loc"][:-1], "input": inputs} if more else first


def _line(location, words, error):
    where = ".".join(str(part) for part in location) or "(whole config)"
    text = (
        _alternatives(words) if all(t.startswith("must be ") for t in words) else "; ".join(words)
    )
    if error["type"] in ("extra_forbidden", "missing") or "Received: " in text:
        return f"{where}: {text}"
    return f"{where}: {text}. Received: {_shown(error['input'])}"


def _shown(value):
    text = "null" if value is None else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _alternatives(words):
    null = any(text.endswith(" or null") for text in words)
    kinds = [text.removeprefix("must be ").removesuffix(" or null") for text in words]
    several = len(kinds) > 1
    return f"must be {', or '.join(kinds)}{',' * (null and several)}{' or null' * null}"


def _words(schema, location, error):
    """What is wrong with one value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key; {suggest(schema, location)}"
    if kind == "missing":
        return "missing"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"must be {word} {context[key]:g}"
    if kind == "finite_number":
        return "must be a finite number"
    annotation, default = annotated(schema, location)
    null = " or null" if type(None) in typing.get_args(annotation) else ""
    if kind == "literal_error":
        return f"must be {context['expected']}{null}"
    if kind.partition("_")[0] in _ONE:
        quotes = isinstance(error["input"], (bool, int, float)) and kind == "string_type"
        hint = f", in quotes where it looks like something else: '{error['input']}'"
        return f"must be {_ONE[kind.partition('_')[0]]}{null}{hint if quotes else ''}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        names = [name for model in models_in(annotation) for name in model.model_fields]
        keys = list(dict.fromkeys(names))
        more = ", ..." if len(keys) > _MOST_KEYS else ""
        shown = f" ({', '.join(keys[:_MOST_KEYS])}{more})" if keys else ""
        return f"must be a section of keys{shown}{null}"
    sequence = sequence_of(annotation)
    if kind == "too_long" and (sequence is None or Ellipsis in sequence):
        return f"must be a list of at most {context['max_length']} items"
    if kind in ("tuple_type", "list_type", "too_short", "too_long") and sequence:
        return f"must be {list_in_words(sequence, default)}{null}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}"


def _without_tags(schema, location, unknown):
    """A location without what pydantic calls the alternatives of a union."""
    models, kept, mapping = [schema], [], False
    for depth, part in enumerate(location):
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        last = unknown and depth == len(location) - 1
        if isinstance(part, int) or fields or last or mapping:
            kept.append(part)
        if fields:
            models = [m for field in fields for m in models_in(field.annotation)]
            # Its keys are in no schema.
            mapping = any(typing.get_origin(field.annotation) is dict for field in fields)
    return tuple(kept)
