"""The settings of the input pipelines."""

from typing import Annotated, Literal

import pydantic

_Probability = Annotated[float, pydantic.Field(ge=0, le=1)]
_Strength = Annotated[float, pydantic.Field(ge=0, lt=1)]
_Positive = Annotated[int, pydantic.Field(ge=1)]


class LargeScaleJitter(pydantic.BaseModel):
    """Images at widely different scales on a canvas of one size. Validated as the rest.

    The longer side of an image is resized to a random multiple of `size`; of what is larger than
    the canvas a random window is cut out, what is smaller is padded.

    Args:
        size: Height and width of the canvas in pixels.
        scale: Range `(low, high)` of the multiple, drawn uniformly.
        min_box: Boxes with a shorter side of fewer pixels, after clipping to the window, are
            dropped.

    Reference:
        Ghiasi et al. 2020, arXiv:2012.07177, section 3.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    size: _Positive = 1024
    scale: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (0.1, 2.0)
    min_box: pydantic.NonNegativeFloat = 1.0

    @pydantic.model_validator(mode="after")
    def _check_range(self):
        if self.scale[0] > self.scale[1]:
            raise ValueError(
                f"`scale` must be a pair (low, high) with low <= high. Received: {self.scale}"
            )
        return self


class DataPipelineConfig(pydantic.BaseModel):
    """How images become batches. Validated; unknown names are refused.

    Args:
        batch_size: Number of images in a batch.
        min_sides: Lengths in pixels that the shorter side is resized to; training draws one for
            each image.
        max_side: Longest allowed length of the longer side in pixels; images that would exceed
            it are resized to it instead.
        eval_min_side: Length of the shorter side outside training. Defaults to the largest of
            `min_sides`.
        size_divisor: Padded heights and widths are multiples of this.
        rounding: How fractions of the resized sides are rounded: `"nearest"`, or `"floor"` as
            torchvision does.
        max_buckets: Largest number of padded shapes; each shape is compiled once, fewer shapes
            mean more padding. Batches that mix what is left over at the end of an epoch may need
            one more.
        max_boxes: Number of rows for ground truth in a batch. Defaults to the largest number of
            boxes on an image of the data set, rounded up to a multiple of 8.
        horizontal_flip: Probability of mirroring left and right.
        vertical_flip: Probability of mirroring top and bottom.
        scale_jitter: Optional `(low, high)`, range of a factor on the shorter side's length,
            drawn uniformly in its logarithm. `max_side` bounds the result.
        large_scale_jitter: Optional `LargeScaleJitter`, by which training chooses sizes and
            windows. `min_sides`, then one, and `max_side` are for evaluation only.
        brightness: Strength `s`: colours are multiplied by a factor from `[1 - s, 1 + s]`.
        contrast: Strength of the change of the distance from the image's mean grey.
        saturation: Strength of the change of the distance from each pixel's grey.
        shuffle: Whether training draws a new order for each epoch.
        seed: Seed of order and augmentation. Defaults to the seed of the training, else 0.
        drop_remainder: Whether training leaves out, in each epoch, the images that do not fill a
            batch. Otherwise the last batch is filled up with images of the same epoch.
        workers: Number of parallel readers. Defaults to a number chosen by the pipeline.
        cache: Whether to decode once and keep the images in memory as uint8. `"auto"` does so
            for data sets that need at most 2 GiB.
        image_dtype: `"uint8"` (rounded) or `"float32"` (0..255). Defaults to uint8 in training
            and float32 outside.

    Example:

    ```python
    config = DataPipelineConfig(batch_size=4, min_sides=(320,), max_side=640, vertical_flip=0.5)
    ```
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    batch_size: _Positive = 2
    min_sides: Annotated[tuple[_Positive, ...], pydantic.Field(min_length=1)] = (800,)
    max_side: _Positive = 1333
    eval_min_side: _Positive | None = None
    size_divisor: _Positive = 32
    rounding: Literal["nearest", "floor"] = "nearest"
    max_buckets: _Positive = 4
    max_boxes: _Positive | None = None
    horizontal_flip: _Probability = 0.5
    vertical_flip: _Probability = 0.0
    scale_jitter: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] | None = pydantic.Field(
        None, examples=[(0.8, 1.25)]
    )
    large_scale_jitter: LargeScaleJitter | None = None
    brightness: _Strength = 0.0
    contrast: _Strength = 0.0
    saturation: _Strength = 0.0
    shuffle: bool = True
    seed: Annotated[int, pydantic.Field(ge=0)] | None = None
    drop_remainder: bool = False
    workers: _Positive | None = None
    cache: bool | Literal["auto"] = "auto"
    image_dtype: Literal["uint8", "float32"] | None = None

    @pydantic.model_validator(mode="after")
    def _check_ranges(self):
        sides = (*self.min_sides, self.eval_min_side or 1)
        if max(sides) > self.max_side:
            raise ValueError(
                f"`max_side` must be at least the largest shorter side. "
                f"Received: max_side={self.max_side}, shorter sides {sides}"
            )
        if self.scale_jitter is not None and self.scale_jitter[0] > self.scale_jitter[1]:
            raise ValueError(
                "`scale_jitter` must be a pair (low, high) with low <= high. "
                f"Received: scale_jitter={self.scale_jitter}"
            )
        scales = self.scale_jitter is not None or len(self.min_sides) > 1
        if self.large_scale_jitter is not None and scales:
            raise ValueError(
                "With `large_scale_jitter`, `scale_jitter` and all but one of `min_sides` have no "
                f"effect; leave them out. Received: scale_jitter={self.scale_jitter}, "
                f"min_sides={self.min_sides}"
            )
        return self

    def dtype(self, training):
        """Returns the dtype of the images as a string."""
        return self.image_dtype or ("uint8" if training else "float32")

    def has_single_scale(self, training):
        """Returns whether each image is always resized to the same size."""
        jitter = (self.scale_jitter, self.large_scale_jitter) != (None, None)
        return not training or (len(set(self.min_sides)) == 1 and not jitter)

    def has_colour_jitter(self, training):
        """Returns whether colours are changed."""
        return training and max(self.brightness, self.contrast, self.saturation) > 0
