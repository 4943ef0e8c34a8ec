"""Several processes, on one machine or on several, that train one model together (JAX).

All of them run the same program on the same configuration. Each reads its share of every batch;
the gradients, and so the weights, are those of the whole batch. Process 0 alone writes files.
"""

import contextlib
import json
import os
import re

import keras
import numpy as np

# What Keras reads, too: address of process 0, number of processes, number of this one.
ADDRESS = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
COUNT = "KERAS_DISTRIBUTION_NUM_PROCESSES"
INDEX = "KERAS_DISTRIBUTION_PROCESS_ID"

HEARTBEAT_SECONDS = 30
_SMALLEST_MESSAGE = 2**10  # Messages are filled up to few lengths, each of which is compiled.


class ProcessLost(RuntimeError):
    """Another process of the run ended, or cannot be reached."""


def join_processes(address=None, count=None, index=None, heartbeat_seconds=HEARTBEAT_SECONDS):
    """Makes this process one of several that train together; nothing where that is not asked for.

    To be called before anything is computed, in all processes: it waits for the others. What is
    None comes from the environment: `KERAS_DISTRIBUTION_JOB_ADDRESSES`,
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`. In contrast to
    `keras.distribution.initialize`, a process that dies is noticed after `heartbeat_seconds`,
    and the seed is left alone: set the same one in all processes.

    Args:
        address: str `"host:port"` that process 0 has and all can reach, such as
            `"10.0.0.1:9876"`; or one for each process, separated by commas.
        count: int, number of processes.
        index: int, number of this process, from 0.
        heartbeat_seconds: int, for how long a process may be silent before the others end.

    Returns:
        bool, whether there are several processes now.

    Raises:
        ValueError: only a part of the three is given, or the backend is not JAX.
        ProcessLost: the others did not come within five minutes.

    Example:
    ```python
    join_processes("10.0.0.1:9876", count=2, index=0)    # and index=1 on the other machine
    train_classifier(config)
    ```
    """
    given = {
        ADDRESS: os.environ.get(ADDRESS) if address is None else address,
        COUNT: _number(COUNT, count),
        INDEX: _number(INDEX, index),
    }
    missing = [name for name, value in given.items() if value in (None, "")]
    if len(missing) == 3 or (given[COUNT] == 1 and not given[INDEX]):
        return False
    if missing:
        raise ValueError(
            "Several processes need the address of process 0, their number and the number of this "
            f"one. Missing: {', '.join(missing)}. Received: {given}"
        )
    if keras.backend.backend() != "jax":
        raise ValueError(
            "Several processes train together with KERAS_BACKEND=jax only. "
            f"Received: backend={keras.backend.backend()}, {given}"
        )
    addresses = given[ADDRESS].split(",")
    if len(addresses) not in (1, given[COUNT]) or not 0 <= given[INDEX] < given[COUNT]:
        raise ValueError(
            "There must be one address, or one for each process, and processes are numbered from "
            f"0. Received: {given}"
        )
    import jax

    try:
        jax.distributed.initialize(
            addresses[0], given[COUNT], given[INDEX], heartbeat_timeout_seconds=heartbeat_seconds
        )
    except jax.errors.JaxRuntimeError as error:
        raise ProcessLost(
            f"Process {given[INDEX]} of {given[COUNT]} did not meet the others at {addresses[0]}. "
            f"Start all of them, with the same address. {_first_line(error)}"
        ) from error
    return True


def process_count():
    """How many processes train together: int, 1 for one alone."""
    if keras.backend.backend() != "jax":
        return 1
    import jax

    return jax.process_count() if jax.distributed.is_initialized() else 1


def process_index():
    """The number of this process among those that train together: int from 0."""
    if process_count() == 1:
        return 0
    import jax

    return jax.process_index()


def is_main():
    """Whether this is process 0, which writes the files: bool."""
    return process_index() == 0


def batch_share():
    """This process' share of a batch: `(index, count)`, to be given to `make_batches`."""
    return process_index(), process_count()


def highest(number):
    """The highest of the processes' numbers, for all of them. To be called in all of them.

    Args:
        number: int.

    Returns:
        int.
    """
    if process_count() == 1:
        return number
    from jax.experimental.multihost_utils import process_allgather

    return int(process_allgather(np.array(number, "int32")).max())


def gather(value):
    """What each process has, for all of them. To be called in all of them.

    Args:
        value: what JSON can hold.

    Returns:
        List of values in the order of the processes.
    """
    if process_count() == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    data = np.frombuffer(json.dumps(value).encode(), "uint8")
    lengths = process_allgather(np.array(len(data), "int32"))
    padded = np.zeros(max(_SMALLEST_MESSAGE, 2 ** int(lengths.max() - 1).bit_length()), "uint8")
    padded[: len(data)] = data
    rows = process_allgather(padded)
    return [json.loads(bytes(row[:length])) for row, length in zip(rows, lengths)]


def from_main(make):
    """What a function returns in process 0, for all processes. To be called in all of them.

    Args:
        make: callable without arguments that returns what JSON can hold; called in process 0 only.

    Returns:
        What it returned.

    Raises:
        Exception: what it raised; in the other processes a `ValueError` with the same message.
    """
    failed, result = None, {"value": None}
    if is_main():
        try:
            result = {"value": make()}
        except Exception as error:
            failed, result = error, {"error": str(error) or type(error).__name__}
    result = gather(result)[0]
    if failed is not None:
        raise failed
    if "error" in result:
        raise ValueError(result["error"])
    return result["value"]


@contextlib.contextmanager
def on_own_device(model):
    """Within it, a model predicts in this process alone, with the weights of the moment.

    Otherwise the weights lie on the devices of all processes, and what is computed with them is
    computed by all. Nothing changes where there is one process.

    Args:
        model: built `keras.Model`.

    Example:
    ```python
    with on_own_device(model):
        scores = model.predict_on_batch(images_of_this_process)
    ```
    """
    if process_count() == 1:
        yield
        return
    import jax

    variables = model.variables
    kept = [(v._value, v._layout) for v in variables]
    before, function = keras.distribution.distribution(), model.predict_function
    keras.distribution.set_distribution(None)
    # Compiled once for such weights, and kept for the next time.
    model.predict_function = getattr(model, "_own_predict_function", None)
    (device, *_) = jax.local_devices()
    try:
        for variable, (value, _) in zip(variables, kept):
            # An assignment would spread the value again.
            variable._value, variable._layout = jax.device_put(np.asarray(value), device), None
        yield
    finally:
        for variable, (value, layout) in zip(variables, kept):
            variable._value, variable._layout = value, layout
        model._own_predict_function, model.predict_function = model.predict_function, function
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def lost_processes():
    """Within it, failing to reach another process is a `ProcessLost`.

    Raises:
        ProcessLost: with what to do.
    """
    if process_count() == 1:
        yield
        return
    import jax

    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        text = str(error)
        if "RESOURCE_EXHAUSTED" in text:  # of this process' own memory
            raise
        # What breaks while a computation is sent off comes as a ValueError.
        if isinstance(error, ValueError) and not re.search("gloo|connection", text, re.IGNORECASE):
            raise
        raise ProcessLost(
            f"Process {process_index()} of {process_count()} cannot reach the others; one of them "
            "has ended, see its output. Start all of them again with --resume (run.resume=true). "
            f"{_first_line(error)}"
        ) from error


def _number(name, value):
    text = os.environ.get(name) if value is None else value
    if text in (None, ""):
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} must be a whole number. Received: {text!r}") from None


def _first_line(error):
    return str(error).partition("\n")[0][:300]
