"""Text for people: numbers in words, lines cut to a width."""

import unicodedata


def width_of(text):
    """Columns of a terminal that a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def cut(text, width):
    """The text if it fits, else its beginning and dots."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 3:
        text = text[:-1]
    return text + "..."


def cut_front(text, width):
    """The text if it fits, else dots and its end, from the beginning of a folder if possible."""
    if width_of(text) <= width:
        return text
    while text and width_of(text) > width - 3:
        text = text[1:]
    slash = text.find("/")
    return "..." + (text[slash:] if 0 <= slash < width // 3 else text)


def pad(text, width, right=False):
    """The text with blanks to a width; `right` puts them in front."""
    blanks = " " * max(0, width - width_of(text))
    return blanks + text if right else text + blanks


def count_of(number, one, many=None):
    """`"1 box"`, `"1,300 boxes"`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share):
    """A share of 1 in words that do not round a few to none."""
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{100 * share:.0f}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}%"


def of_length(pixels):
    """A length in pixels with as many digits as matter."""
    return f"{pixels:.0f}" if pixels >= 10 else f"{pixels:.1f}"
