"""Scenes in a real 3D Slicer: loaded, added, closed, and opened before the module ever was."""

import tempfile
from pathlib import Path

import slicer
from promptseg_case import PromptSegCase, settle


class PromptSegScenes(PromptSegCase):
    """What was saved is back, and what was closed is gone."""

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

    def test_a_scene_from_before_the_module_was_opened_is_all_there(self):
        """Nobody of ours hears of the scene: a panel that is made afterwards finds it."""
        node, segment = self.draw("test organ", [6, 12, 18])
        name = node.GetName()
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "scene.mrb")
            slicer.util.saveScene(path)
            self.widget.exit()
            self.widget.cleanup()  # as if it had never been there
            slicer.mrmlScene.Clear()
            settle()
            slicer.util.loadScene(path)
            settle()
        slicer.util.reloadScriptedModule("PromptSeg")
        self.show()
        self.volume = self.panel.volumes.volume
        self.assertEqual(self.volume.GetName(), "CT")
        self.assertEqual(self.panel.volumes.segmentation.GetName(), name)
        self.assertIs(self.panel.volumes.segmentations.currentNode(), self.panel.volumes.segmentation)
        self.assertEqual(self.panel.tabs.currentIndex, 1)
        self.assertEqual(self.panel.teach.segment_id, segment)
        self.assertEqual(self.panel.teach._statuses[12].value, "complete")

    def test_a_scene_in_the_place_of_another_shows_its_own(self):
        """*Close and load*, several times: nothing of the scene before is left."""
        for name, chosen in (("first organ", [6, 12]), ("second organ", [9, 15, 18])):
            self.draw(name, chosen)
            self.save_and_load()
            self.volume = self.panel.volumes.volume
            self.assertEqual(self.panel.teach.drawn.name, name)
            complete = [n for n, one in enumerate(self.panel.teach._statuses) if one.value == "complete"]
            self.assertEqual(complete, chosen)
            slicer.mrmlScene.Clear()
            settle()
            self.assertIsNone(self.panel.volumes.volume)
            self.volume, self.organ = self.add_ct()
            settle()
