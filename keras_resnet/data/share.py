"""The rows of a batch that one of several processes reads."""


def rows_of_share(batch_size, share):
    """The rows of each batch that belong to a process.

    Args:
        batch_size: int, images in the batch of all processes together.
        share: `(index, count)`, number of the process from 0, and how many there are.

    Returns:
        slice; the shares of all processes in their order are the batch.

    Raises:
        ValueError: the batch cannot be shared out equally, or there is no such process.

    Example:
    >>> rows_of_share(8, (1, 2))
    slice(4, 8, None)
    """
    index, count = share
    if not 0 <= index < count:
        raise ValueError(f"`share` must be (index, count), index < count. Received: share={share}")
    if batch_size % count:
        raise ValueError(
            f"A batch must be a multiple of the number of processes, {count}. "
            f"Received: batch_size={batch_size}"
        )
    size = batch_size // count
    return slice(index * size, (index + 1) * size)
