"""The error that a bad config raises."""


class ConfigError(ValueError):
    """A config is missing, malformed or holds keys or values that do not fit."""
