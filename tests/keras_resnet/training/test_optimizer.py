"""SGD and AdamW against torch.optim (numbers computed once with PyTorch 2.13) and NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_resnet
from keras_resnet.training.optimizer import SGD, AdamW, build_optimizer, is_kernel

# Weight after step s of torch.optim.SGD(lr=0.1, momentum=0.9, weight_decay=0.05) from 5.0 on
# the loss 0.05 * (w - 3) ** 2; the rate drops to 0.01 at step 100.
TORCH_PLAIN = {
    0: 4.955,
    1: 4.870175,
    9: 3.369255806211548,
    50: 2.1478878559945467,
    99: 2.0008881997215604,
    100: 2.001062479996916,
    101: 2.001217738524741,
    110: 2.0019930429031247,
    199: 2.0006184368031024,
}
TORCH_NESTEROV = {
    0: 4.9145,
    1: 4.7949867500000005,
    9: 3.2351664472608417,
    50: 2.0849768596221794,
    99: 1.9982582401807951,
    100: 1.9983473908268798,
    101: 1.9984299849687437,
    110: 1.9989540427569188,
    199: 1.9998512436728784,
}


def run_scalar(optimizer, steps=200, drop_at=100):
    w = keras.Variable(5.0, name="kernel")
    optimizer.build([w])
    history = []
    for step in range(steps):
        if step == drop_at:
            optimizer.learning_rate = 0.01
        optimizer.apply([0.1 * (ops.convert_to_tensor(w) - 3.0)], [w])
        history.append(float(ops.convert_to_numpy(w)))
    return history


@pytest.mark.parametrize("nesterov, expected", [(False, TORCH_PLAIN), (True, TORCH_NESTEROV)])
def test_scalar_follows_torch_through_a_change_of_the_learning_rate(nesterov, expected):
    history = run_scalar(SGD(0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.05))
    for step, value in expected.items():
        assert history[step] == pytest.approx(value, abs=2e-6), step


def test_keras_own_sgd_does_not_follow_torch():
    """The reason this class exists: the same arguments give another path in Keras."""
    history = run_scalar(keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.05))
    assert abs(history[99] - TORCH_PLAIN[99]) > 0.5


# torch: x(5,3) -> tanh(4) -> 2, mean squared error, SGD lr 0.1 (0.01 from step 120), momentum
# 0.9, weight_decay 0.02 on the kernels or on all, gradients clipped to norm 0.5, 200 steps.
TORCH_NET = {
    "kernels": [
        [-0.24210427223462133, 0.22016267727973962, 0.21695926948415806, -0.12103688926638223],
        [0.22186456515862446, -0.03325353619946926, 0.012627551481254726, 0.27663136563097873],
        [0.265900948967046, 0.25199611515282877],
        [0.1698119956040802, -0.015537321495183602],
    ],
    "all": [
        [-0.2391700817691029, 0.21483983920217006, 0.20776555257192883, -0.13103396503971018],
        [0.06846384954249532, -0.036428610446719106, -0.0452116144204126, 0.05638786505805797],
        [0.2700289740729805, 0.25761397201286645],
        [0.2119422389613851, 0.019703246813500018],
    ],
}
X = np.sin(0.7 * np.arange(15)).reshape(5, 3).astype("float32")
Y = np.cos(0.3 * np.arange(10)).reshape(5, 2).astype("float32")


def small_net():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "tanh")])
    model.add(keras.layers.Dense(2))
    w1, b1 = np.sin(np.arange(12.0)).reshape(3, 4), np.full(4, 0.1)
    w2, b2 = np.cos(np.arange(8.0)).reshape(4, 2), np.full(2, -0.1)
    model.set_weights([w1, b1, w2, b2])
    return model


@pytest.mark.parametrize("decay", ["kernels", "all"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_net_follows_torch(decay, jit_compile):
    model = small_net()
    optimizer = SGD(0.1, momentum=0.9, weight_decay=0.02, decay=decay, global_clipnorm=0.5)
    model.compile(optimizer=optimizer, loss="mse", jit_compile=jit_compile)
    for step in range(200):
        if step == 120:
            model.optimizer.learning_rate = 0.01
        model.train_on_batch(X, Y)
    w1, b1, w2, b2 = model.get_weights()
    for ours, theirs in zip((w1[0], b1, w2[0], b2), TORCH_NET[decay]):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_what_torchvision_decays_with_a_norm_decay_of_zero():
    """Its modules of norms do not decay; of ResNet-50, all else is kernels and one bias."""
    variables = keras_resnet.ResNet50(weights=None).trainable_variables
    optimizer = SGD(0.1, weight_decay=0.5, decay="no_norms")
    optimizer.build(variables)
    decays = [v for v in variables if optimizer._use_weight_decay(v)]
    assert len(variables) == 53 * 3 + 2  # convolutions with their norms, the classifier
    assert len(decays) == 53 + 2
    assert [v.shape for v in decays if v.ndim == 1] == [(1000,)]


def naive_sgd(w, gradients, lr, momentum, decay, clip):
    buffer = np.zeros_like(w)
    for g in gradients:
        norm = np.sqrt((g**2).sum())
        g = g * min(1.0, clip / norm) + decay * w
        buffer = momentum * buffer + g
        w = w - lr * buffer
    return w


def test_decay_enters_after_clipping_and_after_accumulation():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(12, 6)).astype("float32")
    start = rng.normal(size=6).astype("float32")
    w = keras.Variable(start, name="kernel")
    optimizer = SGD(
        0.1, momentum=0.9, weight_decay=0.3, clipnorm=0.7, gradient_accumulation_steps=3
    )
    optimizer.build([w])
    for g in gradients:
        optimizer.apply([ops.convert_to_tensor(g)], [w])
    averaged = gradients.reshape(4, 3, 6).mean(1)
    expected = naive_sgd(start, averaged, 0.1, 0.9, 0.3, 0.7)
    np.testing.assert_allclose(ops.convert_to_numpy(w), expected, rtol=1e-5)


def conv_net():
    inputs = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(4, 3, name="gamma_kernel_bias")(inputs)
    x = keras.layers.BatchNormalization(name="kernel")(x)
    x = keras.layers.GroupNormalization(2)(x)
    x = keras.layers.SeparableConv2D(4, 3)(x)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("decay", ["kernels", "no_norms", "all"])
def test_only_the_chosen_variables_shrink(kind, decay):
    """With zero gradients a step changes a variable by its decay only, layer names or not."""
    model = conv_net()
    for v in model.trainable_variables:
        v.assign(np.ones(v.shape))
    optimizer = build_optimizer(kind, 0.1, weight_decay=0.5, decay=decay)
    optimizer.build(model.trainable_variables)
    optimizer.apply([ops.zeros(v.shape) for v in model.trainable_variables])
    for v in model.trainable_variables:
        # In this net, what has one dimension is of a norm, or else a bias.
        bias = v.ndim == 1 and v.path.split("/")[-1] == "bias"
        shrinks = decay == "all" or v.ndim >= 2 or (decay == "no_norms" and bias)
        expected = 0.95 if shrinks else 1.0
        np.testing.assert_allclose(ops.convert_to_numpy(v), expected, rtol=1e-6, err_msg=v.path)


def test_is_kernel_agrees_with_the_rank_of_every_variable_of_a_real_net():
    model = keras.applications.MobileNetV2(input_shape=(32, 32, 3), weights=None, classes=5)
    for v in model.trainable_variables:
        assert is_kernel(v) == (len(v.shape) >= 2), v.path


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_reloaded_model_continues_on_the_same_path(tmp_path, kind):
    def fit(model, steps):
        for _ in range(steps):
            model.train_on_batch(X, Y)

    options = {"momentum": 0.9} if kind == "sgd" else {}
    model = small_net()
    model.compile(build_optimizer(kind, 0.05, weight_decay=0.1, decay="all", **options), "mse")
    fit(model, 3)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert type(again.optimizer) is type(model.optimizer)
    assert again.optimizer.decay == "all"
    fit(model, 5)
    fit(again, 5)
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)


def apply(optimizer, gradient, variable):
    """One update; JAX cannot run the loss scaling's condition on variables in place."""
    gradients = [ops.convert_to_tensor(gradient)]
    if keras.backend.backend() != "jax":
        return optimizer.apply(gradients)
    state = [v.value for v in optimizer.variables]
    weights, state = optimizer.stateless_apply(state, gradients, [variable.value])
    variable.assign(weights[0])
    for v, value in zip(optimizer.variables, state):
        v.assign(value)


def test_float16_loss_scaling_skips_overflow_and_saves():
    w = keras.Variable(np.ones(3, "float32"), name="kernel")
    optimizer = keras.mixed_precision.LossScaleOptimizer(
        SGD(0.1, momentum=0.9, weight_decay=0.5), initial_scale=4.0
    )
    optimizer.build([w])
    apply(optimizer, np.full(3, np.inf, "float32"), w)
    np.testing.assert_array_equal(ops.convert_to_numpy(w), 1.0)
    # The overflow halved the scale to 2, so this scaled gradient stands for 1.
    apply(optimizer, np.full(3, 2.0, "float32"), w)
    np.testing.assert_allclose(ops.convert_to_numpy(w), 1 - 0.1 * (1 + 0.5), rtol=1e-6)
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert restored.inner_optimizer.decay == "kernels"
    assert restored.inner_optimizer.weight_decay == 0.5


def test_mixed_float16_trains_as_float32_does():
    losses = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        try:
            model = small_net()
        finally:
            keras.config.set_dtype_policy("float32")
        model.compile(SGD(0.05, weight_decay=0.02, global_clipnorm=1.0), "mse")
        losses[policy] = model.fit(X, Y, epochs=30, batch_size=5, verbose=0).history["loss"]
    assert isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert losses["float32"][-1] < losses["float32"][0]
    # Half precision keeps 11 bits: 5e-4 a rounding.
    np.testing.assert_allclose(losses["mixed_float16"], losses["float32"], rtol=5e-3)


def test_moving_average_of_the_weights():
    w = keras.Variable(2.0, name="kernel")
    optimizer = SGD(0.5, momentum=0.0, weight_decay=0.2, use_ema=True, ema_momentum=0.75)
    optimizer.build([w])
    naive, average = 2.0, None
    for gradient in (1.0, -2.0, 0.5, 3.0):
        optimizer.apply([ops.convert_to_tensor(gradient)])
        naive -= 0.5 * (gradient + 0.2 * naive)
        average = naive if average is None else 0.75 * average + 0.25 * naive
    assert float(ops.convert_to_numpy(w)) == pytest.approx(naive, abs=1e-6)
    optimizer.finalize_variable_values([w])
    assert float(ops.convert_to_numpy(w)) == pytest.approx(average, abs=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match=r"Received: decay='most'"):
        SGD(0.1, decay="most")
    with pytest.raises(ValueError, match="not saved with the optimizer"):
        AdamW(0.1).exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match=r"Received: kind='adam'"):
        build_optimizer("adam", 0.1)
    with pytest.raises(ValueError, match=r"Received: weight_decay=-1"):
        build_optimizer("sgd", 0.1, weight_decay=-1)
