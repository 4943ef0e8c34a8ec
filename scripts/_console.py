"""The command `keras-resnet`, which has the scripts beside this file as subcommands."""

import ast
import difflib
import importlib.abc
import importlib.metadata
import re
import sys
import types
from pathlib import Path

FOLDER = Path(__file__).parent
PROGRAM = "keras-resnet"

_USAGE = """\
usage: {program} COMMAND [arguments]
       {program} COMMAND --help
       {program} --version

commands:
{commands}

Example: {program} train-detector
"""


def main():
    """Runs the script that the first argument names, as `python scripts/NAME.py` would."""
    found = commands()
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else (None, [])
    if name in ("-h", "--help", "help"):
        print(usage(found), end="")
        return 0
    if name == "--version":
        print(PROGRAM, importlib.metadata.version("keras-resnet-detection"))
        return 0
    if name is None:
        print(usage(found), end="", file=sys.stderr)
        return 2
    name = name.removesuffix(".py").replace("_", "-")
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        print(
            f"error: There is no command {sys.argv[1]!r}.{hint} "
            f"{PROGRAM} --help lists all. Received: {sys.argv[1:]}",
            file=sys.stderr,
        )
        return 2
    sys.path.insert(0, str(FOLDER))  # where the scripts look for what they share
    sys.argv = [f"{PROGRAM} {name}", *arguments]
    _run(found[name])
    return 0


def commands():
    """dict from the names of the commands to the paths of their scripts."""
    files = sorted(FOLDER.glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): file for file in files}


def usage(found):
    """What `--help` prints: each command with the first line of its script."""
    width = max(map(len, found))
    lines = [f"  {name:{width}}  {_first_line(path)}" for name, path in found.items()]
    return _USAGE.format(program=PROGRAM, commands="\n".join(lines))


def _first_line(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


class _Script(importlib.abc.InspectLoader):
    """Loads a script, with commands in its texts where it names files of a checkout."""

    def __init__(self, path):
        self.path = path

    def get_source(self, fullname):
        return self.path.read_text(encoding="utf-8")

    def get_code(self, fullname):
        tree = ast.parse(self.get_source(fullname))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = re.sub(r"python scripts/(\w+)\.py", _command, node.value)
        return compile(tree, str(self.path), "exec")


def _run(path):
    """Runs a script as the program; unlike `runpy`, leaves `sys.argv[0]`, which help shows."""
    module = types.ModuleType("__main__")
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    _Script(path).exec_module(module)


def _command(match):
    return f"{PROGRAM} {match[1].replace('_', '-')}"


if __name__ == "__main__":
    sys.exit(main())
