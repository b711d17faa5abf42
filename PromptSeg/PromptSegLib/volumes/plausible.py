"""Do a volume's values look like a CT's? The one check for everybody who is about to segment or teach.

Front ends show what :func:`warnings_of` returns, each a sentence of its own; nothing is refused here, because phantoms
and research images may be meant.
"""

from __future__ import annotations

import numpy as np

from .volume import HIGHEST_HU, LOWEST_HU, Volume

_SAMPLES = 200_000
_NARROW = 100.0  # HU: soft tissue alone spans more
_WIDE, _FAT = 900.0, -100.0  # with bone or air in view there is fat or air, and noise about 0 is neither
_FEW = 0.001
_TISSUE = -300.0


def warnings_of(volume: Volume) -> list[str]:
    """What a user should hear before a volume is used: what reading it had to decide (:attr:`Volume.notes`), and
    whatever :func:`check_hu` says. Sentences; empty for an ordinary CT. Raises nothing."""
    return [*volume.notes, *check_hu(volume)]


def check_hu(volume: Volume) -> list[str]:
    """Why the voxels of ``volume`` may not be a CT's in HU, as sentences; empty if they look like one.

    Looks at some 200,000 voxels, whatever the size of the volume, so that a window may call it. Padding and metal,
    outside -1024 to 3071, do not count.
    """
    said = []
    modality = volume.modality.strip().upper()
    if modality not in ("", "CT"):
        said.append(f"{volume.name} is of the modality {modality}, not CT; results are likely to be wrong.")
    steps = [max(1, int(n / (_SAMPLES ** (1 / 3)))) for n in volume.voxels.shape]
    some = volume.voxels[:: steps[0], :: steps[1], :: steps[2]]
    finite = some[np.isfinite(some)]
    inside = finite[(finite >= LOWEST_HU) & (finite <= HIGHEST_HU)]
    if len(finite) == 0:
        return said
    counted = inside if len(inside) else finite
    low, high = float(counted.min()), float(counted.max())
    strange = ""
    if len(inside) < len(finite) / 2 and np.count_nonzero(finite > HIGHEST_HU) > len(finite) / 4:
        strange = f"most of them are outside of {LOWEST_HU:g} to {HIGHEST_HU:g}"
    elif high - low < _NARROW:
        strange = f"they span only {low:.4g} to {high:.4g}"
    elif np.count_nonzero(inside < (_FAT if high - low > _WIDE else 0)) < _FEW * len(inside):
        strange = f"hardly any is below 0, where air and fat are ({low:.4g} to {high:.4g})"
    elif np.count_nonzero(inside > _TISSUE) < _few_of_tissue(finite) * len(finite):
        strange = f"hardly any is above {_TISSUE:g}, where tissue is"
    if strange:
        said.append(
            f"The values of {volume.name} do not look like a CT's in HU: {strange}; results are likely to be wrong."
        )
    return said


def _few_of_tissue(finite: np.ndarray) -> float:
    """The share of tissue that is too small to be true: larger where most is below what air is, as after -1024 was
    added twice."""
    return 0.03 if np.count_nonzero(finite < LOWEST_HU - 76) > 0.3 * len(finite) else _FEW
