"""Grids, files and 3D Slicer's own libraries for the tests of reading and writing."""

from __future__ import annotations

import contextlib
import os

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813


def _oblique(seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


_AXIAL_TURN = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
DIRECTIONS = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "permuted": np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    "turned": _AXIAL_TURN,
    "oblique": _oblique(1),
    "oblique again": _oblique(2),
    "oblique and flipped": _oblique(3) * [1.0, -1.0, 1.0],
}


@pytest.fixture(params=DIRECTIONS, ids=str)
def direction(request) -> np.ndarray:
    """A (3, 3) matrix of cosines."""
    return DIRECTIONS[request.param]


@pytest.fixture
def make_image():
    """Make a SimpleITK image from an array (K, J, I), on an anisotropic grid with odd numbers."""

    def make(array: np.ndarray, cosines: np.ndarray = DIRECTIONS["oblique"]) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetDirection(np.asarray(cosines).ravel().tolist())
        image.SetSpacing((0.7421875, 0.8123, 2.5001))
        image.SetOrigin((-181.3328857421875, 17.1, 1203.7))
        return image

    return make


@pytest.fixture
def hu() -> np.ndarray:
    """A small int16 CT (5, 6, 7) with an image in it."""
    return np.random.default_rng(0).integers(-1024, 1500, (5, 6, 7)).astype(np.int16)


@pytest.fixture
def labels() -> np.ndarray:
    """A small label map (5, 6, 7) uint8 with the values 0, 1, 2 and 5."""
    return np.random.default_rng(1).choice(np.array([0, 0, 1, 2, 5], np.uint8), (5, 6, 7))


@pytest.fixture
def denied():
    """A context in which this process has no rights to what it owns, also when the tests run as root."""

    @contextlib.contextmanager
    def deny(path):
        if os.name != "posix":
            pytest.skip("needs POSIX permissions")
        before = path.stat().st_mode
        path.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(user)
            path.chmod(before)

    return deny
