"""How long the window's thread is held up while a volume is segmented and taught: the longest turns of the service.

    PYTHONPATH=PromptSeg python Testing/Benchmarks/pauses.py btcv_06.nii.gz --labels btcv_06_labels.nii.gz --label 3

The desktop's logic runs on slicer-core, without Qt: what is timed is all that happens in the window's thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from PromptSegLib.annotations import SliceStatus
from PromptSegLib.desktop.catalogue import Library
from PromptSegLib.desktop.logic import Logic
from PromptSegLib.mrml import nodes, slices
from PromptSegLib.mrml.vtk_images import oriented_image
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.worker.service import Service
from PromptSegTrain.simulate import evenly_spaced


def timed(service: Service, job, name: str) -> None:
    """Turn until the job ends, and print how long turns took."""
    turns = []
    began = time.perf_counter()
    while job.running:
        start = time.perf_counter()
        service.poll()
        turns.append(1000 * (time.perf_counter() - start))
        time.sleep(0.03)
    if job.problem is not None:
        raise SystemExit(str(job.problem))
    ordered = np.sort(turns)
    over = int((ordered > 50).sum())
    print(
        f"| {name} | {time.perf_counter() - began:.1f} s | {len(turns)} | {np.median(ordered):.1f} | "
        f"{ordered[-2]:.0f} | {ordered[-1]:.0f} | {over} |"
    )


def main() -> None:
    """Segment and teach, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--label", type=int, required=True)
    parser.add_argument("--prompts", default="abdomen-ct")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import slicer

    volume = read_volume(options.image)
    mask = read_labels(options.labels, volume.grid).array == options.label
    scene = slicer.vtkMRMLScene()
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    segmentations.SetMRMLScene(scene)
    node = nodes.add_volume(scene, volume)
    service = Service(threads=options.threads)
    logic = Logic(service, Library(Path(tempfile.mkdtemp())))
    print("| what | in all | turns | median ms | second longest ms | longest ms | over 50 ms |")
    print("|---|---|---|---|---|---|---|")
    try:
        result = logic.segment(node, [options.prompts])
        timed(service, result, f"segment {options.prompts}, {' x '.join(map(str, volume.grid.size))}")
        segmentation = result.result.node
        chosen = evenly_spaced(mask, 5)
        segment_id = slices.add_segment(segmentation, "taught structure")
        drawn = np.zeros_like(mask)
        drawn[chosen] = mask[chosen]
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        segment.AddRepresentation("Binary labelmap", oriented_image(drawn, (0, 0, 0), volume.grid.ijk_to_ras))
        for index in chosen:
            slices.mark(segmentation, segment_id, node, 0, index, SliceStatus.COMPLETE)
        timed(service, logic.teach(node, segmentation, segment_id, "taught structure"), "teach from 5 slices")
        timed(service, logic.review(node, segmentation), "review all segments")
    finally:
        logic.close()


if __name__ == "__main__":
    main()
