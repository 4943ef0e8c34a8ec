"""What a network holds at least, by the numbers in its description, before any of it is built."""

import collections

from keras_resnet.untrusted.errors import UntrustedFileError

# The deepest published network has 600; building takes some milliseconds for each.
MAX_BLOCKS = 1000
# Two convolutions, and for each a norm of two arrays.
_ARRAYS_OF_A_BLOCK = 6


def refuse_larger(stage_blocks, width, shapes, where, more=()):
    """Refuses a description of a network of which a file does not hold the weights.

    Every residual block has a 3x3 convolution that keeps the number of channels, so the arrays of
    these shapes tell in no time whether the blocks are there. It is a bound from below: what
    passes is compared array by array once the network is built without memory.

    Args:
        stage_blocks: blocks of each stage. Of values that are no ints, here and in `width`, the
            network's constructor says what is wrong.
        width: filters of the first stage, doubled by each further one.
        shapes: iterable of the shapes of all arrays in the file, in Keras' layout.
        where: how errors name the file.
        more: iterable of shapes that arrays in the file must have besides, one each.

    Raises:
        UntrustedFileError: saying what is not there.

    Example:

    >>> shapes = [(3, 3, 8, 8), (8,), (8,), (3, 3, 8, 8), (8,), (8,)]
    >>> refuse_larger([1], 8, shapes, "the file")
    >>> refuse_larger([2], 8, shapes, "the file")
    Traceback (most recent call last):
    keras_resnet.untrusted.errors.UntrustedFileError: the file describes 2 blocks ...
    """
    counts = whole_numbers(stage_blocks)
    blocks = sum(counts)
    # Empty arrays cost nothing to list.
    held = collections.Counter(shape for shape in map(tuple, shapes) if 0 not in shape)
    arrays = held.total()
    if blocks > MAX_BLOCKS:
        raise UntrustedFileError(f"{where} describes {blocks} blocks, more than any network has.")
    if _ARRAYS_OF_A_BLOCK * blocks > arrays:
        raise UntrustedFileError(
            f"{where} describes {blocks} blocks and holds {arrays} arrays for them."
        )
    needed = collections.Counter(map(tuple, more))
    if type(width) is int and width > 0:
        for stage, count in enumerate(counts):
            filters = width * 2 ** min(stage, 64)
            needed[3, 3, filters, filters] += count
    for shape, count in needed.items():
        if held[shape] < count:
            raise UntrustedFileError(
                f"{where} describes {count} arrays of the shape {shape} and holds {held[shape]}."
            )


def whole_numbers(value):
    """Returns the absolute values of all ints in nested lists, also in a tuple as Keras writes it.

    Args:
        value: anything.

    Returns:
        List of int.
    """
    found, waiting = [], [value]
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, int):
            found.append(abs(value))
        elif isinstance(value, (list, tuple)):
            waiting[:0] = value
        elif isinstance(value, dict):
            waiting.append(value.get("items"))
    return found
