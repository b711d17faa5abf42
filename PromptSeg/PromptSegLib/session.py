"""The one main path: set a volume once, then segment and tune as often as needed.

>>> session = Session()  # doctest: +SKIP
>>> session.set_volume(read_volume("ct.nii.gz"))  # doctest: +SKIP
>>> session.segment(resolve("abdomen-ct").values())  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import GridError, InputError, PromptError
from .progress import OnProgress, ShouldStop, ignore, never, part
from .prompts.card import Card
from .threads import with_usual_settings
from .volumes.volume import Grid, Volume

if TYPE_CHECKING:
    import numpy as np

    from .anatomy.structure import Structure
    from .annotations import SliceAnnotations
    from .earlier_patients import EarlierPatients
    from .model.backbone import Backbone
    from .model.encoded import Encoded
    from .prompts.promptset import Prompt
    from .register.excerpt import Excerpt
    from .register.located import CarriedMask
    from .register.teachers import Memory, Teacher
    from .register.views import Look
    from .review.findings import Review
    from .segment.overview import Overview
    from .segment.result import Segmentation
    from .segment.segmenter import WorkingVolumes
    from .tune.estimate import Estimate
    from .tune.suggest import Suggestion
    from .tune.tuner import TuningRecipe, TuningResult


class Session:
    """A backbone on a device, and the volume at hand. Every front end works through this class.

    The process is left as it is, and what it has set of torch for itself changes nothing
    (:func:`~PromptSegLib.threads.usual_settings`). How many threads compute, and how memory is kept, is for the program
    to decide (:func:`PromptSegLib.model.precision.take_process`); ``threads`` is for a caller who wants torch's number
    of threads, which is the whole process's, set here all the same. ``overview`` is the file of another overview
    network than the one that ships.

    Loading raises :class:`~PromptSegLib.errors.BackboneError` or :class:`~PromptSegLib.errors.DeviceError`.
    """

    @with_usual_settings
    def __init__(
        self,
        backbone: str | Path = "punet-ct",
        device: str = "auto",
        threads: int | None = None,
        overview: Path | None = None,
    ) -> None:
        from .model.backbone import load_backbone

        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self.backbone: Backbone = load_backbone(backbone, device)
        self._works: WorkingVolumes | None = None
        self._earlier: EarlierPatients | None = None
        self._look: Look | None = None
        self._overview_file = overview
        self._overview: Overview | None = None
        self._preview: dict[bytes, Encoded] = {}
        self.warnings: tuple[str, ...] = ()
        """Sentences about the volume at hand that its user should hear, for instance that its values are no HU."""

    @property
    def volume(self) -> Volume | None:
        """The volume at hand."""
        return None if self._works is None else self._works.volume

    def set_volume(self, volume: Volume) -> None:
        """Take up a volume; what was prepared of the former one is dropped. Raises ``InputError`` for unusable voxels;
        what is odd and can be used is said in :attr:`warnings`."""
        from .segment.segmenter import WorkingVolumes
        from .volumes.geometry import check_extent
        from .volumes.plausible import warnings_of

        check_extent(volume.grid, volume.name)
        _ = volume.range_hu  # refuses NaN and constant images before any work
        self._works, self._earlier, self._overview = WorkingVolumes(volume), None, None
        self._preview.clear()
        self.warnings = tuple(warnings_of(volume))

    @with_usual_settings
    def segment(
        self,
        prompts: Iterable[Prompt],
        *,
        drawn: Mapping[str, SliceAnnotations] | None = None,
        priors: Mapping[str, Sequence[Teacher]] | None = None,
        references: bool = True,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> Segmentation:
        """Segment the volume with ``prompts``, each structure for itself.

        ``drawn`` gives, by structure name, annotations of this volume: they come back exactly as drawn, and between
        them what their contours say counts beside the network, with the weight that tuning found. ``priors`` gives the
        other patients in whom a structure was taught: their masks are carried over by registration, corrected by what
        is ``drawn`` here, and count beside the network where drawn slices are not close to each other; ``notes`` of
        the result says where that was not possible. A prompt of another computer has its masks in open reference CTs,
        which stand in for those patients unless ``references`` is False. Raises ``PromptError`` (none asked for, one
        asked for twice, another backbone's), ``GridError`` and ``Stopped``.
        """
        from .contours.crop import crop_of
        from .contours.fusion import contour_spacing, prior_of, weight_for
        from .earlier_patients import note_expectations
        from .register.corrected import between_close_slices
        from .segment.segmenter import segment
        from .tune.corrections import correct

        works, prompts = self._ready(), list(prompts)
        if not prompts:
            raise PromptError("No structure was asked for", "name at least one prompt")
        drawn, priors = drawn or {}, priors or {}
        for slices in drawn.values():
            self._same_grid(slices)
        found: Mapping[str, CarriedMask] = {}
        if any(priors.get(p.structure.name) or (references and p.masks) for p in prompts):
            listen = part(on_progress, 0.0, 0.5)
            found = self.earlier.locate(priors, prompts, listen, should_stop, references=references)
        contours, crops, locations, corrections = {}, {}, {}, {}
        for prompt in prompts:
            name = prompt.structure.name
            one, by_hand = found.get(name), drawn.get(name)
            carried = one if one is not None and one.prior is not None else None
            location = None if one is None else self.earlier.location(prompt, one, by_hand, should_stop)
            if location is not None:
                locations[name] = location
            if by_hand is not None:
                work = works.get(prompt.card.plane, prompt.card.spacing)
                weight = weight_for(prompt.card, works.volume.grid)
                if prompt.card.corrects and prompt.card.taught_there(works.volume.grid):
                    corrections[name] = partial(correct, annotations=by_hand, should_stop=should_stop)
                if carried is not None or name in corrections:
                    contours[name] = between_close_slices(prior_of(work, by_hand, weight, should_stop), by_hand, work)
                    continue
                fine = works.get(work.axis, contour_spacing(works.volume, by_hand, work.spacing))
                contours[name] = prior_of(fine, by_hand, weight, should_stop)
                crops[name] = crop_of(work, by_hand)
        if self._overview is None and any(p.card.overview for p in prompts):
            self._overview = self.earlier.overview(self._overview_file, should_stop)
        result = segment(
            self.backbone,
            works,
            prompts,
            drawn=drawn,
            priors=contours,
            crops=crops,
            locations=locations,
            corrections=corrections,
            overview=self._overview,
            on_progress=part(on_progress, 0.5, 1.0) if found else on_progress,
            should_stop=should_stop,
        )
        note_expectations(result, prompts, found)
        return result

    @property
    def earlier(self) -> EarlierPatients:
        """The volume at hand beside the patients in whom structures were taught."""
        from .earlier_patients import EarlierPatients

        if self._earlier is None:
            self._earlier = EarlierPatients(self._ready(), self.backbone.device, self.look)
        return self._earlier

    @property
    def look(self) -> Look | None:
        """How the backbone sees CTs that are registered; what it saw of the last few is kept from volume to volume."""
        from .model.overview_net import overview_net
        from .register.views import looks

        if self._look is None:
            self._look = looks(self.backbone, partial(overview_net, self._overview_file))
        return self._look

    @with_usual_settings
    def tune(
        self,
        annotations: SliceAnnotations | Sequence[tuple[Volume, SliceAnnotations]],
        structure: Structure,
        *,
        start_from: Prompt | None = None,
        remembered: Sequence[Excerpt] = (),
        known: Iterable[Prompt] | None = None,
        steps: int | None = None,
        seed: int = 0,
        recipe: TuningRecipe | None = None,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> TuningResult:
        """Learn ``structure`` from drawn slices; the backbone stays as it is.

        ``annotations`` are those of the volume at hand, or a list of (volume, annotations): then one prompt is learned
        from all of them, and the volume at hand stays what it is. All must be drawn in one plane.

        ``start_from`` goes on from a former round, or from a prompt that knows the structure: then slices that do not
        reach its ends are corrections of what that prompt finds (``card.corrects``). ``remembered`` are slices that
        were drawn in earlier patients, from a .memory file: they are learned from as well, where they are of the same
        plane and of no volume at hand. Without ``start_from``, learning begins with that of the prompts ``known`` which
        finds what was drawn, if one does; None are those that come with this backbone. When stopped after the first
        mask, the best prompt so far comes back with ``stopped`` set; before it, ``Stopped`` is raised. Raises
        ``AnnotationError``, ``GridError``, ``PromptError``.
        """
        from .annotations import SliceAnnotations
        from .contours.fusion import contour_spacing
        from .prompts.library import coming_with
        from .segment.segmenter import WorkingVolumes
        from .tune.advice import corrects
        from .tune.examples import Drawing
        from .tune.remembered import drawings_of
        from .tune.tuner import tune

        pairs = [(self._ready().volume, annotations)] if isinstance(annotations, SliceAnnotations) else annotations
        former = None if start_from is None else start_from.card
        spacing = Card.spacing if former is None else former.spacing
        drawings = []
        for volume, drawn in pairs:
            if not drawn.grid.matches(volume.grid):
                raise _elsewhere(drawn.grid, volume, "draw on the volume that they go with")
            works = self._works if self._works is not None and volume is self._works.volume else WorkingVolumes(volume)
            fine = works.get(drawn.axis, contour_spacing(volume, drawn, spacing))
            seen = works.get(drawn.axis, spacing)
            drawings.append(Drawing(seen, drawn, fine, corrects=corrects(former, drawn)))
        drawings += drawings_of(remembered, drawings)
        if known is None:
            known = coming_with(self.backbone.id) if start_from is None else ()
        learned = tune(
            self.backbone, drawings, structure,
            start_from=start_from, known=known, steps=steps, seed=seed, recipe=recipe,
            preview=self._preview, on_progress=on_progress, should_stop=should_stop,
        )  # fmt: skip
        if start_from is None or not start_from.masks:
            return learned
        return replace(learned, prompt=replace(learned.prompt, masks=start_from.masks))

    @with_usual_settings
    def others(self, memory: Memory, name: str) -> list[Teacher]:
        """The patients in whom a structure was taught, but the one at hand."""
        return self.earlier.but_this_one(memory, name)

    @with_usual_settings
    def remember(
        self,
        segmentation: Segmentation,
        annotations: SliceAnnotations,
        prompt: Prompt,
        should_stop: ShouldStop = never,
    ) -> Teacher:
        """What the next patient starts from: the volume at hand at 3 mm with the mask that ``prompt`` and
        ``annotations`` gave, and the drawn slices. Raises :class:`InputError` for an empty mask, and ``Stopped``."""
        from .contours.crop import crop_of
        from .register.excerpt import Excerpt

        name = prompt.structure.name
        expected = self.estimate(segmentation, annotations, prompt)
        quality = None if expected is None else expected.dice
        work = self._ready().get(annotations.axis, prompt.card.spacing)
        drawn = Excerpt.of(work, annotations, crop_of(work, annotations))
        return self.earlier.teacher(segmentation.mask(name), quality, name, drawn, should_stop)

    @with_usual_settings
    def suggest(
        self,
        annotations: SliceAnnotations,
        prompt: Prompt,
        *,
        segmentation: Segmentation | None = None,
        limit: int = 1,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> list[Suggestion]:
        """The undrawn slices of the volume at hand whose drawing should help most, the best first, with reasons.

        ``segmentation`` is the one that ``prompt`` and ``annotations`` gave; without it, it is made first. An empty
        list says that nothing is uncertain. Raises as :meth:`segment`.
        """
        from .tune.corrections import corrections
        from .tune.suggest import suggest

        self._same_grid(annotations)
        name = prompt.structure.name
        if segmentation is None:
            segmentation = self.segment(
                [prompt], drawn={name: annotations}, on_progress=on_progress, should_stop=should_stop
            )
        if prompt.card.corrects:
            seen = segmentation.maps[name]
            known = annotations.used() if annotations.axis == seen.work.axis else ()
            return corrections(seen, limit, should_stop, known)
        return suggest(segmentation.maps[name], annotations, limit, should_stop)

    @staticmethod
    @with_usual_settings
    def corrections(
        segmentation: Segmentation, prompt: Prompt, limit: int = 2, should_stop: ShouldStop = never
    ) -> tuple[int, list[Suggestion]]:
        """The slices of a result that are least certain, to be corrected first, the best first; and the array axis that
        they count along. Raises ``Stopped``."""
        from .tune.corrections import corrections

        logits = segmentation.maps[prompt.structure.name]
        return logits.work.axis, corrections(logits, limit, should_stop)

    @staticmethod
    def notes(prompts: Iterable[Prompt], drawn: Mapping[str, SliceAnnotations]) -> list[str]:
        """Sentences on prompts that are used with slices, by structure name, of another plane than theirs."""
        from .volumes.preprocess import plane_of_axis

        pairs = [(prompt, drawn[prompt.structure.name]) for prompt in prompts if prompt.structure.name in drawn]
        said = (p.card.other_plane(plane_of_axis(one.grid, one.axis), p.structure.name) for p, one in pairs)
        return [note for note in said if note]

    @with_usual_settings
    def estimate(self, segmentation: Segmentation, annotations: SliceAnnotations, prompt: Prompt) -> Estimate | None:
        """The Dice to be expected of the undrawn slices between the first and the last drawn one, with a range; None if
        there is none, or nothing tells.

        ``segmentation`` is what ``prompt`` and ``annotations`` gave. None as well until the line behind it was fitted
        to volumes with a reference, see :mod:`PromptSegLib.tune.estimate`: a guess is not shown as a figure.
        """
        from .tune import estimate as estimates
        from .tune.estimate import estimate, left_between, predictors

        seen = segmentation.maps[prompt.structure.name]
        if not (estimates.CALIBRATION.pairs and left_between(annotations) and seen.work.axis == annotations.axis):
            return None
        if prompt.card.corrects:  # the line was fitted to drawings from end to end
            return None
        taught_here = prompt.card.taught_there(segmentation.grid)
        left_out = prompt.card.leave_one_slice_out_dice if taught_here else None
        return estimate(predictors(seen, annotations, left_out))

    @with_usual_settings
    def review(
        self,
        segmentation: Segmentation,
        *,
        reference: Mapping[str, np.ndarray] | None = None,
        drawn: Mapping[str, SliceAnnotations] | None = None,
        prompts: Iterable[Prompt] = (),
        axis: int = 0,
        limit: int = 4,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> Review:
        """What a segmentation of the volume at hand is worth, and where to look.

        ``reference`` has masks (K, J, I) bool by structure; ``drawn`` what was drawn, and ``prompts`` what was learned
        from it: together they give an estimated Dice of the undrawn slices between. ``axis`` is what slices count
        along. Raises ``GridError`` and ``Stopped``.
        """
        from .review.findings import Auxiliary, OnDemand, review

        drawn, learned = drawn or {}, {p.structure.name: p for p in prompts}

        def auxiliary(name: str) -> Auxiliary:
            by_hand, expected = drawn.get(name), None
            if by_hand is not None and name in learned:
                expected = self.estimate(segmentation, by_hand, learned[name])
            known = by_hand.used() if by_hand is not None and by_hand.axis == axis else ()
            return Auxiliary(
                segmentation.uncertainty(name),
                None if reference is None else reference.get(name),
                known,
                None if expected is None else expected.dice,
            )

        names = [s.name for s in segmentation.structures]
        return review(
            OnDemand(names, segmentation.mask), segmentation.grid, OnDemand(names, auxiliary),
            axis=axis, limit=limit, on_progress=on_progress, should_stop=should_stop,
        )  # fmt: skip

    def _ready(self) -> WorkingVolumes:
        if self._works is None:
            raise InputError("There is no volume to work on", "set one first")
        return self._works

    def _same_grid(self, annotations: SliceAnnotations) -> None:
        volume = self._ready().volume
        if not annotations.grid.matches(volume.grid):
            raise _elsewhere(annotations.grid, volume, "draw on the volume that is open")


def _elsewhere(grid: Grid, volume: Volume, remedy: str) -> GridError:
    from .volumes.labels import differences

    how = differences(grid, volume.grid)
    return GridError(f"The drawn slices belong to another volume than {volume.name}: {how}", remedy)
