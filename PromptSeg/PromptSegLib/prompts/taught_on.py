"""Which volumes a prompt was taught on: kept for this user on this computer, never in a file that can be passed on.
What is kept are grids: no pictures and no names.

A prompt is recognised by its tensors, whatever its file is called and whatever else is in it. What is lost with this
memory is small: the contours' weight that was chosen on that volume, and the expected Dice there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import replacing
from ..errors import UNREADABLE, PromptSegError
from ..volumes.volume import Grid
from .card import Card

VARIABLE = "PROMPTSEG_HOME"
"""The environment variable that names another folder."""
_MAX_BYTES = 1_000_000
_LONGEST_DIGEST, _HUGE = 100, 1e9


def remember(arrays: Mapping[str, np.ndarray], card: Card) -> None:
    """Keep the grids of ``card.taught_on`` with a prompt's tensors, beside those that are kept; where that cannot be,
    nothing is."""
    if not card.taught_on:
        return
    every = dict.fromkeys((*recall(arrays, card), *card.taught_on))
    places = [one if isinstance(one, str) else _put(one) for one in every]
    with contextlib.suppress(OSError, PromptSegError, RuntimeError):
        path = _file(arrays, _kinds(card)[0])
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(places).encode())


def recall(arrays: Mapping[str, np.ndarray], card: Card) -> tuple[Grid | str, ...]:
    """The grids that were remembered for a prompt's tensors; none where nothing is known. The card tells a prompt that
    was drawn from the one that it began with, where no step was worth taking: that was taught nowhere."""
    found: list[Grid | str] = []
    for kind in _kinds(card):
        with contextlib.suppress(OSError, RuntimeError, *UNREADABLE):
            path = _file(arrays, kind)
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                found += [_digest(one) if isinstance(one, str) else _get(one) for one in json.loads(path.read_bytes())]
    return tuple(dict.fromkeys(found))


def _kinds(card: Card) -> tuple[str, ...]:
    """Where to write and read first, and where else to read: all that was drawn was under one name before."""
    if card.begun_dice is not None:
        return ("known",)
    return ("drawn", "") if card.rounds and card.validation_dice is None else ("",)


def forget(arrays: Mapping[str, np.ndarray]) -> None:
    """Delete what was remembered for a prompt's tensors; where that cannot be, it stays."""
    with contextlib.suppress(OSError, RuntimeError):
        for kind in ("known", "drawn", ""):
            _file(arrays, kind).unlink(missing_ok=True)


def _file(arrays: Mapping[str, np.ndarray], kind: str) -> Path:
    digest = hashlib.sha256(kind.encode())
    for name in sorted(arrays):
        digest.update(f"{name}|{arrays[name].shape}|".encode())
        digest.update(arrays[name].tobytes())
    return _folder() / "taught" / f"{digest.hexdigest()[:40]}.json"


def _folder() -> Path:
    """Where the system keeps a user's own data. Raises :class:`RuntimeError` for a user without a home."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "PromptSeg"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "PromptSeg"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "promptseg"


def _put(grid: Grid) -> dict[str, Any]:
    return {"size": grid.size, "origin": grid.origin, "spacing": grid.spacing, "direction": grid.direction}


def _get(values: Mapping[str, Any]) -> Grid:
    """Raises one of :data:`UNREADABLE` for what :func:`_put` does not give: it must not spoil the prompt."""
    (i, j, k), (x, y, z), (a, b, c) = values["size"], values["origin"], values["spacing"]
    direction = tuple(values["direction"])
    numbers = (i, j, k, x, y, z, a, b, c, *direction)
    plain = all(isinstance(one, int | float) and abs(one) < _HUGE for one in numbers)
    if not plain or len(direction) != 9 or not all(isinstance(one, int) for one in (i, j, k)):
        raise ValueError("not a grid")
    return Grid((i, j, k), (x, y, z), (a, b, c), direction)


def _digest(text: str) -> str:
    if not 0 < len(text) <= _LONGEST_DIGEST:
        raise ValueError("not a digest")
    return text
