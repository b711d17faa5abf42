from __future__ import annotations

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegTrain.simulate import evenly_spaced


def on_slices(*indices: int) -> np.ndarray:
    mask = np.zeros((30, 4, 5), dtype=bool)
    mask[list(indices), 1, 2] = True
    return mask


def test_both_ends_and_even_steps_between() -> None:
    assert evenly_spaced(on_slices(*range(4, 25)), 5) == [4, 9, 14, 19, 24]
    assert evenly_spaced(np.moveaxis(on_slices(*range(4, 25)), 0, 2), 3, axis=2) == [4, 14, 24]


def test_a_gap_gives_way_to_the_nearest_slice_of_the_structure() -> None:
    assert evenly_spaced(on_slices(4, 5, 6, 17, 24), 3) == [4, 17, 24]


def test_fewer_slices_than_asked_for() -> None:
    assert evenly_spaced(on_slices(7, 8), 5) == [7, 8]


def test_one_is_the_middle() -> None:
    assert evenly_spaced(on_slices(*range(4, 25)), 1) == [14]


def test_what_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="on no slice"):
        evenly_spaced(on_slices(), 3)
    with pytest.raises(InputError, match="at least one"):
        evenly_spaced(on_slices(3), 0)
