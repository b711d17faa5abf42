"""A group: a few slices of one volume around one structure, augmented, with everything that is known of them.

The structure is annotated, or a region of even grey that nobody annotated (:mod:`~.regions`). Slices of a group are
augmented together, or half of the time each on its own: what is shown in one patient has to be found in another, who
lies and is windowed otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .augment import holes, phase, window
from .sample import FAR_MM, NEAR_MM, Sample

GROUP = 3
BENT, BEND, BEND_GRID = 0.75, 5.0, 28
"""How often slices are bent; how far control points move (standard deviation) and lie apart, in pixels."""
PHASE, HOLES = 0.5, 0.15
"""How often structures are enhanced otherwise, and how often boxes are filled with noise."""
SMALLEST_ML, LARGEST_ML = 1.0, 300.0
"""Sizes of the regions that are asked for."""


@dataclass
class Group:
    """``images`` (GROUP, H, W, 5) -1..1; ``labels`` (GROUP, H, W) global structure number + 1; ``region`` (GROUP, H, W)
    bool, where the group is about a region; ``structure`` is the name of the annotated structure it is about."""

    sample: Sample
    images: Tensor
    labels: Tensor
    structure: str | None = None
    region: Tensor | None = None
    together: bool = True


class GroupSampler:
    """Draws groups; ``number`` gives the global number of each structure."""

    def __init__(self, number: dict[str, int], random: np.random.Generator, apart: float) -> None:
        self.number, self.random, self.apart = number, random, apart

    def draw(self, sample: Sample, size: tuple[int, int], structure: str | None = None, region: bool = False) -> Group:
        """Slices of ``sample`` around ``structure``, any annotated one, or a ``region`` where it has some."""
        rng = self.random
        found = self._region(sample) if region or not sample.where else None
        if found is None:
            name, anchor = (structure, _slice_of(sample, structure, rng)) if structure else anchor_of(sample, rng)
            slices, node = (sample.where[name] if name else np.array([], int)), None
        else:
            name, (node, anchor, slices) = None, found
        chosen = self._slices(sample, anchor, slices)
        grey = torch.from_numpy(np.stack([sample.grey[a] for a in neighbours(sample, chosen, rng)])).float()
        label = torch.from_numpy(np.stack([sample.labels[k] for k in chosen])).long()
        # What is not annotated is not shown either: its few stray pixels would count as some structure's.
        table = torch.tensor([0, *(self.number[s] + 1 if s in sample.known else 0 for s in sample.structures)])
        maps = [table[label].float()]
        if node is not None and sample.regions is not None:
            maps.append(torch.from_numpy(sample.regions.mask(node, chosen)).float())
            focus = maps[1] > 0
        elif name is not None:
            focus = torch.isin(label, torch.tensor(sample.values(name)))
        else:
            focus = torch.zeros_like(label, dtype=torch.bool)
        together = rng.random() >= self.apart
        inputs, target = self._affine(grey, torch.stack(maps, 1), focus, size, together)
        labels = target[:, 0].round().long()
        if rng.random() < PHASE:
            inputs = phase(inputs, labels, rng)
        images = torch.cat([self._intensity(part) for part in ([inputs] if together else inputs.split(1))])
        if rng.random() < HOLES:
            images = holes(images, rng)
        known = None if node is None else target[:, 1] > 0.5
        return Group(sample, images.permute(0, 2, 3, 1).contiguous(), labels, name, known, together)

    def _region(self, sample: Sample) -> tuple[int, int, np.ndarray] | None:
        """A region that shows well somewhere: its node, such a slice, and the slices around that show it."""
        regions, rng = sample.regions, self.random
        if regions is None:
            return None
        for _ in range(8):
            k = int(rng.integers(len(sample.grey)))
            places = np.flatnonzero(np.asarray(regions.base[k]).ravel())
            if not len(places):
                continue
            row, column = divmod(int(places[rng.integers(len(places))]), regions.base.shape[2])
            node = regions.pick((k, row, column), SMALLEST_ML, LARGEST_ML, rng)
            if node is None:
                continue
            reach = max(1, round(45 / sample.slice_mm))
            around = np.arange(max(0, k - reach), min(len(sample.grey), k + reach + 1))
            pixels = regions.mask(node, slice(int(around[0]), int(around[-1]) + 1)).sum((1, 2))
            slices = around[pixels >= 6]
            if k in slices:
                return node, k, slices
        return None

    def _slices(self, sample: Sample, anchor: int, slices: np.ndarray) -> list[int]:
        """The anchor and others nearby, most often of those that show what the group is about."""
        rng, count = self.random, len(sample.grey)
        reach = rng.uniform(4, 60) / sample.slice_mm
        near = slices[np.abs(slices - anchor) <= max(1, reach)] if len(slices) else slices
        chosen = [anchor]
        while len(chosen) < GROUP:
            if len(near) and rng.random() < 0.75:
                chosen.append(int(near[rng.integers(len(near))]))
            else:
                chosen.append(anchor + round(rng.uniform(-reach, reach)))
        return [min(max(k, 0), count - 1) for k in chosen]

    def _affine(
        self, grey: Tensor, maps: Tensor, focus: Tensor, size: tuple[int, int], together: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Rotation, scaling, shear, shift and bending of grey (B, C, H, W) and maps (B, M, H, W), nearly the same for
        all slices or each on its own; no flips (left is not right)."""
        rng = self.random
        height, width = grey.shape[-2:]
        thetas: list[np.ndarray] = []
        fixed: tuple | None = None
        in_view = rng.random() < 0.5
        for n in range(len(grey)):
            if fixed is None or not together:
                angle, zoom, shear = rng.normal(0, 0.12), np.exp(rng.normal(0.05, 0.18)), rng.normal(0, 0.03)
                aspect = np.exp(rng.normal(0, 0.05))
                slack = np.maximum(0, np.array([height, width]) - np.array(size) * zoom) / 2 + 12
                shift = rng.uniform(-1, 1, 2) * slack
                where = focus if together else focus[n : n + 1]
                if in_view and where.any():  # keep the structure in view
                    centre = np.argwhere(where.numpy()).mean(0)[1:] - np.array([height, width]) / 2
                    limit = np.array(size) * zoom * 0.4
                    shift = np.clip(shift, centre - limit, centre + limit)
                fixed = angle, zoom, shear, aspect, shift
            angle, zoom, shear, aspect, shift = fixed
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
            bends = [bend(size, rng) for _ in range(1 if together else len(grey))]
            field = field + torch.stack(bends) * (2 / torch.tensor([width, height]))
        x = functional.grid_sample(grey, field, mode="bilinear", padding_mode="border", align_corners=False)
        y = functional.grid_sample(maps, field, mode="nearest", padding_mode="zeros", align_corners=False)
        return x, y

    def _intensity(self, x: Tensor) -> Tensor:
        """Brightness, contrast, gamma, noise, blur and windows, the same for all; grey 0..255 in, -1..1 out."""
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


def anchor_of(sample: Sample, rng: np.random.Generator) -> tuple[str | None, int]:
    """A structure, drawn evenly, and a slice that most often shows it; no structure where none is annotated."""
    if not sample.where:
        return None, int(rng.integers(len(sample.grey)))
    name = list(sample.where)[rng.integers(len(sample.where))]
    anchor = _slice_of(sample, name, rng)
    if rng.random() < 0.1:  # anywhere: what is far from every structure has to be known as such
        anchor = int(rng.integers(len(sample.grey)))
    return name, anchor


def _slice_of(sample: Sample, name: str, rng: np.random.Generator) -> int:
    """A slice that shows the structure, or sometimes one close by."""
    slices = sample.where[name]
    return int(slices[rng.integers(len(slices))]) + (int(rng.integers(-3, 4)) if rng.random() < 0.2 else 0)


def neighbours(sample: Sample, chosen: Sequence[int], rng: np.random.Generator) -> list[list[int]]:
    """Each of the ``chosen`` slices between its neighbours about 3 and about 12 mm away."""
    varied = rng.choice([0.7, 1.0, 1.0, 1.6])
    near = max(1, round(NEAR_MM / sample.slice_mm * varied))
    far = max(near, round(FAR_MM / sample.slice_mm * varied**0.5))
    if rng.random() < 0.1:
        near = far = 0  # very thick slices: neighbours tell nothing
    last = len(sample.grey) - 1
    return [[min(max(k + d, 0), last) for d in (-far, -near, 0, near, far)] for k in chosen]


def bend(size: tuple[int, int], random: np.random.Generator) -> Tensor:
    """A smooth displacement in pixels, (H, W, 2) as x and y: no two patients have organs of one shape."""
    counts = [2 + side // BEND_GRID for side in size]
    points = random.standard_normal((1, 2, *counts)) * random.uniform(0, BEND)
    smooth = functional.interpolate(torch.from_numpy(points).float(), size, mode="bicubic", align_corners=True)
    return smooth[0].permute(1, 2, 0)
