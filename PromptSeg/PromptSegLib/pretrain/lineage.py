"""Which subjects a backbone has learned from, those of the backbones before it included.

A run that starts from a backbone may split its data otherwise than that one's run did. What it then measures on
"held-out" subjects is praise for what was learned by heart, so such runs, and such figures, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError, few
from .samples import Part

Learned = dict[str, tuple[str, ...]]
"""By data set, the names of the subjects that were learned from."""


def learned_from(card: Mapping[str, Any]) -> Learned:
    """What a backbone's card says of itself and of those that it came from; a card that says nothing knows nothing."""
    found: dict[str, set[str]] = {}
    own = card.get("data")
    for entry in own if isinstance(own, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("training"), list):
            found.setdefault(str(entry.get("name")), set()).update(map(str, entry["training"]))
    recipe = card.get("recipe")
    earlier = recipe.get("earlier") if isinstance(recipe, Mapping) else None
    for name, subjects in earlier.items() if isinstance(earlier, Mapping) else ():
        if isinstance(subjects, list):
            found.setdefault(str(name), set()).update(map(str, subjects))
    return {name: tuple(sorted(subjects)) for name, subjects in found.items()}


def check_held_out(earlier: Mapping[str, Sequence[str]], parts: Sequence[Part], name: str) -> None:
    """Refuse with :class:`InputError` to hold out subjects that the backbone ``name`` has learned from."""
    for part in parts:
        known = both(part.validation_names, earlier.get(part.dataset.name, ()))
        if known:
            raise InputError(
                f"{few(known)} of {part.dataset.name} would be held out, but {name} has learned from "
                f"{'it' if len(known) == 1 else 'them'}",
                "take the --seed and --validation of its run, or hold nothing out with --validation 0",
            )


def both(some: Iterable[str], others: Iterable[str]) -> list[str]:
    """What is in both, sorted."""
    return sorted(set(some) & set(others))
