"""What the patients in whom a structure was taught say of the one at hand: their masks, carried over by registration.

A session asks for it; results are told what to expect of them, and what could not be carried over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError
from .model.overview_net import overview_net
from .prior import Factors, Location
from .register.blend import blend_of, box_of, most_beside, on_slices
from .register.corrected import corrected
from .register.excerpt import Excerpt, identity_of
from .register.expected import expected
from .register.located import CarriedMask, Registrations
from .register.log_odds import LIMIT
from .register.picture import Region, part_of
from .register.references import teachers_from
from .register.teachers import MAX_USED, Memory, Teacher, teacher_of
from .segment.overview import Overview
from .segment.result import Segmentation, agreement_of
from .volumes.canonical import is_oblique

if TYPE_CHECKING:
    import numpy as np
    import torch

    from .annotations import SliceAnnotations
    from .progress import OnProgress, ShouldStop
    from .prompts.promptset import Prompt
    from .register.picture import Picture
    from .register.views import Look
    from .segment.segmenter import WorkingVolumes

AROUND_MM = 40.0
"""How far around a structure that was carried over the network looks: it is used to see an organ's surroundings."""
LABELLED = 0.6
"""From which Dice on the overview network's labels make up a structure, so that its place counts also where the prompt
of one patient is sure of its mask. Hearts, aortas and esophagi of two chests, taught in five slices of another, have
0.81 for 0.77 so (docs/experiments.md)."""


class EarlierPatients:
    """The volume at hand beside earlier patients: each pair is registered once, and that is kept."""

    def __init__(self, works: WorkingVolumes, device: torch.device, look: Look | None = None) -> None:
        self._works, self._device, self._registrations = works, device, Registrations(works.volume, device, look)

    @property
    def picture(self) -> Picture:
        """The volume at hand as registration sees it."""
        return self._registrations.picture()

    def overview(self, file: Path | None, should_stop: ShouldStop) -> Overview | None:
        """What the overview network, that in ``file`` or the one that ships, sees of the volume at hand; None for one
        that is too large to be seen as a whole. Raises ``Stopped``."""
        try:
            seen = self._registrations.picture(should_stop)
        except InputError:
            return None
        return Overview(
            seen.grey,
            seen.origin,
            seen.spacing,
            partial(overview_net, file, self._device if self._device.type == "cuda" else "cpu"),
            self._closer,
        )

    def _closer(
        self, low: Sequence[float], high: Sequence[float], spacing: float, should_stop: ShouldStop
    ) -> tuple[np.ndarray, Sequence[float]] | None:
        """A part of the volume at hand in finer voxels, from ``low`` to ``high`` along S, A, R in mm."""
        region = Region((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        part = part_of(self._works.volume, region, spacing, should_stop)
        return None if part is None else (part.grey, part.origin)

    def locate(
        self,
        priors: Mapping[str, Sequence[Teacher]],
        prompts: Sequence[Prompt],
        on_progress: OnProgress,
        should_stop: ShouldStop,
        references: bool = False,
    ) -> dict[str, CarriedMask]:
        """Each structure of ``prompts`` that was taught in other patients, as it is carried over from the latest of
        them; with ``references``, where there are none, from the open reference CTs that a prompt has masks in. Raises
        ``Stopped``."""
        names = [p.structure.name for p in prompts if priors.get(p.structure.name)]
        taught = {name: list(priors[name])[-MAX_USED:] for name in names}
        masks = {p.structure.name: p.masks for p in prompts if references and p.masks}
        taught |= teachers_from({name: own for name, own in masks.items() if name not in taught})
        return self._registrations.locate(taught, on_progress, should_stop) if taught else {}

    def location(
        self, prompt: Prompt, found: CarriedMask, by_hand: SliceAnnotations | None, should_stop: ShouldStop
    ) -> Location | None:
        """What was carried over, on the slices that the prompt sees, corrected by what was drawn in them; None where
        nothing was, and nothing tells that the structure is not there. Raises ``Stopped``."""
        if found.prior is None:
            return nowhere(network_dice(prompt)) if found.outside and by_hand is None else None
        work = self._works.get(prompt.card.plane, prompt.card.spacing)
        slices = on_slices(found.prior, self._registrations.picture(should_stop), work, should_stop)
        if by_hand is not None:
            slices = corrected(slices, by_hand, work, should_stop)
        left_out_dice = network_dice(prompt)

        def blend(plausible: float, known: float) -> Factors:
            # Beside a place of many patients, which a reference CT holds, the network of as many is no better.
            measured = prompt.card.knows and not found.by_reference
            most = most_beside(left_out_dice, known, found.agreement) if measured else 1.0
            elsewhere = by_hand is None and not measured
            if elsewhere and prompt.card.begun_dice is None and found.labelled >= LABELLED:
                known = 0.0  # two networks see where it is, and this one was measured in one patient
            return blend_of(left_out_dice, plausible, found.fits, known=known, most=most, elsewhere=elsewhere)

        # A prompt of many patients was learned on large parts of slices, and finds less in a small one.
        everywhere = prompt.card.knows or prompt.card.begun_dice is not None
        span, crop = None, None
        if slices and not everywhere and not is_oblique(work.volume.grid, work.axis):
            span, crop = range(min(slices), max(slices) + 1), box_of(slices, work, AROUND_MM)
        return Location(slices, blend, -LIMIT, span, crop)

    def but_this_one(self, memory: Memory, name: str) -> list[Teacher]:
        """The patients in whom a structure was taught, but the one at hand."""
        taught = memory.of(name)
        here = identity_of(self._works.volume) if taught else ""
        return [one for one in taught if here not in {drawn.identity for drawn in one.drawn.values()}]

    def teacher(
        self, mask: np.ndarray, dice: float | None, name: str, drawn: Excerpt | None, should_stop: ShouldStop
    ) -> Teacher:
        """The patient at hand as the next one's: a structure's mask (K, J, I) bool with the Dice to be expected of it,
        and its drawn slices. Raises :class:`InputError` for an empty mask, and ``Stopped``."""
        picture, grid = self._registrations.picture(should_stop), self._works.volume.grid
        drawings = {} if drawn is None else {name: drawn}
        return teacher_of(picture, {name: (mask, dice)}, grid, should_stop, drawings)


def nowhere(left_out_dice: float | None) -> Location:
    """That a structure lies outside the field of view: only a network that is confident finds any of it."""
    return Location({}, lambda plausible, known: blend_of(left_out_dice, plausible, (), known=known), -LIMIT)


def note_expectations(result: Segmentation, prompts: Sequence[Prompt], found: Mapping[str, CarriedMask]) -> None:
    """Add to a result what is to be expected of it, and what could not be carried over."""
    notes = []
    for prompt in prompts:
        name = prompt.structure.name
        one = found.get(name)
        if one is None:
            continue
        if one.outside and not result.volume_ml(name):
            notes.append(f"{name} was not found: registered with where it was taught, {one.reason}.")
            continue
        if one.reason:
            source = "a reference CT" if one.by_reference else "the patient it was taught in"
            notes.append(f"{name} could not be carried over from {source}: {one.reason}.")
            continue
        if result.maps[name].drawn:
            continue  # what was drawn here tells more
        expects = expected(predictors(result, prompt, one))
        if expects is not None:
            result.expected[name] = expects.dice, expects.low, expects.high
            if expects.first_guess:
                notes.append(f"{name} is a first guess: a Dice of about {expects.dice:.2f} is to be expected.")
    result.notes = tuple(notes)


def predictors(result: Segmentation, prompt: Prompt, found: CarriedMask) -> dict[str, float | None]:
    """What is known without a reference of a structure that was carried over: see
    :mod:`PromptSegLib.register.expected`."""
    own, both = agreement_of(result.maps[prompt.structure.name])
    fits = [one.trust for one in found.fits]
    return {
        "probabilities": own,
        "fit": sum(fits) / len(fits) if fits else None,
        "network": network_dice(prompt),
        "agreement": both,
        "separability": found.separability,
    }


def network_dice(prompt: Prompt) -> float | None:
    """The Dice that the network is known to find alone, of slices or patients that a prompt was not learned from."""
    card = prompt.card
    told = (card.begun_dice, card.network_dice, card.validation_dice)
    return next((dice for dice in told if dice is not None), None)
