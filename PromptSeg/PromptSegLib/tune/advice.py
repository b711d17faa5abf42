"""Sentences on what was drawn that needs review. Nothing is refused here: the user may well be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
from scipy import ndimage

from ..annotations import SliceAnnotations, SliceStatus
from ..prompts.card import Card

_ODD_DICE = 0.3
"""A left-out slice below this, while the others are found well, may contradict them."""
_SMALL, _SMALL_SLICES = 0.3, 3.0
"""Where a structure ends it is small: less than this share of its largest drawn area, or less wide than so many slices
are thick. Of the ends that were drawn in 22 abdominal CTs 3 of 4 are, vessels left out nearly all."""
_PART = 0.1
"""A second region of at least this share of the largest is a part of its own, not a slip of the brush."""


class LeftOutScore(Protocol):
    """What is needed of a slice that was left out."""

    @property
    def volume(self) -> int:
        """Which drawing, from 0."""

    @property
    def index(self) -> int:
        """Native slice."""

    @property
    def dice(self) -> float:
        """0..1 or NaN."""


def advice(
    annotations: Sequence[SliceAnnotations], scores: Sequence[LeftOutScore] = (), corrections: bool = False
) -> tuple[str, ...]:
    """Sentences on drawings of one structure, one :class:`SliceAnnotations` a volume, and on their left-out Dice. Where
    they are ``corrections`` (:func:`corrects`), nothing is said of a structure that goes on beyond them."""
    notes: list[str] = []

    def called(number: int, *indices: int) -> str:
        """Slices, with the volume that they are of where there are several."""
        return ", ".join(map(str, indices)) + (f" of volume {number + 1}" if len(annotations) > 1 else "")

    for number, drawn in enumerate(annotations):
        notes += _of_one(drawn, corrections, partial(called, number))
    # The outermost drawn slices are found without contours on both sides: that they are hard says nothing of them.
    ends = {(number, k) for number, drawn in enumerate(annotations) for k in (*drawn.drawn()[:1], *drawn.drawn()[-1:])}
    known = [s for s in scores if s.dice == s.dice and (s.volume, s.index) not in ends]
    if len(known) > 2:
        middle = float(np.median([s.dice for s in known]))
        for s in known:
            if s.dice < _ODD_DICE and s.dice < middle - 0.4:
                notes.append(
                    f"Slice {called(s.volume, s.index)} is not what the other drawn slices let expect (Dice "
                    f"{s.dice:.2f}, the middle of all {middle:.2f}): check whether they contradict each other."
                )
    if sum(len(drawn.drawn()) for drawn in annotations) == 1:
        notes.append("Only one slice shows the structure: how good the result is, cannot be estimated.")
    return tuple(notes)


def parts_of(drawn: SliceAnnotations) -> dict[int, int]:
    """How many separate regions each slice with the structure shows, slips of the brush left out."""
    parts = {}
    for index in drawn.drawn():
        labels, _ = ndimage.label(drawn.slices[index].labelled() == 1, np.ones((3, 3)))
        sizes = np.bincount(labels.ravel())[1:]
        parts[index] = int((sizes >= _PART * sizes.max()).sum())
    return parts


def components_of(annotations: Sequence[SliceAnnotations]) -> str:
    """What to keep of a mask of this structure, see :func:`PromptSegLib.segment.postprocess.clean`: the largest piece
    alone where every drawing shows one piece, in three slices at least."""
    counts = [count for drawn in annotations for count in parts_of(drawn).values()]
    return "largest" if len(counts) >= 3 and max(counts) == 1 else "substantial"


def open_ends(drawn: SliceAnnotations) -> tuple[int, ...]:
    """The outermost drawn slices, none, one or both, beyond which the structure seems to go on: they are not small, the
    volume goes on there, and no slice beyond is marked as without it. With a single drawn slice nothing is known.

    Three or more neighbouring slices with none between them left out are taken as all that there are.
    """
    shown, used = drawn.drawn(), drawn.used()
    if len(shown) < 2 or (len(shown) > 2 and len(shown) == shown[-1] - shown[0] + 1):
        return ()
    mm = list(drawn.grid.spacing[::-1])
    slice_mm, pixel = mm.pop(drawn.axis), mm[0] * mm[1]
    areas = {k: float(np.count_nonzero(drawn.slices[k].labelled() == 1)) * pixel for k in shown}
    min_area = max(_SMALL * max(areas.values()), np.pi / 4 * (_SMALL_SLICES * slice_mm) ** 2)
    last = drawn.grid.shape[drawn.axis] - 1
    ends = ((shown[0], 0, shown[0] == used[0]), (shown[-1], last, shown[-1] == used[-1]))
    return tuple(
        dict.fromkeys(k for k, border, outermost in ends if outermost and k != border and areas[k] >= min_area)
    )


def corrects(start_from: Card | None, drawn: SliceAnnotations) -> bool:
    """Whether slices are corrections of what a prompt with this card finds, and not the drawing of a structure: the
    network knows it, and they end where it goes on."""
    return start_from is not None and start_from.knows and (len(drawn.drawn()) < 2 or bool(open_ends(drawn)))


def _of_one(drawn: SliceAnnotations, corrections: bool, called: Callable[..., str]) -> list[str]:
    """Sentences on one volume, whose slices are ``called`` so."""
    notes = []
    ends = () if corrections else open_ends(drawn)
    if len(ends) == 1:
        notes.append(
            f"The structure seems to go on beyond slice {called(ends[0])}, where the drawing ends: it is not small, and"
            " little is looked for beyond. Draw the first and the last slice that show it, or mark a slice without it"
            " as absent."
        )
    elif ends:
        notes.append(
            f"The structure seems to go on beyond slices {ends[0]} and {called(ends[1])}, where the drawing ends: they"
            " are not small, and little is looked for beyond. Draw the first and the last slice that show it, or mark"
            " a slice without it as absent."
        )
    parts = parts_of(drawn)
    for index in parts:
        mask = drawn.slices[index].labelled() == 1
        at_edge = mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()
        if at_edge and drawn.slices[index].status is SliceStatus.COMPLETE:
            notes.append(
                f"The contour in slice {called(index)} touches the border of the image: the structure may go on."
            )
    if parts and min(parts.values()) == 1 and len(parts) > 1:
        several = [index for index, count in parts.items() if count > 1]
        if several and 2 * len(several) < len(parts):
            listed = called(*several)
            notes.append(
                f"Slice {listed} shows separate parts where the other slices have one: check that it is one structure."
                if len(several) == 1
                else f"Slices {listed} show separate parts where the other slices have one: check that it is one"
                " structure."
            )
    shown = drawn.drawn()
    gone = [i for i, s in drawn.slices.items() if s.status is SliceStatus.ABSENT and shown and shown[0] < i < shown[-1]]
    return notes + [
        f"Slice {called(index)} is marked as without the structure, between slices that show it: it will stay empty."
        for index in sorted(gone)
    ]
