"""Where the files that PromptSeg ships lie: the backbone, the prompt sets and the contour fusion network.

Slicer keeps resources beside the package, a wheel inside it; nothing else in PromptSeg needs to know which.
"""

from __future__ import annotations

from pathlib import Path

from .errors import InputError

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "_resources", _HERE.parent / "Resources")


def resource(*parts: str) -> Path:
    """The shipped file or folder named by ``parts``, for example ``resource("Models", "punet-ct.safetensors")``.

    Raises :class:`~PromptSegLib.errors.InputError` if this installation does not have it.
    """
    for place in _PLACES:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    name = "/".join(("Resources", *parts))
    raise InputError(f"PromptSeg's own {name} is missing", "the installation is incomplete: install PromptSeg again")
