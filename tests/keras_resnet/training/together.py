"""Starts a program in several processes that train together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def start(script, count, *arguments, **environment):
    """Starts a training script in `count` processes on this machine; a single one alone.

    Args:
        script: name of a file in `scripts`, which is told of the others by arguments, or another
            program, which is by its environment.
        count: int.
        arguments: of the script.
        environment: of all processes.

    Returns:
        List of `subprocess.Popen`.
    """
    common = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        # Most of the time would go into compiling.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        **environment,
    }
    address = f"127.0.0.1:{free_port()}"
    processes = []
    for index in range(count):
        command, own = ["-c", script, *arguments], {}
        if script.endswith(".py"):
            command = [ROOT / "scripts" / script, *arguments]
            if count > 1:
                command += ["--processes", address, "--num-processes", count, "--process-id", index]
        elif count > 1:
            names = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
            values = (address, str(count), str(index))
            own = {f"KERAS_DISTRIBUTION_{n}": value for n, value in zip(names, values)}
        processes.append(
            subprocess.Popen(
                [sys.executable, *map(str, command)],
                env={**common, **own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def outcome(processes, seconds):
    """`(exit code, stdout, stderr)` of each process; those that take too long are killed.

    Raises:
        subprocess.TimeoutExpired: one of them takes longer than `seconds`.
    """
    try:
        texts = [process.communicate(timeout=seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
