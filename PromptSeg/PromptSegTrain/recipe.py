"""What decides a pre-training run, apart from the data and the network's sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from PromptSegLib.errors import InputError

MODES = ("supervised", "joint", "self")
SCHEDULES = ("linear", "cosine")
OPTIMISERS = ("adamw", "muon")


_LATER = ("pseudo", "elsewhere", "apart")
_FORMER = {"learned_per_slice": "prompt_tasks", "shown": "episodic", "aid": "deep"}
"""What fields were called in the checkpoints of earlier versions."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a run. Raises :class:`InputError` for a mode, schedule or
    optimiser that there is not."""

    steps: int = 6000
    groups: int = 3
    """Groups of three slices in a step, for each process."""
    prompt_tasks: int = 1
    """Tasks under a structure's own deep tokens; without any, all structures share them, and one pass shows a set."""
    own: tuple[str, ...] = ()
    """The structures that have deep tokens of their own, where there are such tasks; empty: all."""
    pseudo: float = 0.35
    """Share of the groups that are about regions of even grey that nobody annotated."""
    elsewhere: float = 0.5
    """Share of the others that come in pairs: a structure shown in one patient is asked for in another."""
    apart: float = 0.5
    """Share of the groups whose slices are augmented each on its own."""
    lr: float = 1.2e-3
    prompt_lr: float = 4e-3
    weight_decay: float = 0.02
    warmup: int = 200
    decay: int = 1500
    """The last steps, over which the learning rate falls to nothing; before them it is constant."""
    schedule: str = "linear"
    """How it falls: "linear" or "cosine"."""
    optimiser: str = "adamw"
    """What moves the network's matrices: "adamw" or "muon" (:mod:`~PromptSegTrain.muon`); all else is AdamW's."""
    clip: float = 1.0
    mode: str = "supervised"
    """What is learned from: annotations ("supervised"), contrastive prototype assignment ("self") or both ("joint")."""
    cpa: float = 0.01
    """Weight of contrastive prototype assignment in mode "joint"; in mode "self" it is the only loss and weighs 1."""
    ema: float = 0.998
    ema_start: float = 0.99
    deep: float = 0.5
    dense: float = 1.0
    episodic: float = 1.0
    validation: float = 0.25
    weights: tuple[float, ...] = ()
    """How often each data set is drawn; empty: evenly."""
    absent: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By data set, structures that none of its volumes can show, for example the liver in CTs of the head: there,
    their prompts learn to find nothing."""
    leave_out: tuple[str, ...] = ()
    """Structures that the network is to know nothing of, though data sets annotate them: background to the others."""
    start_from: str = ""
    """Name and id of the backbone that the run started from: a record, nothing that decides."""
    earlier: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By data set, the subjects that this backbone, and those before it, had learned from: another record."""
    steps_before: int = 0
    """How many steps this backbone and those before it had taken: a record too."""
    seed: int = 1
    log_every: int = 20
    save_every: int = 200
    validate_every: int = 500
    validate_stride: int = 1
    """Every how many slices of the held-out volumes are looked at: 1 is the whole volume."""

    def __post_init__(self) -> None:
        named = (
            (self.mode, MODES, "mode"),
            (self.schedule, SCHEDULES, "schedule"),
            (self.optimiser, OPTIMISERS, "optimiser"),
        )
        for value, known, what in named:
            if value not in known:
                raise InputError(f"There is no {what} {value!r}", f"choose one of {', '.join(known)}")

    def rate(self, step: int, passed: float = 0.0) -> float:
        """Share of the peak learning rate at ``step``, or when the share ``passed`` of the time has passed, whichever
        is nearer to the end."""
        left = min(1.0, max(0.0, (self.steps - max(step, self.steps * passed)) / max(1, self.decay)))
        if self.schedule == "cosine":
            left = 0.5 - 0.5 * math.cos(math.pi * left)
        return min(1.0, (step + 1) / max(1, self.warmup), left)

    def ema_decay(self, step: int) -> float:
        """The decay of the moving average at ``step``: no longer a memory than the run has been going on.

        Where the average teaches (mode "self" and "joint"), it also rises from ``ema_start`` to ``ema`` along a cosine
        over the first half of the run, so that the early teacher is not an old one.
        """
        decay = self.ema
        if self.mode != "supervised":
            share = min(1.0, step / max(1.0, self.steps / 2))
            decay = self.ema_start + (self.ema - self.ema_start) * (0.5 - 0.5 * math.cos(math.pi * share))
        return min(decay, (1 + step) / (10 + step))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """From what a checkpoint holds; what it does not know has its default, what is not known here is left out.

        A run that began before there were such tasks goes on without them.
        """
        values = {_FORMER.get(name, name): value for name, value in values.items()}
        known = {f.name: values.get(f.name, 0.0) for f in fields(cls) if f.name in (*values, *_LATER)}
        return cls(**known | {name: tuple(known.get(name, ())) for name in ("weights", "leave_out", "own")})
