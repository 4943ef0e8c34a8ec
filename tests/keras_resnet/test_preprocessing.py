import functools
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype="uint8")


def test_torch_style_is_torchvisions_normalize():
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (IMAGES / 255.0 - mean) / std
    np.testing.assert_allclose(keras_resnet.preprocess_input(IMAGES), expected, atol=1e-5)
    first = keras_resnet.preprocess_input(IMAGES.transpose(0, 3, 1, 2), "channels_first")
    np.testing.assert_allclose(first.transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_caffe_style_is_that_of_keras_applications():
    ours = keras_resnet.preprocess_input(IMAGES, style="caffe")
    expected = keras.applications.resnet50.preprocess_input(IMAGES.astype("float32"))
    np.testing.assert_allclose(ours, expected)


def test_tensors_work_and_arrays_stay_untouched():
    x = IMAGES.astype("float32")
    ours = keras_resnet.preprocess_input(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(ours, keras_resnet.preprocess_input(x), atol=1e-5)
    np.testing.assert_array_equal(x, IMAGES)


@pytest.mark.parametrize("wrong", [IMAGES / 255.0, IMAGES / 127.5 - 1, IMAGES * 256.0])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_images_in_the_wrong_range_are_noticed(wrong, as_tensor):
    wrong = keras.ops.convert_to_tensor(wrong, "float32") if as_tensor else wrong
    with pytest.warns(UserWarning, match=r"expects values 0\.\.255, but these lie in"):
        keras_resnet.preprocess_input(wrong)


@pytest.mark.filterwarnings("error")
def test_images_in_the_right_range_or_of_unknown_values_are_not():
    keras_resnet.preprocess_input(IMAGES)
    keras_resnet.preprocess_input(np.zeros((2, 2, 3)))
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, keras_resnet.preprocess_input(inputs))
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), keras_resnet.preprocess_input(IMAGES), atol=1e-5
    )


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="of TensorFlow's tensors")
def test_it_runs_in_an_input_pipeline():
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensors(IMAGES).map(keras_resnet.preprocess_input)
    np.testing.assert_allclose(next(iter(data)), keras_resnet.preprocess_input(IMAGES), atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 5, 4), (4, 5, 1), (4, 5), (3, 4, 5)])
@pytest.mark.parametrize("convert", [np.asarray, keras.ops.convert_to_tensor, keras.Input])
def test_images_without_3_channels_are_refused(shape, convert):
    images = keras.Input(batch_shape=shape) if convert is keras.Input else convert(np.ones(shape))
    with pytest.raises(ValueError, match=r"3 channels.*Received: images of shape \("):
        keras_resnet.preprocess_input(images, data_format="channels_last")


def test_pictures_of_pillow_work():
    image = Image.fromarray(IMAGES[0])
    expected = keras_resnet.preprocess_input(IMAGES[0])
    np.testing.assert_array_equal(keras_resnet.preprocess_input(image), expected)


@pytest.mark.parametrize("style", ["torch", "caffe", "tf"])
@pytest.mark.parametrize("call", ["call", "predict"])
def test_models_notice_images_that_are_not_preprocessed(style, call):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype="uint8")
    expected = keras.applications.imagenet_utils.preprocess_input(
        images.astype("float32"), mode=style
    )
    unscaled = [images] if style == "tf" else [images, images / 255]
    for wrong in unscaled:
        model = make_model(style)
        run = model if call == "call" else functools.partial(model.predict, verbose=0)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "The weights of")
            run(expected)
        with pytest.warns(UserWarning, match=f"style='{style}'.*lie in") as caught:
            run(wrong)
        assert [w.filename for w in caught if "lie in" in str(w.message)] == [__file__]
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "The weights of")
            run(wrong)  # once is enough


def test_models_of_unknown_weights_and_tensors_are_not_looked_at():
    images = np.full((1, 32, 32, 3), 255.0, "float32")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The weights of")
        make_model()(images)
        make_model("torch")(keras.ops.convert_to_tensor(images))


def test_unknown_styles_are_refused():
    with pytest.raises(ValueError, match="Received: style='pytorch'"):
        keras_resnet.preprocess_input(IMAGES, style="pytorch")
    with pytest.raises(ValueError, match="Received: preprocessing='pytorch'"):
        make_model().preprocessing = "pytorch"


def make_model(style=None):
    model = keras_resnet.ResNet(
        (1, 1), "basic", width=8, include_top=False, pooling="avg", name=f"net_{style}"
    )
    model.preprocessing = style
    return model


def nested(model):
    return keras.Sequential([keras.Input((32, 32, 3)), model, keras.layers.Dense(2)])


@pytest.mark.parametrize("style", ["torch", "caffe", "tf"])
@pytest.mark.parametrize(
    "wrap", [lambda m: m, nested, lambda m: keras_resnet.feature_extractor(m, ("C3",))]
)
def test_the_style_of_the_weights_survives_nesting_and_saving(style, wrap, tmp_path):
    model = wrap(make_model(style))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    expected = keras.applications.imagenet_utils.preprocess_input(
        IMAGES.astype("float32"), mode=style
    )
    for each in (model, again, keras.models.clone_model(model)):
        np.testing.assert_allclose(keras_resnet.preprocess_input_for(each)(IMAGES), expected)


def test_an_unknown_style_is_not_guessed():
    with pytest.raises(ValueError, match=r"preprocess_input\(x, style=\.\.\.\).*that has none"):
        keras_resnet.preprocess_input_for(make_model())
    inputs = keras.Input((32, 32, 3))
    both = [make_model("torch")(inputs), make_model("caffe")(inputs)]
    with pytest.raises(ValueError, match=r"styles (torch, caffe|caffe, torch)"):
        keras_resnet.preprocess_input_for(keras.Model(inputs, both))


def test_decode_predictions_names_the_best(monkeypatch):
    from keras.src.applications import imagenet_utils

    names = {str(i): [f"n{i:08d}", f"name{i}"] for i in range(1000)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", names)
    scores = np.zeros((1, 1000))
    scores[0, [3, 7]] = 0.75, 0.25
    decoded = keras_resnet.decode_predictions(scores, top=2)
    assert decoded == [[("n00000003", "name3", 0.75), ("n00000007", "name7", 0.25)]]


def test_decode_predictions_wants_1000_classes():
    with pytest.raises(ValueError, match=r"shape \(B, 1000\).*Received: .*\(2, 10\)"):
        keras_resnet.decode_predictions(np.zeros((2, 10)))


def test_decode_predictions_without_network_says_which_file_goes_where(tmp_path, monkeypatch):
    from keras.src.applications import imagenet_utils
    from keras.src.utils import file_utils

    def unreachable(*args, **kwargs):
        raise OSError("unreachable")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", None)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    with pytest.raises(OSError, match=r"imagenet_class_index\.json elsewhere") as error:
        keras_resnet.decode_predictions(np.zeros((1, 1000)))
    assert str(tmp_path / "models" / "imagenet_class_index.json") in str(error.value)
