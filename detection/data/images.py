"""Reading images: the decoder of `keras_resnet`, and a cache of pixels."""

import threading

from keras_resnet.data.images import decode_image, image_size, read_bytes, reason, to_rgb

__all__ = ["ImageCache", "decode_image", "image_size", "read_bytes", "reason", "to_rgb"]


class ImageCache:
    """Decoded images of a data set, kept in memory after the first reading.

    Args:
        dataset: A `DetectionDataset`.
        keep: Boolean, whether to keep the images.
        transform: Optional function `(index, image) -> image` applied before keeping.
    """

    def __init__(self, dataset, keep=True, transform=None):
        self._dataset = dataset
        self._keep = keep
        self._transform = transform
        self._images = {}
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._images)

    def read(self, index):
        """Returns the image at a position of the data set, uint8 `(H, W, 3)`."""
        image = self._images.get(index)
        if image is not None:
            return image
        image = self._dataset.read_image(index)
        if self._transform is not None:
            image = self._transform(index, image)
        if self._keep:
            with self._lock:
                image = self._images.setdefault(index, image)
        return image
