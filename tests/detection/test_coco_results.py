"""Result files against pycocotools, with crowds and the source's own ids."""

import json

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import detection
from detection.evaluate import evaluate_model
from tests.detection.coco_folder import coco_settings, write_coco

FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl")
RECALLS = ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def _evaluated(tiny_run, folder, output):
    """Figures of the trained model on a folder, and the file that it wrote."""
    config = detection.load_config(str(tiny_run.config))
    settings = {**config.model_dump(mode="json"), "data": coco_settings(folder, folder)}
    settings["data"]["pipeline"] = config.data.pipeline.model_dump(mode="json")
    config = type(config).model_validate(settings)
    model = detection.load(tiny_run.folder)
    metrics = evaluate_model(model, config, output=output, say=lambda line: None)
    return metrics, output / "predictions.json"


def _pycocotools(folder, results):
    truth = COCO(str(folder / "annotations.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(zip((*FIGURES, *RECALLS), evaluation.stats))


def test_crowds_and_ids_of_the_source(tiny_run, tmp_path):
    crowds = []

    def make_crowds(content):
        for row in content["annotations"][::3]:
            height, width = 96, 96
            row["iscrowd"] = 1
            row["segmentation"] = {"size": [height, width], "counts": [0, height * width]}
            crowds.append(row["id"])

    plain = write_coco(tmp_path / "plain", 6, seed=5, first_id=1001)
    crowded = write_coco(tmp_path / "crowded", 6, seed=5, first_id=1001, edit=make_crowds)
    figures = {}
    for folder in (plain, crowded):
        metrics, results = _evaluated(tiny_run, folder, tmp_path / f"{folder.name}_results")
        rows = json.loads(results.read_text())
        assert {row["category_id"] for row in rows} <= {3, 7, 9}
        assert {row["image_id"] for row in rows} <= set(range(1001, 1007))
        for row in rows:
            assert set(row) == {"image_id", "category_id", "bbox", "score"}
        expected = _pycocotools(folder, results)
        for name, value in expected.items():
            assert metrics[name] == pytest.approx(value, abs=1e-9), name
        figures[folder.name] = metrics
    assert len(crowds) >= 2 and figures["plain"]["AP50"] > 0.1
    count = figures["plain"]["num_objects"]
    assert figures["crowded"]["num_objects"] == count - len(crowds)
    assert figures["crowded"]["AP"] != figures["plain"]["AP"]
