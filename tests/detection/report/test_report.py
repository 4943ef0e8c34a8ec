"""The page of a run: what it says, that nothing in it is code, and that it works in a browser."""

import html
import json
import re

import numpy as np
import pytest
from PIL import Image

from detection.data.dataset import Category, DetectionDataset, Record
from detection.evaluation import evaluate
from detection.report import write_report
from detection.report.gallery import best_threshold, choose, judge, match_image

HOSTILE = "</script><img src=x onerror=alert(1)>"


def make_dataset(folder, boxes, class_names):
    """One 80 x 60 image for each list of `(x1, y1, x2, y2, class)`."""
    rng = np.random.default_rng(0)
    records = []
    for number, rows in enumerate(boxes):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype="uint8")).save(path)
        rows = np.array(rows, "float32").reshape(-1, 5)
        records.append(
            Record(
                image_path=str(path),
                image_id=f"image {number}",
                height=60,
                width=80,
                boxes=rows[:, :4],
                classes=rows[:, 4].astype("int32"),
            )
        )
    categories = [Category(id=10 + i, name=name) for i, name in enumerate(class_names)]
    return DetectionDataset("test images", categories, records)


def result(image, score, label, x1, y1, x2, y2):
    return {
        "image_id": f"image {image}",
        "category_id": 10 + label,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "score": score,
    }


@pytest.fixture
def run(tmp_path):
    """A run of three images: one right, one with a wrong class, one empty."""
    dataset = make_dataset(
        tmp_path, [[(5, 5, 30, 30, 0)], [(10, 10, 40, 40, 1)], []], ["ring", HOSTILE]
    )
    results = [
        result(0, 0.9, 0, 5, 5, 30, 31),
        result(0, 0.2, 1, 50, 30, 60, 50),
        result(1, 0.8, 0, 10, 10, 40, 40),
    ]
    folder = tmp_path / "first & last"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"name: '{HOSTILE}'\n")
    (folder / "results.csv").write_text(
        "epoch,lr,train/loss,metrics/mAP50\n1,0.01,2.5,\n2,0.001,1.5,0.5\n"
    )
    metrics = evaluate(dataset.to_coco(), results, curves=True)
    metrics["seconds"] = 90.0
    return folder, dataset, results, metrics


def data_of(page):
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page).group(1)
    return json.loads(text)


def test_it_says_what_was_measured(run):
    folder, _, _, metrics = run
    page = write_report(*run).read_text()
    for name in ("AP", "AP50", "mAP07"):
        assert f"{metrics[name]:.3f}" in page
    assert "1.5 minutes" in page and "test images: 3 images" in page
    for title in ("Losses", "Validation", "Learning rate", "Precision over recall"):
        assert f"<figcaption>{title}</figcaption>" in page
    kinds = re.findall(r'<td>(\w+)<small>.*?</td><td data-title="count">(\d+)</td>', page)
    assert dict(kinds) == {
        "classification": "1",
        "localization": "0",
        "both": "0",
        "duplicate": "0",
        "background": "1",
        "missed": "0",
    }
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.yaml",
        "report.html",
        "results.csv",
    ]


def test_names_are_text(run):
    page = write_report(*run).read_text()
    assert HOSTILE not in page
    assert html.escape(HOSTILE) in page  # in the table of classes
    assert data_of(page)["classes"] == ["ring", HOSTILE]
    # Nothing is loaded from anywhere.
    assert not re.search(r"(src|href)=[\"']?(?!data:)[a-z]+:", page)
    assert "first &amp; last" in page


def test_pictures_carry_boxes_and_verdicts(run):
    data = data_of(write_report(*run).read_text())
    shown = {row["name"]: row for row in data["worst"] + data["best"]}
    assert list(shown) == ["image 1", "image 0"]  # worst first; the empty one is not worth a look
    assert shown["image 0"]["found"] == [
        [5, 5, 25, 26, 0, 0.9, 1],
        [50, 30, 10, 20, 1, 0.2, 0],
    ]
    assert shown["image 1"]["truth"] == [[10, 10, 30, 30, 1]]
    assert shown["image 0"]["source"].startswith("data:image/jpeg;base64,/9j/")
    assert data["threshold"] == 0.9


def test_without_pictures_curves_or_configuration(run, tmp_path):
    _, dataset, results, _ = run
    folder = tmp_path / "evaluation"
    folder.mkdir()
    page = write_report(folder, dataset, results, evaluate(dataset.to_coco(), results), pictures=0)
    text = page.read_text()
    assert data_of(text)["worst"] == data_of(text)["best"] == []
    assert "<h2>Training</h2>" not in text and "<h2>Images</h2>" not in text


def test_nothing_found_at_all(run, tmp_path):
    _, dataset, _, _ = run
    page = write_report(tmp_path, dataset, [], evaluate(dataset.to_coco(), [], curves=True))
    data = data_of(page.read_text())
    assert data["threshold"] == 0.5
    assert {row["name"] for row in data["worst"] + data["best"]} == {"image 0", "image 1"}


def test_pictures_must_be_a_number(run):
    with pytest.raises(ValueError, match="Received: -1"):
        write_report(*run, pictures=-1)


def test_every_object_is_found_once():
    truth = [
        {"bbox": [0, 0, 10, 10], "category_id": 1},
        {"bbox": [40, 0, 10, 10], "category_id": 1, "difficult": 1},
    ]
    boxes = ([0, 0, 10, 10], [0, 0, 10, 9], [40, 0, 10, 10], [80, 0, 10, 10])
    found = [{"bbox": box, "category_id": 1} for box in boxes]
    assert match_image(found, truth) == [True, False, None, False]


def test_threshold_of_the_highest_f1():
    def image(index, verdicts, objects):
        found = [{"score": score} for score, _ in verdicts]
        return {
            "index": index,
            "truth": [{}] * objects,
            "found": found,
            "right": [right for _, right in verdicts],
        }

    judged = [image(0, [(0.9, True), (0.6, False)], 1), image(1, [(0.7, True), (0.3, False)], 2)]
    # At 0.7: 2 right of 2, and 2 of 3 objects found: F1 = 2 * 2 / (2 + 3).
    assert best_threshold(judged) == (0.7, 0.8)
    worst, best = choose(judged, 0.7, 1)
    assert [i["index"] for i in worst] == [1] and [i["index"] for i in best] == [0]
    # A score shared by a right and a wrong detection keeps both.
    assert best_threshold([image(0, [(0.5, True), (0.5, False)], 1)]) == (0.5, 2 / 3)


def test_judged_images_are_in_order(run):
    _, dataset, results, _ = run
    judged = judge(dataset.to_coco(), results[::-1])
    assert [row["right"] for row in judged] == [[True, False], [False], []]


def test_tables_wider_than_a_telephone_can_be_read(run):
    page = write_report(*run).read_text()
    tables = re.findall(r"(<div[^>]*>)<table( class=\"\w+\")?>", page)
    assert tables and all('class="scroll"' in box for box, _ in tables)
    # Scrolled with the keyboard, too; the errors are laid out anew, each number with its title.
    assert all('tabindex="0"' in box for box, kind in tables if "errors" not in kind)
    errors = re.search(r'<table class="errors">.*?</table>', page, re.DOTALL)[0]
    titles = re.findall(r'<th scope="col">(.*?)</th>', errors)
    assert re.findall(r'data-title="(.*?)"', errors) == titles[1:] * 6
