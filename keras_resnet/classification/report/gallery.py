"""The images that a classifier is wrong about with most confidence, and some it is right about."""

import base64
import io
from html import escape

import numpy as np
from PIL import Image

from keras_resnet.data.printable import printable
from keras_resnet.report.plots import shorten

_LARGEST_SIDE = 256  # pixels of a picture on the page
_SMALL = 100  # pictures below are magnified, and their pixels shown as they are


def choose(predictions, count):
    """Images to show.

    Args:
        predictions: a `Predictions`.
        count: int, at most so many of each.

    Returns:
        `(wrong, right)`, int arrays of places in `predictions`: the wrong ones with the highest
        scores, highest first, and right ones evenly spread over the data set.
    """
    wrong = np.flatnonzero(~predictions.right)
    wrong = wrong[np.argsort(-predictions.scores[wrong], kind="stable")][:count]
    right = np.flatnonzero(predictions.right)
    spread = np.linspace(0, max(len(right) - 1, 0), min(count, len(right)))
    return wrong, right[spread.round().astype("int64")]


def gallery(dataset, predictions, count):
    """Pictures with their true and predicted classes.

    Args:
        dataset: the `ImageDataset`, of which only the images shown are read.
        predictions: a `Predictions` on it.
        count: int, at most so many wrong and so many right ones.

    Returns:
        str of HTML, empty where there is nothing to show.
    """
    parts = []
    titles = ("Wrong, the most confident first", "Right, from all over the data set")
    for title, chosen in zip(titles, choose(predictions, count)):
        if len(chosen):
            pictures = (_picture(dataset, predictions, int(place)) for place in chosen)
            parts.append(f'<h3>{title}</h3><div class="thumbs">{"".join(pictures)}</div>')
    return "".join(parts)


def _picture(dataset, predictions, place):
    position = int(predictions.positions[place])
    label, predicted = int(predictions.labels[place]), int(predictions.predicted[place])
    # Of paths, what tells images apart within the data set.
    name = printable("/".join(str(dataset.where(position)).split("/")[-2:]))
    array = dataset.read(position)
    small = Image.fromarray(array)
    small.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    file, tiny = io.BytesIO(), max(small.size) < _SMALL
    small.save(file, "PNG" if tiny else "JPEG", quality=80)
    kind = "png" if tiny else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
    found = "no number" if predicted < 0 else shorten(dataset.class_names[predicted], 60)
    verdict = "right" if label == predicted else "wrong"
    truth = f"<span>true: {escape(shorten(dataset.class_names[label], 60))}</span>" * (
        label != predicted
    )
    return (
        f'<figure><img{" class=tiny" * tiny} src="{source}" alt="{escape(name)}"><figcaption>'
        f'<b class="{verdict}">{escape(found)} ({predictions.scores[place]:.2f})</b>{truth}'
        f"<small>{escape(name)}</small></figcaption></figure>"
    )
