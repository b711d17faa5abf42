"""The network as its authors published it, to be timed beside ours: from a folder that holds their code.

    git clone https://github.com/marcdcfischer/PUNet && pip install --no-deps monai einops
    PYTHONPATH=PromptSeg python Testing/Benchmarks/speed.py --published PUNet

Nothing of it comes with PromptSeg. Sizes and settings are the defaults of its own command line, for one structure.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import torch

MORE = {
    "in_channels": 1,
    "out_channels": 2,
    "separate_background": True,
    "downstream": False,
    "label_indices_max_active": -1,
}
"""What the defaults of the network's own options leave open."""


class Published:
    """Their network on one slice of ``side`` x ``side`` in float32; ``tasks`` are what is timed, as in ``speed.py``."""

    def __init__(self, folder: Path, side: int) -> None:
        sys.path.insert(0, str(folder.resolve()))
        try:
            from src.modules.architectures.swin_unetr_deep import DeepSIAUNetr
        except ImportError as error:
            raise SystemExit(
                f"{folder} does not hold the published code, or monai or einops is missing ({error})."
            ) from error
        finally:
            sys.path.pop(0)
        size = [side, side, 1]
        conf = DeepSIAUNetr.add_model_specific_args(argparse.ArgumentParser(add_help=False)).parse_args([])
        for name, value in {**MORE, "patch_size_teacher": size, "patch_size_students": [size]}.items():
            setattr(conf, name, value)
        torch.manual_seed(0)
        with contextlib.redirect_stdout(io.StringIO()):  # it tells of its layers
            self.net = DeepSIAUNetr(conf)
        self.net.requires_grad_(False)
        self.prompts = [p for _, p in self.net.get_named_instruction_parameters()]
        self.images = torch.rand(1, 1, *size)
        self.labels = torch.tensor([[True, True]])
        self.tasks: dict[str, Callable[[], object]] = {
            "1 structure": self.one,
            "8 structures": self.eight,
            "tuning step": self.step,
        }

    @torch.inference_mode()
    def one(self) -> None:
        """A forward pass."""
        self._pass()

    def eight(self) -> None:
        """A pass for each, as its inference does."""
        for _ in range(8):
            self.one()

    def step(self) -> None:
        """Forward and backward with respect to the prompts."""
        for p in self.prompts:
            p.requires_grad_(True)
            p.grad = None
        self._pass().mean().backward()
        for p in self.prompts:
            p.requires_grad_(False)

    def _pass(self) -> torch.Tensor:
        return self.net(self.images, label_indices=self.labels)["dense"]["embedded_latents"]
