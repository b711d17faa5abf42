"""A backbone: a pre-trained PUNet in a file, frozen, with the card that says what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import replacing
from ..errors import UNREADABLE, BackboneError, InputError
from ..resources import resource
from .config import PUNetConfig
from .files import read_tensors, write_tensors
from .precision import fast_dtype, pick_device
from .punet import PUNet

FORMAT = "promptseg-backbone-1"
SHARED = "shared."
"""How the names of shared tokens begin in the file."""
_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.int64}  # batch normalisation counts its batches


@dataclass(frozen=True)
class Backbone:
    """``net`` is frozen, in evaluation mode, on ``device`` and of ``dtype``; ``id`` is the SHA-256 of its weights as
    stored."""

    name: str
    id: str
    net: PUNet
    device: torch.device
    dtype: torch.dtype
    card: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Tensor] | None = None
    """Deep tokens (n, C) under which pre-training showed all structures at once, on ``device`` and of ``dtype``: a
    shared-token pass over a slice that all prompts whose cards say ``shared_pass`` have in common."""

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor of a prompt for this backbone."""
        return self.net.prompt_shapes()


def weights_id(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of the weights: what a prompt is bound to."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{t.dtype}|{tuple(t.shape)}|".encode())
        digest.update(t.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def find_backbone(name: str | Path) -> Path:
    """The file of a shipped backbone by name, or of any by path. Raises :class:`BackboneError` with what there is."""
    path = Path(name)
    if path.suffix == ".safetensors":
        if path.is_file():
            return path
        raise BackboneError(f"There is no backbone file {path}", "check the name")
    shipped = resource("Models") / f"{name}.safetensors"
    if not shipped.is_file():
        known = ", ".join(sorted(p.stem for p in resource("Models").glob("punet*.safetensors"))) or "none"
        raise BackboneError(f"There is no backbone called {name}", f"the ones installed are: {known}")
    return shipped


def load_backbone(name: str | Path = "punet-ct", device: str = "auto", dtype: torch.dtype | None = None) -> Backbone:
    """Load and freeze a backbone; ``dtype`` None takes the fastest that the device multiplies.

    Raises :class:`BackboneError` for a file that is missing, damaged or of another kind, :class:`DeviceError`.
    """
    place = pick_device(device)
    path = find_backbone(name)
    try:
        tensors, meta = read_tensors(path)
    except InputError as error:
        raise BackboneError(error.problem, error.remedy) from error
    if meta.get("format") != FORMAT:
        raise BackboneError(f"{path.name} is not a PromptSeg backbone", "choose a file that promptseg pretrain wrote")
    if any(t.dtype not in _DTYPES for t in tensors.values()):
        raise BackboneError(f"{path.name} holds numbers of an unexpected type", "get the file again")
    if not all(torch.isfinite(t).all() for t in tensors.values()):
        raise BackboneError(f"{path.name} is damaged: it holds weights that are not numbers", "get the file again")
    identity = weights_id(tensors)
    try:
        config = PUNetConfig.from_dict(json.loads(meta["config"]))
        shared = {k.removeprefix(SHARED): tensors.pop(k) for k in list(tensors) if k.startswith(SHARED)}
        with torch.device("meta"):  # shapes alone: a file may promise a network that no memory holds
            promised = {k: v.shape for k, v in PUNet(config).state_dict().items()}
        if promised != {k: v.shape for k, v in tensors.items()}:
            raise ValueError("weights of another network")
        net = PUNet(config)
        net.load_state_dict(tensors)
        shapes = {k: s for k, s in net.prompt_shapes().items() if k.endswith(".tokens")}
        if shared and {k: tuple(v.shape) for k, v in shared.items()} != shapes:
            raise ValueError("shared tokens of another network")
        card = json.loads(meta.get("card", "{}"))
        if not isinstance(card, dict):
            raise ValueError("a card that is no object")
    except (RuntimeError, *UNREADABLE) as error:
        raise BackboneError(
            f"{path.name} does not fit this version of PromptSeg", "get the file again, or update"
        ) from error
    dtype = dtype or fast_dtype(place)
    common = {k: v.to(place, dtype) for k, v in shared.items()} or None
    return Backbone(path.stem, identity, net.to(place, dtype).freeze(), place, dtype, card, common)


def write_backbone(path: Path, net: PUNet, card: dict[str, Any], shared: Mapping[str, Tensor] | None = None) -> str:
    """Write ``net`` and its shared tokens as fp16 with the card, and the card beside it as JSON for people. Gives the
    backbone's id."""
    every = net.state_dict() | {SHARED + k: v.detach() for k, v in (shared or {}).items()}
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in every.items()}
    identity = weights_id(tensors)
    card = {"name": Path(path).stem, "id": identity, **card}
    write_tensors(
        path, tensors, {"format": FORMAT, "config": json.dumps(net.config.to_dict()), "card": json.dumps(card)}
    )
    with replacing(Path(path).with_suffix(".json")) as file:
        file.write((json.dumps(card, indent=2) + "\n").encode())
    return identity
