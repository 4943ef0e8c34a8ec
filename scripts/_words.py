"""What becomes of the short words that people know, and of those that are near to one."""

import difflib

from _data_word import merged
from _word_table import CLASSIFIER, DETECTOR, EVALUATION, PREDICTION, TRAINING, WORDS

__all__ = [
    "CLASSIFIER",
    "DETECTOR",
    "EVALUATION",
    "PREDICTION",
    "means_configuration",
    "name_here",
    "overrides_for",
    "words_of",
]


def words_of(kind):
    """The words that a kind of script takes: dict from word to `Word`."""
    return {name: word for name, word in WORDS.items() if kind in word.keys}


def overrides_for(kind, texts):
    """`--set` values with words replaced by what they stand for.

    Args:
        kind: `DETECTOR`, `CLASSIFIER`, `EVALUATION` or `PREDICTION`.
        texts: list of `"key=value"`.

    Returns:
        List of `"key.of.section=value"`.

    Raises:
        ValueError: a value that its word does not take, or a word that scripts of another kind
            know.

    Example:
    >>> overrides_for(DETECTOR, ["epochs=3", "train.seed=1"])
    ['train.epochs=3', 'train.steps=null', 'train.seed=1']
    """
    found, data = [], []
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        word = WORDS.get(name.replace("-", "_"))
        if not equals or word is None:
            if equals and "." not in name:
                _refuse_near_miss(kind, name, text)
            found.append(text)
            continue
        if kind not in word.keys:
            raise ValueError(
                f"There is no {name} here. Words of this script: {', '.join(words_of(kind))}. "
                f"Received: {text!r}"
            )
        stands_for = word.keys[kind]
        if name == "data":
            # Other keys change what was found at the path, wherever they stand.
            data = stands_for(value)
        elif callable(stands_for):
            found += stands_for(value)
        else:
            found += [key.format(value) for key in stands_for]
    return merged(data, found)


_TOP_LEVEL = {"model", "data", "train", "run", "expected", "published"}


# Names of other tools, and the word or the keys here.
_ELSEWHERE = {
    **dict.fromkeys(("lr", "lr0", "learning_rate"), "train.learning_rate"),
    **dict.fromkeys(("momentum", "weight_decay", "optimizer"), None),
    **dict.fromkeys(("batch_size", "batchsize"), "batch"),
    **dict.fromkeys(("img_size", "image_size", "img"), "imgsz"),
    **dict.fromkeys(("weights", "pretrained"), "train.start_from"),
}


def means_configuration(name):
    """Whether other tools take their configuration by this name; `conf` is a word of its own."""
    return name.replace("-", "_") in ("config", "cfg", "config_file")


def name_here(kind, name):
    """What a name of another tool, or a mistyped word, is called here; None if nothing is known.

    Args:
        kind: kind of script.
        name: str, without dashes before it.

    Returns:
        str, a word or a key, or None.
    """
    name = name.replace("-", "_")
    if means_configuration(name):
        return None
    if kind in TRAINING and name in _ELSEWHERE:
        here = _ELSEWHERE[name] or f"train.{name}"
        return None if (kind, here) == (CLASSIFIER, "train.start_from") else here
    near = difflib.get_close_matches(name, words_of(kind), 1, cutoff=0.75)
    return near[0] if near else None


def _refuse_near_miss(kind, name, text):
    if name in _TOP_LEVEL:
        return
    near = name_here(kind, name)
    if near:
        raise ValueError(f"There is no {name}; did you mean {near}? Received: {text!r}")
