"""Classifiers of images: configuration, training, evaluation, saving, with the names of ResNets."""

import importlib

_HOMES = {
    "build_classifier": "model",
    "load_classifier": "model",
    "load_classifier_config": "config",
    "save_classifier": "model",
    "train_classifier": "train",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    # Imported at their first use: training needs more than inference.
    if name in _HOMES:
        module = importlib.import_module(f"keras_resnet.classification.{_HOMES[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
