"""What the tests for a real 3D Slicer share: a CT with an organ, and the module as a user has it."""

import tempfile
import time
import unittest
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import slicer

COMPUTES = find_spec("torch") is not None and find_spec("safetensors") is not None
WINDOW = slicer.util.mainWindow() is not None
VIEWS = slicer.app.layoutManager() is not None


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


class PromptSegCase(unittest.TestCase):
    """The module as a user has it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.volume, self.organ = self.add_ct()
        self.show()

    add_ct = staticmethod(add_ct)

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
            running.job.wait()

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
        found = self.image(node, segment)
        return 2 * np.sum(found & self.organ) / (found.sum() + self.organ.sum())

    def image(self, node, segment):
        """A segment's voxels (K, J, I)."""
        return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment, self.volume) > 0

    def drag(self, index):
        """Paint across the middle of an axial slice, as with the mouse."""
        widget = slicer.app.layoutManager().sliceWidget("Red")
        slicer.util.resetSliceViews()
        self.panel.teach.watch.go_to(0, index)
        settle()
        width, height = widget.mrmlSliceNode().GetDimensions()[:2]
        middle = width // 2, height // 2
        slicer.util.clickAndDrag(widget, start=middle, end=(middle[0] + 20, middle[1]), steps=5)
        settle()
