"""Voxels that lie in other files than their header: one, a list of them, or a numbered row."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import InputError
from .stream import damaged, empty_array, fill, leave_out_lines, native

_MAX_FILES, _LONGEST_NAME = 100_000, 10_000
_PATTERN = re.compile(r"(?:[^%]|%%)*%[-+ 0]*[0-9]{0,2}(?:\.[0-9]{1,2})?[dixXu](?:[^%]|%%)*")
"""One number, of bounded width: a stranger's pattern may ask for gigabytes."""


def numbered(name: str, pattern: str, first: str, last: str, step: str) -> list[str]:
    """The file names of a pattern such as ``slice%03d.raw`` from ``first`` to ``last``; raises :class:`InputError`."""
    try:
        low, high, by = int(first), int(last), int(step)
        count = (high - low) // by + 1
        if not 1 <= count <= _MAX_FILES or len(pattern) > _LONGEST_NAME or not _PATTERN.fullmatch(pattern):
            raise damaged(name)
        return [pattern % number for number in range(low, low + count * by, by)]
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise damaged(name) from error


def listed(name: str, file: IO[bytes]) -> list[str]:
    """The file names in the rest of a header, one a line; raises :class:`InputError` for more than a list can be."""
    found: list[str] = []
    while line := file.readline(_LONGEST_NAME):
        if line.strip():
            found.append(os.fsdecode(line.strip()))
        if len(found) > _MAX_FILES or len(line) == _LONGEST_NAME:
            raise damaged(name)
    return found


def read_parts(
    header: Path,
    names: Sequence[str],
    shape: Sequence[int],
    kind: np.dtype,
    packing: str,
    lines: int = 0,
    skip: int = 0,
) -> np.ndarray:
    """An array of ``shape`` (slowest axis first) from files beside ``header``, each with as many of its slowest slices.

    ``lines`` and ``skip`` are left out at each one's beginning; ``skip`` -1 takes its end. Raises :class:`InputError`
    for a file that is missing or too short, named.
    """
    files = [header.parent / name for name in names]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{header.name} keeps its voxels in another file, and {file.name} is missing",
                "copy both into one folder, under the names that they had",
            )
    available = sum(file.stat().st_size for file in files)
    array = empty_array(files[0].name if files else header.name, shape, kind, available, packing)
    if not files or shape[0] % len(files):
        raise damaged(header.name)
    each = shape[0] // len(files)
    for n, file in enumerate(files):
        with file.open("rb") as stream:
            leave_out_lines(stream, lines)
            part = array[n * each : (n + 1) * each]
            here = skip
            if skip == -1:
                stream.seek(0, os.SEEK_END)
                if stream.tell() < part.nbytes:
                    raise damaged(file.name)
                stream.seek(-part.nbytes, os.SEEK_END)
                here = 0
            fill(file.name, part, stream, packing, here)
    return native(array)
