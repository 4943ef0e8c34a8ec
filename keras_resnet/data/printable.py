"""Text from data sets, made harmless for a terminal and a log."""


def printable(text, limit=300):
    """Escapes what a terminal would not show as it is, and cuts what is very long.

    Args:
        text: anything; of what is no str its `str()` is taken.
        limit: int, how many characters to keep.

    Returns:
        str without control characters, escape sequences, line breaks or lone surrogates.

    Example:
    >>> printable("a" + chr(27) + "[2Jb")
    'a\\\\x1b[2Jb'
    """
    text = str(text)
    if len(text) > limit:
        text = f"{text[:limit]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
