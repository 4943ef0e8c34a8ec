"""What was found in several images, as a notebook and a terminal show it."""

import base64
import html
import io
import os
from collections import Counter

from detection.detections import MIN_SCORE
from keras_resnet.data.printable import printable

_SHOWN_LINES, _SHOWN_PICTURES = 20, 12
_LONGEST_SIDE = 360  # pixels of a picture
_STYLE = "display:flex;flex-wrap:wrap;align-items:flex-start;gap:12px"
# Paths are long, and have no spaces to break at.
_FIGURE = f"margin:0;max-width:{_LONGEST_SIDE}px;overflow-wrap:anywhere"


class DetectionList(list):
    """A list of `Detections`, which a notebook shows as pictures beside each other.

    Its text has a line for each image, which counts the objects with a score of at least 0.3, those
    that a notebook draws, by class, and the rest together. Parts of it (`found[:4]`) are shown
    likewise.

    Args:
        iterable: `Detections`, as for `list`.

    Example:

    ```python
    found = model.detect(["a.jpg", "b.jpg"])
    print(found)                     # 2 images: a line for each
    found[0].draw().save("a_drawn.jpg")
    ```
    """

    def __getitem__(self, index):
        found = super().__getitem__(index)
        return DetectionList(found) if isinstance(index, slice) else found

    def __repr__(self):
        lines = [f"{len(self)} image{'' if len(self) == 1 else 's'}"]
        lines += [_caption(number, found) for number, found in enumerate(self[:_SHOWN_LINES])]
        if len(self) > _SHOWN_LINES:
            lines.append(f"… and {len(self) - _SHOWN_LINES} more")
        return "\n  ".join(lines)

    def _repr_html_(self):
        figures = [_figure(number, found) for number, found in enumerate(self[:_SHOWN_PICTURES])]
        more = len(self) - _SHOWN_PICTURES
        if more > 0:
            figures.append(f"<div>… and {more} more</div>")
        return f'<div style="{_STYLE}">{"".join(figures)}</div>'


def _caption(number, found):
    """A line on an image: what was found as it is drawn, and how much below that score."""
    source = found.source
    name = f" {printable(source, 60)}" if isinstance(source, (str, os.PathLike)) else ""
    counts = Counter(label for label, score in zip(found.names, found.scores) if score >= MIN_SCORE)
    listed = [f"{count} {printable(label, 60)}" for label, count in counts.items()] or ["nothing"]
    below = len(found) - counts.total()
    listed += [f"{below} below {MIN_SCORE:g}"] if below else []
    return f"[{number}]{name}: {', '.join(listed)}"


def _figure(number, found):
    caption = f"<figcaption>{html.escape(_caption(number, found))}</figcaption>"
    picture = ""
    if found.source is not None:
        try:
            drawn = found.draw()
        except ValueError as error:  # the file is gone by now, or another
            picture = f"<div>{html.escape(printable(error))}</div>"
        else:
            drawn.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            file = io.BytesIO()
            drawn.save(file, "PNG")
            encoded = base64.b64encode(file.getvalue()).decode()
            picture = f'<img src="data:image/png;base64,{encoded}">'
    return f'<figure style="{_FIGURE}">{picture}{caption}</figure>'
