"""The open reference CTs that come with PromptSeg, and structures' masks in them: what exported prompts tell of place.

A mask is carried from the patients that a structure was taught in to each reference that fits them, and from there to
any other patient, as it would be from a teacher's own CT. The references may be shown to anybody: no picture of a
patient of the user's own leaves the computer. What does not come back to the patients as it went is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ..progress import OnProgress, ShouldStop, check, ignore, never, part
from ..prompts.promptset import PromptSet
from ..prompts.reference_mask import ReferenceMask
from ..resources import resource
from ..volumes.io import read_volume
from .located import Registrations, WarpedMasks
from .picture import SPACING, UNSEEN, Picture
from .teachers import MAX_USED, Mask, Memory, Teacher
from .views import Look, shipped_look

MARGIN = 15
"""Voxels around a reference's field of view in which masks may still lie, where its registration goes on."""
MIN_RETURN = 0.5
"""Dice with itself of a mask that went to a reference and came back, below which the reference tells nothing of it."""
MIN_INSIDE = 0.5
"""Share of a carried mask that the field of view must show: a kidney in a chest's last slices tells of no kidney."""


NONE = "no reference CT shows enough of it"


@dataclass(frozen=True)
class Reference:
    """One CT: ``digest`` tells it from others, ``name`` is what its file is called."""

    name: str
    picture: Picture
    digest: str


@dataclass(frozen=True)
class OnReferences:
    """Masks of structures, by name, in the references that fit; ``reasons`` say, by structure, why there are none."""

    masks: Mapping[str, tuple[ReferenceMask, ...]]
    reasons: Mapping[str, str]


@cache
def references() -> tuple[Reference, ...]:
    """Those that this version has, in the order of their names. Raises :class:`InputError`."""
    return tuple(_read(path) for path in sorted(resource("References").glob("*.nrrd")))


def teachers_from(masks: Mapping[str, Sequence[ReferenceMask]]) -> dict[str, list[Teacher]]:
    """Teachers by structure name, as :meth:`PromptSegLib.session.Session.segment` takes them; those on one reference
    share it. A mask in a CT that this version does not have, or that does not fit into it, is passed over."""
    known = {one.digest: one for one in references()} if any(masks.values()) else {}
    placed: dict[str, dict[str, Mask]] = {}
    for name, some in masks.items():
        for one in some:
            there = known.get(one.reference)
            if there is not None and _lies_in(one, there.picture):
                mask = Mask(one.share, one.first, one.quality, one.trust)
                placed.setdefault(one.reference, {})[name] = mask
    teachers = {digest: Teacher(known[digest].picture, own, is_reference=True) for digest, own in placed.items()}
    wanted = {name: [t for t in teachers.values() if name in t.masks] for name in masks}
    return {name: found[-MAX_USED:] for name, found in wanted.items() if found}


def on_references(
    wanted: Mapping[str, Sequence[Teacher]],
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    look: Look | None = None,
) -> OnReferences:
    """Where the structures ``wanted``, by name with the patients that they were taught in, lie in each reference.

    Each patient is registered once with each reference, and each reference that fits once with the patient: a mask
    that does not come back tells of a registration that failed. With ``look``, by what a backbone sees
    (:mod:`~.views`). Raises ``Stopped``.
    """
    every = references() if wanted else ()
    masks: dict[str, list[ReferenceMask]] = {}
    reasons: dict[str, str] = {}
    for number, reference in enumerate(every):
        check(should_stop)
        there = part(on_progress, number / len(every), (number + 0.5) / len(every))
        back = part(on_progress, (number + 0.5) / len(every), (number + 1) / len(every))
        registrations = Registrations.on(reference.picture, look=look)
        found = registrations.warp(wanted, there, should_stop)
        made = {name: _mask_in(reference, one) for name, one in found.items()}
        sound = {name: one for name, one in made.items() if one is not None}
        returned = _returned(reference, sound, wanted, back, should_stop, look)
        for name, one in found.items():
            if name in returned and returned[name] >= MIN_RETURN:
                masks.setdefault(name, []).append(replace(sound[name], returned=round(returned[name], 4)))
            elif not one.masks:
                reasons.setdefault(name, one.reason)
    none = {name: reasons.get(name, NONE) for name in wanted if name not in masks}
    return OnReferences({name: tuple(found) for name, found in masks.items()}, none)


def _returned(
    reference: Reference,
    masks: Mapping[str, ReferenceMask],
    wanted: Mapping[str, Sequence[Teacher]],
    on_progress: OnProgress,
    should_stop: ShouldStop,
    look: Look | None,
) -> dict[str, float]:
    """By structure the mean Dice of what comes back from a reference to each patient with what the patient has."""
    own = {name: Mask(one.share, one.first, one.quality) for name, one in masks.items()}
    source = Teacher(reference.picture, own, is_reference=True)
    patients = {one.digest: one for name in masks for one in wanted[name]}
    dice: dict[str, list[float]] = {}
    for number, patient in enumerate(patients.values()):
        listen = part(on_progress, number / len(patients), (number + 1) / len(patients))
        names = [name for name in masks if name in patient.masks]
        registrations = Registrations.on(patient.picture, look=look)
        found = registrations.locate({name: [source] for name in names}, listen, should_stop)
        for name, one in found.items():
            truth, here = patient.masks[name].on(patient.picture) > 0.5, np.zeros(patient.picture.grey.shape, bool)
            if one.prior is not None:
                here[one.prior.box] = one.prior.log_odds > 0
            dice.setdefault(name, []).append(float(2 * (truth & here).sum() / max(1, truth.sum() + here.sum())))
    return {name: float(np.mean(some)) for name, some in dice.items()}


def exported(
    prompts: PromptSet,
    memory: Memory,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    look: Look | None = None,
) -> tuple[PromptSet, dict[str, str]]:
    """The prompts as others get them: with masks in the references, from the patients that ``memory`` has; and, by
    structure, why it has none. Masks that a prompt has already stay where nothing better is known. ``look`` is the
    shipped backbone's where nothing is given. Raises ``Stopped``.
    """
    wanted = {name: memory.of(name)[-MAX_USED:] for name in prompts}
    taught = {name: some for name, some in wanted.items() if some}
    made = on_references(taught, on_progress, should_stop, look or (shipped_look() if taught else None))
    found = [replace(one, masks=made.masks.get(name, one.masks)) for name, one in prompts.items()]
    reasons = dict(made.reasons) | {name: "no patient is remembered" for name, some in wanted.items() if not some}
    without = {one.structure.name: reasons[one.structure.name] for one in found if not one.masks}
    return PromptSet.of(prompts.name, found, prompts.card), without


def _mask_in(reference: Reference, found: WarpedMasks) -> ReferenceMask | None:
    if not found.masks:
        return None
    share = np.mean(np.stack(found.masks), 0)
    inside = float(share[reference.picture.seen].sum())
    if inside < MIN_INSIDE * float(share.sum()):
        return None
    trust = float(np.mean([fit.trust for fit in found.fits]))
    return ReferenceMask.of(reference.digest, share, found.quality, trust)


def _lies_in(mask: ReferenceMask, picture: Picture) -> bool:
    return all(f + n <= side for f, n, side in zip(mask.first, mask.share.shape, picture.grey.shape, strict=True))


def _read(path: Path) -> Reference:
    volume = read_volume(path)
    r, a, s = (float(v) - MARGIN * SPACING for v in volume.grid.ijk_to_ras[:3, 3])
    grey = np.pad(np.ascontiguousarray(volume.voxels.astype(np.uint8)), MARGIN, constant_values=UNSEEN)
    picture = Picture(grey, (s, a, r))
    return Reference(path.stem, picture, Teacher(picture, {}).digest)
