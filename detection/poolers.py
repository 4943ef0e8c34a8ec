"""How regions are pooled: by which method, to which size, from which level."""

import dataclasses

from detection.roi_align import multilevel_roi_align
from detection.roi_pool import multilevel_roi_pool


@dataclasses.dataclass
class RoIPooler:
    """Pools regions from the level of a pyramid that fits their size, or from a single map.

    Args:
        strides: pixels per cell of each pooled level, finest first.
        method: `"align"` (RoIAlign) or `"max"` (RoIPool).
        size: cells per side of a pooled region.
        sampling_ratio, max_samples, aligned: of RoIAlign, see `roi_align`.
        canonical_size: pixels; regions of this size (square root of the area) are pooled from
            level `canonical_level`.
        canonical_level: level number, e.g. 4 for P4.
        min_level: number of the finest pooled level, e.g. 2 for P2.
        level_epsilon: added to the size in units of the canonical one, before levels are chosen.

    Call arguments:
        features: list of tensors `[B, H_l, W_l, C]`, one for each stride.
        boxes: float32 tensor `[B, N, 4]`, pixels.

    Returns:
        Tensor `[B, N, size, size, C]` of the features' dtype.

    Raises:
        ValueError: for arguments outside these choices.

    Reference:
        Lin et al., "Feature Pyramid Networks" (2017), section 4.2.

    Example:

    >>> pooler = RoIPooler(strides=(16,), size=14)
    >>> maps = [np.ones((1, 8, 8, 2), "float32")]
    >>> tuple(pooler(maps, np.array([[[0.0, 0, 60, 60]]])).shape)
    (1, 1, 14, 14, 2)
    """

    strides: tuple = (4, 8, 16, 32)
    method: str = "align"
    size: int = 7
    sampling_ratio: int = 2
    max_samples: int = 4
    aligned: bool = True
    canonical_size: float = 224
    canonical_level: int = 4
    min_level: int = 2
    level_epsilon: float = 1e-8

    def __post_init__(self):
        self.strides = tuple(self.strides)
        if self.method not in ("align", "max"):
            raise ValueError(f"`method` must be 'align' or 'max'. Received: method={self.method!r}")

    def __call__(self, features, boxes):
        options = {
            "output_size": self.size,
            "canonical_size": self.canonical_size,
            "canonical_level": self.canonical_level,
            "min_level": self.min_level,
            "epsilon": self.level_epsilon,
        }
        if self.method == "max":
            return multilevel_roi_pool(features, boxes, self.strides, **options)
        return multilevel_roi_align(
            features,
            boxes,
            self.strides,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
            max_samples=self.max_samples,
            **options,
        )

    def get_config(self):
        """The arguments as plain data."""
        return {**dataclasses.asdict(self), "strides": list(self.strides)}
