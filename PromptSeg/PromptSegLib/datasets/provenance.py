"""Which subjects a backbone has learned from, those of the backbones before it included.

A run that starts from a backbone may split its data otherwise than that one's run did, and a data set that is derived
from another holds its subjects again. What is then measured on "held-out" subjects would be leakage, so such runs, and
such figures, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import InputError, quoted
from ..spelling import spelled
from .sample import Part

Learned = dict[str, tuple[str, ...]]
"""By data set, the names of the subjects that were learned from."""


def data_entry(part: Part) -> dict[str, Any]:
    """What a card says of a data set: its name, whose subjects these are, and who was learned from and held out."""
    derived = {"derived_from": part.dataset.derived_from} if part.dataset.derived_from else {}
    split = {"training": part.training_names, "validation": part.validation_names}
    return {"name": part.dataset.name, **derived, "licence": part.dataset.licence, **split}


def learned_from(card: Mapping[str, Any]) -> Learned:
    """What a backbone's card says of itself and of those that it came from; a card that says nothing knows nothing. The
    subjects of a data set that is derived from another are named under both."""
    found: dict[str, set[str]] = {}
    own = card.get("data")
    for entry in own if isinstance(own, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("training"), list):
            for name in filter(None, (str(entry.get("name")), entry.get("derived_from"))):
                found.setdefault(str(name), set()).update(map(str, entry["training"]))
    recipe = card.get("recipe")
    earlier = recipe.get("earlier") if isinstance(recipe, Mapping) else None
    for name, subjects in earlier.items() if isinstance(earlier, Mapping) else ():
        if isinstance(subjects, list):
            found.setdefault(str(name), set()).update(map(str, subjects))
    return {name: tuple(sorted(subjects)) for name, subjects in found.items()}


def check_held_out(earlier: Mapping[str, Sequence[str]], parts: Sequence[Part], name: str) -> None:
    """Refuse with :class:`InputError` to hold out subjects that the backbone ``name`` has learned from."""
    for part in parts:
        known = both(part.validation_names, subjects_of(earlier, part.dataset.name))
        if known:
            raise InputError(
                f"{quoted(known, 3)} of {part.dataset.name} would be held out, but {name} has learned from "
                f"{'it' if len(known) == 1 else 'them'}",
                "take the --seed and --validation of its run, or hold nothing out with --validation 0",
            )


def check_derived(parts: Sequence[Part]) -> None:
    """Refuse with :class:`InputError` to hold out subjects that a data set derived from theirs holds."""
    for part in parts:
        for other in parts:
            origin = other.dataset.derived_from
            same = origin and spelled(origin) == spelled(part.dataset.name)
            known = both(part.validation_names, other.training_names) if same else []
            if known:
                raise InputError(
                    f"{quoted(known, 3)} of {part.dataset.name} would be held out, but {other.dataset.name} holds "
                    f"{'it' if len(known) == 1 else 'them'}, too",
                    f"take the --seed and --validation that {other.dataset.name} was made with, or leave that out",
                )


def subjects_of(learned: Mapping[str, Sequence[str]], dataset: str) -> list[str]:
    """The subjects of a data set, however its name is spelled."""
    return [subject for name, some in learned.items() if spelled(name) == spelled(dataset) for subject in some]


def steps_so_far(card: Mapping[str, Any]) -> int:
    """How many optimiser steps a backbone is away from random numbers, those of the backbones before it included;
    cards of earlier versions count only their own."""
    recipe = card.get("recipe")
    found = [recipe.get(key) for key in ("step", "steps_before")] if isinstance(recipe, Mapping) else []
    return sum(n for n in found if isinstance(n, int) and n > 0)


LAST_PART = 0.25
"""Of the steps before: a last fifth of all, in which runs may learn from the subjects that were measured on."""


def check_measured(
    quality: Mapping[str, Any], card: Mapping[str, Any], before: tuple[str, Mapping[str, Any]] | None = None
) -> None:
    """Refuse with :class:`InputError` figures of subjects that the backbone with this ``card`` has learned from.

    They may be told all the same if the run went on from a backbone (``before``: its id and card) that was measured
    before it learned from these subjects, or that tells these figures by the same right, if nothing was changed but to
    take in what was held out, and if all that was learned since then is at most a fifth of all steps: then they are
    those of the same recipe with subjects held out.
    """
    subjects, dataset = quality.get("validation", ()), quality["dataset"]
    known = both(subjects, subjects_of(learned_from(card), dataset))
    if not known:
        return
    if before is None:
        raise InputError(
            f"What was measured on {quoted(known, 3)} of {dataset} says nothing: the backbone has learned from "
            f"{'it' if len(known) == 1 else 'them'}",
            "measure on the subjects that its run held out",
        )
    identity, earlier = before
    recipe, former = (dict(c.get("recipe") or {}) for c in (card, earlier))
    last, measured = int(recipe.get("step", 0)), steps_so_far(earlier)
    told = quality in list(earlier.get("quality", ())) and _went_on_from(former, str(quality.get("backbone", "-")))
    if told:
        last, measured = last + int(former.get("step", 0)), int(former.get("steps_before", 0))
    wrong = None
    if not _went_on_from(recipe, identity) or not (told or quality.get("backbone") == identity):
        wrong = f"what was measured on {dataset} is of another backbone than the one that this run started from"
    elif not told and both(subjects, subjects_of(learned_from(earlier), dataset)):
        wrong = f"the backbone that was measured had itself learned from subjects of {dataset}"
    elif not 0 < last <= LAST_PART * measured:
        wrong = f"{last} steps with all subjects after {measured} are more than a last fifth"
    elif [d.get("name") for d in card.get("data", ())] != [d.get("name") for d in earlier.get("data", ())]:
        wrong = "it learned from other data sets before"
    if wrong:
        raise InputError(f"The figures do not hold for this backbone: {wrong}", "measure it on subjects held out")


def _went_on_from(recipe: Mapping[str, Any], identity: str) -> bool:
    return str(recipe.get("start_from", "")).endswith(f" {identity[:12]}")


def both(some: Iterable[str], others: Iterable[str]) -> list[str]:
    """What of ``some`` is among the others, however it is spelled; sorted."""
    known = {spelled(name) for name in others}
    return sorted({name for name in some if spelled(name) in known})
