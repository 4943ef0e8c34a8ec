"""Files of the CIFAR python version, which are pickles."""

import pickle

from keras_resnet.data.cifar import _read_names, _read_python
from tests.keras_resnet.data.bad_data import CIFAR
from tests.keras_resnet.data.test_cifar import batch, python_files

SEEDS = [pickle.dumps(batch([0]), protocol) for protocol in range(5)]
SEEDS += [python_files()["batches.meta"]]
SEEDS += [content for content in (case.content() for case in CIFAR) if len(content) < 5000]


class _Files:
    def __init__(self, content):
        self._content = content

    def read(self, name):
        return self._content


def one_input(data):
    """Reads a file; raises whatever is not the documented error."""
    for read, key in ((_read_python, b"labels"), (_read_names, b"label_names")):
        try:
            read(_Files(data), "file", key)
        except ValueError as error:
            assert str(error).startswith("file ")
