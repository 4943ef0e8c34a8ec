import keras
import numpy as np
import pytest

import keras_resnet


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("norm", ["batch", "frozen", {"kind": "group", "groups": 4}])
def test_mixed_precision_trains_with_float32_outputs(policy, norm):
    check_mixed_precision(policy, norm, jit_compile=False)


def test_mixed_precision_trains_under_xla():
    check_mixed_precision("mixed_bfloat16", "batch", jit_compile=True)


def check_mixed_precision(policy, norm, jit_compile):
    model = keras_resnet.ResNet(
        (1,), width=8, classes=5, dtype=policy, norm=norm, zero_init_residual=False
    )
    x = np.random.default_rng(0).standard_normal((4, 24, 24, 3)).astype("float32")
    assert keras.backend.standardize_dtype(model(x).dtype) == "float32"
    assert keras.backend.standardize_dtype(model.get_layer("stem")(x).dtype) == policy[6:]
    optimizer = keras.optimizers.SGD(0.1)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit_compile)
    before = [np.array(w) for w in model.trainable_weights]
    assert np.isfinite(model.train_on_batch(x, np.arange(4)))
    after = [np.array(w) for w in model.trainable_weights]
    assert all(np.all(np.isfinite(w)) for w in after)
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert np.all(np.isfinite(model.predict(x, verbose=0)))
