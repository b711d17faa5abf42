"""What the command line says: a progress bar and tables for people, JSON lines for programs."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PromptSegLib.errors import PromptSegError
from PromptSegLib.progress import OnProgress, Progress

from ..memory_limit import peak_memory_mib
from .stopping import StopOnSignal
from .streams import is_terminal

_WIDE = 160  # columns of a table that goes into a file or a pipe


class StreamError(PromptSegError):
    """Standard output cannot be written to: a full disk, a terminal that is gone."""


class Console:
    """The one place that writes to the screen.

    With ``json_lines``, standard output carries one JSON object a line and nothing else. Otherwise it carries results,
    and standard error the progress: a bar in a terminal, a plain line at each tenth elsewhere. Sentences about what
    went wrong are on standard error in either case.
    """

    def __init__(self, json_lines: bool = False, stop: StopOnSignal | None = None) -> None:
        self.json_lines = json_lines
        self._stop = stop
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()
        self.written: list[Path] = []
        self.warnings: list[str] = []
        self._bar: Any = None
        self._task: Any = None
        self._tenth = 0

    def progress(self, report: Progress) -> None:
        """Show where a run is; the listener to hand to what takes ``on_progress``."""
        fraction = min(1.0, max(0.0, report.fraction)) if math.isfinite(report.fraction) else 0.0
        message = _plain(report.message or report.stage)
        if self.json_lines:
            fields = {"stage": report.stage, "fraction": fraction, "message": report.message}
            self._json({"event": "progress", **fields, "metrics": dict(report.metrics)})
        elif is_terminal(sys.stderr):
            self._show(fraction, message)
        elif int(fraction * 10) > self._tenth:
            self._tenth = int(fraction * 10)
            _aside(f"{fraction:4.0%}  {message}")

    @property
    def elapsed(self) -> float:
        """Seconds since the command began: what a clock on the wall says, also of what is in no stage."""
        return time.perf_counter() - self._began

    def part(self, start: float, stop: float) -> OnProgress:
        """A listener for one part of the run, which lasts from ``start`` to ``stop`` (0..1) of the whole."""

        def listen(report: Progress) -> None:
            fraction = start + (stop - start) * report.fraction
            self.progress(Progress(report.stage, fraction, report.message, report.metrics))

        return listen

    @contextlib.contextmanager
    def timed(self, stage: str, message: str, fraction: float = 0.0) -> Iterator[None]:
        """Say that a stage begins, and add what it took to :attr:`seconds`."""
        self.progress(Progress(stage, fraction, message))
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def result(self, **fields: Any) -> None:
        """The last JSON line: what came out, the seconds of each stage and of all, and the peak memory. For people:
        nothing."""
        if self.json_lines:
            seconds = {stage: round(value, 3) for stage, value in self.seconds.items()}
            warned = {"warnings": self.warnings} if self.warnings else {}
            elapsed = round(self.elapsed, 3)
            used = {"seconds": seconds, "elapsed_seconds": elapsed, "peak_memory_mib": peak_memory_mib()}
            self._json({"event": "result", **fields, **warned, **used})

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table for people; numbers to the right, ``None`` and NaN as a dash."""
        if self.json_lines:
            return
        from rich.box import SIMPLE_HEAD
        from rich.console import Console as Screen
        from rich.table import Table
        from rich.text import Text

        self.close()
        if title:
            self._out(_plain(title) + "\n")
        if not rows:
            self._out("none\n")
            return
        cells = [[_cell(value) for value in row] for row in rows]
        numeric = [all(isinstance(v, (int, float, type(None))) for v in column) for column in zip(*rows, strict=True)]
        table = Table(box=SIMPLE_HEAD, show_header=any(columns))
        for n, name in enumerate(columns):
            table.add_column(name, justify="right" if numeric[n] else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        drawn = io.StringIO()
        terminal = is_terminal(sys.stdout)
        width = Screen(file=sys.stdout).width if terminal else _WIDE
        Screen(file=drawn, highlight=False, width=width, force_terminal=terminal).print(table)
        self._out(drawn.getvalue())

    def line(self, text: str) -> None:
        """A sentence about the result, for people."""
        if not self.json_lines:
            self.close()
            self._out(_plain(text) + "\n")

    def warn(self, *sentences: str) -> None:
        """Say at once what a user should know before the result, on standard error; :meth:`result` has it too."""
        for sentence in sentences:
            self.warnings.append(sentence)
            if self.json_lines:
                self._json({"event": "warning", "message": sentence})
            else:
                self.close()
                _aside(f"Warning: {_plain(sentence)}")

    def event(self, kind: str, /, **fields: Any) -> None:
        """A JSON line of its own for programs, while the run goes on. For people: nothing."""
        if self.json_lines:
            self._json({"event": kind, **fields})

    def aside(self, sentence: str) -> None:
        """A sentence on standard error at once, for people; programs have it from an event."""
        if not self.json_lines:
            self.close()
            _aside(_plain(sentence))

    def wrote(self, *paths: Path) -> None:
        """Remember which files are whole, to be said also where the run ends otherwise."""
        self.written.extend(path for path in paths if path not in self.written)
        if self._stop is not None:
            self._stop.sentence = f"Stopped; {self._complete()}."

    def done(self, *paths: Path) -> None:
        """Say which files were written, how long it took and how much memory."""
        self.written.extend(path for path in paths if path not in self.written)
        taken = f"{self.elapsed:.1f} s, at most {peak_memory_mib():.0f} MiB of memory"
        self.line(f"Written to {' and '.join(str(path) for path in paths)} ({taken}).")

    def stopped(self, sentence: str) -> None:
        """Say what became of a run that the user stopped."""
        self._end("stopped", sentence)

    def error(self, sentence: str) -> None:
        """Say what went wrong."""
        self._end("error", sentence)

    def close(self) -> None:
        """Take the progress bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with contextlib.suppress(OSError, ValueError):
                bar.stop()

    def flush(self) -> None:
        """Raise :class:`StreamError` if something that was printed did not arrive."""
        self._out("")

    def _out(self, text: str) -> None:
        if self._stop is not None and self._stop.ended:
            return
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            note = f"{self._complete()}, and only what would have been printed is missing" if self.written else ""
            raise StreamError(
                f"Standard output cannot be written to ({why})", note or "nothing was written: lead it elsewhere"
            ) from error

    def with_written(self, problem: PromptSegError) -> str:
        """The sentence of an error that came after some of the results were written, which says which are there."""
        if not self.written or any(str(path) in problem.problem for path in self.written):
            return str(problem)
        return str(PromptSegError(f"{problem.problem} ({self._complete()})", problem.remedy))

    def _complete(self) -> str:
        """Which files are there, as a part of a sentence."""
        *others, last = map(str, self.written)
        return f"{', '.join(others)} and {last} were written" if others else f"{last} was written"

    def _end(self, event: str, sentence: str) -> None:
        self.close()
        _aside(_plain(sentence))
        if self.json_lines:
            with contextlib.suppress(StreamError, BrokenPipeError):
                self._json({"event": event, "message": sentence})

    def _json(self, fields: Mapping[str, Any]) -> None:
        self._out(json.dumps(_jsonable(fields), allow_nan=False) + "\n")

    def _show(self, fraction: float, message: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._draw(fraction, message)

    def _draw(self, fraction: float, message: str) -> None:
        from rich.console import Console as Screen
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        if self._bar is None:
            text = TextColumn("{task.description}", markup=False)
            columns = (text, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            screen = Screen(stderr=True, highlight=False)
            self._bar = Bar(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False)
            self._task = self._bar.add_task(message, total=1.0)
            self._bar.start()
        self._bar.update(self._task, completed=fraction, description=message)


def _aside(sentence: str) -> None:
    """A line on standard error; one that nobody can read changes nothing."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return _plain(str(value))


def _plain(text: str) -> str:
    """Names come from files: what would steer a terminal is shown as a question mark, lines as one line."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _jsonable(value: Any) -> Any:
    """Plain JSON types; numbers that JSON does not have become null."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_jsonable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):  # a number of numpy's or torch's
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
