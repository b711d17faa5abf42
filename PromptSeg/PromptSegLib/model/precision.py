"""Where computing happens and in what precision: the one place that decides.

bf16 is used only where the hardware multiplies it: CUDA from Ampere on, and CPUs with AVX-512 BF16 or AMX. Everything
else runs in float32.
"""

from __future__ import annotations

import ctypes
import os
import sys

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import DeviceError, short
from .bf16_attention import bf16_attention


def pick_device(name: str = "auto") -> torch.device:
    """The device for "auto", "cpu", "cuda" (or "cuda:1") or "mps". Raises :class:`DeviceError` if it is not there."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"There is no device called {short(name)!r}", "choose auto, cpu, cuda or mps") from error
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }.get(device.type, False)
    if not there:
        raise DeviceError(f"This computer has no usable {name} device", "choose --device cpu or --device auto")
    return device


def fast_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the hardware has it, else float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        capabilities = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")()
        if "AVX512" in capabilities and torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return torch.bfloat16 if _has_bf16_instructions() else torch.float32
    return torch.float32


def _has_bf16_instructions() -> bool:
    """Whether this CPU multiplies bf16 itself: oneDNN also takes bf16 where it has to emulate it, slowly."""
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool((probe and probe()) or (amx and amx()))


def default_threads() -> int:
    """Threads for the CPU: what the process may use, at most 16 (small maps gain nothing beyond)."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        count = os.cpu_count() or 1
    return max(1, min(16, count))


def keep_freed_memory() -> None:
    """Let this process reuse freed memory instead of giving it back: on Linux, large maps are otherwise paged in
    anew for every operation. Changes nothing elsewhere.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not in every C library
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 2**30)
        mallopt(trim_threshold, 2**31 - 1)


def take_process(threads: int | None = None) -> None:
    """Set this process up for computing alone, with ``threads`` (default: all that it may use): for a program of our
    own, as a command or the worker, not for a library in somebody else's."""
    keep_freed_memory()
    torch.set_num_threads(threads or default_threads())


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float | None = None) -> Tensor:
    """softmax(scale q k^T + bias) v over (B, heads, N, d); ``scale`` is 1 / sqrt(d) unless given.

    Fused, but for bf16 on a CPU: there the fused one takes twice as long as products and exponentials, and its backward
    pass several times.
    """
    bias = bias.to(q.dtype)
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        return bf16_attention(q, k, v, bias, q.shape[-1] ** -0.5 if scale is None else scale)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)
