"""Continues a detector's run of 50 steps from every step and evaluation of it; a program.

`python every_step.py FOLDER` prints, as JSON, the kinds of the moments and those that ended
otherwise. A second argument such as `1/4` takes a part of them.
"""

import hashlib
import json
import sys
from pathlib import Path

import keras
import numpy as np

from detection.callbacks import Evaluation
from detection.data import DataPipelineConfig, load_coco, make_batches
from detection.saving import save_model
from keras_resnet.training.checkpoints import Checkpoints
from keras_resnet.training.devices import set_deterministic
from keras_resnet.training.ema import EMA
from keras_resnet.training.loop import fit
from keras_resnet.training.optimizer import SGD
from keras_resnet.training.results import CSVResults, read_results
from tests.detection.coco_folder import write_coco
from tests.detection.small_model import small_model
from tests.keras_resnet.training.snapshots import continued_from_every_moment

STEPS = 50
CONFIG = DataPipelineConfig(
    batch_size=2, min_sides=(64, 96), max_side=96, scale_jitter=(0.8, 1.2), seed=3
)


def main(folder, part="0/1"):
    set_deterministic()
    keras.utils.set_random_seed(1)
    train, val = (
        write_coco(folder / name, 20 if name == "train" else 3) for name in ("train", "val")
    )
    train, val = (load_coco(place / "images", place / "annotations.json") for place in (train, val))
    model = small_model()
    model.compile(SGD(0.01, weight_decay=1e-4, global_clipnorm=5.0))
    batches_to_evaluate = make_batches(val, CONFIG, training=False)
    evaluation = Evaluation(model, batches_to_evaluate, val, say=lambda line: None)

    def batches(epoch, batch):
        return make_batches(train, CONFIG, True, start_epoch=epoch, start_batch=batch)

    def run(place, moments, resume):
        def evaluate(epoch):
            found = evaluation(epoch)
            moments.happens("evaluation")
            return found

        def save(path):
            save_model(model, path)

        ema = EMA(0.9)
        callbacks = [
            ema,
            Checkpoints(
                place / "weights", lambda path: save_model(model, path), "metrics/mAP50-95"
            ),
            CSVResults(place / "results.csv"),
            moments,
        ]
        logs = fit(
            model,
            batches,
            steps=STEPS,
            folder=place,
            callbacks=callbacks,
            evaluate=evaluate,
            evaluate_every=2,
            state_every=1,
            resume=resume,
            say=lambda line: None,
        )
        total = hashlib.sha256()
        for value in (*model.variables, *model.optimizer.variables, *ema.run_variables().values()):
            total.update(np.array(keras.ops.convert_to_numpy(value)).tobytes())
        saved = [place / "weights" / kind / "weights.safetensors" for kind in ("best", "last")]
        return {
            "variables": total.hexdigest(),
            "logs": {k: v for k, v in logs.items() if "time" not in k},
            "rows": [
                {k: v for k, v in row.items() if "time" not in k}
                for row in read_results(place / "results.csv")
            ],
            "saved": [hashlib.sha256(path.read_bytes()).hexdigest() for path in saved],
        }

    kinds = ("step", "evaluation")
    print(json.dumps(continued_from_every_moment(run, model, folder, kinds, part)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
