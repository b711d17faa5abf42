"""Where a structure lies in an open reference CT: what an exported prompt tells of place, and no picture of a patient.

The finished mask of the patient that a structure was taught in, carried by registration into a CT that PromptSeg ships.
It stands in the header of a ``.promptset`` as JSON, compressed; versions that do not know it pass over it. It may be a
stranger's: types, sizes and numbers are checked before an array is made.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_REFERENCES, MAX_SIDE, MAX_VOXELS = 8, 512, 8_000_000
MAX_TEXT = 1_000_000
"""Characters of one mask in a file."""
LEVELS = 15
"""Shares are kept in so many steps: what is smooth takes few bytes then."""
_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ReferenceMask:
    """``share`` (s, a, r) uint8, 255 where the structure fills a voxel, from voxel ``first`` of the reference CT on
    whose digest is ``reference``. ``quality`` is the Dice that the mask was believed to have in its patient, None if
    nothing tells; ``trust`` how well that patient fitted the reference, and ``returned`` the Dice of the mask that came
    back to the patient. Raises ``ValueError`` or ``TypeError`` for what makes no sense."""

    reference: str
    share: np.ndarray
    first: tuple[int, int, int]
    quality: float | None
    trust: float
    returned: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.reference, str) or not _DIGEST.fullmatch(self.reference):
            raise ValueError("reference")
        if self.share.dtype != np.uint8 or self.share.ndim != 3 or not self.share.size or not self.share.max():
            raise ValueError("share")
        if len(self.first) != 3 or not all(_whole(f, 0) for f in self.first):
            raise ValueError("first")
        shares = (self.returned, 0.0 if self.quality is None else self.quality)
        for value, low, high in ((self.trust, -10.0, 10.0), *((one, 0.0, 1.0) for one in shares)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError("numbers")

    @classmethod
    def of(
        cls, reference: str, share: np.ndarray, quality: float | None, trust: float, least: float = 0.02
    ) -> ReferenceMask | None:
        """From shares (S, A, R) 0..1 on the whole reference; None where they are nowhere half."""
        spots = np.nonzero(share > least)
        if not len(spots[0]) or not (share > 0.5).any():
            return None
        low = [int(s.min()) for s in spots]
        box = tuple(slice(v, int(s.max()) + 1) for v, s in zip(low, spots, strict=True))
        code = np.rint(LEVELS * np.clip(share[box], 0, 1)) * (255 // LEVELS)
        trust = round(float(trust), 4)
        return cls(reference, code.astype(np.uint8), (low[0], low[1], low[2]), quality, trust)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        data = base64.b64encode(zlib.compress(np.ascontiguousarray(self.share).tobytes(), 9)).decode()
        return {
            "reference": self.reference, "first": list(self.first), "shape": list(self.share.shape),
            "quality": self.quality, "trust": self.trust, "returned": self.returned, "share": data,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ReferenceMask:
        """What :meth:`to_json` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` for anything else."""
        shape, (a, b, c), text = values["shape"], values["first"], values["share"]
        if not isinstance(shape, list) or len(shape) != 3 or not all(_whole(n, 1) and n <= MAX_SIDE for n in shape):
            raise ValueError("shape")
        count = math.prod(shape)
        if count > MAX_VOXELS or not isinstance(text, str) or len(text) > MAX_TEXT:
            raise ValueError("size")
        try:
            inflate = zlib.decompressobj()
            data = inflate.decompress(base64.b64decode(text, validate=True), count + 1)
        except (binascii.Error, zlib.error) as error:
            raise ValueError("share") from error
        if len(data) != count or not inflate.eof or inflate.unused_data:
            raise ValueError("share")
        share = np.frombuffer(data, np.uint8).reshape(shape)
        numbers = values["quality"], values["trust"], values["returned"]
        return cls(values["reference"], share, (a, b, c), *numbers)


def masks_from(values: Any) -> tuple[ReferenceMask, ...]:
    """One structure's, of a file. Raises as :meth:`ReferenceMask.from_json`."""
    if not isinstance(values, list) or not 0 < len(values) <= MAX_REFERENCES:
        raise ValueError("references")
    found = tuple(ReferenceMask.from_json(one) for one in values)
    if len({one.reference for one in found}) < len(found):
        raise ValueError("two of one reference")
    return found


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31
