"""Export of a trained classifier for TensorFlow Serving."""

import importlib.metadata
import io
from pathlib import Path

import numpy as np
from PIL import Image

from keras_resnet.data.evaluation import centre_crop
from keras_resnet.data.images import decode_image, read_bytes
from keras_resnet.export import freeze_network
from keras_resnet.export_check import check_difference, choose_tolerance, compare_classes
from keras_resnet.inference_copy import with_dtype
from keras_resnet.saved_model import check_backend, next_folder, publish, write
from keras_resnet.warmup import write_warmup

METADATA_FILE = "classifier.json"
# Resizing in TensorFlow may round a pixel otherwise than Pillow.
_ROUNDED_PIXELS = 0.01


def export_classifier(
    source,
    path,
    version=None,
    samples=None,
    dtype="float32",
    tolerance=None,
    constant=True,
    warmup=False,
):
    """Writes a classifier as a SavedModel that any TensorFlow process can serve.

    The folder `<path>/<version>` has the layout of TensorFlow Serving and needs neither this
    package nor Keras. It is written aside, compared with the model on `samples`, and only then
    renamed. Two signatures, both with the normalization inside:

    - `serving_default(image_bytes: string [B])`: JPEG or PNG files, of different sizes in one
      batch, turned as their EXIF orientation says, resized and cropped as for evaluation.
    - `serve(images: float32 [B, H, W, 3])`: RGB images, 0..255, of the size of the crop.

    Both return `probabilities` float32 `[B, K]` and `classes` int32 `[B]`, the most probable; the
    first also `valid` bool `[B]`: False, with probabilities of 0 and the class -1, for bytes that
    do not decode, images smaller than the crop where none is resized, and probabilities that are
    not finite. Names of the classes, the preparation and the result of the comparison are in
    `assets/classifier.json`.

    Args:
        source: a `ClassifierSource`, as `open_classifier` returns.
        path, version, dtype, tolerance, constant: as for `keras_resnet.export.export_saved_model`;
            the tolerance is that of probabilities.
        samples: list of images to compare on, paths or uint8 arrays `[H, W, 3]`; `None` for four
            synthetic ones. Real ones make the better check.
        warmup: bool, write the samples as requests that TensorFlow Serving answers before it says
            that the model is ready; see `keras_resnet.warmup`.

    Returns:
        The folder `<path>/<version>`, a `pathlib.Path`.

    Raises:
        ValueError: if the backend is not TensorFlow, `samples` is empty or smaller than the crop,
            the version exists or is not an int above 0, or a probability differs by more than the
            tolerance.

    Example:

    ```python
    folder = export_classifier(open_classifier("runs/flowers"), "served/flowers")
    served = tf.saved_model.load(folder).signatures["serving_default"]
    served(image_bytes=tf.constant([open("photo.jpg", "rb").read()]))["probabilities"]
    ```
    """
    check_backend()
    tolerance = choose_tolerance(dtype, tolerance)
    next_folder(path, version)  # Refuses before any work is done.
    images = read_samples(source, samples)
    crops = crop_samples(source, images)

    def make(folder):
        _write(source, folder, dtype, constant)
        if warmup:
            write_warmup(folder, Path(path).name, images)
        return {
            **describe(source),
            "dtype": dtype,
            "constant_weights": constant,
            "self_check": _check(source, folder, images, crops, tolerance),
        }

    return publish(path, version, make, METADATA_FILE)


def describe_model(source):
    """What holds for a classifier in every format, as plain data for JSON."""
    return {
        "package_version": importlib.metadata.version("keras-resnet-detection"),
        "name": source.name,
        "architecture": source.architecture,
        "class_names": None if source.class_names is None else list(source.class_names),
        "preprocessing": {
            "resize": source.resize,
            "crop": source.crop,
            "interpolation": source.interpolation,
            "normalization": "inside the model",
        },
    }


def describe(source):
    """What a client of an exported classifier has to know, as plain data for JSON."""
    classes = source.model.output_shape[-1]
    return {
        "format": "classifier SavedModel of keras-resnet-detection",
        **describe_model(source),
        "signatures": {
            "serving_default": {
                "image_bytes": "string [B]: JPEG or PNG files of any sizes; their EXIF "
                "orientation is applied, they are resized and cropped"
            },
            "serve": {"images": "float32 [B, H, W, 3]: RGB, 0..255, of the size of the crop"},
        },
        "outputs": {
            "probabilities": f"float32 [B, {classes}]",
            "classes": "int32 [B]: the most probable class, index into class_names",
            "valid": "bool [B], of serving_default: false, with probabilities of 0 and the class "
            "-1, if the image did not decode or, not being resized, is smaller than the crop, or "
            "the answer was not finite",
        },
    }


def _write(source, folder, dtype, constant):
    import tensorflow as tf

    from keras_resnet.classification.serving import classify_bytes, classify_images

    call, variables = freeze_network(source.model, dtype, constant)
    shape = [None, *source.model.inputs[0].shape[1:]]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serving_default(image_bytes):
        prepared = source.resize, source.crop, source.interpolation
        return classify_bytes(call, image_bytes, *prepared)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="images")])
    def serve(images):
        return classify_images(call, images)

    write(folder, {"serving_default": serving_default, "serve": serve}, variables)


def _check(source, folder, images, crops, tolerance):
    """Compares both signatures in a folder with the model in float32."""
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    expected = expected_probabilities(source, crops)
    by_pixels = signatures["serve"](images=tf.constant(crops))["probabilities"].numpy()
    files = tf.constant([_png(image) for image in images])
    by_files = signatures["serving_default"](image_bytes=files)["probabilities"].numpy()
    figures = compare_classes(expected, by_pixels)
    of_files = compare_classes(expected, by_files)["max_probability_difference"]
    check_difference(figures["max_probability_difference"], tolerance, "a probability")
    check_difference(of_files, tolerance + _ROUNDED_PIXELS, "a probability, of files,")
    return {
        "images": len(images),
        "tolerance": tolerance,
        **figures,
        "max_probability_difference_of_files": of_files,
    }


def read_samples(source, samples=None):
    """The images that an export is compared on.

    Args:
        source: a `ClassifierSource`.
        samples: list of paths or uint8 arrays `[H, W, 3]`; `None` for four synthetic ones.

    Returns:
        List of uint8 arrays `[H, W, 3]`.

    Raises:
        ValueError: there are none, or one is no image.
    """
    images = _synthetic(source) if samples is None else [_read(sample) for sample in samples]
    if not images:
        raise ValueError("At least one sample is needed for the comparison. Received: samples=[]")
    return images


def crop_samples(source, images):
    """What evaluation would look at of images, float32 `[N, crop, crop, 3]`, 0..255."""
    prepared = source.resize, source.crop, source.interpolation
    return np.stack([centre_crop(image, *prepared).astype("float32") for image in images])


def expected_probabilities(source, crops):
    """Answers of the model in float32, an array `[N, K]`."""
    import tensorflow as tf

    return tf.nn.softmax(with_dtype(source.model, "float32")(crops, training=False)).numpy()


def _synthetic(source):
    """Four smooth images of different shapes, the same at every call."""
    generator = np.random.default_rng(0)
    side = source.resize or source.crop
    images = []
    for height, width in ((1.0, 1.25), (1.5, 1.0), (1.0, 1.0), (1.2, 2.0)):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype="uint8"))
        size = int(np.ceil(side * width)), int(np.ceil(side * height))
        images.append(np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)))
    return images


def _read(sample):
    if isinstance(sample, np.ndarray):
        if sample.ndim != 3 or sample.shape[-1] != 3 or sample.dtype != np.uint8:
            raise ValueError(
                "A sample must be a path or a uint8 array [H, W, 3], RGB. "
                f"Received: shape={sample.shape}, dtype={sample.dtype}"
            )
        return sample
    return decode_image(read_bytes(str(sample)), str(sample))


def _png(image):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "PNG")
    return file.getvalue()
