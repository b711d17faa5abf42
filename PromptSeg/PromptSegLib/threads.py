"""How compute threads wait for each other; to be decided before torch is loaded."""

from __future__ import annotations

import os


def wait_passively() -> None:
    """Let threads sleep while they wait for the slowest, unless the environment says otherwise.

    By default they keep their cores busy, and where another program needs one of these, as 3D Slicer does, each waits
    for a thread that gets no core: with one of two cores taken, segmenting took three times as long. In small letters:
    the library compares as the locale does, and a Turkish "I" is none of its "i".
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
