"""Progress of training in a terminal or a log file."""

import shutil
import sys
import textwrap
import time

import keras

from keras_resnet.training.learning_rate import LearningRateReader
from keras_resnet.training.memory import memory_in_use

WIDTH = 80
BAR_SECONDS = 0.2
_BAR = 10
_LEAST_BAR = 6


class ProgressLogger(keras.callbacks.Callback):
    """Prints epoch, step, losses, speed, time left, learning rate, waiting and memory.

    A terminal gets one line that is overwritten, as wide as the terminal but 80 columns at most,
    with a bar of 6 to 10 columns; anything else (a file, a pipe) gets a plain line every
    `every_seconds`, wrapped at 80 columns. Each epoch ends with a line of all figures.
    Losses are means since the start of the epoch. Pass `verbose=0` to `fit` beside it.

    Args:
        images_per_step: number of images in one step, for images/s; None leaves that out.
        every_seconds: seconds between plain lines.
        quiet: print nothing.
        labels: dict from a log's name to a shorter one; others lose `_loss`.
        waiting_seconds: callable giving the seconds that training has waited for data so far;
            its share of the time is then shown. None for what `loop.fit` measures.
        memory: callable giving bytes, or None where that is not known; None leaves them out.
        stream: where to write; None is standard output.
        clock: callable giving seconds.

    Example:
    ```python
    model.fit(data, verbose=0, callbacks=[ProgressLogger(images_per_step=16)])
    ```
    """

    def __init__(
        self,
        images_per_step=None,
        every_seconds=30.0,
        quiet=False,
        labels=None,
        waiting_seconds=None,
        memory=memory_in_use,
        stream=None,
        clock=time.monotonic,
    ):
        super().__init__()
        self.images_per_step = images_per_step
        self.every_seconds = every_seconds
        self.quiet = quiet
        self.labels = dict(labels or {})
        self.waiting_seconds = waiting_seconds
        self.memory = memory
        self._given_stream = stream
        self._clock = clock

    def on_train_begin(self, logs=None):
        self._stream = self._given_stream or sys.stdout
        self._bar = bool(getattr(self._stream, "isatty", lambda: False)())
        self._rates = LearningRateReader(self.model)
        self._waiting = self.waiting_seconds or self.params.get("waiting_seconds")
        self._pauses = []
        self._pause_start = None

    def on_epoch_begin(self, epoch, logs=None):
        now = self._clock()
        if self._pause_start is not None:
            self._pauses.append(now - self._pause_start)
        self._rates.read_state(self.params.get("first_batch", 0))
        self._epoch, self._done = epoch, 0
        self._epoch_start = self._last_print = now
        # The first step of an epoch may compile; speed is counted from its end.
        self._timed_from, self._timed_done, self._waited = None, 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = self._clock()
        self._done = batch + 1
        self._pause_start = now
        if self._timed_from is None:
            self._timed_from, self._timed_done = now, self._done
            self._waited = self._waiting() if self._waiting else 0.0
        if self.quiet or now - self._last_print < (
            BAR_SECONDS if self._bar else self.every_seconds
        ):
            return
        self._last_print = now
        if self._bar:
            self._print_bar(logs or {})
        else:
            self._print_lines([*self._position(), *self._state(), *self._figures(logs or {})])

    def on_evaluation_begin(self):
        """Called by `loop.fit` before an evaluation, which may print lines of its own."""
        if self._bar and not self.quiet:
            self._print_over(f"epoch {self._epoch + 1}/{self.params['epochs']} evaluating")

    def on_epoch_end(self, epoch, logs=None):
        if self.quiet:
            return
        if self._bar:
            self._print_over("")
        seconds = duration(self._clock() - self._epoch_start)
        head = [f"epoch {epoch + 1}/{self.params['epochs']} took {seconds}"]
        self._print_lines([*head, *self._state(), *self._figures(logs or {})])

    def _print_over(self, text):
        """Replaces the bar; what comes next is printed over the text."""
        self._stream.write("\r" + text.ljust(self._columns() - 1) + "\r")
        self._stream.flush()

    def _steps(self):
        """Steps of this epoch, or None: the last one of a run may be shorter."""
        steps, total = self.params.get("steps"), self.params.get("total_steps")
        return min(steps, total - self._epoch * steps) if steps and total else steps

    def _position(self):
        steps = self._steps()
        of = f"/{steps}" if steps else ""
        return [f"epoch {self._epoch + 1}/{self.params['epochs']} step {self._done}{of}"]

    def _figures(self, logs):
        # Those under time/ are among `_state`. Keras may give the others by the alphabet.
        names = [name for name in logs if not name.startswith("time/")]
        names.sort(key=lambda name: name != "loss")
        return [f"{self._label(name)} {logs[name]:.4g}" for name in names]

    def _label(self, name):
        short = name if name == "val_loss" else name.removesuffix("_loss")
        return self.labels.get(name, short)

    def _state(self, brief=False):
        """Speed, time left, learning rate, waiting and memory; `brief` for a terminal's line."""
        items = []
        rate = self._steps_per_second()
        if rate and self.images_per_step:
            items.append(f"{rate * self.images_per_step:.3g} {'img' if brief else 'images'}/s")
        left = self._seconds_left(rate)
        if left is not None:
            items.append(f"{clock_time(left) if brief else duration(left)} left")
        learning_rate = self._rates.at(max(self._done - 1, 0))
        items.append(f"lr {learning_rate:.2g}" if brief else f"lr {learning_rate:.3g}")
        if rate and self._waiting:
            waited = self._waiting() - self._waited
            items.append(f"data {waited / (self._pause_start - self._timed_from):.0%}")
        taken = self.memory() if self.memory else None
        if taken is not None:
            items.append(f"{taken / 1e9:.1f}G" if brief else f"memory {taken / 1e9:.1f} GB")
        return items

    def _steps_per_second(self):
        if self._timed_from is None or self._pause_start <= self._timed_from:
            return None
        return (self._done - self._timed_done) / (self._pause_start - self._timed_from)

    def _seconds_left(self, rate):
        steps = self.params.get("steps")
        if not steps or not rate:
            return None
        total = self.params.get("total_steps") or self.params["epochs"] * steps
        epochs = self.params["epochs"] - self._epoch - 1
        pause = sum(self._pauses) / len(self._pauses) if self._pauses else 0.0
        return (total - self._epoch * steps - self._done) / rate + epochs * pause

    def _print_lines(self, items):
        text = textwrap.fill(
            # Spaces inside an item must not be where a line breaks.
            "  ".join(item.replace(" ", "\N{NO-BREAK SPACE}") for item in items),
            WIDTH,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        self._stream.write(text.replace("\N{NO-BREAK SPACE}", " ") + "\n")
        self._stream.flush()

    def _print_bar(self, logs):
        steps = self._steps()
        of = f"/{steps}" if steps else ""
        line = f"epoch {self._epoch + 1}/{self.params['epochs']} {self._done}{of}"
        room = self._columns() - 1 - len(line)
        shown = self._in_line(room, self._figures(logs), _LEAST_BAR + 3 if steps else 0)
        length = min(_BAR, room - len(shown) - 3)
        if steps and length >= _LEAST_BAR:
            filled = length * self._done // steps
            line += f" [{'=' * filled}{' ' * (length - filled)}]"
        self._stream.write("\r" + (line + shown).ljust(self._columns() - 1))
        self._stream.flush()

    def _in_line(self, room, figures, bar):
        """What fits beside a bar of `bar` columns, most wanted first, narrower if need be."""
        state = self._state(brief=True)
        for space in ("  ", " "):
            # On a very narrow terminal the loss is worth more than the bar.
            shown = "".join(space + item for item in figures[:1])
            shown = shown if len(shown) <= room else ""
            left_out = 0
            for item in state:
                if len(shown + space + item) + bar <= room:
                    shown += space + item
                else:
                    left_out += 1
            if not left_out:
                break
        # The other losses must not take the room of the whole bar.
        bar += _BAR - _LEAST_BAR if bar else 0
        for item in figures[1:]:
            if left_out or len(shown + space + item) + bar > room:
                break
            shown += space + item
        return shown

    def _columns(self):
        return min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)


def duration(seconds):
    """Seconds for people.

    Args:
        seconds: number.

    Returns:
        str such as `"41 s"`, `"3 min 05 s"` or `"2 h 10 min"`.

    Example:
    >>> duration(185)
    '3 min 05 s'
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def clock_time(seconds):
    """Seconds as a clock shows them, in little room.

    Args:
        seconds: number.

    Returns:
        str such as `"0:41"`, `"3:05"` or `"2:10:00"`.

    Example:
    >>> clock_time(185)
    '3:05'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
