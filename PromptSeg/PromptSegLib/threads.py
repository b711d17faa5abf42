"""What holds for a whole thread or process while it computes: how threads wait, what share of the processors it gets,
and what becomes of tiny numbers."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SHARED_BY_SESSION = Path("/proc/sys/kernel/sched_autogroup_enabled")
OWN_SESSION = Path("/proc/self/autogroup")


def wait_passively() -> None:
    """Let threads sleep while they wait for the slowest, unless the environment says otherwise.

    By default they keep their cores busy, and where another program needs one of these, as 3D Slicer does, each waits
    for a thread that gets no core: with one of two cores taken, segmenting took three times as long. In small letters:
    the library compares as the locale does, and a Turkish "I" is none of its "i".
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def take_own_share() -> None:
    """Begin a session of its own, which Linux gives a share of the processors of its own.

    3D Slicer's window is at nice 19, and what it starts inherits that and may not go back: on one core, beside a busy
    program of the same session, such a process got a seventh of the time, and half of it in a session of its own.
    """
    with contextlib.suppress(AttributeError, OSError):  # Windows has none; whoever leads one stays there
        os.setsid()


def niceness() -> int:
    """How far this process stands back behind other programs, up to 19: where Linux shares the processors out by
    sessions, how far its session does."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        if SHARED_BY_SESSION.read_text().strip() == "1":
            return int(OWN_SESSION.read_text().split()[-1])
    return os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else 0


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


@contextlib.contextmanager
def usual_settings() -> Iterator[None]:
    """Compute with torch's settings as they are by default, whatever the program around has set for itself: the type
    and device of new tensors, autocast, no gradients. Its random numbers go on as if nothing had been computed."""
    import torch

    usual = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # a mode that changes arguments on the way into torch
            stack.enter_context(torch._C.DisableTorchFunction())
        if usual != torch.float32:  # the whole process's
            stack.callback(torch.set_default_dtype, usual)
            torch.set_default_dtype(torch.float32)
        yield


def with_usual_settings(function: Callable[P, R]) -> Callable[P, R]:
    """A function that computes in :func:`usual_settings`."""

    @functools.wraps(function)
    def computed(*arguments: P.args, **options: P.kwargs) -> R:
        with usual_settings():
            return function(*arguments, **options)

    return computed
