"""Whatever stands in a file, a reader either reads it or raises its documented error."""

import importlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import TARGETS

FIXED = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("name", TARGETS)
def test_any_bytes(name):
    target = importlib.import_module(f"tests.fuzz.{name}")

    @settings(FIXED, max_examples=min(60, getattr(target, "MUTATIONS", 60)))
    @given(st.binary(max_size=300))
    def holds(data):
        target.one_input(data)

    holds()


@pytest.mark.parametrize("name", ["coco_json", "voc_xml", "yaml_config"])
def test_any_values_in_the_place_of_sound_ones(name):
    target = importlib.import_module(f"tests.fuzz.{name}")

    @FIXED
    @given(st.binary(min_size=4, max_size=60))
    def holds(choices):
        target.one_input(b"\1" + choices)

    holds()
