"""What a configuration's source reports, where a run can be compared with it."""

from detection.config import load_config
from keras_resnet.training.config import available_configs

# Where the data lie and how they are read make no other data.
_SAME = (
    *(".root", ".images", ".annotations", ".download"),
    *(".verify", ".max_bad_images", ".follow_links"),
    *(".batch_size", ".max_buckets", ".max_boxes", "pipeline.seed", ".workers", ".cache"),
)


def expectation(config, dataset, split="val"):
    """The figures that a configuration expects, with what keeps a run from being compared.

    Those of a shipped configuration are of its own data and length of training; they stay in
    configurations that are made from it.

    Args:
        config: a `detection.config.Config`.
        dataset: the `DetectionDataset` that is evaluated on.
        split: str, which split of the configuration that is.

    Returns:
        dict of `config.expected`; with `not_comparable`, keys as text, where they differ from the
        shipped configuration. None where nothing is expected, or of other data: of another number
        of images or classes than there are.
    """
    if config.expected is None:
        return None
    shipped = [load_config(name) for name in available_configs("detection")]
    shipped = [other for other in shipped if _figures(other) == _figures(config)]
    changes = [_changes(config, other) for other in shipped]
    for expected in (config.expected, *(other.expected for other in shipped)):
        others = expected.images not in (None, len(dataset))
        if (others and split == "val") or expected.classes not in (None, len(dataset.categories)):
            return None
    found = _figures(config)
    changed = min(changes, key=len, default=[])
    if split != "val":
        changed = [*changed, f"the split {split}"]
    if changed:
        found["not_comparable"] = ", ".join(changed)
    return found


def _figures(config):
    if config.expected is None:
        return None
    return config.expected.model_dump(exclude={"images", "classes"}, exclude_none=True)


def _changes(config, shipped):
    """Keys of the data and of the length of training that differ."""
    own, other = map(_described, (config, shipped))
    return sorted(key for key in own.keys() | other.keys() if own.get(key) != other.get(key))


def _described(config):
    rows = _flat(config.data.model_dump(), "data")
    rows = {key: row for key, row in rows.items() if not key.endswith(_SAME)}
    # Another batch size goes with another number of steps.
    batch = config.data.pipeline.batch_size * config.train.accumulate
    rows["train.steps"] = config.train.steps and config.train.steps * batch
    return {**rows, "train.epochs": config.train.epochs}


def _flat(values, name):
    if isinstance(values, dict):
        parts = values.items()
    elif isinstance(values, tuple) and any(isinstance(part, dict) for part in values):
        parts = enumerate(values)
    else:
        return {name: values}
    return {k: v for key, part in parts for k, v in _flat(part, f"{name}.{key}").items()}
