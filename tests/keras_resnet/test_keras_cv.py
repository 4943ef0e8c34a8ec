"""Our networks as backbones of keras-cv's RetinaNet."""

import keras
import numpy as np
import pytest

import keras_resnet

pytestmark = [
    pytest.mark.skipif(
        keras.config.backend() != "tensorflow", reason="keras-cv trains on TensorFlow only"
    ),
    pytest.mark.filterwarnings("ignore"),
]

IMAGES = np.random.default_rng(0).standard_normal((2, 64, 64, 3)).astype("float32")
OBJECTS = {
    "boxes": np.array([[[4, 4, 36, 36]], [[10, 15, 60, 50]]], "float32"),
    "classes": np.array([[1], [2]], "float32"),
}


@pytest.mark.parametrize(
    "blocks,block,stride_at", [(1, "basic", "first"), (2, "preact_basic", "last")]
)
def test_retina_net_trains_on_our_backbone(blocks, block, stride_at, tmp_path):
    tf = pytest.importorskip("tensorflow")
    keras_cv = pytest.importorskip("keras_cv")
    backbone = keras_resnet.ResNet(
        (blocks,) * 4,
        block,
        width=8,
        stride_at=stride_at,
        include_top=False,
        zero_init_residual=False,
        input_shape=(64, 64, 3),
    )
    for level, name in backbone.pyramid_level_inputs.items():
        side = 64 // 2 ** int(level[1:])
        assert backbone.get_layer(name).output.shape[1:3] == (side, side), level

    model = keras_cv.models.RetinaNet(num_classes=3, bounding_box_format="xyxy", backbone=backbone)
    model.compile(
        classification_loss="focal",
        box_loss="smoothl1",
        optimizer=keras.optimizers.SGD(0.01, global_clipnorm=10.0),
        jit_compile=False,
    )
    before = [np.array(w) for w in backbone.trainable_weights]
    data = tf.data.Dataset.from_tensors({"images": IMAGES, "bounding_boxes": OBJECTS})
    history = model.fit(data, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, w in zip(before, backbone.trainable_weights, strict=True):
        assert not np.array_equal(old, w), w.path

    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert isinstance(again.backbone, keras_resnet.ResNet)
    for name, expected in model(IMAGES).items():
        np.testing.assert_allclose(again(IMAGES)[name], expected, atol=1e-5)
