"""Anchor boxes on a pyramid of feature maps."""

import math

import numpy as np
from keras import ops


class AnchorGenerator:
    """Boxes of given sizes and shapes, centred on the cells of feature maps.

    An anchor of size `s` and aspect ratio `r` (height over width) has area `s * s`. Within a
    location the order is sizes outer, ratios inner. The defaults of the arguments follow
    detectron2; `rounded=True` and `fit_strides=True` with `offset=0` give torchvision's anchors.

    Args:
        sizes: one tuple of sizes in pixels for every level, e.g. `((32,), (64,), (128,))`.
        aspect_ratios: tuple of ratios height / width, used on every level.
        strides: one int for every level: pixels between neighbouring locations.
        offset: float, position of a centre inside its cell, in strides: 0 is the cell's top
            left corner, 0.5 its middle.
        rounded: round half widths and half heights to whole pixels.
        fit_strides: space the locations by the image's side divided by the map's, rounded down,
            instead of by `strides`. The two differ where the stride does not divide the image: a
            side of 352 pixels has 6 locations at stride 64, which torchvision puts 58 apart.

    Raises:
        ValueError: if levels disagree in number or a value is not positive.

    Reference:
        Ren et al. 2015, section 3.1.1; Lin et al. 2017 (FPN), section 4.1.

    Example:
        >>> generator = AnchorGenerator(((32,), (64,)), (0.5, 1.0, 2.0), (8, 16))
        >>> [tuple(a.shape) for a in generator([(4, 4), (2, 2)])]
        [(48, 4), (12, 4)]
    """

    def __init__(self, sizes, aspect_ratios, strides, offset=0.0, rounded=False, fit_strides=False):
        try:
            self.sizes = tuple(tuple(float(size) for size in level) for level in sizes)
        except TypeError as error:
            raise ValueError(
                "`sizes` must hold one tuple of numbers for every level, e.g. ((32,), (64,)). "
                f"Received: sizes={sizes}"
            ) from error
        self.aspect_ratios = tuple(float(ratio) for ratio in aspect_ratios)
        self.strides = tuple(int(stride) for stride in strides)
        self.offset = float(offset)
        self.rounded = bool(rounded)
        self.fit_strides = bool(fit_strides)
        if len(self.sizes) != len(self.strides) or not self.sizes:
            raise ValueError(
                "`sizes` and `strides` must have one entry for every level. "
                f"Received: sizes={sizes}, strides={strides}"
            )
        counts = {len(level) for level in self.sizes}
        if len(counts) != 1 or 0 in counts or not self.aspect_ratios:
            raise ValueError(
                "Every level needs the same positive number of anchors, because the levels share "
                f"one prediction head. Received: sizes={sizes}, aspect_ratios={aspect_ratios}"
            )
        numbers = [*self.aspect_ratios, *self.strides, *(s for level in self.sizes for s in level)]
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise ValueError(
                "`sizes`, `aspect_ratios` and `strides` must be positive. Received: "
                f"sizes={sizes}, aspect_ratios={aspect_ratios}, strides={strides}"
            )
        self.cells = [self._make_cells(level) for level in self.sizes]

    @property
    def num_anchors_per_location(self):
        """Number of anchors at one location of any level."""
        return len(self.sizes[0]) * len(self.aspect_ratios)

    def __call__(self, feature_shapes, image_shape=None):
        """Place the anchors on feature maps.

        Args:
            feature_shapes: list with one `(height, width)` for every level, in cells; Python ints
                or scalar integer tensors.
            image_shape: `(height, width)` of the images with their padding, in pixels, of the
                same kind; needed with `fit_strides` only.

        Returns:
            List of float32 tensors `[height * width * A, 4]` in pixels, ordered by
            `(y, x, anchor)`.

        Raises:
            ValueError: if the number of maps is not the number of levels, or `image_shape` is
                needed and not given.
        """
        if len(feature_shapes) != len(self.sizes):
            raise ValueError(
                f"Expected one feature shape for each of the {len(self.sizes)} levels. "
                f"Received: feature_shapes={feature_shapes}"
            )
        if self.fit_strides and image_shape is None:
            raise ValueError(
                "Anchors with `fit_strides` depend on the size of the images; give `image_shape`. "
                "Received: image_shape=None"
            )
        anchors = []
        for cells, stride, (height, width) in zip(self.cells, self.strides, feature_shapes):
            steps = stride, stride
            if self.fit_strides:
                steps = image_shape[0] // height, image_shape[1] // width
            anchors.append(self._place(cells, steps, height, width))
        return anchors

    def get_config(self):
        """Arguments from which `from_config` makes an equal generator."""
        return {
            "sizes": self.sizes,
            "aspect_ratios": self.aspect_ratios,
            "strides": self.strides,
            "offset": self.offset,
            "rounded": self.rounded,
            "fit_strides": self.fit_strides,
        }

    @classmethod
    def from_config(cls, config):
        """Make a generator from `get_config()`."""
        return cls(**config)

    def _make_cells(self, sizes):
        size, ratio = np.meshgrid(sizes, self.aspect_ratios, indexing="ij")
        half_width = (size / np.sqrt(ratio) / 2).reshape(-1)
        half_height = (size * np.sqrt(ratio) / 2).reshape(-1)
        cells = np.stack([-half_width, -half_height, half_width, half_height], axis=-1)
        return (np.round(cells) if self.rounded else cells).astype("float32")

    def _place(self, cells, steps, height, width):
        step_y, step_x = (ops.cast(step, "float32") for step in steps)
        y = (ops.cast(ops.arange(height, dtype="int32"), "float32") + self.offset) * step_y
        x = (ops.cast(ops.arange(width, dtype="int32"), "float32") + self.offset) * step_x
        x, y = ops.meshgrid(x, y, indexing="xy")
        centres = ops.stack([x, y, x, y], axis=-1)
        return ops.reshape(centres[:, :, None, :] + cells, (-1, 4))
