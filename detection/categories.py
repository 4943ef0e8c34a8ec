"""The classes of a detector as `{"id": ..., "name": ...}`."""

import pydantic

from detection.saving import Category


def make_categories(class_names):
    """Return categories for a list of names, which are numbered from 1, or of dicts.

    Example:

    >>> make_categories(["cat", "dog"])
    [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    """
    if isinstance(class_names, str) or not class_names:
        raise ValueError(
            "`class_names` must be a list of at least one name. "
            f"Received: class_names={class_names!r}"
        )
    categories = [
        {"id": number, "name": entry} if isinstance(entry, str) else _category(entry)
        for number, entry in enumerate(class_names, start=1)
    ]
    for key in ("id", "name"):
        values = [category[key] for category in categories]
        if len(set(values)) < len(values):
            raise ValueError(
                f"Every class needs its own {key}; one is there twice. "
                f"Received: class_names={class_names!r}"
            )
    return categories


def _category(entry):
    try:
        return Category.model_validate(entry).model_dump()
    except pydantic.ValidationError:
        raise ValueError(
            'A class is given by its name or as {"id": int, "name": str}. '
            f"Received: class_names with {entry!r}"
        ) from None
