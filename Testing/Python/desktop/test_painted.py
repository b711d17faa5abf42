"""What the panel paints by itself, the strip and the curve: told apart without colour, and seen in both styles."""

from __future__ import annotations

import numpy as np
import pytest


def test_states_can_be_told_apart_where_slices_are_narrow(drawing) -> None:
    from PromptSegLib.annotations import SliceStatus

    drawing.strip.resize(380, drawing.strip.height)
    pictures = {}
    for status in SliceStatus:
        drawing.strip.show_statuses([SliceStatus.UNTOUCHED] * 75 + [status] + [SliceStatus.UNTOUCHED] * 75)
        drawing.strip.show_current(-1)
        image = drawing.strip.grab().toImage()
        # Lightness alone, in the row of cells.
        pictures[status] = [image.pixelColor(x, y).lightness() for x in range(187, 194) for y in range(14, 30)]
    assert len({tuple(one) for one in pictures.values()}) == 4
    shares = {status: np.mean(np.array(one) < 200) for status, one in pictures.items()}
    assert shares[SliceStatus.COMPLETE] > 0.8
    assert 0.1 < shares[SliceStatus.DRAFT] < 0.7
    assert 0.05 < shares[SliceStatus.ABSENT] < 0.5
    assert shares[SliceStatus.UNTOUCHED] < 0.05


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_what_is_painted_can_be_seen_in_both_styles(drawing, window, is_dark) -> None:
    import qt
    from standin.application import dark

    dark(window, is_dark)
    window.processEvents()
    try:
        strip, curve = drawing.strip, drawing.curve
        strip.resize(380, strip.height)
        strip.show_suggested([2, 9])
        ground = strip.palette.color(qt.QPalette.Window).lightness()
        base = strip.palette.color(qt.QPalette.Base).lightness()
        assert (ground < 100) == (base < 100) == is_dark
        image = strip.grab().toImage()
        light = np.array([[image.pixelColor(x, y).lightness() for x in range(380)] for y in range(strip.height)])
        width = 380 // len(drawing._statuses)
        for index in (2, 9):  # a mark above each suggested slice
            above = light[:11, index * width : (index + 1) * width]
            assert np.abs(above.astype(int) - ground).max() > 60, index
        assert np.abs(light[20, 1:-1] - base).max() > 60  # lines between cells
        curve.add({"loss": 1.0, "fused_dice": 0.5})
        curve.resize(380, curve.height)
        text = curve.grab().toImage()
        seen = [
            text.pixelColor(x, y).lightness() for x in range(380) for y in range(curve.height - 22, curve.height - 4)
        ]
        assert np.abs(np.array(seen) - base).max() > 120
        curve.end()
        ended = curve.grab().toImage()  # and then no number passes for the result
        assert ended != text
        curve.clear()
        curve.add({"loss": 1.0, "fused_dice": 0.5})
        assert curve.grab().toImage() == text
    finally:
        dark(window, False)
