"""What stands in tables of the documentation: settings of data sets, and keys."""

import re
import shlex
import shutil

import pytest

import detection
from detection.data import make_shapes
from detection.datasets import open_dataset
from keras_resnet.classification.config import load_classifier_config
from tests.documentation.blocks import PAGES, ROOT
from tests.documentation.workspace import make_data

_FORMATS = ("README.md", "docs/formats.md")
_ONE_SET = "data.val_share=0.2"
_SEVERAL = "data.train="
_KEY = re.compile(r"(?<![\w./-])(?:model|data|train|run)(?:\.[a-z]\w*)+(?![\w(./*])")
_FILES = ("yaml", "json", "csv", "py", "txt", "npz", "jpg")
# Of models in Python, not of a configuration.
_ATTRIBUTES = {"model.categories", "model.detect", "model.backbone"}


def _rows(page):
    """The cells of each row of each table of a page."""
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith("|-"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def _settings(page):
    """The settings in the rows of the table of data formats, by the row's first cell."""
    found = {}
    for first, *rest in _rows(page):
        codes = re.findall(r"`([^`]*)`", rest[0]) if rest else []
        codes = [code for code in codes if re.match(r"data\.\w+(\.\w+)*=", code)]
        if codes:
            found[first] = shlex.split(codes[-1])
    return found


ALL = [(page, *row) for page in _FORMATS for row in _settings(page).items()]


def _is_whole(settings):
    return not settings[0].startswith((_ONE_SET, _SEVERAL))


WHOLE = [row for row in ALL if _is_whole(row[-1])]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    make_data(folder, make_shapes(folder / "shapes", num_train=8, num_val=6, image_size=64))
    shutil.copytree(folder / "mine", folder / "more")
    return folder


@pytest.fixture
def opened(shapes, monkeypatch):
    """Opens both splits as train_detector.py does, or, of TFDS, resolves the settings only."""
    monkeypatch.chdir(shapes)

    def read(settings):
        data = detection.load_config("finetune_custom", settings).data
        if data.format == "tfds":
            return None
        return [open_dataset(data, split) for split in ("train", "val")]

    return read


@pytest.mark.parametrize(("page", "kind", "settings"), WHOLE, ids=lambda x: str(x)[:30])
def test_settings_read_both_splits(opened, page, kind, settings):
    datasets = opened(settings)
    if datasets is None:
        assert "TensorFlow Datasets" in kind
        return
    train, val = datasets
    assert (len(train), len(val)) == (8, 6)
    names = ["circle", "square", "triangle", "star", "cross"]
    assert sorted(train.class_names) == sorted(names) and train.class_names == val.class_names
    for dataset in datasets:
        assert dataset.problems.counts() == {}
        assert sum(len(record.boxes) for record in dataset.records) > 0


@pytest.mark.parametrize(("page", "kind", "settings"), WHOLE, ids=lambda x: str(x)[:30])
def test_one_set_is_enough_for_any_of_them(opened, page, kind, settings):
    alone = [word for word in settings if not word.startswith("data.val")]
    datasets = opened([*alone, *_settings(page)["one set only, of any of these"]])
    if datasets is not None:
        assert sum(map(len, datasets)) == 8


def test_several_sets(opened):
    several = _settings("docs/formats.md")["several sets"]
    train, val = opened(["data.format=yolo", "data.root=mine", *several])
    assert (len(train), len(val)) == (16, 6)


def test_every_row_is_known():
    assert len([row for row in WHOLE if row[0] == "README.md"]) == 5
    assert len([row for row in WHOLE if row[0] == "docs/formats.md"]) == 5
    assert len(ALL) == len(WHOLE) + 3


def _unknown(load, source, key):
    try:
        load(source, [f"{key}=null"])
    except ValueError as error:
        return "unknown key" in str(error)
    return False


def _keys(page):
    codes = [code for row in _rows(page) for cell in row for code in re.findall(r"`([^`]*)`", cell)]
    keys = {key for code in codes for key in _KEY.findall(code)}
    return sorted(k for k in keys - _ATTRIBUTES if k.rsplit(".", 1)[-1] not in _FILES)


@pytest.mark.parametrize("page", PAGES)
def test_keys_resolve(page):
    for key in _keys(page):
        assert not (
            _unknown(detection.load_config, "finetune_custom", key)
            and _unknown(load_classifier_config, "finetune", key)
        ), key


def test_keys_are_found():
    assert {"data.val_share", "data.train.split", "train.deterministic"} <= set(_keys("README.md"))
    assert {"model.roi_heads.score_threshold", "train.reference_batch"} <= set(
        _keys("docs/migrating.md")
    )
    for load, source in (
        (detection.load_config, "finetune_custom"),
        (load_classifier_config, "finetune"),
    ):
        assert _unknown(load, source, "data.no_such_key")
