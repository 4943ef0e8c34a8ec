"""Test-time augmentation: at which sizes, and mirrored or not, an image is looked at."""

import dataclasses

MERGES = ("boxes", "features")


@dataclasses.dataclass(frozen=True)
class View:
    """One way to look at an image.

    Attributes:
        min_side: the shorter side after resizing, in pixels, or None for images as they are.
        max_side: bound of the longer side.
        flip: whether it is mirrored from left to right.
    """

    min_side: int | None
    max_side: int | None
    flip: bool = False


@dataclasses.dataclass(frozen=True)
class TestTimeAugmentation:
    """Detection on several views of an image, whose answers are merged.

    With `merge="boxes"` every view is detected in by itself, proposals included; all boxes and
    scores, before non-maximum suppression, come into one frame and are selected from together.

    With `merge="features"` the proposals come from the model's own scale. Each is pooled at the
    two scales where its area is nearest to the canonical size squared (224 pixels if the
    configuration says nothing else), goes through the box head at both, and the elementwise
    maximum of the two vectors goes to the output layers. With `flip`, scores and boxes of a
    proposal are the mean of those on the image and on the mirrored one.

    Args:
        scales: shorter sides in pixels; `()` for the model's own. Longer sides are bounded in
            proportion to the model's own bound.
        flip: whether images are also looked at mirrored from left to right.
        merge: `"boxes"` or `"features"`.

    Raises:
        ValueError: for arguments outside these choices.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition" (2015), appendix B, for
        `merge="features"`.

    Example:

    ```python
    augment = detection.TestTimeAugmentation(scales=(600, 800, 1000), flip=True)
    model.detect("photo.jpg", augment=augment)
    ```
    """

    __test__ = False  # for pytest, which would collect it by its name

    scales: tuple = ()
    flip: bool = False
    merge: str = "boxes"

    def __post_init__(self):
        object.__setattr__(self, "scales", tuple(int(side) for side in self.scales))
        if self.merge not in MERGES:
            raise ValueError(
                f"`merge` must be 'boxes' or 'features'. Received: merge={self.merge!r}"
            )
        if any(side < 1 for side in self.scales) or len(set(self.scales)) < len(self.scales):
            raise ValueError(
                "`scales` must be different shorter sides in pixels. "
                f"Received: scales={self.scales}"
            )

    def views(self, preprocessing):
        """The views of an image, all scales as they are and then all mirrored.

        Args:
            preprocessing: how the model's images are resized, see `FasterRCNN`.

        Returns:
            List of `View`.

        Raises:
            ValueError: if the model's own scale is needed and not among the scales, or not known.
        """
        own = preprocessing.get("min_side")
        if self.scales and own is None:
            raise ValueError(
                "`scales` need a model that says how its images are resized (`preprocessing`). "
                f"Received: scales={self.scales}"
            )
        if self.scales and self.merge == "features" and own not in self.scales:
            raise ValueError(
                "With merge='features' proposals come from the model's own scale, so `scales` "
                f"must hold {own}. Received: scales={self.scales}"
            )
        sizes = [(None, None)]
        if own is not None:
            scales = self.scales or (own,)
            sizes = [(side, _bound(side, own, preprocessing["max_side"])) for side in scales]
        flips = (False, True) if self.flip else (False,)
        return [View(*size, flip) for flip in flips for size in sizes]


def _bound(side, own, bound):
    """The longest longer side at a scale: the model's own bound, in proportion."""
    return max(side, round(bound * side / own))
