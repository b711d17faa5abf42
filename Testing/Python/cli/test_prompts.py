"""``promptseg prompts show``: where prompts come from, how good they were, and what they may be used for."""

from __future__ import annotations

from dataclasses import replace

from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptset import PromptSet

from .conftest import Promptseg

LICENCE = "research use: see the licences of the data that it was made from"
CARDS = {
    "liver": {"volumes": 16, "slices": 832, "data": ["btcv"], "validation_dice": 0.84, "licence": LICENCE},
    "spleen": {"volumes": 15, "slices": 427, "data": ["btcv"], "validation_dice": 0.69, "licence": LICENCE},
}


def test_the_card_says_data_split_dice_and_licence(promptseg: Promptseg, place, shipped) -> None:
    source = PromptSet.read(shipped / "PromptSets" / "abdomen-ct.promptset")
    prompts = [replace(p, card=Card.from_json(CARDS[n])) for n, p in source.items()]
    card = {"backbone": "punet-ct", "data_licence": "CC BY 4.0", "training": [f"t{n}" for n in range(20)]}
    PromptSet.of("mine", prompts, card | {"validation": ["v1", "v2"]}).write(place / "mine.promptset")
    text = promptseg("prompts", "show", "mine.promptset").out
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "mine: 2 prompts" in lines
    assert f"backbone punet-ct ({source['liver'].backbone_id[:12]})" in lines
    assert "licence of the data CC BY 4.0" in lines
    assert any(line.startswith("learned from t0, t1,") and line.endswith("t11 and 8 more") for line in lines)
    assert any(line.startswith("mean Dice 0.765 of 2 structures") and line.endswith("v1, v2") for line in lines)
    assert "data btcv" in lines
    assert lines.count(f"licence {LICENCE}") == 1  # said once, not for each structure
    assert "structure code volumes slices Dice, held-out subjects" in lines
    assert "liver Liver (SCT 10200004) 16 832 0.840" in lines
    assert promptseg("prompts", "show", "mine.promptset", "--json").result["card"]["validation"] == ["v1", "v2"]


def test_a_side_is_part_of_the_code(promptseg: Promptseg) -> None:
    assert "Kidney, Left (SCT 64033007)" in promptseg("prompts", "show", "kidney.promptset").out
