"""Nothing that computes mixes tensors of two devices: what a GPU would refuse, seen without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1] / "PromptSeg"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(LIBRARY), str(HERE)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_tensors_of_two_devices_are_refused() -> None:
    """Otherwise the test below would show nothing."""
    done = run("-c", """
import second_device as s, torch
s.install()
with s.Dispatch():
    there = torch.ones(2, device=s.DEVICE)
    assert there[torch.tensor([1])].device == s.DEVICE
    assert (there + 1).to("cpu").tolist() == [2, 2] and (there * torch.tensor(3.0)).device == s.DEVICE
    for wrong in (
        lambda: there + torch.ones(2),
        lambda: torch.cat([there, torch.ones(2)]),
        lambda: there.numpy(),
        lambda: there.double(),
        lambda: there.index_put_((torch.tensor([0, 1]),), torch.ones(2)),
        lambda: torch.ones(2)[there > 0],
    ):
        try:
            wrong()
        except (RuntimeError, TypeError) as error:
            print(error)
""")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6


def test_segment_teach_and_pretrain_on_another_device(trained, dataset, tmp_path, kit) -> None:
    done = run(str(HERE / "second_device.py"), str(dataset), str(trained), str(tmp_path / "masks.npz"))
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "masks.npz") as masks:
        for name in ("taught", *kit.organs.values()):
            assert masks[f"cpu {name}"].any()
            # Where the CPU computes in bf16, a few pixels of its masks are others.
            assert kit.dice(masks[f"cpu {name}"], masks[f"elsewhere {name}"]) > 0.95
    for mode in ("joint", "self"):
        assert (tmp_path / mode / "last.safetensors").is_file()
