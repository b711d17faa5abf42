"""The chest CT of the package slicerio."""

from __future__ import annotations

import importlib.util
import socket

import numpy as np
import pytest

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.sample_ct import chest_ct


def test_the_chest_ct_and_its_reference(monkeypatch):
    def refuse(*_):
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    volume, reference = chest_ct()
    assert volume.voxels.shape == (34, 128, 128)
    assert volume.voxels.dtype == np.int16
    assert volume.range_hu[0] < -1000
    assert np.allclose(volume.grid.spacing, (3.046876, 3.046876, 10))
    assert reference.grid is volume.grid
    names = [one.name for one in reference.names.values()]
    assert {"ribs", "right lung", "left lung", "thoracic vertebral column"} <= set(names)
    lungs = reference.mask("right lung") | reference.mask("left lung")
    assert volume.voxels[lungs].mean() < -600
    assert volume.voxels[reference.mask("ribs")].mean() > 100


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install slicerio"):
        chest_ct()
