"""Further defects that were seen in a real 3D Slicer: one test for each that a script can show."""

import sys
import time
from itertools import pairwise
from unittest import mock

import numpy as np
import qt
import slicer
from promptseg_case import PromptSegCase, settle


class Untested:
    """``slicer.app`` that does not say that Slicer runs tests: nothing is installed then."""

    def __init__(self, application):
        self._application = application

    def testingEnabled(self):
        return False

    def __getattr__(self, name):
        return getattr(self._application, name)


def timers_of(panel):
    """Every timer of the panel's parts, by where it is."""
    seen, found, left = set(), {}, [("panel", panel)]
    while left:
        name, one = left.pop()
        if isinstance(one, qt.QTimer):
            found[name] = one
        elif id(one) not in seen and type(one).__module__.startswith("PromptSegLib.desktop.panel"):
            seen.add(id(one))
            left += [(f"{name}.{part}", value) for part, value in vars(one).items()]
    return found


class PromptSegDefects(PromptSegCase):
    """What went wrong once."""

    def two(self):
        """A segmentation with two segments: the organ in one, nothing in the other; their ids."""
        from PromptSegLib.mrml.nodes import new_segmentation

        node = new_segmentation(self.volume)
        ids = [node.GetSegmentation().AddEmptySegment(name, name) for name in ("organ", "other")]
        slicer.util.updateSegmentBinaryLabelmapFromArray(self.organ.astype(np.uint8), node, ids[0], self.volume)
        return node, ids

    def test_a_result_is_taken_back_though_another_segment_was_changed(self):
        from PromptSegLib.anatomy.structure import Structure
        from PromptSegLib.mrml.nodes import show
        from PromptSegLib.mrml.undo_snapshot import UndoSnapshot
        from PromptSegLib.worker.payload import Found

        node, (_organ, other) = self.two()
        before = UndoSnapshot(node, made=False)
        spleen = np.ones((4, 8, 8), bool)
        (shown,) = show([Found(Structure("spleen"), spleen, (2, 4, 4), 1.0)], node, self.volume, before=before)
        drawn = np.zeros(self.organ.shape, np.uint8)
        drawn[12, 60:70, 60:70] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, node, other, self.volume)
        self.assertEqual(self.image(node, shown).sum(), spleen.sum())
        self.panel.logic._segmenting._before = before
        self.assertEqual(self.panel.logic.undo_segmenting(), [])
        self.assertIsNone(node.GetSegmentation().GetSegment(shown))
        self.assertEqual(self.image(node, other).sum(), drawn.sum())

    def test_a_slice_that_does_not_differ_deserves_no_look(self):
        from PromptSegLib.mrml.nodes import grid_of
        from PromptSegLib.review.findings import review

        tube = np.zeros(self.organ.shape, bool)
        tube[4:20, 40:60, 40:60] = True
        for row in review({"tube": tube}, grid_of(self.volume)).to_json()["structures"]:
            self.assertEqual([one["why"] for one in row["slices"] if " 0 %" in f" {one['why']}"], [])

    def test_a_remedy_names_what_is_there(self):
        from PromptSegLib.errors import PromptSegError

        job = self.widget.logic.segment(self.volume, ["no such organ"], blocking=False)
        with self.assertRaises(PromptSegError) as caught:
            job.wait()
        there = {one.structure.name for group in self.panel.logic.library.sets() for one in group.prompts}
        self.assertTrue(any(name in caught.exception.remedy for name in there), caught.exception.remedy)

    def test_the_samples_are_those_of_sample_data(self):
        import SampleData

        from PromptSegLib.desktop.sample_data import FIRST, SAMPLES

        self.assertIn(FIRST, SAMPLES)
        listed = [one.sampleName for one in SampleData.SampleDataLogic.sampleDataSourcesByCategory("PromptSeg")]
        self.assertEqual(sorted(listed), sorted(SAMPLES))

    def test_nothing_ticks_after_the_panel_went(self):
        """As when Slicer quits: timers that ran on met destroyed widgets."""
        timers = timers_of(self.panel)
        self.assertGreater(len(timers), 5)
        for one in timers.values():
            one.start(60000)
        self.widget.exit()
        self.widget.cleanup()
        active = [name for name, one in timers.items() if one.active]
        slicer.mrmlScene.Clear()
        settle()
        slicer.util.reloadScriptedModule("PromptSeg")
        self.show()
        self.assertEqual(active, [])
        self.assertIsNone(self.panel.volumes.volume)

    def test_results_come_in_pieces_between_which_the_window_lives(self):
        """The longest pause is told: a figure for this computer."""
        from PromptSegLib.anatomy.structure import Structure
        from PromptSegLib.desktop.result_nodes import show_masks
        from PromptSegLib.mrml.nodes import grid_of, new_segmentation
        from PromptSegLib.worker.payload import put_mask

        jobs, grid = self.panel.logic.service.jobs, grid_of(self.volume)
        masks = [
            put_mask(jobs, f"pieces/{n}.npy", Structure(f"organ {n}"), np.roll(self.organ, n, axis=1), grid)
            for n in range(13)
        ]
        node, pieces, ends = new_segmentation(self.volume), [], []

        def work():
            for _step in show_masks(jobs, masks, node, self.volume, None):
                pieces.append(time.perf_counter())
                yield

        beats = []
        timer = qt.QTimer()
        timer.connect("timeout()", lambda: beats.append(time.perf_counter()))
        timer.start(0)
        self.panel.logic.service.steps(work(), ends.append, ends.append)
        until = time.monotonic() + 300
        while not ends and time.monotonic() < until:
            slicer.app.processEvents()
        timer.stop()
        self.assertEqual(node.GetSegmentation().GetNumberOfSegments(), 13)
        self.assertGreater(len(pieces), 2 * len(masks))
        self.assertGreater(len(beats), 1)
        longest = max(b - a for a, b in pairwise(beats))
        sys.stderr.write(f"13 results of {self.organ.shape} voxels: longest pause {1000 * longest:.0f} ms\n")

    def install(self, agree, old=None):
        """Press what needs torch, with nothing installed; gives what was asked, what was said, and what pip got."""
        from PromptSegLib.desktop import install

        old, there, asked, said, got = dict(old or {}), set(old or ()), [], [], []

        def pip(requirement):
            said.append(str(self.panel._page_message().text))
            got.append(requirement)
            there.add(requirement.partition(">")[0])
            old.clear()

        def ask(text, windowTitle="", **_more):
            asked.append((text, windowTitle))
            return agree

        with (
            mock.patch.object(slicer, "app", Untested(slicer.app)),
            mock.patch.object(install, "missing", lambda: [one for one in install.NEEDED if one not in there]),
            mock.patch.object(install, "outdated", lambda: dict(old)),
            mock.patch.object(install, "pytorch_extension", lambda: None),
            mock.patch.object(install, "has_nvidia_gpu", lambda: False),
            mock.patch.object(install, "_cpu_torch", lambda: pip("torch") or True),
            mock.patch.object(install, "_pip", pip),
            mock.patch.object(slicer.util, "confirmOkCancelDisplay", ask),
        ):
            self.panel._say_where()
            foot = str(self.panel.foot.text)
            done = self.panel.ready()
            return done, asked, said, got, (foot, str(self.panel.foot.text))

    def test_installing_is_asked_once_with_its_size_and_said_while_it_goes_on(self):
        done, asked, said, got, foot = self.install(True)
        self.assertTrue(done)
        ((question, title),) = asked
        for word in ("torch", "safetensors", "0.3 GB", "CPU"):
            self.assertIn(word, question)
        self.assertEqual(title, "Install what PromptSeg needs")
        self.assertTrue(all("Installing" in one and "Nothing was installed" not in one for one in said), said)
        self.assertEqual([one.partition(">")[0] for one in got], ["torch", "safetensors"])
        self.assertIn("To be installed", foot[0])
        self.assertNotIn("To be installed", foot[1])

    def test_who_declines_is_told_what_is_needed(self):
        done, asked, _said, got, foot = self.install(False)
        self.assertFalse(done)
        self.assertEqual((len(asked), got), (1, []))
        message = str(self.panel._page_message().text)
        self.assertIn("Nothing was installed", message)
        self.assertIn("torch and safetensors", message)
        self.assertIn("To be installed", foot[1])

    def test_what_is_too_old_is_brought_up_to_date(self):
        _done, asked, _said, got, _foot = self.install(True, {"torch": "2.2.0"})
        self.assertIn("2.2.0 is installed", asked[0][0])
        self.assertEqual(got[0].partition(">")[0], "torch")

    def test_in_testing_mode_nothing_is_asked(self):
        from PromptSegLib.desktop import install

        if not slicer.app.testingEnabled():
            self.skipTest("this Slicer was started without --testing")
        with mock.patch.object(install, "missing", lambda: ["torch"]):
            self.assertFalse(install.install(lambda text: self.fail(text)))
