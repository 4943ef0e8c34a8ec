"""The page of a detector in a browser, at a desk and on a telephone, light and dark."""

import re

import numpy as np
import pytest
from PIL import Image

from detection.data.dataset import Category, DetectionDataset, Record
from detection.evaluation import evaluate
from detection.report import write_report
from tests.browser import WIDTHS, drive, needs_browser
from tests.detection.report.test_report import HOSTILE, data_of, result
from tests.detection.report.test_report import run as run  # a fixture
from tests.keras_resnet.data.helpers import smooth_image

DRIVE = """
  const boxes = (kind) => document.querySelectorAll(".gallery rect." + kind).length;
  const names = () => [...document.querySelectorAll("table.sortable tbody tr")]
    .map((row) => row.cells[0].textContent);
  const slide = (value) => { slider.value = value; slider.dispatchEvent(new Event("input")); };
  seen.start = [boxes("right"), boxes("wrong"), boxes("truth")];
  for (const value of [0, 0.5, 1]) {
    slide(value);
    seen[value] = [boxes("right"), boxes("wrong"), shown.textContent];
  }
  slide(0);
  seen.cut = [...document.querySelectorAll(".gallery text")].filter((text) => {
    const [own, frame] = [text, text.closest(".frame")].map((e) => e.getBoundingClientRect());
    return own.left < frame.left || own.right > frame.right;
  }).length;
  seen.labels = [...document.querySelectorAll(".gallery text")].map((e) => e.textContent);
  truth.click(); seen.truth = boxes("truth");
  const heads = document.querySelectorAll("table.sortable button");
  heads[2].click(); seen.falling = names();
  heads[2].click(); seen.rising = names();
  heads[0].click(); seen.byName = names();
"""
LONG = "a very long name of a class that no picture is wide enough for, wherever its box may lie"


@needs_browser
def test_names_are_text_in_a_browser(run, tmp_path):
    seen = drive(write_report(*run).read_text(), DRIVE, tmp_path, dark=True)
    for width in WIDTHS:
        here = seen[width]
        assert (here["inner"], here["dark"]) == (width, True)
        assert (here["errors"], here["wide"]) == ([], [])
        assert here["start"] == [1, 0, 2]
        assert (here["0"][:2], here["1"][:2], here["truth"]) == ([1, 2], [0, 0], 0)
        assert here["falling"] == ["ring", HOSTILE]
        assert here["rising"] == here["byName"] == [HOSTILE, "ring"]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A run on photographs: six classes, one of which occurs nowhere, in files as cameras write."""
    folder = tmp_path_factory.mktemp("photographs")
    names = ["bus", "car", "traffic light", "dog", LONG, "unicorn"]
    rng = np.random.default_rng(5)
    records, results = [], []
    for number in range(12):
        height, width = [(600, 800), (800, 533), (300, 900)][number % 3]
        path = folder / f"{number}.jpg"
        pixels = smooth_image((height, width), seed=number).astype("int16")
        pixels += rng.integers(-25, 25, pixels.shape)
        Image.fromarray(pixels.clip(0, 255).astype("uint8")).save(path, quality=90)
        size = rng.uniform(30, 250, (6, 2))
        corner = rng.uniform(0, 1, (6, 2)) * np.maximum((width, height) - size, 0)
        corner[0] = width - size[0, 0], 0  # at the right edge
        boxes = np.minimum(np.concatenate([corner, corner + size], axis=1), [width, height] * 2)
        classes = rng.integers(0, 5, 6)
        records.append(
            Record(
                image_path=str(path),
                image_id=f"image {number}",
                height=height,
                width=width,
                boxes=boxes.astype("float32"),
                classes=classes.astype("int32"),
            )
        )
        for box, label in zip(boxes, classes):
            found = label if rng.random() < 0.8 else rng.integers(0, 5)
            score = round(rng.uniform(0.06, 1), 3)
            results.append(result(number, score, int(found), *(box + rng.normal(0, 4, 4)).tolist()))
    categories = [Category(id=10 + i, name=name) for i, name in enumerate(names)]
    dataset = DetectionDataset("photographs", categories, records)
    metrics = evaluate(dataset.to_coco(), results, curves=True)
    (folder / "results.csv").write_text(
        "epoch,lr,train/loss,train/box_loss,metrics/mAP50,metrics/mAP50-95\n"
        + "".join(f"{n},{0.1 / n},{4 / n},{2 / n},{1 - 1 / n},\n" for n in range(1, 40))
    )
    (folder / "config.yaml").write_text("a_long_line: " + "word " * 60)
    return write_report(folder, dataset, results, metrics), results, metrics


@needs_browser
def test_a_page_of_photographs_in_a_browser(photographs, tmp_path):
    path, results, metrics = photographs
    assert path.stat().st_size <= 5e6
    page = path.read_text()
    pictures = {row["name"] for kind in ("worst", "best") for row in data_of(page)[kind]}
    assert len(pictures) == 12
    by_ap = [(row["AP50"], row["name"]) for row in metrics["per_class"] if row["name"] != "unicorn"]
    assert len({ap for ap, _ in by_ap}) == 5
    falling = [name for _, name in sorted(by_ap, reverse=True)]
    seen = drive(page, DRIVE, tmp_path)
    for width in WIDTHS:
        here = seen[width]
        assert (here["inner"], here["dark"]) == (width, False)
        assert (here["errors"], here["wide"], here["cut"]) == ([], [], 0)
        for threshold, shown in ((0, "0.00"), (0.5, "0.50"), (1, "1.00")):
            *drawn, text = here[str(threshold)]
            assert sum(drawn) == sum(row["score"] >= threshold for row in results)
            assert text == shown
        assert here["start"][2] == 72 and here["truth"] == 0
        # What does not fit loses letters, never the score.
        assert any("\u2026 " in label for label in here["labels"])
        assert all(re.search(r" [01]\.\d\d$", label) for label in here["labels"])
        # A class without objects has no AP: it comes last whichever way.
        assert here["falling"] == [*falling, "unicorn"]
        assert here["rising"] == [*falling[::-1], "unicorn"]
        assert here["byName"] == [LONG, "bus", "car", "dog", "traffic light", "unicorn"]
