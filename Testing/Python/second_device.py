"""A second device that is only pretended, and everything that computes there: tensors of both must never meet.

    python second_device.py DATASET.json TRAINED_FOLDER OUTPUT.npz

Few who change this code have a GPU, and no CI machine does. Tensors of the pretended device keep their numbers on the
CPU, but operations that take tensors of both devices are refused as CUDA refuses them, float64 as Apple's MPS does,
and so is reading such a tensor from numpy. It runs in a process of its own, because some of torch has to be replaced
before our modules are imported.
"""

from __future__ import annotations

import contextlib
import sys
import unittest.mock
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
DEVICE = torch.device("cpu")
"""The pretended device, once :func:`install` has run."""
COPIES = {"copy_", "_copy_from", "_to_copy", "to", "_foreach_copy_"}
INDEXING = {"index", "index_put", "index_put_"}


class Elsewhere(Tensor):
    """A tensor on the pretended device; ``kept`` has its numbers."""

    kept: Tensor

    @staticmethod
    def __new__(cls, kept: Tensor) -> Elsewhere:
        if kept.dtype in (torch.float64, torch.complex128):
            raise TypeError(f"there are no tensors of {kept.dtype} on some devices")
        made = Tensor._make_wrapper_subclass(
            cls, kept.size(), strides=kept.stride(), storage_offset=kept.storage_offset(),
            dtype=kept.dtype, device=DEVICE, requires_grad=False,
        )  # fmt: skip
        made.kept = kept
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return carry_out(function, args, kwargs or {})

    def __repr__(self) -> str:
        return f"elsewhere({self.kept})"

    def __getitem__(self, key: Any) -> Tensor:
        def index(part: Any) -> Any:
            return torch.as_tensor(part) if isinstance(part, list) else part

        return super().__getitem__(tuple(map(index, key)) if isinstance(key, tuple) else index(key))

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a tensor of another device has to be copied to the host first")

    __array__ = numpy


class Dispatch(TorchDispatchMode):
    """Sees operations that make tensors without having any."""

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return carry_out(function, args, kwargs or {})


def carry_out(function: Any, args: tuple, kwargs: dict) -> Any:
    """One operation of torch. Raises ``RuntimeError`` where tensors of both devices meet."""
    name = function._schema.name.split("::")[1]
    flat, spec = pytree.tree_flatten((args, kwargs))
    there = [t for t in flat if isinstance(t, Elsewhere)]
    here = [t for t in flat if isinstance(t, Tensor) and not isinstance(t, Elsewhere) and t.dim()]
    if there and here and not _may_meet(name, args):
        raise RuntimeError(f"{name} got tensors of two devices")
    wanted = next((t for t in flat if isinstance(t, torch.device)), None)
    goes_there = bool(there) if wanted is None else wanted.type == NAME

    def kept(one: Any) -> Any:
        if isinstance(one, Elsewhere):
            return one.kept
        return torch.device("cpu") if isinstance(one, torch.device) else one

    plain_args, plain_kwargs = pytree.tree_unflatten([kept(one) for one in flat], spec)
    known = {id(t.kept): t for t in there}
    out = function(*plain_args, **plain_kwargs)

    def placed(one: Tensor) -> Tensor:
        if id(one) in known:  # what was changed in place stays the same tensor
            return known[id(one)]
        return Elsewhere(one) if goes_there else one

    return pytree.tree_map_only(Tensor, placed, out)


def _may_meet(name: str, args: tuple) -> bool:
    """Whether CUDA, too, allows tensors of both devices here: in copies, and as the host's indices of its tensors."""
    if name in INDEXING:
        return all(isinstance(t, Elsewhere) for t in (args[0], *args[2:3]) if isinstance(t, Tensor) and t.dim())
    return name in COPIES


def install() -> None:
    """Make the device known, before any of our modules is imported."""
    global DEVICE
    _setup_privateuseone_for_python_backend(NAME)
    DEVICE = torch.device(NAME, 0)
    # Wrapped tensors cannot be inference tensors: there, only gradients are left out.
    torch.inference_mode = lambda mode=True: torch.no_grad() if mode else contextlib.nullcontext()


def _placed(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``torch.tensor`` and its like fill memory of their own accord: here on the CPU first."""

    def made(*args: Any, **kwargs: Any) -> Tensor:
        wanted = kwargs.get("device")
        if wanted is None or torch.device(wanted).type != NAME:
            return make(*args, **kwargs)
        return make(*args, **{**kwargs, "device": None}).to(wanted)

    return made


@contextlib.contextmanager
def pretended() -> Iterator[None]:
    """Everything that picks its device by itself picks the pretended one."""
    from PromptSegLib.datasets import augment
    from PromptSegLib.model import backbone
    from PromptSegTrain import distributed

    def noise(x: Tensor, random: np.random.Generator) -> Tensor:
        return true_noise(x.cpu(), random).to(x.device)  # there is no random generator there

    true_noise = augment._noise
    with contextlib.ExitStack() as stack:
        for module in (backbone, distributed):
            stack.enter_context(unittest.mock.patch.object(module, "pick_device", return_value=DEVICE))
        stack.enter_context(unittest.mock.patch.object(augment, "_noise", noise))
        for name in ("tensor", "as_tensor"):
            stack.enter_context(unittest.mock.patch.object(torch, name, _placed(getattr(torch, name))))
        stack.enter_context(Dispatch())
        yield


def main(dataset: Path, trained: Path, output: Path) -> None:
    """Segment, teach and pre-train there; masks go to ``output``, beside those of the CPU."""
    from conftest import Kit, make_phantom

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.annotations import SliceAnnotations
    from PromptSegLib.model.config import tiny
    from PromptSegLib.prompts.promptset import PromptSet
    from PromptSegLib.session import Session
    from PromptSegTrain.train import pretrain

    prompts, phantom = PromptSet.read(trained / "phantoms.promptset"), make_phantom(11)
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [5, 11, 18])

    def masks(session: Session) -> dict[str, np.ndarray]:
        session.set_volume(phantom.volume)
        known = session.segment(list(prompts.values()))
        taught = session.tune(drawn, Structure("taught")).prompt
        new = session.segment([taught], drawn={"taught": drawn})
        return {"taught": new.mask("taught"), **{name: known.mask(name) for name in prompts}}

    found = {f"cpu {k}": v for k, v in masks(Session(trained / "tiny.safetensors", "cpu", threads=1)).items()}
    with pretended():
        session = Session(trained / "tiny.safetensors", "auto", threads=1)
        assert session.backbone.device == DEVICE
        found |= {f"{NAME} {k}": v for k, v in masks(session).items()}
        for mode in ("joint", "self"):
            for steps in (2, 3):  # the second run goes on from the first one's checkpoint
                recipe = Kit.recipe(steps, mode=mode, validate_every=2)
                pretrain([dataset], output.parent / mode, config=tiny(), recipe=recipe, resume=steps > 2)
    np.savez(output, **found)


if __name__ == "__main__":
    install()
    main(*map(Path, sys.argv[1:]))
