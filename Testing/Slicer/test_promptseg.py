"""Runs in a real 3D Slicer: load the module, segment, draw by script, teach, review, reload the module.

    Slicer --testing --additional-module-paths PromptSeg \
        --python-code "import slicer.testing; slicer.testing.runUnitTest(['Testing/Slicer'], 'test_promptseg')"

and the same with ``test_scenes``, ``test_defects`` and ``test_on_screen``. With ``--no-main-window`` what needs slice
views is left out. torch and safetensors have to be installed in Slicer before (the panel's self-check does that);
without them, what needs no computing is tested.
"""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from promptseg_case import COMPUTES, PromptSegCase, settle


class PromptSegInSlicer(PromptSegCase):
    """The way from a CT to a reviewed result."""

    def test_structures_are_listed(self):
        names = [entry.structure.name for _item, entry in self.panel.segment.structures._items]
        self.assertIn("liver", names)

    def test_a_reload_gives_a_living_panel(self):
        slicer.util.reloadScriptedModule("PromptSeg")
        self.widget = slicer.util.getModuleWidget("PromptSeg")
        self.panel = self.widget.panel
        settle()
        self.assertIs(self.panel.volumes.volume, self.volume)
        self.assertTrue(self.panel.segment.structures._items)
        self.show()
        self.draw("test organ", [6, 12])
        self.assertTrue(self.panel.teach.segment_id)

    def test_marks_and_drafts_belong_to_an_axis(self):
        from PromptSegLib.mrml.slices import statuses_of

        node, segment = self.draw("test organ", [6, 12, 18])
        self.assertEqual({one.value for one in statuses_of(node, segment, self.volume, 2)}, {"untouched"})

    def test_the_editor_has_a_node_of_its_own(self):
        self.draw("test organ", [6])
        own = self.panel.teach.editor.editor.mrmlSegmentEditorNode()
        its = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
        self.assertIsNot(own, its)
        self.assertEqual(own.GetActiveEffectName(), "Paint")
        self.widget.exit()
        self.assertFalse(own.GetActiveEffectName())

    def test_suggestions_and_names_are_the_segments_own(self):
        from PromptSegLib.desktop.panel.texts import code_of

        self.assertIn("left", code_of("left kidney"))
        self.draw("left kidney", [6, 12, 18])
        self.panel.teach.strip.show_suggested([9])
        self.assertEqual(self.panel.teach.rounds.suggestions(2), [])
        segment = self.panel.teach.drawn.segment
        self.assertEqual(segment.GetName(), "left kidney")
        self.assertFalse(self.panel.teach.rounds.accept.isVisibleTo(self.panel.widget))

    def test_the_panel_asks_for_one_width(self):
        widths = set()
        self.draw("test organ", [6, 12])
        for number in (0, 1, 2):
            self.panel.tabs.setCurrentIndex(number)
            for text in ("", "a long message about what was found and what was not " * 5):
                self.panel._page_message().tell(text)
                settle()
                widths.add(int(self.widget.parent.minimumSizeHint.width()))
        self.assertEqual(len(widths), 1, widths)

    def test_a_removed_volume_ends_its_job(self):
        job = self.widget.logic.segment(self.volume, ["liver"], blocking=False)
        slicer.mrmlScene.RemoveNode(self.volume)
        settle()
        self.assertFalse(job.running)

    def test_a_review_is_gone_through_by_keys(self):
        from PromptSegLib.desktop.reporting import write_report
        from PromptSegLib.mrml.decisions import ACCEPTED, decision_of
        from PromptSegLib.mrml.nodes import grid_of, new_segmentation
        from PromptSegLib.review.findings import review

        node, other = new_segmentation(self.volume), new_segmentation(self.volume, "expert")
        mask = self.organ.copy()
        mask[12] = np.roll(mask[12], 9, axis=1)
        for one, array in ((node, mask), (other, self.organ)):
            segment = one.GetSegmentation().AddEmptySegment("organ", "organ")
            slicer.util.updateSegmentBinaryLabelmapFromArray(array.astype(np.uint8), one, segment, self.volume)
        self.panel.volumes.choose_segmentation(node)
        (row,) = review({"organ": mask}, grid_of(self.volume)).to_json()["structures"]
        self.panel.state.keep_review([{**row, "segment_id": "organ"}], 0)
        self.panel.tabs.setCurrentIndex(2)
        tab = self.panel.review
        while tab.slices.drawing:
            slicer.app.processEvents()
        settle()
        self.assertEqual(tab.gallery.places[0].index, 12)
        picture = tab.gallery.list.item(0).icon().pixmap(96, 96).toImage()
        colours = {picture.pixelColor(x, y).name() for x in range(0, 96, 3) for y in range(0, 96, 3)}
        self.assertGreater(len(colours), 2)  # CT and contour
        tab.gallery.step(1)
        self.assertEqual(tab.gallery.current.index, 12)
        if slicer.app.layoutManager() is not None:
            self.assertEqual(self.panel.teach.watch.place, (0, 12))
        for _place in tab.gallery.places:
            tab.decide(ACCEPTED)
        self.assertEqual(decision_of(node.GetSegmentation().GetSegment("organ")), ACCEPTED)
        tab.reference.setCurrentNode(other)
        tab.overlay.refresh()
        tab.overlay.show("reference")
        while tab.overlay.overlays.busy:
            slicer.app.processEvents()
        self.assertEqual(tab.overlay.overlays.which, "reference")
        legends = slicer.mrmlScene.GetNodesByClass("vtkMRMLColorLegendDisplayNode")
        legends.UnRegister(None)
        self.assertEqual(legends.GetNumberOfItems(), 1)
        tab.overlay.end()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "review.html"
            for _step in write_report(path, tab.rows, 0, self.volume, node, None, "Review of a scripted test"):
                pass
            text = path.read_text(encoding="utf-8")
        self.assertIn("data:image/png;base64,", text)
        self.assertIn("Review of a scripted test", text)

    @unittest.skipUnless(COMPUTES, "torch is not installed in this Slicer")
    def test_segment_teach_accept_and_review(self):
        result = self.widget.logic.segment(self.volume, ["liver", "spleen"])
        self.assertEqual(len(result.segment_ids), 2)
        self.assertTrue(self.panel.logic.context.device)
        self.panel.volumes.choose_segmentation(result.node)
        self.draw("test organ", [4, 9, 15, 20])
        self.panel.teach.teach.click()
        self.wait(self.panel.teach.running)
        last = self.panel.logic.rounds[-1]
        dice = self.dice(result.node, last.result_segment_id)
        self.assertGreater(dice, 0.8)
        text = self.panel.logic.accept(last)
        try:
            again = self.widget.logic.segment(self.volume, [text], result.node)
        finally:
            self.panel.logic.library.delete(text)
        self.assertEqual(again.segment_ids, (last.result_segment_id,))
        self.assertEqual(self.dice(result.node, last.result_segment_id), dice)  # in this CT, what was taught
        self.panel.tabs.setCurrentIndex(2)
        self.panel.review.check.click()
        self.wait(self.panel.review.running)
        self.assertEqual(len(self.panel.review.rows), 3)
        self.save_and_load()
        self.assertEqual(len(self.panel.review.rows), 3)
        self.panel.tabs.setCurrentIndex(1)
        self.assertEqual(self.panel.logic.rounds[-1].leave_one_slice_out_dice, last.leave_one_slice_out_dice)


if __name__ == "__main__":
    unittest.main()
