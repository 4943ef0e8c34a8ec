"""Functions that run what a file says are called nowhere, or in the one place that is safe."""

import ast

import pytest

from tests.test_structure import FILES, ROOT

SOURCES = {**FILES, **{f"scripts.{p.stem}": p for p in sorted((ROOT / "scripts").rglob("*.py"))}}
# Modules that run what they read, and who may import them for what else they can do.
MODULES = {
    "pickle": {"keras_resnet.data.cifar"},  # A reader of lists and texts only.
    "marshal": set(),
    "shelve": set(),
    "dill": set(),
    "joblib": set(),
    "cloudpickle": set(),
    "xml": set(),
    "lxml": set(),
}
CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
    "shutil.unpack_archive",
}
METHODS = {"extractall", "extract"}


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("module", SOURCES)
def test_nothing_runs_what_a_file_says(module):
    tree = ast.parse(SOURCES[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert module in MODULES.get(name.split(".")[0], {module}), f"{module} imports {name}"
    for name, node in calls(tree):
        assert name not in CALLS, f"{module} calls {name} in line {node.lineno}"
        assert name.rpartition(".")[2] not in METHODS or "." not in name, f"{module}: {name}"
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False", f"{module}, line {node.lineno}"
        if name == "yaml.load":
            assert [ast.unparse(a) for a in node.args[1:]] == ["_Loader"], module


def test_the_rules_find_what_they_are_for():
    tree = ast.parse("import os\nos.system('x')\nnp.load('a')\narchive.extractall()")
    assert [name for name, _ in calls(tree)] == ["os.system", "np.load", "archive.extractall"]
    assert len(SOURCES) > len(FILES) > 150
