"""The short words that people know, and the keys of the configuration that they stand for.

They are flags (`--epochs 3`) and may stand for a key after `--set` (`--set epochs=3`). This table
is the only place that knows them.
"""

import dataclasses
import json
import os

from _data_word import detector_data

DETECTOR, CLASSIFIER, EVALUATION, PREDICTION = "detector", "classifier", "evaluation", "prediction"


@dataclasses.dataclass(frozen=True)
class Word:
    """A word: what it takes and means, and what it stands for.

    Args:
        takes: what `--help` shows for its value.
        about: one line for `--help`, or a dict of them from the kind of script, None for others.
        keys: dict from the kind of script to what the word stands for there: a tuple of overrides
            in which `{}` is the value, or a function of the value that returns such a list.
        alone: value of the flag where none is given; None where it needs one.
    """

    takes: str
    about: str | dict
    keys: dict
    alone: str | None = None

    def help_for(self, kind):
        """The line for `--help` of a kind of script."""
        return self.about if isinstance(self.about, str) else self.about.get(kind, self.about[None])


def _text(*keys):
    """Overrides with a value that is text, whatever YAML would read in it."""
    return lambda value: [f"{key}={_quoted(value)}" for key in keys]


def _quoted(value):
    return value if value[:1] in ("'", '"') else json.dumps(value, ensure_ascii=False)


def _data_of_detector(value):
    return detector_data(value)[0]


def _data_of_evaluation(value):
    return detector_data(value, evaluating=True)[0]


def _image_side(*keys):
    def overrides(value):
        if not value.isdecimal():
            raise ValueError(
                "imgsz is one number, the longer side of the images in pixels. "
                f"Received: imgsz={value}"
            )
        return [key.format(value) for key in keys]

    return overrides


def _no_overwriting(instead):
    def refuse(value):
        if value.lower() in ("false", "0", "no"):
            return []
        raise ValueError(
            "Run folders are never overwritten, so there is no exist_ok: a new run gets the next "
            f"free name (train, train2, ...). {instead} Received: exist_ok={value}"
        )

    return refuse


_CONTINUE = (
    "resume=auto continues the run in the folder if there is one; to begin anew under the same "
    "name, delete the folder."
)
_ANY_FOLDER = "--output FOLDER writes into that very folder, whatever it holds."


def _resume(value):
    if value.lower() not in ("true", "false", "auto"):
        raise ValueError(
            "resume is true, false or auto; which run is meant say project and name. Write the "
            f"configuration before --resume. Received: resume={value}"
        )
    return [f"run.resume={value.lower()}"]


def _patience(value):
    return [f"train.early_stopping={'null' if value == '0' else value}"]


def _devices(value):
    """Also hides the other devices, so this must happen before the backend is imported."""
    if value in ("cpu", "all"):
        if value == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
            os.environ["JAX_PLATFORMS"] = "cpu"
        return [f"train.devices={1 if value == 'cpu' else 'all'}"]
    return [f"train.devices={len(choose_gpus(value))}"]


def choose_gpus(value):
    """Shows the backend certain GPUs only.

    Args:
        value: str such as `"0"` or `"0,1"`.

    Returns:
        List of their names.
    """
    numbers = value.strip("[]").replace(" ", "").split(",")
    if not all(number.isdecimal() for number in numbers):
        raise ValueError(
            f"device is cpu, all, or the numbers of GPUs such as 0 or 0,1. Received: device={value}"
        )
    before = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    if before and max(map(int, numbers)) < len(before):
        numbers = [before[int(number)] for number in numbers]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(numbers)
    return numbers


def _device_only(value):
    _devices(value)
    return []


TRAINING = (DETECTOR, CLASSIFIER)


def _both(*keys):
    return dict.fromkeys(TRAINING, keys)


def _model(key):
    return dict.fromkeys((DETECTOR, EVALUATION, PREDICTION), (f"model.roi_heads.{key}={{}}",))


WORDS = {
    "data": Word(
        "PATH",
        {
            CLASSIFIER: "folder or file of the images",
            None: "folder of VOC, COCO or YOLO, data.yaml of YOLO, or CSV file",
        },
        {
            DETECTOR: _data_of_detector,
            EVALUATION: _data_of_evaluation,
            CLASSIFIER: _text("data.root"),
        },
    ),
    "epochs": Word("N", "passes over the data", _both("train.epochs={}", "train.steps=null")),
    "batch": Word(
        "N",
        "images in a batch, of all devices together",
        dict.fromkeys((*TRAINING, EVALUATION), ("data.pipeline.batch_size={}",)),
    ),
    "imgsz": Word(
        "PIXELS",
        {CLASSIFIER: "side of the images", None: "longer side of the images"},
        {
            DETECTOR: _image_side(
                "data.pipeline.max_side={}",
                "data.pipeline.min_sides=[{}]",
                "data.pipeline.eval_min_side=null",
            ),
            CLASSIFIER: _image_side(
                "data.pipeline.image_size={}",
                "data.pipeline.eval_resize=null",
                "data.pipeline.eval_crop=null",
            ),
        },
    ),
    "device": Word(
        "DEVICE",
        "cpu, all, or numbers of GPUs: 0 or 0,1",
        {**dict.fromkeys(TRAINING, _devices), EVALUATION: _device_only, PREDICTION: _device_only},
    ),
    "workers": Word(
        "N",
        "parallel readers of images",
        dict.fromkeys((*TRAINING, EVALUATION), ("data.pipeline.workers={}",)),
    ),
    "project": Word(
        "FOLDER",
        {PREDICTION: "folder of what is written (default: .)", None: "folder of all runs"},
        {**dict.fromkeys(TRAINING, _text("run.project")), PREDICTION: ()},
    ),
    "name": Word(
        "NAME",
        {PREDICTION: "its name there (default: predictions)", None: "name of the run"},
        {**dict.fromkeys(TRAINING, _text("run.name")), PREDICTION: ()},
    ),
    "exist_ok": Word(
        "BOOL",
        "refused: nothing is overwritten",
        {
            **dict.fromkeys(TRAINING, _no_overwriting(_CONTINUE)),
            PREDICTION: _no_overwriting(_ANY_FOLDER),
        },
        "true",
    ),
    "resume": Word(
        "auto", "continue the run; auto: or begin it", dict.fromkeys(TRAINING, _resume), "true"
    ),
    "seed": Word("N", "seed of everything random", _both("train.seed={}")),
    "patience": Word(
        "N",
        "end after so many epochs without a better figure",
        dict.fromkeys(TRAINING, _patience),
    ),
    "profile": Word(
        "N", "profile so many steps for TensorBoard (10)", _both("train.profile={}"), "10"
    ),
    "conf": Word(
        "SCORE", "least score of a detection", {**_model("score_threshold"), PREDICTION: ()}
    ),
    "iou": Word("IOU", "overlap from which one of two boxes goes", _model("nms_threshold")),
    "max_det": Word("N", "most detections in an image", _model("max_detections")),
}
