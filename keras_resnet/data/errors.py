"""The error of all readers."""


class DataError(ValueError):
    """A data set that cannot be used as it is; the message lists what was found."""
