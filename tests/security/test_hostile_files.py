"""Files from strangers: every one of a corpus is refused with a typed error, at a bounded cost.

What refusing a file takes is asserted in memory here, and in seconds where `-m slow` is asked for:
seconds are no matter for a machine that is busy with other tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.hostile_files import FILES

ROOT = Path(__file__).parents[2]
MAX_MEBIBYTES = 200
# What the messages of some of them must say.
REASONS = {
    "artifact_absurd_number_of_blocks": "3000 blocks",
    "artifact_of_many_blocks_and_empty_tensors": "more than any network has",
    "artifact_of_many_blocks_and_small_tensors": "arrays of the shape",
    "artifact_of_many_blocks_that_are_not_used": "2000 blocks after the last",
    "artifact_of_many_layers_and_small_tensors": "arrays of the shape",
    "artifact_of_a_tebibyte": r"shape (274877906944,) saved",
    "artifact_of_nan": "NaN or infinite",
    "artifact_with_a_link": "is a link",
    "classifier_weights_of_a_url": "`weights` from elsewhere",
    "classifier_of_many_blocks_and_small_tensors": "arrays of the shape (3, 3, 1, 1)",
    "classifier_of_many_blocks_with_their_kernels": "1500 blocks",
    "foreign_saved_model": "A SavedModel is a program",
    "hdf5_circle": "one object twice",
    "hdf5_external_link": "holds a link",
    "hdf5_external_storage": "in other files",
    "hdf5_virtual": "in other files",
    "header_with_a_key_twice": "appears twice",
    "header_with_offsets_outside": "not where the last one ended",
    "header_with_offsets_that_overlap": "not where the last one ended",
    "keras_config_padded_to_a_gibibyte": "1073741838 bytes",
    "keras_lambda": "Lambda",
    "keras_many_layers_in_a_list": "describes 1000",
    "keras_many_levels": "describes 1000",
    "keras_many_objects": "objects",
    "keras_network_of_more_blocks_than_weights": "501 blocks",
    "keras_program_of_tensorflow": "TFSMLayer",
    "pickle_of_torch": "Pickled",
    "torchvision_detector_of_many_blocks": "4000 blocks, more than",
    "whole_model_in_hdf5": "no safe mode",
}


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "tests.security.read_hostile_files", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    done = run(tmp_path_factory.mktemp("hostile"))
    assert done.returncode == 0, done.stderr[-3000:]
    return {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", [name for name, _, _ in FILES])
def test_is_refused(read, name):
    row = read[name]
    assert row["is_value_error"], f"{row['error']}: {row['message']}"
    assert len(row["message"]) > 20
    assert row["mebibytes"] < MAX_MEBIBYTES
    assert REASONS.get(name, "") in row["message"]


@pytest.mark.slow
def test_each_takes_less_than_a_second(tmp_path, capsys):
    done = run(tmp_path, "--table")
    with capsys.disabled():
        print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def test_there_are_enough():
    assert len(FILES) >= 25
    assert set(REASONS) <= {name for name, _, _ in FILES}
