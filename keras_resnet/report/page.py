"""The frame of a page, and what pages of all kinds of runs say alike."""

import json
from html import escape
from importlib import resources
from pathlib import Path

from keras_resnet.data.printable import printable
from keras_resnet.report.machine import describe_machine
from keras_resnet.report.tables import facts
from keras_resnet.training.verified_folder import write_file

REPORT_FILE = "report.html"


def write_page(folder, title, body, data=None, style="", script=""):
    """Writes a page that needs no network and no other file.

    Args:
        folder: path of a folder that exists; `report.html` in it is written or replaced.
        title: str, of the page.
        body: str of HTML in which all that comes from outside is escaped.
        data: what JSON can hold, for the script; None for nothing.
        style, script: str of CSS and JavaScript besides what all pages have.

    Returns:
        `pathlib.Path` of the page.

    Example:
    ```python
    write_page("runs/a", "a", header("a", ["100 images"]) + section("Figures", figures))
    ```
    """
    own = resources.files("keras_resnet.report")
    style = (own / "style.css").read_text(encoding="utf-8") + style
    script = (own / "tables.js").read_text(encoding="utf-8") + script
    content = ""
    if data is not None:
        # Inside a script only "<" can end it early; names in the data may be anything.
        text = json.dumps(data, ensure_ascii=True, allow_nan=False).replace("<", "\\u003c")
        content = f'<script type="application/json" id="data">{text}</script>\n'
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{body}\n</main>\n{content}<script>\n{script}</script>\n</body>\n</html>\n"
    )
    path = Path(folder) / REPORT_FILE
    # Names of files need not be text.
    write_file(path, page.encode("utf-8", "replace"))
    return path


def attempt(name, write, say):
    """Writes what is about a run that is done and saved; if it cannot be made, that is only said.

    Args:
        name: str, what is written.
        write: callable without arguments.
        say: callable that prints a line.

    Returns:
        What `write` returns, or None.

    Example:
    >>> attempt("page", lambda: 1 / 0, print)
    No page: ZeroDivisionError: division by zero
    """
    try:
        return write()
    except Exception as error:
        say(f"No {name}: {type(error).__name__}: {error}")
        return None


def section(title, content):
    """A part of a page under a title; nothing where it has no content."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def header(title, dataset, images, seconds=None):
    """The head of a page: title, data set, number of images and duration.

    Args:
        title: str.
        dataset: str, name of the data set.
        images: int.
        seconds: float, or None where it is not known.

    Returns:
        str of HTML.
    """
    line = f"{printable(dataset)}: {images:,} images"
    if seconds is not None:
        line += f", {seconds / 60:.1f} minutes"
    return f"<header><h1>{escape(title)}</h1><p>{escape(line)}</p></header>"


def tiles(rows):
    """Figures in large digits: `rows` of `(name, str)`."""
    parts = (
        f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in rows
    )
    return f'<div class="tiles">{"".join(parts)}</div>'


def charts(parts):
    """Charts side by side; nothing where all of `parts` are empty."""
    parts = "".join(parts)
    return f'<div class="charts">{parts}</div>' if parts else ""


def configuration(folder, rows=()):
    """What was run and where: facts, the machine, and `config.yaml` if the folder has it.

    Args:
        folder: `pathlib.Path` of the run.
        rows: sequence of `(name, value)` to be told before the machine.

    Returns:
        str of HTML.
    """
    content = facts([*rows, *describe_machine().items()])
    path = folder / "config.yaml"
    if path.is_file():
        text = escape(path.read_text(encoding="utf-8"))
        content += f"<details><summary>{path.name}</summary><pre>{text}</pre></details>"
    return content
