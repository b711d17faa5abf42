"""What only a real 3D Slicer shows: strokes and undo, zoom, focus, and what is in sight in its window.

With ``--no-main-window`` all of it is left out.
"""

import unittest

import slicer
from promptseg_case import VIEWS, WINDOW, PromptSegCase, settle


@unittest.skipUnless(WINDOW and VIEWS, "a main window is needed")
class PromptSegOnScreen(PromptSegCase):
    """The module in Slicer's window."""

    def paint_and_undo(self, editor, node, segment, between):
        """What is drawn in an editor is undone there, after a visit to another module."""
        before = self.image(node, segment).sum()
        self.drag(9)
        after = self.image(node, segment).sum()
        self.assertGreater(after, before)
        between()
        for step, wanted in ((editor.undo, before), (editor.redo, after), (editor.undo, before)):
            step()
            settle()
            self.assertEqual(self.image(node, segment).sum(), wanted)

    def visit(self, there, back):
        for name in (there, back):
            slicer.util.selectModule(name)
            settle()

    def test_undo_after_the_segment_editor_was_opened(self):
        self.visit("SegmentEditor", "PromptSeg")
        node, segment = self.draw("test organ", [6, 12])
        self.paint_and_undo(self.panel.teach.editor.editor, node, segment, lambda: None)

    def test_what_was_drawn_here_is_undone_here_after_a_visit_there(self):
        node, segment = self.draw("test organ", [6, 12])
        self.paint_and_undo(
            self.panel.teach.editor.editor, node, segment, lambda: self.visit("SegmentEditor", "PromptSeg")
        )

    def test_what_was_drawn_there_is_undone_there_after_a_visit_here(self):
        node, segment = self.draw("test organ", [6, 12])
        slicer.util.selectModule("SegmentEditor")
        settle()
        its = slicer.util.getModuleWidget("SegmentEditor").editor
        its.setSegmentationNode(node)
        its.setSourceVolumeNode(self.volume)
        its.setCurrentSegmentID(segment)
        its.setActiveEffectByName("Paint")
        self.panel.teach.watch.watch("Red", self.volume)
        self.paint_and_undo(its, node, segment, lambda: self.visit("PromptSeg", "SegmentEditor"))
        its.setActiveEffect(None)
        its.setSegmentationNode(None)
        slicer.util.selectModule("PromptSeg")
        settle()

    def test_what_one_presses_is_in_sight_at_1280_x_800(self):
        window = slicer.util.mainWindow()
        window.showNormal()
        window.resize(1280, 800)
        self.draw("test organ", [6, 12])
        settle()
        teach = self.panel.teach
        for part in (teach.strip, teach.complete, teach.preview, teach.teach, teach.editor.steps):
            self.assertTrue(self.in_sight(part), str(part.accessibleName))
        self.panel.tabs.setCurrentIndex(0)
        settle()
        self.assertTrue(self.in_sight(self.panel.segment.button))

    def test_undo_and_redo_beside_the_view(self):
        node, segment = self.draw("test organ", [6])
        editor = self.panel.teach.editor
        before = self.image(node, segment).sum()
        self.drag(6)
        after = self.image(node, segment).sum()
        self.panel.teach.refresh()
        self.assertTrue(editor._back.enabled)
        for step, wanted in ((editor._back, before), (editor._again, after), (editor._back, before)):
            step.click()
            settle()
            self.assertEqual(self.image(node, segment).sum(), wanted)
            self.panel.teach.refresh()
        for part in slicer.util.findChildren(editor.editor, "UndoRedoGroupBox"):
            self.assertFalse(part.visible)

    def in_sight(self, part):
        """Whether all of a widget is seen without scrolling."""
        seen = part.visibleRegion().boundingRect()
        return int(seen.height()) >= int(part.height) and int(seen.width()) >= int(part.width)

    def test_of_the_brushs_boxes_the_sphere_is_seen(self):
        self.draw("test organ", [6])
        editor = self.panel.teach.editor.editor
        frame = editor.effectByName("Paint").optionsFrame()
        settle()
        boxes = [one for one in slicer.util.findChildren(frame, className="QCheckBox") if one.isVisible()]
        self.assertEqual(len(boxes), 1)
        before = int(boxes[0].checked)
        editor.mrmlSegmentEditorNode().SetAttribute("BrushSphere", str(1 - before))
        settle()
        self.assertEqual(int(boxes[0].checked), 1 - before)
        editor.mrmlSegmentEditorNode().SetAttribute("BrushSphere", str(before))
        editor.setActiveEffectByName("Smoothing")  # the boxes of other effects are left alone
        settle()
        frame = editor.effectByName("Smoothing").optionsFrame()
        self.assertTrue([one for one in slicer.util.findChildren(frame, className="QCheckBox") if one.isVisible()])

    def test_after_enter_the_keys_are_the_slices_own(self):
        self.draw("test organ", [6])
        line = self.panel.teach.naming.line
        line.setFocus()
        line.setText("another name")
        self.panel.teach.naming._entered()
        settle()
        self.assertFalse(line.hasFocus())
        self.assertEqual(self.panel.teach.drawn.name, "another name")

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
