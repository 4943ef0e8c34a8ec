"""Precision, compilation, several devices, and a line about the machine."""

import contextlib
import json
import os
import platform

import keras

from keras_resnet.training.processes import process_count

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def set_precision(policy):
    """Sets the dtype policy of the layers made from now on.

    Args:
        policy: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.

    Raises:
        ValueError: another policy.

    Example:
    >>> set_precision("float32")
    """
    if policy not in POLICIES:
        raise ValueError(f"`policy` must be one of {POLICIES}. Received: policy={policy!r}")
    keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def precision_kept():
    """Within it, `set_precision` holds; afterwards the policy is what it was before."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


def accelerators():
    """Names of the accelerators the current backend sees.

    Returns:
        List of str such as `"NVIDIA H100"`; empty on a machine with CPUs only.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        devices = [*tf.config.list_physical_devices("GPU"), *tf.config.list_physical_devices("TPU")]
        details = [tf.config.experimental.get_device_details(d) for d in devices]
        return [found.get("device_name", d.device_type) for d, found in zip(devices, details)]
    if backend == "jax":
        import jax

        return [d.device_kind for d in jax.local_devices() if d.platform != "cpu"]
    return [d for d in keras.distribution.list_devices() if not d.startswith("cpu")]


def choose_jit(setting="auto"):
    """What `model.compile(jit_compile=...)` should get.

    XLA is the only way that JAX runs fast, right for TensorFlow on an accelerator, and makes
    training by TensorFlow on a CPU about twice slower.

    Args:
        setting: `"auto"`, or True or False to decide oneself.

    Returns:
        bool.

    Raises:
        ValueError: another setting.

    Example:
    >>> choose_jit(True)
    True
    """
    if isinstance(setting, bool):
        return setting
    if setting != "auto":
        raise ValueError(f"`setting` must be 'auto', True or False. Received: setting={setting!r}")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Keras' jitted step under a strategy of several replicas is slow or fails.
        return bool(accelerators()) and tf.distribute.get_strategy().num_replicas_in_sync == 1
    return True


def set_deterministic():
    """Makes this process compute the same bits from the same numbers, for good.

    TensorFlow adds some gradients in varying order (that of RoIAlign, for one); told not to, a
    training step of a detector takes about 4 % longer on a CPU. TensorFlow then uses no XLA. JAX
    needs nothing on a CPU, and a flag in the environment on a GPU.

    Raises:
        ValueError: JAX on an accelerator without `--xla_gpu_deterministic_ops=true` in `XLA_FLAGS`.

    Example:
    ```python
    set_deterministic()
    ```
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif accelerators() and "xla_gpu_deterministic_ops=true" not in os.environ.get("XLA_FLAGS", ""):
        raise ValueError(
            "To be deterministic on this device, set XLA_FLAGS=--xla_gpu_deterministic_ops=true in "
            f"the environment. Received: XLA_FLAGS={os.environ.get('XLA_FLAGS')!r}"
        )


@contextlib.contextmanager
def data_parallel(devices=1, batch_size=None):
    """Within it, models are built, compiled and trained on several devices of this machine.

    Every device has all weights and an equal share of each batch; loss and gradients are those of
    the whole batch. So a batch size is that of all devices together, and a learning rate that
    suits it on one device suits it on several. TensorFlow does it by `MirroredStrategy`, without
    XLA (`choose_jit`), with one step an execution, and with norm statistics of each device's share
    unless the norm is synchronised; JAX by `keras.distribution.DataParallel`, whose norms see the
    whole batch. After `join_processes` the devices are those of all processes.

    Args:
        devices: int, or `"all"` accelerators (all CPU devices where there are none), in each
            process. With 1 in a single process nothing is changed.
        batch_size: int, images in a batch of all devices together, to check that it can be shared
            out; None for no check.

    Yields:
        int, the number of devices of all processes together.

    Raises:
        ValueError: there are fewer devices, the batch cannot be shared out, or TensorFlow is to
            train in several processes.

    Example:
    ```python
    with data_parallel("all", batch_size=256):
        model = build()
        model.compile(optimizer, loss, jit_compile=choose_jit())
        fit(model, make_batches, steps=1000, folder="runs/a")
    ```
    """
    refuse_several_workers()
    present = _device_names()
    count = len(present) if devices == "all" else devices
    if not isinstance(count, int) or not 1 <= count <= len(present):
        raise ValueError(
            f"`devices` must be 'all' or from 1 to {len(present)}, the devices that "
            f"{keras.backend.backend()} sees ({', '.join(present)}). Received: devices={devices!r}"
        )
    processes = process_count()
    together = count * processes
    if batch_size is not None and batch_size % together:
        where = f" ({count} in each of {processes} processes)" if processes > 1 else ""
        raise ValueError(
            f"A batch must be a multiple of the number of devices, {together}{where}, which get "
            f"equal shares of it. Received: batch_size={batch_size}"
        )
    if together == 1:
        yield 1
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy(present[:count]).scope():
            yield count
    else:
        before = keras.distribution.distribution()
        names = present[:count] if processes == 1 else _of_each_process(count)
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        )
        try:
            yield together
        finally:
            keras.distribution.set_distribution(before)


def refuse_several_workers(strategy=None):
    """Refuses TensorFlow's training in several processes, which Keras 3 does not do right.

    Args:
        strategy: `tf.distribute.Strategy` of a model; None for the current one.

    Raises:
        ValueError: a `MultiWorkerMirroredStrategy`, or a `TF_CONFIG` of several workers.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    strategy = strategy or tf.distribute.get_strategy()
    workers = _workers(os.environ.get("TF_CONFIG"))
    if workers < 2 and not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    raise ValueError(
        "Keras 3 does not train in several TensorFlow processes: under MultiWorkerMirroredStrategy "
        "`fit` fails. Train with KERAS_BACKEND=jax, which takes several machines (--processes, or "
        "the KERAS_DISTRIBUTION_* environment variables), or on the devices of one machine "
        "(train.devices), without TF_CONFIG. Received: "
        f"strategy={type(strategy).__name__}, {workers} workers in TF_CONFIG"
    )


def _workers(text):
    """How many workers a TF_CONFIG names: 0 without one."""
    try:
        cluster = json.loads(text or "{}").get("cluster", {})
        return sum(len(cluster.get(kind, ())) for kind in ("chief", "master", "worker"))
    except (ValueError, AttributeError, TypeError):
        return 0


def _device_names():
    """Devices of this process, accelerators if there are any, as its backend's tools call them."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return [device.name for device in found]
    if backend == "jax":
        import jax

        return [f"{device.platform}:{device.id}" for device in jax.local_devices()]
    return [backend]


def _of_each_process(count):
    """Names of the first devices of each process, in the order of the shares of a batch."""
    import jax

    owned = {}
    for device in sorted(jax.devices(), key=lambda d: (d.process_index, d.id)):
        owned.setdefault(device.process_index, []).append(f"{device.platform}:{device.id}")
    fewest = min(map(len, owned.values()))
    if fewest < count:
        raise ValueError(
            f"Each process needs {count} devices, and one has {fewest}; lower `devices`. "
            f"Received: devices={count}"
        )
    return [name for names in owned.values() for name in names[:count]]


def describe_hardware():
    """One line on backend, devices and precision, for the head of a log.

    Returns:
        str such as `"tensorflow 2.21.0, keras 3.15.1, CPU x86_64 with 2 cores, float32"`.
    """
    backend = keras.backend.backend()
    version = __import__(backend).__version__
    found = accelerators()
    if found:
        names = dict.fromkeys(found)
        devices = ", ".join(f"{found.count(name)} x {name}" for name in names)
    else:
        # Cores this process may use, which containers make fewer than the machine's.
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count()
        devices = f"CPU {platform.machine()} with {cores} cores"
    if process_count() > 1:
        devices += f" in each of {process_count()} processes"
    policy = keras.config.dtype_policy().name
    return f"{backend} {version}, keras {keras.__version__}, {devices}, {policy}"
