"""What pages of all kinds of runs share: charts, tables, the frame around them."""

import re

import numpy as np
import pytest

from keras_resnet.report.charts import line_chart
from keras_resnet.report.page import header, section, tiles, write_page
from keras_resnet.report.plots import plot_confusion_matrix, plot_panels
from keras_resnet.report.tables import measured, table


def test_chart_places_points_and_leaves_gaps_out():
    chart = line_chart("A & B", "epoch", {"loss": ([1, 2, 3], [4.0, None, 2.0])}, y_range=(0, 4))
    assert "A &amp; B" in chart
    points = re.search(r'points="([^"]*)"', chart).group(1).split()
    ys = [float(point.split(",")[1]) for point in points]
    # The top of the chart is 4, its bottom 0: the second point is half-way.
    top, bottom = 8.0, 220.0
    assert ys == [top, (top + bottom) / 2]
    assert line_chart("", "", {"loss": ([1], [float("nan")])}) == ""


def test_cells_are_text_and_know_their_value():
    html = table(("a<b", "n"), [("<x>", (f"{1234:,}", 1234)), ('"', measured(None))], sortable=True)
    assert html.count("&lt;x&gt;") == 2 and "<x>" not in html and "a&lt;b" in html
    assert re.findall(r'data-value="([^"]*)">([^<]*)', html) == [
        ("&lt;x&gt;", "&lt;x&gt;"),
        ("1234", "1,234"),
        ("&quot;", "&quot;"),
        ("", "-"),
    ]
    assert measured(0.98765432) == ("0.988", 0.987654)
    assert measured(float("nan")) == measured(-1.0) == ("-", None)


def test_a_page_of_names_that_are_no_text(tmp_path):
    name = "</script>\udcff\x1b[2J"
    body = header(name, name, 1234) + section("<", tiles([("<i>", "1 < 2")])) + section("none", "")
    path = write_page(tmp_path, name, body, data={"name": name})
    page = path.read_bytes().decode()  # valid UTF-8
    assert page.count("</script>") == 2 and "1,234 images" in page and "1 &lt; 2" in page
    assert "none" not in body
    assert "Content-Security-Policy" in page and "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(?!data:)[a-z]+:", page)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_nothing_to_plot(tmp_path):
    nothing = {"Loss": {"training": ([1, 2], [float("nan")] * 2)}, "Accuracy": {}}
    assert plot_panels(nothing, tmp_path / "a.png") is False
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"shape \(2, 2\) with 3 names"):
        plot_confusion_matrix(np.eye(2, dtype=int), ("a", "b", "c"), tmp_path / "a.png")
