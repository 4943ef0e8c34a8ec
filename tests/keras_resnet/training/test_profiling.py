"""A profile of a few steps: on disk, of these steps only, and on both backends."""

import keras
import numpy as np
import pytest

from keras_resnet.training.profiling import WARM_UP, Profile
from tests.keras_resnet.training.test_plateau import small_model


def test_profile_is_written_once(tmp_path, monkeypatch):
    said, running = [], []
    callback = Profile(tmp_path, steps=2, say=said.append)
    start, end = callback._start, callback._end
    monkeypatch.setattr(callback, "_start", lambda: (running.append("start"), start()))
    monkeypatch.setattr(callback, "_end", lambda: (running.append("end"), end()))

    class Steps(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            running.append(batch)

    x = np.ones((10, 2), "float32")
    small_model().fit(x, x[:, :1], batch_size=1, epochs=2, verbose=0, callbacks=[callback, Steps()])
    between = running[running.index("start") + 1 : running.index("end")]
    assert between == [WARM_UP, WARM_UP + 1]
    assert (running.count("start"), running.count("end")) == (1, 1)
    files = [p for p in (tmp_path / "plugins" / "profile").rglob("*") if p.is_file()]
    assert any(p.name.endswith(".xplane.pb") and p.stat().st_size > 1000 for p in files)
    assert str(tmp_path) in said[0]


def test_short_training_still_has_one(tmp_path):
    x = np.ones((7, 2), "float32")
    callback = Profile(tmp_path, steps=100, say=lambda line: None)
    small_model().fit(x, x[:, :1], batch_size=1, verbose=0, callbacks=[callback])
    assert list(tmp_path.rglob("*.xplane.pb"))


def test_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: steps=0"):
        Profile(tmp_path, steps=0)
