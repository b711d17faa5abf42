"""What pre-training learns: the network, a prompt for every structure, and helpers that are thrown away afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from PromptSegLib.datasets.contrastive_views import Views
from PromptSegLib.datasets.tasks import Batch, membership
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.cosine import cosine_score
from PromptSegLib.model.losses import mask_loss
from PromptSegLib.model.punet import Encoded, PUNet

from .cpa import cpa_loss
from .pixels import sample_pixels
from .recipe import Recipe

BALANCE = 0.5
"""Small structures would hardly be heard in a plain cross-entropy: see :func:`~PromptSegLib.model.losses.mask_loss`."""
SMOOTH = 6.0
"""Pixels that smooth the dense loss's Dice: few, for small structures have few in a slice."""
ABSENT = 0.3
"""Weight in the dense loss of a structure that a slice does not show. Most slices show no adrenal gland; if these
counted like those that do, finding too little would pay (recall of the adrenal glands was half)."""


class PromptBank(nn.Module):
    """One prompt for each structure, stacked: every tensor is (structures, n, C).

    Deep tokens are a shared part, under which the decoder shows all structures at once, plus each structure's own
    difference from it. Attention biases start at zero and stay there: what they add is left to tuning.
    """

    def __init__(self, shapes: dict[str, tuple[int, ...]], names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.keys = [k for k in shapes if not k.endswith(".bias")]
        self.deep = [k for k in self.keys if k.endswith(".tokens")]
        self.shared = nn.ParameterDict({_safe(k): nn.Parameter(torch.randn(shapes[k]) * 0.3) for k in self.deep})
        self.tensors = nn.ParameterDict(
            {
                _safe(k): nn.Parameter(torch.randn(len(names), *shapes[k]) * (0.03 if k in self.deep else 0.3))
                for k in self.keys
            }
        )

    def forward(self, numbers: Tensor) -> dict[str, Tensor]:
        """The prompts of structures ``numbers`` (P,): tensors (P, n, C)."""
        own = {k: self.tensors[_safe(k)][numbers] for k in self.keys}
        return {k: v + self.shared[_safe(k)] if k in self.deep else v for k, v in own.items()}

    @torch.no_grad()
    def share(self, but: Sequence[str] = ()) -> None:
        """Drop what all structures ``but`` some have of their own, other than the head's tokens."""
        others = [n for n, name in enumerate(self.names) if name not in but]
        for k in self.deep:
            self.tensors[_safe(k)][others] = 0.0

    def common(self) -> dict[str, Tensor]:
        """The shared deep tokens alone, (n, C)."""
        return {k: self.shared[_safe(k)] for k in self.deep}

    def everything(self, count: int) -> dict[str, Tensor]:
        """The same, ``count`` times."""
        return {k: self.shared[_safe(k)][None].expand(count, -1, -1) for k in self.deep}

    def deep_of(self, numbers: Tensor) -> dict[str, Tensor]:
        """The deep tokens of structures ``numbers`` (P,); -1 has the shared ones alone."""
        own = (numbers >= 0)[:, None, None]
        return {
            k: t + self.tensors[_safe(k)][numbers.clamp_min(0)].where(own, 0.0)
            for k, t in self.everything(len(numbers)).items()
        }


class DeepSupervision(nn.Module):
    """Linear classifiers on the encoder's features: they teach it all structures of a slice in one pass."""

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.LayerNorm(w), nn.Linear(w, classes + 1)) for w in widths)

    def forward(self, features: Sequence[Tensor], labels: Tensor, annotated: Tensor) -> Tensor:
        """Cross-entropy in which "background" stands for every class that a volume has no annotation of."""
        total = labels.new_zeros((), dtype=torch.float32)
        for layer, f in zip(self.layers, features, strict=True):
            stride = -(-labels.shape[1] // f.shape[1])
            target = labels[:, stride // 2 :: stride, stride // 2 :: stride]
            f = f[:, : target.shape[1], : target.shape[2]]
            score = functional.log_softmax(layer(f).float(), -1)
            unknown = score.masked_fill(annotated[:, None, None, :], float("-inf")).logsumexp(-1)
            known = score.gather(-1, target[..., None])[..., 0]
            total = total - torch.where(target > 0, known, unknown).mean()
        return total / max(1, len(self.layers))  # none where prompts enter at once


class PretrainingModel(nn.Module):
    """Network, prompt bank and deep supervision, with the loss of one batch."""

    member: Tensor

    def __init__(self, config: PUNetConfig, names: Sequence[str]) -> None:
        super().__init__()
        self.net = PUNet(config)
        self.bank = PromptBank(self.net.prompt_shapes(), names)
        self.deep = DeepSupervision(config.widths[1 : self.net.first_prompted], len(names))
        self.register_buffer("member", membership(names), persistent=False)

    def forward(
        self, batch: Batch, dtype: torch.dtype, teacher: PretrainingModel | None = None, supervised: bool = True
    ) -> dict[str, Tensor]:
        """The parts of the loss of ``batch``, each a scalar.

        "prompted": tasks under a structure's own prompt; "episodic": under a proposed one; "dense": all structures'
        heads at once under the shared tokens; "deep": the encoder's classifiers. Where the batch has views and there is
        a ``teacher``, which may be of another precision, "cpa": contrastive prototype assignment, under the prompt of
        one structure of each slice. Without ``supervised`` that part alone, under the shared tokens.
        """
        result = self._supervised(batch, dtype) if supervised else {}
        if batch.views is not None and teacher is not None:
            result["cpa"] = self._cpa(batch.views, dtype, teacher, supervised)
        return result

    def _cpa(self, views: Views, dtype: torch.dtype, teacher: PretrainingModel, supervised: bool) -> Tensor:
        """Contrastive prototype assignment: no gradient to the teacher."""
        structures = views.structures if supervised else torch.full_like(views.structures, -1)

        def features(model: PretrainingModel, images: Tensor) -> Tensor:
            return model.net.pixel_features(model.net.encode(images), model.bank.deep_of(structures))

        with torch.no_grad():
            images = views.teacher.images.to(next(teacher.parameters()).dtype)
            given = features(teacher, images)
        students = [features(self, v.images.to(dtype)) for v in views.students]
        return cpa_loss(views, given, students, stride=1 if self.net.config.head == "full" else 2)

    def _supervised(self, batch: Batch, dtype: torch.dtype) -> dict[str, Tensor]:
        encoded = self.net.encode(batch.images.to(dtype))
        device, slices = batch.images.device, len(batch.images)
        own = self.bank(torch.tensor([s for _, s in batch.prompted], dtype=torch.long, device=device))
        everything = self.bank.everything(slices)
        parts = [own]
        index = [*range(slices), *(n for n, _ in batch.prompted)]
        targets = [batch.prompted_masks]
        if self.net.proposer is not None:
            memory = self.net.proposer.memory(encoded)
            inside, outside = batch.support_inside.to(dtype), batch.support_outside.to(dtype)
            parts.append(self.net.proposer(memory[batch.support], inside, outside))
            index += batch.episodic
            targets.append(batch.episodic_masks)
        prompts = {k: torch.cat([p[k].to(own[k].dtype) for p in parts]) for k in own}
        deep = {k: torch.cat([everything[k], prompts[k]]) for k in everything}
        features = self.net.pixel_features(encoded.select(index), deep)
        height, width = encoded.size
        logits = self.net.head.logits(features[slices:], prompts)[:, :height, :width]
        losses = mask_loss(logits, torch.cat(targets), balance=BALANCE)
        count = len(batch.prompted)
        result = {
            "dense": self._dense(features[:slices, :height, :width], batch),
            "deep": self.deep(encoded.features[1:], batch.labels, batch.annotated),
        }
        if count:
            result["prompted"] = losses[:count].mean()
        if self.net.proposer is not None:
            result["episodic"] = losses[count:].mean()
        return result

    def _dense(self, features: Tensor, batch: Batch) -> Tensor:
        """The loss of the heads that each group asks for, on a quarter of the pixels (or all, at half resolution)."""
        labels, counts = batch.labels, None
        if features.shape[1] == labels.shape[1]:
            places, counts = sample_pixels(labels)
            # Whole vectors by their numbers: to gather each of their values takes four times as long.
            rows = places + torch.arange(len(labels), device=places.device)[:, None] * labels[0].numel()
            features = features.flatten(0, 2).index_select(0, rows.flatten()).unflatten(0, places.shape)
            labels = labels.flatten(1).gather(1, places)
        else:
            labels = labels[:, ::2, ::2]
        dim, count = features.shape[-1], batch.heads.shape[1]
        groups = len(batch.heads)
        asked = batch.heads.clamp_min(0)
        tokens = [self.bank.tensors[_safe(f"head.{k}")][asked] for k in ("foreground", "background")]
        t = torch.cat([functional.normalize(x.float(), dim=-1, eps=1e-4).flatten(1, 2) for x in tokens], 1)
        sizes = tuple(x.shape[2] for x in tokens for _ in range(count))
        f = features.reshape(groups, -1, dim)
        sums = cosine_score(f, t / self.net.config.temperature, sizes).float().log()
        shift = math.log(tokens[1].shape[2] / tokens[0].shape[2])
        logits = sums[..., :count] - sums[..., count:] + shift  # (groups, GROUP * pixels, heads)
        slices = len(labels) // groups
        logits = logits.reshape(groups, slices, -1, count).transpose(2, 3)
        target = self.member[asked[:, None, :, None], labels.reshape(groups, slices, 1, -1)].float()
        weights = self.dense_weights(batch)
        known = weights > 0
        valid = None
        if counts is not None:
            valid = counts.reshape(groups, slices, 1, -1).expand_as(target)[known][:, None]
        losses = mask_loss(logits[known][:, None], target[known][:, None], valid, SMOOTH, BALANCE)
        return (losses * weights[known]).sum() / weights.sum().clamp_min(1e-3)

    def dense_weights(self, batch: Batch) -> Tensor:
        """How much each slice counts for each head that its group asks for in the dense loss, (groups, slices of a
        group, heads): 0 for one that is not annotated."""
        groups, slices = len(batch.heads), len(batch.labels) // max(1, len(batch.heads))
        flat = batch.labels.flatten(1)
        seen = torch.zeros(len(flat), self.member.shape[1], device=flat.device).scatter_(1, flat, 1.0)
        asked = batch.heads.clamp_min(0)
        there = (self.member[asked][:, None] & (seen.reshape(groups, slices, 1, -1) > 0)).any(-1)
        return torch.where(there, 1.0, ABSENT) * (batch.heads >= 0)[:, None]

    def groups(self, recipe: Recipe) -> list[dict]:
        """Parameters for the optimiser: no decay on prompts, tables, norms and offsets. With "muon", the network's
        matrices but for the stem's and those that are small are in groups of their own."""
        decay, plain, prompts = [], [], []
        matrices: list[nn.Parameter] = []
        joint: list[nn.Parameter] = []
        for name, p in self.named_parameters():
            if name.startswith("bank."):
                prompts.append(p)
            elif p.ndim < 2 or any(k in name for k in (".bias.", "base", "queries")):
                plain.append(p)
            elif recipe.optimiser != "muon" or not name.startswith("net.") or not _is_hidden(name, p):
                decay.append(p)
            else:
                (joint if ".qkv." in name else matrices).append(p)
        rates = {"weight_decay": recipe.weight_decay, "peak": recipe.lr}
        return [
            {"params": decay} | rates,
            {"params": plain, "weight_decay": 0.0, "peak": recipe.lr},
            {"params": prompts, "weight_decay": 0.0, "peak": recipe.prompt_lr},
            *([{"params": matrices, "muon": True} | rates] if matrices else []),
            *([{"params": joint, "muon": True, "parts": 3} | rates] if joint else []),  # query, key and value
        ]


@torch.inference_mode()
def quick_dice(
    model: PretrainingModel, grey: Tensor, labels: Tensor, structure: int, support: Sequence[int] | None = None
) -> float:
    """Dice of one structure on whole slices (N, H, W, 3) in -1..1, by its own prompt or, with ``support`` slices,
    few-shot.

    ``labels`` (N, H, W) are that structure's masks; support slices are left out of the count.
    """
    net, dtype = model.net, next(model.parameters()).dtype
    if support is None:
        prompts = model.bank(torch.tensor([structure], device=grey.device))
    else:
        chosen = list(support)
        if net.proposer is None:
            return float("nan")
        inside = labels[chosen].to(dtype)
        memory = net.proposer.memory(net.encode(grey[chosen].to(dtype)))
        prompts = net.proposer(memory[None], inside[None], 1 - inside[None])
    both = total = 0.0
    for start in range(0, len(grey), 8):
        keep = [n for n in range(start, min(start + 8, len(grey))) if support is None or n not in support]
        if not keep:
            continue
        encoded: Encoded = net.encode(grey[keep].to(dtype))
        found = net.decode(encoded, prompts) > 0
        there = labels[keep] > 0
        both += 2.0 * float((found & there).sum())
        total += float(found.sum() + there.sum())
    return both / total if total else float("nan")


def _is_hidden(name: str, weight: Tensor) -> bool:
    """Whether a weight is a matrix between two layers of features: not one that sees pixels, nor a small one."""
    return not any(k in name for k in (".stem.", ".detail.")) and min(weight.shape[0], weight[0].numel()) >= 16


def _safe(name: str) -> str:
    """Parameter names may not hold a dot."""
    return name.replace(".", "_")
