"""The commands and the Python of the documentation."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    *sorted(path.name for path in ROOT.glob("*.md")),
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    *(f"{package}/README.md" for package in ("keras_resnet", "detection")),
)


def blocks(page, language):
    """The texts of a page's fenced blocks of a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def commands(page):
    """The shell commands of a page, each in one line, without comments."""
    found = []
    for block in blocks(page, "bash"):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found += _split(line)
    return found


def _split(line):
    """`a && b` as two commands, each up to its comment."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars="&;|")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    parts = [[]]
    for word in lexer:
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part) for part in parts]
