"""Encoded images."""

import numpy as np

from keras_resnet.data import images
from keras_resnet.data.errors import DataError
from tests.detection.data.bad_images import ACCEPTED, turned

SEEDS = [case.content for case in ACCEPTED if len(case.content) < 20_000]
SEEDS += [turned(orientation, kind) for orientation in (3, 8) for kind in ("JPEG", "PNG", "WEBP")]


def one_input(data):
    """Decodes; raises whatever is not the documented error."""
    bound, images.MAX_PIXELS = images.MAX_PIXELS, 2**20  # So that a run is fast.
    try:
        pixels = images.decode_image(data, "image")
    except DataError as error:
        assert str(error).startswith("The image image")
        return
    finally:
        images.MAX_PIXELS = bound
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert pixels.size <= 3 * 2**20
    size, _ = images.image_size(data)
    assert size == pixels.shape[:2]
