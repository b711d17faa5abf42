"""Start a run from a backbone and prompt sets that exist, instead of from random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from PromptSegLib.anatomy.terminology import find
from PromptSegLib.errors import BackboneError, InputError
from PromptSegLib.model.backbone import Backbone
from PromptSegLib.prompts.promptset import PromptSet

from .pretraining_model import PretrainingModel, PromptBank


@torch.no_grad()
def warm_start(model: PretrainingModel, source: Backbone, prompt_sets: Sequence[PromptSet]) -> list[str]:
    """Fill ``model`` with a backbone's weights and the prompts of its structures that ``prompt_sets`` hold.

    What all prompts share is the backbone's own, or else taken as their mean; attention biases are left out, as they
    are tuning's alone. Gives the structures that were found; others, and the encoder's classifiers, stay as they were.
    A backbone that sees fewer neighbours of a slice is widened. Raises :class:`InputError` for sets of another backbone
    or a backbone of another configuration.
    """
    mine, given = model.net.config, source.net.config
    if replace(given, in_channels=mine.in_channels) != mine or given.in_channels > mine.in_channels:
        raise InputError(
            f"The backbone {source.name} has another configuration than this run",
            "choose its --preset, or leave it out",
        )
    try:
        model.net.load_state_dict(_widened(source.net.state_dict(), mine.in_channels - given.in_channels))
    except RuntimeError as error:  # the configuration says what there is, so this is a damaged file
        raise BackboneError(f"The backbone {source.name} does not fit", "get the file again") from error
    known = {}
    for found in prompt_sets:
        for name, prompt in found.items():
            if prompt.backbone_id != source.id:
                raise InputError(
                    f"The prompts of {found.name} were made for another backbone", f"choose sets of {source.name}"
                )
            prompt.check(source.shapes(), source.id, source.name)
            known[name] = prompt.tensors
    bank, taken = model.bank, {}
    for n, name in enumerate(bank.names):
        structure = find(name)
        tensors = known.get(name) or known.get(structure.name if structure else name)
        if tensors is not None:
            taken[n] = tensors
    if taken:
        _fill(bank, taken, source.shared)
    return [bank.names[n] for n in taken]


def _widened(weights: Mapping[str, torch.Tensor], more: int) -> dict[str, torch.Tensor]:
    """The same weights for slices with ``more`` neighbours, which count for nothing at first."""
    seen = ("stem.conv1.weight", "stem.shortcut.weight", "head.detail.weight")
    pad = (0, 0, 0, 0, more // 2, more - more // 2)
    return {k: functional.pad(v, pad) if k in seen and more else v for k, v in weights.items()}


def _fill(
    bank: PromptBank, taken: Mapping[int, Mapping[str, torch.Tensor]], shared: Mapping[str, torch.Tensor] | None
) -> None:
    """Put prompts into the bank: deep tokens as what is shared and each one's difference from it."""
    for key in bank.keys:
        stacked = torch.stack([t[key].float() for t in taken.values()])
        own = bank.tensors[key.replace(".", "_")]
        if key in bank.deep:
            common = stacked.mean(0) if shared is None else shared[key].float()
            bank.shared[key.replace(".", "_")].copy_(common)
            stacked = stacked - common
        own[list(taken)] = stacked.to(own.dtype)
