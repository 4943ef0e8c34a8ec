"""Planted defects are found, each by its name; a clean data set has none."""

import json

import pytest

from detection import load_config
from detection.data import Category, DetectionDataset, load_coco
from detection.data_check import check_data
from detection.data_check.contact_sheet import sample_sheet, suspicious_sheet
from tests.detection.data_check.sample import (
    DEFECTS,
    add_box,
    add_category,
    annotations,
    config_of,
    edit,
    file_of,
)


def kinds(found):
    return {problem.kind: problem for problem in found.problems}


def test_a_clean_data_set(clean_folder):
    found = check_data(config_of(clean_folder))
    assert found.defects() == []
    content = json.loads(annotations(clean_folder).read_text())
    empty = 24 - len({row["image_id"] for row in content["annotations"]})
    empty += 8 - len(
        {
            row["image_id"]
            for row in json.loads(annotations(clean_folder, "val").read_text())["annotations"]
        }
    )
    assert {p.kind: len(p.findings) for p in found.problems} == (
        {"image_without_boxes": empty} if empty else {}
    )


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_planted_defect_is_found_by_name(kind, folder):
    plant, where = DEFECTS[kind]
    before = kinds(check_data(config_of(folder)))
    plant(folder)
    found = kinds(check_data(config_of(folder)))
    assert kind not in before
    (finding,) = found[kind].findings
    assert where in f"{finding.split}: {finding.where}"
    assert found[kind].level in ("error", "warning")
    # Nothing else is suspected, but for what follows from it.
    follows = {
        "similar_class_names": {"class_without_boxes"},
        "different_classes": {"class_only_in_val"},
    }.get(kind, set())
    new = {k for k, p in found.items() if p.level != "note"} - set(before)
    assert new - follows == {kind}


def test_all_defects_at_once(folder):
    for kind, (plant, _) in DEFECTS.items():
        if kind not in ("no_boxes", "different_classes"):
            plant(folder)
    found = check_data(config_of(folder))
    assert set(DEFECTS) - {"no_boxes", "different_classes"} <= set(kinds(found))
    levels = [problem.level for problem in found.problems]
    assert levels == sorted(levels, key=("error", "warning", "note").index)


def test_a_truncated_file_is_found_by_decoding_only(folder):
    DEFECTS["undecodable_image"][0](folder)
    assert "undecodable_image" not in kinds(check_data(config_of(folder), decode=False))
    assert "undecodable_image" in kinds(check_data(config_of(folder), decode=True))


def test_allowed_kinds_do_not_count(folder):
    add_box(folder, (0, 0, 96, 96))
    found = check_data(config_of(folder))
    assert [p.kind for p in found.defects()] == ["whole_image"]
    assert found.defects(allow=["whole_image", "clipped"]) == []
    with pytest.raises(ValueError, match=r"whole_imag.*Kinds: .*whole_image"):
        found.defects(allow=["whole_imag"])


def test_data_sets_that_are_open(folder):
    add_box(folder, (30, 30, 2, 2))
    datasets = {s: load_coco(folder / s, annotations(folder, s)) for s in ("train", "val")}
    alone = check_data(datasets)
    assert "tiny_box" not in kinds(alone)
    assert alone.coverage == {}
    assert "resized" not in alone.statistics["train"]
    assert {advice.about for advice in alone.advice} <= {"class balance", "validation"}
    config = config_of(folder)
    judged, opened = check_data(datasets, config), check_data(config)
    assert "tiny_box" in kinds(judged)
    assert judged.to_dict() == opened.to_dict()


def test_one_split_is_enough(clean_folder):
    train = load_coco(clean_folder / "train", annotations(clean_folder))
    found = check_data({"train": train})
    assert list(found.statistics) == ["train"]
    assert found.defects() == []
    assert "train" in found.summary()


def test_data_that_cannot_be_used_at_all(folder):
    edit(folder, lambda content: content["annotations"].clear())
    found = kinds(check_data(config_of(folder)))
    assert [f.split for f in found["no_boxes"].findings] == ["train"]
    for path in (folder / "train").glob("*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match=r"no images(.|\n)*images that do not exist"):
        check_data(config_of(folder))


def test_nothing_at_all():
    nothing = DetectionDataset("nothing", [Category(1, "thing")], [])
    found = check_data({"train": nothing, "val": nothing}, load_config("quickstart"))
    assert [f.split for f in kinds(found)["no_boxes"].findings] == ["train", "val"]
    assert found.statistics["train"]["images"] == 0
    assert "nothing" in found.summary() and "no_boxes (2)" in found.text()
    assert sample_sheet(found.datasets) is suspicious_sheet(found.datasets, found.problems) is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_is_left_out_is_not_counted(folder):
    path = file_of(folder, 4)
    content = json.loads(annotations(folder).read_text())
    rows = [row for row in content["annotations"] if row["image_id"] == 4]
    path.unlink()
    found = check_data(config_of(folder))
    assert found.statistics["train"]["images"] == 23
    assert found.statistics["train"]["boxes"] == len(content["annotations"]) - len(rows)


def test_plain_data(folder):
    add_category(folder, "<script>alert(1)</script>")
    for number in range(3):
        add_box(folder, (5 + number, 5, 0, 9))
    found = check_data(config_of(folder))
    data = json.loads(json.dumps(found.to_dict(max_places=2), allow_nan=False))
    (zero,) = [row for row in data["problems"] if row["kind"] == "zero_area"]
    assert (zero["count"], zero["by_split"], len(zero["places"])) == (3, {"train": 3}, 2)
    assert data["config"] == config_of(folder).model_dump(mode="json")
    assert data["splits"]["train"]["classes"][-1]["name"] == "<script>alert(1)</script>"


def test_wrong_arguments(clean_folder):
    config = config_of(clean_folder)
    with pytest.raises(ValueError, match="one split at least"):
        check_data({})
    with pytest.raises(ValueError, match="only argument"):
        check_data(config, config)
    with pytest.raises(ValueError, match=r"data\.train\.images"):
        check_data(load_config("coco_r18_fpn_scratch"))


def test_a_name_or_a_path_in_place_of_a_configuration(clean_folder, tmp_path, monkeypatch):
    config = config_of(clean_folder)
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(config.model_dump(mode="json")))  # JSON is YAML
    for source in (path, str(path)):
        assert check_data(source).to_dict() == check_data(config).to_dict()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="Did you mean 'quickstart'"):
        check_data("quikstart")
    with pytest.raises(ValueError, match=r"its name or path.*Received: source of type int"):
        check_data(3)
