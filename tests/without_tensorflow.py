"""A pytest plugin (`-p tests.without_tensorflow`): TensorFlow cannot be imported."""

import sys

for _name in ("tensorflow", "tensorflow_datasets", "keras_cv"):
    sys.modules[_name] = None
