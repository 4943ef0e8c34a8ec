"""Precision, compilation and a line about the machine."""

import os
import platform

import keras

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
    policy = keras.config.dtype_policy().name
    return f"{backend} {version}, keras {keras.__version__}, {devices}, {policy}"
