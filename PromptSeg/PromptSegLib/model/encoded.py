"""What is kept of slices that were encoded: computed once, decoded for as many structures as are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Encoded:
    """Slices as far as no prompt reaches: everything that :meth:`PUNet.decode` needs, and the features of each level.

    Tensors are (B, H_l, W_l, C_l). ``size`` is the image's (H, W) before padding.
    """

    size: tuple[int, int]
    features: list[Tensor]
    skip_terms: list[Tensor]
    pending: tuple[Tensor, Tensor]
    image_term: Tensor | None

    def select(self, indices: Tensor | Sequence[int]) -> Encoded:
        """The slices at ``indices``, in that order, repeats allowed."""
        index = torch.as_tensor(indices, device=self.pending[0].device)

        def take(t: Tensor) -> Tensor:
            return t.index_select(0, index)

        return Encoded(
            self.size,
            [take(t) for t in self.features],
            [take(t) for t in self.skip_terms],
            (take(self.pending[0]), take(self.pending[1])),
            None if self.image_term is None else take(self.image_term),
        )

    @staticmethod
    def cat(parts: Sequence[Encoded]) -> Encoded:
        """Several batches of slices of one size as one."""
        return Encoded(
            parts[0].size,
            [torch.cat(t) for t in zip(*(p.features for p in parts), strict=True)],
            [torch.cat(t) for t in zip(*(p.skip_terms for p in parts), strict=True)],
            (torch.cat([p.pending[0] for p in parts]), torch.cat([p.pending[1] for p in parts])),
            None
            if parts[0].image_term is None
            else torch.cat([p.image_term for p in parts if p.image_term is not None]),
        )
