"""The page of a classifier: its numbers against loops, its pictures, its place in a run."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from keras_resnet.classification import predictions as predictions_module
from keras_resnet.classification import run_outputs
from keras_resnet.classification.config import load_classifier_config
from keras_resnet.classification.evaluation import ClassificationFigures
from keras_resnet.classification.predictions import Predictions
from keras_resnet.classification.report import write_plots, write_report
from keras_resnet.classification.report.counts import count_classes
from keras_resnet.classification.run_outputs import write_outputs
from keras_resnet.data.dataset import ImageDataset
from tests.browser import WIDTHS, drive, needs_browser
from tests.keras_resnet.data.helpers import smooth_image

HOSTILE = "</script><img src=x onerror=alert(1)>"
NAMES = ["cat", "dog", HOSTILE, "cow", "gnu, which is never shown", "elk", "owl"]
METRICS = {"loss": 0.71234, "accuracy": 0.61, "top5": 0.95, "seconds": 90.0}


class Folder(ImageDataset):
    """Images in files, and which of them were read."""

    def __init__(self, labels, names=NAMES, size=(375, 500)):
        self.seen = []
        where = "/data/val/{}.jpg".format
        super().__init__("pets", names, labels, read=self._look, where=where)
        self._size = size

    def _look(self, index):
        self.seen.append(int(index))
        return smooth_image(self._size, seed=int(index))


def random_predictions(count=200, names=NAMES, seed=3):
    """Two of three right; no image of class 4, and class 5 is never predicted."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([k for k in range(len(names)) if k != 4], count)
    predicted = np.where(rng.random(count) < 0.65, labels, rng.integers(0, len(names), count))
    predicted[predicted == 5] = 0
    scores = rng.permutation(np.linspace(0.2, 0.99, count)).astype("float32")
    return Predictions(np.arange(count), labels, predicted, scores)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "first & last"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"name: '{HOSTILE}'\n")
    (folder / "results.csv").write_text(
        "epoch,time,lr,train/loss,train/accuracy,val/loss,val/accuracy,val/top5,val/error\n"
        "1,1,0.1,2.5,0.2,,,,\n2,2,0.1,1.5,0.5,1.7,0.4,0.8,0.6\n3,3,0.01,1.2,0.6,0.7,0.61,0.95,0.39\n"
    )
    found = random_predictions()
    return folder, Folder(found.labels), found


def tables_of(page):
    """Rows of texts of each table."""
    found = []
    for table in re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)
        cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
        found.append([[html.unescape(cell) for cell in row] for row in cells])
    return found


def digits(part, whole):
    return f"{part / whole:.3f}" if whole else "-"


def test_numbers_of_the_classes_against_loops(run):
    folder, dataset, found = run
    page = write_report(folder, dataset, found, METRICS).read_text()
    classes, matrix = tables_of(page)
    pairs = list(zip(found.labels.tolist(), found.predicted.tolist()))
    for k, name in enumerate(NAMES):
        images = sum(true == k for true, _ in pairs)
        guesses = sum(guess == k for _, guess in pairs)
        right = sum(true == guess == k for true, guess in pairs)
        others = [sum(p == (k, other) for p in pairs) * (other != k) for other in range(7)]
        most = max(others)
        confusion = f"{NAMES[others.index(most)]} ({most})" if most else "-"
        f1 = digits(2 * right, images + guesses)
        assert classes[k] == [
            name,
            str(images),
            digits(right, images),
            digits(right, guesses),
            f1,
            confusion,
        ]
        cells = re.findall(r'class="count">([^<]*)<.*?class="share">([^<]*)<', "".join(matrix[k]))
        counts = [sum(p == (k, other) for p in pairs) for other in range(7)]
        assert [count for count, _ in cells] == [str(count) for count in counts]
        assert [share for _, share in cells] == [f"{n / max(images, 1):.2f}" for n in counts]
    assert classes[4][2] == classes[5][3] == "-"


def test_it_says_what_was_measured_and_names_are_text(run):
    folder, dataset, found = run
    metrics = {**METRICS, "best_accuracy": 0.654321, "published_accuracy": 0.7615}
    page = write_report(folder, dataset, found, metrics, [("protocol", "ten-crop")]).read_text()
    tiles = {
        name: value for value, name in re.findall(r"<div><b>(.*?)</b><span>(.*?)</span>", page)
    }
    assert tiles == {
        "top-1 accuracy, last epoch": "0.6100",
        "top-5 accuracy, last epoch": "0.9500",
        "loss, last epoch": "0.7123",
        "top-1, best epoch": "0.6543",
        "top-1, published": "0.7615",
        "classes": "7",
        "images": "200",
    }
    assert "those of the last epoch's weights (weights/last)" in page
    evaluated = write_report(folder, dataset, found, METRICS).read_text()
    assert "last epoch" not in evaluated and "<span>top-1 accuracy</span>" in evaluated
    assert "pets: 200 images, 1.5 minutes" in page and "first &amp; last" in page
    charts = re.findall(
        r"<figcaption>(Loss|Accuracy|Learning rate)</figcaption>(.*?)</figure>", page
    )
    lines = {title: re.findall(r"<title>(.*?)</title>", chart) for title, chart in charts}
    assert lines == {
        "Loss": ["training", "validation"],
        "Accuracy": ["training", "validation", "validation, top-5"],
        "Learning rate": ["lr"],
    }
    assert "<dt>protocol</dt><dd>ten-crop</dd>" in page and "<summary>config.yaml</summary>" in page
    assert HOSTILE not in page and html.escape(HOSTILE) in page
    assert not re.search(r"(src|href)=[\"']?(?!data:)[a-z]+:", page)
    with pytest.raises(ValueError, match="Received: -1"):
        write_report(folder, dataset, found, metrics, pictures=-1)


def test_pictures_are_the_most_confident_errors_and_only_they_are_read(run):
    folder, dataset, found = run
    page = write_report(folder, dataset, found, METRICS, pictures=3).read_text()
    wrong = [i for i in range(200) if found.predicted[i] != found.labels[i]]
    worst = sorted(wrong, key=lambda i: -found.scores[i])[:3]
    right = [i for i in range(200) if i not in wrong]
    middle = right[round((len(right) - 1) / 2)]
    chosen = [*worst, right[0], middle, right[-1]]
    assert dataset.seen == chosen
    captions = re.findall(r"<figcaption>(<b class=.*?)</figcaption>", page)
    for i, caption in zip(chosen, captions, strict=True):
        lines = [html.unescape(text) for text in re.findall(r">([^<]+)<", caption)]
        assert lines == [
            f"{NAMES[found.predicted[i]]} ({found.scores[i]:.2f})",
            *([f"true: {NAMES[found.labels[i]]}"] if i in wrong else []),
            f"val/{i}.jpg",
        ]
    source = re.search(r'src="data:image/jpeg;base64,([^"]*)"', page).group(1)
    picture = Image.open(io.BytesIO(base64.b64decode(source)))
    assert picture.size == (256, 192)
    original = Image.fromarray(smooth_image((375, 500), seed=worst[0])).resize((256, 192))
    assert np.abs(np.asarray(picture, "int16") - np.asarray(original, "int16")).mean() < 4


def test_few_classes_an_evaluation_and_nothing_wrong(tmp_path):
    labels = np.array([0, 1, 1])
    dataset = ImageDataset("b", ["x", "y"], labels, images=np.zeros((3, 8, 8, 3), "uint8"))
    found = Predictions(np.arange(3), labels, labels, np.ones(3, "float32"))
    page = write_report(tmp_path, dataset, found, METRICS).read_text()
    assert "top-5" not in page and "<h2>Training" not in page and "Wrong" not in page
    assert page.count("<img class=tiny") == 3 and "data:image/png" in page
    write_plots(tmp_path, dataset, found)
    assert not (tmp_path / "results.png").exists()


def test_many_classes_have_pairs_for_a_matrix(tmp_path):
    names = [f"class {k}" for k in range(3000)]
    labels = np.repeat(np.arange(3000), 2)
    predicted = labels.copy()
    predicted[:2] = 7  # both of class 0
    predicted[2] = 2999
    dataset = Folder(labels, names)
    found = Predictions(np.arange(6000), labels, predicted, np.full(6000, 0.5, "float32"))
    path = write_report(tmp_path, dataset, found, METRICS)
    classes, pairs = tables_of(path.read_text())
    assert pairs == [
        ["class 0", "class 7", "2", "1.000"],
        ["class 1", "class 2999", "1", "0.500"],
    ]
    # The worst are among the rows, in the order of the labels.
    assert [row[0] for row in classes[:3]] == ["class 0", "class 1", "class 2"]
    assert len(classes) == 2000 and classes[-1][0] == "class 2999"
    assert path.stat().st_size <= 5e6
    write_plots(tmp_path, dataset, found)
    assert not (tmp_path / "confusion_matrix.png").exists()


def test_predictions_are_those_that_the_figures_count():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 6)).astype("float32")
    labels = rng.integers(0, 6, 40)
    logits[3] = np.nan
    logits[5, (labels[5] + 1) % 6] = np.inf
    logits[7] = 0  # the first of equals
    rows = []
    figures = ClassificationFigures(rows)
    figures.add(logits[:30], labels[:30])
    filled = np.append(labels[30:], [-1, -1])
    figures.add(np.concatenate([logits[30:], np.zeros((2, 6))]), filled)
    found = Predictions.of_batches(rows)
    assert found.positions.tolist() == list(range(40))
    assert found.labels.tolist() == labels.tolist()
    assert found.right.mean() == figures.result()["accuracy"]
    for i in set(range(40)) - {3, 5}:
        e = np.exp(logits[i].astype("float64") - logits[i].max())
        assert found.predicted[i] == np.argmax(logits[i])
        assert found.scores[i] == pytest.approx(e.max() / e.sum(), rel=1e-6)
    assert found.predicted[3] == -1 and found.scores[3] == 0
    counts = count_classes(found, 6)
    # What was no number is in no column.
    assert counts.matrix().sum() == 40 - (found.predicted < 0).sum()


def test_shares_of_processes_are_put_in_the_order_of_the_data(monkeypatch):
    # Two batches of four; each of two processes has two rows of each, the last are fillers.
    labels = np.array([[0, 1, 2, 3], [4, 5, -1, -1]], "int32")
    shares = [
        [(part, part.copy(), part / 10) for part in labels[:, rows]]
        for rows in (slice(0, 2), slice(2, 4))
    ]
    plain = [[[c.tolist() for c in batch] for batch in share] for share in shares]
    monkeypatch.setattr(predictions_module, "gather", lambda value: plain)
    for share in shares:
        found = Predictions.of_batches(share)
        assert found.labels.tolist() == found.predicted.tolist() == list(range(6))
        assert found.scores == pytest.approx(np.arange(6) / 10)


def test_a_page_that_cannot_be_made_loses_nothing(run, monkeypatch):
    folder, dataset, found = run
    config = load_classifier_config("cifar10_resnet20", ["data.root=nowhere"])
    logs = {"loss": 1.2, "accuracy": 0.6, "val_loss": 0.7, "val_accuracy": 0.61, "val_top5": 0.95}
    broken = Folder(found.labels)
    broken._read = lambda index: 1 / 0
    for images, last in ((broken, "No report.html: ZeroDivisionError"), (dataset, "page        ")):
        said = []
        metrics = write_outputs(config, logs, folder, 5.0, images, found, said.append)
        assert metrics == json.loads((folder / "metrics.json").read_text())
        assert (metrics["accuracy"], metrics["best_accuracy"]) == (0.61, 0.61)
        assert [line.startswith(last) for line in said] == [True], said
        assert (folder / "report.html").exists() is (images is dataset)
    monkeypatch.setattr(run_outputs, "write_plots", lambda *_: [][0])
    said = []
    write_outputs(config, logs, folder, 5.0, dataset, found, said.append)
    assert said[0] == "No plots: IndexError: list index out of range" and len(said) == 2
    for name in ("results.png", "confusion_matrix.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 300


@needs_browser
def test_sorting_and_shares_in_a_browser(run, tmp_path):
    folder, dataset, found = run
    path = write_report(folder, dataset, found, METRICS)
    assert path.stat().st_size <= 5e6
    counts = count_classes(found, 7)
    script = """
      const column = (k) => [...document.querySelectorAll("table.sortable tbody tr")]
        .map((row) => row.cells[k].textContent);
      const heads = document.querySelectorAll("table.sortable button");
      const visible = (kind) => [...document.querySelectorAll(".matrix ." + kind)]
        .filter((e) => e.getClientRects().length).length;
      seen.shown = [visible("count"), visible("share")];
      shares.click();
      seen.toggled = [visible("count"), visible("share")];
      heads[1].click(); seen.images = column(1);
      heads[2].click(); seen.falling = column(2);
      heads[2].click(); seen.rising = column(2);
      heads[5].click(); seen.confused = column(5).map((text) => text.split("(").at(-1));
      heads[0].click(); seen.names = column(0);
      seen.loaded = [...document.images].filter((e) => e.naturalWidth).length;
    """
    accuracies = [f"{a:.3f}" for a in sorted(counts.accuracy[counts.images > 0])]
    confused = [int(counts.pairs[counts.pairs[:, 0] == k, 2].max()) for k in range(7) if k != 4]
    for dark in (False, True):
        seen = drive(path.read_text(), script, tmp_path / "first & last", dark=dark)
        for width in WIDTHS:
            here = seen[width]
            assert (here["inner"], here["dark"]) == (width, dark)
            assert (here["errors"], here["wide"]) == ([], [])
            assert (here["shown"], here["toggled"]) == ([49, 0], [0, 49])
            assert here["images"] == [str(n) for n in sorted(counts.images, reverse=True)]
            # A class without images comes last whichever way.
            assert here["falling"] == [*accuracies[::-1], "-"]
            assert here["rising"] == [*accuracies, "-"]
            assert here["confused"] == [f"{n})" for n in sorted(confused, reverse=True)] + ["-"]
            order = sorted(name for name in NAMES if name != HOSTILE)
            assert here["names"] == [HOSTILE, *order]
            assert here["loaded"] == 24
