"""Runs in a real 3D Slicer, with or without its main window: load the module, segment, draw by script, teach, review,
save and load the scene, reload the module.

    Slicer --testing --additional-module-paths PromptSeg \
        --python-code "import slicer.testing; slicer.testing.runUnitTest(['Testing/Slicer'], 'test_promptseg')"

With ``--no-main-window`` what needs slice views is left out. torch and safetensors have to be installed in Slicer
before (the panel's self-check does that); without them, what needs no computing is tested.
"""

import tempfile
import time
import unittest
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import slicer

COMPUTES = find_spec("torch") is not None and find_spec("safetensors") is not None


def add_ct():
    """A body of soft tissue with a bright organ in it, as a volume node; and the organ's mask (K, J, I)."""
    k, j, i = np.mgrid[:24, :96, :96]
    hu = np.full((24, 96, 96), -1000, np.int16)
    hu[((j - 48) / 40) ** 2 + ((i - 48) / 44) ** 2 < 1] = 20
    organ = ((k - 12) / 9) ** 2 + ((j - 50) / 16) ** 2 + ((i - 40) / 13) ** 2 < 1
    hu[organ] = 140
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    node.SetSpacing(3, 3, 4)
    slicer.util.updateVolumeFromArray(node, hu)
    return node, organ


def settle():
    """What waits for the event loop: combo boxes follow a scene that was read, views get their size."""
    for _ in range(30):
        slicer.app.processEvents()
        time.sleep(0.01)


class PromptSegInSlicer(unittest.TestCase):
    """The module as a user has it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.volume, self.organ = add_ct()
        self.show()

    def tearDown(self):
        self.widget.exit()

    def show(self):
        """The module is shown: without a main window nobody does that for us."""
        self.widget = slicer.util.getModuleWidget("PromptSeg")
        self.panel = self.widget.panel
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("PromptSeg")
        self.widget.enter()
        settle()

    def wait(self, running):
        while running.running:
            running.job.wait(300)

    def draw(self, name, chosen):
        from PromptSegLib.annotations import SliceStatus
        from PromptSegLib.mrml.slices import mark

        self.panel.tabs.setCurrentIndex(1)
        self.panel.teach.name.setText(name)
        self.panel.teach.begin.click()
        node, segment = self.panel.volumes.segmentation, self.panel.teach.segment_id
        mask = np.zeros(self.organ.shape, np.uint8)
        mask[chosen] = self.organ[chosen]
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, self.volume)
        for index in chosen:
            if slicer.app.layoutManager() is None:
                mark(node, segment, self.volume, 0, index, SliceStatus.COMPLETE)
            else:
                self.panel.teach.watch.go_to(0, index)
                self.panel.teach.mark_complete()
        self.panel.teach.refresh()
        return node, segment

    def save_and_load(self):
        """The scene as it comes back from an .mrb; the panel follows by itself."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            settle()
            slicer.util.loadScene(path)
        settle()

    def dice(self, node, segment):
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, self.volume) > 0
        return 2 * np.sum(found & self.organ) / (found.sum() + self.organ.sum())

    def test_structures_are_listed(self):
        names = [entry.structure.name for _item, entry in self.panel.segment.structures._items]
        self.assertIn("liver", names)

    def test_a_loaded_scene_has_what_was_saved(self):
        for hidden in (False, True):
            node, segment = self.draw("test organ", [6, 12, 18])
            self.assertEqual(self.panel.teach._statuses[12].value, "complete")
            name = node.GetName()
            if hidden:
                self.widget.exit()
            self.save_and_load()
            if hidden:
                self.widget.enter()
                settle()
            self.assertEqual(self.panel.volumes.volume.GetName(), "CT")
            self.assertEqual(self.panel.volumes.segmentation.GetName(), name)
            self.assertIs(self.panel.volumes.volumes.currentNode(), self.panel.volumes.volume)
            self.assertIs(self.panel.volumes.segmentations.currentNode(), self.panel.volumes.segmentation)
            self.assertEqual(self.panel.tabs.currentIndex, 1)
            self.assertEqual(self.panel.teach.segment_id, segment)
            self.assertEqual(self.panel.teach._statuses[12].value, "complete")
            self.volume = self.panel.volumes.volume

    def test_a_closed_scene_leaves_no_name_and_no_message(self):
        self.draw("test organ", [6, 12])
        slicer.mrmlScene.Clear()
        settle()
        self.assertEqual(str(self.panel.teach.name.text), "")
        self.assertEqual(self.panel.teach.message.text, "")
        self.assertIsNone(self.panel.volumes.volume)

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

    @unittest.skipUnless(slicer.util.mainWindow() is not None, "strokes need slice views")
    def test_undo_after_the_segment_editor_was_opened(self):
        slicer.util.selectModule("SegmentEditor")
        settle()
        slicer.util.selectModule("PromptSeg")
        node, segment = self.draw("test organ", [6, 12])
        before = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, self.volume).sum()
        self.panel.teach.watch.go_to(0, 9)
        settle()
        slicer.util.clickAndDrag(slicer.app.layoutManager().sliceWidget("Red"), start=(40, 40), end=(60, 60))
        settle()
        after = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, self.volume).sum()
        self.assertGreater(after, before)
        editor = self.panel.teach.editor.editor
        for step, wanted in ((editor.undo, before), (editor.redo, after), (editor.undo, before)):
            step()
            settle()
            self.assertEqual(slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, self.volume).sum(), wanted)

    @unittest.skipUnless(slicer.app.layoutManager() is not None, "slice views are needed")
    def test_side_by_side_has_one_zoom_and_goes_back(self):
        node, _segment = self.draw("test organ", [6, 12])
        views = [slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode() for name in ("Red", "Yellow")]
        before = [tuple(one.GetFieldOfView()) for one in views], slicer.app.layoutManager().layout
        self.panel.tabs.setCurrentIndex(2)
        self.panel.review.side.click()
        settle()
        views[0].SetFieldOfView(120.0, 120.0, 1.0)
        settle()
        wide = [one.GetFieldOfView()[0] / max(1, one.GetDimensions()[0]) for one in views]
        self.assertAlmostEqual(wide[0], wide[1], places=3)
        self.assertEqual([list(node.GetDisplayNode().GetViewNodeIDs())], [[views[0].GetID()]])
        views[0].SetFieldOfView(*before[0][0])
        self.panel.review.side.click()
        settle()
        self.assertEqual(slicer.app.layoutManager().layout, before[1])
        self.assertFalse(node.GetDisplayNode().GetNumberOfViewNodeIDs())

    def test_suggestions_and_names_are_the_segments_own(self):
        from PromptSegLib.desktop.panel.texts import code_of

        self.assertIn("left", code_of("left kidney"))
        self.draw("left kidney", [6, 12, 18])
        self.panel.teach.strip.show_suggested([9])
        self.assertEqual(self.panel.teach.rounds.suggestions(2), [])
        segment = self.panel.teach.drawn.segment
        self.assertEqual(segment.GetName(), "left kidney")
        self.assertFalse(self.panel.teach.rounds.accept.isVisibleTo(self.panel.widget))

    def test_scenes_that_are_added_leave_what_is_there(self):
        """*Add data* over an open scene: both volumes are there, and the panel lives."""
        self.draw("test organ", [6, 12])
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            slicer.util.saveScene(path)
            slicer.util.loadScene(path)
            settle()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), 2)
        self.assertIsNotNone(self.panel.volumes.volume)
        self.assertIs(self.panel.volumes.volumes.currentNode(), self.panel.volumes.volume)
        self.assertEqual(self.panel.teach._statuses[12].value, "complete")

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
            words = {ACCEPTED: "Completed"}
            for _step in write_report(path, tab.rows, 0, self.volume, node, None, words):
                pass
            text = path.read_text(encoding="utf-8")
        self.assertIn("data:image/png;base64,", text)
        self.assertIn("Completed", text)

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
