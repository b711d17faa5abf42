"""Tensors on disk: safetensors with a text header, written complete or not at all, and never a pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..atomic import replacing
from ..errors import UNREADABLE, InputError, system_problem

if TYPE_CHECKING:
    from torch import Tensor


def write_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, str]) -> None:
    """Write ``tensors`` and ``meta`` (text to text) to ``path``: to a temporary file beside it, then renamed.

    Raises :class:`OutputError` if that fails; what was at ``path`` before is then untouched.
    """
    from safetensors.torch import save

    with replacing(path) as file:
        file.write(save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, meta))


def read_header(path: Path, max_bytes: int = 4_000_000) -> dict[str, str]:
    """The text header of a safetensors file, without its tensors. Raises :class:`InputError` for anything else."""
    try:
        with Path(path).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= max_bytes:
                raise ValueError
            header = json.loads(file.read(length))
        meta = header.get("__metadata__", {})
        if not isinstance(meta, dict):
            raise ValueError
    except OSError as error:
        raise system_problem(error) or InputError(
            f"{path} cannot be read: {error.strerror}", "check the name"
        ) from error
    except UNREADABLE as error:
        raise InputError(
            f"{path} is not a safetensors file", "it may be damaged or something else by that name"
        ) from error
    return {str(k): str(v) for k, v in meta.items()}


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the header of a safetensors file. Raises :class:`InputError` if it is damaged or something
    else."""
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    meta = read_header(path)
    try:
        try:
            os.fspath(path).encode()  # safetensors cannot take every name,
            return load_file(str(path)), meta  # opens the file twice, and does not say why it cannot
        except (SafetensorError, OSError, ValueError, RuntimeError):
            return load(Path(path).read_bytes()), meta
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise system_problem(error) or InputError(f"{path} is damaged or incomplete", "get the file again") from error
