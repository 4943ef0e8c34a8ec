"""Text in CSV files, made harmless for the spreadsheet that opens them."""

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def csv_cell(value):
    """What to write for a value, so that no spreadsheet takes it for a formula.

    Args:
        value: anything. Text that begins as a formula does (`=cmd()`) gets an apostrophe in front,
            which spreadsheets do not show; numbers stay as they are, also negative ones.

    Returns:
        The value, or str.

    Example:
    >>> csv_cell("=cmd()"), csv_cell("-0.5"), csv_cell("cat")
    ("'=cmd()", '-0.5', 'cat')
    """
    if not isinstance(value, str) or not value.lstrip(" ").startswith(_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
