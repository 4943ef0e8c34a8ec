"""Times two sides of a case alternately, each in a process of its own."""

import contextlib
import importlib
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 900


class Unavailable(Exception):
    """A side cannot run on this machine; the text says why."""


class Seconds(float):
    """What a step returns that measured its own time."""


@dataclass(frozen=True)
class Side:
    """What is timed: `module:function` of this package, with its arguments.

    The function prepares everything and returns `(step, facts)`: a callable without arguments
    that does one step and waits for its end (or returns `Seconds`), and a dict that may hold
    `images` (images a step), `flops` (floating-point operations a step) and other figures.
    With `accelerator` it is only for machines that have one, but for its quick form.
    """

    function: str
    options: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    accelerator: bool = False


@dataclass(frozen=True)
class Case:
    """A row of the report.

    Args:
        name: what is measured.
        suite: the group it belongs to.
        ours: `Side`.
        peer: `Side`, or None where a figure of ours stands alone.
        target: float or None.
        compare: `"speedup"`, peer's time over ours, at least the target; `"cost"`, our time over
            the peer's, at most the target; `"share"`, the part of our time that the peer, which
            does the rest, does not need, at most the target; `"seconds"`, our time, at most.
        max_memory: bytes our peak may have at most, or None for no bound but the peer's.
        axis: `(what grows, its value)` of a point of a curve, or None.
    """

    name: str
    suite: str
    ours: Side
    peer: Side | None = None
    target: float | None = None
    compare: str = "speedup"
    max_memory: int | None = None
    axis: tuple | None = None


def measure(case, rounds, seconds, quick=False):
    """Runs both sides alternately.

    Args:
        case: a `Case`.
        rounds: int, how often the sides take turns.
        seconds: float, length of a turn of one side.
        quick: bool, passed on to the sides that have smaller forms of themselves.

    Returns:
        Dict with, for `ours` and `peer`: `median` (seconds a step), `times`, `peak_memory`
        (bytes) and the side's facts; or `unavailable` with a reason.
    """
    sides = {"ours": case.ours, "peer": case.peer}
    workers, found = {}, {}
    try:
        # One after the other: building both at once would be measured as memory and time.
        for name, side in sides.items():
            if side is not None:
                worker = _Worker(side, quick)
                workers[name] = worker
                found[name] = worker.wait()
        alive = {n: w for n, w in workers.items() if "unavailable" not in found[n]}
        times = {name: [] for name in alive}
        for _ in range(rounds):
            for name, worker in list(alive.items()):
                turn = worker.turn(seconds)
                if isinstance(turn, dict):  # says why there is none
                    found[name] = turn
                    del alive[name]
                else:
                    times[name].extend(turn)
        for name, worker in alive.items():
            found[name].update(worker.finish())
            found[name]["times"] = times[name]
            found[name]["median"] = statistics.median(times[name])
    finally:
        for worker in workers.values():
            worker.kill()
    return found


class _Worker:
    """A process that holds one side."""

    def __init__(self, side, quick):
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self.ended = False
        self._process = context.Process(target=_work, args=(end, side, quick), daemon=True)
        with _environment(side.environment):
            self._process.start()
        end.close()

    def wait(self):
        return self._receive(START_SECONDS)

    def turn(self, seconds):
        return self._ask(seconds, 60 + 20 * seconds)

    def finish(self):
        self.ended = True
        return self._ask(None, 60)

    def kill(self):
        if self.ended:
            self._process.join(60)  # it may have temporary files to remove
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _ask(self, question, seconds):
        # A process that died closes the pipe; `_receive` says so.
        with contextlib.suppress(OSError):
            self._pipe.send(question)
        return self._receive(seconds)

    def _receive(self, seconds):
        if not self._pipe.poll(seconds):
            return {"unavailable": f"no answer within {seconds:.0f} s"}
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            return {"unavailable": "its process died"}


def _work(pipe, side, quick):
    # The backends' C++ code logs there at the start; errors go through the pipe.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        step, facts = prepare(side, quick)
        for _ in range(1 if quick else 2):  # compiles, and fills caches
            step()
        pipe.send(dict(facts))
        while (seconds := pipe.recv()) is not None:
            pipe.send(_turn(step, seconds))
        pipe.send({"peak_memory": _peak_memory()})
    except (Unavailable, ImportError) as error:
        pipe.send({"unavailable": str(error)})
    except Exception:
        pipe.send({"unavailable": traceback.format_exc(limit=-3)})


def prepare(side, quick=False):
    """`(step, facts)` of a `Side`, in this process."""
    if side.accelerator and not quick and not _has_accelerator():
        raise Unavailable("there is no accelerator")
    module, _, function = side.function.partition(":")
    make = getattr(importlib.import_module(f"_benchmark.{module}"), function)
    return make(quick=quick, **side.options)


def _has_accelerator():
    found = shutil.which("nvidia-smi") or shutil.which("rocm-smi")
    return bool(found) or any(Path("/dev").glob("accel*"))


def _turn(step, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        result = step()
        elapsed = time.perf_counter() - start
        times.append(float(result) if isinstance(result, Seconds) else elapsed)
    return times


def elsewhere(function, **options):
    """Runs `module:function` of this package in a process that ends, so that it costs no memory.

    Args:
        function: str.
        options: its arguments, plain values.
    """
    here = str(Path(__file__).parents[1])
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    found = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, function, json.dumps(options)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    if found.returncode:
        raise RuntimeError(f"{function} failed: {found.stderr[-2000:]}")


_ELSEWHERE = """
import importlib, json, sys
module, _, function = sys.argv[1].partition(":")
getattr(importlib.import_module("_benchmark." + module), function)(**json.loads(sys.argv[2]))
"""


def _peak_memory():
    """Bytes this process had in memory at most."""
    status = Path("/proc/self/status")
    if status.is_file():
        # `ru_maxrss` starts with the memory of the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


@contextlib.contextmanager
def _environment(values):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
