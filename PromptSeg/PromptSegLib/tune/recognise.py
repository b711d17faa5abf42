"""Whether the drawn slices show what a prompt at hand finds already: then learning begins there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from ..errors import AnnotationError
from ..model.backbone import Backbone
from ..model.blocks import directions
from ..model.losses import dice_of
from ..progress import ShouldStop, check, never
from ..prompts.card import Card
from ..prompts.promptset import Prompt
from ..volumes.preprocess import FULL_WINDOW
from .examples import Drawing, make_examples

SHARE, LEAST, USUAL = 0.85, 0.5, 0.7
"""Drawn slices show what a prompt knows where it finds them with this share of the Dice that it has in other patients,
and not less than the second figure; the third where that is not known. Of twelve structures of two abdomens, prompts
found their own with 0.50 to 0.89 (a gallbladder with 0.06) and no other with more than 0.05."""
SLICES = 3
"""So many drawn slices of a volume are looked at."""


@dataclass(frozen=True)
class Recognised:
    """``prompt`` finds the drawn slices, none of which it was shown, with a Dice of ``dice``."""

    prompt: Prompt
    dice: float


@torch.inference_mode()
def recognise(
    backbone: Backbone, drawings: Sequence[Drawing], known: Iterable[Prompt], should_stop: ShouldStop = never
) -> Recognised | None:
    """The one of ``known`` that finds the structure in the drawn slices of the volumes at hand best, if it finds
    :func:`enough` of it and little else. Only prompts of this backbone that see slices as those are drawn are asked.
    Raises ``Stopped``."""
    own = [_looked_at(one) for one in drawings if not one.remembered and one.annotations.drawn()]
    ways: dict[tuple[float, float], list[Prompt]] = {}
    for prompt in known if own else ():
        if prompt.backbone_id == backbone.id and all(_sees(prompt.card, one) for one in own):
            ways.setdefault(prompt.card.window or FULL_WINDOW, []).append(prompt)
    best: Recognised | None = None
    for window, prompts in ways.items():
        try:
            examples = make_examples(backbone, own, window, variants=0, seed=0, should_stop=should_stop)
        except AnnotationError:  # too little is drawn in these slices to tell; in all of them there may be enough
            return None
        encoded, features = examples.encoded[0], None
        for prompt in prompts:
            check(should_stop)
            tensors = {k: v.to(backbone.device, backbone.dtype) for k, v in prompt.tensors.items()}
            if prompt.card.shared_tokens and backbone.shared is not None:
                if features is None:
                    features = directions(backbone.net.pixel_features(encoded, backbone.shared))
                logits = backbone.net.compare_along(features, tensors, encoded.size)
            else:
                logits = backbone.net.decode(encoded, tensors)
            dice = float(dice_of(logits.float(), examples.target[0], examples.valid[0]))
            if dice >= enough(prompt.card) and (best is None or dice > best.dice):
                best = Recognised(prompt, dice)
    return best


def enough(card: Card) -> float:
    """From which Dice on whole drawn slices on they show what a prompt with this card knows."""
    return USUAL if card.validation_dice is None else max(LEAST, SHARE * card.validation_dice)


def _looked_at(drawing: Drawing) -> Drawing:
    """A few drawn slices, whole: of which structure a part of a slice shows a piece, its surroundings tell."""
    shown = drawing.annotations.drawn()
    chosen = {shown[round(n * (len(shown) - 1) / max(1, SLICES - 1))] for n in range(SLICES)}
    some = {index: drawing.annotations.slices[index] for index in sorted(chosen)}
    return replace(drawing, annotations=replace(drawing.annotations, slices=some), fine=None, corrects=True)


def _sees(card: Card, drawing: Drawing) -> bool:
    return card.plane == drawing.work.plane and abs(card.spacing - drawing.work.spacing) < 1e-3
