"""What one training step sees: groups of slices, and the masks to be found in them.

A *prompted* task asks for a structure by its own prompt; an *episodic* (few-shot) task asks for what is drawn in other
slices, through the proposer, so that the network learns to take up structures it has no prompt for: annotated ones,
drawn in another patient or in the same one, and regions that nobody annotated. Annotated organs alone would teach the
network that all else is background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .contrastive_views import Views, make_views
from .groups import GROUP, Group, GroupSampler, anchor_of, neighbours
from .sample import UNIONS, Sample

SIZES = ((128, 160), (160, 160), (160, 192), (192, 192))
MAX_HEADS = 24
"""Structures of a group that the dense loss asks for: enough for every data set but those with a hundred labels."""


@dataclass
class Batch:
    """``images`` (B, H, W, 5) -1..1, slices of one group next to each other; ``labels`` (B, H, W) global structure
    number + 1.

    A prompted task is (slice, structure number, mask); an episodic task is (slice, support slices, their masks, mask).
    ``heads`` (groups, n) are the structures whose heads the dense loss asks for, -1 for none. ``views`` are for
    contrastive prototype assignment, one slice of each group's volume.
    """

    images: Tensor
    labels: Tensor
    annotated: Tensor
    prompted: list[tuple[int, int]]
    prompted_masks: Tensor
    episodic: list[int]
    episodic_masks: Tensor
    support: Tensor
    support_inside: Tensor
    support_outside: Tensor
    heads: Tensor
    views: Views | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device; ``support`` are numbers that the host asks for."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self._tensors().items()}
        return replace(self, **moved, views=None if self.views is None else self.views.to(device))

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU copies from without waiting."""
        return replace(self, **{k: v.pin_memory() for k, v in self._tensors().items()})

    def _tensors(self) -> dict[str, Tensor]:
        return {k: v for k, v in vars(self).items() if isinstance(v, Tensor) and k != "support"}


class TaskSampler:
    """Draws batches. Structures are drawn evenly, so that small ones count as much as the liver.

    ``pseudo`` is how many groups are about regions that nobody annotated, ``elsewhere`` how many of the others come in
    pairs of two patients, ``apart`` how many are augmented slice by slice; ``own`` are the
    structures of prompted tasks, or else all. Views are made on ``device``; everything
    else on the host.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[Sample]],
        weights: Sequence[float],
        names: Sequence[str],
        seed: int,
        device: torch.device | str = "cpu",
        *,
        pseudo: float = 0.0,
        elsewhere: float = 0.0,
        apart: float = 0.0,
        own: Sequence[str] = (),
    ) -> None:
        self.sets, self.names = [list(s) for s in sets], list(names)
        self.weights = np.asarray(weights, float) / np.sum(weights)
        self.number = {n: i for i, n in enumerate(names)}
        self.random = np.random.default_rng(seed)
        self.device, self.pseudo, self.elsewhere = device, pseudo, elsewhere
        self.groups = GroupSampler(self.number, self.random, apart)
        self.own = {self.number[n] for n in own or names if n in self.number}
        self._member = membership(self.names)
        self._showing: dict[str, list[tuple[float, Sample]]] = {}
        for share, samples in zip(self.weights, self.sets, strict=True):
            for sample in samples:
                for name in sample.where if sample is not None else ():
                    self._showing.setdefault(name, []).append((share / len(samples), sample))

    def reseed(self, random: np.random.Generator) -> None:
        """Draw from these random numbers from now on."""
        self.random = self.groups.random = random

    def draw(
        self, groups: int, prompt_tasks: int = 1, views: bool = False, tasks: bool = True, *, ranks: int = 1
    ) -> Batch:
        """One batch of ``groups`` x ``GROUP`` slices with prompted and episodic tasks, for ``ranks`` processes.

        With ``views``, also teacher's and students' views of ``groups`` slices, from the same volumes. Without
        ``tasks``, nothing but these; then volumes need no annotation.
        """
        if tasks:
            drawn, partner = self._groups(groups, groups // ranks)
            batch, samples = self._tasks(drawn, partner, prompt_tasks), [g.sample for g in drawn]
        else:
            batch, samples = self._no_tasks(), [self._sample() for _ in range(groups)]
        if views:
            batch.views = self._views(samples)
        return batch

    def _sample(self) -> Sample:
        """A volume: first a data set by its weight, then any of it."""
        pool = self.sets[self.random.choice(len(self.sets), p=self.weights)]
        return pool[self.random.integers(len(pool))]

    def _views(self, samples: Sequence[Sample]) -> Views:
        """Views of one slice of each volume, most often one that shows a structure which is drawn evenly."""
        rng = np.random.default_rng(int(self.random.integers(2**63 - 1)))
        slices, structures = [], []
        for sample in samples:
            name, anchor = anchor_of(sample, rng)
            around = neighbours(sample, [anchor], rng)
            slices.append(torch.from_numpy(np.array(sample.grey[around[0]])).to(self.device).float())
            structures.append(-1 if name is None else self.number[name])
        return make_views(slices, structures, rng)

    def _no_tasks(self) -> Batch:
        """A batch of no slices."""
        maps, none = torch.empty(0, 0, 0), torch.empty(0, GROUP - 1, dtype=torch.long)
        pairs = torch.empty(0, GROUP - 1, 0, 0)
        annotated = torch.zeros(0, len(self.names) + 1, dtype=torch.bool)
        return Batch(maps[..., None], maps.long(), annotated, [], maps, [], maps, none, pairs, pairs, none[:, :0])

    def _groups(self, count: int, each: int) -> tuple[list[Group], list[int | None]]:
        """Groups, and for each the number of the group that shows the same structure in another patient: the one beside
        it, among the ``each`` that go to one process."""
        rng = self.random
        size = SIZES[rng.integers(len(SIZES))]
        drawn: list[Group] = []
        partner: list[int | None] = []
        while len(drawn) < count:
            sample = self._sample()
            drawn.append(self.groups.draw(sample, size, region=bool(self.pseudo) and rng.random() < self.pseudo))
            partner.append(None)
            name = drawn[-1].structure
            place = (len(drawn) - 1) % each
            room = place % 2 == 0 and place + 1 < each
            if room and name is not None and self.elsewhere and rng.random() < self.elsewhere:
                other = self._other(name, sample)
                if other is not None:
                    drawn.append(self.groups.draw(other, size, name))
                    partner[-1] = len(drawn) - 1
                    partner.append(len(drawn) - 2)
        return drawn, partner

    def _other(self, name: str, sample: Sample) -> Sample | None:
        """A volume of another subject that shows a structure, of any data set."""
        others = [(share, s) for share, s in self._showing.get(name, ()) if s.subject != sample.subject]
        if not others:
            return None
        shares = np.array([share for share, _ in others])
        return others[self.random.choice(len(others), p=shares / shares.sum())][1]

    def _tasks(self, drawn: Sequence[Group], partner: Sequence[int | None], prompt_tasks: int) -> Batch:
        rng = self.random
        x, y = torch.cat([g.images for g in drawn]), torch.cat([g.labels for g in drawn])
        prompted, prompted_masks, episodic, episodic_masks, support, inside, outside = [], [], [], [], [], [], []
        annotated = torch.zeros(len(y), len(self.names) + 1, dtype=torch.bool)
        for at, group in enumerate(drawn):
            options = [self.number[s] for s in group.sample.annotated]
            own = range(at * GROUP, (at + 1) * GROUP)
            annotated[own.start : own.stop, [o + 1 for o in options]] = True
            for n in own[:-1]:  # two tasks of each kind in a group are enough
                present = self._member[:, torch.bincount(y[n].flatten(), minlength=len(self.names) + 1) > 4].any(1)
                asked = [o for o in options if o in self.own]
                here = [o for o in asked if present[o]]
                for _ in range(prompt_tasks if asked else 0):
                    pick = here if here and rng.random() < 0.75 else asked
                    structure = int(pick[rng.integers(len(pick))])
                    prompted.append((n, structure))
                    prompted_masks.append(self._mask(y[n], structure))
                other = partner[at]
                others, masks = self._episode(x, y, n, own, group, None if other is None else drawn[other], other)
                episodic.append(n)
                episodic_masks.append(masks[0])
                support.append(torch.tensor(others))
                asked_in = torch.stack(masks[1:])
                drawn_in = torch.ones_like(asked_in)
                if rng.random() < 0.3:  # one drawn slice only
                    drawn_in[rng.integers(len(others))] = False
                    if not (asked_in & drawn_in).any():
                        drawn_in[:] = True
                inside.append(asked_in & drawn_in)
                outside.append(~asked_in & drawn_in)
        none = torch.empty(0, *y.shape[1:])
        return Batch(
            x, y, annotated, prompted, torch.stack(prompted_masks).float() if prompted else none,
            episodic, torch.stack(episodic_masks).float(),
            torch.stack(support), torch.stack(inside).float(), torch.stack(outside).float(), self._heads(drawn),
        )  # fmt: skip

    def _mask(self, labels: Tensor, structure: int) -> Tensor:
        """Where a structure is in a map of global labels."""
        return self._member[structure][labels]

    def _heads(self, drawn: Sequence[Group]) -> Tensor:
        """Which structures the dense loss asks for in each group: all, or those that are seen and some others."""
        chosen = []
        for group in drawn:
            options = np.array([self.number[s] for s in group.sample.annotated], int)
            if len(options) > MAX_HEADS:
                present = torch.bincount(group.labels.flatten(), minlength=len(self.names) + 1) > 4
                seen = self._member[options][:, present].any(1).numpy()
                order = self.random.random(len(options)) + 0.7 * seen
                options = options[np.argsort(-order)[:MAX_HEADS]]
            chosen.append(options)
        table = np.full((len(chosen), max(1, *map(len, chosen))), -1)
        for row, options in zip(table, chosen, strict=True):
            row[: len(options)] = options
        return torch.from_numpy(table)

    def _episode(
        self, x: Tensor, y: Tensor, n: int, own: range, group: Group, other: Group | None, at: int | None
    ) -> tuple[list[int], list[Tensor]]:
        """What slice ``n`` is asked for: the support slices, and the masks in it and in them."""
        rng = self.random
        others = [m for m in own if m != n]
        if other is not None and at is not None and group.structure and rng.random() < 0.75:
            structure = self.number[group.structure]
            masks = [self._mask(other.labels[m], structure) for m in range(GROUP)]
            best = sorted(range(GROUP), key=lambda m: -int(masks[m].sum() > 8))[: GROUP - 1]
            if masks[best[0]].any():
                return [at * GROUP + m for m in best], [self._mask(y[n], structure), *(masks[m] for m in best)]
        if group.region is not None and rng.random() < 0.85:
            region = [group.region[m - own.start] for m in (n, *others)]
            if torch.stack(region[1:]).any():
                return others, region
        return others, self._episode_structure(x, y, n, others, group.together)

    def _episode_structure(self, x: Tensor, y: Tensor, n: int, others: list[int], together: bool) -> list[Tensor]:
        """A structure that the group's other slices show: annotated, a union of two, a part, or everything of one
        brightness."""
        rng = self.random
        there = torch.bincount(y[others].flatten(), minlength=len(self.names) + 1)[1:] > 8
        options = [i for i in range(len(self.names)) if there[i]]
        indices = [n, *others]
        if options and rng.random() < 0.8:
            # Half of the time one that the asked-for slice shows as well.
            here = [o for o in options if (y[n] == o + 1).sum() > 4]
            options = here if here and rng.random() < 0.8 else options
            chosen = {int(options[rng.integers(len(options))])}
            if rng.random() < 0.15:
                chosen.add(int(options[rng.integers(len(options))]))
            masks = [torch.isin(y[i], torch.tensor([c + 1 for c in chosen])) for i in indices]
            if together and rng.random() < 0.15:
                part = [m & half for m, half in zip(masks, [_half(torch.stack(masks), rng)] * len(masks), strict=True)]
                if torch.stack(part[1:]).any():
                    return part
            return masks
        middle = x.shape[-1] // 2
        smooth = functional.avg_pool2d(x[indices, ..., middle][:, None], 5, 1, 2)[:, 0]
        body = smooth[1:][smooth[1:] > -0.6]
        centre = float(body[rng.integers(len(body))]) if len(body) else 0.0
        half = float(rng.uniform(0.06, 0.2))
        return [(s - centre).abs() < half for s in smooth]


def membership(names: Sequence[str]) -> Tensor:
    """Which labels (structure number + 1) belong to which structure, (names, names + 1) bool: its own, and those of its
    parts."""
    member = torch.zeros(len(names), len(names) + 1, dtype=torch.bool)
    number = {n: i for i, n in enumerate(names)}
    for name, i in number.items():
        member[i, i + 1] = True
        for part in UNIONS.get(name, ()):
            if part in number:
                member[i, number[part] + 1] = True
    return member


def _half(masks: Tensor, rng: np.random.Generator) -> Tensor:
    """One side of a line through the middle of what the masks (n, H, W) show, (H, W) bool: an organ that is cut."""
    rows, columns = (torch.arange(s, dtype=torch.float32) for s in masks.shape[1:])
    where = masks.any(0).nonzero().float()
    centre = where.mean(0) if len(where) else torch.tensor([len(rows) / 2, len(columns) / 2])
    angle = float(rng.uniform(0, 2 * np.pi))
    return (rows[:, None] - centre[0]) * np.sin(angle) + (columns - centre[1]) * np.cos(angle) > 0
