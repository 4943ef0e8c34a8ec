"""Changes of colour along the principal components of ImageNet's colours."""

import numpy as np

# Published with the reference implementations for ImageNet, for colours from 0 to 1. A column
# of the matrix is a component: its red, green and blue part.
_SIZES = np.array([0.2175, 0.0188, 0.0045])
_COMPONENTS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


def lighting_shifts(draws):
    """What to add to red, green and blue of each image.

    Args:
        draws: float array `(B, 3)`, normally distributed: how much of each component.

    Returns:
        float32 array `(B, 3)`, for colours from 0 to 255.

    Reference:
        Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural
        networks", section 4.1.

    Example:
    >>> lighting_shifts(np.array([[0.1, 0, 0]])).round().tolist()
    [[-3.0, -3.0, -3.0]]
    """
    return (255 * (np.asarray(draws) * _SIZES) @ _COMPONENTS.T).astype("float32")


def shift_colours(image, shift):
    """Adds to the colours of an image.

    Args:
        image: uint8 array `(H, W, 3)`.
        shift: float32 array `(3,)`.

    Returns:
        uint8 array `(H, W, 3)`, rounded and clipped.

    Example:
    >>> shift_colours(np.full((1, 1, 3), 250, "uint8"), np.float32([10, 0.6, -1])).tolist()
    [[[255, 251, 249]]]
    """
    # A table of 256 entries a channel is faster than arithmetic on the image.
    table = np.arange(256, dtype="float32")[:, None] + shift
    table = np.clip(np.rint(table), 0, 255).astype("uint8")
    return np.stack([table[:, c][image[..., c]] for c in range(3)], axis=-1)
