import keras
import pytest

import keras_resnet
from keras_resnet.analysis import count
from tests.keras_resnet.analysis.helpers import small_net

L = keras.layers

# (network, arguments): trainable, statistics, GMACs: torchvision's and the paper's counts
PUBLISHED = {
    ("ResNet18", ()): (11_689_512, 9_600, 1.814),
    ("ResNet34", ()): (21_797_672, 17_024, 3.664),
    ("ResNet34", (("shortcut", "zero_pad"),)): (21_623_848, 15_232, 3.644),
    ("PlainNet34", ()): (21_623_848, 15_232, 3.644),
    ("ResNet34", (("shortcut", "projection_all"),)): (22_716_840, 22_784, 3.831),
    ("ResNet50", ()): (25_557_032, 53_120, 4.089),
    ("ResNet50", (("stride_in", "1x1"),)): (25_557_032, 53_120, 3.858),
    ("ResNet101", ()): (44_549_160, 105_344, 7.801),
    ("ResNet101", (("stride_in", "1x1"),)): (44_549_160, 105_344, 7.570),
    ("ResNet152", ()): (60_192_808, 151_424, 11.514),
    ("ResNet152", (("stride_in", "1x1"),)): (60_192_808, 151_424, 11.282),
}


@pytest.mark.parametrize("variant", PUBLISHED, ids=str)
def test_residual_networks(variant):
    trainable, statistics, gmacs = PUBLISHED[variant]
    counts = count(getattr(keras_resnet, variant[0])(**dict(variant[1])))
    assert (counts.trainable, counts.statistics) == (trainable, statistics)
    assert counts.parameters == trainable
    assert counts.macs / 1e9 == pytest.approx(gmacs, rel=1e-3)
    assert counts.uncounted == ()


def test_the_papers_comparison_of_vgg_plain_and_residual():
    # Section 3.3: 19.6, 3.6 and 3.6 billion multiply-adds.
    vgg = count(keras.applications.VGG19(weights=None))
    assert vgg.parameters == 143_667_240
    assert round(vgg.macs / 1e9, 1) == 19.6
    plain = count(keras_resnet.ResNet34(shortcut="none"))
    residual = count(keras_resnet.ResNet34(shortcut="zero_pad"))
    assert round(plain.macs / 1e9, 1) == round(residual.macs / 1e9, 1) == 3.6
    assert plain.macs / vgg.macs == pytest.approx(0.18, abs=0.01)
    assert plain.parameters == residual.parameters == 21_623_848


@pytest.mark.parametrize(
    ("name", "total", "mmacs"),
    [("MobileNetV2", 3_538_984, 300), ("ResNet50V2", 25_613_800, 3_480)],
)
def test_keras_applications(name, total, mmacs):
    model = getattr(keras.applications, name)(weights=None)
    counts = count(model)
    assert counts.parameters + counts.statistics == total == model.count_params()
    # MobileNetV2's paper says 300 million; torchvision's figure for ResNet-50 V2's form is alike.
    assert counts.macs / 1e6 == pytest.approx(mmacs, rel=0.01)


# (layer, input shape, multiply-adds by hand)
BY_HAND = [
    (L.Dense(5), (7,), 7 * 5),
    (L.Dense(5), (3, 7), 3 * 7 * 5),
    (L.Conv1D(4, 3), (10, 2), 8 * 3 * 2 * 4),
    (L.Conv2D(4, 3, strides=2, padding="same"), (9, 7, 2), 5 * 4 * 9 * 2 * 4),
    (L.Conv2D(8, 3, groups=2, padding="same"), (5, 5, 4), 25 * 9 * 2 * 8),
    (L.Conv3D(2, 1), (2, 3, 4, 5), 24 * 5 * 2),
    (L.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 3), 16 * 9 * 3 * 2),
    (L.SeparableConv2D(5, 3), (6, 6, 3), 16 * (9 * 3 + 3 * 5)),
    (L.Conv2DTranspose(4, 2, strides=2), (3, 3, 5), 9 * 4 * 5 * 4),
    (L.EinsumDense("abc,cd->abd", output_shape=(None, 6)), (3, 7), 3 * 7 * 6),
    (L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 6)), (3, 7), 3 * 7 * 12),
    (L.MaxPooling2D(), (4, 4, 3), 0),
]


@pytest.mark.parametrize(("layer", "shape", "macs"), BY_HAND, ids=lambda x: getattr(x, "name", ""))
def test_layers_by_hand(layer, shape, macs):
    model = keras.Sequential([keras.Input(shape), layer])
    counts = count(model)
    assert counts.macs == macs
    assert counts.parameters == layer.count_params()
    assert counts.uncounted == ()


def test_rows_of_a_nested_model_in_order():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="norm")],
        name="inner",
    )
    inner.get_layer("norm").trainable = False
    inputs = keras.Input((8, 8, 3))
    x = L.GlobalAveragePooling2D()(inner(inputs))
    model = keras.Model(inputs, L.Dense(2, name="dense")(x))
    rows = {row.name: row for row in count(model).layers}
    assert list(rows) == ["inner/conv", "inner/norm", "dense"]
    conv, norm, dense = rows.values()
    assert (conv.parameters, conv.macs, conv.output_shape) == (112, 36 * 108, (6, 6, 4))
    assert (norm.parameters, norm.trainable, norm.statistics, norm.macs) == (8, 0, 8, 0)
    assert (dense.parameters, dense.macs, dense.kind) == (10, 8, "Dense")
    parts = {part.name: part for part in count(model).parts}
    assert parts["inner"].macs == 36 * 108
    assert parts["inner"].parameters == 120


def test_a_layer_used_twice_multiplies_twice_and_is_stored_once():
    shared = L.Dense(6)
    model = keras.Sequential([keras.Input((6,)), shared, L.ReLU(), shared])
    counts = count(model)
    assert (counts.macs, counts.parameters) == (72, 42)


def test_the_size_decides_and_must_be_known():
    model = keras_resnet.ResNet((1,), width=8, include_top=False)
    small, large = (count(model, (side, side, 3)).macs for side in (32, 64))
    assert large == 4 * small
    with pytest.raises(ValueError, match=r"pass `input_shape`.*Received: input_shape=None"):
        count(model)


def test_subclassed_models_and_several_inputs():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, inputs):
            return self.dense(inputs["a"]) + self.dense(inputs["b"])

    model = Two()
    with pytest.raises(ValueError, match="not built"):
        count(model)
    shapes = {"a": (4,), "b": (5, 4)}
    model({name: keras.ops.zeros((1, *shape)) for name, shape in shapes.items()})
    assert count(model, shapes).macs == 12 + 5 * 12
    with pytest.raises(ValueError, match="does not know its input"):
        count(model)


def test_frozen_norms_are_parameters_that_do_not_train():
    counts = count(small_net((1,), norm="frozen"), (8, 8, 3))
    free = count(small_net((1,)), (8, 8, 3))
    assert (counts.parameters, counts.statistics) == (free.parameters, free.statistics)
    assert free.trainable - counts.trainable == counts.statistics  # gamma and beta


def test_what_is_not_known_is_named():
    model = keras.Sequential([keras.Input((5, 4)), L.LSTM(3, name="recurrent"), L.Dense(2)])
    counts = count(model)
    assert counts.uncounted and all("recurrent" in name for name in counts.uncounted)
    assert counts.macs == 6
    assert "without the multiply-adds of recurrent" in str(counts)


def test_table_and_picture(tmp_path):
    counts = count(small_net((1, 1)), (16, 16, 3))
    table = str(counts).splitlines()
    assert [line.split()[0] for line in table[1:4]] == ["stem", "stage2_block1", "stage3_block1"]
    assert table[-1].split() == ["total", *(f"{n:,}" for n in total(counts))]
    counts.draw(tmp_path / "counts.png")
    assert (tmp_path / "counts.png").stat().st_size > 5000


def total(counts):
    return counts.parameters, counts.statistics, counts.macs
