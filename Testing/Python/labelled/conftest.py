"""A labelled set of a structure that the tiny backbone was never taught."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def labelled(kit, tmp_path_factory) -> Path:
    """A ``dataset.json`` of six subjects with liver, spleen and, but for one, a cyst."""
    folder = tmp_path_factory.mktemp("labelled") / "cysts"
    folder.mkdir()
    entries = []
    for seed in range(31, 37):
        one = kit.make_phantom(seed, values=(1, 2) if seed == 36 else (1, 2, kit.new))
        kit.save_image(folder / f"p{seed}.nii.gz", one.volume.voxels, one.volume.grid)
        kit.save_image(folder / f"p{seed}_labels.nii.gz", one.labels, one.volume.grid)
        entries.append({"image": f"./p{seed}.nii.gz", "label": f"./p{seed}_labels.nii.gz"})
    labels = {"0": "background", "1": "liver", "2": "spleen", str(kit.new): "Renal_Cyst"}
    path = folder / "dataset.json"
    path.write_text(json.dumps({"name": "cysts", "licence": "made for tests", "labels": labels, "training": entries}))
    return path


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """The network is tiny: threads would only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small_slices():
    """The phantoms are no larger."""
    from PromptSegLib.datasets import tasks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "SIZES", ((64, 64),))
        yield


@pytest.fixture(scope="session")
def backbone(engine_files, small_slices):
    """Random weights: enough for everything but how good a prompt becomes."""
    from PromptSegLib.model.backbone import load_backbone

    return load_backbone(engine_files[0], "cpu")
