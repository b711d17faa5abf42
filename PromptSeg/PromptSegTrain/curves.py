"""The curves of a training run: a CSV file, and TensorBoard's events where that is installed."""

from __future__ import annotations

import contextlib
import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = ("step", "seconds", "lr", "loss", "prompted", "episodic", "dense", "deep", "cpa", "dice", "few_shot_dice")

_FORMER = {"learned": "prompted", "shown": "episodic", "aid": "deep", "shown_dice": "few_shot_dice"}
"""What columns were called by earlier versions."""


def tensorboard_is_there() -> bool:
    """Whether curves also go to TensorBoard (the extra ``train``)."""
    return find_spec("tensorboard") is not None


def curves_of_others(folder: Path) -> Path | None:
    """The file that curves would go to, where it is there and holds something else."""
    path = folder / "metrics.csv"
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            head = file.readline(1000).decode("utf-8", "replace")
    except OSError:
        return path
    return None if head.strip().split(",")[:2] == list(COLUMNS[:2]) else path


class Log:
    """Means over the last steps, a line each time, in ``folder/metrics.csv`` that goes on where the checkpoint is.

    The same numbers go to ``folder/tensorboard``; events of steps that are made again are struck out there.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Lines of steps after ``step`` are dropped: a run that was killed after them has to make them again."""
        self.path, self._parts = folder / "metrics.csv", list[dict[str, float]]()
        kept = []
        if step and self.path.is_file():
            with self.path.open(encoding="utf-8", newline="") as file:
                lines = [{_FORMER.get(k, k): v for k, v in r.items()} for r in csv.DictReader(file)]
            kept = [r for r in lines if (r.get("step") or "").isdigit() and int(r["step"]) <= step]
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        self._folder, self._first = folder / "tensorboard", step + 1
        self._board: Any = None
        self._wanted = tensorboard_is_there()

    def add(self, parts: dict[str, float]) -> None:
        """Take note of one step."""
        self._parts.append(parts)

    def write(self, step: int, seconds: float, lr: float, extra: dict[str, float] | None = None) -> dict[str, float]:
        """Write the means of the steps since the last line, if there are any, and ``extra``; give them back."""
        keys = self._parts[0] if self._parts else ()
        means = {k: float(np.mean([r[k] for r in self._parts])) for k in keys} | (extra or {})
        self._parts = []
        if means:
            line: dict[str, object] = {"step": step, "seconds": f"{seconds:.1f}", "lr": f"{lr:.2e}"}
            line |= {k: f"{v:.4f}" for k, v in means.items() if k in COLUMNS}
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore").writerow(line)
            self._show(step, means | {"lr": lr})
        return means

    def close(self) -> None:
        """Let go of TensorBoard's file; a later line opens another."""
        if self._board is not None:
            with contextlib.suppress(OSError):
                self._board.close()
            self._board = None

    def _show(self, step: int, values: dict[str, float]) -> None:
        """Hand numbers to TensorBoard. What it cannot write is no reason to end a run: the CSV has it all."""
        if not self._wanted:
            return
        try:
            if self._board is None:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(self._folder), purge_step=self._first, flush_secs=10)
                self._first = step
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        except (OSError, ImportError):  # no space, or an installation that is not whole
            self._wanted = False
