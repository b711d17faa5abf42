"""The one main path: set a volume once, then segment and tune as often as needed.

>>> session = Session()  # doctest: +SKIP
>>> session.set_volume(read_volume("ct.nii.gz"))  # doctest: +SKIP
>>> session.segment(resolve("abdomen-ct").values())  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .errors import GridError, InputError, PromptError
from .progress import OnProgress, ShouldStop, ignore, never
from .prompts.card import Card
from .volumes.volume import Grid, Volume

if TYPE_CHECKING:
    import numpy as np

    from .model.backbone import Backbone
    from .prompts.promptset import Prompt
    from .prompts.structure import Structure
    from .review.findings import Review
    from .segment.result import Segmentation
    from .segment.segmenter import WorkingVolumes
    from .tune.annotations import SliceAnnotations
    from .tune.estimate import Estimate
    from .tune.suggest import Suggestion
    from .tune.tuner import TuningRecipe, TuningResult

T = TypeVar("T")


class OnDemand(Mapping[str, T]):
    """What is made when it is asked for: masks of all structures of a large volume may not fit into memory together."""

    def __init__(self, names: Sequence[str], make: Callable[[str], T]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Session:
    """A backbone on a device, and the volume at hand. Every face works through this class.

    The process is left as it is: how many threads compute, and how memory is kept, is for the program to decide
    (:func:`PromptSegLib.model.precision.take_process`). ``threads`` is for a caller who wants torch's number of
    threads, which is the whole process's, set here all the same.

    Loading raises :class:`~PromptSegLib.errors.BackboneError` or :class:`~PromptSegLib.errors.DeviceError`.
    """

    def __init__(self, backbone: str | Path = "punet-ct", device: str = "auto", threads: int | None = None) -> None:
        from .model.backbone import load_backbone

        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self.backbone: Backbone = load_backbone(backbone, device)
        self._works: WorkingVolumes | None = None
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
        self._works = WorkingVolumes(volume)
        self.warnings = tuple(warnings_of(volume))

    def segment(
        self,
        prompts: Iterable[Prompt],
        *,
        drawn: Mapping[str, SliceAnnotations] | None = None,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> Segmentation:
        """Segment the volume with ``prompts``, each structure for itself.

        ``drawn`` gives, by structure name, annotations of this volume: they come back exactly as drawn, and between
        them what their outlines say counts beside the network, with the weight that tuning found. Raises
        ``PromptError`` (none asked for, one asked for twice, another backbone's), ``GridError`` and ``Stopped``.
        """
        from .segment.segmenter import segment
        from .tune.crop import crop_of
        from .tune.fusion import outline_spacing, prior_of, weight_for

        works, prompts = self._ready(), list(prompts)
        if not prompts:
            raise PromptError("No structure was asked for", "name at least one prompt")
        drawn = drawn or {}
        for slices in drawn.values():
            self._same_grid(slices)
        priors, crops = {}, {}
        for prompt in prompts:
            by_hand = drawn.get(prompt.structure.name)
            if by_hand is not None:
                work = works.get(prompt.card.plane, prompt.card.spacing)
                fine = works.get(work.axis, outline_spacing(works.volume, by_hand, work.spacing))
                priors[prompt.structure.name] = prior_of(
                    fine, by_hand, weight_for(prompt.card, works.volume.grid), should_stop
                )
                crops[prompt.structure.name] = crop_of(work, by_hand)
        return segment(
            self.backbone,
            works,
            prompts,
            drawn=drawn,
            priors=priors,
            crops=crops,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    def tune(
        self,
        annotations: SliceAnnotations | Sequence[tuple[Volume, SliceAnnotations]],
        structure: Structure,
        *,
        start_from: Prompt | None = None,
        steps: int | None = None,
        seed: int = 0,
        recipe: TuningRecipe | None = None,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> TuningResult:
        """Learn ``structure`` from drawn slices; the backbone stays as it is.

        ``annotations`` are those of the volume at hand, or a list of (volume, annotations): then one prompt is learned
        from all of them, and the volume at hand stays what it is. All must be drawn in one plane.

        ``start_from`` goes on from a former round. When stopped after the first mask, the best prompt so far comes
        back with ``stopped`` set; before it, ``Stopped`` is raised. Raises ``AnnotationError``, ``GridError``,
        ``PromptError``.
        """
        from .segment.segmenter import WorkingVolumes
        from .tune.annotations import SliceAnnotations
        from .tune.examples import Drawing
        from .tune.fusion import outline_spacing
        from .tune.tuner import tune

        pairs = [(self._ready().volume, annotations)] if isinstance(annotations, SliceAnnotations) else annotations
        spacing = Card.spacing if start_from is None else start_from.card.spacing
        drawings = []
        for volume, drawn in pairs:
            if not drawn.grid.matches(volume.grid):
                raise _elsewhere(drawn.grid, volume, "draw on the volume that they go with")
            works = self._works if self._works is not None and volume is self._works.volume else WorkingVolumes(volume)
            fine = works.get(drawn.axis, outline_spacing(volume, drawn, spacing))
            drawings.append(Drawing(works.get(drawn.axis, spacing), drawn, fine))
        return tune(
            self.backbone, drawings, structure, start_from=start_from, steps=steps, seed=seed, recipe=recipe,
            on_progress=on_progress, should_stop=should_stop,
        )  # fmt: skip

    def suggest(
        self,
        annotations: SliceAnnotations,
        prompt: Prompt,
        *,
        segmentation: Segmentation | None = None,
        most: int = 1,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> list[Suggestion]:
        """The undrawn slices of the volume at hand whose drawing should help most, the best first, with reasons.

        ``segmentation`` is the one that ``prompt`` and ``annotations`` gave; without it, it is made first. An empty
        list says that nothing is in doubt. Raises as :meth:`segment`.
        """
        from .tune.suggest import suggest

        self._same_grid(annotations)
        name = prompt.structure.name
        if segmentation is None:
            segmentation = self.segment(
                [prompt], drawn={name: annotations}, on_progress=on_progress, should_stop=should_stop
            )
        return suggest(segmentation.maps[name], annotations, most, should_stop)

    @staticmethod
    def notes(prompts: Iterable[Prompt], drawn: Mapping[str, SliceAnnotations]) -> list[str]:
        """Sentences on prompts that are used with slices, by structure name, of another plane than theirs."""
        from .volumes.preprocess import plane_of_axis

        pairs = [(prompt, drawn[prompt.structure.name]) for prompt in prompts if prompt.structure.name in drawn]
        said = (p.card.other_plane(plane_of_axis(one.grid, one.axis), p.structure.name) for p, one in pairs)
        return [note for note in said if note]

    def estimate(self, segmentation: Segmentation, annotations: SliceAnnotations, prompt: Prompt) -> Estimate | None:
        """The Dice to be expected of the undrawn slices between the first and the last drawn one, with a range; None if
        there is none, or nothing tells.

        ``segmentation`` is what ``prompt`` and ``annotations`` gave. None as well until the line behind it was fitted
        to volumes with a reference, see :mod:`PromptSegLib.tune.estimate`: a guess is not shown as a figure.
        """
        from .tune import estimate as estimates
        from .tune.estimate import estimate, left_between, signs

        seen = segmentation.maps[prompt.structure.name]
        if not (estimates.CALIBRATION.pairs and left_between(annotations) and seen.work.axis == annotations.axis):
            return None
        taught_here = prompt.card.taught_there(segmentation.grid)
        left_out = prompt.card.leave_one_slice_out_dice if taught_here else None
        return estimate(signs(seen, annotations, left_out))

    def review(
        self,
        segmentation: Segmentation,
        *,
        reference: Mapping[str, np.ndarray] | None = None,
        drawn: Mapping[str, SliceAnnotations] | None = None,
        prompts: Iterable[Prompt] = (),
        axis: int = 0,
        most: int = 4,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> Review:
        """What a segmentation of the volume at hand is worth, and where to look.

        ``reference`` has masks (K, J, I) bool by structure; ``drawn`` what was drawn, and ``prompts`` what was learned
        from it: together they give an estimated Dice of the undrawn slices between. ``axis`` is what slices count
        along. Raises ``GridError`` and ``Stopped``.
        """
        from .review.findings import Evidence, review

        drawn, learned = drawn or {}, {p.structure.name: p for p in prompts}

        def evidence(name: str) -> Evidence:
            by_hand, expected = drawn.get(name), None
            if by_hand is not None and name in learned:
                expected = self.estimate(segmentation, by_hand, learned[name])
            known = by_hand.used() if by_hand is not None and by_hand.axis == axis else ()
            return Evidence(
                segmentation.uncertainty(name),
                None if reference is None else reference.get(name),
                known,
                None if expected is None else expected.dice,
            )

        names = [s.name for s in segmentation.structures]
        return review(
            OnDemand(names, segmentation.mask), segmentation.grid, OnDemand(names, evidence),
            axis=axis, most=most, on_progress=on_progress, should_stop=should_stop,
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
