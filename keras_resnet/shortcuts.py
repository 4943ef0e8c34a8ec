"""The ways around a block: the options of He et al. 2015, section 4.1, and their relatives."""

import dataclasses
from collections.abc import Callable

from keras import ops

from keras_resnet._arguments import choose, true_false_or_none
from keras_resnet.shortcut_layers import (
    AveragePoolShortcut,
    HighwayShortcut,
    ProjectionShortcut,
    ZeroPadShortcut,
)


def _zero_pad(filters, stride, norm, **kwargs):
    return ZeroPadShortcut(filters, stride, **kwargs)


def _highway(filters, stride, norm, **kwargs):
    return HighwayShortcut(filters, stride, **kwargs)


def add(branch, inputs, layer, activation):
    """Join the branch of a block with its shortcut: `activation(branch + shortcut)`."""
    return activation(ops.add(branch, inputs if layer is None else layer(inputs)))


def plain(branch, inputs, layer, activation):
    """Join nothing: a block of a plain net is its branch."""
    return activation(branch)


def gate(branch, inputs, layer, activation):
    """Join by the gates of a highway."""
    return layer([inputs, activation(branch)])


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a name of a shortcut stands for. A layer of None is the identity.

    Attributes:
        channels: layer where the number of channels changes.
        pixels: layer where only the stride is above 1.
        same: layer where neither is the case.
        join: function (branch, inputs, layer, activation) -> output of the block.
        options: what a dict may hold besides `"kind"`, with defaults.
    """

    channels: Callable | None = None
    pixels: Callable | None = None
    same: Callable | None = None
    join: Callable = add
    options: dict = dataclasses.field(default_factory=dict)


SHORTCUTS = {
    "projection": Kind(ProjectionShortcut, ProjectionShortcut),
    "zero_pad": Kind(_zero_pad, _zero_pad, options={"zeros": "end"}),
    "projection_all": Kind(ProjectionShortcut, ProjectionShortcut, ProjectionShortcut),
    "avg_pool": Kind(AveragePoolShortcut, AveragePoolShortcut),
    "max_pool": Kind(ProjectionShortcut, _zero_pad),
    "none": Kind(join=plain),
    "highway": Kind(_highway, _highway, _highway, join=gate, options={"gate_bias": -2.0}),
}


def parse_shortcut(shortcut):
    """Split `shortcut` into its `Kind` and a dict of its options, refusing unknown ones."""
    options = dict(shortcut) if isinstance(shortcut, dict) else {"kind": shortcut}
    name = choose("shortcut", options.pop("kind", None), tuple(SHORTCUTS))
    kind = SHORTCUTS[name]
    for option in options:
        choose(f"option of shortcut {name!r}", option, tuple(kind.options))
    return kind, {**kind.options, **options}


def starts_at_zero(zero_init_residual, shortcut):
    """Whether branches start at zero: None for where a shortcut is added, and only there.

    Args:
        zero_init_residual: bool or None, as in `ResNet`.
        shortcut: as in `make_shortcut`.

    Returns:
        bool.

    Raises:
        ValueError: it is True, and nothing is added to a branch; or it is neither bool nor None.
    """
    true_false_or_none("zero_init_residual", zero_init_residual)
    added = parse_shortcut(shortcut)[0].join is add
    if zero_init_residual and not added:
        raise ValueError(
            "A branch that no shortcut is added to must not start at zero, for no gradient would "
            "pass; leave out `zero_init_residual`. "
            f"Received: zero_init_residual={zero_init_residual}, shortcut={shortcut!r}"
        )
    return added if zero_init_residual is None else zero_init_residual


def of_earlier(config):
    """A configuration as it is today: earlier ones may say True where nothing is added."""
    if parse_shortcut(config.get("shortcut", "projection"))[0].join is add:
        return config
    return {**config, "zero_init_residual": False}


def make_shortcut(shortcut, in_channels, filters, stride=1, norm="batch", **kwargs):
    """Create the layer on the shortcut of one block, or None for the identity.

    Args:
        shortcut: `"projection"` (option B: a projection where the shape changes, the identity
            elsewhere), `"zero_pad"` (option A), `"projection_all"` (option C), `"avg_pool"`
            (option B that averages pixels), `"max_pool"` (a projection where the number of
            channels changes, every second pixel where only the stride does), `"none"` or
            `"highway"`; or a dict of `"kind"` and its options: `zeros` of zero_pad, `gate_bias` of
            highway.
        in_channels, filters: int, channels before and after the block.
        stride: int, stride of the block.
        norm: as in `make_norm`, or None.
        **kwargs: `data_format`, `name`, `dtype` of the layer.

    Returns:
        A Keras layer or None.

    Raises:
        ValueError: for an unknown kind or option.

    Example:

    >>> make_shortcut("projection", 64, 64) is None
    True
    """
    kind, options = parse_shortcut(shortcut)
    if in_channels != filters:
        layer = kind.channels
    else:
        layer = kind.pixels if stride != 1 else kind.same
    return None if layer is None else layer(filters, stride=stride, norm=norm, **options, **kwargs)
