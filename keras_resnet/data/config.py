"""The settings of the input pipelines for classification."""

from typing import Annotated, Literal

import pydantic

_Count = Annotated[int, pydantic.Field(ge=1)]
_Probability = Annotated[float, pydantic.Field(ge=0, le=1)]
_Amount = Annotated[float, pydantic.Field(ge=0)]
_Strength = Annotated[float, pydantic.Field(ge=0, le=1)]
_Colour = Annotated[int, pydantic.Field(ge=0, le=255)]
_STRICT = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

CROPS = ("none", "pad_crop", "random_resized", "scale_jitter", "resize_crop")


class RandAugmentConfig(pydantic.BaseModel):
    """RandAugment: a fixed number of random operations of one magnitude on each image.

    Args:
        num_ops: operations an image.
        magnitude: int 0..30, strength of all operations.

    Reference:
        Cubuk et al. 2019, arXiv:1909.13719.

    Example:
    >>> RandAugmentConfig(magnitude=7).num_ops
    2
    """

    model_config = _STRICT

    num_ops: _Count = 2
    magnitude: Annotated[int, pydantic.Field(ge=0, le=30)] = 9


class ClassificationPipelineConfig(pydantic.BaseModel):
    """How labelled images become batches. Validated; unknown names are refused.

    In training, images are cropped, mirrored, changed by `rand_augment` or `trivial_augment`,
    changed in colour, erased in part and mixed, in this order. In evaluation they are resized
    and cropped in the middle.

    Args:
        batch_size: images in a batch.
        image_size: height and width of the training images in pixels.
        crop: how training images get that size. `"none"`: they have it already. `"pad_crop"`:
            a border around the image, then a random crop. `"random_resized"`: a random part of the
            image, resized. `"scale_jitter"`: resized to a random length of the shorter side, then
            a random crop. `"resize_crop"`: resized to `eval_resize`, then a random crop.
        padding: pixels on each side for `"pad_crop"`.
        padding_value: three ints 0..255, the colour of the padding; None is black, and in the
            training of a classifier the mean that is subtracted.
        scale: `(low, high)`, share of the image's area that `"random_resized"` takes.
        ratio: `(low, high)`, width over height that `"random_resized"` takes.
        shorter_side: `(low, high)`, lengths in pixels that `"scale_jitter"` draws from.
        horizontal_flip: probability of mirroring left and right.
        rand_augment: a `RandAugmentConfig`, or None.
        trivial_augment: bool, one random operation of random strength on each image.
        brightness, contrast, saturation: strengths `s` 0..1: factors are drawn from
            `[1 - s, 1 + s]`, and the order of the changes is random.
        hue: strength 0..0.5: the largest shift of the hue, in turns of the colour circle.
        pca_lighting: standard deviation of the change of colour along the principal components
            of ImageNet's colours; 0.1 in the papers.
        random_erasing: probability of painting over a random rectangle.
        erasing_value: three ints 0..255, the colour it gets; by default ImageNet's mean.
        mixup: parameter alpha of MixUp, 0 for none.
        cutmix: parameter alpha of CutMix, 0 for none. With both, each batch draws one of them.
        repeats: repeated augmentation: how often an image occurs in an epoch, each time augmented
            differently; the epoch keeps its length and has fewer different images.
        eval_resize: length in pixels of the shorter side before evaluation's crop. By default
            8/7 of the crop, and no resizing where `crop` is `"none"` or `"pad_crop"`.
        eval_crop: height and width of the evaluation images, by default `image_size`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"` or `"lanczos"`; shrinking is
            antialiased, except with `"nearest"`.
        shuffle: bool, whether training draws a new order for each epoch.
        seed: of order and augmentation; None for that of the training, else 0.
        drop_remainder: bool, whether training leaves out of each epoch the last images, which
            fill no batch. Otherwise the first images of the epoch fill the last batch.
        workers: threads that read and augment; None for a number chosen by the pipeline.
        cache: whether to keep decoded images in memory. `"auto"` keeps up to 2 GiB of them.

    Reference:
        He et al. 2015, arXiv:1512.03385, section 3.4 (`scale_jitter`, `pca_lighting`) and 4.2
        (`pad_crop`); Szegedy et al. 2014, arXiv:1409.4842 (`random_resized`); Müller and Hutter
        2021, arXiv:2103.10158 (`trivial_augment`); Zhong et al. 2017, arXiv:1708.04896
        (`random_erasing`); Zhang et al. 2017, arXiv:1710.09412 (`mixup`); Yun et al. 2019,
        arXiv:1905.04899 (`cutmix`); Hoffer et al. 2019, arXiv:1901.09335 (`repeats`).

    Example:
    >>> config = ClassificationPipelineConfig(batch_size=256, image_size=224)
    >>> config.eval_size, config.mixes
    ((256, 224), False)
    """

    model_config = _STRICT

    batch_size: _Count = 128
    image_size: _Count = 224
    crop: Literal[CROPS] = "random_resized"
    padding: Annotated[int, pydantic.Field(ge=0)] = 4
    padding_value: tuple[_Colour, _Colour, _Colour] | None = pydantic.Field(
        None, examples=[(124, 116, 104)]
    )
    scale: tuple[_Amount, _Amount] = (0.08, 1.0)
    ratio: tuple[pydantic.PositiveFloat, pydantic.PositiveFloat] = (3 / 4, 4 / 3)
    shorter_side: tuple[_Count, _Count] = (256, 480)
    horizontal_flip: _Probability = 0.5
    rand_augment: RandAugmentConfig | None = None
    trivial_augment: bool = False
    brightness: _Strength = 0.0
    contrast: _Strength = 0.0
    saturation: _Strength = 0.0
    hue: Annotated[float, pydantic.Field(ge=0, le=0.5)] = 0.0
    pca_lighting: _Amount = 0.0
    random_erasing: _Probability = 0.0
    erasing_value: tuple[_Colour, _Colour, _Colour] = (124, 116, 104)
    mixup: _Amount = 0.0
    cutmix: _Amount = 0.0
    repeats: _Count = 1
    eval_resize: _Count | None = None
    eval_crop: _Count | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    shuffle: bool = True
    seed: Annotated[int, pydantic.Field(ge=0)] | None = None
    drop_remainder: bool = True
    workers: _Count | None = None
    cache: bool | Literal["auto"] = "auto"

    @pydantic.model_validator(mode="after")
    def _check(self):
        for name in ("scale", "ratio", "shorter_side"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(
                    f"`{name}` must be a pair (low, high) with 0 < low <= high. "
                    f"Received: {name}={(low, high)}"
                )
        if self.scale[1] > 1:
            raise ValueError(f"`scale` is a share of the area. Received: scale={self.scale}")
        if self.crop == "scale_jitter" and self.shorter_side[0] < self.image_size:
            raise ValueError(
                "`shorter_side` must not be below `image_size`, or the crop does not fit. "
                f"Received: shorter_side={self.shorter_side}, image_size={self.image_size}"
            )
        resize, crop = self.eval_size
        smallest = max(crop, self.image_size if self.crop == "resize_crop" else 1)
        if resize is not None and resize < smallest:
            raise ValueError(
                f"`eval_resize` must be at least {smallest}, or the crop does not fit. "
                f"Received: eval_resize={resize}"
            )
        if self.rand_augment is not None and self.trivial_augment:
            raise ValueError("`rand_augment` and `trivial_augment` exclude each other.")
        return self

    @property
    def eval_size(self):
        """`(resize, crop)` of evaluation in pixels; `resize` is None for images as they are."""
        crop = self.eval_crop or self.image_size
        if self.eval_resize is None and self.crop not in ("none", "pad_crop"):
            return round(crop * 8 / 7), crop
        return self.eval_resize, crop

    @property
    def mixes(self):
        """Whether training batches are mixed, and labels hence are probabilities."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def changes_colour(self):
        """Whether any of brightness, contrast, saturation and hue is changed."""
        return max(self.brightness, self.contrast, self.saturation, self.hue) > 0
