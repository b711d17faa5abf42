"""Maps of probabilities are read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import GridError, InputError
from PromptSegLib.volumes.io import write_map
from PromptSegLib.volumes.maps import read_map
from PromptSegLib.volumes.volume import Grid

GRID = Grid((5, 6, 4), (1.0, 2.0, 3.0), (2.0, 2.0, 2.5), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def test_what_was_written_comes_back(tmp_path) -> None:
    made = np.random.default_rng(0).random(GRID.shape).astype(np.float32)
    write_map(tmp_path / "a.nii.gz", made, GRID)
    assert np.abs(read_map(tmp_path / "a.nii.gz", GRID) - made).max() < 0.01


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_structure_that_is_nowhere_or_everywhere(value: float, tmp_path) -> None:
    write_map(tmp_path / "a.nii.gz", np.full(GRID.shape, value, np.float32), GRID)
    assert (read_map(tmp_path / "a.nii.gz", GRID) == value).all()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (-3, "values from -3 to 0"),
        (255, "values from 0 to 255"),
        (np.nan, "no numbers"),
        (np.inf, "values from 0 to inf"),
    ],
)
def test_other_values_are_no_probabilities(value: float, said: str, tmp_path) -> None:
    import SimpleITK as sitk  # noqa: N813

    array = np.zeros(GRID.shape, np.float32)
    array[1, 2, 3] = value
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(GRID.spacing)
    image.SetOrigin(GRID.origin)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match=f"no map of probabilities, which are 0 to 1: .*{said}"):
        read_map(tmp_path / "a.nrrd", GRID)


def test_another_grid_is_said(tmp_path) -> None:
    write_map(tmp_path / "a.nii.gz", np.zeros(GRID.shape, np.float32), GRID)
    other = Grid(GRID.size, (1.0, 2.0, 8.0), GRID.spacing, GRID.direction)
    with pytest.raises(GridError, match=r"another grid than the image: origin \(1, 2, 3\) instead of \(1, 2, 8\)"):
        read_map(tmp_path / "a.nii.gz", other)
