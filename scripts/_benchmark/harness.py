"""Times two sides of a case alternately, each in a process of its own."""

import contextlib
import importlib
import multiprocessing
import os
import resource
import statistics
import time
import traceback
from dataclasses import dataclass, field

START_SECONDS = 900


class Unavailable(Exception):
    """A side cannot run on this machine; the text says why."""


@dataclass(frozen=True)
class Side:
    """What is timed: `module:function` of this package, with its arguments.

    The function prepares everything and returns `(step, facts)`: a callable without arguments
    that does one step and waits for its end, and a dict that may hold `images` (images a step)
    and other figures for the report.
    """

    function: str
    options: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)


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
            the peer's, at most the target; or the name of one of our facts, at most the target.
    """

    name: str
    suite: str
    ours: Side
    peer: Side | None = None
    target: float | None = None
    compare: str = "speedup"


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
        for _ in range(rounds):
            for name, worker in alive.items():
                found[name].setdefault("times", []).extend(worker.turn(seconds))
        for name, worker in alive.items():
            found[name]["peak_memory"] = worker.finish()
            found[name]["median"] = statistics.median(found[name]["times"])
    finally:
        for worker in workers.values():
            worker.kill()
    return found


class _Worker:
    """A process that holds one side."""

    def __init__(self, side, quick):
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_work, args=(end, side, quick), daemon=True)
        with _environment(side.environment):
            self._process.start()
        end.close()

    def wait(self):
        return self._receive(START_SECONDS)

    def turn(self, seconds):
        self._pipe.send(seconds)
        return self._receive(60 + 20 * seconds)

    def finish(self):
        self._pipe.send(None)
        return self._receive(60)

    def kill(self):
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def _receive(self, seconds):
        if not self._pipe.poll(seconds):
            return {"unavailable": f"no answer within {seconds:.0f} s"}
        try:
            return self._pipe.recv()
        except EOFError:
            return {"unavailable": "its process died"}


def _work(pipe, side, quick):
    # The backends' C++ code logs there at the start; errors go through the pipe.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        module, _, function = side.function.partition(":")
        prepare = getattr(importlib.import_module(f"_benchmark.{module}"), function)
        step, facts = prepare(quick=quick, **side.options)
        for _ in range(2):  # compiles, and fills caches
            step()
    except (Unavailable, ImportError) as error:
        pipe.send({"unavailable": str(error)})
        return
    except Exception:
        pipe.send({"unavailable": traceback.format_exc(limit=-3)})
        return
    pipe.send(dict(facts))
    while (seconds := pipe.recv()) is not None:
        times, end = [], time.perf_counter() + seconds
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        pipe.send(times)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


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
