"""What the backbone sees in a CT, for registration to compare: the features that tell organs apart.

Features of a network that was trained to segment are alike in two patients where grey values are not, and better to
register by (Siebert et al., "ConvexAdam", IEEE TMI 2024, with semantic features; Song et al., "DINO-Reg", MICCAI 2024).
These are the decoder's, under the deep tokens under which pre-training showed all structures; what they are worth here
is in ``docs/experiments.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ..errors import BackboneError
from ..model.overview_net import OverviewNet, overview_net
from ..progress import ShouldStop, check, never
from ..volumes.preprocess import WorkingVolume, hu_from_grey
from ..volumes.volume import Volume
from .picture import Picture
from .sampling import Frame, halved, sample

if TYPE_CHECKING:
    from ..model.backbone import Backbone

COUNT = 8
"""Principal components that are compared: as good as all sixteen features, at half the cost."""
WEIGHT = 0.25
"""Of the squared differences of the features, whose total variance is one, beside those of grey and self-similarity."""
FINE_MM = 2.5
"""Spacing at which the network sees pictures of 3 mm: as good as its own 2 mm, in two thirds of the time."""
NOTHING, PLENTY = 0.25, 0.6
"""Of :meth:`View.telling`: up to the first the features do not count, from the second on in full. What a backbone was
taught has 0.3 (pancreas, portal vein) to 3 (spleen) in two teachers, muscles, iliac vessels and bowel 0.06 to 0.3
(weights of ``e8d4546``)."""
RING = 3
"""Blocks around a structure that it is told apart from."""
BATCH = 4
"""Slices at once: a stop is heard between batches."""
SHOWN = 1000
"""Voxels of 3 mm, 27 ml, from which on an organ counts as shown: small ones cost as much time and tell less."""
KEPT = 4
"""Pictures of which a session keeps what was seen, some 8 MB each."""

Look = Callable[[Picture], "View"]


class View:
    """A picture's features on blocks of 2 x 2 x 2 of its voxels, made slice by slice where they are asked for."""

    def __init__(self, picture: Picture, backbone: Backbone, overview: Callable[[], OverviewNet] | None = None) -> None:
        self._picture, self._backbone, self._overview = picture, backbone, overview
        self._seen: tuple[Mapping[str, Tensor], np.ndarray | None] | None = None
        self.frame = Frame(picture.grey.shape, picture.origin, picture.spacing).coarser()  # type: ignore[arg-type]
        self._work: WorkingVolume | None = None
        self._where: Tensor | None = None
        self._made = np.zeros(self.frame.shape[0], bool)
        self._features: Tensor | None = None

    def at(self, points: Tensor, should_stop: ShouldStop = never) -> Tensor:
        """The features (C, ...) float32 at positions (..., 3) along S, A, R in mm; those of the border beyond it.
        Raises ``Stopped``."""
        places = (points[..., 0] - self.frame.origin[0]) / self.frame.spacing
        last = self.frame.shape[0] - 1
        first, end = (min(max(int(v), 0), last) for v in (places.min().floor(), places.max().ceil()))
        self._make([n for n in range(first, end + 1) if not self._made[n]], should_stop)
        assert self._features is not None
        part = self._features[:, first : end + 1].to(points.device).float()
        frame = Frame((end + 1 - first, *self.frame.shape[1:]), self._start(first), self.frame.spacing)
        low = torch.tensor(frame.origin, device=points.device)
        high = low + frame.spacing * (torch.tensor(frame.shape, device=points.device) - 1)
        return sample(part, frame, torch.maximum(torch.minimum(points, high), low))

    def organs(self, should_stop: ShouldStop = never) -> Mapping[str, Tensor]:
        """Where the overview network finds the structures that it knows, by name: probabilities (S, A, R) float32 on
        :attr:`frame`, of those that show. None of them without such a network. Raises ``Stopped``."""
        return self._whole(should_stop)[0]

    def labels(self, should_stop: ShouldStop = never) -> np.ndarray | None:
        """Which structure of the overview network, from 1 on in its order, each voxel (S, A, R) uint8 of the picture
        most likely belongs to, 0 for none; None without such a network. Raises ``Stopped``."""
        return self._whole(should_stop)[1]

    def _whole(self, should_stop: ShouldStop) -> tuple[Mapping[str, Tensor], np.ndarray | None]:
        if self._seen is None:
            try:
                net = None if self._overview is None else self._overview()
            except BackboneError:  # there is registration without
                net = None
            found: dict[str, Tensor] = {}
            labels = None
            if net is not None:
                logits = torch.from_numpy(net.logits(self._picture.grey, net.structures, should_stop))
                best, which = logits.max(0)
                labels = torch.where(best > 0, which + 1, 0).to(torch.uint8).numpy()
                for name, own in zip(net.structures, logits, strict=True):
                    if int(torch.count_nonzero(own > 0)) >= SHOWN:
                        check(should_stop)
                        found[name] = torch.sigmoid(halved(own.float()[None])[0])
            self._seen = found, labels  # all of it, or nothing: a stop leaves nothing half known
        return self._seen

    def telling(self, mask: np.ndarray, should_stop: ShouldStop = never) -> float:
        """How far the features tell a structure from what is within 18 mm around it: the squared distance of their
        means by the sum of their variances. ``mask`` (S, A, R) 0..1 lies on the picture. Raises ``Stopped``."""
        share = halved(torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None])[0].numpy()
        there = np.flatnonzero((share > 0).any((1, 2)))
        if not len(there):
            return 0.0
        low, high = max(0, there[0] - RING), min(len(share), there[-1] + 1 + RING)
        share = share[low:high]
        inside = share > min(0.5, 0.6 * float(share.max()))
        around = ndimage.binary_dilation(share > 0.1, iterations=RING) & (share < 0.1)
        if inside.sum() < 2 or around.sum() < 2:
            return 0.0
        features = self.at(self.frame.points()[low:high], should_stop).cpu().numpy()
        own, others = features[:, inside], features[:, around]
        apart = float(((own.mean(1) - others.mean(1)) ** 2).sum())
        return apart / max(float(own.var(1).sum() + others.var(1).sum()), 1e-9)

    def _start(self, first: int) -> tuple[float, float, float]:
        s, a, r = self.frame.origin
        return s + first * self.frame.spacing, a, r

    @torch.inference_mode()
    def _make(self, wanted: list[int], should_stop: ShouldStop) -> None:
        """One slice of each two tells of both."""
        net, place = self._backbone.net, self._backbone.device
        for start in range(0, len(wanted), BATCH):
            check(should_stop)
            some = wanted[start : start + BATCH]
            work, where = self._prepared()
            # An odd last slice belongs to no block; a picture of one slice is its own block.
            indices = [min(2 * n, work.count - 1) for n in some]
            images = torch.from_numpy(work.inputs(indices)).to(place, self._backbone.dtype)
            found = net.pixel_features(net.encode(images), self._backbone.shared)
            rows, columns = work.size
            unit = functional.normalize(found[:, :rows, :columns].float(), dim=-1).permute(0, 3, 1, 2)
            mean = functional.avg_pool2d(unit, 3, 1, 1, count_include_pad=False)
            on_blocks = functional.grid_sample(
                mean, where.to(place).expand(len(some), -1, -1, -1), padding_mode="border", align_corners=True
            )
            if self._features is None:
                self._features = torch.zeros((on_blocks.shape[1], *self.frame.shape), dtype=torch.float16)
            for n, values in zip(some, on_blocks, strict=True):
                self._features[:, n] = values.cpu().half()
                self._made[n] = True
        if len(self._made) and self._made.all():
            self._work = None

    def _prepared(self) -> tuple[WorkingVolume, Tensor]:
        """The picture as the network takes it, and where its blocks lie there, as ``grid_sample`` wants it."""
        if self._work is None:
            hu = hu_from_grey(self._picture.grey.astype(np.float32)).astype(np.int16)
            self._work = WorkingVolume(Volume(hu, self._picture.grid), spacing=FINE_MM, crop=False)
        if self._where is None:
            _, a, r = self.frame.points().unbind(-1)
            anterior, right = a[0].double().numpy(), r[0].double().numpy()
            flat = np.stack([right, anterior, np.full_like(right, self.frame.origin[0]), np.ones_like(right)], -1)
            placed = flat @ np.linalg.inv(self._work.to_ras).T
            size = np.maximum(np.array(self._work.size) - 1, 1)
            index = 2 * placed[..., 1:3] / size - 1
            self._where = torch.from_numpy(index[..., ::-1].copy()).float()[None]
        return self._work, self._where


def looks(backbone: Backbone, overview: Callable[[], OverviewNet] | None = None) -> Look | None:
    """How pictures are seen by a backbone, and as wholes by an overview network, the last few of them kept; None where
    the backbone shares no deep tokens."""
    if backbone.shared is None:
        return None
    known: dict[str, View] = {}

    def look(picture: Picture) -> View:
        key = picture.digest
        view = known.pop(key, None) or View(picture, backbone, overview)
        known[key] = view
        while len(known) > KEPT:
            del known[next(iter(known))]
        return view

    return look


def shipped_look() -> Look | None:
    """By the networks that ship, on the CPU; None where the backbone cannot be loaded: there is registration
    without."""
    from ..model.backbone import load_backbone

    try:
        return looks(load_backbone(device="cpu"), overview_net)
    except BackboneError:
        return None


def principal(first: Tensor, second: Tensor, known: Tensor, seen: Tensor, count: int = COUNT) -> tuple[Tensor, Tensor]:
    """The features (C, S, A, R) of two CTs along the directions in which both together vary most, (count, S, A, R)
    each, the greatest first; of a total variance of one. ``known`` and ``seen`` (S, A, R) say where to look."""
    values = torch.cat([first[:, known > 0.5], second[:, seen > 0.5]], 1)
    if values.shape[1] < 2:
        return first[:count], second[:count]
    mean = values.mean(1, keepdim=True)
    centred = values - mean
    # On the CPU, so that a sign or an order is not another device's.
    variance, directions = torch.linalg.eigh((centred @ centred.T / values.shape[1]).double().cpu())
    chosen = directions[:, -count:].flip(1) / variance[-count:].sum().clamp(min=1e-12).sqrt()
    turn = chosen.T.to(first)

    def along(features: Tensor) -> Tensor:
        return (turn @ (features.flatten(1) - mean)).reshape(-1, *features.shape[1:])

    return along(first), along(second)
