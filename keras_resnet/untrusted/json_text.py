"""JSON of bounded size, depth and number of values, without the liberties of Python's module."""

import json
import math
import re

import numpy as np

from keras_resnet.untrusted.errors import UntrustedFileError

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 200
MAX_VALUES = 500_000

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_OPENING, _CLOSING = frozenset(b"[{"), frozenset(b"]}")


def loads(data, where="value", max_bytes=MAX_BYTES, max_values=MAX_VALUES):
    """Reads JSON, refusing what the standard does not have and what would fill the memory.

    Args:
        data: bytes.
        where: how errors name the data, such as a file name.
        max_bytes: int, greatest length of `data`.
        max_values: int, about how many values there may be: a list of empty lists takes thirty
            times its length in memory.

    Returns:
        The value.

    Raises:
        UntrustedFileError: not JSON, too large, NaN or infinity, repeated keys, halves of
            characters, or nested more than `MAX_DEPTH` deep.
    """
    if len(data) > max_bytes:
        raise UntrustedFileError(f"{where} is larger than {max_bytes} bytes.")
    if data.count(b",") + data.count(b"[") + data.count(b"{") > max_values:
        raise UntrustedFileError(f"{where} holds more than {max_values} values.")
    if _depth(data) > MAX_DEPTH:
        raise UntrustedFileError(f"{where} is nested too deeply, more than {MAX_DEPTH} levels.")
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_no_constant,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        if _SURROGATE.search(data):
            # Two of them are a character; one alone is text that cannot be written or printed.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except RecursionError:
        raise UntrustedFileError(f"{where} is nested too deeply.") from None
    except ValueError as error:
        raise UntrustedFileError(f"{where} is not valid JSON: {error}") from None


def _depth(data):
    """How deep brackets are nested outside of strings."""
    marks = np.frombuffer(_STRING.sub(b"", data), "uint8")
    opening = np.isin(marks, list(_OPENING))
    step = opening.astype("int8") - np.isin(marks, list(_CLOSING)).astype("int8")
    step = step[step != 0]
    return int(np.cumsum(step, dtype="int32").max(initial=0))


def _no_constant(name):
    raise ValueError(f"{name} is not a JSON number")


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is more than a number can be")
    return number


def _unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return found
