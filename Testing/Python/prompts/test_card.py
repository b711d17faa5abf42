"""A prompt's card: bounds, what files say of it, and what it lets expect."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from PromptSegLib.errors import PromptError
from PromptSegLib.prompts.card import _BOUNDS, CARRIES, Card
from PromptSegLib.prompts.library import shipped
from PromptSegLib.prompts.promptfile import read_header
from PromptSegLib.segment.postprocess import _SHARES


def test_every_field_has_bounds() -> None:
    assert list(_BOUNDS) == [f.name for f in fields(Card)]
    for component in _SHARES:
        assert Card(components=component).components == component


def test_a_card_of_nothing_is_that_of_older_files() -> None:
    assert Card.from_json({}) == Card()
    stated = {"plane": "axial", "spacing": 2.0, "components": "substantial"}
    assert Card().to_json() == {**stated, "shared_pass": False, "shared_tokens": False, "corrects": False}


def test_a_field_that_earlier_versions_called_otherwise_is_read() -> None:
    card = Card.from_json({"outline_weight": 40.0})
    assert card == Card(contour_weight=40.0)
    assert "outline_weight" not in card.to_json()
    with pytest.raises(PromptError, match="contour_weight"):
        Card.from_json({"outline_weight": "a"})


def test_its_json_is_the_card_again() -> None:
    card = Card("sagittal", 1.5, (-10.5, 20.0), "all", True, True, 40.0, 3, 12, 2.5, 20, 2, 7, 0.9, 0.4, 0.8,
                ("a", "b"), "2027-01-01", "Ä", "CC0", "two\nlines", (), {"later": [1]}, True, 0.7)  # fmt: skip
    assert Card.from_json(card.to_json()) == card
    assert Card.from_json({**card.to_json(), "taught_on": ["ab"]}).to_json() == card.to_json()
    assert Card.from_json({"taught_on": ["", "ab"]}).taught_on == ("ab",)  # what names no scan would not be kept


@pytest.mark.parametrize(("found", "expected"), [(CARRIES, True), (1, True), (0.2, False), (0, False), (None, None)])
def test_whether_other_patients_gain_is_told_by_what_the_network_found_alone(found, expected) -> None:
    assert Card(network_dice=found, leave_one_slice_out_dice=0.95).carries is expected


def test_a_value_is_named_with_what_is_allowed() -> None:
    with pytest.raises(PromptError, match=r"A prompt's spacing is 0\.02, not a number from 0\.5 to 10 mm; "):
        replace(Card(), spacing=0.02)
    with pytest.raises(PromptError, match=r"plane is 'foo', not one of axial, coronal, sagittal; "):
        Card(plane="foo")


def test_another_plane_is_said() -> None:
    assert Card().other_plane("axial", "liver") == ""
    assert "liver was learned in axial slices, and these were drawn in coronal ones" in Card().other_plane(
        "coronal", "liver"
    )


def test_what_ships_can_be_used() -> None:
    for path in shipped():
        for entry in read_header(path).entries:
            assert entry.card.plane == "axial"
            assert not entry.card.extra
