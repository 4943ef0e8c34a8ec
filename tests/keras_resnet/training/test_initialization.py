"""Standard deviations of the initialisations against the formulae of the papers."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.training.initialization import initialize_kernels


def network(**options):
    return keras_resnet.CifarResNet20(stage_blocks=(1, 1), width=48, **options)


MODEL = network()

# He et al. 2015: sqrt(2 / n), n = k * k * channels (in, or out); Glorot and Bengio 2010:
# sqrt(2 / (in + out)).
FORMULAE = {
    "he_fan_in": lambda area, before, after: (2 / (area * before)) ** 0.5,
    "he_fan_out": lambda area, before, after: (2 / (area * after)) ** 0.5,
    "xavier": lambda area, before, after: (2 / (area * before + area * after)) ** 0.5,
    0.03: lambda area, before, after: 0.03,
}


@pytest.mark.parametrize("kind", FORMULAE)
def test_deviations(kind):
    initialize_kernels(MODEL, kind, seed=3)
    seen = 0
    for variable in MODEL.trainable_variables:
        if variable.name != "kernel":
            continue
        values = np.array(variable, "float64")
        *window, before, after = values.shape
        expected = FORMULAE[kind](np.prod(window), before, after)
        # Five standard errors of mean and deviation of a normal sample.
        error = 5 / values.size**0.5
        assert abs(values.mean()) < error * expected
        assert abs(values.std() / expected - 1) < error
        if values.size > 5000:
            # Not truncated: beyond two deviations lie 4.55 % of a normal distribution.
            beyond = np.mean(np.abs(values) > 2 * expected)
            assert abs(beyond - 0.0455) < 5 * (0.0455 / values.size) ** 0.5
            seen += 1
    assert seen >= 3


def test_against_the_initializers_of_keras():
    initialize_kernels(MODEL, "xavier")
    kernel = next(v for v in MODEL.trainable_variables if v.shape == (3, 3, 48, 96))
    theirs = np.array(keras.initializers.GlorotNormal(seed=1)(kernel.shape))
    # Theirs is cut at two deviations and rescaled to the same deviation.
    assert np.array(kernel).std() == pytest.approx(theirs.std(), rel=0.02)


def test_norms_and_biases_stay():
    model = network()
    others = [v for v in model.variables if v.name != "kernel"]
    for number, variable in enumerate(others):
        variable.assign(np.full(variable.shape, number / 10))
    initialize_kernels(model, "he_fan_in")
    for number, variable in enumerate(others):
        np.testing.assert_array_equal(np.array(variable), np.float32(number / 10))


def test_seed_decides_and_nothing_else():
    draws = []
    for seed in (1, 1, 2):
        model = network()  # with random weights of its own
        initialize_kernels(model, "xavier", seed)
        draws.append([np.array(v) for v in model.trainable_variables if v.name == "kernel"])
    for one, same, other in zip(*draws):
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)
    # Kernels of the same shape are not the same draw.
    shapes = [k.shape for k in draws[0]]
    repeated = [i for i, s in enumerate(shapes) if s == (3, 3, 48, 48)]
    assert len(repeated) >= 2
    assert not np.array_equal(draws[0][repeated[0]], draws[0][repeated[1]])


def test_plain_and_residual_networks_get_the_same_kernels():
    plain = network(shortcut="none")
    residual = network(shortcut="zero_pad")
    for model in (plain, residual):
        initialize_kernels(model, "he_fan_in", seed=5)
    plain, residual = (
        [v for v in model.trainable_variables if v.name == "kernel"] for model in (plain, residual)
    )
    assert len(plain) == 6
    for a, b in zip(plain, residual, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


@pytest.mark.parametrize("kind", ["he", 0, -1.0, True, None])
def test_refusals(kind):
    with pytest.raises(ValueError, match="Received: kind="):
        initialize_kernels(MODEL, kind)
