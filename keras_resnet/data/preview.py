"""A picture of what a batch looks like after augmentation."""

import numpy as np
from PIL import Image, ImageDraw

from keras_resnet.data.batches import numpy_batches

_GAP = 4  # Pixels between images.
_LINE = 14  # Height of a line of text.


def preview(batches, path, class_names=None, images=16, columns=4):
    """Draws the first images of the first batch with their labels.

    Args:
        batches: what `make_batches` returns, with images 0..255.
        path: where to save the picture, such as `"train_batch0.jpg"`.
        class_names: sequence of str to write instead of numbers.
        images: int, how many at most; rows of label -1 are left out.
        columns: int, images side by side.

    Returns:
        The `PIL.Image` that was saved.

    Raises:
        ValueError: a batch without images.

    Example:
    >>> from keras_resnet.data.batches import make_batches
    >>> from keras_resnet.data.config import ClassificationPipelineConfig
    >>> from keras_resnet.data.dataset import ImageDataset
    >>> data = ImageDataset("blank", ["a"], [0] * 5, images=np.zeros((5, 32, 32, 3), "uint8"))
    >>> config = ClassificationPipelineConfig(batch_size=4, image_size=32, crop="pad_crop")
    >>> preview(make_batches(data, config, training=True), "train_batch0.jpg").size
    (404, 118)
    """
    x, y = next(iter(numpy_batches(batches)))
    rows = [row for row in range(len(x)) if np.ndim(y[row]) or y[row] >= 0][:images]
    if not rows:
        raise ValueError("The first batch has no images to draw.")
    # Small images are enlarged, so that they can be seen and named.
    zoom = max(1, -(-96 // x.shape[1]))
    side = zoom * x.shape[1]
    columns = min(columns, len(rows))
    cell = (side + _GAP, side + _GAP + _LINE)
    size = (columns * cell[0] + _GAP, -(-len(rows) // columns) * cell[1] + _GAP)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for number, row in enumerate(rows):
        left, top = _GAP + number % columns * cell[0], _GAP + number // columns * cell[1]
        pixels = np.clip(np.rint(x[row]), 0, 255).astype("uint8")
        picture = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        page.paste(picture, (left, top))
        draw.text((left, top + side + 1), _label(y[row], class_names, side), fill="black")
    page.save(path)
    return page


def _label(label, names, width):
    """`name`, or `name 70% + name 30%` for a mixed label, cut where there is no more room."""

    def name(number):
        return str(number if names is None else names[number])

    if np.ndim(label) == 0:
        text = name(int(label))
    else:
        order = np.argsort(-label, kind="stable")[:2]
        parts = [f"{name(i)} {label[i]:.0%}" for i in order if label[i] > 0]
        text = " + ".join(parts)
    room = max(4, width // 6)
    return text if len(text) <= room else f"{text[: room - 1]}…"
