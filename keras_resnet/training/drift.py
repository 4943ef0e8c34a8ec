"""Refuses to continue a run as another one."""


def changed_fields(before, now):
    """The fields in which two nested dicts differ.

    Args:
        before: dict of what JSON can hold; keys are str.
        now: dict of the same kind. Tuples count as lists.

    Returns:
        Sorted list of str such as `"train.learning_rate"`.

    Example:
    >>> changed_fields({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": None})
    ['a.c', 'd']
    """
    return sorted(_changed(before, now, ""))


def refuse_drift(before, now, where):
    """Raises an error that names the fields in which two dicts differ, if any.

    Args:
        before: dict of the run as it was made.
        now: dict of the run that is to continue it.
        where: how the error names the run, such as its folder.

    Raises:
        ValueError: they differ.
    """
    changed = changed_fields(before, now)
    if not changed:
        return
    shown = []
    for field in changed:
        old, new = (_shown(values, field) for values in (before, now))
        shown.append(f"{field} was {old}, is {new}" if len(old) + len(new) < 60 else field)
    raise ValueError(
        f"The run in {where} was made with another configuration, other data or other classes; "
        f"continue it with the same. Different: {'; '.join(shown)}"
    )


_MISSING = object()


def _changed(before, now, prefix):
    for key in before.keys() | now.keys():
        old, new = before.get(key, _MISSING), now.get(key, _MISSING)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changed(old, new, f"{prefix}{key}.")
        elif _plain(old) != _plain(new) or type(_plain(old)) is not type(_plain(new)):
            yield f"{prefix}{key}"


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    # 1 and 1.0 are the same setting.
    return float(value) if type(value) is int else value


def _shown(values, field):
    value = values
    for key in field.split("."):
        if not isinstance(value, dict) or key not in value:
            return "absent"
        value = value[key]
    return repr(value)
