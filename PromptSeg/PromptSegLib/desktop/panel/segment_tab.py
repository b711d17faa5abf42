"""Segment: tick structures, press one button, see the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ...errors import PromptSegError
from ...mrml.correction import Correction
from ...mrml.sequences import frames_of
from ..job import Job
from ..logic import Logic
from ..panel_state import PanelState
from ..results import SegmentResult
from ..sequence import segment_frames
from ..structure_names import name_of
from . import texts
from .message import Message
from .running import Running
from .structures import Structures
from .view_watch import centre_3d
from .volume_box import VolumeBox
from .widgets import as_tip, beside, button


class SegmentTab:
    """``ready()`` asks for what has to be installed and says whether it can go on; ``on_result(result)`` is called
    after a result, ``on_undone()`` when it was taken back, and ``on_correct(name, correction)`` to correct a structure
    of it."""

    def __init__(
        self,
        logic: Logic,
        state: PanelState,
        volumes: VolumeBox,
        ready: Callable[[], bool],
        on_result: Callable[[SegmentResult], None],
        on_undone: Callable[[], None],
        on_correct: Callable[[str, Correction], None],
    ) -> None:
        self._logic, self._volumes, self._ready = logic, volumes, ready
        self._on_result, self._on_undone, self._on_correct, self._every = on_result, on_undone, on_correct, False
        self._corrections: dict[str, Correction] = {}
        self._corrected: Any = None
        self._then = ""
        self.widget = qt.QWidget()
        self.message = Message()
        self.running = Running(self.message, lambda: logic.context.device, lambda running: self.refresh())
        self.button = button("", _("Segment the ticked structures; the same button stops it"), self._pressed)
        self.structures = Structures(logic.library, state, self.refresh, self._another_selected)
        self.show_3d = slicer.qMRMLSegmentationShow3DButton()
        self.show_3d.setToolTip(_("Show the segmentation in the 3D view"))
        self.show_3d.connect("toggled(bool)", lambda on: centre_3d() if on else None)
        self.importer = button(_("Import ..."), _("Take a .promptset file into My structures"), self._import)
        self.exporter = button(_("Export ..."), "", self._export)
        self.remover = button(_("Delete ..."), "", self._delete)
        self.forgetter = button(_("Forget ..."), "", self._forget)
        tip = _(
            "Correct the slices of this result that are least certain, and teach the structure in this patient, too. "
            "Select another structure in the list to correct that one."
        )
        self.correct = button("", tip, self._correct)
        self.frames = qt.QCheckBox()
        self.frames.setToolTip(_("The volume is a frame of a sequence: segment each of its frames"))
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.structures.widget, 1)
        self._room = qt.QWidget()
        files = beside(self.importer, self.exporter, self.remover, self.forgetter, self._room)
        files.layout().setStretch(4, 3)  # Import is where it is beside the others, too
        layout.addWidget(files)
        layout.addWidget(self.frames)
        layout.addWidget(beside(self.button, self.show_3d))
        layout.addWidget(self.running.widget)
        layout.addWidget(self.message.widget)
        layout.addWidget(self.correct)
        self._files_refresh()

    def refresh(self) -> None:
        """Buttons as the state of things is."""
        if not hasattr(self, "structures"):  # while it is being made
            return
        count = len(self.structures.ticked)
        busy = self.running.running
        self.button.setText(_("Cancel") if busy else texts.segment_button(count))
        self.button.setEnabled(busy or (count > 0 and self._volumes.volume is not None))
        self.structures.widget.setEnabled(not busy)
        moving = frames_of(self._volumes.volume)
        self.frames.setVisible(moving is not None)
        self.frames.setEnabled(not busy)
        if moving is not None:
            self.frames.setText(_("All {n} frames of the sequence").format(n=moving.count))
        node = self._volumes.segmentation
        self.show_3d.setSegmentationNode(node)
        self.show_3d.setVisible(node is not None and node.GetSegmentation().GetNumberOfSegments() > 0)
        self._correct_refresh()
        self._files_refresh()
        for problem in self._logic.library.problems[:1]:
            if not self.message.text:
                self.message.warn(problem)

    def _files_refresh(self) -> None:
        """Buttons that cannot act are grey, and say why."""
        if not hasattr(self, "remover"):
            return
        own, ticked, busy = self.structures.selected_own, self.structures.ticked, self.running.running
        for one in (self.exporter, self.remover, self.forgetter):  # of no use before there is anything
            one.setVisible(self.structures.has_own)
        self._room.setVisible(not self.structures.has_own)
        what = [own.text] if own is not None else [one for one in ticked if self.structures.is_own(one)]
        self.exporter.setEnabled(bool(what) and not busy)
        self.exporter.setToolTip(
            _("Save the selected or ticked structures of yours as a file")
            if what
            else _("Nothing to export: select or tick some of My structures")
        )
        self.remover.setEnabled(own is not None and not busy)
        self.remover.setToolTip(
            _("Remove the selected structure of yours")
            if own is not None
            else _("Nothing to delete: select one of My structures")
        )
        remembered = own is not None and own.memory is not None
        self.forgetter.setEnabled(remembered and not busy)
        self.forgetter.setToolTip(
            _("Remove the pictures of patients that are kept beside the selected structure")
            if remembered
            else _("Nothing to forget: select one of My structures that remembers patients")
        )
        self.importer.setEnabled(not busy)

    def _correct_refresh(self) -> None:
        """The button says which structure it is about."""
        name = self._to_correct()
        self.correct.setVisible(name is not None)
        self.correct.setEnabled(not self.running.running)
        if name is not None:
            self.correct.setText(_("Correct {name} ...").format(name=name_of(name)))

    def _another_selected(self) -> None:
        self._files_refresh()
        if hasattr(self, "correct"):
            self._correct_refresh()

    def scene_closed(self) -> None:
        """The scene is gone, and all that was said of it."""
        self.message.clear()
        self._corrections = {}

    def _to_correct(self) -> str | None:
        """The structure that can be corrected now: the selected one, if it is of the last result, else its first."""
        node = self._volumes.segmentation
        there = node.GetSegmentation() if node is not None else None
        known = [
            name for name, one in self._corrections.items()
            if node is self._corrected and there is not None and there.GetSegment(one.result_id) is not None
        ]  # fmt: skip
        selected = self.structures.selected
        chosen = selected.structure.name if selected is not None else ""
        return chosen if chosen in known else known[0] if known else None

    def _correct(self) -> None:
        name = self._to_correct()
        if name is not None and not self.running.running:
            self._on_correct(name, self._corrections[name])

    def _pressed(self) -> None:
        if self.running.running:
            self.running.cancel()
        else:
            self.begin()

    def begin(self, then: str = "") -> None:
        """Segment what is ticked; ``then`` is said after the result: what one might do next."""
        self._then = then
        if self.running.running or not self._ready():
            return
        volume, node, wanted = self._volumes.volume, self._volumes.segmentation, self.structures.ticked
        every = self._every = self.frames.checked and frames_of(volume) is not None

        def start(**listeners: Any) -> Job:
            if every:
                return segment_frames(self._logic, volume, wanted, **listeners)
            return self._logic.segment(volume, wanted, node, **listeners)

        self.running.begin(
            start,
            lambda result: self._done(result, volume),
            stopped=_("Stopped; the segmentation is as it was."),
        )

    def _done(self, result: SegmentResult, volume: Any) -> None:
        here = self._volumes.volume is volume  # and no other one was chosen meanwhile
        if here:
            self._volumes.choose_segmentation(result.node)
        self._corrected = result.node
        self._corrections = {} if self._every else self._found_in(result)
        empty = [one["structure"] for one in (result.review or {}).get("structures", ()) if not one["volume_ml"]]
        text = texts.segmented(len(result.segment_ids), result.seconds)
        if not here:
            text += " " + _("It lies in {name}.").format(name=result.node.GetName())
        if empty:
            text += " " + _("Not found: {names}.").format(names=", ".join(map(name_of, empty)))
        if result.taught:
            text += " " + _("As taught in this CT: {names}.").format(names=", ".join(map(name_of, result.taught)))
        text = " ".join((text, *texts.carried(result.notes, result.expected), *([self._then] if self._then else ())))
        if self._every:
            self.message.tell(text)
        else:
            self.message.tell(text, _("Undo"), self._undo)
        if here:
            self._on_result(result)
        self.refresh()

    def _found_in(self, result: SegmentResult) -> dict[str, Correction]:
        """What can be corrected of a result: structures that were found, with slices to begin with."""
        asked = {one.structure.name: one for one in self.structures.ticked_entries}
        out = {}
        for structure, identity in zip(result.structures, result.segment_ids, strict=True):
            correction, entry = result.corrections.get(structure.name), asked.get(structure.name)
            if correction is not None and correction["slices"] and entry is not None:
                prompt = str(entry.path), structure.name
                out[structure.name] = Correction(prompt, identity, int(correction["axis"]), tuple(correction["slices"]))
        return out

    def _undo(self) -> None:
        try:
            edited = self._logic.undo_segmenting()
        except PromptSegError as problem:
            self.message.warn(problem)
            return
        text = _("Taken back: the segmentation is as it was before.")
        if edited:
            text = _("Taken back, but for what you changed since: {names}.").format(
                names=", ".join(map(name_of, edited))
            )
        self.message.tell(text)
        self._on_undone()
        self.refresh()

    def _import(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.widget, _("Import a prompt set"), "", _("Prompt sets (*.promptset)"))
        if path:
            self._try(
                lambda: _("Imported: {names}.").format(
                    names=", ".join(map(name_of, self._logic.library.import_file(str(path))))
                )
            )

    def _export(self) -> None:
        own, ticked = self.structures.selected_own, self.structures.ticked
        wanted = [own.text] if own is not None else [one for one in ticked if self.structures.is_own(one)]
        path = qt.QFileDialog.getSaveFileName(self.widget, _("Export"), "", _("Prompt sets (*.promptset)"))
        if path:
            target = Path(str(path))
            target = target if target.suffix == ".promptset" else target.with_name(target.name + ".promptset")

            def start(**listeners: Any) -> Job:
                return self._logic.export(wanted, target, **listeners)

            self.running.begin(start, self._exported, stopped=_("Stopped; nothing was exported."))

    def _exported(self, result: tuple[Path, dict[str, str]]) -> None:
        path, without = result
        text = _("Saved: {path}.").format(path=path)
        if without:
            text += " " + _("Others get no start in their patients for: {names}.").format(
                names=", ".join(map(name_of, without))
            )
        self.message.tell(text)

    def _delete(self) -> None:
        entry = self.structures.selected_own
        if entry is None:
            return
        question = _("Delete what was learned for {name}? This cannot be undone.").format(
            name=name_of(entry.structure.name)
        )
        if slicer.util.confirmOkCancelDisplay(as_tip(question), windowTitle=_("Delete a structure")):
            self._try(lambda: self._removed(entry.text))

    def _forget(self) -> None:
        entry = self.structures.selected_own
        if entry is None or entry.memory is None:
            return
        question = _("Forget the patients that {name} was taught in? What was learned stays.").format(
            name=name_of(entry.structure.name)
        )
        if slicer.util.confirmOkCancelDisplay(as_tip(question), windowTitle=_("Forget patients")):
            self._try(lambda: self._forgotten(entry.text))

    def _forgotten(self, text: str) -> str:
        others = self._logic.library.forget(text)
        if others:
            return _("Forgotten for this structure. Pictures of the same patients are still kept for: {names}.").format(
                names=", ".join(map(name_of, others))
            )
        return _("Forgotten: nothing is kept of the patients any more.")

    def _removed(self, text: str) -> str:
        self._logic.library.delete(text)
        return _("Deleted.")

    def _try(self, action: Callable[[], str]) -> None:
        try:
            said = action()
        except PromptSegError as problem:
            self.message.warn(problem)
            return
        self.structures.refresh()
        self.message.tell(said)
