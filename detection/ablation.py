"""The paper's improvements one after the other, as its table has them."""

import time
from pathlib import Path

from detection.evaluate import evaluate_model
from detection.saving import load
from detection.train import train_detector
from keras_resnet.training.config import override_config

# Shorter sides of the image pyramid in the paper, whose own scale is 600 pixels.
_PAPER_SCALES = (200, 400, 600, 800, 1000)
_PAPER_SIDE = 600
_PLAIN = ["roi_heads.nms_threshold=0.3"]
_REFINED = [*_PLAIN, "roi_heads.refinements=1", "roi_heads.voting_iou=0.5"]
_COLUMNS = {"AP50": "AP@.5", "AP": "AP@[.5, .95]", "AP75": "AP@.75"}


def ablate(config, folders=None, output=None, say=print):
    """Trains with and without global context, and evaluates with ever more improvements.

    All rows use the weights of the last epoch, which were not chosen on the split that they are
    evaluated on, and suppress duplicates at an IoU of 0.3. The scales of the image pyramid are to
    the model's own as the paper's are to its 600 pixels.

    Args:
        config: a `detection.config.Config`; `run.name` is that of the table.
        folders: `{"baseline": ..., "context": ...}`, run folders of models that were trained
            before with this configuration, the second with `model.roi_heads.context`; None to
            train them.
        output: path of the Markdown file to write, or None.
        say: callable that prints a line.

    Returns:
        List of dicts, one a row: `name`, `AP50`, `AP`, `AP75` and `seconds` of the evaluation.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition" (2015), table 9.

    Example:

    ```python
    ablate(detection.load_config("quickstart"), output="ablation.md")
    ```
    """
    if folders is None:
        folders = {name: _train(config, name, say) for name in ("baseline", "context")}
    rows = []
    for name, trained, changes in _rows(config):
        model = load(Path(folders[trained]) / "weights" / "last", overrides=changes)
        started = time.monotonic()
        metrics = evaluate_model(model, config, say=lambda line: None)
        row = {"name": name, **{column: metrics[column] for column in _COLUMNS}}
        rows.append({**row, "seconds": round(time.monotonic() - started, 1)})
        say(f"{name}: AP50 {row['AP50']:.3f}, AP {row['AP']:.3f}")
    if output is not None:
        Path(output).write_text(table(rows), encoding="utf-8")
    return rows


def table(rows):
    """Rows of `ablate` as a Markdown table.

    Example:

    >>> row = {"name": "baseline", "AP50": 0.484, "AP": 0.272, "AP75": 0.27, "seconds": 12.0}
    >>> table([row]).splitlines()[-1]
    '| baseline | 48.4 | 27.2 | 27.0 | 12.0 |'
    """
    lines = [
        f"| | {' | '.join(_COLUMNS.values())} | evaluation, s |",
        "|---" * (len(_COLUMNS) + 2) + "|",
    ]
    for row in rows:
        figures = " | ".join(f"{100 * row[column]:.1f}" for column in _COLUMNS)
        lines.append(f"| {row['name']} | {figures} | {row['seconds']} |")
    return "\n".join(lines) + "\n"


def _rows(config):
    """Name, which of the two models, and what is changed in its configuration."""
    pipeline = config.data.pipeline
    own = pipeline.eval_min_side or max(pipeline.min_sides)
    scales = [round(side * own / _PAPER_SIDE) for side in _PAPER_SCALES]
    return (
        ("baseline", "baseline", _PLAIN),
        ("+ box refinement", "baseline", _REFINED),
        ("+ context", "context", _REFINED),
        (
            "+ multi-scale testing",
            "context",
            [*_REFINED, f"test_time={{scales: {scales}, merge: features}}"],
        ),
    )


def _train(config, name, say):
    changes = [
        f"model.roi_heads.context={'true' if name == 'context' else 'false'}",
        f"run.name={config.run.name}_{name}",
        "run.export=false",
        "run.pictures=0",
    ]
    return train_detector(override_config(config, changes), say=say)[0]
