"""Structures of other patients, found in the volume at hand: registrations are made once and serve all structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..progress import OnProgress, ShouldStop, ignore, never, part
from ..volumes.volume import Volume
from .grey_fit import PairFit
from .log_odds import Located, located
from .picture import Picture, Region, picture_of
from .register import Deformation, frame_of, register
from .teachers import Teacher


@dataclass(frozen=True)
class CarriedMask:
    """What the teachers of one structure say: ``prior`` is None where none of them fits or nothing of the structure
    lies in the field of view, and ``reason`` then says so. ``fits`` has those that were used, ``agreement`` the Dice of
    the carried masks with each other (None for one teacher), ``quality`` the mean Dice that theirs are believed to
    have."""

    prior: Located | None
    reason: str = ""
    fits: tuple[PairFit, ...] = ()
    agreement: float | None = None
    quality: float | None = None


class Registrations:
    """The deformations from one volume to teachers, kept with the volume."""

    def __init__(self, volume: Volume, device: torch.device | str = "cpu") -> None:
        self.volume, self.device = volume, device
        self._picture: Picture | None = None
        self._known: dict[str, Deformation] = {}

    def picture(self, should_stop: ShouldStop = never) -> Picture:
        """The volume's picture. Raises ``Stopped``."""
        if self._picture is None:
            self._picture = picture_of(self.volume, should_stop)
        return self._picture

    def deformation(
        self, teacher: Teacher, region: Region, on_progress: OnProgress = ignore, should_stop: ShouldStop = never
    ) -> Deformation:
        """For a part of the teacher; one that is known already and covers it serves again. Raises ``Stopped``."""
        key = teacher.digest
        known = self._known.get(key)
        if known is None or not known.region.holds(region):
            known = register(
                self.picture(should_stop),
                teacher.picture,
                region if known is None else region.joined(known.region),
                affine=None if known is None else known.affine,
                device=self.device,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            self._known[key] = known
        return known

    def locate(
        self,
        wanted: Mapping[str, Sequence[Teacher]],
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> dict[str, CarriedMask]:
        """Where the structures ``wanted``, by name with their teachers, lie in the volume. Raises ``Stopped``."""
        regions = _regions(wanted)
        total = max(1, len(regions))
        made: dict[str, Deformation] = {}
        for number, (key, (teacher, region)) in enumerate(regions.items()):
            made[key] = self.deformation(
                teacher, region, part(on_progress, number / total, (number + 1) / total), should_stop
            )
        return {name: self._found(name, teachers, made, should_stop) for name, teachers in wanted.items()}

    def _found(
        self, name: str, teachers: Sequence[Teacher], made: Mapping[str, Deformation], should_stop: ShouldStop
    ) -> CarriedMask:
        picture = self.picture(should_stop)
        masks, fits, reasons, qualities = [], [], [], []
        for teacher in teachers:
            deformation = made.get(teacher.digest)
            if deformation is None:
                continue
            if not deformation.fit.fits:
                reasons.append(deformation.fit.reason)
                continue
            share = teacher.masks[name].on(teacher.picture)
            masks.append(deformation.carried(share, teacher.picture, frame_of(picture), should_stop))
            fits.append(deformation.fit)
            qualities.append(teacher.masks[name].quality)
        if not masks:
            return CarriedMask(None, reasons[0] if reasons else "nothing is known of it")
        prior = located(masks, picture, should_stop=should_stop)
        if prior is None:
            return CarriedMask(None, "it lies outside the field of view", tuple(fits))
        known = [q for q in qualities if q is not None]
        return CarriedMask(prior, "", tuple(fits), _agreement(masks), sum(known) / len(known) if known else None)


def _regions(wanted: Mapping[str, Sequence[Teacher]]) -> dict[str, tuple[Teacher, Region]]:
    """One region for each teacher, around all structures that are wanted of this one."""
    regions: dict[str, tuple[Teacher, Region]] = {}
    for name, teachers in wanted.items():
        for teacher in teachers:
            region = teacher.region(name)
            if region is not None:
                former = regions.get(teacher.digest)
                regions[teacher.digest] = teacher, region if former is None else region.joined(former[1])
    return regions


def _agreement(masks: Sequence[np.ndarray]) -> float | None:
    if len(masks) < 2:
        return None
    total = [float(mask.sum()) for mask in masks]
    pairs = [(a, b) for a in range(len(masks)) for b in range(a)]
    both = [2 * float(np.minimum(masks[a], masks[b]).sum()) / max(total[a] + total[b], 1e-6) for a, b in pairs]
    return float(np.mean(both))
