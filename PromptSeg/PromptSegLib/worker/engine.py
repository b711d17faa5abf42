"""What each request does: it fills the same types as every front end does, and calls the session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError, PromptError, PromptSegError, Stopped, quoted
from ..progress import OnProgress, Progress, check, part
from . import inventory, labelled_requests, prompt_export
from .call import Call
from .jobs import Jobs
from .payload import (
    get_annotations,
    get_box,
    get_grid,
    get_map,
    get_structure,
    get_volume,
    put_map,
    put_mask,
    put_structure,
)

if TYPE_CHECKING:
    from pathlib import Path

    from ..annotations import SliceAnnotations
    from ..prompts.promptset import Prompt
    from ..register.teachers import Memory
    from ..segment.result import Segmentation
    from ..session import Session


class Engine:
    """Keeps the backbone and the volume warm from one request to the next."""

    def __init__(
        self, jobs: Jobs, backbone: str = "punet-ct", device: str = "auto", threads: int | None = None
    ) -> None:
        self.jobs = jobs
        self._settings = (backbone, device, threads)
        self._session: Session | None = None
        self._volume_file = ""

    def do(self, call: Call) -> dict[str, Any]:
        """The result of a request that was checked. Raises :class:`PromptSegError` and ``Stopped``."""
        actions: dict[str, Callable[[Call], dict[str, Any]]] = {
            "set_volume": self._set_volume,
            "segment": self._segment,
            "tune": self._tune,
            "suggest": self._suggest,
            "review": self._look,
            "export": lambda one: prompt_export.export(self.jobs, one),
            "prompts": inventory.prompt_sets,
            "info": lambda one: inventory.installation(lambda: self._loaded(one)),
            "describe": labelled_requests.describe,
            "gather": lambda one: labelled_requests.gather(one, self.jobs),
            "learn": lambda one: labelled_requests.learn(one, self.jobs, self._loaded(one).backbone),
        }
        return actions[call.do](call)

    def _set_volume(self, call: Call) -> dict[str, Any]:
        self._ready(call)
        return {}

    def _segment(self, call: Call) -> dict[str, Any]:
        from ..prompts.library import asked, once, remembers
        from ..register.teachers import remembered_by

        wanted = call.fields["prompts"]
        prompts = once((str(one), prompt) for one in wanted for prompt in asked(one).values())
        drawn = {name: get_annotations(self.jobs, given) for name, given in (call.fields.get("drawn") or {}).items()}
        carries = bool(call.fields.get("memory")) and remembers()
        priors, problems = remembered_by(call.fields["prompts"]) if carries else ({}, [])
        session = self._ready(call)
        for note in session.notes(prompts, drawn):
            call.emit("warning", message=note)
        listen = part(call.on_progress, 0.0, 0.9 if call.fields.get("review") else 1.0)
        result = session.segment(
            prompts, drawn=drawn, priors=priors, references=carries, on_progress=listen, should_stop=call.should_stop
        )
        out: dict[str, Any] = {"masks": self._masks(call, result, "artefact"), "seconds": result.seconds}
        out |= {"notes": [*problems, *result.notes], "expected": result.expected}
        if call.fields.get("suggest"):
            found = [p for p in prompts if p.structure.name not in drawn]
            out["corrections"] = _corrections(call, session, result, found)
        if call.fields.get("review"):
            out["review"] = _review(call, session, result, drawn, prompts, call.fields.get("axis") or 0)
        return out

    def _tune(self, call: Call) -> dict[str, Any]:
        from ..prompts.library import memory_beside, remembers
        from ..prompts.promptset import PromptSet
        from ..volumes.preprocess import plane_of_axis

        fields = call.fields
        annotations = get_annotations(self.jobs, fields["annotations"])
        structure = get_structure(fields["structure"])
        former = _former(fields["start_from"], structure.name) if fields.get("start_from") else None
        notes: tuple[str, ...] = ()
        plane = plane_of_axis(annotations.grid, annotations.axis)
        if former is not None and former.card.plane != plane:
            notes = (f"The prompt before was learned in {former.card.plane} slices: taught anew in {plane} ones.",)
            former = None
        seed = fields.get("seed") or 0
        then = fields.get("segment") or fields.get("review") or fields.get("suggest")
        memory, problem = _memory(fields.get("examples"), structure.name)
        notes += (problem,) if problem else ()
        session = self._ready(call)
        first = None
        if fields.get("preview"):
            first = session.tune(
                annotations, structure, start_from=former, steps=0, seed=seed, should_stop=call.should_finish
            )
            listen = part(call.on_progress, 0.0, 0.1)
            self._apply(call, session, first.prompt, annotations, memory, "preview", listen)
        listen = part(call.on_progress, 0.1 if first else 0.0, 0.8 if then else 1.0)
        try:
            result = session.tune(
                annotations,
                structure,
                start_from=former,
                remembered=memory.drawn(structure.name),
                steps=fields.get("steps"),
                seed=seed,
                on_progress=listen,
                should_stop=call.should_finish,
            )
        except Stopped:
            if first is None:
                raise
            result = replace(first, outcome=replace(first.outcome, stopped=True))  # it is the best that there is
        check(call.should_stop)
        path = self.jobs.path(f"{call.id}/prompt.promptset")
        PromptSet.of(structure.name, [result.prompt]).write(path)
        call.emit("artefact", kind="prompt", file=f"{call.id}/{path.name}")
        out: dict[str, Any] = {
            "prompt": f"{call.id}/{path.name}",
            "structure": put_structure(structure),
            "card": result.prompt.card.to_json(),
        }
        outcome = replace(result.outcome, notes=(*notes, *result.notes))
        if then:
            listen = part(call.on_progress, 0.8, 0.95)
            segmentation, out["masks"] = self._apply(
                call, session, result.prompt, annotations, memory, "artefact", listen
            )
            outcome = replace(
                outcome,
                notes=(*outcome.notes, *segmentation.notes),
                estimate=session.estimate(segmentation, annotations, result.prompt),
            )
            if fields.get("remember") and remembers():
                beside = memory_beside(path)
                if _keep(call, session, memory, beside, segmentation, annotations, result.prompt):
                    out["memory"] = f"{call.id}/{beside.name}"
            if fields.get("review"):
                drawn = {structure.name: annotations}
                found = _review(call, session, segmentation, drawn, [result.prompt], annotations.axis)
                outcome = replace(outcome, review=found)
            if fields.get("suggest"):
                suggested = session.suggest(
                    annotations, result.prompt, segmentation=segmentation, limit=fields["suggest"],
                    should_stop=call.should_stop,
                )  # fmt: skip
                outcome = replace(outcome, suggestions=tuple(suggested))
        out |= outcome.to_json()
        return out

    def _suggest(self, call: Call) -> dict[str, Any]:
        annotations = get_annotations(self.jobs, call.fields["annotations"])
        prompt = _former(call.fields["prompt"], "")
        session = self._ready(call)
        for note in session.notes([prompt], {prompt.structure.name: annotations}):
            call.emit("warning", message=note)
        found = session.suggest(
            annotations,
            prompt,
            limit=call.fields.get("limit") or 1,
            on_progress=call.on_progress,
            should_stop=call.should_stop,
        )
        return {"suggestions": [asdict(one) for one in found]}

    def _look(self, call: Call) -> dict[str, Any]:
        from ..review.findings import Auxiliary, OnDemand, review

        fields = call.fields
        grid = get_grid(fields["grid"])
        given = {one["name"]: one for one in fields["structures"]}

        def auxiliary(name: str) -> Auxiliary:
            one = given[name]
            reference, uncertain = one.get("reference"), one.get("uncertainty")
            return Auxiliary(
                None if uncertain is None else get_map(self.jobs, uncertain, grid),
                None if reference is None else get_box(self.jobs, reference, grid),
                tuple(one.get("drawn") or ()),
                one.get("estimate"),
            )

        found = review(
            OnDemand(list(given), lambda name: get_box(self.jobs, given[name]["mask"], grid)),
            grid,
            OnDemand(list(given), auxiliary),
            axis=fields.get("axis") or 0,
            limit=fields.get("limit") or 4,
            on_progress=call.on_progress,
            should_stop=call.should_stop,
        )
        return found.to_json()

    def _apply(
        self,
        call: Call,
        session: Session,
        prompt: Prompt,
        annotations: SliceAnnotations,
        memory: Memory,
        event: str,
        listen: OnProgress,
    ) -> tuple[Segmentation, list[dict[str, Any]]]:
        """The volume segmented with what was just learned: drawn slices as drawn, with what earlier patients tell."""
        from ..prompts.library import remembers

        name = prompt.structure.name
        result = session.segment(
            [prompt], drawn={name: annotations}, priors={name: session.others(memory, name)},
            references=remembers(), on_progress=listen, should_stop=call.should_stop,
        )  # fmt: skip
        return result, self._masks(call, result, event)

    def _masks(self, call: Call, result: Segmentation, event: str) -> list[dict[str, Any]]:
        """Write a result to the job's folder, structure by structure: together the masks may not fit into memory."""
        masks = []
        maps = (call.fields.get("maps") or ()) if event == "artefact" else ()
        for number, structure in enumerate(result.structures, 1):
            check(call.should_stop)
            mask = result.mask(structure.name)
            one = put_mask(self.jobs, f"{call.id}/{event}-{number}.npy", structure, mask, result.grid)
            for kind in maps:
                check(call.should_stop)
                one[kind] = put_map(self.jobs, f"{call.id}/{kind}-{number}.npy", getattr(result, kind)(structure.name))
            call.emit(event, kind="mask", **one)
            masks.append(one)
        return masks

    def _loaded(self, call: Call) -> Session:
        """The session; loading it is the one stage that cannot be interrupted."""
        check(call.should_stop)
        if self._session is None:
            call.on_progress(Progress("load", 0.0, "Loading the backbone"))
            from ..model.precision import take_process
            from ..session import Session

            backbone, device, threads = self._settings
            take_process(threads)
            self._session = Session(backbone, device)
            from ..review.machine import computer

            call.emit("stage", stage="load", message="", computer=computer(self._session.backbone.device))
        check(call.should_stop)
        return self._session

    def _ready(self, call: Call) -> Session:
        """The session with the request's volume in it, which is read only if it is another one."""
        session = self._loaded(call)
        given = call.fields.get("volume")
        if given is not None and given["file"] != self._volume_file:
            call.on_progress(Progress("read", 0.0, f"Reading {given['name']}"))
            start = time.perf_counter()
            volume = get_volume(self.jobs, given)
            check(call.should_stop)
            session.set_volume(volume)
            for sentence in session.warnings:
                call.emit("warning", message=sentence, about="volume")
            self._volume_file = given["file"]
            call.emit("metric", stage="read", metrics={"seconds": time.perf_counter() - start})
        return session


def _review(
    call: Call,
    session: Session,
    result: Segmentation,
    drawn: Mapping[str, SliceAnnotations],
    prompts: Sequence[Prompt],
    axis: int,
) -> dict[str, Any]:
    """How good each structure is, and where to look; ``prompts`` are what was learned from ``drawn``."""
    listen = part(call.on_progress, 0.95, 1.0)
    found = session.review(
        result, drawn=drawn, prompts=prompts, axis=axis, on_progress=listen, should_stop=call.should_stop
    )
    return found.to_json()


def _memory(examples: Any, name: str) -> tuple[Memory, str]:
    """What is remembered of a structure beside a prompt, called ``name``; a sentence where it cannot be used."""
    from ..prompts.library import remembers
    from ..register.teachers import Memory, memory_of

    path = memory_of(examples) if examples and remembers() else None
    try:
        memory = Memory() if path is None else Memory.read(path)
    except InputError as error:
        return Memory(), str(error)
    asked = name if isinstance(examples, str) or examples is None else str(examples.get("name") or name)
    known = memory.names
    former = next((one for one in (asked, name) if one in known), known[0] if len(known) == 1 else name)
    return memory.called(name, former), ""


def _corrections(
    call: Call, session: Session, result: Segmentation, prompts: Sequence[Prompt]
) -> dict[str, dict[str, Any]]:
    """The slices of least certainty of each structure that was found: to be corrected first."""
    out = {}
    for prompt in prompts:
        axis, found = session.corrections(result, prompt, call.fields["suggest"], call.should_stop)
        out[prompt.structure.name] = {"axis": axis, "slices": [asdict(one) for one in found]}
    return out


def _keep(
    call: Call,
    session: Session,
    memory: Memory,
    path: Path,
    made: Segmentation,
    annotations: SliceAnnotations,
    prompt: Prompt,
) -> bool:
    """Write ``memory`` and the patient at hand for the next one; where this one cannot be kept, the others are. Whether
    there is a file."""
    try:
        memory = memory.joined([session.remember(made, annotations, prompt, call.should_stop)])
    except InputError as error:
        call.emit("warning", message=f"Nothing is kept for the next patient: {error}")
    try:
        if memory.teachers:
            memory.write(path)
    except PromptSegError as error:
        call.emit("warning", message=f"Nothing is kept for the next patient: {error}")
        return False
    return bool(memory.teachers)


def _former(wanted: str | Mapping[str, Any], name: str) -> Prompt:
    """The prompt that a further round goes on from: the one of that name, or the only one."""
    from ..prompts.library import asked

    found = asked(wanted)
    prompts = found.prompts
    if name not in prompts and len(prompts) != 1:
        raise PromptError(f"{found.name} has no prompt for '{name}'", f"it has: {quoted(prompts)}")
    return prompts.get(name) or next(iter(prompts.values()))
