"""What a training run keeps on disk to go on from: a checkpoint, complete or not at all."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.errors import BackboneError, InputError, OutputError, PromptSegError
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.files import read_header, read_tensors, write_tensors

from .pretraining_model import PretrainingModel
from .recipe import Recipe

FORMAT = "promptseg-checkpoint-1"
LAST = "last.safetensors"
BEST = "best.safetensors"
ELSEWHERE = "start in another folder; --start-from with a backbone that the run left takes up its weights"


@dataclass
class RunState:
    """All that a run needs to go on as if it had not stopped: weights, their average, the optimiser's moments, the
    random numbers, and the ``step`` and ``seconds`` that it is at. ``best`` is the best mean Dice so far."""

    config: PUNetConfig
    names: Sequence[str]
    model: PretrainingModel
    ema: PretrainingModel
    optimiser: torch.optim.Optimizer
    sampler: TaskSampler
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0

    def write(self, path: Path, recipe: Recipe) -> None:
        """Write a checkpoint; the former one is replaced only by a whole new one. Raises :class:`OutputError`."""
        try:
            tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
            tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
            for n, p in enumerate(self._parameters()):
                tensors |= {f"adam.{n}.{k}": v for k, v in self.optimiser.state.get(p, {}).items()}
            tensors["random"] = torch.get_rng_state()
            write_tensors(path, tensors, self._meta(recipe))
        except MemoryError as error:
            raise OutputError(
                f"There is not enough memory to write {path.name}; the one written before is whole",
                "close other programs and go on with --resume",
            ) from error

    def write_average(self, path: Path, recipe: Recipe) -> None:
        """Write the averaged weights alone, as fp16: a fourteenth of a checkpoint. What ships can be made from it, but
        a run cannot go on from it. Raises :class:`OutputError`."""
        average = self.ema.state_dict().items()
        tensors = {f"ema.{k}": v.half() if v.is_floating_point() else v for k, v in average}
        write_tensors(path, tensors, self._meta(recipe))

    def read(self, path: Path) -> None:
        """Take up a checkpoint. Raises :class:`InputError` if it is damaged, of another configuration or of other
        structures."""
        foreign = InputError(f"{path} is a checkpoint of another configuration", ELSEWHERE)
        try:
            tensors, meta = read_tensors(path)
        except InputError as error:
            raise InputError(error.problem, ELSEWHERE) from error
        try:
            if meta["format"] != FORMAT or PUNetConfig.from_dict(json.loads(meta["config"])) != self.config:
                raise foreign
            if json.loads(meta["names"]) != list(self.names):
                raise InputError(
                    f"{path} is a checkpoint of other structures",
                    "name the same data sets in the same order, or start in another folder",
                )
            self.model.load_state_dict(weights_in(tensors, "model."))
            self.ema.load_state_dict(weights_in(tensors, "ema."))
            self.step, self.seconds = int(meta["step"]), float(meta.get("seconds", 0))
            self.best = float(meta.get("best", -1))
            self.sampler.random.bit_generator.state = json.loads(meta["sampler"])
        except (RuntimeError, KeyError, ValueError, TypeError, BackboneError) as error:
            raise foreign from error
        if "random" in tensors:
            torch.set_rng_state(tensors["random"])
        for n, p in enumerate(self._parameters()):
            prefix = f"adam.{n}."
            state = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            if state:
                self.optimiser.state[p] = {k: v.to(p.device) if k != "step" else v for k, v in state.items()}

    def _meta(self, recipe: Recipe) -> dict[str, str]:
        return {
            "format": FORMAT,
            "config": json.dumps(self.config.to_dict()),
            "recipe": json.dumps(asdict(recipe)),
            "names": json.dumps(list(self.names)),
            "step": str(self.step),
            "seconds": f"{self.seconds:.1f}",
            "best": repr(self.best),
            "sampler": json.dumps(self.sampler.random.bit_generator.state),
        }

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]


def weights_in(tensors: Mapping[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """The weights of a :class:`PretrainingModel` in a checkpoint: "model." the last, "ema." their average."""
    found = {k.removeprefix(kind): v for k, v in tensors.items() if k.startswith(kind)}
    return {f"deep.{k[4:]}" if k.startswith("aid.") else k: v for k, v in found.items()}  # "aid." of earlier versions


def read_settings(path: Path) -> tuple[PUNetConfig, Recipe]:
    """Configuration and recipe of a checkpoint, without its tensors. Raises :class:`InputError`."""
    try:
        meta = read_header(path)
        if meta["format"] != FORMAT:
            raise InputError(f"{path} is not a checkpoint of promptseg pretrain")
        return PUNetConfig.from_dict(json.loads(meta["config"])), Recipe.from_dict(json.loads(meta["recipe"]))
    except (PromptSegError, KeyError, ValueError, TypeError, AttributeError) as error:
        problem = error.problem if isinstance(error, InputError) else f"{path} is not a checkpoint that fits"
        raise InputError(problem, ELSEWHERE) from error


def remove_leftovers(folder: Path) -> None:
    """Take away the half-written files that a killed run left: a checkpoint is large."""
    for path in folder.iterdir():
        if re.fullmatch(r"\.[0-9a-f]{12}-.+\.(safetensors|promptset|json)", path.name):
            with contextlib.suppress(OSError):
                path.unlink()
