"""The prompts of a cohort: what the user's texts mean, and what stands for their content, so that a changed prompt is
noticed whatever its file is called."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import UNREADABLE, InputError, PromptError

if TYPE_CHECKING:
    from PromptSegLib.prompts.promptset import Prompt


def absolute(text: str) -> str:
    """The same with a path that holds wherever the process works: workers have folders of their own."""
    file, ending, rest = text.partition(".promptset")
    path = Path(file + ending)
    return f"{path.absolute()}{rest}" if ending and path.is_file() else text


def digest(prompt: Prompt) -> str:
    """Stands for everything that a prompt does to a result: tensors, card, name, code and colour."""
    made = hashlib.sha256()
    for name in sorted(prompt.tensors):
        array = prompt.tensors[name].detach().cpu().half().contiguous().numpy()
        made.update(f"{name}|{array.shape}|".encode() + array.tobytes())
    card = prompt.card.to_json()
    card.pop("taught_on", None)
    stated = [dataclasses.asdict(prompt.structure), card, prompt.backbone_id, *(one.to_json() for one in prompt.masks)]
    made.update(json.dumps(stated, sort_keys=True, default=str).encode())
    return made.hexdigest()[:32]


def file_of(text: str) -> Path | None:
    """The ``.promptset`` file that a text names, if it names one."""
    file, ending, _ = text.partition(".promptset")
    path = Path(file + ending)
    return path if ending and path.is_file() else None


def files_of(texts: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Files of prompts, and beside them, with sizes and times: whether they must be read again."""
    found = []
    for path in [*filter(None, map(file_of, texts)), *memories_of(texts)]:
        status = os.stat(path)  # noqa: PTH116
        found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)


def memories_of(texts: Sequence[str]) -> list[Path]:
    """The files beside prompts that remember other patients."""
    from PromptSegLib.register.teachers import memory_of

    return [path for path in map(memory_of, texts) if path is not None]


def backbone_id(name: str) -> str:
    """The id of a backbone, from the card in its header; computed where that has none. Raises
    :class:`BackboneError`."""
    from PromptSegLib.errors import BackboneError
    from PromptSegLib.model.backbone import find_backbone, weights_id
    from PromptSegLib.model.files import read_header, read_tensors

    path = find_backbone(name)
    try:
        card = json.loads(read_header(path).get("card", "{}"))
        stated = card.get("id") if isinstance(card, dict) else None
        return str(stated) if stated else weights_id(read_tensors(path)[0])
    except InputError as error:
        raise BackboneError(error.problem, error.remedy) from error
    except UNREADABLE as error:
        raise BackboneError(f"{path.name} does not fit this version of PromptSeg", "get the file again") from error


def check_backbone(prompts: Sequence[Prompt], identity: str, name: str) -> None:
    """Raise :class:`PromptError` unless all prompts were learned on that backbone."""
    for prompt in prompts:
        if prompt.backbone_id != identity:
            raise PromptError(
                f"The prompt for {prompt.structure.name} was learned on backbone {prompt.backbone_id[:12]}, not on"
                f" {name} ({identity[:12]})",
                "use the backbone that it names, or teach the structure again",
            )
