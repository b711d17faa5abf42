"""Prompts and the ``.promptset`` files that carry them from patient to patient and from colleague to colleague.

A ``.promptset`` is one safetensors file: fp16 tensors for each structure and a JSON card in the header. Reading it runs
no code; sizes, types, shapes, a checksum and the backbone are checked before a tensor is used.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, PromptError
from ..volumes.atomic import replacing
from .structure import Code, Structure

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "promptseg-promptset-1"
MOST_BYTES = 256 * 2**20
MOST_PROMPTS = 1000
CARRIES = 0.6
"""From this Dice of left-out slices without outlines on, a taught structure is found in other CTs, too
(docs/benchmarks.md, "To the next patient")."""


@dataclass(frozen=True)
class Prompt:
    """What was learned for one structure on one backbone.

    ``tensors`` maps the names of :meth:`~PromptSegLib.model.punet.PUNet.prompt_shapes` to tensors; ``card`` is plain
    JSON: ``window`` (HU), ``spacing`` (mm), ``plane``, ``components``, ``slices``, ``volumes``,
    ``leave_one_slice_out_dice``, ``network_dice`` (the same without outlines), ``author``, ``licence``, ``date``,
    ``note``.
    """

    structure: Structure
    backbone_id: str
    tensors: Mapping[str, Tensor]
    card: Mapping[str, Any] = field(default_factory=dict)

    def check(self, shapes: Mapping[str, tuple[int, ...]], backbone_id: str, backbone_name: str = "") -> None:
        """Raise :class:`PromptError` unless this prompt was learned on that backbone and is complete."""
        if self.backbone_id != backbone_id:
            raise PromptError(
                f"The prompt for {self.structure.name} was learned on backbone {self.backbone_id[:12]}, "
                f"not on {backbone_name or 'this one'} ({backbone_id[:12]})",
                "use the backbone that it names, or teach the structure again",
            )
        found = {k: tuple(v.shape) for k, v in self.tensors.items()}
        if found != dict(shapes):
            raise PromptError(
                f"The prompt for {self.structure.name} has tensors of the wrong shape", "get the file again"
            )


def carries(card: Mapping[str, Any]) -> bool | None:
    """Whether a prompt with this card is of use in CTs other than those that it was taught on, where no outlines help
    the network; None if the card does not tell, as those of pre-training do not."""
    found = card.get("network_dice")
    return found >= CARRIES if isinstance(found, float) and math.isfinite(found) else None


@dataclass(frozen=True)
class PromptSet(Mapping[str, Prompt]):
    """A named collection of prompts, by structure name, in a fixed order."""

    name: str
    prompts: Mapping[str, Prompt]
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, prompts: Iterable[Prompt], card: Mapping[str, Any] | None = None) -> PromptSet:
        """From prompts of different structures. Raises :class:`PromptError` if two have one name."""
        by_name: dict[str, Prompt] = {}
        for prompt in prompts:
            if prompt.structure.name in by_name:
                raise PromptError(f"There are two prompts for {prompt.structure.name}", "keep one of them")
            by_name[prompt.structure.name] = prompt
        return cls(name, by_name, dict(card or {}))

    def __getitem__(self, name: str) -> Prompt:
        return self.prompts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.prompts)

    def __len__(self) -> int:
        return len(self.prompts)

    def merge(self, other: PromptSet, name: str) -> PromptSet:
        """Both sets in one. Raises :class:`PromptError` if they share a structure or differ in backbone."""
        ids = {p.backbone_id for p in (*self.values(), *other.values())}
        if len(ids) > 1:
            raise PromptError(
                f"{self.name} and {other.name} were learned on different backbones", "merge sets of one backbone"
            )
        return PromptSet.of(name, [*self.values(), *other.values()])

    def write(self, path: Path | str) -> None:
        """Write the set; what was at ``path`` is replaced only by a whole file. Raises :class:`OutputError`."""
        from ..model.files import write_tensors

        tensors = {f"{n}/{k}": v.half() for n, p in enumerate(self.values()) for k, v in sorted(p.tensors.items())}
        header = {
            "name": self.name,
            "card": dict(self.card),
            "prompts": [
                {"structure": asdict(p.structure), "backbone": p.backbone_id, "card": dict(p.card)}
                for p in self.values()
            ],
        }
        header["checksum"] = _checksum(tensors, header)
        write_tensors(Path(path), tensors, {"format": FORMAT, "promptset": json.dumps(header)})

    @classmethod
    def read(cls, path: Path | str) -> PromptSet:
        """Read a ``.promptset``. Raises :class:`PromptError` for anything that is not a whole, unchanged one."""
        import torch

        from ..model.files import read_tensors

        path = Path(path)
        broken = PromptError(f"{path.name} is damaged or was changed", "get the file again")
        header = read_header(path)
        try:
            tensors, _ = read_tensors(path)
        except InputError as error:
            raise broken from error
        if any(t.dtype != torch.float16 or not torch.isfinite(t).all() for t in tensors.values()):
            raise broken
        if header.pop("checksum", None) != _checksum(tensors, header):
            raise broken
        prompts = []
        for n, entry in enumerate(header["prompts"]):
            own = {k.split("/", 1)[1]: v.float() for k, v in tensors.items() if k.split("/", 1)[0] == str(n)}
            if not own:
                raise broken
            prompts.append(Prompt(_structure(entry["structure"], broken), str(entry["backbone"]), own, entry["card"]))
        return cls.of(header["name"], prompts, header["card"])


def read_header(path: Path | str) -> dict[str, Any]:
    """The card of a ``.promptset`` without its tensors (needs no torch). Raises :class:`PromptError`."""
    path = Path(path)
    foreign = PromptError(f"{path.name} is not a PromptSeg prompt set", "choose a .promptset file that PromptSeg wrote")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise PromptError(f"There is no prompt set {path}", "check the name") from error
    if path.is_dir() or size > MOST_BYTES:
        raise foreign
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size, 4_000_000):
                raise foreign
            meta = json.loads(file.read(length))["__metadata__"]
        if meta["format"] != FORMAT:
            raise foreign
        header = json.loads(meta["promptset"])
        entries = header["prompts"]
        ok = isinstance(header["name"], str) and isinstance(header["card"], dict) and 0 < len(entries) <= MOST_PROMPTS
        ok = ok and all(isinstance(e["card"], dict) and isinstance(e["backbone"], str) for e in entries)
        for entry in entries:
            _structure(entry["structure"], foreign)
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise foreign from error
    if not ok:
        raise foreign
    return header


def structure_of(values: Mapping[str, Any]) -> Structure:
    """A structure of :func:`read_header`. Raises :class:`PromptError`."""
    return _structure(values, PromptError("A prompt set names no structure", "get the file again"))


def rewrite_card(source: Path | str, target: Path | str, changes: Mapping[str, Any]) -> None:
    """Write a prompt set anew with ``changes`` in the card of each prompt; needs no torch.

    Raises :class:`PromptError` for a file that is damaged, and :class:`OutputError`.
    """
    source = Path(source)
    header = read_header(source)
    broken = PromptError(f"{source.name} is damaged or was changed", "get the file again")
    raw = source.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    table, data = json.loads(raw[8 : 8 + length]), raw[8 + length :]
    meta = table.pop("__metadata__")
    try:
        tensors = {
            name: (tuple(int(n) for n in one["shape"]), data[one["data_offsets"][0] : one["data_offsets"][1]])
            for name, one in table.items()
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise broken from error
    if header.pop("checksum", None) != _digest(header, tensors):
        raise broken
    for one in header["prompts"]:
        one["card"] = {**one["card"], **changes}
    header["checksum"] = _digest(header, tensors)
    text = json.dumps({"__metadata__": {**meta, "promptset": json.dumps(header)}, **table}, separators=(",", ":"))
    encoded = text.encode()
    encoded += b" " * (-len(encoded) % 8)  # as safetensors aligns what follows
    with replacing(target) as handle:
        handle.write(len(encoded).to_bytes(8, "little") + encoded + data)


def _digest(header: Mapping[str, Any], tensors: Mapping[str, tuple[tuple[int, ...], bytes]]) -> str:
    """Of the card and of the tensors' names, shapes and values: tells damage and hand-made changes from what PromptSeg
    wrote."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        shape, values = tensors[name]
        digest.update(f"{name}|{shape}|".encode())
        digest.update(values)
    return digest.hexdigest()


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    raw = {}
    for name, tensor in tensors.items():
        t = tensor.detach().cpu().contiguous()
        raw[name] = (tuple(t.shape), t.numpy().tobytes())
    return _digest(header, raw)


def _structure(values: Any, error: PromptError) -> Structure:
    """A structure from JSON, with every field checked."""

    def code(entry: Any) -> Code | None:
        if entry is None:
            return None
        return Code(*(_text(entry[k], error) for k in ("scheme", "value", "meaning")))

    try:
        red, green, blue = (min(1.0, max(0.0, float(c))) for c in values["colour"])
        return Structure(
            _text(values["name"], error),
            code(values.get("code")),
            (red, green, blue),
            code(values.get("category")),
            code(values.get("modifier")),
            tuple(_text(s, error) for s in values.get("synonyms", ())),
        )
    except (KeyError, TypeError, ValueError) as cause:
        raise error from cause


def _text(value: Any, error: PromptError) -> str:
    if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable():
        raise error
    return value
