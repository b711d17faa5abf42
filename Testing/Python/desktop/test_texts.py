"""Words, times and the strip's geometry: no widget needed, but the stand-in's module names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from PromptSegLib.prompts.card import Card


@pytest.fixture
def texts(application):
    from PromptSegLib.desktop.panel import texts

    return texts


@pytest.fixture
def strip(application):
    from PromptSegLib.desktop.panel import strip

    return strip


@pytest.mark.parametrize(
    ("fraction", "seconds", "expected"),
    [
        (0.5, 10, "10 s left"),
        (0.25, 10, "30 s left"),
        (0.1, 60, "9 min left"),
        (0.01, 60, ""),
        (1.0, 9, ""),
        (0.5, 0.2, ""),
    ],
)
def test_remaining_time(texts, fraction, seconds, expected) -> None:
    assert texts.time_left(fraction, seconds) == expected


def test_structures_are_found_by_all_words(texts) -> None:
    from PromptSegLib.anatomy.terminology import find

    assert texts.found_by(find("left kidney"), "KID left")
    assert not texts.found_by(find("left kidney"), "right")
    assert texts.found_by(find("inferior vena cava"), "ivc")


def test_a_taught_structure_shows_what_other_patients_will_get(texts) -> None:
    card = Card(leave_one_slice_out_dice=0.93, network_dice=0.31)
    assert texts.typical_dice(card) == 0.31, "contours help only where they were drawn"
    assert texts.typical_dice(replace(card, network_dice=None)) is None
    assert texts.typical_dice(Card(validation_dice=0.9)) == 0.9
    assert {"Dice of left-out slices: 0.93", "Dice of these without contours: 0.31"} <= {
        *texts.card_lines("x", card.to_json())
    }
    (sentence,) = texts.elsewhere(card)
    assert "with a Dice of only 0.31: in another CT it may find little of it." in sentence
    assert texts.elsewhere(Card(network_dice=0.8)) == texts.elsewhere(Card()) == ()


@pytest.mark.parametrize(("count", "width"), [(34, 360), (1000, 360), (1, 360), (7, 10)])
def test_every_slice_has_a_cell_that_answers_for_it(strip, count, width) -> None:
    boxes = strip.cells(count, width)
    assert len(boxes) == count
    assert boxes[0][0] == 0
    assert boxes[-1][1] >= width
    assert all(right > left for left, right in boxes)
    if count <= width:
        assert [strip.slice_at((a + b) // 2, count, width) for a, b in boxes] == list(range(count))
    assert strip.slice_at(-5, count, width) == 0
    assert strip.slice_at(10**6, count, width) == count - 1


def test_states_look_different_without_colour(application, strip) -> None:
    import qt

    from PromptSegLib.annotations import SliceStatus

    pictures = set()
    for status in SliceStatus:
        made = strip.SliceStrip(lambda index: None)
        made.resize(300, made.minimumHeight)
        made.show_statuses([status] * 10)
        picture = made.grab().toImage().convertToFormat(qt.QImage.Format_Grayscale8)
        pictures.add(bytes(picture.constBits()))
    assert len(pictures) == len(SliceStatus)


def test_quality_in_plain_words(texts) -> None:
    left_out = [{"index": k, "dice": dice} for k, dice in ((9, 0.0), (3, 0.1), (5, 0.85), (7, 0.95))]
    said = texts.outcome(2, left_out, {"dice": 0.88, "low": 0.8, "high": 0.93})
    assert said == "Round 2: expected Dice 0.88 (0.80 to 0.93) between the first and the last drawn slice."
    assert "mean Dice of 0.90" in texts.found_from_others(left_out)
    assert "mean Dice of 0.90" in texts.outcome(1, left_out, None)
    for few in ([], left_out[:2]):
        assert "at least three slices" in texts.outcome(1, few, {"dice": 0.88, "low": 0.8, "high": 0.93})
        assert texts.found_from_others(few) == ""


def test_a_code_says_its_side(texts) -> None:
    assert texts.code_of("left kidney") == "Kidney, left (SCT 64033007)"
    assert texts.code_of("liver") == "Liver (SCT 10200004)"
    assert texts.code_of("something else") == ""
