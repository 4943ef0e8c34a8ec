"""Detections as text, plain data, tables and pictures."""

import base64
import copy
import io
import pickle
import re
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detection import Detections
from detection.detection_list import DetectionList
from detection.visualize import draw_detections

PIXELS = np.full((60, 80, 3), 128, "uint8")


@pytest.fixture
def found():
    return Detections(
        boxes=np.array([[10, 5, 40.4, 30], [2, 3, 20, 50]], "float32"),
        scores=np.array([0.9, 0.25], "float32"),
        classes=np.array([1, 0], "int32"),
        names=["dog", "cat"],
        category_ids=[18, 17],
        size=(60, 80),
        source=PIXELS,
    )


def many(count):
    boxes = np.tile(np.array([[0, 0, 9, 9]], "float32"), (count, 1))
    return Detections(
        boxes, np.ones(count), np.zeros(count, "int32"), ["cat"] * count, [1] * count, (10, 10)
    )


def test_text(found):
    assert repr(found).splitlines() == [
        "2 detections in 80 x 60 pixels",
        "  dog  0.900  (10, 5, 40, 30)",
        "  cat  0.250  (2, 3, 20, 50)",
    ]
    assert repr(many(0)) == "0 detections in 10 x 10 pixels"
    assert repr(many(12)).splitlines()[-1] == "  … and 2 more"


def test_plain_data(found):
    assert found.to_dict()["size"] == {"height": 60, "width": 80}
    assert found.to_dict()["detections"][0] == {
        "name": "dog",
        "category_id": 18,
        "score": 0.9,
        "box": [10.0, 5.0, 40.4, 30.0],
    }


def test_dataframe(found):
    pytest.importorskip("pandas")
    frame = found.to_dataframe()
    assert list(frame.columns) == ["name", "category_id", "score", "x1", "y1", "x2", "y2"]
    assert frame.query("score > 0.5")["name"].tolist() == ["dog"]
    assert frame["x2"].tolist() == pytest.approx([40.4, 20.0])
    assert len(many(0).to_dataframe()) == 0


def test_supervision_gets_its_own_fields(found, monkeypatch):
    fake = types.ModuleType("supervision")
    fake.Detections = lambda **fields: fields
    monkeypatch.setitem(sys.modules, "supervision", fake)
    fields = found.to_supervision()
    np.testing.assert_array_equal(fields["xyxy"], found.boxes)
    np.testing.assert_array_equal(fields["confidence"], found.scores)
    assert fields["class_id"].tolist() == [1, 0]
    assert fields["data"]["class_name"].tolist() == ["dog", "cat"]
    assert many(0).to_supervision()["xyxy"].shape == (0, 4)


@pytest.mark.parametrize("name", ["pandas", "supervision"])
def test_what_is_not_installed_is_named(found, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    convert = found.to_dataframe if name == "pandas" else found.to_supervision
    with pytest.raises(ValueError, match=f"pip install {name}"):
        convert()


def test_drawing(found):
    expected = draw_detections(PIXELS, [[10, 5, 40.4, 30]], ["dog"], [0.9], min_size=None)
    np.testing.assert_array_equal(np.asarray(found.draw(min_score=0.5)), np.asarray(expected))
    other = Image.new("RGB", (80, 60))
    assert np.asarray(found.draw(other)).sum() != np.asarray(found.draw()).sum()


def test_a_notebook_gets_a_picture(found):
    assert found._repr_png_().startswith(b"\x89PNG")
    assert many(1)._repr_png_() is None


def test_drawing_on_nothing_or_on_another_image(found):
    with pytest.raises(ValueError, match=r"pass it, `draw\(image\)`"):
        many(1).draw()
    with pytest.raises(ValueError, match=r"\(30, 30\) \(height, width\)"):
        found.draw(np.zeros((30, 30, 3), "uint8"))


def test_text_of_a_list(found):
    listed = DetectionList([replace(found, source="a\x1b[2Jb.jpg"), many(0), many(3)])
    assert repr(listed).splitlines() == [
        "3 images",
        "  [0] a\\x1b[2Jb.jpg: 1 dog, 1 below 0.3",
        "  [1]: nothing",
        "  [2]: 3 cat",
    ]
    # As in the notebook, where nothing of a low score is drawn.
    captions = re.findall("<figcaption>(.*?)</figcaption>", listed[1:]._repr_html_())
    assert captions == [line.strip() for line in repr(listed[1:]).splitlines()[1:]]
    low = replace(found, scores=found.scores / 4)
    assert repr(DetectionList([low])).endswith(": nothing, 2 below 0.3")
    assert repr(DetectionList([many(1)] * 30)).splitlines()[-1] == "  … and 10 more"
    assert repr(DetectionList()) == "0 images"


def test_a_list_is_a_list(found):
    listed = DetectionList([found, many(1)])
    assert isinstance(listed, list) and len(listed) == 2 and listed[0] is found
    assert type(listed[:1]) is DetectionList and list(listed[:1]) == [found]
    assert listed == [found, *listed[1:]] and found in listed
    for copied in (copy.copy(listed), pickle.loads(pickle.dumps(listed))):
        assert type(copied) is DetectionList and len(copied) == 2


def test_a_notebook_gets_the_pictures_of_a_list(found):
    wide = replace(found, size=(60, 800), source=np.full((60, 800, 3), 9, "uint8"))
    hostile = replace(found, names=["<script>", "cat"], source="<b>gone.jpg")
    page = DetectionList([found, wide, many(1), hostile])._repr_html_()
    encoded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    pictures = [Image.open(io.BytesIO(base64.b64decode(text))) for text in encoded]
    assert [picture.size for picture in pictures] == [(80, 60), (360, 27)]
    np.testing.assert_array_equal(np.asarray(pictures[0]), np.asarray(found.draw()))
    assert re.findall("<figcaption>(.*?)</figcaption>", page)[2:] == [
        "[2]: 1 cat",
        "[3] &lt;b&gt;gone.jpg: 1 &lt;script&gt;, 1 below 0.3",  # as much as is drawn
    ]
    assert "<script>" not in page and "<b>" not in page
    many_pages = DetectionList([many(1)] * 14)._repr_html_()
    assert many_pages.count("<figure ") == 12 and "… and 2 more" in many_pages
