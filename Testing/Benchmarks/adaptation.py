"""Ways to teach a pre-trained PUNet a new structure: prompts, parts of prompts, other heads, the whole network.

Each way sees the same slices in the same order for the same number of steps. What a way leaves frozen is computed once:
:class:`Slices` keeps it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from readout import Readout, level_maps
from torch import Tensor
from torch.nn import functional

from PromptSegLib.datasets.loading import Sample
from PromptSegLib.datasets.sample import stacked
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.model.encoded import Encoded
from PromptSegLib.model.losses import mask_loss
from PromptSegLib.model.punet import PUNet
from PromptSegTrain.pretraining_model import BALANCE, PretrainingModel

Prompt = dict[str, Tensor]
NETWORK_SHARE = 0.3
"""The network's learning rate over its prompt's where all of both learns, as in pre-training."""
SCALES_SHARE = 1 / 30
"""The same where only scales and shifts learn beside the prompt."""
READOUT_SHARE = 2.0
"""The same where scales and shifts learn beside a readout, over the readout's rate."""


@dataclass(frozen=True)
class Method:
    """``learns`` says by name which tensors of a prompt learn; ``source`` is what the rest leaves unchanged: nothing
    ("images"), the encoder above the bottleneck ("encoded"), everything below the head ("features") or all that the
    network makes ("maps")."""

    label: str
    source: str
    learns: Callable[[str], bool] = lambda name: True
    network: Callable[[str, Tensor], bool] | None = None
    """Which of the network's weights learn too."""
    share: float = NETWORK_SHARE
    scratch: bool = False
    linear: bool = False
    readout: bool = False
    """Whether the maps of all levels are read (:class:`~readout.Readout`) instead of the head's tokens compared."""
    rates: tuple[float, ...] = (0.1, 0.3)
    """Learning rates to choose from: the prompt's, or the network's where it learns."""


def _above_the_bottleneck(name: str) -> bool:
    """Encoder prompts that are not the bottleneck's; its number is replaced by ``bottleneck`` before the question."""
    return name.startswith("encoder.")


def _scales(name: str, weight: Tensor) -> bool:
    """Scales and shifts of all layers, one number for each channel, and the head's two small matrices."""
    return weight.ndim == 1 or (name.startswith("head.") and weight.ndim == 2)


def _all(name: str, weight: Tensor) -> bool:
    return True


METHODS = {
    "prompts": Method("prompt tuning, all blocks", "images"),
    "decoder": Method("prompt tuning, bottleneck and decoder", "encoded", lambda n: not _above_the_bottleneck(n)),
    "head": Method("head tokens only", "features", lambda n: n.startswith("head.")),
    "bias": Method("attention biases only", "images", lambda n: n.endswith(".bias"), rates=(0.1, 0.3)),
    "linear": Method("linear head", "features", lambda n: False, linear=True, rates=(0.01, 0.03)),
    "scales": Method(
        "prompts, scales and shifts",
        "images",
        lambda n: not _above_the_bottleneck(n),
        _scales,
        SCALES_SHARE,
        rates=(5e-3, 1e-2),
    ),
    "readout": Method("readout of all levels", "maps", lambda n: False, readout=True, rates=(3e-3, 1e-2)),
    "both": Method(
        "readout, scales and shifts",
        "images",
        lambda n: False,
        _scales,
        READOUT_SHARE,
        readout=True,
        rates=(3e-3, 1e-2),
    ),
    "full": Method("full fine-tuning", "images", network=_all, rates=(6e-4, 1.2e-3)),
    "scratch": Method("from scratch", "images", network=_all, scratch=True, rates=(6e-4, 1.2e-3)),
}


@dataclass
class Frozen:
    """A pre-trained network: float32 ``weights``, a frozen copy ``net`` to compute with, and the ``prompt`` that new
    structures start from: the mean of the pre-trained prompts' deep tokens, attention biases of zero."""

    weights: PUNet
    net: PUNet
    prompt: Prompt

    @classmethod
    def of(cls, model: PretrainingModel, dtype: torch.dtype) -> Frozen:
        """What was pre-trained, in evaluation mode."""
        weights = copy.deepcopy(model.net).eval().requires_grad_(False)
        with torch.no_grad():
            place = next(weights.parameters()).device
            every = model.bank(torch.arange(len(model.bank.names), device=place))
            mean = {k: v.mean(0) for k, v in every.items()}
        shapes = weights.prompt_shapes()
        prompt = {k: mean[k] if k in mean else torch.zeros(s, device=place) for k, s in shapes.items()}
        return cls(weights, copy.deepcopy(weights).to(dtype).freeze(), prompt)

    @property
    def dtype(self) -> torch.dtype:
        """What ``net`` computes in."""
        return next(self.net.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where everything is computed."""
        return next(self.net.parameters()).device

    @property
    def size(self) -> int:
        """Parameters of the backbone."""
        return sum(p.numel() for p in self.weights.parameters())

    @property
    def below(self) -> PUNet:
        """``net`` as one whose prompts begin at the bottleneck: it decodes :attr:`Slices.encoded`."""
        return from_bottleneck(self.net)


def from_bottleneck(net: PUNet) -> PUNet:
    """The same modules, taken as a network whose prompts enter at the bottleneck."""
    view = copy.copy(net)
    view.config = replace(net.config, prompted_encoder_levels=(len(net.encoder) - 1,))
    return view


@dataclass
class Slices:
    """Slices in batches, images (B, H, W, C) -1..1 and labels (B, H, W), with what ``frozen`` makes of them under its
    own prompt. ``owner`` says for each batch whose slices these are."""

    frozen: Frozen
    images: list[Tensor]
    labels: list[Tensor]
    owner: list[str] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    """Seconds of computing (:func:`clock`) that "encoded" and "features" took."""

    @cached_property
    def encoded(self) -> list[Encoded]:
        """Everything above the bottleneck, the encoder's prompts being the start's."""
        return self._kept("encoded", encode_to_bottleneck)

    @cached_property
    def features(self) -> list[Tensor]:
        """Pixel features (B, H, W, width) that the head compares."""
        return self._kept("features", lambda net, x, prompts: net.pixel_features(net.encode(x), prompts))

    @cached_property
    def maps(self) -> list[list[Tensor]]:
        """The maps of all levels, coarse to fine."""
        return self._kept("maps", _all_maps)

    def _kept(self, what: str, made: Callable[[PUNet, Tensor, Prompt], Any]) -> list:
        began = clock(self.frozen.device)
        prompts = batched(self.frozen.prompt, self.frozen.dtype)
        with torch.no_grad():
            out = [made(self.frozen.net, x.to(self.frozen.dtype), prompts) for x in self.images]
        self.cost[what] = clock(self.frozen.device) - began
        return out


def clock(device: torch.device) -> float:
    """Seconds of computing: on the CPU those of all threads, so that other work on the machine does not count; on
    another device those that passed, once it has done what it was given."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def batched(prompt: Mapping[str, Tensor], dtype: torch.dtype) -> Prompt:
    """A prompt as the network wants it: (1, n, C), biases (heads, n)."""
    return {k: v.to(dtype) if k.endswith(".bias") else v.to(dtype)[None] for k, v in prompt.items()}


def encode_to_bottleneck(net: PUNet, images: Tensor, prompts: Prompt) -> Encoded:
    """Images as far as the bottleneck's attention, prompts in the encoder included."""
    encoded = net.encode(images)
    skips, pending = list(encoded.skip_terms), encoded.pending
    for n in range(net.first_prompted, len(net.encoder) - 1):
        x = net.encoder[n].attend(*pending, prompts)
        skips.append(net.decoder[str(n)].skip_term(x))
        pending = net.encoder[n + 1].prepare(x)
    return Encoded(encoded.size, [], skips, pending, encoded.image_term)


def _all_maps(net: PUNet, images: Tensor, prompts: Prompt) -> list[Tensor]:
    """Every level's map of images under a prompt, pixel features last."""
    return level_maps(net, lambda: net.pixel_features(net.encode(images), prompts))


@torch.no_grad()
def some_maps(frozen: Frozen, pool: Slices, batches: int) -> list[list[Tensor]]:
    """Maps of the first batches."""
    prompts = batched(frozen.prompt, frozen.dtype)
    return [_all_maps(frozen.net, x.to(frozen.dtype), prompts) for x in pool.images[:batches]]


def restrict(samples: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    """The volumes with these structures alone; everything else is background. Volumes without any are left out."""
    out = []
    for s in samples:
        kept = tuple(n for n in names if n in s.structures)
        table = np.zeros(len(s.structures) + 1, np.uint8)
        for i, n in enumerate(kept):
            table[s.structures.index(n) + 1] = i + 1
        where = {n: s.where[n] for n in kept if n in s.where}
        if where:
            absent = tuple(n for n in s.absent if n in names)
            out.append(replace(s, labels=table[s.labels], structures=kept, where=where, absent=absent))
    return out


def lessons(frozen: Frozen, samples: Sequence[Sample], structure: str, batches: int, groups: int, seed: int) -> Slices:
    """Augmented slices to learn one structure from, three times ``groups`` in a batch; labels are 0 and 1."""
    sampler = TaskSampler([restrict(samples, [structure])], [1.0], [structure], seed)
    drawn = [sampler.draw(groups) for _ in range(batches)]
    place = frozen.device
    return Slices(frozen, [b.images.to(place) for b in drawn], [b.labels.to(place) for b in drawn])


def questions(
    frozen: Frozen, samples: Sequence[Sample], structures: Sequence[str], every: int, batch: int = 16
) -> Slices:
    """Whole slices of held-out volumes, each ``every``-th one; labels are 1 + index into ``structures``."""
    out = Slices(frozen, [], [])
    for s in samples:
        table = torch.zeros(len(s.structures) + 1, dtype=torch.uint8)
        for i, n in enumerate(structures):
            if n in s.structures:
                table[s.structures.index(n) + 1] = i + 1
        picked = np.arange(0, len(s.grey), every)
        for first in range(0, len(picked), batch):
            part = picked[first : first + batch]
            out.images.append(torch.from_numpy(stacked(s, part)).to(frozen.device))
            out.labels.append(table[torch.from_numpy(s.labels[part].astype(np.int64))].to(frozen.device))
            out.owner.append(s.name)
    return out


@torch.no_grad()
def first_prompt(frozen: Frozen, pool: Slices, seed: int, batches: int = 4) -> Prompt:
    """The common start: mean deep tokens, and in the head the mean features inside and outside of the structure."""
    prompt = {k: v.clone() for k, v in frozen.prompt.items()}
    generator = torch.Generator().manual_seed(seed)
    for name, wanted in (("foreground", True), ("background", False)):
        picked = []
        for f, y in zip(pool.features[:batches], pool.labels, strict=False):
            step = -(-y.shape[1] // f.shape[1])
            there = (y[:, ::step, ::step] > 0) == wanted
            picked.append(f[:, : there.shape[1], : there.shape[2]][there].float())
        vectors = torch.cat(picked)
        if len(vectors):
            mean = vectors.mean(0)
            spread = torch.randn(prompt[f"head.{name}"].shape, generator=generator).to(mean.device)
            prompt[f"head.{name}"] = mean + 0.1 * mean.std() * spread
    return prompt


@dataclass
class Learned:
    """A structure that was learned: ``logits(slices, n)`` of the n-th batch, how much was trained, and in how many
    seconds of computing (:func:`clock`)."""

    logits: Callable[[Slices, int], Tensor]
    trained: int
    seconds: float
    loss: float


def learn(method: Method, frozen: Frozen, pool: Slices, steps: int, rate: float, seed: int) -> Learned:
    """Teach one structure: Adam, a tenth of the steps as warm-up, cosine to a tenth of ``rate``, gradients clipped."""
    torch.manual_seed(seed)
    prompt = first_prompt(frozen, pool, seed)
    if method.source == "encoded":
        _ = pool.encoded
    began = clock(frozen.device)
    net = master = None
    if method.network is not None:
        master = PUNet(frozen.weights.config).to(frozen.device) if method.scratch else copy.deepcopy(frozen.weights)
        master.train()
        for name, weight in master.named_parameters():
            weight.requires_grad_(method.network(name, weight))
        net = copy.deepcopy(master).to(frozen.dtype).to(memory_format=torch.channels_last)
        if method.scratch:
            prompt = {k: torch.zeros_like(v) if k.endswith(".bias") else 0.3 * torch.randn_like(v)
                      for k, v in prompt.items()}  # fmt: skip
    bottleneck = f"encoder.{len(frozen.net.encoder) - 1}."
    learned = {k for k in prompt if method.learns(k.replace(bottleneck, "bottleneck."))}
    forward: Callable[[Slices, int], Tensor]
    if method.linear:
        values = torch.cat([f.float().flatten(0, 2) for f in pool.features])
        mean, std = values.mean(0), values.std(0).clamp_min(1e-3)
        prompt = {"linear.weight": torch.zeros_like(mean), "linear.bias": torch.full_like(mean[:1], -2.0)}
        learned = set(prompt)
        forward = _linear(prompt, mean, std, frozen)
    else:
        forward = _forward(method.source, net, frozen, prompt)
    for k in learned:
        prompt[k] = prompt[k].detach().clone().requires_grad_(True)
    leaves = [prompt[k] for k in sorted(learned)]
    if method.readout:
        readout = Readout(some_maps(frozen, pool, 8))
        leaves += readout.parameters()
        forward = _read(readout, net, frozen, prompt)
    groups = [{"params": leaves, "peak": rate / method.share if method.network else rate}]
    if master is not None:
        groups.append({"params": [p for p in master.parameters() if p.requires_grad], "peak": rate})
    optimiser = torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.98))
    everything = [p for g in optimiser.param_groups for p in g["params"]]
    order: list[int] = []
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for step in range(steps):
        share = min((step + 1) / max(1, steps // 10), 0.55 + 0.45 * math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * share
        if not order:
            order = torch.randperm(len(pool.images), generator=generator).tolist()
        n = order.pop()
        if net is not None and master is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(net.parameters()), list(master.parameters()))
            net.zero_grad(set_to_none=True)
        optimiser.zero_grad(set_to_none=True)
        loss = mask_loss(forward(pool, n), (pool.labels[n] > 0).float(), smooth=1.0, balance=BALANCE).mean()
        loss.backward()
        if net is not None and master is not None:
            for p, f in zip(master.parameters(), net.parameters(), strict=True):
                p.grad = None if f.grad is None else f.grad.float()
        torch.nn.utils.clip_grad_norm_(everything, 1.0)
        optimiser.step()
        total += float(loss.detach()) * (step >= steps - max(1, steps // 5)) / max(1, steps // 5)
    if net is not None and master is not None:
        with torch.no_grad():
            torch._foreach_copy_(list(net.parameters()), list(master.parameters()))
        net.freeze()
    trained = sum(p.numel() for p in everything)
    seconds = clock(frozen.device) - began + pool.cost.get(method.source, 0.0)
    return Learned(forward, trained, seconds, total)


def _forward(source: str, net: PUNet | None, frozen: Frozen, prompt: Prompt) -> Callable[[Slices, int], Tensor]:
    """Logits (B, H, W) of a batch under ``prompt`` as it is when asked."""

    def logits(slices: Slices, n: int) -> Tensor:
        prompts = batched(prompt, frozen.dtype)
        height, width = slices.labels[n].shape[1:]
        if source == "features":
            return frozen.net.head.logits(slices.features[n], prompts)[:, :height, :width]
        if source == "encoded":
            return frozen.below.decode(slices.encoded[n], prompts)
        used, images = frozen.net if net is None else net, slices.images[n].to(frozen.dtype)
        if net is not None and torch.is_grad_enabled():
            # torch 2.13 crashes in the backward pass of group normalisation if its scale learns and its input, a small
            # channels-last map, needs no gradient.
            images = images.detach().requires_grad_()
        return used.decode(used.encode(images), prompts)

    return logits


def _read(readout: Readout, net: PUNet | None, frozen: Frozen, prompt: Prompt) -> Callable[[Slices, int], Tensor]:
    """Logits by a readout of the maps of all levels: kept ones, or those of a network that learns."""

    def logits(slices: Slices, n: int) -> Tensor:
        height, width = slices.labels[n].shape[1:]
        if net is None:
            return readout(slices.maps[n], (height, width))
        images = slices.images[n].to(frozen.dtype)
        if torch.is_grad_enabled():
            images = images.detach().requires_grad_()  # as in _forward
        return readout(_all_maps(net, images, batched(prompt, frozen.dtype)), (height, width))

    return logits


def _linear(prompt: Prompt, mean: Tensor, std: Tensor, frozen: Frozen) -> Callable[[Slices, int], Tensor]:
    """Logits of a linear classifier on standardised features."""

    def logits(slices: Slices, n: int) -> Tensor:
        height, width = slices.labels[n].shape[1:]
        f = (slices.features[n].float() - mean) / std
        score = f @ prompt["linear.weight"] + prompt["linear.bias"]
        if frozen.net.head.kind == "half":
            score = functional.interpolate(score[:, None], scale_factor=2, mode="bilinear")[:, 0]
        return score[:, :height, :width]

    return logits


@torch.no_grad()
def examine(learned: Learned, slices: Slices, number: int) -> dict[str, float]:
    """Dice of label ``number`` by subject, over all its slices; subjects without the structure are left out."""
    both: dict[str, float] = {}
    total: dict[str, float] = {}
    shown: dict[str, bool] = {}
    for n, owner in enumerate(slices.owner):
        found, there = learned.logits(slices, n) > 0, slices.labels[n] == number
        both[owner] = both.get(owner, 0.0) + 2.0 * float((found & there).sum())
        total[owner] = total.get(owner, 0.0) + float(found.sum() + there.sum())
        shown[owner] = shown.get(owner, False) or bool(there.any())
    return {k: both[k] / total[k] for k in both if shown[k]}
