"""Teach: draw a structure in a few slices, learn it, look at it, keep it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ...annotations import SliceStatus
from ...errors import PromptSegError
from ...mrml import nodes, sequences, slices
from ...mrml.correction import Correction
from ...progress import Progress
from ..logic import Logic
from ..panel_state import PanelState
from ..results import TeachResult
from ..sentences import spoken
from ..structure_names import name_of
from . import texts
from .correcting import Correcting
from .curve import Curve
from .drawn_segment import DrawnSegment
from .editor_box import EditorBox
from .example import Example
from .frame_watch import FrameWatch
from .message import Message
from .naming import Naming
from .panel_room import AMPLE, LEAST
from .rounds import Rounds
from .running import Running
from .strip import SliceStrip
from .teach_head import TeachHead
from .view_watch import ViewWatch, bring_into_view, show_volume
from .volume_box import VolumeBox
from .widgets import beside, button, text_label


class TeachTab:
    """``on_kept(text)`` is called when a round was accepted into the library."""

    def __init__(
        self,
        logic: Logic,
        state: PanelState,
        volumes: VolumeBox,
        ready: Callable[[], bool],
        on_kept: Callable[[str], None],
    ) -> None:
        self._logic, self._state, self._volumes, self._ready, self._on_kept = logic, state, volumes, ready, on_kept
        self._statuses: list[SliceStatus] = []
        self._shown, self._room = False, AMPLE
        self._at_hand: tuple[Any, Any] = (None, None)
        self.watch = ViewWatch(self._moved)
        self.correcting = Correcting(state, volumes)
        self.message = Message()
        self.running = Running(self.message, lambda: logic.context.device, self._changed)
        self.drawn = DrawnSegment(state, volumes, self.refresh)
        self._build()

    def _build(self) -> None:
        self.widget = qt.QWidget()
        ask = _("Type the name of the structure, then press Draw.")
        self.naming = Naming(
            self._begin, lambda name: slices.name_segment(self.drawn.segment, name), lambda: self.message.tell(ask)
        )
        self.name, self.begin = self.naming.line, self.naming.begin
        self.editor = EditorBox()
        self.editor.on_segment = self._another_segment
        self.head = TeachHead(self.naming, self.editor, self._viewed)
        self.view, self.counts = self.head.view, self.head.counts
        self.strip = SliceStrip(self._go)
        self.complete = button(_("Complete"), _("The whole structure is drawn in this slice"), self.mark_complete, "C")
        self.absent = button(_("Absent"), _("The structure is not in this slice"), self.mark_absent, "A")
        self.clear = button(_("Unmark"), _("Take the mark of this slice back"), self.mark_untouched, "U")
        self.next = button(_("Next"), _("Go to the suggested slice: its drawing should help most"), self.go_next, "N")
        self.preview = button(_("Preview"), "", self._preview)
        self.teach = button(_("Teach"), "", self._teach)
        self.keep = button(_("Stop and keep best"), _("End now with the best so far"), self.running.keep_best)
        self.curve = Curve()
        self.rounds = Rounds(self._logic, self.message, self._round_changed, self._on_kept)
        self.frame = FrameWatch(self.message, self.editor)
        self._marks = beside(self.complete, self.absent, self.clear, self.next)
        self._actions = beside(self.preview, self.teach, self.keep)
        self.hint, self.example = text_label(), Example()
        # What one looks at first, then what one presses, what comes of it, and below it the tools to draw with.
        self._of_segment = (self.head.where, self.strip, self._marks, self._actions)
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        result = (self.running.widget, self.curve, self.rounds.widget, self.message.widget)
        for one in (self.head.widget, self.hint, self.example, *self._of_segment[1:], *result, self.editor.widget):
            layout.addWidget(one)
        layout.addStretch(1)
        self.curve.setVisible(False)
        self._changed(False)

    def fit(self, room: int) -> None:
        """Take less height where there is little of it."""
        self._room = room
        self.head.fit(room)
        self.editor.fit(room)
        self._buttons()

    # What is drawn

    @property
    def segment_id(self) -> str:
        """The segment that is drawn in; empty before there is one, and for a segment that shows a result."""
        return self.drawn.id

    @property
    def axis(self) -> int:
        """The axis that is drawn on: the one that the view shows slices of, or the last one that it showed."""
        along = self.watch.place[0]
        return along if along >= 0 else self._state.number("Axis")

    def enter(self) -> None:
        """The tab is shown."""
        self._shown = True
        chosen = self._state.text("View", "Red")
        self.head.choose(chosen)
        self.watch.watch(chosen, self._volumes.volume)
        self.drawn.watch()
        self._edit()
        self.naming.show(self.drawn.name)
        self._go_on()
        self.refresh()

    def exit(self) -> None:
        """Another tab or module is shown."""
        self._shown = False
        self.watch.stop()
        self.drawn.unwatch()
        self.editor.exit()

    def scene_closed(self) -> None:
        """The scene is gone, and all that was said of it."""
        self.message.clear()
        self.naming.clear()
        self._statuses = []
        self._anew()

    def cleanup(self) -> None:
        """Remove all observers and end what is being made: the panel goes."""
        self._shown = False
        self.watch.stop()
        self.drawn.unwatch()

    def refresh(self) -> None:
        """Show what is drawn now."""
        node, volume, identity = self._volumes.segmentation, self._volumes.volume, self.segment_id
        chosen = self.drawn.segment
        self.editor.widget.setVisible(chosen is not None)
        self.editor.fold()
        for one in self._of_segment:
            one.setVisible(bool(identity))
        self.hint.setText(
            "\n".join(texts.how_to_teach())
            if chosen is None
            else _("{name} is a result. Choose the segment that you draw in, or draw another structure.").format(
                name=name_of(str(chosen.GetName()))
            )
        )
        self.hint.setVisible(not identity)
        self.example.setVisible(chosen is None)
        self.naming.refresh(self.drawn.name, enabled=volume is not None and not self.running.running)
        self.rounds.widget.setVisible(bool(identity) and volume is not None)
        if not identity or volume is None:
            return
        self.frame.look(node, identity, volume, self.running.running)
        try:
            paint = slices.paint_of(node, identity, volume)
            if self.drawn.keep_elsewhere(self.axis, paint):
                self.message.tell(_("You drew in another view: choose that view above to mark its slice."))
            self._statuses = slices.statuses_of(node, identity, volume, self.axis, paint)
        except PromptSegError as problem:
            self._statuses = []
            self.message.warn(problem)
        self.strip.show_statuses(self._statuses, self.rounds.changed(self._statuses, self.axis))
        self.strip.show_suggested([int(one["index"]) for one in self._suggested()])
        self.head.show_counts(self._statuses)
        self._buttons()

    def _buttons(self) -> None:
        busy = self.running.running
        known = () if self.frame.elsewhere else self._statuses
        drawn = any(one in (SliceStatus.COMPLETE, SliceStatus.DRAFT) for one in known)
        kind = self.running.job.kind if self.running.job is not None else ""
        self.preview.setVisible(not busy)
        self.preview.setEnabled(drawn)
        first = "" if drawn else _("Nothing to learn from: draw the structure in a slice first")
        self.preview.setToolTip(first or _("A first mask within seconds"))
        self.teach.setToolTip(first or _("Learn the structure from what is drawn; about a minute"))
        self.teach.setText(_("Cancel") if busy else _("Teach again") if self.rounds.result is not None else _("Teach"))
        self.teach.setEnabled(busy or drawn)
        self.keep.setVisible(kind == "teach")
        self._marks.setVisible(bool(self.segment_id) and not (busy and self._room == LEAST))  # how it goes is seen then
        self._marks.setEnabled(not busy and not self.frame.elsewhere)
        self.next.setEnabled(bool(self._suggestions()) and not busy)
        self.rounds.refresh(busy)
        self.editor.show_steps()

    def _suggested(self) -> list[dict[str, Any]]:
        """What to draw next: by the last round, or, before the first, the slices to correct."""
        first = self.correcting.suggestions(self.segment_id, self.axis) if self.rounds.result is None else []
        return first or self.rounds.suggestions(self.axis)

    def _suggestions(self) -> list[dict[str, Any]]:
        return [one for one in self._suggested() if one["index"] < len(self._statuses)
                and self._statuses[one["index"]] is SliceStatus.UNTOUCHED]  # fmt: skip

    def _changed(self, running: bool) -> None:
        if not self.frame.elsewhere:
            self.editor.lock(running)
        self._buttons()

    # Drawing

    def _begin(self, name: str) -> None:
        volume = self._volumes.volume
        self.message.clear()
        if volume is None:
            return
        node = self._volumes.segmentation
        try:
            if node is None:
                node = nodes.new_segmentation(volume)
                self._volumes.choose_segmentation(node)
            nodes.check_belongs(node, volume)
        except PromptSegError as problem:
            self.message.warn(problem)
            return
        self.editor.save_state()
        identity = slices.add_segment(node, name)
        sequences.keep_frame(node, identity, volume)
        self.drawn.choose(identity)
        self._anew()
        show_volume(volume, node)
        self.enter()
        self.editor.draw_in(identity)
        self.message.tell(_("Draw the structure in a few slices. Press Complete when it is whole in a slice."))

    def correct(self, name: str, what: Correction) -> None:
        """Begin to correct a result, in a segment of its own: at the slice that is least certain. The tab is shown."""
        self.message.clear()
        self.editor.save_state()
        identity = self.correcting.begin(name, what)
        sequences.keep_frame(self._volumes.segmentation, identity, self._volumes.volume)
        self._anew()
        self.enter()
        self.editor.draw_in(identity)
        self.go_next()

    def _anew(self) -> None:
        """A segment without rounds."""
        self.strip.show_suggested(())
        self.rounds.begin()
        self.curve.setVisible(False)

    def _another_segment(self, identity: str) -> None:
        if self._shown and identity and identity != self.drawn.chosen_id:
            self.drawn.choose(identity)
            self.naming.show(self.drawn.name)
            self._go_on()
            self.drawn.later.start()

    def _go_on(self) -> None:
        """With the rounds of the segment at hand, if there are any."""
        known = self._logic.rounds_of(self._volumes.volume, self._volumes.segmentation, self.segment_id)
        if self.rounds.result is not (known[-1] if known else None):
            self.rounds.begin(known)
            self.curve.setVisible(False)

    def _edit(self) -> None:
        node, volume = self._volumes.segmentation, self._volumes.volume
        if node is None or volume is None or self.drawn.segment is None:
            self.editor.exit()  # nothing is drawn where it cannot be seen
            return
        self.editor.enter(node, volume, self.drawn.chosen_id)
        self._logic.context.save_state = self.editor.save_state

    # Slices

    def mark_complete(self) -> None:
        """The slice in view is drawn whole."""
        self._mark(SliceStatus.COMPLETE)

    def mark_absent(self) -> None:
        """The slice in view does not show the structure."""
        self._mark(SliceStatus.ABSENT)

    def mark_untouched(self) -> None:
        """Take a mark back."""
        self._mark(SliceStatus.UNTOUCHED)

    def _mark(self, status: SliceStatus) -> None:
        axis, index = self.watch.place
        if not self.segment_id or self.running.running or self.frame.elsewhere:
            return
        if axis < 0:
            bent = self.watch.bent
            if bent is not None:
                self.message.warn(bent)
            else:
                text = _("The view is not along the volume's slices; turn it.")
                self.message.warn(text, _("Align the view"), self.watch.align)
            return
        self.editor.save_state()
        try:
            slices.mark(self._volumes.segmentation, self.segment_id, self._volumes.volume, axis, index, status)
            sequences.keep_frame(self._volumes.segmentation, self.segment_id, self._volumes.volume)
            self.message.clear()
        except PromptSegError as problem:
            self.message.warn(problem)
        self.refresh()

    def go_next(self) -> None:
        """Go to the suggested slice, and say why."""
        found = self._suggestions()
        if found:
            index, reason = int(found[0]["index"]), spoken(str(found[0]["reason"]))
            self._go(index)
            drawn = self.correcting.draft(self.segment_id, self.axis, index, self.editor.save_state)
            if drawn:
                self.refresh()
            self.message.tell(f"{reason} {drawn}".strip())

    def _go(self, index: int) -> None:
        self.watch.go_to(self.axis, index)

    def _moved(self, axis: int, index: int) -> None:
        former = self._state.number("Axis")
        if axis >= 0 and axis != former:
            if self._shown and self.segment_id:
                with contextlib.suppress(PromptSegError):  # the strip says what is wrong
                    slices.keep_drafts(self._volumes.segmentation, self.segment_id, self._volumes.volume, former)
            self._state.set_text("Axis", str(axis))
            self.drawn.later.start()
        self.strip.show_current(index)

    def _viewed(self, name: str) -> None:
        self._state.set_text("View", name)
        if self._shown:
            self.watch.watch(name, self._volumes.volume)
            self.drawn.later.start()

    # Teaching

    def _preview(self) -> None:
        if self._ready():
            self._start(self._logic.preview, lambda shown: self.refresh(), {})

    def _teach(self) -> None:
        if self.running.running:
            self.running.cancel()
        elif self._ready():
            self.curve.clear()
            self.curve.setVisible(True)
            known = self.correcting.prompt(self.segment_id)
            start_from = self.rounds.last(self.axis) or known
            self._start(self._logic.teach, self._taught, {"start_from": start_from, "examples": known})

    def _start(self, ask: Callable[..., Any], on_done: Callable[[Any], None], more: dict[str, Any]) -> None:
        volume, node = self._at_hand = self._volumes.volume, self._volumes.segmentation
        identity = self.segment_id
        structure, axis = self.drawn.structure, self.axis
        self.rounds.asked(self._statuses)
        self.running.begin(
            lambda **listeners: ask(volume, node, identity, structure, axis=axis, **more, **listeners),
            on_done,
            self._progress,
            _("Stopped; what was shown before is back."),
        )

    def _progress(self, report: Progress) -> None:
        if report.metrics:
            self.curve.add(report.metrics)

    def _taught(self, result: TeachResult) -> None:
        self.curve.end()
        self.curve.setVisible(False)  # what came out of it is what is looked at now
        volume, node = self._at_hand
        if self._volumes.volume is not volume or self._volumes.segmentation is not node:  # chosen meanwhile
            self.message.tell(texts.taught_in(result.structure.name, node.GetName()))
            self.refresh()
            return
        self.rounds.add(result)
        bring_into_view(volume, node, result.result_segment_id, self.watch.place)
        self.message.tell(" ".join((*texts.stopped(result), *map(spoken, result.notes))))
        self._round_changed()

    def _round_changed(self) -> None:
        self._state.keep_review([], 0)  # it was of the round before
        self._go_on()  # another segment may have been chosen meanwhile
        self.refresh()
