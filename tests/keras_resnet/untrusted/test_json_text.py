"""JSON against Python's module, without its liberties."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_resnet.untrusted.errors import UntrustedFileError
from keras_resnet.untrusted.json_text import MAX_DEPTH, loads

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_reads_what_the_module_writes(value):
    assert loads(json.dumps(value).encode()) == value
    assert loads(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='[]{}",:\\0 e-1tn', max_size=40).map(str.encode))
def test_anything_is_read_as_the_module_reads_it_or_refused(data):
    try:
        found = loads(data)
    except UntrustedFileError:
        return
    assert found == json.loads(data)


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"[NaN]", "NaN is not a JSON number"),
        (b"[1e999]", "1e999 is more than a number can be"),
        (b'{"a": 1, "a": 2}', "a key appears twice"),
        (b"[" * 10**5, "nested too deeply"),
        (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested too deeply"),
        (b"[" + b"{}," * 600_000 + b"{}]", "more than 500000 values"),
        (b'"' + b"x" * 2**24 + b'"', "larger than"),
        (b"\xff", "not valid JSON"),
        (b"9" * 5000, "not valid JSON"),
        (rb'["\ud83d"]', "surrogates not allowed"),
        (rb'{"\uDE00\uD83D": 1}', "surrogates not allowed"),
    ],
)
def test_refused(data, reason):
    with pytest.raises(UntrustedFileError, match=f"^mine .*{reason}"):
        loads(data, "mine")


def test_characters_written_as_two_halves():
    assert loads(rb'["\ud83d\ude00", "\\ud83d"]') == ["\U0001f600", "\\ud83d"]


def test_brackets_inside_strings_are_no_depth():
    text = "[" * 10 * MAX_DEPTH + '"\\' + "{" * 500
    assert loads(json.dumps([text]).encode()) == [text]
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
