"""The dependencies between files: which way they point, and that all of them are declared."""

import ast
import functools
import graphlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import detection

ROOT = Path(__file__).parents[1]
PACKAGES = ("keras_resnet", "detection")

# Modules of `detection`, lowest first: each imports only from the lines above its own.
LAYERS = (
    ("_tensorflow", "boxes", "pixels"),
    ("roi_levels",),
    ("roi_taps",),
    (
        "anchors",
        "box_coder",
        "sampling",
        "nms",
        "roi_align",
        "roi_pool",
        "losses",
        "top_k",
        "matching",
    ),
    (
        "targets",
        "box_heads",
        "soft_nms",
        "poolers",
        "box_losses",
        "box_voting",
        "box_refinement",
        "scale_maxout",
        "view_boxes",
        "views",
    ),
    ("region_sampling", "selection", "box_predictor"),
    ("fpn", "single_level", "rpn", "second_stage"),
    ("roi_heads",),
    ("cascade", "detector_methods", "two_stage_training"),
    ("faster_rcnn", "multi_view", "data", "evaluation", "plots", "part_configs"),
    ("model_config", "visualize", "datasets", "load_image", "serving_ops"),
    ("detections",),
    ("detection_list",),
    ("predict",),
    ("config", "weights"),
    ("backbones",),
    (
        "build",
        "callbacks",
        "model_size",
        "pictures",
        "report",
        "export_check",
        "serving",
        "served",
        "export_facts",
        "data_check",
        "expectations",
    ),
    ("saving", "evaluate", "export", "export_onnx"),
    ("categories", "run_identity", "run_outputs"),
    ("from_torchvision",),
    ("pretrained",),
    ("train",),
    ("ablation", "dry_run"),
)
MODEL = {name for layer in LAYERS[:9] for name in layer} | {"faster_rcnn", "build"}
# Methods for people, which import what reads files when they are called.
LATE = {
    ("detection.detector_methods", "detection.detections"),
    ("detection.detector_methods", "detection.faster_rcnn"),
    ("detection.detector_methods", "detection.predict"),
    ("detection.detector_methods", "detection.pretrained"),
}

# The modules that are about TensorFlow: nobody imports them at the module level but each other.
ABOUT_TENSORFLOW = {
    "detection.data.pipeline",
    "detection.serving",
    "detection.serving_ops",
    "keras_resnet.classification.serving",
    "keras_resnet.decode_ops",
    "keras_resnet.exif_ops",
}
# What the parts of keras_resnet may know beside themselves; "" is all that is in none of them.
PARTS = {
    "untrusted": set(),
    "training": {"data", "untrusted"},
    "data": set(),
    "report": {"", "data", "training"},
    "classification": {"", "data", "report", "training", "untrusted"},
    "experiments": {"", "data", "training", "classification"},
    "": {"untrusted"},
}
FRAMEWORKS = {"tensorflow", "tensorflow_datasets", "keras_cv", "jax", "torch"}

DISTRIBUTION_OF = {"yaml": "pyyaml", "PIL": "pillow", "cv2": "opencv-python-headless"}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(p): p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))}


@functools.cache
def imports(module, late=True):
    """Full names that a module imports; without `late` only those of its top level."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if late else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in FILES else node.module)
    return found


def own(module, late=True):
    return {name for name in imports(module, late) if name.split(".")[0] in PACKAGES}


def test_files_were_found():
    assert {"detection.boxes", "detection.data.coco", "keras_resnet.training.run"} <= set(FILES)
    assert "keras" in imports("detection.faster_rcnn")


@pytest.mark.parametrize("module", FILES)
def test_packages_point_one_way(module):
    for name in imports(module):
        first = name.split(".")[0]
        assert first not in ("scripts", "tests", "_common")
        if module.startswith("keras_resnet"):
            assert first != "detection"
        if module.startswith("detection") and first == "keras_resnet":
            assert part_of(name) not in ("classification", "experiments")


def part_of(module):
    """The part of keras_resnet that a module is in."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] in PARTS else ""


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("keras_resnet")])
def test_parts_of_keras_resnet_point_one_way(module):
    here = part_of(module)
    for name in own(module):
        if name.startswith("keras_resnet"):
            assert part_of(name) in PARTS[here] | {here}, name


def test_layers_name_every_module():
    listed = [name for layer in LAYERS for name in layer]
    present = {name.split(".")[1] for name in FILES if name.startswith("detection.")}
    assert len(listed) == len(set(listed))
    assert set(listed) == present


@pytest.mark.parametrize("module", [name for name in FILES if name.startswith("detection.")])
def test_modules_import_from_lower_layers(module):
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    here = module.split(".")[1]
    for name in own(module):
        if not name.startswith("detection."):
            continue
        there = name.split(".")[1]
        late = (module, name) in LATE and name not in own(module, late=False)
        if there == here or late:
            continue
        assert level[there] < level[here], f"{module} imports {name}"


@pytest.mark.parametrize("package", ["data", "evaluation"])
def test_data_and_evaluation_know_only_themselves(package):
    for module in FILES:
        if f"{module}.".startswith(f"detection.{package}."):
            # Decoding images is shared with classification, and YAML with configurations.
            known = (f"detection.{package}", f"keras_resnet.{package}.")
            known += ("keras_resnet.training.config_yaml", "keras_resnet.training.config_error")
            assert all(name.startswith(known) for name in own(module)), module


@pytest.mark.parametrize("module", sorted(MODEL))
def test_the_model_knows_no_files(module):
    allowed = {"keras", "keras_resnet", "numpy", "detection"}
    allowed |= {"collections", "contextlib", "dataclasses", "math", "typing"}
    names = {name.split(".")[0] for name in imports(f"detection.{module}", late=False)}
    assert names <= allowed
    for name in own(f"detection.{module}", late=False):
        assert not name.startswith(("detection.data", "detection.evaluation"))


def test_no_circles():
    graph = {module: own(module, late=False) & set(FILES) for module in FILES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("module", FILES)
def test_frameworks_are_imported_only_where_they_are_the_subject(module):
    if module in ABOUT_TENSORFLOW:
        assert "tensorflow" in imports(module, late=False)
        return
    top = imports(module, late=False)
    assert not {name.split(".")[0] for name in top} & FRAMEWORKS
    assert not top & ABOUT_TENSORFLOW


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_not_those_of_modules(package):
    # Importing the module would put it in the place of the name.
    names = __import__(package).__all__
    assert names
    assert not [name for name in names if f"{package}.{name}" in FILES]
    for name in names:
        assert getattr(__import__(package), name).__module__ != package


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="no_such_thing"):
        detection.no_such_thing  # noqa: B018


def test_every_dependency_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    extras = {name_of_requirement(t) for extra in ("onnx", "litert") for t in optional[extra]}
    declared = {name_of_requirement(text) for text in project["dependencies"]} | extras
    at_once = {name.split(".")[0] for module in FILES for name in imports(module, late=False)}
    assert not extras & {name.replace("_", "-") for name in at_once}
    used = {name.split(".")[0] for module in FILES for name in imports(module)}
    used -= set(sys.stdlib_module_names) | set(PACKAGES)
    # The one only where the user has chosen it as the backend, the other comes with Keras.
    used -= {"jax"}
    found = {DISTRIBUTION_OF.get(name, name).lower().replace("_", "-") for name in used}
    assert found <= declared
    assert {"keras", "tensorflow", "pillow"} <= found


def name_of_requirement(text):
    name = text
    for stop in "<>=!~;[ ":
        name = name.split(stop)[0]
    return name.lower().replace("_", "-")


def test_files_that_are_not_code_are_package_data():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    patterns = tools["setuptools"]["package-data"]
    shipped = set()
    for package in PACKAGES:
        for pattern in patterns[package]:
            shipped |= set((ROOT / package).glob(pattern))
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    present = {p for p in files if p.is_file() and p.suffix not in (".py", ".pyc", ".md")}
    assert ROOT / "detection" / "configs" / "quickstart.yaml" in present
    assert present == shipped


WITHOUT_TENSORFLOW = """
import importlib, sys
for name in ("tensorflow", "tensorflow_datasets", "keras_cv"):
    sys.modules[name] = None  # importing it now raises ImportError
import keras, detection, keras_resnet
assert keras.backend.backend() == "jax"
for name in sys.argv[1:]:
    importlib.import_module(name)
for name in detection.__all__:
    getattr(detection, name)
print(len(sys.argv) - 1, "imported")
"""


def test_everything_else_imports_without_tensorflow():
    modules = sorted(set(FILES) - ABOUT_TENSORFLOW)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *modules],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(modules)} imported\n"
