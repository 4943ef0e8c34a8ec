"""Text, page, JSON and pictures: readable, and harmless whatever classes and files are called."""

import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from detection.data import load_coco
from detection.data_check import check_data, write_report
from detection.data_check.contact_sheet import sample_sheet, suspicious_sheet
from detection.data_check.report_html import html_page
from detection.data_check.report_text import Style, terminal_style
from detection.data_check.words import count_of, cut, cut_front, pad, percent, width_of
from detection.visualize import draw_detections, image_grid
from tests.detection.data_check.sample import (
    DEFECTS,
    add_box,
    add_category,
    annotations,
    config_of,
    edit,
)

HOSTILE = "<script>alert(1)</script>"
FILE = "<img src=x onerror=alert(2)>&\"'\x1b[31m\u202e.jpg"


@pytest.fixture
def hostile(folder):
    """A data set whose names attack page and terminal, with a few defects."""
    add_box(folder, (20, 20, 30, 30), add_category(folder, HOSTILE))
    add_category(folder, "長い名前" * 20)
    (folder / "train" / "000007.jpg").rename(folder / "train" / FILE)

    def rename(content):
        content["images"][6]["file_name"] = FILE

    edit(folder, rename)
    add_box(folder, (0, 0, 96, 96), image=7)
    return folder


class Page(html.parser.HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.style = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "style" and "{" in data:
            self.style += data
        else:
            self.words.append(data)


def test_the_page_needs_nothing_and_runs_nothing(hostile):
    found = check_data(config_of(hostile))
    sheet = sample_sheet(found.datasets, 4)
    text = html_page(found, title=HOSTILE, samples=sheet, suspicious=sheet)
    page = Page(text)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "base", "svg"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert not {"href", "action", "srcset", "data"} & set(attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert "url(" not in attributes.get("style", "")
    assert "url(" not in page.style and "@import" not in page.style
    assert not re.search(r"https?:|//\w", re.sub(r"base64,[\w+/=]+", "", text))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_the_page_shows_names_as_they_are(hostile):
    found = check_data(config_of(hostile))
    page = Page(html_page(found, title="a title"))
    words = "".join(page.words)
    assert HOSTILE in words
    assert FILE.encode("unicode_escape").decode() in words
    assert "class_without_boxes" in words and "whole_image" in words
    assert "alert" not in "".join(tag for tag, _ in page.elements)
    sources = [a for tag, a in page.elements if tag == "img"]
    assert sources == []
    # Light, dark and narrow.
    assert "prefers-color-scheme: dark" in page.style and "max-width: 40rem" in page.style


def test_text_fits_the_columns_and_is_plain(hostile):
    found = check_data(config_of(hostile))
    text = found.text()
    assert all(width_of(line) <= 80 for line in text.splitlines() if "--set" not in line)
    assert all(line.isprintable() for line in text.splitlines())
    assert HOSTILE[:19] in text and "\\x1b[31m\\u202e.jpg" in text
    for heading in ("Classes", "Anchors", "Problems", "Advice"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in text
    short = found.summary()
    assert all(line.isprintable() and width_of(line) <= 80 for line in short.splitlines())
    assert "warning: whole_image (1)" in short
    assert len(short.splitlines()) < 30


def test_colours_are_for_terminals(clean_folder, monkeypatch):
    found = check_data(config_of(clean_folder))
    assert "\x1b[" not in found.text()
    coloured = found.text(Style(90, True, "█"))
    assert "\x1b[1mClasses" in coloured and "█" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", found.text(Style(80, True))) == found.text()
    assert terminal_style(io.StringIO()) == Style()

    class Terminal(io.StringIO):
        encoding = "UTF-8"

        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "132")
    assert terminal_style(Terminal()) == Style(100, True, "█")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    assert terminal_style(Terminal()) == Style(60, False, "█")


def test_the_folder_of_a_report(folder, tmp_path):
    for kind in ("duplicate_box", "zero_area", "undecodable_image"):
        DEFECTS[kind][0](folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    found = check_data(config_of(folder))
    output = tmp_path / "new" / "report"
    paths = write_report(found, output, images=5)
    names = ["data_check.json", "data_check.html", "samples.png", "suspicious.png"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in output.iterdir()) == sorted(names)
    assert json.loads((output / names[0]).read_text()) == json.loads(json.dumps(found.to_dict()))
    with Image.open(output / "samples.png") as sheet:
        assert sheet.format == "PNG" and sheet.width == 4 * 320 + 5 * 4
    page = (output / names[1]).read_text()
    assert page.count('src="data:image/jpeg;base64,') == 2
    # A second report takes the place of the first, and leaves nothing of it behind.
    write_report(found, output, images=0)
    assert sorted(path.name for path in output.iterdir()) == sorted(names[:2])
    # The data set is as it was.
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_folder_with_something_else_is_left(clean_folder, tmp_path):
    found = check_data(config_of(clean_folder))
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ValueError, match=r"something else.*mine\.txt"):
        write_report(found, tmp_path)
    with pytest.raises(ValueError, match="folder of its own"):
        write_report(found, tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_suspicious_boxes_are_drawn_and_no_others(folder):
    add_box(folder, (0, 0, 96, 96), category=2)
    found = check_data(config_of(folder))
    sheet = suspicious_sheet(found.datasets, found.problems)
    image = found.datasets["train"].read_image(0)
    drawn = draw_detections(image, [[0, 0, 96, 96]], [1], class_names=["", "square"])
    captions = ["whole image: train, 000001.jpg"]
    expected = image_grid([drawn], cell_size=(320, 260), captions=captions)
    assert np.array_equal(np.asarray(sheet), np.asarray(expected))


def test_samples_show_every_class(clean_folder):
    datasets = {
        split: load_coco(clean_folder / split, annotations(clean_folder, split))
        for split in ("train", "val")
    }
    first = sample_sheet(datasets, 6)
    assert first.tobytes() == sample_sheet(datasets, 6).tobytes()
    assert first.tobytes() != sample_sheet(datasets, 6, seed=1).tobytes()
    assert first.width == 4 * 320 + 5 * 4 and first.height < 3 * 320


def test_words():
    assert cut("abcdef", 6) == "abcdef" and cut("abcdefg", 6) == "abc..."
    assert cut_front("/a/long/folder/file.jpg", 16) == ".../file.jpg"
    assert cut_front("x" * 30, 10) == "..." + "x" * 7
    assert (width_of("長い"), pad("長い", 6), pad("ab", 4, right=True)) == (4, "長い  ", "  ab")
    assert width_of("e\u0301") == 1
    assert [percent(x) for x in (0, 0.0004, 0.012, 0.25, 1)] == [
        *("0%", "<0.1%", "1.2%", "25%", "100%")
    ]
    assert [count_of(1, "box", "boxes"), count_of(1200, "box", "boxes")] == ["1 box", "1,200 boxes"]
