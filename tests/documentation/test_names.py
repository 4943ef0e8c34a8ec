"""Names and links in the documentation lead somewhere."""

import importlib
import re

import pytest

from tests.documentation.blocks import PAGES, ROOT

_NAME = re.compile(r"(?<![\w./-])((?:keras_resnet|detection)(?:\.\w+)+)\(")
_LINK = re.compile(r"\]\(([^()\s]+)\)")


def _text(page):
    return (ROOT / page).read_text(encoding="utf-8")


def _resolve(name):
    package, *parts = name.split(".")
    found = importlib.import_module(package)
    for part in parts:
        if not hasattr(found, part):
            importlib.import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_what_is_called_exists(page):
    for name in sorted(set(_NAME.findall(_text(page)))):
        assert callable(_resolve(name)), name


def test_calls_are_found():
    names = set(_NAME.findall(_text("docs/migrating.md")))
    assert {"keras_resnet.ResNet50", "detection.FasterRCNN.from_pretrained"} <= names
    with pytest.raises(ImportError):
        _resolve("detection.no_such_name")


def _prose(page):
    return re.sub(r"^```.*?^```$", "", _text(page), flags=re.DOTALL | re.MULTILINE)


def _anchors(page):
    """Anchors as GitHub makes them of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in _LINK.findall(_prose(page)):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target.relative_to(ROOT)), link


def test_the_pretrained_detector_is_named_before_the_first_command():
    section = _text("README.md").split("\n## Train on your own images\n")[1]
    before = section.split("```bash")[0]
    assert "`finetune_custom`" in before and "(#from-a-pretrained-detector)" in before
