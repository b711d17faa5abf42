"""The volume at hand: taken up when it is loaded, and what is said of one that cannot be drawn in."""

from __future__ import annotations


def test_a_volume_that_is_loaded_while_the_module_is_open_is_taken_up(module, desk, phantom, pump, slicer) -> None:
    module.enter()
    ct = desk.add_ct(slicer.mrmlScene, phantom.volume)
    pump(lambda: module.panel.volumes.volume is ct)
    assert "12, 2.50 x 2.50 x 4.00 mm" in module.panel.volumes._line.text
    desk.add_ct(slicer.mrmlScene, phantom.volume)
    for _ in range(5):
        slicer.app.processEvents()
    assert module.panel.volumes.volume is ct, "what is chosen stays"


def test_a_bent_volume_is_not_told_to_turn_the_view(panel, loaded, drawing, bend, slicer) -> None:
    transform = bend(slicer.mrmlScene)
    for node in (loaded, panel.volumes.segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    drawing.mark_complete()
    assert "harden the transform" in drawing.message.text
    panel.volumes.refresh()
    assert "bent by a transform" in panel.volumes._line.text
