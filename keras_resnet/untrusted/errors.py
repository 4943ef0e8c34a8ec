"""The error of every refused file."""


class UntrustedFileError(ValueError):
    """A file holds what files of its kind never hold; nothing of it was used."""
