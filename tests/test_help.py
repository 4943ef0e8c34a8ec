"""`--help` of every script: short enough for a terminal, an example, and its exit codes."""

import re
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize("name", sorted(path.name for path in SCRIPTS.glob("[!_]*.py")))
def test_help(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert re.search(r"Examples?:", text)
    (codes,) = re.findall(r"^exit codes:(.*)", text, flags=re.IGNORECASE | re.DOTALL | re.MULTILINE)
    assert len(re.findall("exit codes", text, flags=re.IGNORECASE)) == 1
    for code in (0, 1, 2) if name == "serving_client.py" else (0, 1, 2, 130):
        assert re.search(rf"(^|[\s,;]){code}\s", codes), f"{code} in {codes}"
