"""A result's masks, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.segment.result import Segmentation


class Masks(Mapping):  # type: ignore[type-arg]
    """The masks of a result by structure, each made when it is asked for: together they may not fit into memory."""

    def __init__(self, result: Segmentation) -> None:
        self._result = result

    def __getitem__(self, structure: Structure) -> np.ndarray:
        return self._result.mask(structure.name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._result.structures)

    def __len__(self) -> int:
        return len(self._result.structures)
