"""A convolution and what follows it, as every part of a network makes them."""

from keras_resnet.convolution import PaddedConv2D, StandardizedConv2D
from keras_resnet.normalization import make_norm, standardizes_weights


def make_unit(filters, kernel_size, norm, number="", zero=False, **kwargs):
    """Create a convolution and the norm after it.

    Args:
        filters: int.
        kernel_size: odd int.
        norm: as in `make_norm`, or None for no norm; the convolution has a bias then.
        number: ends the names: `conv<number>`, `norm<number>`.
        zero: bool, let the unit put out zeros until it is trained: by the scale of its norm, or
            by the kernel where there is no norm.
        **kwargs: `data_format` and `dtype` of both, and arguments of the convolution.

    Returns:
        (convolution, norm or None).

    Example:

    >>> conv, norm = make_unit(8, 3, "batch", number=1)
    >>> conv.name, norm.name
    ('conv1', 'norm1')
    """
    name = f"conv{number}"
    if norm is None:
        if zero:
            kwargs["kernel_initializer"] = "zeros"
        return PaddedConv2D(filters, kernel_size, use_bias=True, name=name, **kwargs), None
    layer = StandardizedConv2D if standardizes_weights(norm) else PaddedConv2D
    shared = {key: kwargs.get(key) for key in ("data_format", "dtype")}
    norm = make_norm(norm, zero, name=f"norm{number}", **shared)
    return layer(filters, kernel_size, name=name, **kwargs), norm


def build_units(units, shape):
    """Build every layer of a chain of units on `shape`; return the shape after them."""
    for conv, norm in units:
        conv.build(shape)
        shape = conv.compute_output_shape(shape)
        if norm is not None:
            norm.build(shape)
    return shape
