"""Child process of :func:`PromptSegLib.contours.interpolation.morphological`; nobody imports it.

ITK's wrapped modules crash where warnings are errors, and the filter crashes on several threads; in a process of their
own they cannot take a session along. Called with a folder: reads ``stacks.npz``, writes ``filled.npz``, both with
unnamed arrays, uint8 (n, rows, cols).
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Fill every stack between its drawn slices along the first axis."""
    import itk
    import numpy as np

    filled = []
    with np.load(folder / "stacks.npz", allow_pickle=False) as stacks:
        for n in range(len(stacks.files)):
            image = itk.image_from_array(stacks[f"arr_{n}"])
            interpolator = itk.MorphologicalContourInterpolator.New(image, axis=2, label=1)
            # On several threads the filter (2.1.2) writes over foreign memory.
            interpolator.SetNumberOfWorkUnits(1)
            interpolator.GetMultiThreader().SetMaximumNumberOfThreads(1)
            interpolator.Update()
            filled.append(itk.array_from_image(interpolator.GetOutput()))
    np.savez(folder / "filled.npz", *filled)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
