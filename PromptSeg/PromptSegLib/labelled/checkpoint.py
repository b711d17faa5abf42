"""What learning from a labelled set keeps on disk to go on from: a checkpoint, complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import UNREADABLE, InputError
from ..model.files import read_tensors, write_tensors

FORMAT = "promptseg-labelled-1"
LAST = "last.safetensors"
_ELSEWHERE = "begin anew, or go on with the volumes and options of before"


@dataclass
class LearningState:
    """``tensors`` are what learns, ``average`` their moving average and ``best`` the average of the best look.

    ``curve`` has step, loss and mean Dice of each look; ``scores`` the Dice of each subject at the best one.
    """

    tensors: dict[str, Tensor]
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    best_step: int = 0
    best_dice: float = -1.0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    examined: bool = False
    """Whether ``scores`` are those of all held-out subjects, whole volumes."""

    def write(self, path: Path, run: Mapping[str, Any], sampler: Mapping[str, Any]) -> None:
        """Write a checkpoint; ``run`` is what must be the same to go on. Raises :class:`OutputError`."""
        tensors = {f"prompt.{k}": v for k, v in self.tensors.items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for name, p in self.tensors.items():
            tensors |= {f"adam.{name}.{k}": v for k, v in self.optimiser.state.get(p, {}).items()}
        state = {
            k: getattr(self, k) for k in ("step", "best_step", "best_dice", "seconds", "curve", "scores", "examined")
        }
        meta = {"format": FORMAT, "run": json.dumps(run), "state": json.dumps(state), "sampler": json.dumps(sampler)}
        write_tensors(path, tensors, meta)

    def read(self, path: Path, run: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take up a checkpoint, and give the sampler's state. Raises :class:`InputError` if it is damaged or of
        another run."""
        tensors, meta = read_tensors(path)
        try:
            before = json.loads(meta["run"]) if meta["format"] == FORMAT else {}
            other = [k for k, v in run.items() if before.get(k) != v]
            if other:
                raise InputError(f"{path.parent} holds a run with another {other[0].replace('_', ' ')}", _ELSEWHERE)
            with torch.no_grad():
                for kind, target in (("prompt", self.tensors), ("average", self.average), ("best", self.best)):
                    for name, tensor in target.items():
                        tensor.copy_(tensors[f"{kind}.{name}"])
            for name, p in self.tensors.items():
                start = f"adam.{name}."
                moments = {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}
                if moments:
                    self.optimiser.state[p] = {k: v if k == "step" else v.to(p.device) for k, v in moments.items()}
            state = json.loads(meta["state"] if "state" in meta else meta["told"])  # as it was called before
            self.step, self.best_step = int(state["step"]), int(state["best_step"])
            self.best_dice, self.seconds = float(state["best_dice"]), float(state["seconds"])
            self.curve = [{str(k): float(v) for k, v in one.items()} for one in state["curve"]]
            self.scores = {str(k): float(v) for k, v in state["scores"].items()}
            self.examined = bool(state["examined"])
            sampler: Mapping[str, Any] = json.loads(meta["sampler"])
        except (RuntimeError, *UNREADABLE) as error:
            raise InputError(f"{path} is not a checkpoint that fits", _ELSEWHERE) from error
        return sampler
