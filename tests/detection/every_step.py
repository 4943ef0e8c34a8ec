"""Continues a detector's run from moments of it, in one process; a program.

`python every_step.py FOLDER long` takes every step and evaluation of 50 steps, `short` takes three
of all steps, evaluations and writes of 8 steps. It prints what `continued_from_every_moment`
returns, as JSON. A third argument such as `1/4` takes another part of the moments.
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

# Images, steps, epochs between evaluations, kinds of moments and which of them.
RUNS = {
    "long": (20, 50, 2, ("step", "evaluation"), "0/1"),
    "short": (6, 8, 1, ("step", "evaluation", "fsync", "rename", "replace"), "11/30"),
}
CONFIG = DataPipelineConfig(
    batch_size=2, min_sides=(64, 96), max_side=96, scale_jitter=(0.8, 1.2), seed=3
)


def main(folder, length, part=None):
    count, steps, evaluate_every, kinds, usual_part = RUNS[length]
    set_deterministic()
    keras.utils.set_random_seed(1)
    places = write_coco(folder / "train", count), write_coco(folder / "val", 3, seed=1)
    train, val = (load_coco(p / "images", p / "annotations.json") for p in places)
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
            steps=steps,
            folder=place,
            callbacks=callbacks,
            evaluate=evaluate,
            evaluate_every=evaluate_every,
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

    found = continued_from_every_moment(run, model, folder, kinds, part or usual_part)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
