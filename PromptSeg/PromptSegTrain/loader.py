"""Batches for a run: drawn as they are needed, or ahead of it by other processes, so that a GPU does not wait.

A batch that is drawn ahead has random numbers of its own, from the run's seed and the number of its step: the same
whatever the number of processes, and after a run was cut and goes on.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Generator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from PromptSegLib.datasets.tasks import Batch, TaskSampler

AHEAD = 4
"""Batches that each process keeps ready."""

Draw = Callable[[TaskSampler], Batch]


class _Steps(Dataset[Batch]):
    """The batch of each step, with random numbers of its own."""

    def __init__(self, sampler: TaskSampler, draw: Draw, seed: int) -> None:
        self.sampler, self.draw, self.seed = sampler, draw, seed

    def __getitem__(self, step: int) -> Batch:
        self.sampler.reseed(np.random.default_rng([self.seed, step]))
        return self.draw(self.sampler)


def batches(
    sampler: TaskSampler, draw: Draw, steps: range, *, workers: int = 0, seed: int = 0, pin: bool = False
) -> Generator[Batch, None, None]:
    """The batches of ``steps``, one after the other; ``draw`` makes one with the sampler that it is given.

    With ``workers``, that many processes draw them, and what the sampler would have drawn next is left as it is.
    ``pin`` puts them where a GPU copies from without waiting. The processes end with the iterator.
    """
    if not workers:
        for _ in steps:
            yield draw(sampler)
        return
    sampler.device = "cpu"  # what a process draws for another, it draws on the host
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user says how many processes
        loader = DataLoader(
            _Steps(sampler, draw, seed),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            prefetch_factor=AHEAD,
            pin_memory=pin,
            worker_init_fn=_alone,
        )
        drawn = iter(loader)
    yield from drawn


def _alone(_: int) -> None:
    """One core for each process, and Ctrl-C is the run's to heed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
