"""JSON without the liberties that Python's module takes."""

import json

MAX_BYTES = 16 * 2**20


def dumps(value, where="value"):
    """Writes a value as JSON, if JSON can hold it unchanged.

    Args:
        value: nested dicts with str keys, lists (or tuples), str, numbers, bool, None.
        where: how errors name the value.

    Returns:
        UTF-8 bytes.

    Raises:
        ValueError: NaN, infinity, keys that are not str, or another type of object.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1)
        same = json.loads(text) == _lists(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where} cannot be written as JSON: {error}") from None
    if not same:
        # json.dumps turns the key 1 into "1" without a word.
        raise ValueError(f"{where} cannot be written as JSON unchanged: all keys must be str.")
    return text.encode("utf-8")


def loads(data, where="value"):
    """Reads JSON, refusing what the standard does not have.

    Args:
        data: bytes.
        where: how errors name the data, such as a file name.

    Returns:
        The value.

    Raises:
        ValueError: not JSON, larger than `MAX_BYTES`, NaN or infinity, repeated keys, nested too
            deeply.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"{where} is larger than {MAX_BYTES} bytes.")
    try:
        return json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except RecursionError:
        raise ValueError(f"{where} is nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}") from None


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists(item) for item in value]
    return value


def _no_constant(name):
    raise ValueError(f"{name} is not a JSON number")


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found
