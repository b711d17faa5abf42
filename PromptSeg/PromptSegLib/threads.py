"""What holds for a whole thread or process while it computes: how threads wait, and what becomes of tiny numbers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


def wait_passively() -> None:
    """Let threads sleep while they wait for the slowest, unless the environment says otherwise.

    By default they keep their cores busy, and where another program needs one of these, as 3D Slicer does, each waits
    for a thread that gets no core: with one of two cores taken, segmenting took three times as long. In small letters:
    the library compares as the locale does, and a Turkish "I" is none of its "i".
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextlib.contextmanager
def without_denormals() -> Iterator[None]:
    """Take numbers too small for float32's usual form as 0, which CPUs compute with many times faster.

    Afterwards it is as before: the setting is the thread's, whose owner may count on such numbers.
    """
    import torch

    before = float(torch.tensor(1e-40) * 1.0) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
