"""The module PromptSeg of 3D Slicer: its description, widget, logic and tests. The work is done in PromptSegLib."""

import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class PromptSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        loadTranslations()
        parent.title = _("PromptSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "SegmentEditor", "Terminologies"]
        parent.contributors = ["The PromptSeg authors"]
        parent.helpText = _(
            "Segment CT with a promptable network, and teach it a new structure from a few drawn slices. Everything is "
            "computed on this computer. Research software: not for diagnosis or treatment."
        ) + self.getDefaultModuleDocumentationLink("https://github.com/PromptSeg/SlicerPromptSeg")
        parent.acknowledgementText = _(
            "The network follows Fischer, Bartler and Yang, Prompt Tuning for Parameter-efficient Medical Image "
            "Segmentation (arXiv 2211.09233)."
        )
        slicer.app.connect("startupCompleted()", registerSamples)


def loadTranslations():
    """Speak the language that 3D Slicer is set to, where a translation came with the module."""
    folder = Path(__file__).parent / "Resources" / "Translations"
    if folder.is_dir() and hasattr(slicer.app, "loadTranslations"):
        slicer.app.loadTranslations(str(folder))


def registerSamples():
    """List volumes to try PromptSeg with in the module Sample Data."""
    from PromptSegLib.desktop.sample_data import register

    register(str(Path(__file__).parent / "Resources" / "Icons" / "PromptSeg.png"))


class PromptSegWidget(ScriptedLoadableModuleWidget):
    """Hands everything to the panel."""

    def setup(self):
        """Make the panel; needs neither torch nor a network nor a main window."""
        ScriptedLoadableModuleWidget.setup(self)
        from PromptSegLib.desktop.panel.panel import Panel

        self.logic = PromptSegLogic()
        self.panel = Panel(self.logic.core, self.logic.getParameterNode)
        self.layout.addWidget(self.panel.widget)
        self.panel.set_up()
        if getattr(self.parent, "isEntered", False):  # a reload: the module is shown, and nobody says so
            self.panel.enter()

    def enter(self):
        """The module is opened."""
        self.panel.enter()

    def exit(self):
        """Another module is opened."""
        self.panel.exit()

    def cleanup(self):
        """The application closes, or the module is reloaded: no process and no observer is left behind."""
        self.panel.cleanup()
        self.logic.close()

    def onReload(self):
        """The library is imported anew by the new widget."""
        for name in [one for one in sys.modules if one.partition(".")[0] == "PromptSegLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class PromptSegLogic(ScriptedLoadableModuleLogic):
    """For scripts.

    >>> logic = slicer.modules.promptseg.widgetRepresentation().self().logic  # or PromptSegLogic()
    >>> result = logic.segment(volumeNode, ["liver", "spleen"])
    >>> result.node.GetSegmentation().GetNumberOfSegments()
    2
    """

    def __init__(self, **settings):
        ScriptedLoadableModuleLogic.__init__(self)
        self._settings, self._core = settings, None

    @property
    def core(self):
        """:class:`PromptSegLib.desktop.logic.Logic`, made when it is first needed."""
        if self._core is None:
            from PromptSegLib.desktop.core import Core

            self._core = Core(**self._settings)
        return self._core.logic

    def segment(self, volumeNode, structures, segmentationNode=None, blocking=True, **listeners):
        """Segment a CT. ``structures`` are names or texts such as "abdomen-ct:liver" or a .promptset file.

        Gives a SegmentResult (node, segment_ids, ...); with ``blocking=False`` a Job at once, which calls
        ``on_progress``, ``on_done``, ``on_error`` and ``on_stopped``. Raises PromptSegError with a remedy.
        """
        job = self.core.segment(volumeNode, structures, segmentationNode, **listeners)
        return job.wait() if blocking else job

    def segmentFrames(self, volumeNode, structures, blocking=True, **listeners):
        """Segment every frame of the sequence that a volume node shows; the result's node follows its browser."""
        from PromptSegLib.desktop.sequence import segment_frames

        job = segment_frames(self.core, volumeNode, structures, **listeners)
        return job.wait() if blocking else job

    def teach(self, volumeNode, segmentationNode, segmentID, name, axis=0, slices=None, blocking=True, **listeners):
        """Learn the structure ``name`` from what is drawn in a segment along ``axis`` (0 = K, 1 = J, 2 = I).

        ``slices`` are marked as complete before: there, all that is not drawn is not the structure. Gives a
        TeachResult, or a Job as :meth:`segment` does; ``self.core.accept(result)`` keeps what was learned.
        """
        from PromptSegLib.annotations import SliceStatus
        from PromptSegLib.mrml.slices import mark

        for index in slices or ():
            mark(segmentationNode, segmentID, volumeNode, axis, int(index), SliceStatus.COMPLETE)
        job = self.core.teach(volumeNode, segmentationNode, segmentID, name, axis=axis, **listeners)
        return job.wait() if blocking else job

    def close(self):
        """End the worker."""
        if self._core is not None:
            self._core.close()
            self._core = None


class PromptSegTest(ScriptedLoadableModuleTest):
    """Runs the tests of Testing/Slicer where this is a checkout, and a short one of its own elsewhere."""

    def setUp(self):
        """An empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Slicer's Reload and Test."""
        self.setUp()
        self.test_library_is_listed_without_torch()

    def test_library_is_listed_without_torch(self):
        """The shipped prompt sets can be read whatever is installed."""
        logic = PromptSegLogic()
        try:
            names = [one.name for one in logic.core.library.sets()]
            assert "abdomen-ct" in names, names
        finally:
            logic.close()
        self.delayDisplay(_("PromptSeg: test passed"))
