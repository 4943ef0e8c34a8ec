"""Ends a run between two steps, with its state saved, when the process is asked to end."""

import contextlib
import os
import signal
import threading

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingStopped(RuntimeError):
    """A run was stopped by a signal; its state is on disk.

    Attributes:
        signal: int, the number of the signal.
    """

    def __init__(self, message, number):
        super().__init__(message)
        self.signal = number


class StopRequest:
    """Whether a run is to stop.

    Attributes:
        signal: int, the number of the signal that asks for it, or None.
    """

    signal = None

    @property
    def name(self):
        """str, the name of the signal, such as `"SIGTERM"`."""
        return signal.Signals(self.signal).name


@contextlib.contextmanager
def stop_on_signals(wanted=True):
    """Within it, SIGINT and SIGTERM ask for a stop instead of ending the process.

    The second signal ends the process at once, also while it is computing. Outside of the main
    thread, where Python allows no handlers, nothing is changed.

    Args:
        wanted: bool; False changes nothing.

    Yields:
        A `StopRequest`.

    Example:
    ```python
    with stop_on_signals() as stop:
        while stop.signal is None:
            step()
    ```
    """
    stop = StopRequest()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number, frame):
        stop.signal = number
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        # No print: the signal may have come within one.
        text = f"\n{stop.name}: stopping after this step (again: at once)\n"
        with contextlib.suppress(OSError):
            os.write(2, text.encode())

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None is a handler that was not made by Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
