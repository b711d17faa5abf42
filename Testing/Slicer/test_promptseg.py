"""Runs in a real 3D Slicer: load the module, segment, draw by script, teach, review, save and load the scene again.

    Slicer --no-main-window --testing --additional-module-paths PromptSeg \
        --python-code "import slicer.testing; slicer.testing.runUnitTest(['Testing/Slicer'], 'test_promptseg')"

torch and safetensors have to be installed in Slicer before (the panel's self-check does that); without them, what
needs no computing is tested.
"""

import tempfile
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


class PromptSegInSlicer(unittest.TestCase):
    """The module as a user has it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.widget = slicer.util.getModuleWidget("PromptSeg")
        self.panel = self.widget.panel
        self.volume, self.organ = add_ct()
        slicer.util.selectModule("PromptSeg")
        self.panel.refresh()

    def wait(self, running):
        while running.running:
            running.job.wait(300)

    def draw(self, name, chosen):
        self.panel.tabs.setCurrentIndex(1)
        self.panel.teach.name.setText(name)
        self.panel.teach.begin.click()
        node, segment = self.panel.volumes.segmentation, self.panel.teach.segment_id
        mask = np.zeros(self.organ.shape, np.uint8)
        mask[chosen] = self.organ[chosen]
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, self.volume)
        for index in chosen:
            self.panel.teach.watch.go_to(0, index)
            self.panel.teach.mark_complete()
        return node, segment

    def save_and_load(self):
        """The scene as it comes back from an .mrb."""
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path)
        self.panel.refresh()

    def test_structures_are_listed(self):
        names = [entry.structure.name for _item, entry in self.panel.segment.structures._items]
        self.assertIn("liver", names)

    def test_slice_marks_survive_saving(self):
        _node, segment = self.draw("test organ", [6, 12, 18])
        self.assertEqual(self.panel.teach._statuses[12].value, "complete")
        self.save_and_load()
        self.panel.tabs.setCurrentIndex(1)
        self.assertEqual(self.panel.teach.segment_id, segment)
        self.assertEqual(self.panel.teach._statuses[12].value, "complete")

    @unittest.skipUnless(COMPUTES, "torch is not installed in this Slicer")
    def test_segment_teach_and_review(self):
        result = self.widget.logic.segment(self.volume, ["liver", "spleen"])
        self.assertEqual(len(result.segment_ids), 2)
        self.panel.volumes.choose_segmentation(result.node)
        self.draw("test organ", [4, 9, 15, 20])
        self.panel.teach.teach.click()
        self.wait(self.panel.teach.running)
        last = self.panel.logic.rounds[-1]
        found = slicer.util.arrayFromSegmentBinaryLabelmap(result.node, last.result_segment_id, self.volume) > 0
        dice = 2 * np.sum(found & self.organ) / (found.sum() + self.organ.sum())
        self.assertGreater(dice, 0.8)
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
