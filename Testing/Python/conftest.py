"""A small synthetic CT, and a tiny backbone that is really trained on such CTs, for all tests that need a network."""

from __future__ import annotations

import json
import platform
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from PromptSegLib.threads import wait_passively
from PromptSegLib.volumes.volume import Grid, Volume

wait_passively()  # before any test loads torch: beside other work, threads that wait actively take ten times as long

if TYPE_CHECKING:
    from PromptSegLib.prompts.promptset import PromptSet
    from PromptSegLib.session import Session
    from PromptSegTrain.recipe import Recipe

ORGANS = {1: "liver", 2: "spleen", 3: "aorta"}
NEW = 4
"""The value of a structure that the tiny backbone is never taught."""
SPACING = (2.5, 2.5, 4.0)


@dataclass(frozen=True)
class Phantom:
    """``labels`` (K, J, I) uint8: ``ORGANS`` and ``NEW``."""

    volume: Volume
    labels: np.ndarray


def make_phantom(seed: int, shape: tuple[int, int, int] = (24, 48, 48), values: tuple[int, ...] = (1, 2, 3)) -> Phantom:
    """A body with an ellipsoid for each value, a little different for each seed, on an oblique grid (8 degrees)."""
    random = np.random.default_rng(seed)
    k, j, i = (c / n * 2 - 1 for c, n in zip(np.indices(shape), shape, strict=True))

    def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        c, r = np.add(centre, random.normal(0, 0.03, 3)), np.multiply(radii, np.exp(random.normal(0, 0.06, 3)))
        return sum(((x - m) / s) ** 2 for x, m, s in zip((k, j, i), c, r, strict=True)) < 1

    body = (j / 0.8) ** 2 + (i / 0.88) ** 2 < 1
    shapes = {
        1: (ellipsoid((0.1, -0.1, -0.4), (0.75, 0.45, 0.35)), 95),
        2: (ellipsoid((0.2, 0.1, 0.5), (0.5, 0.34, 0.26)), -100),
        3: (ellipsoid((0.0, 0.5, 0.05), (3.0, 0.16, 0.16)), 900),
        NEW: (ellipsoid((-0.2, -0.35, 0.35), (0.6, 0.28, 0.28)), 600),
    }
    hu, labels = np.where(body, 30.0, -1000.0), np.zeros(shape, np.uint8)
    for value in values:
        mask, hounsfield = shapes[value]
        hu[mask & body], labels[mask & body] = hounsfield, value
    hu += random.normal(0, 12, shape)
    turn = np.deg2rad(8)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])
    grid = Grid(shape[::-1], (-71.3, -83.25, 412.7), SPACING, tuple(rotation.ravel().tolist()))
    return Phantom(Volume(np.rint(hu).astype(np.int16), grid, f"phantom_{seed}"), labels)


def turn(array: np.ndarray, grid: Grid, order: tuple[int, int, int], flips: tuple[int, ...]) -> tuple[np.ndarray, Grid]:
    """The same voxels stored in another order of axes, some reversed: (array, grid) of the same patient."""
    turned = array.transpose(order)
    matrix = grid.ijk_to_ras[:, [*(2 - a for a in reversed(order)), 3]]
    for axis in flips:
        turned = np.flip(turned, axis)
        column = 2 - axis
        matrix[:3, 3] += matrix[:3, column] * (turned.shape[axis] - 1)
        matrix[:3, column] *= -1
    turned = np.ascontiguousarray(turned)
    return turned, Grid.from_ijk_to_ras(matrix, turned.shape)


def save_image(path: Path, array: np.ndarray, grid: Grid) -> None:
    """Write an array (K, J, I) on a grid."""
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(grid.origin)
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path))


def write_dataset(
    folder: Path, seeds: tuple[int, ...], name: str = "phantoms", without: dict[int, int] | None = None
) -> Path:
    """A data set in the Decathlon layout; ``without`` gives by seed the organ that is not annotated there."""
    folder.mkdir(parents=True)
    entries = []
    for seed in seeds:
        one = make_phantom(seed)
        labels = one.labels.copy()
        labels[labels == (without or {}).get(seed, 255)] = 0
        save_image(folder / f"case_{seed}.nii.gz", one.volume.voxels, one.volume.grid)
        save_image(folder / f"case_{seed}_labels.nii.gz", labels, one.volume.grid)
        entries.append({"image": f"./case_{seed}.nii.gz", "label": f"./case_{seed}_labels.nii.gz"})
    labels = {"0": "background", **{str(v): n for v, n in ORGANS.items()}}
    path = folder / "dataset.json"
    path.write_text(json.dumps({"name": name, "licence": "made for tests", "labels": labels, "training": entries}))
    return path


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks."""
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


class Kit:
    """What tests need to make data of their own."""

    organs, new = ORGANS, NEW
    make_phantom = staticmethod(make_phantom)
    turn = staticmethod(turn)
    save_image = staticmethod(save_image)
    write_dataset = staticmethod(write_dataset)
    dice = staticmethod(dice)

    @staticmethod
    def recipe(steps: int, **changes: Any) -> Recipe:
        """A quick recipe for the tiny network."""
        from PromptSegTrain.recipe import Recipe

        quick = {"groups": 1, "prompt_tasks": 2, "lr": 4e-3, "prompt_lr": 1.2e-2, "warmup": 10, "ema": 0.95}
        quick |= {"pseudo": 0.0, "elsewhere": 0.0, "apart": 0.0}
        return Recipe(**{**quick, "steps": steps, "decay": steps // 2, "validate_every": steps, **changes})


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory) -> Iterator[None]:
    """What PromptSeg remembers for a user stays out of the home of the user who tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTSEG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """See :class:`Kit`."""
    return Kit


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A CT that the tiny backbone was not trained on."""
    return make_phantom(11)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """A ``dataset.json`` of four volumes; one of them lacks the spleen."""
    return write_dataset(tmp_path_factory.mktemp("data") / "phantoms", (1, 2, 3, 4), without={3: 2})


@pytest.fixture(scope="session")
def trained(dataset, tmp_path_factory) -> Path:
    """The folder of a finished run of pre-training on ``dataset``: tiny.safetensors and phantoms.promptset."""
    import torch

    from PromptSegLib.datasets import tasks
    from PromptSegLib.model.config import tiny
    from PromptSegTrain.train import pretrain

    folder = tmp_path_factory.mktemp("trained")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "SIZES", ((64, 64),))  # the phantoms are no larger
        pretrain([dataset], folder, config=tiny(), recipe=Kit.recipe(300), name="tiny", device="cpu")
    torch.set_num_threads(threads)
    return folder


@pytest.fixture(scope="session")
def prompts(trained) -> PromptSet:
    """The prompts that ``trained`` learned: liver, spleen, aorta."""
    from PromptSegLib.prompts.promptset import PromptSet

    return PromptSet.read(trained / "phantoms.promptset")


@pytest.fixture(scope="session")
def session(trained, phantom) -> Session:
    """The tiny backbone with the phantom open; tests must leave the volume as it is."""
    from PromptSegLib.session import Session

    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    return session


@pytest.fixture(scope="session")
def slicer():
    """Slicer's own libraries; skipped only where there is no wheel."""
    if sys.platform == "linux" and platform.machine() != "x86_64":
        pytest.importorskip("slicer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import slicer

    return slicer


@pytest.fixture
def scene(slicer):
    """An empty MRML scene, with what the module Segmentations sets up in Slicer: types of nodes and conversions."""
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    yield scene
    logic.SetMRMLScene(None)


@pytest.fixture
def saved(slicer, tmp_path):
    """Save a scene with its volumes and segmentations, and load it again into one that is given or a new one."""

    def again(scene, into=None):
        for node_class, kind, ending in (
            ("vtkMRMLScalarVolumeNode", slicer.vtkMRMLVolumeArchetypeStorageNode, ".nrrd"),
            ("vtkMRMLSegmentationNode", slicer.vtkMRMLSegmentationStorageNode, ".seg.nrrd"),
        ):
            for number in range(scene.GetNumberOfNodesByClass(node_class)):
                node = scene.GetNthNodeByClass(number, node_class)
                storage = scene.AddNode(kind())
                storage.SetFileName(str(tmp_path / f"{node.GetID()}{ending}"))
                node.SetAndObserveStorageNodeID(storage.GetID())
                assert storage.WriteData(node)
        scene.SetRootDirectory(str(tmp_path))
        scene.SetURL(str(tmp_path / "scene.mrml"))
        assert scene.Commit()
        loaded = slicer.vtkMRMLScene() if into is None else into
        loaded.SetURL(str(tmp_path / "scene.mrml"))
        loaded.Connect()
        return loaded

    return again


@pytest.fixture
def bend():
    """Add a transform that is not linear to a scene."""
    import vtk

    def add(scene):
        node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
        spline = vtk.vtkThinPlateSplineTransform()
        points, moved = vtk.vtkPoints(), vtk.vtkPoints()
        for index, point in enumerate(np.random.default_rng(0).normal(0, 100, (8, 3))):
            points.InsertNextPoint(*point)
            moved.InsertNextPoint(*(point + index))
        spline.SetBasisToR()
        spline.SetSourceLandmarks(points)
        spline.SetTargetLandmarks(moved)
        node.SetAndObserveTransformToParent(spline)
        return node

    return add


@pytest.fixture(scope="session")
def engine_files(tmp_path_factory) -> tuple[Path, Path]:
    """(a backbone, a prompt set with random prompts of liver and spleen)."""
    import torch

    from PromptSegLib.anatomy.terminology import find
    from PromptSegLib.model.backbone import load_backbone, write_backbone
    from PromptSegLib.model.config import tiny
    from PromptSegLib.model.punet import PUNet
    from PromptSegLib.prompts.promptset import Prompt, PromptSet

    folder = tmp_path_factory.mktemp("engine")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        write_backbone(folder / "tiny.safetensors", PUNet(tiny()), {"note": "random weights, for tests"})
    backbone = load_backbone(folder / "tiny.safetensors", "cpu")
    random = torch.Generator().manual_seed(7)
    prompts = [
        Prompt(find(name), backbone.id, {k: torch.randn(s, generator=random) for k, s in backbone.shapes().items()})
        for name in ("liver", "spleen")
    ]
    PromptSet.of("abdomen", prompts).write(folder / "abdomen.promptset")
    return folder / "tiny.safetensors", folder / "abdomen.promptset"
