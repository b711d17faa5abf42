"""One run on several GPUs or machines: each process takes its share of every batch, and gradients are averaged.

``torchrun`` starts the processes. All of them draw the same whole batch from the same random numbers and keep their
own groups of it, so that N processes of G groups learn what one process of N x G groups learns, and a checkpoint does
not depend on how many there were. Only the first process writes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from PromptSegLib.datasets.contrastive_views import View, Views
from PromptSegLib.datasets.tasks import GROUP, Batch
from PromptSegLib.errors import DeviceError, Stopped
from PromptSegLib.model.precision import pick_device

T = TypeVar("T")
PATIENCE = timedelta(hours=6)
"""How long a process waits for the others, which may be preparing or validating volumes."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a run and which of them this one is (``rank`` 0 to ``count`` - 1); one alone unless told.

    Every method but :meth:`share` is to be called by all of them at the same point. They raise :class:`DeviceError`
    if one of the others has ended.
    """

    rank: int = 0
    count: int = 1

    def sums(self, *values: float) -> list[float]:
        """Each value, summed over the processes."""
        if self.count == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        self._all_reduce(total)
        return total.tolist()

    def any(self, *flags: bool) -> list[bool]:
        """For each flag whether it is raised in any process."""
        return [total > 0 for total in self.sums(*map(float, flags))]

    def weight(self, items: float) -> float:
        """What the mean over this process's ``items`` has to be multiplied by, so that the mean of these over the
        processes is the mean over all of their items."""
        return items * self.count / max(1.0, self.sums(items)[0]) if self.count > 1 else 1.0

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Each value, averaged over the processes."""
        return {k: v / self.count for k, v in zip(values, self.sums(*values.values()), strict=True)}

    @torch.no_grad()
    def average(self, module: nn.Module) -> None:
        """Average the gradients of ``module``, and the statistics of a batch normalisation.

        The losses touch the same parameters whatever the data, so that those without a gradient have none anywhere.
        """
        if self.count == 1:
            return
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        statistics = [b for n, b in module.named_buffers() if n.rpartition(".")[2].startswith("running_")]
        tensors = [*gradients, *statistics]
        flat = torch.cat([t.flatten() for t in tensors])  # one message, not hundreds
        self._all_reduce(flat)
        flat /= self.count
        for t, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            t.copy_(mean.view_as(t))

    def share(self, batch: Batch) -> Batch:
        """This process's groups of a batch that was drawn for all."""
        return batch if self.count == 1 else _groups(batch, self.rank, self.count)

    def first(self, work: Callable[[], T]) -> T:
        """``work`` in the first process and then in the others, which find what it left on disk.

        Where it fails in the first, the others raise ``Stopped``: one sentence is enough.
        """
        with self._unless_failed():
            if self.rank == 0:
                return work()
        return work()

    def alone(self, work: Callable[[], object]) -> None:
        """``work`` in the first process only; where it fails, the others raise ``Stopped``."""
        with self._unless_failed():
            if self.rank == 0:
                work()

    @contextlib.contextmanager
    def _unless_failed(self) -> Iterator[None]:
        """What the first process does in the block; the others wait, and raise ``Stopped`` if it failed."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(DeviceError):
                self.any(True)
            raise
        if self.any(False)[0]:
            raise Stopped

    def _all_reduce(self, tensor: Tensor) -> None:
        try:
            dist.all_reduce(tensor)
        except RuntimeError as error:
            raise DeviceError(
                "Another process of this run has ended", "see what it said, then go on with --resume"
            ) from error


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """The processes that ``torchrun`` started, and this one's device; one alone if it did not.

    GPUs talk by NCCL, CPUs by gloo, flags always by gloo. Raises :class:`DeviceError` for more processes than GPUs.
    """
    count, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    if count == 1:
        yield Ranks(), pick_device(device)
        return
    place = pick_device(device)
    if place.type == "cuda":
        if local >= torch.cuda.device_count():
            raise DeviceError(
                f"There are {torch.cuda.device_count()} GPUs for more processes than that",
                "give torchrun --nproc-per-node one process for each GPU",
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), place
    finally:
        dist.destroy_process_group()


def _groups(batch: Batch, rank: int, count: int) -> Batch:
    """Part ``rank`` of ``count`` equal parts of a batch, cut between groups."""
    slices = len(batch.images) // count // GROUP * GROUP
    start, stop = rank * slices, (rank + 1) * slices
    prompted = [i for i, (n, _) in enumerate(batch.prompted) if start <= n < stop]
    episodic = [i for i, n in enumerate(batch.episodic) if start <= n < stop]
    return Batch(
        images=batch.images[start:stop],
        labels=batch.labels[start:stop],
        annotated=batch.annotated[start:stop],
        prompted=[(batch.prompted[i][0] - start, batch.prompted[i][1]) for i in prompted],
        prompted_masks=batch.prompted_masks[prompted],
        episodic=[batch.episodic[i] - start for i in episodic],
        episodic_masks=batch.episodic_masks[episodic],
        support=batch.support[episodic] - start,
        support_inside=batch.support_inside[episodic],
        support_outside=batch.support_outside[episodic],
        heads=batch.heads[start // GROUP : stop // GROUP],
        views=None if batch.views is None else _some_views(batch.views, rank, count),
    )


def _some_views(views: Views, rank: int, count: int) -> Views:
    each = len(views.sizes) // count
    own = slice(rank * each, (rank + 1) * each)

    def cut(view: View) -> View:
        return replace(view, images=view.images[own], to_slice=view.to_slice[own])

    return Views(cut(views.teacher), tuple(map(cut, views.students)), views.sizes[own], views.structures[own])
