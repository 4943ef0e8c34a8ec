import keras
import numpy as np
import pytest

from keras_resnet.analysis import gradient_norms
from tests.keras_resnet.analysis.helpers import images, small_net, weights_of

L = keras.layers


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax_regression_by_hand(activation, one_hot):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation=activation, name="dense")])
    x, y = images(6, 4), np.array([0, 1, 2, 0, 1, 1])
    target = np.eye(3)[y]
    result = gradient_norms(model, x, target if one_hot else y)
    logits = x @ np.array(model.layers[0].kernel)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert result.names == ("dense",)
    assert result.loss == pytest.approx(-np.log(p[np.arange(6), y]).mean(), rel=1e-4)
    kernel = x.T @ (p - target) / 6
    np.testing.assert_allclose(result.kernels, [np.linalg.norm(kernel)], rtol=1e-4)
    if activation is None:  # then what the layer returns are the logits
        np.testing.assert_allclose(result.outputs, [np.linalg.norm((p - target) / 6)], rtol=1e-4)


def test_kernels_equal_a_step_of_keras():
    model = small_net((1, 1))
    x, y = images(8, 8, 8, 3), np.arange(8) % 5
    before = weights_of(model)
    result = gradient_norms(model, x, y)
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)
    kernels = {w.path: np.array(w) for w in model.trainable_weights if w.path.endswith("kernel")}
    model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    loss = model.train_on_batch(x, y)
    assert result.loss == pytest.approx(float(np.mean(loss)), rel=1e-4)
    steps = {
        w.path: np.linalg.norm(kernels[w.path] - np.array(w))
        for w in model.weights
        if w.path in kernels
    }
    assert len(steps) == len(result.names) == 6
    for name, norm in zip(result.names, result.kernels):
        step = next(step for path, step in steps.items() if path.endswith(f"{name}/kernel"))
        assert norm == pytest.approx(step, rel=2e-3, abs=1e-6)


def test_a_layer_used_twice():
    shared = L.Dense(2, use_bias=False, name="shared")
    model = keras.Sequential([keras.Input((2,)), shared, shared])
    shared.kernel.assign([[2.0, 0.0], [0.0, 2.0]])
    x = np.array([[3.0, 0.0]], "float32")
    result = gradient_norms(model, x, np.zeros((1, 2)), loss=lambda y, p: keras.ops.sum(p[:, 0]))
    # p = k k x: by the outputs 1 and k, by the kernel x k (twice the same place).
    assert result.names == ("shared",)
    assert result.outputs[0] == pytest.approx(np.hypot(1, 2))
    assert result.kernels[0] == pytest.approx(2 * 3 * 2)
    assert result.loss == pytest.approx(12)


def test_norms_keep_the_gradients_of_deep_plain_nets_healthy():
    x, y = images(16, 8, 8, 3), np.arange(16) % 5

    plain = gradient_norms(small_net((13, 13), shortcut="none"), x, y)
    assert len(plain.names) == 54
    hidden = plain.outputs[:-1]  # without the classifier
    # Nothing vanishes on its way back: no layer gets less than the last one.
    assert hidden.min() > 0.5 * hidden[-1]

    vanishing = keras.Sequential([keras.Input((8, 8, 3))])
    for _ in range(30):
        vanishing.add(
            L.Conv2D(
                8,
                3,
                padding="same",
                activation="tanh",
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
            )
        )
    vanishing.add(L.GlobalAveragePooling2D())
    vanishing.add(L.Dense(5))
    outputs = gradient_norms(vanishing, x, y).outputs[:-1]
    assert outputs[0] < 1e-6 * outputs[-1]


def test_mixed_precision():
    result = gradient_norms(
        small_net((1,), dtype="mixed_bfloat16"), images(4, 8, 8, 3), np.arange(4)
    )
    reference = gradient_norms(small_net((1,)), images(4, 8, 8, 3), np.arange(4))
    np.testing.assert_allclose(result.outputs, reference.outputs, rtol=0.15)


def test_a_named_loss_and_the_picture(tmp_path):
    model = keras.Sequential(
        [keras.Input((2,)), L.Dense(1), L.Dense(1, kernel_initializer="zeros")]
    )
    x = images(4, 2)
    y = np.ones((4, 1), "float32")
    result = gradient_norms(model, x, y, loss="mean_squared_error")
    assert result.loss == pytest.approx(1.0)  # all outputs are zero
    assert result.kernels[0] == 0.0
    figure = result.draw(tmp_path / "norms.png")
    assert (tmp_path / "norms.png").stat().st_size > 5000
    assert "1 layers with a zero gradient" in figure.axes[1].get_xlabel()
