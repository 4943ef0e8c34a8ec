"""Checks and small conversions of arguments that several modules share."""

import difflib

import keras


def channel_axis(data_format):
    """Return the axis of the channels: -1, or 1 for `"channels_first"`."""
    return 1 if data_format == "channels_first" else -1


def standardize_data_format(data_format):
    """Return `data_format`, or Keras' default for None; refuse anything else."""
    if data_format is None:
        return keras.config.image_data_format()
    return choose("data_format", data_format, ("channels_last", "channels_first"))


def choose(argument, value, allowed):
    """Return `value` if it is among `allowed`, else raise a ValueError that names the nearest."""
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"`{argument}` must be one of {', '.join(map(repr, allowed))}.{hint} "
        f"Received: {argument}={value!r}"
    )


def true_false_or_none(argument, value):
    """Return `value` if it is True, False or None; refuse what Python would merely take for one."""
    if value is None or isinstance(value, bool):
        return value
    raise ValueError(f"`{argument}` must be True, False or None. Received: {argument}={value!r}")


def strided(size, stride):
    """Return the length of an axis after torch's padding and a stride; None stays None."""
    return None if size is None else -(-size // stride)
