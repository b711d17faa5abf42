"""What is asked of the worker about labelled volumes: which structures a data set has, to take up a volume of a scene,
and to learn a structure from all of them.

The folder of a run is the front end's, as it outlives the worker: from its checkpoint a run goes on after a crash.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PromptSegError
from .call import Call
from .jobs import Jobs
from .payload import get_box, get_structure, get_volume, put_structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..model.backbone import Backbone


def describe(call: Call) -> dict[str, Any]:
    """Name and structures of a data set, or of that in a folder, and how many volumes it has (0: it is a pack)."""
    from ..datasets.loading import read_datasets

    found = read_datasets([Path(call.fields["dataset"])])
    structures = list(dict.fromkeys(name for one in found for name in one.labels.values()))
    return {
        "name": ", ".join(one.name for one in found),
        "structures": structures,
        "volumes": sum(len(one.cases) for one in found),
    }


def gather(call: Call, jobs: Jobs) -> dict[str, Any]:
    """Bring one volume to the working grid, and keep it in the run's folder."""
    from ..labelled import gathered, run_folder

    fields = call.fields
    volume, folder = get_volume(jobs, fields["volume"]), Path(fields["folder"])
    with run_folder.taken(folder):
        gathered.gather(
            folder / run_folder.CACHE, fields["number"], volume, get_box(jobs, fields["mask"], volume.grid),
            fields["structure"], call.should_finish, remember=bool(fields.get("remember")),
        )  # fmt: skip
    return {}


def learn(call: Call, jobs: Jobs, backbone: Backbone) -> dict[str, Any]:
    """Learn the structure; what is asked to end with the best so far before a step was made is stopped. The folder is
    left to the front end also when the run is complete: it takes it away once it has kept the prompt."""
    from ..labelled import run_folder
    from ..labelled.carried_subjects import memory_of
    from ..labelled.learn import learn as learn_from
    from ..labelled.set_recipe import SetRecipe
    from ..prompts.library import memory_beside, remembers
    from ..prompts.promptset import PromptSet

    fields = call.fields
    structure, folder = get_structure(fields["structure"]), Path(fields["folder"])
    datasets = [Path(one) for one in fields.get("datasets") or ()]
    recipe = SetRecipe(**{key: fields[key] for key in ("steps", "seed", "validation") if fields.get(key) is not None})

    def loaded(warnings: Sequence[str]) -> None:
        for sentence in warnings:
            call.emit("warning", message=sentence)

    try:
        result = learn_from(
            backbone, datasets, fields.get("called") or structure.name,
            folder, recipe=recipe, resume=bool(fields.get("resume")), time_budget=fields.get("time_budget"),
            on_loaded=loaded, on_progress=call.on_progress, should_stop=call.should_finish,
        )  # fmt: skip
    except PromptSegError:
        run_folder.remove_if_empty(folder)
        raise
    path, memory = jobs.path(f"{call.id}/prompt.promptset"), None
    prompt = replace(result.prompt, structure=structure)
    PromptSet.of(structure.name, [prompt]).write(path)
    call.emit("artefact", kind="prompt", file=f"{call.id}/{path.name}")
    if fields.get("remember") and remembers() and not (result.stopped and datasets):
        known = memory_of(result.subjects, datasets, folder / run_folder.CACHE, structure.name, call.should_stop)
        try:
            if known.teachers:
                known.write(memory_beside(path))
                memory = f"{call.id}/{memory_beside(path).name}"
        except PromptSegError as error:  # the prompt is there all the same
            call.emit("warning", message=f"Nothing is kept for the next patient: {error}")
    return {
        "prompt": f"{call.id}/{path.name}", "structure": put_structure(structure), "card": prompt.card.to_json(),
        "dice": result.dice, "subjects": result.subjects.split, "curve": list(result.curve), "steps": result.steps,
        "notes": list(result.notes), "stopped": result.stopped, "complete": result.complete,
        "memory": memory,
    }  # fmt: skip
