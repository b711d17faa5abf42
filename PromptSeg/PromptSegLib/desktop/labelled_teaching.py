"""Teaching a structure from whole segmented volumes: those of the scene, or a data set on disk.

The volumes of a scene go to the worker one after the other, which brings each to the working grid and forgets it; then
it learns. What comes out lies in the library at once, and a run that was stopped can be gone on with.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..anatomy.structure import Structure
from ..anatomy.terminology import find
from ..errors import InputError, PromptSegError
from ..mrml import nodes
from ..mrml.labelled_pairs import Pair
from ..progress import OnProgress, Progress
from ..prompts.card import Card
from ..volumes.plausible import check_hu
from ..worker.payload import put_box, put_structure, put_volume_in_steps
from .context import Context, Work
from .job import Job
from .runs import Run, Runs

MIN_VOLUMES = 3
"""Fewer volumes are better taught by drawing in them."""
GATHERING = 0.15
"""Share of the whole that handing over the volumes takes."""
VALIDATION = 0.25


class OddValuesError(InputError):
    """A volume whose values do not look like a CT's in HU: it may be meant all the same."""


@dataclass(frozen=True)
class SetTaught:
    """``text`` is the prompt in the library; ``dice`` that of each held-out volume, by its name; ``complete`` whether
    there is nothing to go on with."""

    text: str
    structure: Structure
    card: Card
    dice: Mapping[str, float]
    steps: int
    stopped: bool
    complete: bool
    notes: tuple[str, ...] = ()


class LabelledTeaching:
    """``runs`` are those that can be gone on with. Jobs are of the kind "learn": *keep best* ends one with the best so
    far, and leaves it to be gone on with."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.runs = Runs(lambda: context.library.folder)

    def describe(self, path: str, **listeners: Any) -> Job:
        """Which structures a data set has: gives the dict of the request of that name."""
        job = self._context.new_job("describe", listeners)
        identity = self._context.folder(job)
        job.do_request("describe", {"dataset": str(path)}, job.finish, identity=identity)
        return job

    def from_scene(
        self,
        pairs: Sequence[Pair],
        structure: Structure,
        *,
        minutes: float,
        odd: bool = False,
        on_warning: Callable[[str], None] | None = None,
        **listeners: Any,
    ) -> Job:
        """Learn from segments and the volumes that they are of. Gives a :class:`SetTaught`.

        The run goes on when nodes or the scene are removed after they were handed over. Ends with
        :class:`OddValuesError` for values that are no HU, unless ``odd`` says that they are meant. Raises
        :class:`InputError` for fewer than three volumes, or one that is there twice, and :class:`OutputError`.
        """
        check_pairs(pairs, structure.name)
        run = self.runs.new(structure, len(pairs))
        return _LearningRun(self, run, minutes, on_warning, listeners, pairs, odd=odd).begin()

    def from_dataset(
        self,
        path: str,
        called: str,
        *,
        minutes: float,
        on_warning: Callable[[str], None] | None = None,
        **listeners: Any,
    ) -> Job:
        """The same from a data set, where the structure is ``called`` so."""
        run = self.runs.new(find(called) or Structure(called), 0, [str(path)], called)
        return _LearningRun(self, run, minutes, on_warning, listeners).begin()

    def go_on(
        self, run: Run, *, minutes: float, on_warning: Callable[[str], None] | None = None, **listeners: Any
    ) -> Job:
        """Go on with a run that was stopped, for so many minutes more."""
        return _LearningRun(self, run, minutes, on_warning, listeners, resume=True).begin()

    @property
    def context(self) -> Context:
        """What it shares with the other parts."""
        return self._context


def check_pairs(pairs: Sequence[Pair], name: str) -> None:
    """Raise :class:`InputError` where these cannot teach, as far as can be told without looking into them."""
    if len(pairs) < MIN_VOLUMES:
        raise InputError(
            f"{len(pairs)} segmented volumes of {name} are ticked, and {MIN_VOLUMES} are needed",
            "load and tick more, or draw it in a few slices of one instead",
        )
    known: list[Any] = []
    for pair in pairs:
        if pair.volume is not None and any(one is pair.volume for one in known):
            raise InputError(
                f"{pair.volume.GetName()} is ticked with two segmentations",
                "untick one: a volume must not be learned from and held out",
            )
        known.append(pair.volume)


class _LearningRun:
    """One run under way: the volumes that are handed over, then what is learned."""

    def __init__(
        self,
        teaching: LabelledTeaching,
        run: Run,
        minutes: float,
        on_warning: Callable[[str], None] | None,
        listeners: Mapping[str, Any],
        pairs: Sequence[Pair] = (),
        *,
        odd: bool = False,
        resume: bool = False,
    ) -> None:
        self.context, self.runs, self.run = teaching.context, teaching.runs, run
        self.minutes, self.pairs, self.odd, self.resume = minutes, list(pairs), odd, resume
        self.names = {f"volume {n}": str(pair.volume.GetName()) for n, pair in enumerate(pairs, 1) if pair.volume}
        self.count = len(self.pairs)
        self.warned: list[str] = []
        self._on_warning = on_warning
        # No job of the scene's: what was handed over is not needed there any more.
        self.job = Job("learn", self.context.service, **listeners)
        self.job.finally_do(lambda: self.runs.tidy(self.run))

    def begin(self) -> Job:
        """The job under way."""
        self._next()
        return self.job

    def _part(self, low: float, high: float, then: Callable[[Any], None], message: str = "") -> Job:
        """A job for the part of the whole between two shares."""

        def tell(report: Progress) -> None:
            share = low + (high - low) * report.fraction
            self.job.tell(Progress(report.stage, share, message or report.message, report.metrics))

        part = self._inner(tell, then)
        self.job.go_on(part)
        return part

    def _inner(self, tell: OnProgress, then: Callable[[Any], None]) -> Job:
        return Job(
            "learn", self.context.service, on_progress=tell, on_done=then,
            on_error=self.job.fail, on_stopped=self.job.stop,
        )  # fmt: skip

    def _next(self, *_: Any) -> None:
        """Hand over the next volume; learn when that was the last."""
        if not self.pairs:
            self._learn()
            return
        number = self.count - len(self.pairs) + 1
        pair = self.pairs.pop(0)  # what was handed over is not kept alive here
        low, high = (GATHERING * n / self.count for n in (number - 1, number))
        message = f"{number}/{self.count}: {pair.volume.GetName() if pair.volume else pair.segmentation.GetName()}"
        part = self._part(low, high, self._next, message)
        identity = self.context.folder(part)

        def prepare() -> Work:
            jobs = self.context.service.jobs
            mask = pair.mask()
            yield
            taken = nodes.volume_of(pair.volume)
            yield
            strange = [] if self.odd else check_hu(taken)
            if strange:
                problem = strange[0].removesuffix("; results are likely to be wrong.").rstrip(".")
                raise OddValuesError(problem, "untick it, or load it again so that its values are HU")
            yield
            _ = taken.range_hu  # refuses what cannot be used before it is written
            yield
            given = yield from put_volume_in_steps(jobs, identity, taken)
            box = put_box(jobs, f"{identity}/mask.npy", mask)
            return {
                "folder": str(self.run.folder), "number": number, "volume": given,
                "structure": self.run.structure.name, "mask": box, "remember": self.context.remembers,
            }  # fmt: skip

        part.do_steps(prepare(), lambda fields: part.do_request("gather", fields, part.finish, identity=identity))
        part.tell(Progress("gather", 0.0, message))

    def _learn(self) -> None:
        part = self._part(GATHERING if self.count else 0.0, 1.0, self.job.finish)
        identity = self.context.folder(part)
        fields = {
            "folder": str(self.run.folder), "structure": put_structure(self.run.structure),
            "called": self.run.called or None, "datasets": list(self.run.datasets) or None,
            "validation": VALIDATION, "time_budget": 60.0 * self.minutes, "resume": self.resume,
            "remember": self.context.remembers,
        }  # fmt: skip
        part.do_request(
            "learn", fields, lambda result: part.finish(self._kept(result)), identity=identity, on_event=self._hear
        )

    def _hear(self, event: Mapping[str, Any]) -> None:
        self.context.note_device(event)
        if event["event"] == "warning":
            self.warned.append(str(event["message"]))
            if self._on_warning is not None:
                self._on_warning(self.warned[-1])

    def _kept(self, result: Mapping[str, Any]) -> SetTaught:
        """Keep what was learned in the library, in the place of what the same run had left there."""
        library, run = self.context.library, self.run
        jobs = self.context.service.jobs
        memory = jobs.path(result["memory"]) if result.get("memory") else None
        text = library.save(jobs.path(result["prompt"]), run.structure, memory=memory)
        if run.kept:
            with contextlib.suppress(PromptSegError):  # the user was quicker
                library.delete(run.kept)
        card = Card.from_json(result["card"])
        if result["complete"]:
            self.runs.remove(run)
        else:
            self.run = self.runs.keep(run, kept=text, steps=int(result["steps"]), dice=card.validation_dice)
        dice = {self.names.get(name, name): float(v) for name, v in result["dice"].items() if v is not None}
        notes = (*self.warned, *(str(one) for one in result["notes"]))
        return SetTaught(
            text, run.structure, card, dice, int(result["steps"]), bool(result["stopped"]), bool(result["complete"]),
            notes,
        )  # fmt: skip
