"""Files from strangers: every one of a corpus is refused with a typed error, at a bounded cost.

What refusing a file takes is asserted in memory here, and in seconds where `-m slow` is asked for:
seconds are no matter for a machine that is busy with other tests.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.hostile_files import FILES

ROOT = Path(__file__).parents[2]
MAX_MEBIBYTES = 200
# What the messages say: which guard refused it.
REASONS = {
    "artifact_absurd_anchors": "at most 64 items",
    "artifact_absurd_image_sizes": r"min_side: must be at most 16384",
    "artifact_absurd_number_of_blocks": "describes 3000 blocks, more than any",
    "artifact_absurd_width": r"shape \(1568, 65536\) and holds 0",
    "artifact_cut_short": "was cut short",
    "artifact_deep_json": "more than 200 levels",
    "artifact_description_of_a_gibibyte": "1073741824 bytes, more than the 4194304",
    "artifact_manifest_that_leaves_the_folder": "is not the name of a file inside the folder",
    "artifact_many_values": "more than 500000 values",
    "artifact_more_blocks_than_a_config_may_have": r"stage_blocks\.0: must be at most 1000",
    "artifact_of_a_published_depth_with_weights_of_a_url": "saved weights do not fit this model",
    "artifact_of_a_tebibyte": r"shape \(274877906944,\) saved",
    "artifact_of_another_dtype": "int32 saved, float32 in the model",
    "artifact_of_many_blocks_and_empty_tensors": "describes 3000 blocks, more than any",
    "artifact_of_many_blocks_and_small_tensors": r"of the shape \(3, 3, 32, 32\) and holds 0",
    "artifact_of_many_blocks_that_are_not_used": "2000 blocks after the last",
    "artifact_of_many_layers_and_small_tensors": r"of the shape \(3, 3, 32, 32\) and holds 0",
    "artifact_of_nan": "NaN or infinite",
    "artifact_weights_of_a_url": "`weights` are published for a `depth` only",
    "artifact_with_a_link": "is a link",
    "classifier_absurd_number_of_blocks": "2000000 blocks, more than any",
    "classifier_absurd_width": r"1000000000, 1000000000\) and holds 0",
    "classifier_deeper_than_its_weights": "600 blocks and holds 34 arrays",
    "classifier_of_many_blocks_and_small_tensors": r"arrays of the shape \(3, 3, 1, 1\)",
    "classifier_of_many_blocks_with_their_kernels": "1500 blocks, more than any",
    "classifier_of_wrong_types": "`norm` must be one of",
    "classifier_that_names_another_function": "`weights` from elsewhere",
    "classifier_weights_of_a_url": "`weights` from elsewhere",
    "foreign_saved_model": "A SavedModel is a program",
    "foreign_saved_model_as_a_classifier": "A SavedModel is a program",
    "hdf5_chunked_shape": "declares 4000000000000 bytes",
    "hdf5_circle": "one object twice",
    "hdf5_compressed": "declares 16777216 bytes",
    "hdf5_cut_short": "is not a readable weights file",
    "hdf5_deep": "more than 32 groups deep",
    "hdf5_external_link": "holds a link",
    "hdf5_external_storage": "in other files",
    "hdf5_not_stored": "declares 4398046511104 bytes",
    "hdf5_of_nan": "NaN or infinite",
    "hdf5_of_text": "of the type object, not numbers",
    "hdf5_soft_link": "holds a link",
    "hdf5_virtual": "in other files",
    "header_deep": "more than 200 levels",
    "header_longer_than_the_file": "header of 9223372036854775808 bytes does not fit",
    "header_of_many_tensors": "3 blocks and holds 0 arrays",
    "header_of_spaces": "header is longer than 4194304",
    "header_of_too_many_tensors": "more than 20000 tensors",
    "header_with_a_dtype_that_lies": "not what its shape takes",
    "header_with_a_key_twice": "appears twice",
    "header_with_negative_lengths": "no lists of lengths",
    "header_with_numbers_beyond_all": r"Exceeds the limit \(4300 digits\)",
    "header_with_offsets_outside": "not where the last one ended",
    "header_with_offsets_that_overlap": "not where the last one ended",
    "keras_absolute_member": r"holds a member '/etc/cron\.d/evil'",
    "keras_absurd_number_of_layers": "1000000011 layers and holds 72",
    "keras_absurd_number_of_units": "weights and holds 224849",
    "keras_base_of_the_lookups_under_our_name": "class IndexLookup, which reads",
    "keras_config_longer_than_it_declares": "Bad CRC-32",
    "keras_config_padded_to_a_gibibyte": "declares 1073741838 bytes",
    "keras_cut_short": "no zip archive",
    "keras_deep_json": "more than 200 levels",
    "keras_foreign_class": "'system' of 'os', which is neither",
    "keras_foreign_class_under_our_name": "'keras_resnet>x' of 'keras_cv.*', which is neither",
    "keras_foreign_class_under_the_name_of_one_of_ours": "ResNet' of 'keras_cv.*neither",
    "keras_foreign_class_with_a_url": "'detection>x' of 'keras_cv.*', which is neither",
    "keras_foreign_class_without_our_name": "of 'keras_hub.models', which is neither",
    "keras_foreign_function_under_the_name_of_one_of_ours": "'function' .*'keras_cv.*neither",
    "keras_function_of_keras": "'get_file' of 'keras.utils', which is neither",
    "keras_lambda": "class Lambda, which runs",
    "keras_many_layers_in_a_list": "100010 layers and holds 72",
    "keras_many_levels": "100009 layers and holds 72",
    "keras_many_objects": "20026 objects and holds 72",
    "keras_member_of_a_parent": r"holds a member '\.\./\.\./evil\.txt'",
    "keras_member_that_is_a_link": r"'config\.json' is a link",
    "keras_member_twice": r"holds the member 'config\.json' twice",
    "keras_network_of_many_blocks": "100000001 blocks, more than any",
    "keras_network_of_more_blocks_than_weights": "501 blocks and holds 32",
    "keras_network_with_a_url": "unexpected keyword argument 'weights'",
    "keras_of_a_million_members": "of 60000 members",
    "keras_own_class_in_place_of_a_path": "no model that can be built: 'str' object",
    "keras_own_class_with_a_url": "unexpected keyword argument 'weights'",
    "keras_pickled_torch": "class TorchModuleWrapper, which runs",
    "keras_private_class_under_our_name": "'Pipeline' .*pipeline', which is neither",
    "keras_program_of_tensorflow": "class TFSMLayer, which runs",
    "keras_vocabulary_by_another_path": "'layers.StringLookup' of 'keras', which is neither",
    "keras_vocabulary_from_a_path": "class StringLookup, which reads",
    "keras_weights_that_expand": "to 268435456 bytes, as no weights do",
    "pickle_as_a_detector": "Pickles are not read",
    "pickle_of_torch": "Pickled checkpoints are not read",
    "pickle_under_another_name": r"header of \d+ bytes does not fit into its \d+ bytes",
    "safetensors_of_a_tebibyte": r"tera\.safetensors do not fit the model; nothing was loaded",
    "safetensors_of_empty_tensors": "1 blocks and holds 0 arrays",
    "safetensors_that_describe_a_large_network": r"10000000, 10000000\) and holds 0",
    "safetensors_with_deep_notes": "more than 200 levels",
    "torchvision_detector_of_empty_tensors": r"fpn_filters: must be at most 65536",
    "torchvision_detector_of_many_blocks": "4000 blocks, more than",
    "whole_model_in_hdf5": "no safe mode",
    "whole_model_in_hdf5_as_a_classifier": "no safe mode",
    "whole_model_in_hdf5_as_weights": r"or \.h5 file given as weights must be",
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
    assert re.search(REASONS[name], row["message"]), row["message"]


@pytest.mark.slow
def test_each_takes_less_than_a_second(tmp_path, capsys):
    done = run(tmp_path, "--table")
    with capsys.disabled():
        print(f"\n{done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]


def test_there_are_enough():
    assert len(FILES) >= 25
    assert set(REASONS) == {name for name, _, _ in FILES}
