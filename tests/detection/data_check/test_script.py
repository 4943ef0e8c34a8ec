"""scripts/check_data.py, as a user runs it."""

import io
import json
import sys

import pytest

from tests.detection.data_check.sample import DEFECTS, add_box, add_category, settings_of


@pytest.fixture
def check(in_process):
    def run(folder, *options):
        return in_process("check_data.py", "quickstart", *options, "--set", *settings_of(folder))

    return run


def test_a_clean_data_set_passes(clean_folder, check, tmp_path):
    output = tmp_path / "report"
    code, out, err = check(clean_folder, "--strict", "--output", output)
    assert (code, err) == (0, "")
    assert "No errors and no warnings" in out
    assert f"Written: {output / 'data_check.json'}" in out
    assert (output / "data_check.html").is_file()


@pytest.mark.parametrize("kind", DEFECTS)
def test_strict_fails_at_each_planted_defect(kind, folder, check):
    DEFECTS[kind][0](folder)
    code, out, err = check(folder, "--strict", "--no-report")
    assert code == 1
    assert f"{kind} (1)" in out and f"{kind} (1)" in err


def test_without_strict_it_only_tells(folder, check):
    add_box(folder, (5, 5, 0, 9))
    code, out, err = check(folder, "--no-report")
    assert (code, err) == (0, "")
    assert "ERROR   zero_area (1)" in out and "annotation 9001" in out


def test_kinds_that_are_allowed(folder, check):
    add_box(folder, (0, 0, 96, 96))
    assert check(folder, "--strict", "--no-report")[0] == 1
    assert check(folder, "--strict", "--no-report", "--allow", "whole_image")[0] == 0
    code, _, err = check(folder, "--strict", "--no-report", "--allow", "whole")
    assert code == 2 and "whole_image" in err


def test_json_on_standard_output(folder, check, tmp_path):
    add_box(folder, (5, 5, 0, 9))
    code, out, err = check(folder, "--json", "--output", tmp_path / "report")
    assert code == 0 and err.startswith("Written: ")
    found = json.loads(out)
    assert "zero_area" in [row["kind"] for row in found["problems"]]
    assert found == json.loads((tmp_path / "report" / "data_check.json").read_text())


def test_short(clean_folder, check):
    code, out, _ = check(clean_folder, "--short", "--no-report")
    assert code == 0
    assert out.splitlines()[0].startswith("train instances_train: 24 images")


def test_headers_only(folder, check):
    DEFECTS["undecodable_image"][0](folder)
    assert check(folder, "--strict", "--no-report", "--headers")[0] == 0
    assert check(folder, "--strict", "--no-report")[0] == 1


def test_reports_are_numbered(clean_folder, in_process, tmp_path):
    arguments = ("--images", "0", "--set", *settings_of(clean_folder, f"run.project={tmp_path}"))
    for _ in range(2):
        assert in_process("check_data.py", "quickstart", *arguments)[0] == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["data_check", "data_check2"]


@pytest.mark.parametrize(
    "options, words",
    [
        (["--allow", "clipped"], "--allow goes with --strict"),
        (["--no-report", "--output", "x"], "exclude each other"),
        (["--images", "-1"], "must not be negative"),
        (["--no-such-option"], "unrecognized arguments"),
        (["no_such_config"], "no config file"),
        (["coco_r18_fpn_scratch"], "data.train.images"),
        (["--set", "data.fromat=coco"], "data.format"),
        (["coco_r50_fpn_1x", "--set", "data.train.images=/no/such"], "/no/such"),
    ],
)
def test_wrong_usage(in_process, options, words):
    code, _, err = in_process("check_data.py", *options)
    assert code == 2 and words in err


def test_a_terminal_without_unicode(folder, in_process, monkeypatch):
    add_category(folder, "長い名前")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii", write_through=True))
    code, _, err = in_process(
        *("check_data.py", "quickstart", "--no-report", "--strict", "--set", *settings_of(folder))
    )
    assert code == 1 and "class_without_boxes" in err
    assert b"\\u9577\\u3044" in written.getvalue()


def test_help_names_exit_codes(in_process):
    code, out, _ = in_process("check_data.py", "--help")
    assert code == 0
    for words in ("Example: python scripts/check_data.py", "Exit codes:", "--strict", "--set"):
        assert words in out
