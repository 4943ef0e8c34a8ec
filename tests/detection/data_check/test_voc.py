"""Planted defects in Pascal VOC's layout, as BCCD has it: each is named, and --strict fails."""

import shutil

import pytest

from detection import load_config
from detection.data_check import check_data
from tests.detection.data_check.voc_sample import DEFECTS, add_object, image_of, settings_of, xml_of
from tests.documentation.workspace import write_voc


@pytest.fixture(scope="module")
def clean_voc(clean_folder, tmp_path_factory):
    """Not to be changed."""
    root = tmp_path_factory.mktemp("voc") / "BCCD"
    write_voc(clean_folder, root, {"trainval": "train", "test": "val"})
    return root


@pytest.fixture
def copy(clean_voc, tmp_path):
    return shutil.copytree(clean_voc, tmp_path / "BCCD")


@pytest.fixture
def strict(in_process):
    def run(root, *more):
        settings = settings_of(root, *more)
        return in_process("check_data.py", "bccd", "--strict", "--no-report", "--set", *settings)

    return run


def test_a_clean_copy_passes(clean_voc, strict):
    code, out, err = strict(clean_voc)
    assert (code, err) == (0, "")
    assert "No errors and no warnings" in out


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_planted_defect_is_named(kind, copy, strict):
    plant, where, *more = DEFECTS[kind]
    plant(copy)
    code, out, err = strict(copy, *more)
    assert code == 1
    assert f"{kind} (1)" in out and f"{kind} (1)" in err
    found = check_data(load_config("bccd", settings_of(copy, *more)))
    (finding,) = [f for p in found.problems if p.kind == kind for f in p.findings]
    assert where in f"{finding.split}: {finding.where}"
    # Nothing else is suspected.
    assert {p.kind for p in found.problems if p.level != "note"} == {kind}


def test_ten_at_once(copy, strict):
    """In one copy, each in an image of its own."""
    boxes = {
        "zero_area": (30, 5, 30, 9),
        "negative_size": (50, 5, 20, 9),
        "outside": (500, 5, 520, 25),
        "clipped": (80, 80, 140, 140),
        "malformed_box": (5, 5, 9),
        "whole_image": (1, 1, 96, 96),
    }
    for image, corners in enumerate(boxes.values(), 100):
        add_object(copy, corners, image=image)
    image_of(copy, 110).unlink()
    xml_of(copy, 111).unlink()
    image_of(copy, 112).write_bytes(image_of(copy, 112).read_bytes()[:900])
    shutil.copyfile(image_of(copy, 113), image_of(copy, 8))
    places = {**{kind: 100 + i for i, kind in enumerate(boxes)}, "missing_image": 110}
    places |= {"missing_annotation": 111, "undecodable_image": 112, "same_image_in_splits": 8}
    assert len(places) == 10
    code, out, err = strict(copy)
    assert code == 1
    for kind in places:
        assert f"{kind} (1)" in out and f"{kind} (1)" in err
    found = check_data(load_config("bccd", settings_of(copy)))
    named = {p.kind: p.findings[0].where for p in found.problems if p.level != "note"}
    assert {kind: f"{image:05d}" in named[kind] for kind, image in places.items()} == dict.fromkeys(
        places, True
    )
    assert set(named) == set(places)
