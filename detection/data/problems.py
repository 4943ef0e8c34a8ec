"""What is wrong with a data set of boxes, collected by kind."""

from keras_resnet.data import problems as of_images
from keras_resnet.data.errors import DataError

__all__ = ["DataError", "Problems"]


class Problems(of_images.Problems):
    """Everything found wrong while a data set was read, by kind.

    Readers never drop anything silently: what they skip or repair is added here, with the place
    (file, image id, position of the box) and the offending values.

    Example:

    ```python
    problems = Problems()
    problems.add("zero_area", "image 12, annotation 7", "bbox [3, 4, 0, 9]")
    problems.counts()                # {"zero_area": 1}
    print(problems.summary())
    ```
    """

    KINDS = {  # noqa: RUF012
        "zero_area": "boxes of zero width or height, skipped",
        "negative_size": "boxes of negative width or height, skipped",
        "not_finite": "boxes with NaN or infinite coordinates, skipped",
        "outside": "boxes completely outside their image, skipped",
        "clipped": "boxes partly outside their image, clipped to it",
        "malformed_box": "annotations without a box of four numbers, skipped",
        "malformed_crowd": "annotations whose 'iscrowd' is neither 0 nor 1, taken as 0",
        "unknown_category": "annotations of a category that is not listed, skipped",
        "unknown_image": "annotations of an image that is not listed, skipped",
        "unknown_size": "annotations without the image's size, read from the file",
        **of_images.Problems.KINDS,
        "outside_folder": "images whose file name leads out of the image folder",
        "size_mismatch": "images of another size than their annotation says",
        "missing_annotation": "images without their annotation file",
        "malformed_annotation": "annotation files that cannot be read",
        "no_label_file": "images without a label file, taken as images without objects",
        "found_elsewhere": "images found under another name than the annotated one",
        "not_run": "files that say how to download their data, which is never done",
    }
    UNUSABLE = (
        *of_images.Problems.UNUSABLE,
        "size_mismatch",
        "missing_annotation",
        "malformed_annotation",
    )
