"""The one main path: set a volume once, then segment and tune as often as needed.

>>> session = Session()  # doctest: +SKIP
>>> session.set_volume(read_volume("ct.nii.gz"))  # doctest: +SKIP
>>> session.segment(resolve("abdomen-ct").values())  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import GridError, InputError, PromptError
from .progress import OnProgress, ShouldStop, ignore, never
from .volumes.volume import Volume

if TYPE_CHECKING:
    from .model.backbone import Backbone
    from .prompts.promptset import Prompt
    from .prompts.structure import Structure
    from .segment.result import Segmentation
    from .segment.segmenter import WorkingVolumes
    from .tune.annotations import SliceAnnotations
    from .tune.tuner import TuningResult


class Session:
    """A backbone on a device, and the volume at hand. Every face works through this class.

    Loading raises :class:`~PromptSegLib.errors.BackboneError` or :class:`~PromptSegLib.errors.DeviceError`.
    """

    def __init__(self, backbone: str | Path = "punet-ct", device: str = "auto", threads: int | None = None) -> None:
        import torch

        from .model.backbone import load_backbone
        from .model.precision import default_threads, keep_freed_memory

        keep_freed_memory()
        torch.set_num_threads(threads or default_threads())
        self.backbone: Backbone = load_backbone(backbone, device)
        self._works: WorkingVolumes | None = None

    @property
    def volume(self) -> Volume | None:
        """The volume at hand."""
        return None if self._works is None else self._works.volume

    def set_volume(self, volume: Volume) -> None:
        """Take up a volume; what was prepared of the former one is dropped. Raises ``InputError`` for unusable
        voxels."""
        from .segment.segmenter import WorkingVolumes

        _ = volume.range_hu  # refuses NaN and constant images before any work
        self._works = WorkingVolumes(volume)

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
        from .tune.fusion import prior_of

        works, prompts = self._ready(), list(prompts)
        if not prompts:
            raise PromptError("No structure was asked for", "name at least one prompt")
        drawn = drawn or {}
        for slices in drawn.values():
            self._same_grid(slices)
        priors = {}
        for prompt in prompts:
            by_hand = drawn.get(prompt.structure.name)
            if by_hand is not None:
                work = works.get(str(prompt.card.get("plane", "axial")), float(prompt.card.get("spacing", 2.0)))
                priors[prompt.structure.name] = prior_of(work, by_hand, float(prompt.card.get("outline_weight", 0.0)))
        return segment(
            self.backbone,
            works,
            prompts,
            drawn=drawn,
            priors=priors,
            on_progress=on_progress,
            should_stop=should_stop,
        )

    def tune(
        self,
        annotations: SliceAnnotations,
        structure: Structure,
        *,
        start_from: Prompt | None = None,
        steps: int | None = None,
        seed: int = 0,
        on_progress: OnProgress = ignore,
        should_stop: ShouldStop = never,
    ) -> TuningResult:
        """Learn ``structure`` from drawn slices of the volume; the backbone stays as it is.

        ``start_from`` goes on from a former round. When stopped after the first mask, the best prompt so far comes
        back with ``stopped`` set; before it, ``Stopped`` is raised. Raises ``AnnotationError``, ``GridError``,
        ``PromptError``.
        """
        from .tune.tuner import tune

        works = self._ready()
        self._same_grid(annotations)
        work = works.get(annotations.axis, 2.0 if start_from is None else float(start_from.card.get("spacing", 2.0)))
        return tune(
            self.backbone, work, annotations, structure,
            start_from=start_from, steps=steps, seed=seed, on_progress=on_progress, should_stop=should_stop,
        )  # fmt: skip

    def _ready(self) -> WorkingVolumes:
        if self._works is None:
            raise InputError("There is no volume to work on", "set one first")
        return self._works

    def _same_grid(self, annotations: SliceAnnotations) -> None:
        if not annotations.grid.matches(self._ready().volume.grid):
            raise GridError("The drawn slices belong to another volume", "draw on the volume that is open")
