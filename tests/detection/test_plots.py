import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from detection.evaluation import confusion_matrix, evaluate
from detection.plots import plot_confusion_matrix, plot_labels, plot_pr_curve, plot_results
from tests.detection.evaluation_cases import random_case


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved during a test: what was drawn, not only that something was."""
    saved = []
    original = Figure.savefig

    def savefig(self, *args, **kwargs):
        saved.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def assert_is_a_picture(path, kind):
    with Image.open(path) as image:
        assert image.format == kind
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels[0, 0] > 250).all()
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert min(pixels.shape[:2]) > 300


def panels(figure):
    return {axis.get_title(): axis for axis in figure.axes if axis.get_title()}


def test_results(tmp_path, figures):
    path = tmp_path / "results.csv"
    path.write_text(
        "epoch,time,train/rpn_box_loss,train/box_loss,metrics/mAP50,metrics/mAP50-95,lr\n"
        "1,10,0.5,0.9,,,0.01\n"
        "2,20,0.4,0.8,0.3,0.1,0.02\n"
        "3,30,0.3,nan,,,0.01\n"
        "4,40,0.2,0.6,0.5,0.2,0.001\n"
    )
    plot_results(path, tmp_path / "results.png")
    assert_is_a_picture(tmp_path / "results.png", "PNG")
    drawn = panels(figures[0])
    assert list(drawn) == ["Training loss", "Validation", "Learning rate"]
    box, classes = drawn["Training loss"].get_lines()
    assert box.get_label() == "rpn box loss"
    assert box.get_xydata().tolist() == [[1, 0.5], [2, 0.4], [3, 0.3], [4, 0.2]]
    assert classes.get_xydata().tolist() == [[1, 0.9], [2, 0.8], [4, 0.6]]
    ap50, ap = drawn["Validation"].get_lines()
    assert (ap50.get_label(), ap.get_label()) == ("mAP50", "mAP50-95")
    assert ap.get_xydata().tolist() == [[2, 0.1], [4, 0.2]]
    assert drawn["Learning rate"].get_lines()[0].get_ydata().tolist() == [0.01, 0.02, 0.01, 0.001]


def test_results_of_one_epoch_without_evaluation(tmp_path, figures):
    path = tmp_path / "results.csv"
    path.write_text("epoch,train/loss,metrics/mAP50\n0,0.5,\n")
    plot_results(path, tmp_path / "results.png")
    (line,) = panels(figures[0])["Training loss"].get_lines()
    assert line.get_xydata().tolist() == [[0, 0.5]] and line.get_marker() == "o"
    assert "Validation" not in panels(figures[0])


@pytest.mark.parametrize("text", ["", "epoch,lr\n", "epoch,seconds\n1,2\n", "epoch,lr\n1,\n"])
def test_results_without_numbers_are_refused(tmp_path, text):
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"Received: .*results\.csv"):
        plot_results(path, tmp_path / "results.png")
    assert not (tmp_path / "results.png").exists()


def test_labels(tmp_path, figures):
    truth, _ = random_case()
    plot_labels(truth, tmp_path / "labels.jpg")
    assert_is_a_picture(tmp_path / "labels.jpg", "JPEG")
    bars, scatter, histogram = figures[0].axes
    counts = [sum(row["category_id"] == key for row in truth["annotations"]) for key in (3, 18, 44)]
    assert [bar.get_width() for bar in bars.patches] == [*counts, 0]
    assert [tick.get_text() for tick in bars.get_yticklabels()][:2] == ["class 3", "class 18"]
    sizes = [row["bbox"][2:] for row in truth["annotations"]]
    assert scatter.collections[0].get_offsets().tolist() == sizes
    assert sum(bar.get_height() for bar in histogram.patches) == len(sizes)


def test_labels_of_many_classes_and_of_none(tmp_path, figures):
    truth, _ = random_case()
    many = [{"id": 1000 + index, "name": f"other {index}"} for index in range(60)]
    truth["categories"] = many + truth["categories"]
    plot_labels(truth, tmp_path / "many.png")
    widths = [bar.get_width() for bar in figures[0].axes[0].patches]
    assert len(widths) == 30 and widths == sorted(widths, reverse=True)
    assert sum(widths) == len(truth["annotations"])
    empty = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    plot_labels(empty, tmp_path / "empty.png")
    assert [bar.get_width() for bar in figures[1].axes[0].patches] == [0]


def test_pr_curve(tmp_path, figures):
    metrics = evaluate(*random_case(), curves=True)
    plot_pr_curve(metrics, tmp_path / "PR_curve.png")
    assert_is_a_picture(tmp_path / "PR_curve.png", "PNG")
    lines = figures[0].axes[0].get_lines()
    assert len(lines) == 4  # the three classes that occur, and their mean
    rows = metrics["pr_curves"]["per_class"]
    assert lines[1].get_ydata().tolist() == rows[1]["precision"]
    assert lines[1].get_label().split() == ["class", "18", f"{rows[1]['AP50']:.3f}"]
    assert lines[3].get_label().split() == ["mean", "of", "3", f"{metrics['AP50']:.3f}"]
    plot_pr_curve(metrics["pr_curves"], tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "PR_curve.png").read_bytes()


def test_pr_curve_without_ground_truth(tmp_path, figures):
    empty = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    plot_pr_curve(evaluate(empty, [], curves=True), tmp_path / "PR_curve.png")
    assert len(figures[0].axes[0].get_lines()) == 0


def test_confusion_matrix(tmp_path, figures, monkeypatch):
    drawn = []
    original = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda self, data, **kw: drawn.append(data) or original(self, data, **kw)
    )
    matrix = np.array([[8, 2, 0], [0, 0, 0], [3, 0, 0]])
    plot_confusion_matrix(matrix, ["cat", "dog"], tmp_path / "confusion_matrix.png")
    assert_is_a_picture(tmp_path / "confusion_matrix.png", "PNG")
    np.testing.assert_allclose(drawn[0], [[0.8, 0.2, 0], [0, 0, 0], [1, 0, 0]])
    axis = figures[0].axes[0]
    assert sorted(text.get_text() for text in axis.texts) == ["2", "3", "8"]
    names = [tick.get_text() for tick in axis.get_xticklabels()]
    assert names == ["cat", "dog", "background"]
    with pytest.raises(ValueError, match=r"Received: shape \(3, 3\) with 3 class names"):
        plot_confusion_matrix(matrix, ["a", "b", "c"], tmp_path / "x.png")


def test_confusion_matrix_of_an_evaluation(tmp_path, figures):
    truth, results = random_case()
    matrix = confusion_matrix(truth, results)
    names = [row["name"] for row in truth["categories"]]
    plot_confusion_matrix(matrix, names, tmp_path / "confusion_matrix.png")
    texts = [int(text.get_text()) for text in figures[0].axes[0].texts]
    assert sum(texts) == matrix.sum()
