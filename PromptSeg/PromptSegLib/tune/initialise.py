"""The first prompt, before any gradient step: from the features of what was drawn, or from a former round."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..model.backbone import Backbone
from .examples import Examples


@torch.no_grad()
def propose(backbone: Backbone, examples: Examples, chosen: Sequence[int]) -> dict[str, Tensor]:
    """A prompt (float32, on the backbone's device) from the drawn slices ``chosen`` of ``examples``.

    With a proposer: what it makes of the drawn slices. Without one: random deep tokens, and head tokens that are the
    mean features inside and outside of the drawing.
    """
    net, place, dtype = backbone.net, backbone.device, backbone.dtype
    shapes = backbone.shapes()
    if net.proposer is not None:
        support = [n for n in chosen if examples.shown[n]] or list(chosen)
        memory = net.proposer.memory(examples.encoded[0].select(support))
        made = net.proposer(
            memory[None], examples.inside(support)[None].to(dtype), examples.outside(support)[None].to(dtype)
        )
        tokens = {k: v[0].float() for k, v in made.items()}
    else:
        generator = torch.Generator().manual_seed(0)
        tokens = {
            k: (0.1 * torch.randn(s, generator=generator)).to(place) for k, s in shapes.items() if k.endswith(".tokens")
        }
        tokens |= _prototypes(backbone, examples, chosen, tokens)
    for k, shape in shapes.items():
        if k not in tokens:
            tokens[k] = torch.zeros(shape, device=place)
    return {k: tokens[k] for k in shapes}


def _prototypes(
    backbone: Backbone, examples: Examples, chosen: Sequence[int], tokens: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Head tokens: mean features inside and outside of the drawing, with a little spread between tokens."""
    net, shapes = backbone.net, backbone.shapes()
    encoded = examples.encoded[0].select(list(chosen))
    f = net.pixel_features(encoded, {k: v[None].to(backbone.dtype) for k, v in tokens.items()}).float()
    generator = torch.Generator().manual_seed(1)
    out = {}
    for name, share in (("foreground", examples.inside(chosen)), ("background", examples.outside(chosen))):
        step = -(-share.shape[-1] // f.shape[2])
        w = torch.nn.functional.avg_pool2d(share[:, None], step, ceil_mode=True)[:, 0]
        part = f[:, : w.shape[1], : w.shape[2]]
        mean = (part * w[..., None]).sum((0, 1, 2)) / w.sum().clamp_min(1e-3)
        count, width = shapes[f"head.{name}"]
        spread = 0.1 * mean.std() * torch.randn(count, width, generator=generator).to(mean)
        out[f"head.{name}"] = mean[None].expand(count, -1) + spread
    return out
