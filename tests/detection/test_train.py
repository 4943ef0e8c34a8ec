"""What a training run leaves behind, and how it stops."""

import csv
import hashlib
import json

import keras
import numpy as np
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import detection
from detection.data import make_batches, numpy_batches
from detection.datasets import open_dataset
from keras_resnet.training.artifact import unpack
from keras_resnet.training.config import dump_config
from keras_resnet.training.divergence import TrainingDiverged
from keras_resnet.training.recipe import build_recipe_optimizer
from keras_resnet.training.variable_keys import variable_keys
from tests.detection.coco_folder import tiny_settings, write_coco
from tests.detection.small_model import CATEGORIES, small_model

LOSSES = ("rpn_objectness_loss", "rpn_box_loss", "classification_loss", "box_loss")
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
RECALLS = ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def read_csv(run):
    with (run.folder / "results.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_results_have_a_row_an_epoch(tiny_run):
    rows = read_csv(tiny_run)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 26))
    for name in ("metrics/mAP50", "metrics/mAP50-95", "metrics/mAP75"):
        assert [row["epoch"] for row in rows if row[name]] == ["5", "10", "15", "20", "25"]
    for row in rows:
        parts = [float(row[f"train/{name}"]) for name in LOSSES]
        assert np.isfinite(parts).all()
        assert float(row["train/loss"]) == pytest.approx(sum(parts), rel=1e-4)
    # The 99th step of a cosine to 0 in 99 steps, the first 4 of which are warm-up.
    last = 0.005 * (1 + np.cos(np.pi * 94 / 95)) / 2
    assert float(rows[-1]["lr"]) == pytest.approx(last, rel=1e-3)


def test_steps_end_within_an_epoch(tiny_run):
    data = (tiny_run.folder / "weights" / "state" / "optimizer.safetensors").read_bytes()
    counts = [v for v in unpack(data, "state").values() if v.dtype.kind in "iu" and v.ndim == 0]
    assert 99 in counts


def test_figures_are_those_of_pycocotools(tiny_run):
    truth = COCO(tiny_run.val / "annotations.json")
    evaluation = COCOeval(truth, truth.loadRes(str(tiny_run.folder / "predictions.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    metrics = json.loads((tiny_run.folder / "metrics.json").read_text())
    found = [metrics[name] for name in (*FIGURES, *RECALLS)]
    np.testing.assert_allclose(found, evaluation.stats, atol=1e-9)
    assert metrics["AP50"] > 0.3  # or else all of this compares zeros
    best = max(float(row["metrics/mAP50-95"] or 0) for row in read_csv(tiny_run))
    assert metrics["AP"] == pytest.approx(best, rel=1e-4, abs=1e-7)
    assert {"mAP07", "mAP_area", "seconds"} <= set(metrics)


def test_predictions_have_the_ids_of_the_source(tiny_run):
    results = json.loads((tiny_run.folder / "predictions.json").read_text())
    assert {row["category_id"] for row in results} <= {c["id"] for c in CATEGORIES}
    found = {row["image_id"] for row in results}
    assert set(range(202, 206)) <= found <= set(range(201, 206))  # 201 is empty


def test_best_weights_are_those_that_predicted(tiny_run):
    model = detection.load(tiny_run.folder)
    found = model.detect(tiny_run.val / "images" / "picture_203.png")
    results = json.loads((tiny_run.folder / "predictions.json").read_text())
    rows = [row for row in results if row["image_id"] == 203]
    assert len(found) == len(rows) > 0
    np.testing.assert_allclose(found.scores, [row["score"] for row in rows], atol=1e-3)
    boxes = np.array([row["bbox"] for row in rows])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(found.boxes, boxes, atol=0.1)
    assert found.category_ids == [row["category_id"] for row in rows]


def test_run_folder_is_complete(tiny_run):
    folder = tiny_run.folder
    config = detection.load_config(folder / "config.yaml")
    assert config == detection.load_config(tiny_run.config, ["train.seed=5"])
    for name in ("best", "last", "state"):
        assert (folder / "weights" / name / "manifest.json").is_file()
    pictures = ["labels.jpg", "results.png", "confusion_matrix.png"]
    pictures += [f"{name}_curve.png" for name in ("PR", "P", "R", "F1")]
    pictures += ["confusion_matrix_normalized.png"]
    pictures += [f"train_batch{i}.jpg" for i in range(3)]
    pictures += ["val_batch0_labels.jpg", "val_batch0_pred.jpg"]
    for name in pictures:
        with Image.open(folder / name) as image:
            assert min(image.size) >= 96
            image.load()
    assert any((folder / "tensorboard").rglob("events.out.*"))
    assert not list(folder.rglob("*.tmp"))


def test_output_says_what_was_found_and_made(tiny_run):
    assert "picture" not in tiny_run.output  # no image was worth a complaint
    assert "16 images (1 without boxes)" in tiny_run.output
    for name in ("metrics.json", "val_batch0_pred.jpg", "weights/best", "saved_model/1"):
        assert str(tiny_run.folder / name) in tiny_run.output
    assert (tiny_run.folder / "saved_model" / "1" / "saved_model.pb").is_file()


def test_data_sets_are_not_written_to(tiny_run):
    for folder, count in ((tiny_run.train, 16), (tiny_run.val, 5)):
        assert {path.name for path in folder.iterdir()} == {"images", "annotations.json"}
        assert len(list((folder / "images").iterdir())) == count


def test_frozen_layers_do_not_move(tiny_run):
    config = detection.load_config(tiny_run.folder / "config.yaml")
    keras.utils.set_random_seed(config.train.seed)
    start = detection.build_model(config.model, CATEGORIES)
    after = {k: np.array(v) for k, v in variable_keys(detection.load(tiny_run.folder)).items()}
    moved = {k: not np.array_equal(np.array(v), after[k]) for k, v in variable_keys(start).items()}
    inside = {"frozen": [], "free": []}
    for key, value in moved.items():
        parts = key.split("/")
        inside["frozen" if "stem" in parts else "free"].append((key, value))
    assert len(inside["frozen"]) == 5  # kernel, scale, offset and two statistics
    assert [key for key, value in inside["frozen"] if value] == []
    kernels = [(key, value) for key, value in inside["free"] if key.endswith("kernel")]
    assert len(kernels) > 10
    assert [key for key, value in kernels if not value] == []


def hashes(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_nan_stops_with_the_files_of_the_batch_in_a_folder_of_its_own(tiny_run):
    before = hashes(tiny_run.folder)
    broken = ["train.optimizer=sgd", "train.learning_rate=1e30", "train.clip_norm=null"]
    config = detection.load_config(tiny_run.config, [*broken, "train.tensorboard=false"])
    with pytest.raises(TrainingDiverged, match=r"_loss is (nan|inf)") as caught:
        detection.train_detector(config, say=lambda line: None)
    assert caught.value.epoch == 0
    batches = make_batches(open_dataset(config.data, "train"), config.data.pipeline, training=True)
    source = numpy_batches(batches)
    for _ in range(caught.value.step + 1):
        _, y = next(source)
    for index in y["index"]:
        assert f"{101 + index} (picture_{101 + index}.png)" in str(caught.value)
    assert str(caught.value).count(".png") == 4
    second = tiny_run.folder.with_name("tiny2")
    assert (second / "config.yaml").read_text() == dump_config(config)
    assert not (second / "weights" / "last").exists()
    assert hashes(tiny_run.folder) == before


def test_image_that_does_not_decode_is_named(tiny_run, tmp_path):
    train = write_coco(tmp_path / "train", 8)
    path = train / "images" / "picture_105.png"
    path.write_bytes(path.read_bytes()[:2000])
    overrides = [
        f"data.train.images={train / 'images'}",
        f"data.train.annotations={train / 'annotations.json'}",
        f"run.project={tmp_path / 'runs'}",
        "data.verify=off",
    ]
    config = detection.load_config(tiny_run.config, overrides)
    with pytest.raises(ValueError, match="does not decode") as caught:
        detection.train_detector(config, say=lambda line: None)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)  # nothing of TensorFlow's own trace


def test_training_and_validation_must_have_the_same_classes(tiny_run, tmp_path):
    other = [*CATEGORIES[:2], {"id": 9, "name": "mauve"}]
    val = write_coco(tmp_path / "val", 2, categories=other)
    overrides = [
        f"data.val.images={val / 'images'}",
        f"data.val.annotations={val / 'annotations.json'}",
        f"run.project={tmp_path / 'runs'}",
    ]
    config = detection.load_config(tiny_run.config, overrides)
    with pytest.raises(ValueError, match=r"same classes.*'blue'.*'mauve'"):
        detection.train_detector(config, say=lambda line: None)
    assert not (tmp_path / "runs").exists()


def test_precision_of_a_run_stays_in_it(tmp_path):
    config = detection.load_config("bccd", [f"data.root={tmp_path / 'nowhere'}"])
    assert config.train.precision == "mixed_bfloat16"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        detection.train_detector(config, say=lambda line: None)
    assert keras.config.dtype_policy().name == "float32"


def test_weight_decay_is_not_on_norms_and_biases():
    config = detection.load_config(
        "quickstart",
        [
            *("train.optimizer=sgd", "train.weight_decay=0.5", "train.learning_rate=0.2"),
            *("train.warmup_length=0", "data.pipeline.batch_size=4", "train.clip_norm=null"),
        ],
    )
    model = small_model()
    optimizer = build_recipe_optimizer(config.train, batch_size=4, steps_per_epoch=10)
    variables = model.trainable_variables
    optimizer.build(variables)
    for variable in variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer.apply([keras.ops.zeros_like(variable) for variable in variables])
    values = {name: set() for name in ("kernel", "bias", "gamma", "beta")}
    for variable in variables:
        values[variable.name].update(np.array(variable, "float64").round(6).ravel().tolist())
    # The rate is 0.2 * 4 / 8, so that kernels shrink by 0.1 * 0.5.
    assert values["kernel"] == {0.95}
    assert values["bias"] == values["gamma"] == values["beta"] == {1.0}


def test_step_schedule_scales_with_the_batch():
    config = detection.load_config(
        "quickstart",
        [
            *("train.schedule=step", "train.boundaries=[20, 30]", "train.gamma=0.1"),
            *("train.learning_rate=0.02", "train.reference_batch=16", "train.warmup_length=10"),
            *("train.warmup_factor=0.5", "data.pipeline.batch_size=8"),
        ],
    )
    optimizer = build_recipe_optimizer(config.train, batch_size=8, steps_per_epoch=10)
    rates = []
    for step in (0, 5, 10, 19, 20, 30):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.005, 0.0075, 0.01, 0.01, 0.001, 0.0001], rtol=1e-5)


def resumable(tmp_path, name):
    train, val = tmp_path / "train", tmp_path / "val"
    if not train.exists():
        write_coco(train, 8)
        write_coco(val, 3, seed=1, first_id=201)
    settings = tiny_settings(train, val, tmp_path / "runs")
    settings["train"] |= {"steps": 9, "evaluate_every": 1, "tensorboard": False}
    # Adam would blow the rounding of small gradients up to whole steps.
    settings["train"] |= {"optimizer": "sgd", "learning_rate": 0.01, "weight_decay": 1e-4}
    settings["run"] |= {"name": name, "export": False, "pictures": 0}
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def last_weights(folder):
    return unpack((folder / "weights" / "last" / "weights.safetensors").read_bytes(), "last")


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    whole, _ = detection.train_detector(
        detection.load_config(str(resumable(tmp_path, "whole"))), say=lambda line: None
    )
    path = resumable(tmp_path, "cut")
    evaluations = []

    def interrupt(line):
        evaluations.append(line.startswith("evaluated"))
        if sum(evaluations) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        detection.train_detector(detection.load_config(str(path)), say=interrupt)
    with pytest.raises(ValueError, match=r"train\.learning_rate"):
        overrides = ["run.resume=true", "train.learning_rate=0.5"]
        detection.train_detector(detection.load_config(str(path), overrides), say=lambda line: None)
    lines = []
    cut, _ = detection.train_detector(
        detection.load_config(str(path), ["run.resume=true"]), say=lines.append
    )
    assert cut == tmp_path / "runs" / "cut" and whole == tmp_path / "runs" / "whole"
    assert f"continuing {cut} after step 2 of 9" in lines
    rows = [list(csv.DictReader((f / "results.csv").open(newline=""))) for f in (whole, cut)]
    assert [row["epoch"] for row in rows[1]] == [row["epoch"] for row in rows[0]]
    # RoIAlign's gradient kernel adds in varying order unless told not to, so equality is not to
    # the bit here.
    expected, found = last_weights(whole), last_weights(cut)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_nothing_to_continue_is_said(tmp_path):
    path = resumable(tmp_path, "none")
    with pytest.raises(ValueError, match="nothing to continue"):
        detection.train_detector(
            detection.load_config(str(path), ["run.resume=true"]), say=lambda line: None
        )


def test_training_starts_with_the_weights_of_another_run(tiny_run, tmp_path):
    lines = []
    overrides = [
        f"train.start_from={tiny_run.folder}",
        f"run.project={tmp_path}",
        "run.pictures=0",
        "run.export=false",
        "train.steps=1",
        "train.warmup_length=0",
        "train.learning_rate=1e-9",
        "train.seed=8",
    ]
    config = detection.load_config(str(tiny_run.config), overrides)
    folder, _ = detection.train_detector(config, say=lines.append)
    assert f"starting with the weights of {tiny_run.folder}" in lines
    expected, found = (
        variable_keys(detection.load(run / "weights" / kind))
        for run, kind in ((tiny_run.folder, "best"), (folder, "last"))
    )
    kernels = [key for key in expected if key.endswith("kernel")]
    assert len(kernels) > 15
    for key in kernels:  # the classes are the same, so the output layers are among them
        np.testing.assert_allclose(found[key], expected[key], atol=1e-5)
