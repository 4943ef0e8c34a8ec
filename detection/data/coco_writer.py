"""Any data set as a file in COCO's format, which other tools read, too."""

import dataclasses
import io
import os

from PIL import Image

from detection.data.dataset import DetectionDataset
from detection.data.images import read_bytes, reason
from detection.data.problems import DataError
from keras_resnet.data.images import FORMATS


def coco_content(dataset, images_dir=None):
    """The annotations of a data set as COCO's files have them.

    Args:
        dataset: A `DetectionDataset` of image files.
        images_dir: Optional string or path, the folder that the file names become relative to.
            Defaults to the innermost one that holds all images.

    Returns:
        A tuple `(content, images_dir)`: a dict for `json.dump`, and a string. Ids of images that
        are no integers, which most readers of the format need, are replaced by numbers from 1.

    Raises:
        DataError: If images are not in the folder, or not in files of their own.

    Example:

    ```python
    content, images_dir = coco_content(load_voc("VOCdevkit/VOC2007", "trainval"))
    images_dir                                     # "/home/me/VOCdevkit/VOC2007/JPEGImages"
    ```
    """
    inside = [record.image_path for record in dataset.records if record.byte_range is not None]
    if inside:
        raise DataError(
            f"The images of {dataset.name} are not in files of their own, which COCO's format "
            f"needs; `extract_images` (--extract FOLDER) writes such files. The first image is in "
            f"{inside[0]}"
        )
    paths = [os.path.abspath(record.image_path) for record in dataset.records]
    if images_dir is None:
        images_dir = os.path.commonpath([os.path.dirname(path) for path in paths] or [os.getcwd()])
    images_dir = os.path.abspath(os.fspath(images_dir))
    content = dataset.to_coco()
    numbers = {record.image_id: record.image_id for record in dataset.records}
    if not all(isinstance(number, int) for number in numbers):
        numbers = {image_id: number for number, image_id in enumerate(numbers, start=1)}
    for image, path in zip(content["images"], paths):
        name = os.path.relpath(path, images_dir)
        if name.split(os.sep)[0] == os.pardir:
            raise DataError(f"The image {path} is not in the folder of images {images_dir}.")
        image["file_name"] = name.replace(os.sep, "/")
        image["id"] = numbers[image["id"]]
    for annotation in content["annotations"]:
        annotation["image_id"] = numbers[annotation["image_id"]]
    return content, images_dir


def extract_images(dataset, folder):
    """Copies the images of a data set into files of their own, byte by byte.

    Args:
        dataset: A `DetectionDataset`.
        folder: String or path, which must be empty or not exist.

    Returns:
        A `DetectionDataset` of the copies, `000001.jpg` and so on.

    Raises:
        DataError: If the folder holds something, or an image is in no known format.
    """
    folder = os.fspath(folder)
    os.makedirs(folder, exist_ok=True)
    if os.listdir(folder):
        raise DataError(f"The folder to extract images into must be empty. Received: {folder}")
    records = []
    for number, record in enumerate(dataset.records, start=1):
        data = read_bytes(record.image_path, record.byte_range)
        path = os.path.join(folder, f"{number:06d}.{_ending(data, record.where)}")
        with open(path, "xb") as file:
            file.write(data)
        records.append(dataclasses.replace(record, image_path=path, byte_range=None))
    return DetectionDataset(dataset.name, dataset.categories, records, dataset.problems)


def _ending(data, where):
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return {"JPEG": "jpg"}.get(image.format, image.format.lower())
    except Exception as error:  # Pillow raises of many kinds on damaged files.
        raise DataError(f"The image {where} does not decode: {reason(error)}.") from error
