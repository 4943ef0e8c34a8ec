"""JSON without the liberties that Python's module takes."""

import json

from keras_resnet.untrusted.json_text import loads

__all__ = ["dumps", "loads"]


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


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_lists(item) for item in value]
    return value
