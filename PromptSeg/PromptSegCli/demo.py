"""The demonstration: teach two structures in a real chest CT from five slices each, and say how good it is.

A reference says what the structures are. A few of its slices play the part of the user's drawing; on the others
PromptSeg is compared with it, beside what interpolates between the same slices without looking at the image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import PromptSegError
from PromptSegLib.progress import OnProgress, Progress, ShouldStop, check, ignore, never

from .demo_folder import check_apart, move, workplace

if TYPE_CHECKING:
    import numpy as np

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.annotations import SliceAnnotations
    from PromptSegLib.review.report import KeyFigure, Report
    from PromptSegLib.review.teaching_report import Taught
    from PromptSegLib.session import Session
    from PromptSegLib.volumes.labels import LabelMap
    from PromptSegLib.volumes.volume import Volume

Sample = Callable[[], "tuple[Volume, LabelMap]"]

SEGMENTATION, PROMPTS, REPORT = "chest-ct.seg.nrrd", "chest-ct.promptset", "report.html"
_FILL, _BLEND = "Fill between slices", "signed-distance interpolation"
_WARNING = "For research use only. Not a medical device, and not for diagnosis or treatment."


@dataclass(frozen=True)
class TaughtStructure:
    """What to teach: a structure's name, the labels of the reference that make it up, and in how many slices."""

    name: str
    labels: tuple[str, ...]
    slices: int = 5


TASKS = (
    TaughtStructure("right lung", ("right lung",)),
    TaughtStructure("spine", ("cervical vertebral column", "thoracic vertebral column", "lumbar vertebral column")),
)


@dataclass(frozen=True)
class DemoResult:
    """``numbers`` are the three that matter; ``files`` the report, the segmentation and the prompt set, in this order;
    ``notes`` sentences on what had to be left out.
    """

    numbers: tuple[KeyFigure, ...]
    files: tuple[Path, ...]
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain fields for ``json.dumps``."""
        return {
            "numbers": [vars(number) for number in self.numbers],
            "files": [str(file) for file in self.files],
            "notes": list(self.notes),
        }


def run_demo(
    folder: Path,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
    *,
    backbone: str | Path = "punet-ct",
    device: str = "auto",
    threads: int | None = None,
    steps: int | None = None,
    tasks: Sequence[TaughtStructure] = TASKS,
    sample: Sample | None = None,
) -> DemoResult:
    """Run the demonstration and write its three files into ``folder``, which is made if need be.

    Files appear together, after everything was computed. Raises :class:`InputError` without the packages of the extra
    ``demo``, :class:`OutputError` for a folder that cannot be written to or holds other files of these names,
    ``Stopped``, and what ``Session`` raises.
    """
    from PromptSegLib.model.backbone import find_backbone
    from PromptSegLib.prompts.promptset import PromptSet
    from PromptSegLib.review import report_html as pages
    from PromptSegLib.review.figures import require_matplotlib
    from PromptSegLib.session import Session
    from PromptSegLib.volumes.sample_ct import chest_ct
    from PromptSegLib.volumes.write import write_segments

    check_apart(Path(folder), (REPORT, SEGMENTATION, PROMPTS))
    with workplace(Path(folder)) as place:
        clock = Clock()
        on_progress(Progress("read", 0.0, "Reading the chest CT"))
        require_matplotlib()  # or the run ends now
        with clock.timed("load"):
            volume, reference = (sample or chest_ct)()
            check(should_stop)
            session = Session(backbone, device, threads)
            session.set_volume(volume)
        size = find_backbone(backbone).stat().st_size
        run = _Run(session, volume, reference, clock, on_progress, should_stop, size)
        pupils = [run.teach(task, steps, n / len(tasks), 1 / len(tasks)) for n, task in enumerate(tasks)]
        masks = run.segment(pupils)
        taught, notes = run.compare(pupils, masks)

        check(should_stop)
        on_progress(Progress("write", 0.94, "Writing the report"))
        prompts = PromptSet.of("chest-ct", [pupil.result.prompt for pupil in pupils])
        prompts.write(place / PROMPTS)
        write_segments(
            place / SEGMENTATION, {pupil.structure: masks[pupil.structure.name] for pupil in pupils}, volume.grid
        )
        page = run.report(pupils, taught, notes, (place / PROMPTS).stat().st_size)
        check(should_stop)
        pages.write_report(place / REPORT, page)
        check(should_stop)
        files = tuple(move(place / name, Path(folder) / name) for name in (REPORT, SEGMENTATION, PROMPTS))
    on_progress(Progress("write", 1.0, "Done"))
    return DemoResult(tuple(page.key_figures), files, dict(clock.seconds), tuple(notes))


class Clock:
    """Seconds per stage, and since the start."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add what the block takes to ``stage``."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start


@dataclass
class Pupil:
    """A structure that is being taught: what is shown, what was learned, and the curves of tuning."""

    structure: Structure
    reference: np.ndarray
    annotations: SliceAnnotations
    result: Any = None
    losses: list[tuple[int, float]] = field(default_factory=list)
    left_out: dict[int, list[float]] = field(default_factory=dict)

    def note(self, report: Progress) -> None:
        """Keep what the curves need of a progress report."""
        step, numbers = int(report.metrics.get("step", -1)), report.metrics
        if report.stage == "tune" and "loss" in numbers and numbers["loss"] == numbers["loss"]:
            self.losses.append((step, numbers["loss"]))
        if report.stage == "leave one out" and numbers.get("left_out_dice", float("nan")) == numbers.get(
            "left_out_dice"
        ):
            self.left_out.setdefault(step, []).append(numbers["left_out_dice"])


@dataclass
class _Run:
    """The stages of one demonstration, on one volume."""

    session: Session
    volume: Volume
    labels: LabelMap
    clock: Clock
    on_progress: OnProgress
    should_stop: ShouldStop
    backbone_bytes: int

    def teach(self, task: TaughtStructure, steps: int | None, start: float, share: float) -> Pupil:
        """Learn one structure from a few slices of the reference."""
        import numpy as np

        from PromptSegLib.annotations import SliceAnnotations
        from PromptSegTrain.simulate import evenly_spaced

        reference = np.any([self.labels.mask(self.labels.value_of(label)) for label in task.labels], axis=0)
        slices = evenly_spaced(reference, task.slices)
        annotations = SliceAnnotations.from_labels(reference.astype(np.uint8), self.volume.grid, 1, slices)
        pupil = Pupil(self._structure(task), reference, annotations)

        def listen(report: Progress) -> None:
            pupil.note(report)
            message = f"Learning {task.name}: {report.message}"
            fraction = 0.04 + 0.76 * (start + share * report.fraction)
            self.on_progress(Progress(report.stage, fraction, message, report.metrics))

        with self.clock.timed(f"teach {task.name}"):
            pupil.result = self.session.tune(
                annotations, pupil.structure, steps=steps, on_progress=listen, should_stop=self.should_stop
            )
        check(self.should_stop)  # a demonstration of half a structure is none
        return pupil

    def _structure(self, task: TaughtStructure) -> Structure:
        from PromptSegLib.anatomy.structure import Structure
        from PromptSegLib.anatomy.terminology import find

        if len(task.labels) == 1:
            known = self.labels.names.get(self.labels.value_of(task.labels[0]))
            if isinstance(known, Structure):
                return known
        return find(task.name) or Structure(task.name)

    def segment(self, pupils: Sequence[Pupil], *, contours: bool = True) -> dict[str, np.ndarray]:
        """The volume's masks by structure; the shown slices come back as they were shown.

        Without ``contours``, between them the network is alone.
        """

        def listen(report: Progress) -> None:
            message = report.message or "Segmenting the volume"
            start = 0.8 if contours else 0.84
            self.on_progress(Progress(report.stage, start + 0.04 * report.fraction, message, report.metrics))

        prompts = [pupil.result.prompt for pupil in pupils]
        if not contours:
            prompts = [replace(prompt, card=replace(prompt.card, contour_weight=0.0)) for prompt in prompts]
        with self.clock.timed("segment" if contours else "segment by the network alone"):
            result = self.session.segment(
                prompts,
                drawn={pupil.structure.name: pupil.annotations for pupil in pupils},
                on_progress=listen,
                should_stop=self.should_stop,
            )
            return {pupil.structure.name: result.mask(pupil.structure.name) for pupil in pupils}

    def compare(self, pupils: Sequence[Pupil], masks: Mapping[str, np.ndarray]) -> tuple[list[Taught], list[str]]:
        """All methods on the slices that were not shown, and sentences on what was left out."""
        from PromptSegLib.review.teaching_report import Method, Taught

        alone = self.segment(pupils, contours=False)
        self.on_progress(Progress("compare", 0.88, "Comparing with interpolation"))
        spacing = self.volume.grid.spacing[::-1]
        others, notes = self._interpolate(pupils)
        taught = []
        with self.clock.timed("compare"):
            for pupil in pupils:
                check(self.should_stop)
                shown = pupil.annotations.drawn()
                every = [("ours", "PromptSeg", masks[pupil.structure.name]), *others[pupil.structure.name]]
                methods = [Method.of(*method, pupil.reference, spacing, shown) for method in every]
                curves = (pupil.losses, pupil.left_out, pupil.result.leave_one_out_dice)
                by_network = alone[pupil.structure.name]
                also = Method.of("ours", "PromptSeg, network alone", by_network, pupil.reference, spacing, shown)
                taught.append(Taught(pupil.structure, shown, pupil.reference, methods, *curves, also=[also]))
        return taught, notes

    def _interpolate(self, pupils: Sequence[Pupil]) -> tuple[dict[str, list[tuple[str, str, np.ndarray]]], list[str]]:
        from PromptSegLib.contours.interpolation import morphological, signed_distance

        spacing = self.volume.grid.spacing[::-1]
        found: dict[str, list[tuple[str, str, np.ndarray]]] = {pupil.structure.name: [] for pupil in pupils}
        drawn = {p.structure.name: {k: s.mask == 1 for k, s in p.annotations.slices.items()} for p in pupils}
        notes = []
        with self.clock.timed("interpolate"):
            try:
                with ThreadPoolExecutor() as pool:  # each runs in a process of its own, which takes long to start
                    depth = len(self.volume.voxels)
                    filled = list(
                        pool.map(lambda slices: morphological(slices, depth, self.should_stop), drawn.values())
                    )
                for name, mask in zip(drawn, filled, strict=True):
                    found[name].append(("fill", _FILL, mask))
            except PromptSegError as error:
                check(self.should_stop)  # Ctrl-C ends the filter's own process too
                notes.append(f"{error} PromptSeg is compared with {_BLEND} only.")
            for name, slices in drawn.items():
                check(self.should_stop)
                blend = signed_distance(slices, len(self.volume.voxels), spacing) > 0
                found[name].append(("blend", _BLEND, blend))
        return found, notes

    def report(
        self, pupils: Sequence[Pupil], taught: Sequence[Taught], notes: Sequence[str], prompt_bytes: int
    ) -> Report:
        """The page; everything in it was measured in this run."""
        from PromptSegLib import __version__
        from PromptSegLib.review import machine
        from PromptSegLib.review import teaching_report as teaching
        from PromptSegLib.review.report import KeyFigure, Report, Section, Terms

        device = self.session.backbone.device
        all_in = sum(self.clock.seconds[f"teach {p.structure.name}"] for p in pupils) + self.clock.seconds["segment"]
        numbers = [KeyFigure(*entry) for entry in teaching.headlines(taught)]
        numbers.append(KeyFigure(f"{all_in:.0f} s", "to learn and segment all", machine.computer(device)))
        note = (
            "Every method was given the same slices. The first and the last slice of a structure are among them, which "
            "suits interpolation. Nothing was tuned on the slices that count. PromptSeg is its network "
            "together with the drawn contours, followed from slice to slice; the network alone is listed as well."
        )
        if not notes:
            note += f" {_FILL} is 3D Slicer's own way to do this, ITK's morphological contour interpolation."
        figures = [
            Terms("Times", [(name, f"{value:.1f} s") for name, value in self._times(pupils)]),
            Terms("Sizes", self._sizes(pupils, prompt_bytes)),
            Terms("Machine", machine.details(self.session.backbone.name, self.session.backbone.id, device)),
        ]
        sections = [
            teaching.comparison(taught, " ".join([note, *notes])),
            teaching.shown_slices(self.volume, taught),
            teaching.unshown_slices(self.volume, taught),
            teaching.worst_slices(self.volume, taught),
            teaching.slice_by_slice(taught),
            teaching.learning(taught),
            Section("Times, sizes and machine", figures),
            teaching.how_to_read(),
            Section("Limits", (), _LIMITS),
        ]
        names = " and ".join(f"the {pupil.structure.name}" for pupil in pupils)
        slices = _words([len(t.shown) for t in taught])
        summary = (
            f"PromptSeg was shown {names} in {slices} slices each of a chest CT with {len(self.volume.voxels)} slices, "
            "learned them on this computer, and segmented the rest; the figures are from slices that it was not shown."
        )
        title = f"{_structures(pupils).capitalize()}, learned from {slices} slices each"
        footer = f"Made by PromptSeg {__version__}. Everything was computed on this computer."
        return Report(title, summary, numbers, sections, _WARNING, footer)

    def _times(self, pupils: Sequence[Pupil]) -> list[tuple[str, float]]:
        seconds = self.clock.seconds
        times = [("Read the CT, load the backbone", seconds["load"])]
        for pupil in pupils:
            name = pupil.structure.name
            times += [
                (f"First mask, {name}", pupil.result.seconds["first mask"]),
                (f"Learned, {name}", seconds[f"teach {name}"]),
            ]
        times.append(("Segment the volume, all structures", seconds["segment"]))
        times.append(("Interpolate, to compare with", seconds["interpolate"]))
        times.append(("Measure", seconds["compare"]))
        return [*times, ("Everything up to this report", self.clock.total())]

    def _sizes(self, pupils: Sequence[Pupil], prompt_bytes: int) -> list[tuple[str, str]]:
        backbone, grid = self.session.backbone, self.volume.grid
        total = sum(p.numel() for p in backbone.net.parameters())
        own = sum(t.numel() for t in pupils[0].result.prompt.tensors.values())
        extent, spacing = " x ".join(map(str, grid.size)), " x ".join(f"{mm:.2f}" for mm in grid.spacing)
        return [
            ("CT", f"{extent} voxels of {spacing} mm"),
            ("Prompt file", f"{prompt_bytes / 1024:.0f} KiB for {_structures(pupils)}"),
            ("One prompt", f"{own:,} numbers, {own / total:.2%} of the backbone's {total:,}"),
            ("Backbone file", f"{self.backbone_bytes / 2**20:.1f} MiB"),
        ]


_LIMITS = (
    "For research use only, not for diagnosis.",
    "This is one CT of one patient, with thick slices and coarse pixels, and a reference that is itself not perfect. "
    "The figures show how the method works on it, not how it does on other patients, scanners or structures.",
    "A careful user checks every slice, the worst ones first, and draws another where the result is off.",
)


def _structures(pupils: Sequence[Pupil]) -> str:
    return f"{_words([len(pupils)])} structure{'s' * (len(pupils) > 1)}"


def _words(counts: Sequence[int]) -> str:
    """Small numbers in words, each once."""
    words = ("no", "one", "two", "three", "four", "five")
    return " and ".join(words[n] if n < len(words) else str(n) for n in sorted(set(counts)))
