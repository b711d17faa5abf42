"""What a training run keeps on disk: its checkpoint, from which it goes on exactly, and its curves."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import BackboneError, InputError, OutputError
from ..model.config import PUNetConfig
from ..model.files import read_tensors, write_tensors
from ..volumes.atomic import replacing
from .recipe import Recipe
from .tasks import TaskSampler
from .trainee import Trainee

FORMAT = "promptseg-checkpoint-1"


@dataclass
class State:
    """All that a run needs to go on as if it had not stopped: weights, their average, the optimiser's moments, the
    random numbers, and the ``step`` and ``seconds`` that it is at."""

    config: PUNetConfig
    names: Sequence[str]
    trainee: Trainee
    ema: Trainee
    optimiser: torch.optim.Optimizer
    sampler: TaskSampler
    step: int = 0
    seconds: float = 0.0

    def write(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint; the former one is replaced only by a whole new one. Raises :class:`OutputError`."""
        meta = {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "recipe": json.dumps(asdict(recipe)),
            "names": json.dumps(list(self.names)),
            "step": str(self.step),
            "seconds": f"{self.seconds:.1f}",
            "sampler": json.dumps(self.sampler.random.bit_generator.state),
        }
        try:
            tensors = {f"model.{k}": v for k, v in self.trainee.state_dict().items()}
            tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
            for n, p in enumerate(self._parameters()):
                tensors |= {f"adam.{n}.{k}": v for k, v in self.optimiser.state.get(p, {}).items()}
            tensors["random"] = torch.get_rng_state()
            write_tensors(path, tensors, meta)
        except MemoryError as error:
            raise OutputError(
                f"There is not enough memory to write {path.name}; the one written before is whole",
                "close other programs and go on with --resume",
            ) from error

    def read(self, path: Path) -> None:
        """Take up a checkpoint. Raises :class:`InputError` if it is damaged or of another configuration."""
        tensors, meta = read_tensors(path)
        foreign = InputError(f"{path} is a checkpoint of another configuration", "start in another folder")
        try:
            known = meta["format"] == FORMAT and json.loads(meta["names"]) == list(self.names)
            if not known or PUNetConfig.from_dict(json.loads(meta["config"])) != self.config:
                raise foreign
            self.trainee.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
            self.ema.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("ema.")})
            self.step, self.seconds = int(meta["step"]), float(meta.get("seconds", 0))
            self.sampler.random.bit_generator.state = json.loads(meta["sampler"])
        except (RuntimeError, KeyError, ValueError, BackboneError) as error:
            raise foreign from error
        if "random" in tensors:
            torch.set_rng_state(tensors["random"])
        for n, p in enumerate(self._parameters()):
            state = {k.rsplit(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"adam.{n}.")}
            if state:
                self.optimiser.state[p] = {k: v.to(p.device) if k != "step" else v for k, v in state.items()}

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]


class Log:
    """Means over the last steps, a line each time, in a CSV file that goes on where the checkpoint is."""

    COLUMNS = ("step", "seconds", "lr", "loss", "learned", "shown", "dense", "aid", "dice", "shown_dice")

    def __init__(self, path: Path, step: int) -> None:
        """Lines of steps after ``step`` are dropped: a run that was killed after them has to make them again."""
        self.path, self._parts = path, list[dict[str, float]]()
        kept = []
        if step and path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                kept = [r for r in csv.DictReader(file) if (r.get("step") or "").isdigit() and int(r["step"]) <= step]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

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
            line |= {k: f"{v:.4f}" for k, v in means.items()}
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.COLUMNS, restval="", extrasaction="ignore").writerow(line)
        return means


def write_validation(folder: Path, step: int, scores: Mapping[str, Sequence[float]]) -> None:
    """Keep the last Dice of each structure, by its own prompt and as shown, in ``folder/validation.json``."""

    def known(value: float) -> float | None:
        return None if math.isnan(value) else round(value, 4)

    dice = {name: {"prompt": known(own), "shown": known(shown)} for name, (own, shown) in scores.items()}
    with replacing(folder / "validation.json") as file:
        file.write(json.dumps({"step": step, "dice": dice}, indent=1).encode())


def read_validation(folder: Path) -> dict[str, Any]:
    """What :func:`write_validation` kept; empty if there was no validation yet."""
    path = folder / "validation.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
