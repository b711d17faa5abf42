"""One step of pre-training: optimiser, loss of a batch, the step itself and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from PromptSegLib.datasets.tasks import Batch

from .distributed import Ranks
from .muon import MuonAdamW
from .pretraining_model import PretrainingModel
from .recipe import Recipe


def optimiser_of(model: PretrainingModel, recipe: Recipe) -> torch.optim.AdamW:
    """What moves the parameters of ``model``: AdamW, or Muon for matrices and AdamW for the rest."""
    kind = MuonAdamW if recipe.optimiser == "muon" else torch.optim.AdamW
    fused = next(model.parameters()).device.type == "cuda" or None
    return kind(model.groups(recipe), betas=(0.9, 0.98), fused=fused)


def train_step(
    model: PretrainingModel,
    fast: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    dtype: torch.dtype,
    recipe: Recipe,
    teacher: nn.Module | None = None,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """One optimiser step; ``fast`` is ``model`` itself or its bf16 copy. Gives the parts of the loss.

    ``teacher`` is needed in the modes "self" and "joint". A step whose gradient is not finite changes nothing.
    """
    ranks = ranks or Ranks()
    if fast is not model:
        copy_weights(fast, model)
    if recipe.mode == "supervised":
        parts = fast(batch, dtype)
    else:
        parts = fast(batch, dtype, teacher=teacher, supervised=recipe.mode != "self")
    if "dense" in parts and ranks.count > 1:
        # The one part whose mean is not over equally many things in every process.
        parts["dense"] = parts["dense"] * ranks.weight(float(model.dense_weights(batch).sum()))
    if recipe.mode == "self":
        loss = parts["cpa"]
    else:
        loss = recipe.dense * parts["dense"] + recipe.deep * parts["deep"]
        loss = loss + sum(w * parts[k] for k, w in (("prompted", 1.0), ("episodic", recipe.episodic)) if k in parts)
        if "cpa" in parts:
            loss = loss + recipe.cpa * parts["cpa"]
    fast.zero_grad(set_to_none=True)
    loss.backward()
    if fast is not model:
        for p, f in zip(model.parameters(), fast.parameters(), strict=True):
            p.grad = None if f.grad is None else f.grad.float()
        with torch.no_grad():
            for b, f in zip(model.buffers(), fast.buffers(), strict=True):
                b.copy_(f)
    ranks.average(model)
    norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    values = ranks.mean({"loss": float(loss.detach()), **{k: float(v.detach()) for k, v in parts.items()}})
    if bool(torch.isfinite(norm)):
        optimiser.step()
    else:
        values["loss"] = math.nan
    return values


@torch.no_grad()
def average(ema: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the moving average of the weights on by one step; statistics of a normalisation are taken as they are."""
    torch._foreach_lerp_(list(ema.parameters()), list(model.parameters()), 1 - decay)
    for mean, now in zip(ema.buffers(), model.buffers(), strict=True):
        mean.copy_(now)


@torch.no_grad()
def copy_weights(to: nn.Module, source: nn.Module) -> None:
    """Bring a copy of another precision up to date. Buffers go the other way: a forward pass makes them."""
    torch._foreach_copy_(list(to.parameters()), list(source.parameters()))
