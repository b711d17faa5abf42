"""What one training step sees: groups of slices of one volume, augmented together, and the masks to be found in them.

A *learned* task asks for a structure by its own prompt; a *shown* task asks for whatever is drawn in the group's other
slices, through the proposer, so that the network learns to take up structures it has no prompt for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .augment import holes, phase, window
from .data import Sample
from .views import Views, make_views

SIZES = ((128, 160), (160, 160), (160, 192), (192, 192))
GROUP = 3
BENT, BEND, BEND_GRID = 0.75, 5.0, 28
"""How often slices are bent; how far control points move (standard deviation) and lie apart, in pixels."""
PHASE, HOLES = 0.5, 0.15
"""How often structures are enhanced otherwise, and how often boxes are filled with noise."""


@dataclass
class Batch:
    """``images`` (B, H, W, 3) -1..1, slices of one group next to each other; ``labels`` (B, H, W) global structure
    number + 1.

    A learned task is (slice, structure number, mask); a shown task is (slice, support slices, their masks, mask).
    ``views`` are for contrastive prototype assignment, one slice of each group's volume.
    """

    images: Tensor
    labels: Tensor
    annotated: Tensor
    learned: list[tuple[int, int]]
    learned_masks: Tensor
    shown: list[int]
    shown_masks: Tensor
    support: Tensor
    support_inside: Tensor
    support_outside: Tensor
    views: Views | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device; ``support`` are numbers that the host asks for."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor) and k != "support"}
        return replace(self, **moved, views=None if self.views is None else self.views.to(device))


class TaskSampler:
    """Draws batches. Structures are drawn evenly, so that small ones count as much as the liver.

    Views are made on ``device``; everything else on the host.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[Sample]],
        weights: Sequence[float],
        names: Sequence[str],
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.sets, self.names = [list(s) for s in sets], list(names)
        self.weights = np.asarray(weights, float) / np.sum(weights)
        self.number = {n: i for i, n in enumerate(names)}
        self.random = np.random.default_rng(seed)
        self.device = device

    def draw(self, groups: int, learned_per_slice: int = 1, views: bool = False, tasks: bool = True) -> Batch:
        """One batch of ``groups`` x ``GROUP`` slices with learned and shown tasks.

        With ``views``, also teacher's and students' views of ``groups`` slices, from the same volumes. Without
        ``tasks``, nothing but these; then volumes need no annotation.
        """
        if tasks:
            batch, samples = self._tasks(groups, learned_per_slice)
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
            name, anchor = self._anchor(sample, rng)
            around = self._neighbours(sample, [anchor], rng)
            slices.append(torch.from_numpy(np.array(sample.grey[around[0]])).to(self.device).float())
            structures.append(-1 if name is None else self.number[name])
        return make_views(slices, structures, rng)

    def _no_tasks(self) -> Batch:
        """A batch of no slices."""
        maps, none = torch.empty(0, 0, 0), torch.empty(0, GROUP - 1, dtype=torch.long)
        pairs = torch.empty(0, GROUP - 1, 0, 0)
        annotated = torch.zeros(0, len(self.names) + 1, dtype=torch.bool)
        return Batch(maps[..., None], maps.long(), annotated, [], maps, [], maps, none, pairs, pairs)

    def _tasks(self, groups: int, learned_per_slice: int) -> tuple[Batch, list[Sample]]:
        """A batch without views, and the volume of each group."""
        rng = self.random
        size = SIZES[rng.integers(len(SIZES))]
        images, labels, samples = [], [], []
        for _ in range(groups):
            sample = self._sample()
            x, y = self._group(sample, size)
            images.append(x)
            labels.append(y)
            samples += [sample] * GROUP
        x, y = torch.cat(images), torch.cat(labels)
        learned, learned_masks, shown, shown_masks, support, inside, outside = [], [], [], [], [], [], []
        annotated = torch.zeros(len(samples), len(self.names) + 1, dtype=torch.bool)
        for n, sample in enumerate(samples):
            annotated[n, [self.number[s] + 1 for s in sample.annotated]] = True
            present = torch.bincount(y[n].flatten(), minlength=len(self.names) + 1) > 4
            last = n % GROUP == GROUP - 1  # two tasks of each kind in a group are enough
            for _ in range(0 if last else learned_per_slice):
                options = [self.number[s] for s in sample.annotated]
                here = [o for o in options if present[o + 1]]
                pick = here if here and rng.random() < 0.75 else options
                structure = int(pick[rng.integers(len(pick))])
                learned.append((n, structure))
                learned_masks.append(y[n] == structure + 1)
            if last:
                continue
            others = [m for m in range(n - n % GROUP, n - n % GROUP + GROUP) if m != n]
            masks = self._shown_structure(x, y, n, others, sample)
            shown.append(n)
            shown_masks.append(masks[0])
            support.append(torch.tensor(others))
            shown_in = torch.stack(masks[1:])
            drawn = torch.ones_like(shown_in)
            if rng.random() < 0.3:  # one drawn slice only
                drawn[rng.integers(len(others))] = False
                if not (shown_in & drawn).any():
                    drawn[:] = True
            inside.append(shown_in & drawn)
            outside.append(~shown_in & drawn)
        batch = Batch(
            x, y, annotated, learned, torch.stack(learned_masks).float(), shown, torch.stack(shown_masks).float(),
            torch.stack(support), torch.stack(inside).float(), torch.stack(outside).float(),
        )  # fmt: skip
        return batch, samples[::GROUP]

    def _shown_structure(self, x: Tensor, y: Tensor, n: int, others: list[int], sample: Sample) -> list[Tensor]:
        """A structure that the group's other slices show: annotated, a union of two, or everything of one
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
            return [torch.isin(y[i], torch.tensor([c + 1 for c in chosen])) for i in indices]
        smooth = functional.avg_pool2d(x[indices, ..., 1][:, None], 5, 1, 2)[:, 0]
        body = smooth[1:][smooth[1:] > -0.6]
        centre = float(body[rng.integers(len(body))]) if len(body) else 0.0
        half = float(rng.uniform(0.06, 0.2))
        return [(s - centre).abs() < half for s in smooth]

    def _group(self, sample: Sample, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Augmented slices (GROUP, H, W, 3) and global labels (GROUP, H, W) of one volume, some of one structure."""
        rng = self.random
        count = len(sample.grey)
        name, anchor = self._anchor(sample, rng)
        assert name is not None  # a volume without any annotation has no tasks
        slices = sample.where[name]
        reach = rng.uniform(4, 60) / sample.slice_mm
        chosen = [anchor]
        near = slices[np.abs(slices - anchor) <= max(1, reach)]
        while len(chosen) < GROUP:
            if len(near) and rng.random() < 0.75:
                chosen.append(int(near[rng.integers(len(near))]))
            else:
                chosen.append(anchor + round(rng.uniform(-reach, reach)))
        chosen = [min(max(k, 0), count - 1) for k in chosen]
        around = self._neighbours(sample, chosen, rng)
        grey = torch.from_numpy(np.stack([sample.grey[a] for a in around])).float()
        label = torch.from_numpy(np.stack([sample.labels[k] for k in chosen])).long()
        # What is not annotated is not shown either: its few stray pixels would count as some structure's.
        table = torch.tensor([0, *(self.number[s] + 1 if s in sample.where else 0 for s in sample.structures)])
        inputs, target = self._affine(
            grey, table[label].float()[:, None], label == sample.structures.index(name) + 1, size
        )
        target = target[:, 0].round().long()
        if rng.random() < PHASE:
            inputs = phase(inputs, target, rng)
        x = self._intensity(inputs)
        if rng.random() < HOLES:
            x = holes(x, rng)
        return x.permute(0, 2, 3, 1).contiguous(), target

    @staticmethod
    def _anchor(sample: Sample, rng: np.random.Generator) -> tuple[str | None, int]:
        """A structure, drawn evenly, and a slice that most often shows it; no structure where none is annotated."""
        count = len(sample.grey)
        if not sample.where:
            return None, int(rng.integers(count))
        name = list(sample.where)[rng.integers(len(sample.where))]
        slices = sample.where[name]
        anchor = int(slices[rng.integers(len(slices))]) + (int(rng.integers(-3, 4)) if rng.random() < 0.2 else 0)
        if rng.random() < 0.1:  # anywhere: what is far from every structure has to be known as such
            anchor = int(rng.integers(count))
        return name, anchor

    @staticmethod
    def _neighbours(sample: Sample, chosen: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
        """Each of the ``chosen`` slices between its neighbours about 3 mm away."""
        stride = max(1, round(3.0 / sample.slice_mm * rng.choice([0.7, 1.0, 1.0, 1.6])))
        if rng.random() < 0.1:
            stride = 0  # very thick slices: neighbours tell nothing
        return [[min(max(k + d, 0), len(sample.grey) - 1) for d in (-stride, 0, stride)] for k in chosen]

    def _affine(self, grey: Tensor, label: Tensor, focus: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Rotation, scaling, shear, shift and bending, nearly the same for the whole group; no flips (left is not
        right)."""
        rng = self.random
        height, width = grey.shape[-2:]
        angle, zoom, shear = rng.normal(0, 0.12), np.exp(rng.normal(0.05, 0.18)), rng.normal(0, 0.03)
        aspect = np.exp(rng.normal(0, 0.05))
        slack = np.maximum(0, np.array([height, width]) - np.array(size) * zoom) / 2 + 12
        shift = rng.uniform(-1, 1, 2) * slack
        if focus.any() and rng.random() < 0.5:  # keep the anchor's structure in view
            centre = np.argwhere(focus.numpy()).mean(0)[1:] - np.array([height, width]) / 2
            limit = np.array(size) * zoom * 0.4
            shift = np.clip(shift, centre - limit, centre + limit)
        thetas = []
        for _ in range(len(grey)):
            a = angle + rng.normal(0, 0.02)
            s = zoom * np.exp(rng.normal(0, 0.02))
            matrix = (
                np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
                @ np.array([[aspect, shear], [0, 1 / aspect]])
                * s
            )
            # In normalised (x, y) coordinates of grid_sample, corners not aligned.
            scale = np.array([[size[1] / width, size[0] / width], [size[1] / height, size[0] / height]])
            t = (shift[::-1] + rng.normal(0, 1.0, 2)) * 2 / np.array([width, height])
            thetas.append(np.concatenate([matrix * scale, t[:, None]], 1))
        theta = torch.from_numpy(np.stack(thetas)).float()
        field = functional.affine_grid(theta, [len(grey), 1, *size], align_corners=False)
        if rng.random() < BENT:
            field = field + _bend(size, rng) * (2 / torch.tensor([width, height]))
        x = functional.grid_sample(grey, field, mode="bilinear", padding_mode="border", align_corners=False)
        y = functional.grid_sample(label, field, mode="nearest", padding_mode="zeros", align_corners=False)
        return x, y

    def _intensity(self, x: Tensor) -> Tensor:
        """Brightness, contrast, gamma, noise, blur and windows, the same for the group; grey 0..255 in, -1..1 out."""
        rng = self.random
        x = window(x, rng)
        if rng.random() < 0.7:
            x = (x - 127.5) * float(np.exp(rng.normal(0, 0.12))) + 127.5 + float(rng.normal(0, 7))
        if rng.random() < 0.25:
            x = 255 * (x.clamp(0, 255) / 255) ** float(np.exp(rng.normal(0, 0.2)))
        if rng.random() < 0.2:
            x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if rng.random() < 0.5:
            noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
            x = x + noise * float(rng.uniform(0, 10))
        return x.clamp(0, 255) / 127.5 - 1


def _bend(size: tuple[int, int], random: np.random.Generator) -> Tensor:
    """A smooth displacement in pixels, (H, W, 2) as x and y: no two patients have organs of one shape."""
    counts = [2 + side // BEND_GRID for side in size]
    points = random.standard_normal((1, 2, *counts)) * random.uniform(0, BEND)
    smooth = functional.interpolate(torch.from_numpy(points).float(), size, mode="bicubic", align_corners=True)
    return smooth[0].permute(1, 2, 0)
