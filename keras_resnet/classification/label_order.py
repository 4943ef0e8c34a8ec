"""Whether the labels of a data set mean what the outputs of a classifier mean."""

import hashlib
import re

# Of the sorted WordNet ids of ILSVRC 2012, joined by line feeds.
_IMAGENET = "385e0240499426c022b773be1ae4da780f057b89c9694c7f47199f62746b6edd"
_WORDNET = re.compile(r"n\d{8}")


def is_imagenet(class_names):
    """Whether class names are the 1000 WordNet ids of ImageNet (ILSVRC 2012) in their order.

    Args:
        class_names: sequence of str.

    Returns:
        bool.

    Example:
    >>> is_imagenet(["n01440764", "n01443537"])
    False
    """
    return hashlib.sha256("\n".join(class_names).encode()).hexdigest() == _IMAGENET


def check_label_order(data_names, classes, model_names=None):
    """Refuses labels in another order than a classifier's outputs.

    Args:
        data_names: sequence of str, class names of the data set.
        classes: int, outputs of the classifier.
        model_names: sequence of str, its class names; None for published ImageNet weights, whose
            outputs are in the order of the sorted WordNet ids.

    Returns:
        None, or a str: what could not be checked, because the names of one side are mere numbers
        or the data set names ImageNet's classes otherwise.

    Raises:
        ValueError: another number of classes, or other classes or another order.

    Example:
    >>> check_label_order(("cat", "dog"), 2, ("cat", "dog"))
    """
    data_names = tuple(data_names)
    if len(data_names) != classes:
        raise ValueError(
            f"The data set has {len(data_names)} classes and the classifier {classes}: its labels "
            f"do not mean the classifier's outputs. Received: {_some(data_names)}"
        )
    if model_names is None:
        return _check_imagenet(data_names)
    model_names = tuple(model_names)
    if model_names == data_names:
        return None
    if _numbers(model_names) or _numbers(data_names):
        return (
            "the order of the labels is not checked: the classes of the "
            f"{'classifier' if _numbers(model_names) else 'data set'} have no names"
        )
    if sorted(model_names) == sorted(data_names):
        what = "the same classes in another order"
    else:
        what = "other classes"
    raise ValueError(
        f"The data set has {what} than the classifier. Received: data set {_some(data_names)}, "
        f"classifier {_some(model_names)}"
    )


def _check_imagenet(names):
    if len(names) != 1000:
        return "the order of the labels is not checked: the weights do not name their classes"
    if not all(_WORDNET.fullmatch(name) for name in names):
        return (
            "the order of the labels is not checked: the data set does not name its classes by "
            "WordNet ids; they are taken to be in the order of these, sorted"
        )
    if is_imagenet(names):
        return None
    what = "in another order than sorted" if is_imagenet(sorted(names)) else "not ImageNet's 1000"
    raise ValueError(
        f"The WordNet ids of the data set are {what}, so its labels do not mean the outputs of "
        f"the published weights. Received: {_some(names)}"
    )


def _numbers(names):
    return all(name.isdecimal() for name in names)


def _some(names, count=4):
    return ", ".join([*names[:count], "..."] if len(names) > count else names)
