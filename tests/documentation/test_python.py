"""Every Python block of the documentation, run as it stands in a folder that has its files."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from tests.detection.weights.torch_state import full_state
from tests.documentation.blocks import PAGES, blocks
from tests.documentation.workspace import TINY, make_workspace, run

ALL = [(page, number, text) for page in PAGES for number, text in enumerate(blocks(page, "python"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documentation")
    make_workspace(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        import detection

        config = detection.load_config("quickstart", [*TINY, "run.export=true"])
        trained, _ = detection.train_detector(config, say=lambda line: None)
        (folder / "served").mkdir()
        (trained / "saved_model").rename(folder / "served" / "shapes")
        state = full_state("fasterrcnn_resnet50_fpn")
        weights = folder / "fasterrcnn_resnet50_fpn_coco.safetensors"
        save_file({n: np.asarray(v) for n, v in state.items()}, weights)
        yield folder


@pytest.fixture(scope="module")
def names(folder):
    """What the text around the blocks has spoken of; a page's blocks share their names."""
    import detection
    from detection.data import make_batches
    from detection.datasets import open_dataset

    config = detection.load_config("quickstart", ["data.pipeline.batch_size=2"])
    batches = make_batches(open_dataset(config.data, "train"), config.data.pipeline, True)
    # A cat or a dog each.
    batches = batches.take(1).map(lambda x, y: (x, {**y, "classes": tf.minimum(y["classes"], 1)}))
    images = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    shared = {"images": images, "batches": batches}
    return {page: {**shared} for page in PAGES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "number", "text"), ALL, ids=[f"{page}-{number}" for page, number, _ in ALL]
)
def test_block_runs(folder, names, page, number, text, monkeypatch):
    if "onnxruntime" in text:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("tf2onnx")
        done = run("python scripts/export_saved_model.py runs/quickstart shapes.onnx", folder)
        assert done.returncode == 0, done.stderr
    # Without the network; the block is about weights of a model that is there.
    untrained = functools.partial(keras.applications.ResNet50, weights=None)
    monkeypatch.setattr(keras.applications, "ResNet50", untrained)
    monkeypatch.chdir(folder)
    exec(compile(text, f"{page}, block {number + 1}", "exec"), names[page])


def test_there_are_blocks():
    pages = {page for page, _, _ in ALL}
    assert "README.md" in pages and len(ALL) >= 8
    for _, _, text in ALL:
        compile(text, "block", "exec")
    assert len(list(itertools.chain(*(blocks(page, "bash") for page in PAGES)))) > 15
