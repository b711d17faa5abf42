"""How long 3D Slicer's window stands still while the panel works: the longest events of Qt's loop, step by step.

    PYTHONPATH=PromptSeg:Testing python Testing/Benchmarks/pauses.py [--structures 13] [--slices 200] [--why]

The panel runs on the stand-in of Testing/standin with a CT of 512 x 512 voxels a slice that is made here; instead of a
worker, known masks answer: the window is measured, not the network. What Slicer's
own views and its Segment Editor would take is not in it. ``--why`` tells what the longest event of each step did.
"""

from __future__ import annotations

import argparse
import copy
import cProfile
import io
import json
import os
import pstats
import queue
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.resources import resource
from PromptSegLib.tune.outcome import Estimate, LeftOutSlice, Outcome, Suggestion
from PromptSegLib.worker.payload import put_structure
from PromptSegLib.worker.protocol import PROTOCOL, encode

SHIPPED = resource("PromptSets", "abdomen-ct.promptset")
SIDE = 512
PIXEL = 0.8
"""mm"""


class Known:
    """A :class:`~PromptSegLib.worker.service.Transport` that computes nothing: the answers lie ready in a folder. They
    are put together in a thread of their own, and come as bytes, as a worker's do."""

    ready = Path()
    masks: ClassVar[list[dict[str, Any]]] = []
    rows: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, words: Any, env: Any) -> None:
        self._jobs = Path(list(words)[list(words).index("--jobs") + 1])
        self._said: queue.Queue = queue.Queue()
        self._say(None, "hello", protocol=PROTOCOL, version="", pid=0, jobs=str(self._jobs))

    def write(self, data: bytes) -> None:
        """Requests, each in a line."""
        for line in data.splitlines():
            request = json.loads(line)
            answer = getattr(self, f"_{request['do']}", None)
            if answer is not None:
                threading.Thread(target=answer, args=(request,)).start()

    def poll(self) -> list[tuple[str, bytes | int]]:
        """What was said since."""
        found = []
        while not self._said.empty():
            found.append(("out", self._said.get()))
        return found

    def terminate(self) -> None:
        """There is nothing to be ended."""

    kill = close = terminate

    def _say(self, identity: str | None, event: str, **fields: Any) -> None:
        self._said.put(encode({"id": identity, "event": event, **fields}))

    def _given(self, request: dict[str, Any], masks: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
        out = []
        (self._jobs / request["id"]).mkdir(exist_ok=True)
        for one in masks:
            told, files = copy.deepcopy(one), [one["file"]]
            told["file"] = f"{request['id']}/{event}-{one['file']}"
            if event == "artefact":
                files.append(one["uncertainty"]["file"])
                told["uncertainty"]["file"] = f"{request['id']}/{event}-{files[-1]}"
            else:
                del told["uncertainty"]
            for name in files:
                os.link(self.ready / name, self._jobs / request["id"] / f"{event}-{name}")
            self._say(request["id"], event, kind="mask", **told)
            self._say(request["id"], "progress", stage="segment", fraction=0.5, message=one["structure"]["name"])
            out.append(told)
        return out

    def _end(self, request: dict[str, Any], **result: Any) -> None:
        self._say(request["id"], "done", status="done", result=result)

    def _set_volume(self, request: dict[str, Any]) -> None:
        self._end(request)

    def _segment(self, request: dict[str, Any]) -> None:
        found = self._given(request, self.masks, "artefact")
        self._end(request, masks=found, seconds={}, notes=[], review={"axis": 0, "structures": self.rows})

    def _review(self, request: dict[str, Any]) -> None:
        rows = [{**row, "structure": one["name"]} for row, one in zip(self.rows, request["structures"], strict=False)]
        self._end(request, axis=0, structures=rows)

    def _tune(self, request: dict[str, Any]) -> None:
        first = {**self.masks[0], "structure": request["structure"]}
        if request.get("preview"):
            self._given(request, [first], "preview")
            for step in range(1, 61):
                told = {"step": step, "loss": 1 / step, "dice": 1 - 1 / step}
                self._say(request["id"], "progress", stage="tune", fraction=step / 60, message="Learning")
                self._say(request["id"], "metric", stage="tune", metrics=told)
                time.sleep(0.05)
        (self._jobs / request["id"]).mkdir(exist_ok=True)
        (self._jobs / request["id"] / "prompt.promptset").write_bytes(SHIPPED.read_bytes())
        outcome = Outcome(
            tuple(LeftOutSlice(0, 20 * n, 0.95) for n in range(1, 6)), 0.95, estimate=Estimate(0.95, 0.9, 0.97),
            suggestions=(Suggestion(33, 0.1, "it is far from what was drawn", (None, None)),),
            review={"axis": 0, "structures": self.rows[:1]},
        )  # fmt: skip
        found = self._given(request, [first], "artefact")
        prompt = f"{request['id']}/prompt.promptset"
        self._end(request, prompt=prompt, masks=found, card={}, structure=first["structure"], **outcome.to_json())


def prepare(labels: np.ndarray, volume_ml: float, names: list[str], folder: Path) -> None:
    """Have an answer ready: masks and maps in files, and four slices of each structure to look at."""
    from scipy.ndimage import find_objects

    Known.ready = folder
    for value, (name, box) in enumerate(zip(names, find_objects(labels), strict=True), 1):
        mask = labels[box] == value
        edge = np.zeros(mask.shape, np.uint8)
        edge[:, 1:] = 200 * (mask[:, 1:] != mask[:, :-1])
        np.save(folder / f"mask-{value}.npy", mask)
        np.save(folder / f"map-{value}.npy", edge)
        low = [part.start for part in box]
        Known.masks.append(
            {"structure": put_structure(find(name) or Structure(name)), "file": f"mask-{value}.npy", "low": low,
             "ml": float(mask.sum()) * volume_ml, "uncertainty": {"file": f"map-{value}.npy", "low": low}}
        )  # fmt: skip
        worst = [
            {"index": low[0] + len(mask) * n // 5, "why": f"differs by {5 * n}% from the adjacent slices",
             "risk": n / 20, "dice": None, "error_cm2": None}
            for n in range(4, 0, -1)
        ]  # fmt: skip
        row = {"structure": name, "volume_ml": 10.0 * value, "remarks": [], "slices": worst, "estimate": None}
        Known.rows.append({**row, "unsure_ml": None, "score": None})


# What is shown


def made_ct(slices: int, structures: int) -> tuple[Any, np.ndarray]:
    """A body with that many organs whose borders are ragged, and their labels (K, J, I) uint8."""
    from PromptSegLib.volumes.volume import Grid, Volume

    random = np.random.default_rng(0)
    k, j, i = np.ogrid[:slices, :SIDE, :SIDE]
    hu = np.full((slices, SIDE, SIDE), -1000, np.int16)
    body = ((j - 256) / 170) ** 2 + ((i - 256) / 230) ** 2 < 1
    hu[:, body[0]] = 30
    labels = np.zeros(hu.shape, np.uint8)
    for value in range(1, structures + 1):
        angle = 2 * np.pi * value / structures
        centre = slices / 2 + random.uniform(-0.2, 0.2) * slices, 256 + 95 * np.sin(angle), 256 + 140 * np.cos(angle)
        radii = slices * random.uniform(0.15, 0.3), random.uniform(15, 60), random.uniform(15, 60)
        near = sum(((x - m) / r) ** 2 for x, m, r in zip((k, j, i), centre, radii, strict=True))
        organ = near < 1 + 0.15 * np.sin(k / 3) * np.sin((i + j) / 4)
        labels[organ], hu[organ] = value, 60 + 10 * value
    hu += random.integers(-12, 13, hu.shape, np.int16)
    grid = Grid((SIDE, SIDE, slices), (0.0, 0.0, 0.0), (PIXEL, PIXEL, 2.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    return Volume(hu, grid, "CT"), labels


class Watch:
    """How long the events of Qt's loop take: ``spans`` has (wall ms, ms of this thread's own computing)."""

    def __init__(self, why: bool) -> None:
        self.spans: list[tuple[float, float]] = []
        self.why, self.told, self._depth, self._worst = why, "", 0, 0.0

    def take(self, action: Callable[[], Any]) -> Any:
        """Do something as one event, or as part of the one under way."""
        if self._depth:
            return action()
        self._depth += 1
        profile = cProfile.Profile() if self.why else None
        start, own = time.perf_counter(), time.thread_time()
        try:
            return profile.runcall(action) if profile is not None else action()
        finally:
            span = 1000 * (time.perf_counter() - start), 1000 * (time.thread_time() - own)
            self._depth -= 1
            self.spans.append(span)
            if profile is not None and span[1] > self._worst:
                self._worst, text = span[1], io.StringIO()
                pstats.Stats(profile, stream=text).sort_stats("cumulative").print_stats(28)
                self.told = text.getvalue()

    def begin(self) -> None:
        """Forget what was."""
        self.spans, self.told, self._worst = [], "", 0.0


class Window:
    """The panel in the stand-in, with a watch on its events."""

    def __init__(self, why: bool) -> None:
        from PySide6 import QtWidgets

        watch = self.watch = Watch(why)

        class Watched(QtWidgets.QApplication):
            def notify(self, receiver: Any, event: Any) -> bool:  # type: ignore[override]
                return bool(watch.take(lambda: QtWidgets.QApplication.notify(self, receiver, event)))

        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        self.qt = Watched(["slicer"])
        from standin import application

        self.application = application.start(Path(tempfile.mkdtemp()))
        self.scene = application.new_scene(self.application)
        import PromptSeg
        from PromptSegLib.desktop import core

        core.QtProcess = Known  # type: ignore[misc, assignment]
        self.module = PromptSeg.PromptSegWidget()
        self.module.setup()
        self.panel = self.module.panel
        self.module.parent.resize(424, 620)
        self.module.parent.show()
        self.module.enter()
        self.rest()

    def rest(self) -> None:
        """Until nothing happens any more."""
        end = time.monotonic() + 0.5
        self.until(lambda: time.monotonic() > end)

    def until(self, true: Callable[[], Any], seconds: float = 120) -> None:
        """Let the window live until something is true."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise SystemExit("it takes too long: " + self.panel._page_message().text)
            self.application.processEvents()
            time.sleep(0.002)

    def step(self, name: str, action: Callable[[], Any], true: Callable[[], Any] = lambda: True) -> None:
        """Do something, wait for what comes of it, and print how long the window stood still at most."""
        self.watch.begin()
        began = time.perf_counter()
        self.watch.take(action)
        self.until(true)
        self.rest()
        seconds = time.perf_counter() - began
        wall, own = (np.sort(column)[::-1] for column in np.array(self.watch.spans).T)
        print(
            f"| {name} | {seconds:.1f} s | {own[0]:.0f} | {own[min(1, len(own) - 1)]:.0f} | {wall[0]:.0f} | "
            f"{int((own > 50).sum())} |",
            flush=True,
        )
        if self.watch.why:
            print(self.watch.told)


def draw(window: Window, mask: np.ndarray, grid: Any, chosen: list[int]) -> None:
    """Have a mask in some slices of the segment at hand: what the Segment Editor does is none of the panel's events."""
    from PromptSegLib.mrml.vtk_images import oriented_image

    drawn = np.zeros_like(mask)
    drawn[chosen] = mask[chosen]
    image = oriented_image(drawn, (0, 0, 0), grid.ijk_to_ras)
    segment = window.panel.volumes.segmentation.GetSegmentation().GetSegment(window.panel.teach.segment_id)
    segment.RemoveRepresentation("Binary labelmap")
    segment.AddRepresentation("Binary labelmap", image)


def main() -> None:
    """Go through the panel, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=13)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--why", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp())
    volume, labels = made_ct(options.slices, options.structures)
    window = Window(options.why)
    from PromptSegLib.desktop.reporting import write_report  # noqa: F401  (what is imported once is no pause of a step)
    from PromptSegLib.mrml.nodes import add_volume, new_segmentation

    panel, scene, step = window.panel, window.scene, window.step
    tab, teach, looks = panel.segment, panel.teach, panel.review
    grid = volume.grid
    entries = [one for _item, one in tab.structures._items if one.text.startswith("abdomen-ct:")]
    entries = entries[: options.structures]
    prepare(labels, float(np.prod(grid.spacing)) / 1000, [one.structure.name for one in entries], folder)
    print("| what | in all | longest ms of computing | second | longest ms by the clock | over 50 ms of computing |")
    print("|---|---|---|---|---|---|")
    node = add_volume(scene, volume)
    step("a volume is chosen", lambda: panel.volumes.choose_volume(node))
    for entry in entries:
        tab.structures.tick(entry.text)
    done = lambda part: lambda: not part.running.running  # noqa: E731
    size = f"{options.structures} structures of 512 x 512 x {options.slices}"
    step(f"{size} are segmented and shown", tab.button.click, done(tab))
    step("they are segmented again", tab.button.click, done(tab))
    drawn = lambda: not looks.running.running and not looks.slices.drawing  # noqa: E731
    step("the tab Review", lambda: panel.tabs.setCurrentIndex(2))
    step("they are reviewed, the gallery is filled", looks.check.click, drawn)
    step("through the gallery by key", lambda: [looks.gallery.step(1) for _ in range(3)])
    step("the uncertainty is laid over", lambda: looks.overlay.show("uncertainty"))
    step("it is faded", lambda: looks.overlay.opacity.setValue(30))
    other = new_segmentation(node, "expert")
    contents = panel.volumes.segmentation.GetSegmentation()
    for one in contents.GetSegmentIDs():
        other.GetSegmentation().CopySegmentFromSegmentation(contents, one)
    step("a reference is chosen", lambda: looks.reference.setCurrentNode(other))
    step("they are compared", looks.check.click, drawn)
    step("differences are laid over", lambda: looks.overlay.show("reference"),
         lambda: not looks.overlay.overlays.busy)  # fmt: skip
    import qt

    qt.QFileDialog.getSaveFileName = staticmethod(lambda *_: str(folder / "review.html"))
    step("the report is written", looks.report.click, lambda: not looks.writing)
    step("the tab Teach", lambda: panel.tabs.setCurrentIndex(1))
    teach.name.setText("new organ")
    step("a structure is begun", teach.begin.click)
    there = np.flatnonzero((labels == 1).any((1, 2)))
    chosen = [int(there[round(share * (len(there) - 1))]) for share in (0, 0.25, 0.5, 0.75, 1)]
    draw(window, labels == 1, grid, chosen)
    step("the strip follows what is drawn", lambda: None)
    step("a slice is complete", lambda: (teach._go(chosen[0]), teach.mark_complete()))
    for index in chosen[1:]:
        teach._go(index)
        teach.mark_complete()
    step("a first mask", teach.preview.click, done(teach))
    step("it is taught", teach.teach.click, done(teach))
    step("it is taught again", teach.teach.click, done(teach))
    step("the round before", teach.rounds.before.click)
    path = str(folder / "scene.mrb")
    from standin import modules

    for name, function in modules.util_of(scene, modules.Shown(lambda *_: window.module), folder).items():
        setattr(sys.modules["slicer"].util, name, function)
    sys.modules["slicer"].util.saveScene(path)
    step("the scene is closed", lambda: scene.Clear(0))
    panel._observed, watched = [], panel._observed
    for tag in watched:
        scene.RemoveObserver(tag)
    sys.modules["slicer"].util.loadScene(path)  # Slicer's own time
    panel._observe()
    step("what follows a scene that was loaded", panel._closed, lambda: not looks.slices.drawing)
    window.module.cleanup()
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK do not agree on who is torn down first


if __name__ == "__main__":
    main()
