"""Makes Resources/Screenshots: the panel at each step of the user guide, with the chest CT of the package slicerio.

    PYTHONPATH=PromptSeg:Testing python Resources/make_screenshots.py
    QT_QPA_PLATFORM=offscreen ../host/host Testing/PythonQt/inside.py Resources/make_screenshots.py

The second one, in the host of Testing/PythonQt, has the Qt 5 and the widgets of CTK that 3D Slicer has.
The panel runs on the stand-in of Testing/standin, not in the Slicer application: the Segment Editor is as large as
Slicer's, and its buttons bear letters. What is computed is computed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "Resources" / "Screenshots"
WIDTH, HEIGHT = 414, 640


class Camera:
    """The panel, and pictures of it."""

    def __init__(self) -> None:
        warnings.simplefilter("ignore")
        sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "PromptSeg")]
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        from standin import application

        self.application = application.start(Path(tempfile.mkdtemp()))
        self.scene = application.new_scene(self.application)
        import PromptSeg

        self.module = PromptSeg.PromptSegWidget()
        self.module.setup()
        self.panel = self.module.panel
        self.module.parent.resize(WIDTH, HEIGHT)
        self.module.parent.show()
        self.module.enter()

    def shoot(self, name: str) -> None:
        """Save a picture."""
        parent = self.module.parent
        for _ in range(20):
            self.application.processEvents()
            parent.resize(WIDTH, max(HEIGHT, parent.heightForWidth(max(WIDTH, parent.minimumSizeHint.width()))))
        FOLDER.mkdir(exist_ok=True)
        parent.grab().save(str(FOLDER / f"{name}.png"))

    def wait(self, true: Callable[[], Any], seconds: float = 1800) -> None:
        """Let the window live until something is true."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise SystemExit("it takes too long")
            self.application.processEvents()
            time.sleep(0.005)


def draw(panel: Any, mask: np.ndarray, volume: Any, chosen: list[int]) -> None:
    """Draw a mask in some slices of the segment at hand, and mark them complete."""
    from PromptSegLib.mrml.vtk_images import oriented_image

    drawn = np.zeros_like(mask)
    drawn[chosen] = mask[chosen]
    segment = panel.volumes.segmentation.GetSegmentation().GetSegment(panel.teach.segment_id)
    segment.RemoveRepresentation("Binary labelmap")
    segment.AddRepresentation("Binary labelmap", oriented_image(drawn, (0, 0, 0), volume.grid.ijk_to_ras))
    for index in chosen:
        panel.teach._go(index)
        panel.teach.mark_complete()


def review(camera: Camera, ct: Any, volume: Any, labels: Any) -> None:
    """The Review tab: the gallery in light and dark, and what differs from the labels that came with the CT."""
    import slicer
    from standin import application

    from PromptSegLib.mrml.decisions import ACCEPTED, FLAGGED
    from PromptSegLib.mrml.nodes import new_segmentation
    from PromptSegLib.mrml.vtk_images import oriented_image

    panel, tab = camera.panel, camera.panel.review
    ct.GetDisplayNode().SetAutoWindowLevel(0)
    ct.GetDisplayNode().SetWindowLevel(400, 40)
    panel.tabs.setCurrentIndex(2)

    def reviewed() -> None:
        tab.check.click()
        camera.wait(lambda: not tab.running.running)
        camera.wait(lambda: not tab.slices.drawing)

    reviewed()
    for decision in (ACCEPTED, FLAGGED):
        tab.decide(decision)
    camera.wait(lambda: not tab.slices.drawing)
    camera.shoot("review")
    application.dark(camera.application, True)
    camera.shoot("review-dark")
    application.dark(camera.application, False)
    reference = new_segmentation(ct, "expert")
    for value, one in labels.names.items():
        segment = slicer.vtkSegment()
        segment.SetName(one.name)
        image = oriented_image(labels.array == value, (0, 0, 0), volume.grid.ijk_to_ras)
        segment.AddRepresentation("Binary labelmap", image)
        reference.GetSegmentation().AddSegment(segment)
    camera.wait(lambda: tab.reference.nodeCount() > 1)
    tab.reference.setCurrentNode(reference)
    reviewed()
    tab.overlay.show("reference")
    camera.wait(lambda: not tab.overlay.overlays.busy)
    camera.shoot("review-compared")


def segmented_volumes(camera: Camera, volume: Any, labels: Any) -> None:
    """The page that teaches from segmented volumes; the same CT stands for those of five patients."""
    import slicer

    from PromptSegLib.mrml.nodes import add_volume, new_segmentation
    from PromptSegLib.mrml.vtk_images import oriented_image

    camera.scene.Clear(0)
    value = next(v for v, one in labels.names.items() if "right lung" in one.name)
    for number in range(1, 6):
        ct = add_volume(camera.scene, volume)
        ct.SetName(f"Chest {number}")
        segment = slicer.vtkSegment()
        segment.SetName("right lung")
        image = oriented_image(labels.array == value, (0, 0, 0), volume.grid.ijk_to_ras)
        segment.AddRepresentation("Binary labelmap", image)
        new_segmentation(ct).GetSegmentation().AddSegment(segment)
    panel = camera.panel
    panel.refresh()
    panel.tabs.setCurrentIndex(1)
    panel.sets.open(True)
    for item, _pair in panel.sets._pairs[3:4]:
        item.setCheckState(0, item.checkState(0).__class__(0))
    camera.shoot("teach-volumes")


def next_patient(camera: Camera, volume: Any) -> None:
    """A structure that was taught elsewhere, and corrected: the same CT, stretched, stands for the next patient."""
    from dataclasses import replace

    import qt
    from scipy import ndimage

    from PromptSegLib.mrml.nodes import add_volume

    panel = camera.panel
    moved = ndimage.affine_transform(volume.voxels, (1.0, 0.94, 0.96), (0.0, 4.0, 2.0), order=1, mode="nearest")
    panel.tabs.setCurrentIndex(0)
    panel.volumes.choose_segmentation(None)
    panel.volumes.choose_volume(add_volume(camera.scene, replace(volume, voxels=moved, name="Next patient")))
    structures = panel.segment.structures
    for item, entry in list(structures._items):
        own = structures.is_own(entry.text)
        item.setCheckState(0, qt.Qt.Checked if own else qt.Qt.Unchecked)
        if own:
            structures.tree.setCurrentItem(item)
    panel.segment.button.click()
    camera.wait(lambda: not panel.segment.running.running)
    structures.tree.scrollToItem(structures.tree.currentItem())
    camera.shoot("next-patient")
    panel.segment.correct.click()
    camera.shoot("correcting")
    panel.show_check(True)
    camera.wait(lambda: not panel.logic.service.busy)
    camera.shoot("self-check")
    panel.show_check(False)


def german(camera: Camera) -> None:
    """The same panel where 3D Slicer is set to German."""
    from standin import application

    import PromptSeg

    camera.module.cleanup()
    camera.module.parent.close()
    application.speak(camera.application, "de_DE")
    camera.application.loadTranslations(str(ROOT / "PromptSeg" / "Resources" / "Translations"))
    camera.scene.RemoveNode(camera.module.logic.getParameterNode())
    camera.module = PromptSeg.PromptSegWidget()
    camera.module.setup()
    camera.panel = camera.module.panel
    camera.module.parent.resize(WIDTH, HEIGHT)
    camera.module.parent.show()
    camera.module.enter()
    camera.panel.tabs.setCurrentIndex(1)
    camera.shoot("teach-german")


def main() -> None:
    """Go through the user guide."""
    camera = Camera()
    camera.shoot("start")
    from PromptSegLib.mrml.nodes import add_volume
    from PromptSegLib.volumes.sample_ct import chest_ct

    panel = camera.panel
    volume, labels = chest_ct()
    ct = add_volume(camera.scene, volume)
    panel.refresh()
    for name in ("liver", "aorta", "esophagus"):
        panel.segment.structures.tick(f"abdomen-ct:{name}")
    camera.shoot("segment")
    panel.segment.button.click()
    camera.wait(lambda: panel.segment.running._bar.value > 300)
    camera.shoot("segment-running")
    camera.wait(lambda: not panel.segment.running.running)
    camera.shoot("segment-result")
    panel.tabs.setCurrentIndex(1)
    camera.shoot("teach-start")
    value = next(v for v, one in labels.names.items() if "right lung" in one.name)
    mask = labels.array == value
    there = np.flatnonzero(mask.any((1, 2)))
    chosen = [int(there[round(share * (len(there) - 1))]) for share in (0, 0.15, 0.35, 0.55, 0.75, 0.9, 1)]
    panel.teach.name.setText("right lung")
    panel.teach.begin.click()
    draw(panel, mask, volume, chosen)
    empty = [k for k in range(len(mask)) if not mask[k].any()]
    if empty:
        panel.teach._go(empty[0])
        panel.teach.mark_absent()
    panel.teach._go(chosen[2])
    camera.shoot("teach-drawn")
    panel.teach.teach.click()
    camera.wait(lambda: panel.teach.curve.steps > 70 or not panel.teach.running.running)
    camera.shoot("teach-running")
    camera.wait(lambda: not panel.teach.running.running)
    camera.shoot("teach-result")
    panel.teach.rounds.accept.click()
    review(camera, ct, volume, labels)
    next_patient(camera, volume)
    segmented_volumes(camera, volume, labels)
    german(camera)
    camera.module.cleanup()
    for path in sorted(FOLDER.glob("*.png")):
        print(f"{path.name}: {path.stat().st_size // 1024} kB")
    sys.stdout.flush()
    os._exit(0)  # Qt and VTK do not agree on who is torn down first


if __name__ == "__main__":
    main()
