"""What a config's unknown key may have been meant to be."""

import difflib
import typing

import pydantic

_MOST_HINTS = 3
# What other tools call a key, where it is nothing like its name; with its section where the name
# means something else in others. Only what a schema has is ever suggested.
_ELSEWHERE = {
    **dict.fromkeys(("lr", "lr0", "base_lr", "rate"), "learning_rate"),
    **dict.fromkeys(("wd", "l2"), "weight_decay"),
    **dict.fromkeys(("batch", "ims_per_batch"), "batch_size"),
    **dict.fromkeys(("imgsz", "img_size", "image_size"), "max_side"),
    **dict.fromkeys(("flip", "hflip", "fliplr"), "horizontal_flip"),
    **dict.fromkeys(("vflip", "flipud"), "vertical_flip"),
    **dict.fromkeys(("augment", "augmentation", "loader"), "pipeline"),
    **dict.fromkeys(("iterations", "iters", "max_iter", "max_steps"), "steps"),
    **dict.fromkeys(("warmup_steps", "warmup_epochs", "warmup_iters"), "warmup_length"),
    **dict.fromkeys(("milestones", "lr_steps", "drops"), "boundaries"),
    **dict.fromkeys(("clip", "grad_clip", "max_norm"), "clip_norm"),
    **dict.fromkeys(("amp", "fp16", "bf16", "half", "mixed_precision"), "precision"),
    **dict.fromkeys(("gpu", "gpus", "num_gpus"), "devices"),
    **dict.fromkeys(("conf", "confidence", "score_thresh"), "score_threshold"),
    **dict.fromkeys(("iou", "nms", "nms_thresh"), "nms_threshold"),
    **dict.fromkeys(("max_det", "detections"), "max_detections"),
    **dict.fromkeys(("output", "output_dir", "save_dir"), "project"),
    **dict.fromkeys(("path", "folder", "dir"), "root"),
    **dict.fromkeys(("run.root", "run.path", "run.folder", "run.dir"), "project"),
    **dict.fromkeys(("backbone.name", "model.name", "layers", "num_layers"), "depth"),
    **dict.fromkeys(("backbone.pretrained", "model.pretrained"), "weights"),
    **dict.fromkeys(("train.pretrained", "train.weights"), "start_from"),
}
_OF_THE_DATA = ("num_classes", "nc", "classes")


def suggest(schema, location):
    """A hint to an unknown key: the valid ones that are near to it, or all of its section.

    Keys of its own section come first, then those below, and others only where one name fits.

    Args:
        schema: the pydantic model of the whole config.
        location: tuple of str and ints, the section of the key, and the key.

    Returns:
        str.

    Example:
    >>> class Train(pydantic.BaseModel):
    ...     learning_rate: float = 0.1
    >>> suggest(Train, ("lr",))
    'did you mean learning_rate?'
    """
    *parents, key = map(str, location)
    models = [schema]
    for part in parents:
        # Indices name no field.
        models = [m for model in models for m in _models_of(model, part)] or models
    prefix = "".join(f"{part}." for part in parents)
    siblings = sorted({name for model in models for name in model.model_fields})
    names = [_ELSEWHERE.get(f"{part}.{key}") for part in parents[-1:]] + [_ELSEWHERE.get(key)]
    below = [path for model in models for path in _paths(model)]
    found = (
        _near([prefix + name for name in siblings], key, names, cutoff=0.6)
        or _near([prefix + path for path in below], key, names, cutoff=0.7)
        or _only_one(_near(_paths(schema), key, names, cutoff=0.8))
    )
    if found and len(found) <= _MOST_HINTS:
        return f"did you mean {' or '.join(found)}?"
    about = "the classes are those of the data; " if key in _OF_THE_DATA else ""
    return f"{about}valid keys here: {', '.join(siblings)}"


def models_in(annotation):
    """Schemas that a type annotation mentions, inside unions, lists and dicts too."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def _near(paths, key, names, cutoff):
    """Those of the paths whose last name is, or is like, a key or one of its other names."""
    leaves = {}
    for path in paths:
        leaves.setdefault(path.rsplit(".", 1)[-1], []).append(path)
    known = [name for name in (*names, key) if name in leaves][:1]
    like = known or difflib.get_close_matches(key, leaves, n=1, cutoff=cutoff)
    like = like or [leaf for leaf in leaves if key in leaf.split("_")]
    found = [path for leaf in like for path in leaves[leaf]]
    # A part of a section may have a key of the same name.
    least = min((path.count(".") for path in found), default=0)
    return [path for path in dict.fromkeys(found) if path.count(".") == least]


def _only_one(paths):
    return paths if len(paths) == 1 else []


def _models_of(model, field):
    if field not in model.model_fields:
        return []
    return list(dict.fromkeys(models_in(model.model_fields[field].annotation)))


def _paths(schema, prefix="", seen=()):
    paths = []
    for name in schema.model_fields:
        paths.append(prefix + name)
        for model in _models_of(schema, name):
            if model not in seen:
                paths += _paths(model, f"{prefix}{name}.", (*seen, schema))
    return paths
