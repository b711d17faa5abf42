"""Words and small decisions of the panel that need no widget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ...anatomy.structure import Structure
from ...anatomy.terminology import find
from ...errors import PromptSegError
from ...mrml import nodes
from ...mrml import slice_views as views
from ...prompts.card import Card
from ...volumes.plausible import warnings_of
from ..catalogue import MINE, SetEntry
from ..labelled_teaching import SetTaught
from ..results import TeachResult
from ..runs import Run
from ..sentences import spoken, told
from ..structure_names import name_of

MIN_DRAWN = 3
"""With fewer drawn slices nothing is said of how good a round is: the estimate was never checked there."""
MAX_NAMED = 8
"""Held-out volumes that a message has room for."""
_HUGE = 400_000_000
_THICK = 5.0
_SAMPLES = 40_000


def describe(volume_node: Any) -> tuple[str, list[str]]:
    """(a line that says what a volume is, warnings in words); the warnings alone where it cannot be used."""
    try:
        volume = nodes.volume_of(volume_node)
    except PromptSegError as error:
        return "", [told(error)]
    i, j, k = volume.grid.size
    sx, sy, sz = volume.grid.spacing
    step = max(1, volume.voxels.size // _SAMPLES)
    some = volume.voxels.reshape(-1)[::step]
    low, high = float(some.min()), float(some.max())
    line = _("{i} x {j} x {k}, {x:.2f} x {y:.2f} x {z:.2f} mm, {low:.0f} to {high:.0f} HU").format(
        i=i, j=j, k=k, x=sx, y=sy, z=sz, low=low, high=high
    )
    warnings = [spoken(one) for one in warnings_of(volume)]
    if volume.voxels.size > _HUGE:
        warnings.append(_("This volume is very large: crop it to what you need (module Crop Volume)."))
    if max(sx, sy, sz) > _THICK:
        warnings.append(_("Slices are more than 5 mm apart: small structures may be missed."))
    try:
        views.to_world(volume_node)
    except PromptSegError as error:  # it can be segmented, but not drawn in
        warnings.append(told(error))
    return line, warnings


def time_left(fraction: float, seconds: float) -> str:
    """How long it will take still, as people say it; empty while nothing can be said."""
    if not 0.02 < fraction < 1 or seconds < 1:
        return ""
    left = seconds * (1 - fraction) / fraction
    if left < 60:
        return _("{n} s left").format(n=max(1, 5 * math.ceil(left / 5) if left > 10 else math.ceil(left)))
    return _("{n} min left").format(n=math.ceil(left / 60))


def segment_button(count: int) -> str:
    """What the button says for so many ticked structures."""
    if not count:
        return _("Tick what to segment")
    return _("Segment 1 structure") if count == 1 else _("Segment {n} structures").format(n=count)


def segmented(count: int, seconds: float) -> str:
    """What was done, and in what time."""
    if count == 1:
        return _("1 structure segmented in {s:.0f} s.").format(s=seconds)
    return _("{n} structures segmented in {s:.0f} s.").format(n=count, s=seconds)


def set_title(one: SetEntry) -> str:
    """What a prompt set is called in the list: the ones that ship by what they are for."""
    titles = {
        "abdomen-ct": _("Abdomen CT"), "head-neck-ct": _("Head and neck CT"), "thorax-ct": _("Chest CT"),
        MINE: _("My structures"),
    }  # fmt: skip
    return titles.get(one.name, one.name) if one.shipped or one.name == MINE else one.name


def found_by(structure: Structure, search: str) -> bool:
    """Whether a structure answers to all words of a search, by its name or a synonym."""
    words = search.casefold().split()
    names = " ".join((structure.name, name_of(structure.name), *structure.synonyms)).casefold()
    return all(word in names for word in words)


def typical_dice(card: Card) -> float | None:
    """The Dice that a prompt's card lets expect in another CT: of its validation, or that of the known prompt that it
    is, or, where it was taught, what the network found of left-out slices without the contours that are only known
    there."""
    told = (card.validation_dice, card.begun_dice, card.network_dice)
    return next((dice for dice in told if dice is not None), None)


def card_lines(name: str, card: Mapping[str, Any]) -> list[str]:
    """What is worth reading of a card's JSON."""
    titles = {
        "plane": _("plane"),
        "author": _("author"), "licence": _("licence"), "date": _("date"), "note": _("note"),
        "data": _("data"), "volumes": _("volumes"), "slices": _("slices drawn"),
        "leave_one_slice_out_dice": _("Dice of left-out slices"), "network_dice": _("Dice of these without contours"),
        "validation_dice": _("Dice on validation subjects"), "begun_dice": _("Dice of the known prompt that it is"),
    }  # fmt: skip
    lines = [name]
    for key, title in titles.items():
        value = card.get(key)
        if isinstance(value, dict):
            continue
        if key == "plane":
            value = spoken(str(value or ""))
        if isinstance(value, list):
            value = ", ".join(str(one.get("name", "")) if isinstance(one, dict) else str(one) for one in value[:6])
        if value not in (None, ""):
            lines.append(f"{title}: {value:.2f}" if isinstance(value, float) else f"{title}: {value}")
    return lines


def subject_lines(card: Card) -> list[str]:
    """What a prompt that was learned from whole volumes says of them; a stranger's card may say anything."""
    count, dice = card.extra.get("subjects"), card.extra.get("dice_by_subject")
    if not isinstance(count, Mapping) or not all(isinstance(count.get(one), int) for one in ("training", "held_out")):
        return []
    lines = [_("whole volumes: {training} learned from, {held_out} held out").format(**count)]
    values = [float(one) for one in dice if isinstance(one, int | float)] if isinstance(dice, list) else []
    if values:
        lines.append(_("Dice of each held out: {dice}").format(dice=", ".join(f"{one:.2f}" for one in values[:20])))
    return lines


def unfinished(run: Run) -> str:
    """A run on labelled volumes that can be gone on with."""
    if run.dice is None:
        return _("{name}: stopped before its end.").format(name=name_of(run.structure.name))
    text = _("{name}: stopped at step {n}, Dice {dice:.2f}.")
    return text.format(name=name_of(run.structure.name), n=run.steps, dice=run.dice)


def learned_from_volumes(result: SetTaught) -> str:
    """What came of a run on labelled volumes."""
    values = list(result.dice.values())
    name = name_of(result.structure.name)
    if values:
        text = _("{name} is learned: Dice {dice:.2f} in the volumes that were held out ({each}).")
        each = ", ".join(f"{one} {value:.2f}" for one, value in list(result.dice.items())[:MAX_NAMED])
        each += ", ..." if len(values) > MAX_NAMED else ""
        said = text.format(name=name, dice=sum(values) / len(values), each=each)
    else:
        said = _("{name} is learned.").format(name=name)
    said += " " + _("It lies in My structures, ticked in the tab Segment.")
    if not result.complete:
        said += " " + _("That is the best so far: Go on learns further.")
    return " ".join((said, *map(spoken, result.notes)))


def reference_lines(count: int) -> list[str]:
    """In how many open reference CTs a prompt of another computer says where its structure lies, if in any."""
    return [_("open CTs that show where it lies: {n}").format(n=count)] if count else []


def remembered_lines(memory: Path | None) -> list[str]:
    """What is kept of patients beside a prompt, if anything is."""
    try:
        size = 0 if memory is None else memory.stat().st_size
    except OSError:
        return []
    text = _("remembers on this computer the patients it was taught in: {mb:.1f} MB")
    return [text.format(mb=size / 1e6)] if memory is not None else []


def carried(notes: Sequence[str], expected: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """What is worth saying of structures that were taught in other patients."""
    text = _("Expected Dice of {name}: {dice:.2f} ({low:.2f} to {high:.2f}).")
    found = [text.format(name=name_of(n), dice=v[0], low=v[1], high=v[2]) for n, v in expected.items()]
    return (*found, *map(spoken, notes))


def outcome(number: int, left_out: Sequence[Mapping[str, Any]], estimate: Mapping[str, float] | None) -> str:
    """How good a round is likely to be, in plain words. ``left_out`` are the drawn slices (index, dice), each found
    without it."""
    if len(left_out) < MIN_DRAWN or not (estimate or _inner(left_out)):
        return _("Round {n}: draw at least three slices to learn how good it is.").format(n=number)
    if not estimate:
        return _("Round {n}. {found}").format(n=number, found=found_from_others(left_out))
    text = _(
        "Round {n}: expected Dice {dice:.2f} ({low:.2f} to {high:.2f}) between the first and the last drawn slice."
    )
    return text.format(n=number, **{key: estimate[key] for key in ("dice", "low", "high")})


def found_from_others(left_out: Sequence[Mapping[str, Any]]) -> str:
    """How well the drawn slices were found from each other; empty where nothing tells."""
    known = _inner(left_out) if len(left_out) >= MIN_DRAWN else []
    if not known:
        return ""
    text = _(
        "The drawn slices between the first and the last were found from the others with a mean Dice of {dice:.2f}."
    )
    return text.format(dice=sum(known) / len(known))


def _inner(left_out: Sequence[Mapping[str, Any]]) -> list[float]:
    """The Dice of the inner drawn slices: the first and the last have no contours on both sides, and say little about
    the slices between."""
    inner = sorted(left_out, key=lambda one: int(one["index"]))[1:-1]
    return [float(one["dice"]) for one in inner if one["dice"] is not None and math.isfinite(one["dice"])]


def elsewhere(card: Card) -> tuple[str, ...]:
    """What to expect of a taught structure in other CTs, where it deserves a word."""
    if card.carries is not False:
        return ()
    text = _(
        "Without your contours the network found left-out slices with a Dice of only {dice:.2f}: in another CT it may"
        " find little of it. Draw a few slices there, too, and teach it there."
    )
    return (text.format(dice=card.network_dice),)


def how_to_teach() -> tuple[str, ...]:
    """What to do, before anything is drawn."""
    return (
        _("1. Type the name of a structure, and press Draw."),
        _("2. Draw it in three to five slices, the first and the last among them. In each, press Complete."),
        _("3. Press Absent in a slice without it, then Teach."),
        _("4. Correct a slice where the result is wrong, and teach again. Accept keeps it for other patients."),
    )


def with_key(text: str, key: str) -> str:
    """A tip that names the key."""
    return _("{text} (key {key})").format(text=text, key=key)


def code_of(name: str) -> str:
    """The terminology code of a name, as text; empty for one that is not known."""
    known = find(name)
    code = known.code if known is not None else None
    if known is None or code is None:
        return ""
    side = f", {known.modifier.meaning.lower()}" if known.modifier is not None else ""
    return f"{code.meaning}{side} ({code.scheme} {code.value})"


def stopped(result: TeachResult) -> list[str]:
    """That a round ended before its time, if it did."""
    text = _("Stopped; the best so far is shown, that of step {n}.")
    return [text.format(n=result.outcome.steps)] if result.stopped else []


def taught_in(name: str, segmentation: str) -> str:
    """What came of a round, where something else is looked at now."""
    text = _("{name} is taught. The result lies in {segmentation}.")
    return text.format(name=name_of(name), segmentation=segmentation)
