import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.analysis import count, prune_blocks
from tests.keras_resnet.analysis.helpers import images, small_net, weights_of


def silence(block, factor=0.0):
    """Multiply what the branch of a block returns."""
    conv, norm = block.units[-1]
    for weight in conv.weights if norm is None else norm.weights[:2]:
        weight.assign(np.array(weight) * factor)


@pytest.mark.parametrize("block", ["basic", "bottleneck", "preact_basic", "preact_bottleneck"])
def test_blocks_with_zero_branches_go_and_outputs_stay_equal(block, tmp_path):
    model = small_net((3, 2), block)
    for layer in model.layers:
        if layer.name.startswith("stage"):
            silence(layer)
    before = weights_of(model)
    result = prune_blocks(model, 0.0)
    # Blocks that change the shape stay: in a bottleneck network also the first.
    expected = ["stage2_block2", "stage2_block3", "stage3_block2"]
    if not block.endswith("bottleneck"):
        expected = ["stage2_block1", *expected]
    assert list(result.removed) == list(result.names) == expected
    np.testing.assert_array_equal(result.changes, 0.0)
    assert result.output_change == 0.0

    x = images(3, 20, 17, 3, seed=1)
    outputs = np.array(model(x))
    np.testing.assert_array_equal(np.array(result.model(x)), outputs)
    result.model.save(tmp_path / "pruned.keras")
    again = keras.saving.load_model(tmp_path / "pruned.keras")
    np.testing.assert_array_equal(np.array(again(x)), outputs)
    assert not [layer.name for layer in again.layers if layer.name in expected]

    costs = {part.name: part.macs for part in count(model, (64, 64, 3)).parts}
    assert result.macs[0] == sum(costs.values())
    assert result.macs[1] == sum(costs.values()) - sum(costs[name] for name in expected)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_every_block_has_a_bar_in_the_picture(tmp_path):
    model = small_net((3, 2))
    silence(model.get_layer("stage2_block2"))
    result = prune_blocks(model)
    assert 0.0 in result.changes
    figure = result.draw(tmp_path / "pruned.png")
    (axis,) = figure.axes
    bottom, top = axis.get_ylim()
    heights = [bar.get_height() for bar in axis.patches]
    assert len(heights) == len(result.names)
    assert all(1.5 * bottom < height < top for height in heights)
    figure.canvas.draw()
    title = axis.title.get_window_extent()
    assert title.x0 >= 0 and title.x1 <= figure.bbox.x1


def test_zero_branches_make_the_network_the_identity():
    # All shortcuts are identities, and what comes in is not negative.
    model = keras.Sequential([keras.Input((8, 8, 8))])
    for i in range(3):
        model.add(keras_resnet.BasicBlock(8, name=f"block{i}"))
    model.add(keras.layers.GlobalMaxPooling2D())
    x = np.abs(images(2, 8, 8, 8))
    np.testing.assert_array_equal(np.array(model(x)), x.max(axis=(1, 2)))
    assert prune_blocks(model, images=x).removed == ("block0", "block1", "block2")
    # For noise the ReLU at the end of the first block is no identity; those after it are.
    assert prune_blocks(model).removed == ("block1", "block2")


def test_small_branches_go_within_the_tolerance():
    model = small_net((3, 3))
    silence(model.get_layer("stage2_block2"), 1e-7)
    silence(model.get_layer("stage3_block3"), 1e-3)
    x = images(6, 16, 16, 3)
    result = prune_blocks(model, 1e-5, x, batch_size=4)
    assert result.removed == ("stage2_block2",)
    expected, actual = np.array(model(x)), np.array(result.model(x))
    change = np.abs(actual - expected).max() / np.abs(expected).max()
    assert change <= 1e-5
    assert result.output_change == pytest.approx(change, abs=1e-6)
    changes = dict(zip(result.names, result.changes))
    inputs = keras.Model(model.input, model.get_layer("stage3_block2").output)(x)
    outputs = keras.Model(model.input, model.get_layer("stage3_block3").output)(x)
    measured = np.abs(np.array(outputs) - np.array(inputs)).max() / np.array(outputs).max()
    assert changes["stage3_block3"] == pytest.approx(measured, rel=1e-3)
    assert prune_blocks(model, 1e-2, x).removed == ("stage2_block2", "stage3_block3")


def test_blocks_are_put_back_until_the_outputs_agree():
    # Each change is within the tolerance; what follows enlarges it a thousandfold.
    inputs = keras.Input((4, 4, 8))
    x = keras_resnet.BasicBlock(8, name="small")(inputs)
    x = keras_resnet.BasicBlock(8, name="zero")(x)
    low = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Rescaling(1000.0, offset=-1000.0)(low)
    model = keras.Model(inputs, outputs)
    model.get_layer("small").norm2.beta.assign(np.full(8, 1e-3))
    ones = np.ones((2, 4, 4, 8), "float32")
    result = prune_blocks(model, 0.01, ones)
    assert dict(zip(result.names, result.changes))["small"] == pytest.approx(1e-3, rel=0.01)
    assert result.removed == ("zero",)
    assert result.output_change == 0.0


@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_nested_models(kind, tmp_path):
    backbone = small_net((2, 1), include_top=False, input_shape=(16, 16, 3))
    silence(backbone.get_layer("stage2_block2"))
    tail = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    if kind == "sequential":
        model = keras.Sequential([keras.Input((16, 16, 3)), backbone, *tail])
    else:
        inputs = x = keras.Input((16, 16, 3))
        for layer in (keras.layers.Rescaling(2.0), backbone, *tail):
            x = layer(x)
        model = keras.Model(inputs, x)
    result = prune_blocks(model)
    assert result.removed == ("resnet/stage2_block2",)
    x = images(2, 16, 16, 3)
    result.model.save(tmp_path / "pruned.keras")
    again = keras.saving.load_model(tmp_path / "pruned.keras")
    for pruned in (result.model, again):
        np.testing.assert_array_equal(np.array(pruned(x)), np.array(model(x)))
    assert result.model.count_params() < model.count_params()


def test_what_is_frozen_stays_frozen_and_features_keep_their_names():
    model = keras_resnet.freeze(small_net((2, 2)), up_to="C2")
    silence(model.get_layer("stage3_block2"))
    pruned = prune_blocks(model).model
    assert not pruned.get_layer("stage2_block2").trainable
    frozen = {w.path for w in model.weights if not w.trainable}
    assert {w.path for w in pruned.weights if not w.trainable} == {
        path for path in frozen if "stage3_block2" not in path
    }
    x = images(1, 16, 16, 3)
    ours = keras_resnet.feature_extractor(pruned, ("C2", "C3"))(x)
    theirs = keras_resnet.feature_extractor(model, ("C2", "C3"))(x)
    for name, feature in theirs.items():
        np.testing.assert_array_equal(np.array(ours[name]), np.array(feature))


def test_a_pruned_network_trains():
    model = small_net((2, 1))
    silence(model.get_layer("stage2_block1"))
    pruned = prune_blocks(model).model
    pruned.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    x, y = images(8, 8, 8, 3), np.arange(8) % 5
    losses = [float(np.mean(pruned.train_on_batch(x, y))) for _ in range(5)]
    assert losses[-1] < losses[0]


def test_nothing_to_remove():
    model = small_net((2,))
    result = prune_blocks(model)
    assert result.removed == ()
    assert result.macs[0] == result.macs[1]
    x = images(2, 8, 8, 3)
    np.testing.assert_array_equal(np.array(result.model(x)), np.array(model(x)))
    with pytest.raises(ValueError, match="Received: tolerance=-1"):
        prune_blocks(model, -1)


def test_picture(tmp_path):
    model = small_net((2, 1))
    silence(model.get_layer("stage2_block1"))
    figure = prune_blocks(model).draw(tmp_path / "pruning.png")
    assert (tmp_path / "pruning.png").stat().st_size > 5000
    assert figure.axes[0].get_title().startswith("1 of 2 blocks removed")
