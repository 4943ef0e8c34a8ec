"""The error of all readers."""

import contextlib
import re


class DataError(ValueError):
    """A data set that cannot be used as it is; the message lists what was found."""


@contextlib.contextmanager
def plain_data_errors(advice=None):
    """Lets an image that breaks inside a pipeline be named by the reader's own error.

    TensorFlow wraps the `DataError` of a pipeline into an error of its own, with the
    stack trace in its text.

    Args:
        advice: str that is added to the message about a single image, as pipelines raise it;
            None for nothing.

    Raises:
        DataError: naming the image.

    Example:
    ```python
    with plain_data_errors():
        model.fit(batches)
    ```
    """
    try:
        yield
    except DataError as error:
        if advice and re.match(r"The image .*\.$", str(error)):
            raise DataError(f"{error} {advice}") from error.__cause__
        raise
    except Exception as error:
        found = re.search(r"DataError: (.*)", str(error))
        if found is None:
            raise
        raise DataError(f"{found[1]} {advice}" if advice else found[1]) from None
