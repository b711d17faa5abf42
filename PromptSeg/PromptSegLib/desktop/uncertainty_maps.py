"""How uncertain the last result is, voxel by voxel: kept, and laid over the slice views."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from ..mrml import overlay
from ..worker.jobs import Jobs


class UncertaintyMaps:
    """The map of each structure by its name, cut to its box; those of the last result only."""

    def __init__(self) -> None:
        self.title = "Uncertainty (%)"
        """What the legend says."""
        self._maps: dict[str, overlay.Box] = {}
        self._volume: Any = None

    def __bool__(self) -> bool:
        return bool(self._maps) and self._volume is not None and self._volume.GetScene() is not None

    def get(self, name: str) -> overlay.Box | None:
        """The map of one structure; None where there is none."""
        return self._maps.get(name)

    def show(self, opacity: float, name: str = "") -> None:
        """Lay the map of one structure (or of all: the greatest) over the slices; 0 takes it away."""
        if opacity <= 0 or not self:
            overlay.hide(self._volume)
            return
        maps = [self._maps[name]] if name in self._maps else list(self._maps.values())
        overlay.show(self._volume, maps, opacity, overlay.uncertainty(self.title), key=name)

    def keep(self, jobs: Jobs, masks: Sequence[Mapping[str, Any]], volume: Any) -> Generator[None, None, None]:
        """Keep the maps that came with the masks of a result, in place of the former ones."""
        overlay.hide(self._volume)
        self._maps, self._volume = {}, volume
        for one in masks:
            if "uncertainty" in one:
                k, j, i = one["uncertainty"]["low"]
                values = jobs.read_array(one["uncertainty"]["file"])
                self._maps[str(one["structure"]["name"])] = overlay.Box(values, (k, j, i))
                yield

    def clear(self) -> None:
        """Forget the maps of the last result."""
        self._maps, self._volume = {}, None
