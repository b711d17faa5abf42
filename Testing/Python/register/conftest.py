"""Two patients of known shape: the second is the first, moved and bent by a formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import ndimage

from PromptSegLib.volumes.volume import Grid, Volume

Warp = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Patient:
    """``labels`` (K, J, I) uint8 lie on the volume's grid."""

    volume: Volume
    labels: np.ndarray


def scene(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels at positions (..., 3) R, A, S in mm: a trunk of 300 mm with lungs, spine and four organs."""
    r, a, s = points[..., 0], points[..., 1], points[..., 2]
    labels = np.zeros(r.shape, np.uint8)

    def ball(centre: Sequence[float], radii: Sequence[float]) -> np.ndarray:
        return sum(((x - c) / d) ** 2 for x, c, d in zip((r, a, s), centre, radii, strict=True)) < 1

    body = (r / (130 + 0.08 * s)) ** 2 + (a / (88 - 0.05 * s)) ** 2 < 1
    hu = np.where(body, -100.0, -1000.0)
    hu[body & ((r / 112) ** 2 + (a / 70) ** 2 < 1)] = 40.0
    for side in (-1, 1):
        hu[ball((60 * side, 5, 130), (38, 50, 85)) & body] = -850.0
    for n in range(-6, 7):
        hu[ball((0, -55, 26.0 * n), (19, 17, 10))] = 350.0
        hu[ball((70, 20, 26.0 * n), (6, 30, 5)) & body] = 300.0
        hu[ball((-72, 10, 26.0 * n + 9), (5, 34, 5)) & body] = 300.0
    organs = (
        (1, (55, 15, -15), (52, 45, 48), 110),
        (2, (-68, -12, -5), (27, 34, 40), 130),
        (3, (-52, -38, -70), (22, 18, 42), 170),
        (4, (14, -33, 0), (12, 12, 400), 220),
    )
    for value, centre, radii, level in organs:
        mask = ball(centre, radii) & body
        hu[mask], labels[mask] = level, value
    hu[ball((-25, 45, -70), (34, 20, 28)) & body] = -20.0
    labels[~body] = 0
    return hu, labels


def unmoved(points: np.ndarray) -> np.ndarray:
    return points


def patient(
    warp: Warp = unmoved,
    low: float = -150.0,
    high: float = 150.0,
    spacing: tuple[float, float, float] = (4.0, 4.0, 5.0),
    turn: float = 0.0,
    seed: int = 0,
    name: str = "patient",
) -> Patient:
    """What a scanner sees of :func:`scene` from S ``low`` to ``high``; ``warp`` takes positions in this patient to
    those in the scene, ``turn`` degrees tilt the scanner's slices."""
    angle = np.deg2rad(turn)
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    extent = np.array([300.0, 220.0, high - low])
    size = tuple(int(n) for n in np.round(extent / spacing))
    centre = np.array([0, 0, (low + high) / 2])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * spacing
    matrix[:3, 3] = centre - matrix[:3, :3] @ ((np.array(size) - 1) / 2)
    k, j, i = np.indices(size[::-1])
    points = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    hu, labels = scene(warp(points))
    hu = ndimage.gaussian_filter(hu, 0.5) + np.random.default_rng(seed).normal(0, 12, hu.shape)
    grid = Grid.from_ijk_to_ras(matrix, hu.shape)
    return Patient(Volume(np.rint(hu).astype(np.int16), grid, name), labels)


def bent(points: np.ndarray) -> np.ndarray:
    """Larger and shifted by some centimetres, and bent by up to 12 mm."""
    moved = (points - [15.0, -10.0, 30.0]) / [1.1, 1.05, 1.08]
    wave = np.stack(
        [
            9 * np.sin(moved[..., 2] / 45) * np.cos(moved[..., 1] / 70),
            7 * np.cos(moved[..., 2] / 55 + 1),
            9 * np.sin(moved[..., 0] / 50),
        ],
        -1,
    )
    return moved + wave


class Patients:
    """What tests need to make patients of their own."""

    patient = staticmethod(patient)
    bent = staticmethod(bent)
    scene = staticmethod(scene)


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than these small images."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def kits() -> type[Patients]:
    return Patients


@pytest.fixture(scope="session")
def teacher() -> Patient:
    return patient(name="teacher")


@pytest.fixture(scope="session")
def other() -> Patient:
    """Another patient, bent, seen in part."""
    return patient(bent, low=-160, high=140, seed=1, name="other")
