"""Structures of other patients, found in the volume at hand: registrations are made once and serve all structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..progress import OnProgress, ShouldStop, ignore, never, part
from ..volumes.volume import Volume
from .grey_fit import OUTSIDE, PairFit
from .log_odds import Located, located
from .organ_ratio import labelled, organ_ratios
from .picture import Picture, Region, picture_of
from .register import Deformation, frame_of, register
from .separability import separability, shares
from .teachers import Mask, Teacher
from .views import NOTHING, PLENTY, Look

MAX_LABELS = 255
"""Of the overview network's structures."""
MUCH_POORER = 0.1
"""References whose fit (:attr:`PairFit.trust_here`) is so much below the best one's are not asked: of two that fitted
alike the mean was better than either (left kidney 0.85 of 0.72 and 0.66), of others worse than the better one."""

ALIKE = 0.4
"""How far the shares may lie apart to which features counted, for a deformation to serve other structures as well."""


@dataclass(frozen=True)
class CarriedMask:
    """What the teachers of one structure say: ``prior`` is None where none of them fits or nothing of the structure
    lies in the field of view, and ``reason`` then says so. ``fits`` has those that were used, ``agreement`` the Dice of
    the carried masks with each other (None for one teacher), ``quality`` the mean Dice that theirs are believed to
    have. ``by_reference`` says that an open reference CT stood in the teachers' place, ``outside`` that there is no
    prior because the CTs fit and the structure lies outside the field of view; ``labelled`` is how far the overview
    network's labels make up the structure in the teachers (:func:`.organ_ratio.labelled`), ``separability`` how far the
    carried masks lie on something here (:func:`.separability.separability`)."""

    prior: Located | None
    reason: str = ""
    fits: tuple[PairFit, ...] = ()
    agreement: float | None = None
    quality: float | None = None
    by_reference: bool = False
    outside: bool = False
    labelled: float = 0.0
    separability: float | None = None


@dataclass(frozen=True)
class Told:
    """What the labels of the overview network tell of a structure in one teacher: ``ratios`` by label
    (:func:`.organ_ratio.organ_ratios`), and how far they make it up."""

    ratios: np.ndarray
    labelled: float


@dataclass(frozen=True)
class WarpedMasks:
    """Soft masks (S, A, R) of one structure on a picture, one from each teacher who fits, as they came: with ``fits``
    how well these do, ``told`` what known organs tell there (None without an overview network), ``quality`` the mean
    Dice that their masks are believed to have, and ``reason`` why others do not; ``outside`` says that of all others it
    is that the field of view does not show it."""

    masks: tuple[np.ndarray, ...] = ()
    fits: tuple[PairFit, ...] = ()
    told: tuple[Told | None, ...] = ()
    quality: float | None = None
    reason: str = "nothing is known of it"
    outside: bool = False


class Registrations:
    """The deformations from one volume to teachers, kept with the volume; with ``look``, by what a backbone sees in
    them (:mod:`~.views`)."""

    def __init__(self, volume: Volume, device: torch.device | str = "cpu", look: Look | None = None) -> None:
        self.volume, self.device, self.look = volume, device, look
        self._picture: Picture | None = None
        self._known: dict[str, list[tuple[float, Deformation]]] = {}

    @classmethod
    def on(cls, picture: Picture, device: torch.device | str = "cpu", look: Look | None = None) -> Registrations:
        """Of a picture that was made already."""
        made = cls(Volume(picture.grey, picture.grid), device, look)
        made._picture = picture
        return made

    def picture(self, should_stop: ShouldStop = never) -> Picture:
        """The volume's picture. Raises ``Stopped``."""
        if self._picture is None:
            self._picture = picture_of(self.volume, should_stop)
        return self._picture

    def deformation(
        self,
        teacher: Teacher,
        region: Region,
        masks: Mapping[str, Mask] | None = None,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> Deformation:
        """For a part of the teacher with the structures of ``masks``; one that is known already and covers it serves
        again, if the backbone's features counted alike, and where none does, the next starts from what is known of the
        two CTs as wholes. Raises ``Stopped``."""
        known = self._known.setdefault(teacher.digest, [])
        share = self._share(teacher.picture, masks or {}, should_stop)
        found = next((one for to, one in known if one.region.holds(region) and abs(to - share) <= ALIKE), None)
        if found is None:
            found = register(
                self.picture(should_stop),
                teacher.picture,
                region,
                known=known[0][1] if known else None,
                device=self.device,
                look=self.look,
                share=share,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            known.append((share, found))
        return found

    def _share(self, picture: Picture, masks: Mapping[str, Mask], should_stop: ShouldStop) -> float:
        """How far the backbone's features count: as far as they tell these structures from what is around them."""
        if self.look is None or not masks:
            return 0.0
        view, shares = self.look(picture), []
        for mask in masks.values():
            telling = view.telling(mask.on(picture), should_stop)
            shares.append(min(1.0, max(0.0, (telling - NOTHING) / (PLENTY - NOTHING))))
        return sum(shares) / len(shares)

    def locate(
        self,
        wanted: Mapping[str, Sequence[Teacher]],
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> dict[str, CarriedMask]:
        """Where the structures ``wanted``, by name with their teachers, lie in the volume. Raises ``Stopped``."""
        warped = self.warp(wanted, on_progress, should_stop, organs=True)
        by_reference = {name: any(one.is_reference for one in teachers) for name, teachers in wanted.items()}
        return {name: self._found(one, by_reference[name], should_stop) for name, one in warped.items()}

    def warp(
        self,
        wanted: Mapping[str, Sequence[Teacher]],
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
        organs: bool = False,
    ) -> dict[str, WarpedMasks]:
        """The teachers' masks of the structures ``wanted`` on the volume's picture, and what known ``organs`` tell of
        them if it is asked for. Raises ``Stopped``."""
        regions = _regions(wanted)
        total = max(1, len(regions))
        made: dict[str, Deformation] = {}
        told: dict[tuple[str, str], Told] = {}
        for number, (key, (teacher, region)) in enumerate(regions.items()):
            # Structures that were taught in one patient one after the other come from teachers of one picture.
            masks = {n: one.masks[n] for n, some in wanted.items() for one in some if one.digest == key}
            listen = part(on_progress, number / total, (number + 1) / total)
            made[key] = self.deformation(teacher, region, masks, listen, should_stop)
            labels = self._labels(teacher.picture, should_stop) if organs and made[key].fit.fits else None
            if labels is not None:
                for name, mask in masks.items():
                    share = mask.on(teacher.picture)
                    told[name, key] = Told(organ_ratios(share, labels, MAX_LABELS), labelled(share, labels))
        return {name: self._warped(name, teachers, made, told, should_stop) for name, teachers in wanted.items()}

    def _labels(self, picture: Picture, should_stop: ShouldStop) -> np.ndarray | None:
        """The organs that are known in a picture, if any are."""
        return None if self.look is None else self.look(picture).labels(should_stop)

    def _warped(
        self,
        name: str,
        teachers: Sequence[Teacher],
        made: Mapping[str, Deformation],
        known: Mapping[tuple[str, str], Told],
        should_stop: ShouldStop,
    ) -> WarpedMasks:
        frame, reasons, outside = frame_of(self.picture(should_stop)), [], True
        found: list[tuple[np.ndarray, PairFit, Told | None, float | None]] = []
        for teacher in teachers:
            deformation = made.get(teacher.digest)
            if deformation is None:
                continue
            if not deformation.fit.fits:
                reasons.append(deformation.fit.reason)
                outside &= deformation.fit.outside
                continue
            mask = teacher.masks[name]
            carried = deformation.carried(mask.on(teacher.picture), teacher.picture, frame, should_stop)
            fit = replace(deformation.fit, before=mask.trust)
            found.append((carried, fit, known.get((name, teacher.digest)), mask.quality))
        if any(one.is_reference for one in teachers):
            best = max((fit.trust_here for _, fit, _, _ in found), default=0.0)
            found = [one for one in found if one[1].trust_here > best - MUCH_POORER]
        masks, fits, told, qualities = (tuple(some) for some in zip(*found, strict=True)) if found else ((),) * 4
        believed = [q for q in qualities if q is not None]
        quality = sum(believed) / len(believed) if believed else None
        if not reasons:
            return WarpedMasks(masks, fits, told, quality)
        return WarpedMasks(masks, fits, told, quality, reasons[0], outside)

    def _found(self, warped: WarpedMasks, by_reference: bool, should_stop: ShouldStop) -> CarriedMask:
        if not warped.masks:
            return CarriedMask(None, warped.reason, by_reference=by_reference, outside=warped.outside)
        picture = self.picture(should_stop)
        apart = [separability(mask, picture.grey) for mask in warped.masks]
        weights, labels = shares(apart), self._labels(picture, should_stop)
        told, organs, share = [one for one in warped.told if one is not None], None, 0.0
        if labels is not None and len(told) == len(weights):
            organs = np.average([one.ratios for one in told], 0, weights)[labels]
            share = float(np.average([one.labelled for one in told], weights=weights))
        prior = located(warped.masks, picture, weights, organs, should_stop=should_stop)
        if prior is None:
            return CarriedMask(None, OUTSIDE, warped.fits, by_reference=by_reference, outside=True)
        return CarriedMask(
            prior,
            fits=warped.fits,
            agreement=_agreement(warped.masks),
            quality=warped.quality,
            by_reference=by_reference,
            labelled=share,
            separability=float(np.mean(apart)),
        )


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
