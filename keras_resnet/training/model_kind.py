"""Where the saved model of a run is, and of which kind: detectors and classifiers look alike."""

from pathlib import Path

from keras_resnet.training.artifact import read_description
from keras_resnet.training.verified_folder import holds_folder
from keras_resnet.untrusted.programs import refuse_program

DETECTOR, CLASSIFIER = "detection.FasterRCNN", "keras_resnet.classifier"
# By the `format` of the description: what it is called, and what takes it.
_KINDS = {
    DETECTOR: ("detector", "predict.py, evaluate_detector.py and `detection.load`"),
    CLASSIFIER: ("classifier", "classify.py, evaluate_classifier.py and `load_classifier`"),
}


def artifact_folders(path):
    """The folders in which a saved model is looked for, the first one first.

    Args:
        path: path of a run, or of a saved model.

    Returns:
        List of `pathlib.Path`.
    """
    path = Path(path)
    return [path, path / "weights" / "best", path / "weights" / "last", path / "best"]


def kind_at(path):
    """The kind of the saved model at a path, by what its description says alone.

    Args:
        path: as for `artifact_folders`.

    Returns:
        `DETECTOR`, `CLASSIFIER`, or None where there is none of either.

    Raises:
        CorruptedError: the description is damaged.
    """
    folder = next((f for f in artifact_folders(path) if holds_folder(f)), None)
    found = None if folder is None else read_description(folder).get("format")
    return next((kind for kind in _KINDS if kind == found), None)


def find_artifact(path, kind):
    """The folder of the saved model at a path; that of another kind is refused.

    Args:
        path: as for `artifact_folders`.
        kind: `DETECTOR` or `CLASSIFIER`, what is wanted.

    Returns:
        `pathlib.Path`.

    Raises:
        ValueError: there is none, or one of the other kind, for which the message says what
            takes it.
        UntrustedFileError: a ValueError too: there is a program in its place.

    Example:
    ```python
    folder = find_artifact("runs/finetune", CLASSIFIER)
    ```
    """
    path = Path(path)
    refuse_program(path)
    refuse_other_kind(path, kind)
    folders = artifact_folders(path)
    for folder in folders:
        if holds_folder(folder):
            return folder
    for version in path.glob("*"):  # as of an exported model
        if version.name.isdecimal():
            refuse_program(version)
    tried = "\n".join(f"  {folder}" for folder in folders)
    file = ", a saved one or a .keras file" if kind == DETECTOR else " or a saved one"
    raise ValueError(
        f"No saved {_KINDS[kind][0]} at {str(path)!r}. Give a run folder{file}. Tried:\n{tried}"
    )


def refuse_other_kind(path, kind):
    """Refuses the saved model of another kind; where there is none, nothing is said.

    Args:
        path, kind: as for `find_artifact`.

    Raises:
        ValueError: it is of the other kind.
    """
    found = kind_at(path)
    if found not in (None, kind):
        (wanted, _), (name, users) = _KINDS[kind], _KINDS[found]
        raise ValueError(
            f"{path} holds a {name}, not a {wanted}: {users} take it. Received: {str(path)!r}"
        )
