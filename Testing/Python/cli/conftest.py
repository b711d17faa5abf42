"""A tiny backbone with random weights, prompt sets for it and a small CT, shipped and typed as the real ones are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from command_outcome import CommandOutcome

from PromptSegCli.cli import main
from PromptSegLib import resources

SHAPE = (96, 28, 30)
DRAWN, ABSENT = "40,52,64", "20,90"


Promptseg = Callable[..., CommandOutcome]


def save(array: np.ndarray, path: Path, spacing: Sequence[float] = (2.0, 2.0, 2.5)) -> Path:
    """Write an array (K, J, I) as the format of the path's ending, on a flipped grid."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-43.7, 12.25, 900.0))
    image.SetDirection((-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, os.fspath(path))
    return path


def write_backbone(path: Path, seed: int) -> Any:
    """Write a tiny backbone with random weights, and give it as it is loaded."""
    import torch

    from PromptSegLib.model import backbone
    from PromptSegLib.model.config import tiny
    from PromptSegLib.model.punet import PUNet

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = PUNet(tiny())
    backbone.write_backbone(path, net, {"note": "random weights, for tests"})
    return backbone.load_backbone(path, "cpu")


def write_prompts(path: Path, backbone: Any, names: Sequence[str]) -> Path:
    """Write a prompt set with random prompts."""
    import torch

    from PromptSegLib.anatomy.terminology import find
    from PromptSegLib.prompts.card import Card
    from PromptSegLib.prompts.promptset import Prompt, PromptSet

    random = torch.Generator().manual_seed(7)
    prompts = []
    for name in names:
        tensors = {k: torch.randn(shape, generator=random) for k, shape in backbone.shapes().items()}
        prompts.append(Prompt(find(name), backbone.id, tensors, Card(note=f"random prompt of {name}")))
    PromptSet.of(path.stem, prompts).write(path)
    return path


@pytest.fixture(scope="session")
def shipped(tmp_path_factory) -> Path:
    """A folder of resources: the backbone punet-ct, the prompt set abdomen-ct, and the real network for contours."""
    folder = tmp_path_factory.mktemp("resources")
    shutil.copytree(resources.resource("ContourFusion"), folder / "ContourFusion")
    (folder / "Models").mkdir()
    (folder / "PromptSets").mkdir()
    backbone = write_backbone(folder / "Models" / "punet-ct.safetensors", 1)
    write_prompts(folder / "PromptSets" / "abdomen-ct.promptset", backbone, ("liver", "spleen"))
    return folder


@pytest.fixture(scope="session")
def inputs(shipped, tmp_path_factory) -> Path:
    """ct.nii.gz with a bright ball in it, labels.nii.gz where the ball has the value 3, and two .promptset files."""
    from PromptSegLib.model.backbone import load_backbone

    folder = tmp_path_factory.mktemp("inputs")
    k, j, i = np.indices(SHAPE)
    ball = ((k - 52) / 20) ** 2 + ((j - 15) / 7) ** 2 + ((i - 12) / 6) ** 2 <= 1
    body = ((j - 14) / 12) ** 2 + ((i - 15) / 13) ** 2 <= 1
    noise = np.random.default_rng(0).normal(0, 10, SHAPE)
    save((np.where(body, np.where(ball, 180, 20), -1000) + noise).astype(np.int16), folder / "ct.nii.gz")
    labels = ball.astype(np.uint8) * 3
    labels[0:4, 0:4, 0:4] = 1
    save(labels, folder / "labels.nii.gz")
    own = load_backbone(shipped / "Models" / "punet-ct.safetensors", "cpu")
    write_prompts(folder / "kidney.promptset", own, ("left kidney",))
    other = write_backbone(folder / "other.safetensors", 2)
    write_prompts(folder / "foreign.promptset", other, ("pancreas",))
    return folder


@pytest.fixture
def place(shipped, inputs, tmp_path, monkeypatch) -> Path:
    """The working folder: the inputs lie in it, and PromptSeg's own resources are the tiny ones."""
    for file in inputs.iterdir():
        os.link(file, tmp_path / file.name)
    monkeypatch.setattr(resources, "_PLACES", (shipped,))
    monkeypatch.delenv("PROMPTSEG_DEBUG", raising=False)
    monkeypatch.setenv("PROMPTSEG_MEMORY", "off")  # it takes another segmentation; test_memory.py turns it on
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def promptseg(place, capfd) -> Promptseg:
    """Run the command line in the working folder."""

    def run(*words: object) -> CommandOutcome:
        capfd.readouterr()
        status = main([str(word) for word in words])
        captured = capfd.readouterr()
        return CommandOutcome(status, captured.out, captured.err)

    return run


def tune_words(**changes: Any) -> list[str]:
    """The arguments of a short tuning run; a change of None leaves an option out."""
    options = {"label": 3, "slices": DRAWN, "absent": ABSENT, "name": "left kidney", "steps": 6, "device": "cpu"}
    options |= {"output": "new.promptset"} | changes
    words = ["tune", options.pop("image", "ct.nii.gz"), options.pop("labels", "labels.nii.gz")]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words
