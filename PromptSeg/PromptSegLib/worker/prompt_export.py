"""The request *export*: prompts as others get them, with where their structures lie in open reference CTs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..progress import Progress, check, part
from .call import Call
from .jobs import Jobs


def export(jobs: Jobs, call: Call) -> dict[str, Any]:
    """A file in the job's folder for each that the prompts came from. Needs no backbone. Raises
    :class:`PromptSegError` and ``Stopped``."""
    from ..prompts.library import asked, remembers
    from ..prompts.promptset import PromptSet
    from ..register.references import exported
    from ..register.teachers import Memory, memory_of

    wanted: dict[str, list[Mapping[str, Any]]] = {}
    for one in call.fields["prompts"]:
        wanted.setdefault(one["file"], []).append(one)
    files: list[dict[str, str]] = []
    without: dict[str, str] = {}
    for number, (source, some) in enumerate(wanted.items()):
        call.on_progress(Progress("export", number / len(wanted), f"Exporting {Path(source).name}"))
        sets = [asked(one) for one in some]
        prompts = PromptSet.of(sets[0].name, [prompt for each in sets for prompt in each.values()], sets[0].card)
        path = memory_of(some[0]) if call.fields.get("memory") and remembers() else None
        memory = Memory() if path is None else Memory.read(path)
        listen = part(call.on_progress, number / len(wanted), (number + 1) / len(wanted))
        made, missing = exported(prompts, memory, listen, call.should_stop)
        check(call.should_stop)
        file = f"{call.id}/export-{number}.promptset"
        made.write(jobs.path(file))
        files.append({"source": source, "file": file})
        without |= missing
    return {"files": files, "without": without}
