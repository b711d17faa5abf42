"""A CT series with values that are no CT's."""

from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.io import read_volume

from .conftest import write_ct


@pytest.mark.parametrize("fields", [{"RescaleIntercept": "9.3e18"}, {"RescaleSlope": "1e30"}])
def test_values_that_no_whole_number_holds(tmp_path, fields) -> None:
    """That is said, or what can be made of them is read."""
    folder = write_ct(tmp_path / "ct", **fields)
    try:
        volume = read_volume(folder)
    except InputError:
        return
    assert volume.voxels.dtype == np.float32
    assert np.all(np.isfinite(volume.voxels))
