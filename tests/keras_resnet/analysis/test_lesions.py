import keras
import numpy as np
import pytest

from keras_resnet.analysis import lesion
from tests.keras_resnet.analysis.helpers import images, small_net, weights_of


def balance(model, x):
    """Shift the scores so that no class wins for all images."""
    head = model.get_layer("predictions")
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)(x)
    head.bias.assign(-np.mean(np.array(pooled) @ np.array(head.kernel), axis=0))


CASES = {
    "basic": {},
    "bottleneck": {"block": "bottleneck", "shortcut": "projection_all"},
    "pre-activation": {"block": "preact_basic"},
    "squeeze": {"squeeze_excitation": 4, "shortcut": "zero_pad"},
    "highway": {"shortcut": {"kind": "highway", "gate_bias": 0.5}},
}


@pytest.mark.parametrize("case", CASES)
def test_equals_networks_with_weights_that_leave_only_the_shortcut(case):
    model = small_net((2, 1), **CASES[case])
    x = images(60, 8, 8, 3)
    balance(model, x)
    before = weights_of(model)
    y = np.argmax(model(x), axis=-1)
    y[:15] = (y[:15] + 1) % 5  # so that the intact network has 45 of 60 right
    result = lesion(model, (x, y), batch_size=32)
    assert (result.intact, result.examples) == (0.75, 60)
    assert result.names == ("stage2_block1", "stage2_block2", "stage3_block1")
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    for name, accuracy in zip(result.names, result.accuracies):
        block = model.get_layer(name)
        conv, norm = block.units[-1]
        changed = [*conv.weights, *(norm.weights[:2] if norm else [])]
        if case == "highway":
            changed += block.shortcut.gate.weights
        kept = [np.array(weight) for weight in changed]
        for weight in changed:
            weight.assign(np.zeros(weight.shape))
        if case == "highway":
            block.shortcut.gate.bias.assign(np.full(block.shortcut.gate.bias.shape, -1e4))
        expected = np.mean(np.argmax(model(x), axis=-1) == y)
        for weight, value in zip(changed, kept):
            weight.assign(value)
        assert accuracy == expected
    assert len(set(result.accuracies)) > 1  # not all of them keep every class


def test_nested_and_in_batches():
    net = small_net((1, 1), classifier_activation=None)
    model = keras.Sequential([keras.Input((8, 8, 3)), net, keras.layers.Softmax()])
    x = images(20, 8, 8, 3)
    y = np.arange(20) % 5
    expected = lesion(net, (x, y))
    batches = ((x[i : i + 8], np.eye(5)[y[i : i + 8]]) for i in range(0, 20, 8))
    result = lesion(model, batches)
    assert result.names == ("resnet/stage2_block1", "resnet/stage3_block1")
    np.testing.assert_array_equal(result.accuracies, expected.accuracies)
    assert result.intact == expected.intact
    assert result.examples == 20


def test_errors():
    x, y = images(4, 8, 8, 3), np.zeros(4)
    with pytest.raises(ValueError, match="no residual block"):
        lesion(small_net((1,), shortcut="none"), (x, y))
    with pytest.raises(ValueError, match="no example"):
        lesion(small_net((1,)), [])
    with pytest.raises(ValueError, match="without sample weights"):
        lesion(small_net((1,)), [(x, y, y)])


def test_picture(tmp_path):
    result = lesion(small_net((1, 1)), (images(8, 8, 8, 3), np.arange(8) % 5))
    figure = result.draw(tmp_path / "lesions.png")
    assert (tmp_path / "lesions.png").stat().st_size > 5000
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_array_equal(heights, result.accuracies)
