"""What is kept of one volume beside its line in the manifest: its record, written by who did it, and a picture of each
structure for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from PromptSegLib.atomic import replacing
from PromptSegLib.errors import UNREADABLE

from .manifest import Record


def write_details(path: Path, record: Record, pictures: Mapping[str, str]) -> None:
    """Write them; ``pictures`` are PNG in base64 by structure. Raises :class:`OutputError` and ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=False) as file:
        file.write(json.dumps({"record": record.to_json(), "pictures": dict(pictures)}).encode())


def read_details(path: Path) -> tuple[Record | None, dict[str, str]]:
    """The record and the pictures; None and nothing where there is no such file, or a damaged one."""
    try:
        found = json.loads(path.read_bytes())
        pictures = {str(name): str(value) for name, value in found["pictures"].items()}
        return Record.from_json(found["record"]), pictures
    except (OSError, *UNREADABLE):
        return None, {}
