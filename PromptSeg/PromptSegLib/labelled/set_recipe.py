"""What decides a run on a labelled set: steps, rates, and what of it is held out and looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SetRecipe:
    """What decides a run. ``validation`` is the share of subjects that is held out; 0 holds none out, and the prompt
    of the last step is kept."""

    steps: int = 1000
    groups: int = 2
    """Groups of three slices of one volume in a step."""
    lr: float = 0.03
    """Of Adam, after ``warmup`` steps; it falls along a cosine to a twentieth."""
    warmup: int = 20
    ema: float = 0.98
    look_every: int = 50
    """Steps between two looks at held-out subjects."""
    looked_at: int = 4
    """Of how many of them; all are looked at in the end."""
    look_stride: int = 3
    """Of every how many of their slices; in the end, of whole volumes."""
    patience: int = 6
    """Looks without a gain that end the run."""
    validation: float = 0.25
    seed: int = 1
