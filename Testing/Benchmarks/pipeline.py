"""How long whole commands take, and how much memory: segmenting a volume and teaching a structure.

    python Testing/Benchmarks/pipeline.py IMAGE LABELS --label 3 [--slices-kept 120]

IMAGE is an abdominal CT, LABELS a label map on its grid. Each command runs as a process of its own, as a user would
run it; times are wall time with start-up, memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from PromptSegLib.volumes.io import read_labels, read_volume, write_labels, write_map
from PromptSegLib.volumes.volume import Grid
from PromptSegTrain.simulate import evenly_spaced


def run(arguments: list[str]) -> tuple[float, list[dict]]:
    """Wall seconds of one ``promptseg ... --json`` and the objects that it printed."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "PromptSegCli", *arguments, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, [json.loads(line) for line in done.stdout.splitlines()]


def cropped(image: Path, labels: Path, count: int, folder: Path) -> tuple[Path, Path]:
    """The middle ``count`` slices of both files."""
    volume, reference = read_volume(image), read_labels(labels)
    first = max(0, (volume.grid.size[2] - count) // 2)
    kept = slice(first, first + count)
    matrix = volume.grid.ijk_to_ras.copy()
    matrix[:3, 3] += matrix[:3, 2] * first
    part = volume.voxels[kept]
    grid = Grid.from_ijk_to_ras(matrix, part.shape)
    write_map(folder / "image.nii.gz", part.astype(np.float32), grid)
    write_labels(folder / "labels.nii.gz", reference.array[kept], grid, {})
    return folder / "image.nii.gz", folder / "labels.nii.gz"


def main() -> None:
    """Print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--label", type=int, default=3)
    parser.add_argument("--slices-kept", type=int, default=120)
    parser.add_argument("--prompts", default="abdomen-ct")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, labels = cropped(options.image, options.labels, options.slices_kept, folder)
        volume, reference = read_volume(image), read_labels(labels)
        print(f"{options.image.name}, size {volume.grid.size}, spacing {[round(s, 2) for s in volume.grid.spacing]} mm")
        drawn = evenly_spaced(reference.array == options.label, 5)
        text = ",".join(map(str, drawn))
        one, several = ["-o", str(folder / "one.nii.gz")], ["-o", str(folder / "all.nii.gz")]
        commands = {
            "segment, all structures": ["segment", str(image), "--prompts", options.prompts, *several],
            "segment, liver": ["segment", str(image), "--prompts", f"{options.prompts}:liver", *one],
            f"tune, slices {text}": [
                "tune", str(image), str(labels), "--label", str(options.label), "--slices", text,
                "--name", "new structure", "-o", str(folder / "new.promptset"),
            ],
        }  # fmt: skip
        for title, arguments in commands.items():
            seconds, lines = run([*arguments, "--device", options.device])
            result = lines[-1]
            stages = {k: round(v, 2) for k, v in result.get("seconds", {}).items()}
            print(f"{title}: {seconds:.1f} s wall, peak {result.get('peak_memory_mib', 0):.0f} MiB, stages {stages}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"greatest peak of all: {peak / (1024 if sys.platform != 'darwin' else 2**20):.0f} MiB")


if __name__ == "__main__":
    main()
