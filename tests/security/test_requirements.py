"""The oldest dependencies with the fixes that the library relies on, and the page on security."""

import importlib.metadata
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FLOORS = {"keras": "3.15.1", "pillow": "12.2"}


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = map(Requirement, project["dependencies"])
    return {requirement.name.lower(): requirement for requirement in found}


def test_floors_are_declared():
    declared = requirements()
    for name, floor in FLOORS.items():
        lowest = [Version(s.version) for s in declared[name].specifier if s.operator == ">="]
        assert lowest
        assert max(lowest) >= Version(floor)


def test_floors_hold_here():
    for name, floor in FLOORS.items():
        assert Version(importlib.metadata.version(name)) >= Version(floor)


def test_no_dependency_comes_from_an_address():
    assert [r.name for r in requirements().values() if r.url is not None] == []


def test_the_page_on_security_says_what_is_needed():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for needed in ("promised", "sandbox", "Reporting", "trust=True", "pip-audit", "178,956,970"):
        assert needed in text
