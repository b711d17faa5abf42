"""What is changed in a picture, but not where things are in it: windows, erased and shuffled boxes, intensity.

Kinds, chances and strengths are those of "Prompt Tuning for Parameter-efficient Medical Image Segmentation" (Fischer,
Bartler, Yang, arXiv 2211.09233) as its code has them, sizes brought from its 1.25 mm to the working grid's 2 mm. Maps
stay on the device that they are on; the few numbers that decide what happens come from one generator on the host, so
that they are the same on every device. Nothing is ever flipped: left is not right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.polynomial.legendre import legvander
from torch import Tensor
from torch.nn import functional

from ..volumes.preprocess import grey_from_hu

Change = Callable[[Tensor, np.random.Generator], Tensor]

SMALL = (3, 12)
"""Sides of holes and shuffled boxes, in pixels of 2 mm (paper: 5 to 20 of 1.25 mm)."""
LARGE = (30, 60)
"""Sides of the boxes that are kept (paper: 48 to 96)."""
CHANCE = 0.1
"""Of each kind of erasure, and of each change of intensity."""
STUDENT_SHIFT, TEACHER_SHIFT = 0.25, 0.1
"""The most that a picture is shifted by, in its own standard deviations."""
ENHANCEMENT = 8.0
"""Standard deviation in grey levels, about 17 HU in soft tissue."""
CONTROL_POINTS = (8, 12)
DEGREE, COEFFICIENT = 3, 0.1


def window(x: Tensor, random: np.random.Generator) -> Tensor:
    """Grey 0..255 of any shape as another window would show it.

    A volume that was clipped to soft tissue sometimes gets air and bone, as a full one has; a full one is sometimes
    clipped. So networks learn from both kinds and for both.
    """
    low, high = float(x.min()), float(x.max())
    floor = float(grey_from_hu(np.array(-125.0)))
    if low > floor - 3:
        if random.random() < 0.5:
            x = torch.where(x <= low + 1.5, torch.full_like(x, float(random.uniform(0, 20))), x)
        if random.random() < 0.3:
            x = torch.where(x >= high - 1.5, x + float(random.uniform(0, 20)), x)
    elif random.random() < 0.4:
        bounds = grey_from_hu(np.array([random.uniform(-200, -80), random.uniform(200, 400)]))
        x = x.clamp(float(bounds[0]), float(bounds[1]))
    return x


def phase(x: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
    """Grey (B, C, H, W) with each structure of ``labels`` (B, H, W), 0 for none, a little brighter or darker.

    The same structure by the same amount in all pictures: organs and vessels differ by when after the injection a CT
    was taken, and a few volumes show only a few such times. Edges are softened, so that a step tells nothing by itself.
    """
    steps = random.normal(0, ENHANCEMENT, int(labels.max()) + 1)
    steps[0] = 0.0
    change = _like(steps, x)[labels][:, None]
    return x + functional.avg_pool2d(change, 3, 1, 1, count_include_pad=False)


def vary(x: Tensor, random: np.random.Generator, student: bool) -> Tensor:
    """Pictures (B, C, H, W) in -1..1, each changed by chance on its own, all channels of one alike.

    Students may lose parts: one of :func:`holes`, :func:`keep_boxes` and :func:`shuffle_boxes`, or none. Then bias
    field, shift, gamma and histogram, each by chance.
    """
    if student:
        kinds: tuple[Change, ...] = (holes, keep_boxes, shuffle_boxes)
        kind = random.choice(len(kinds) + 1, len(x), p=[1 - CHANCE * len(kinds), *[CHANCE] * len(kinds)])
        for n, change in enumerate(kinds):
            x = _some(x, kind == n + 1, change, random)
    limit = STUDENT_SHIFT if student else TEACHER_SHIFT
    for change in (bias_field, partial(shift, limit=limit), gamma, histogram):
        x = _some(x, random.random(len(x)) < CHANCE, change, random)
    return x


def holes(x: Tensor, random: np.random.Generator) -> Tensor:
    """One to three boxes filled with noise."""
    return torch.where(_inside(x, random, (1, 3), SMALL), _noise(x, random), x)


def keep_boxes(x: Tensor, random: np.random.Generator) -> Tensor:
    """Noise everywhere but in six boxes."""
    return torch.where(_inside(x, random, (6, 6), LARGE), x, _noise(x, random))


def shuffle_boxes(x: Tensor, random: np.random.Generator) -> Tensor:
    """One to three boxes whose pixels change places among each other."""
    batch, channels, height, width = x.shape
    side = min(SMALL[1], height, width)
    counts = random.integers(1, 4, batch)
    row, column = np.divmod(np.arange(side * side), side)
    flat = x.flatten(2).clone()
    for n in range(3):
        box = random.integers(min(SMALL[0], side), side + 1, (2, batch, 1)) * (n < counts)[:, None]
        top = random.integers(0, height - side + 1, (batch, 1))
        left = random.integers(0, width - side + 1, (batch, 1))
        place = (top + row) * width + left + column
        used = (row < box[0]) & (column < box[1])
        # Stable sorting puts the pixels outside of the box last, in the same order both times: they stay.
        target = np.take_along_axis(place, np.where(used, 0.0, 2.0).argsort(1, kind="stable"), 1)
        source = np.take_along_axis(place, np.where(used, random.random(used.shape), 2.0).argsort(1, kind="stable"), 1)
        to, of = (torch.from_numpy(p)[:, None].expand(-1, channels, -1).to(x.device) for p in (target, source))
        flat = flat.scatter(2, to, flat.gather(2, of))
    return flat.view_as(x)


def bias_field(x: Tensor, random: np.random.Generator) -> Tensor:
    """Brightness times a smooth field: the exponential of a polynomial of third degree in row and column."""
    batch, _, height, width = x.shape
    coefficients = random.uniform(-COEFFICIENT, COEFFICIENT, (batch, DEGREE + 1, DEGREE + 1))
    coefficients *= np.add.outer(np.arange(DEGREE + 1), np.arange(DEGREE + 1)) <= DEGREE
    rows, columns = (_like(legvander(np.linspace(-1, 1, n), DEGREE), x) for n in (height, width))
    field = (rows @ _like(coefficients, x) @ columns.T).exp_()
    return ((x + 1) * field[:, None] - 1).clamp(-1, 1)


def shift(x: Tensor, random: np.random.Generator, limit: float = STUDENT_SHIFT) -> Tensor:
    """Brighter or darker by up to ``limit`` standard deviations of the picture."""
    factor = _like(random.uniform(-limit, limit, (len(x), 1, 1, 1)), x)
    return (x + factor * x.std((1, 2, 3), keepdim=True)).clamp(-1, 1)


def gamma(x: Tensor, random: np.random.Generator) -> Tensor:
    """Another contrast: 0..1 brightness to the power of 0.5 to 4.5."""
    exponent = _like(random.uniform(0.5, 4.5, (len(x), 1, 1, 1)), x)
    return ((x + 1) / 2).clamp(0, 1) ** exponent * 2 - 1


def histogram(x: Tensor, random: np.random.Generator) -> Tensor:
    """Brightness through a monotone, piecewise linear curve: evenly spaced control points, each of which moves
    between its neighbours; the ends stay."""
    batch, points = len(x), CONTROL_POINTS[1]
    count = random.integers(CONTROL_POINTS[0], points + 1, (batch, 1))
    curve = np.minimum(np.arange(points) / (count - 1), 1.0)
    for n in range(1, points - 1):
        moved = curve[:, n - 1] + random.random(batch) * (curve[:, n + 1] - curve[:, n - 1])
        curve[:, n] = np.where(n < count[:, 0] - 1, moved, curve[:, n])
    last = _like(count, x)[..., None, None] - 1
    place = ((x + 1) / 2).clamp(0, 1) * last
    below = torch.minimum(place.floor(), last - 1)
    index, table = below.long().flatten(1), _like(curve, x)
    low, high = table.gather(1, index).view_as(x), table.gather(1, index + 1).view_as(x)
    return torch.lerp(low, high, place - below) * 2 - 1


def _some(x: Tensor, chosen: np.ndarray, change: Change, random: np.random.Generator) -> Tensor:
    """``x`` with those of its pictures changed that are ``chosen`` (B,)."""
    if not chosen.any():
        return x
    index = torch.from_numpy(np.flatnonzero(chosen)).to(x.device)
    return x.index_copy(0, index, change(x[index], random))


def _inside(x: Tensor, random: np.random.Generator, count: tuple[int, int], side: tuple[int, int]) -> Tensor:
    """Whether a pixel is in one of ``count`` random boxes: (B, 1, H, W)."""
    batch, boxes = len(x), (len(x), count[1])
    used = np.arange(count[1]) < random.integers(count[0], count[1] + 1, (batch, 1))
    masks = []
    for size in x.shape[2:]:
        length = np.minimum(random.integers(side[0], side[1] + 1, boxes), size)
        start = random.integers(0, size - length + 1)[..., None]
        line = np.arange(size)
        masks.append(torch.from_numpy((line >= start) & (line < start + length[..., None]) & used[..., None]))
    rows, columns = (m.to(x.device) for m in masks)
    return (rows.transpose(1, 2).to(x.dtype) @ columns.to(x.dtype) > 0.5)[:, None]


def _noise(x: Tensor, random: np.random.Generator) -> Tensor:
    """Uniform noise -1..1, made on the device of ``x``."""
    generator = torch.Generator(x.device).manual_seed(int(random.integers(2**63 - 1)))
    return torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) * 2 - 1


def _like(values: np.ndarray, x: Tensor) -> Tensor:
    """Numbers from the host, as ``x`` has them."""
    return torch.from_numpy(values).to(x)
