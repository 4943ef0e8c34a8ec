"""Pictures with boxes drawn on them, and contact sheets of such pictures."""

import colorsys
import functools
import math
import os
import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from detection.plots import (
    plot_confidence_curve,
    plot_confusion_matrix,
    plot_labels,
    plot_pr_curve,
    plot_results,
)

__all__ = [
    "class_color",
    "draw_detections",
    "image_grid",
    "plot_confidence_curve",
    "plot_confusion_matrix",
    "plot_labels",
    "plot_pr_curve",
    "plot_results",
]

# Far apart from one another, and visible on most photographs: red, green and blue of 16 colours.
_PALETTE = bytes.fromhex(
    "ff3b30 00c853 2979ff ffab00 d500f9 00e5ff ff6d00 76ff03"
    "f50057 ffea00 651fff 1de9b6 ff8a80 0091ea b388ff c6a700"
)


def class_color(label):
    """The colour that a class always has.

    Args:
        label: int (contiguous class) or str (class name).

    Returns:
        `(red, green, blue)`, ints 0..255.

    Example:

    >>> class_color(0)
    (255, 59, 48)
    """
    if isinstance(label, str):
        # A hue of many, so that few of a long list of names share one.
        code = zlib.crc32(label.encode())
        hue, saturation, value = (
            code % 101 / 101,
            (1.0, 0.6)[code >> 8 & 1],
            (1.0, 0.8)[code >> 9 & 1],
        )
        return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    start = 3 * (int(label) % (len(_PALETTE) // 3))
    return tuple(_PALETTE[start : start + 3])


def draw_detections(
    image, boxes, labels, scores=None, class_names=None, min_score=0.0, min_size=480
):
    """Draws boxes with their class and score.

    Boxes are drawn in order of falling score, the surest on top. Their texts stay inside the
    picture and out of each other's way where there is room.

    Args:
        image: PIL image, or array `[H, W]`, `[H, W, 1]`, `[H, W, 3]` or `[H, W, 4]` with values
            0..255. It is not changed.
        boxes: float array `[N, 4]`, `(x1, y1, x2, y2)` in pixels of `image`. What lies outside
            the image is not drawn.
        labels: N class names, or N contiguous classes; class -1 is padding and is not drawn.
        scores: N floats, or None for ground truth.
        class_names: sequence of names for integer labels; without it their number is shown.
        min_score: float. Boxes with a lower score are not drawn.
        min_size: int or None. An image whose longer side is shorter is enlarged by a whole
            factor until it is not, so that the texts can be read; None keeps the size.

    Returns:
        An RGB `PIL.Image`.

    Raises:
        ValueError: if lengths differ, the image has a strange shape or a box is not finite.

    Example:

    >>> picture = draw_detections(np.zeros((100, 200, 3), "uint8"), [[10, 30, 90, 80]], ["cat"])
    >>> picture.size
    (600, 300)
    """
    image = _to_pil(image)
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    labels = list(labels)
    scores = None if scores is None else np.asarray(scores, "float64").reshape(-1)
    if len(labels) != len(boxes) or (scores is not None and len(scores) != len(boxes)):
        raise ValueError(
            "`boxes`, `labels` and `scores` must have the same length. Received: "
            f"{len(boxes)} boxes, {len(labels)} labels, "
            f"{'no' if scores is None else len(scores)} scores"
        )
    shown = [
        index
        for index, label in enumerate(labels)
        if (isinstance(label, str) or label >= 0) and (scores is None or scores[index] >= min_score)
    ]
    if not np.isfinite(boxes[shown]).all():
        raise ValueError(f"Boxes must be finite. Received: boxes={boxes[shown].tolist()}")
    factor = max(1, math.ceil(min_size / max(image.size))) if min_size else 1
    width, height = image.width * factor, image.height * factor
    if factor > 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    boxes = np.clip(boxes * factor, 0, [width, height, width, height])
    shown = [i for i in shown if boxes[i, 2] > boxes[i, 0] and boxes[i, 3] > boxes[i, 1]]
    if scores is not None:
        shown.sort(key=lambda index: -scores[index])

    draw = ImageDraw.Draw(image)
    longer = max(width, height)
    line = max(2, round(longer / 350))
    for index in reversed(shown):
        _rectangle(draw, boxes[index], class_color(labels[index]), line, width, height)
    size = max(11, round(longer / 48))
    taken = []
    for index in shown:
        text = _name(labels[index], class_names)
        if scores is not None:
            text += f" {scores[index]:.2f}"
        _label(draw, text, boxes[index], class_color(labels[index]), size, (width, height), taken)
    return image


def image_grid(images, columns=None, cell_size=320, captions=None, gap=4):
    """Puts pictures on one contact sheet, each scaled to fit its cell.

    Args:
        images: list of PIL images or arrays as `draw_detections` takes them.
        columns: int or None for a sheet about as wide as high.
        cell_size: int or `(width, height)` in pixels.
        captions: list of str or None. Written below the pictures, shortened to fit.
        gap: int. Pixels between cells.

    Returns:
        An RGB `PIL.Image`.

    Raises:
        ValueError: if there is no image or the captions are not as many.

    Example:

    >>> image_grid([np.zeros((9, 9, 3), "uint8")] * 4, cell_size=50, gap=2).size
    (106, 106)
    """
    images = [_to_pil(image) for image in images]
    if not images or (captions is not None and len(captions) != len(images)):
        raise ValueError(
            "`image_grid` needs at least one image, and one caption for each or none at all. "
            f"Received: {len(images)} images, captions={captions}"
        )
    cell_width, cell_height = (cell_size, cell_size) if np.ndim(cell_size) == 0 else cell_size
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    rows = math.ceil(len(images) / columns)
    size = max(11, cell_width // 22)
    bar = size + 6 if captions is not None else 0
    sheet = Image.new(
        "RGB",
        (
            columns * (cell_width + gap) + gap,
            rows * (cell_height + bar + gap) + gap,
        ),
        (32, 32, 32),
    )
    draw = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        left = gap + index % columns * (cell_width + gap)
        top = gap + index // columns * (cell_height + bar + gap)
        scale = min(cell_width / image.width, cell_height / image.height)
        fitted = image.resize(
            (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
            Image.Resampling.BICUBIC,
        )
        sheet.paste(
            fitted,
            (left + (cell_width - fitted.width) // 2, top + (cell_height - fitted.height) // 2),
        )
        if captions is not None:
            font = _font(size)
            text = _fit(str(captions[index]), font, cell_width)
            draw.text((left, top + cell_height + 2), text, (235, 235, 235), font)
    return sheet


def _to_pil(image):
    if isinstance(image, Image.Image):
        return image.convert("RGB").copy()
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (3, 4)):
        raise ValueError(
            "An image must be a PIL image or an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]. "
            f"Received: an array of shape {array.shape}"
        )
    if array.dtype != np.uint8:
        array = np.clip(np.round(np.nan_to_num(array.astype("float32"))), 0, 255).astype("uint8")
    return Image.fromarray(array).convert("RGB")


def _name(label, class_names):
    if isinstance(label, str):
        return label
    return str(class_names[int(label)]) if class_names is not None else str(int(label))


@functools.lru_cache(maxsize=16)
def _font(size):
    # matplotlib's own font: it comes with the package and knows more than ASCII.
    import matplotlib

    path = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(path, size)


def _rectangle(draw, box, color, line, width, height):
    """A frame with a thin dark edge, which shows on a background of its own colour too."""
    x1, y1 = math.floor(box[0]), math.floor(box[1])
    x2, y2 = min(math.ceil(box[2]), width) - 1, min(math.ceil(box[3]), height) - 1
    x2, y2 = max(x1, x2), max(y1, y2)
    if x2 - x1 > 4 * line and y2 - y1 > 4 * line:
        inner = (x1 + line, y1 + line, x2 - line, y2 - line)
        draw.rectangle(inner, outline=tuple(value // 3 for value in color))
    draw.rectangle((x1, y1, x2, y2), outline=color, width=line)


def _label(draw, text, box, color, size, picture, taken):
    width, height = picture
    font = _font(size)
    pad = max(2, size // 5)
    text = _fit(text, font, width - 2 * pad)
    if not text:
        return
    tag_width = min(width, math.ceil(font.getlength(text)) + 2 * pad)
    ascent, descent = font.getmetrics()
    tag_height = ascent + descent + pad
    if tag_height > height:
        return
    x1, y1, x2, y2 = box
    spots = [
        (x1, y1 - tag_height),  # above
        (x1, y2),  # below
        (x1, y1),  # inside, top
        (x2 - tag_width, y1 - tag_height),
        (x2 - tag_width, y2),
        (x1, y2 - tag_height),
    ]
    best = None
    for rank, (left, top) in enumerate(spots):
        moved = not (0 <= top <= height - tag_height)
        left = round(min(max(left, 0), width - tag_width))
        top = round(min(max(top, 0), height - tag_height))
        spot = (left, top, left + tag_width, top + tag_height)
        cost = (sum(_overlap(spot, other) for other in taken), moved, rank)
        if best is None or cost < best[0]:
            best = (cost, spot)
    left, top, right, bottom = best[1]
    taken.append(best[1])
    draw.rectangle((left, top, right - 1, bottom - 1), fill=color)
    red, green, blue = color
    dark_text = 0.299 * red + 0.587 * green + 0.114 * blue > 140
    fill = (0, 0, 0) if dark_text else (255, 255, 255)
    draw.text((left + pad, top + pad // 2), text, fill, font)


def _overlap(a, b):
    return max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))


def _fit(text, font, width):
    """The text, shortened with an ellipsis until it fits; empty if not even that does."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…" if text else ""
