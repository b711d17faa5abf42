"""What decides a pre-training run, apart from the data and the network's sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a run."""

    steps: int = 6000
    groups: int = 3
    learned_per_slice: int = 1
    lr: float = 1.2e-3
    prompt_lr: float = 4e-3
    weight_decay: float = 0.02
    warmup: int = 200
    decay: int = 1500
    """The last steps, over which the learning rate falls to nothing; before them it is constant."""
    clip: float = 1.0
    ema: float = 0.998
    aid: float = 0.5
    dense: float = 1.0
    shown: float = 1.0
    validation: float = 0.25
    weights: tuple[float, ...] = ()
    """How often each data set is drawn; empty: evenly."""
    seed: int = 1
    log_every: int = 20
    save_every: int = 200
    validate_every: int = 500

    def rate(self, step: int) -> float:
        """Share of the peak learning rate at ``step``."""
        left = (self.steps - step) / max(1, self.decay)
        return min(1.0, (step + 1) / max(1, self.warmup), max(0.0, left))
