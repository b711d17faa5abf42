"""What becomes of a prompt set's Dice when the same patient comes in another file: flips, crops, thick slices, windows.

    python Testing/Benchmarks/robustness.py DATASET/dataset.json --prompts abdomen-ct --subjects 2 [--slices 60]

Each held-out subject is changed in ways that users' files differ, segmented, and compared with its reference, which is
changed alike. The first row is the file as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from PromptSegLib.datasets.loading import read_dataset, split
from PromptSegLib.prompts.library import resolve
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.volume import Volume

Change = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of voxels (K, J, I), labels (K, J, I) and the (4, 4) IJK to RAS matrix."""


def flipped(axis: int) -> Change:
    """The same patient, with one array axis stored the other way round."""

    def change(voxels, labels, matrix):
        column = 2 - axis
        out = matrix.copy()
        out[:, 3] += out[:, column] * (voxels.shape[axis] - 1)
        out[:, column] *= -1
        return np.flip(voxels, axis), np.flip(labels, axis), out

    return change


def axes_turned(voxels, labels, matrix):
    """Stored as sagittal slices: array axes (I, K, J) in place of (K, J, I)."""
    out = matrix.copy()
    out[:, :3] = matrix[:, [1, 2, 0]]  # columns I, J, K are now what J, K, I were
    return voxels.transpose(2, 0, 1), labels.transpose(2, 0, 1), out


def thick(mm: float) -> Change:
    """Slices averaged to about ``mm``; the label in the middle stays."""

    def change(voxels, labels, matrix):
        n = max(1, round(mm / np.linalg.norm(matrix[:3, 2])))
        count = len(voxels) // n
        out = matrix.copy()
        out[:, 3] += out[:, 2] * (n - 1) / 2
        out[:, 2] *= n
        means = voxels[: count * n].reshape(count, n, *voxels.shape[1:]).mean(1).astype(np.float32)
        return means, labels[n // 2 : count * n : n][:count], out

    return change


def thin(mm: float) -> Change:
    """Slices of about ``mm``, interpolated linearly; labels are those of the nearest slice."""

    def change(voxels, labels, matrix):
        n = max(1, round(np.linalg.norm(matrix[:3, 2]) / mm))
        places = np.arange((len(voxels) - 1) * n + 1) / n
        low = np.minimum(places.astype(int), len(voxels) - 2)
        share = (places - low).astype(np.float32)[:, None, None]
        out = matrix.copy()
        out[:, 2] /= n
        return (1 - share) * voxels[low] + share * voxels[low + 1], labels[np.round(places).astype(int)], out

    return change


def cropped(voxels, labels, matrix):
    """The field of view ends 5 mm outside of the annotated organs."""
    there = np.argwhere(labels > 0)
    margin = np.round(5 / np.linalg.norm(matrix[:3, :3], axis=0)[::-1]).astype(int)
    low = np.maximum(there.min(0) - margin, 0)
    high = np.minimum(there.max(0) + margin + 1, labels.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    out = matrix.copy()
    out[:3, 3] += matrix[:3, :3] @ low[::-1]
    return voxels[box], labels[box], out


def wide(voxels, labels, matrix):
    """A field of view wider by half, with a table below the patient."""
    pad = voxels.shape[1] // 4
    v = np.pad(voxels, ((0, 0), (pad, pad), (pad, pad)), constant_values=voxels.min())
    direction = 1 if matrix[1, 1] < 0 else -1  # towards posterior
    row = v.shape[1] // 2 + direction * (voxels.shape[1] // 2 + pad // 2)
    v[:, row : row + 4, pad : pad + voxels.shape[2]] = 150
    out = matrix.copy()
    out[:3, 3] -= matrix[:3, :3] @ [pad, pad, 0]
    return v, np.pad(labels, ((0, 0), (pad, pad), (pad, pad))), out


def oblique(degrees: float, about: int) -> Change:
    """The grid turned in the patient about a RAS axis, 0 (left-right) or 2 (head-feet), as a scanner's plan does; what
    it leaves is empty."""

    def change(voxels, labels, matrix):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn, centre = np.eye(4), matrix @ [*(np.array(voxels.shape[::-1]) - 1) / 2, 1]
        turn[np.ix_(*2 * [[n for n in range(3) if n != about]])] = [[c, -s], [s, c]]
        turn[:3, 3] = centre[:3] - turn[:3, :3] @ centre[:3]
        out = turn @ matrix
        back = np.linalg.inv(matrix) @ out  # from the new voxels (I, J, K) to the old
        where = {"matrix": back[2::-1, 2::-1], "offset": back[2::-1, 3]}
        v = ndimage.affine_transform(voxels.astype(np.float32), **where, order=1, cval=float(voxels.min()))
        return v, ndimage.affine_transform(labels, **where, order=0), out

    return change


def intensities(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Other HU, everything else as it is."""
    return lambda voxels, labels, matrix: (change(voxels.astype(np.float32)), labels, matrix)


def full_range(voxels: np.ndarray) -> np.ndarray:
    """Air where a clipped volume is at its floor, denser bone where it is at its ceiling."""
    low, high = voxels.min(), voxels.max()
    out = np.where(voxels <= low, -1000.0, voxels)
    return np.where(voxels >= high, high + 300.0, out) if low > -300 else voxels


def noisy(voxels: np.ndarray) -> np.ndarray:
    """Noise of 20 HU."""
    return voxels + np.random.default_rng(0).normal(0, 20, voxels.shape).astype(np.float32)


CHANGES: dict[str, Change] = {
    "as it is": lambda voxels, labels, matrix: (voxels, labels, matrix),
    "columns stored from the other side": flipped(2),
    "rows stored from the other side": flipped(1),
    "feet first": flipped(0),
    "stored as sagittal slices": axes_turned,
    "slices of 1 mm": thin(1.0),
    "slices of 8 mm": thick(8.0),
    "slices tilted by 10 degrees": oblique(10, about=0),
    "slices tilted by 20 degrees": oblique(20, about=0),
    "slices turned by 10 degrees in their plane": oblique(10, about=2),
    "slices turned by 20 degrees in their plane": oblique(20, about=2),
    "cropped to the organs": cropped,
    "wide field of view with a table": wide,
    "air and bone (full HU)": intensities(full_range),
    "narrow window (-100 to 200 HU)": intensities(lambda v: np.clip(v, -100, 200)),
    "noise of 20 HU": intensities(noisy),
}


def dice(session: Session, volume: Volume, labels: np.ndarray, names: dict[int, str], prompts) -> dict[str, float]:
    """Dice of each structure that the reference holds."""
    session.set_volume(volume)
    result = session.segment(prompts.values())
    scores = {}
    for value, name in names.items():
        there = labels == value
        if name in prompts and there.any():
            found = result.mask(name)
            scores[name] = 2.0 * float((found & there).sum()) / float(found.sum() + there.sum())
    return scores


def main() -> None:
    """Print a row for each change: the mean over structures and subjects, and the worst loss of a structure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--subjects", type=int, default=2)
    parser.add_argument("--slices", type=int, help="only this many slices, around the middle of what is annotated")
    parser.add_argument("--only", nargs="+", metavar="WORDS", help="beside the first, only names with one of these")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    dataset = read_dataset(options.dataset)
    cases = split(dataset, 0.25, 1)[1][: options.subjects]
    prompts = resolve(options.prompts)
    session = Session(options.backbone, threads=options.threads)
    print(f"{dataset.name}: {', '.join(c.name for c in cases)}\n")
    print("| the same patient | mean Dice | change | largest loss |\n|---|---|---|---|")
    first: dict[tuple[str, str], float] = {}
    for title, change in CHANGES.items():
        if options.only and first and not any(words in title for words in options.only):
            continue
        found = {}
        for case in cases:
            volume = read_volume(case.image)
            labels, matrix, voxels = read_labels(case.label, volume.grid).array, volume.ijk_to_ras, volume.voxels
            if options.slices:
                middle = int(np.median(np.flatnonzero(labels.any((1, 2)))))
                start = max(0, middle - options.slices // 2)
                matrix = matrix.copy()
                matrix[:3, 3] += matrix[:3, 2] * start
                voxels, labels = (a[start : start + options.slices] for a in (voxels, labels))
            voxels, labels, matrix = change(voxels, labels, matrix)
            changed = Volume.from_array(np.ascontiguousarray(voxels), matrix, case.name)
            for name, value in dice(session, changed, labels, dataset.labels, prompts).items():
                found[case.name, name] = value
        first = first or found
        both = [k for k in found if k in first]
        loss = {k: first[k] - found[k] for k in both}
        worst = max(loss, key=lambda k: loss[k])
        mean, before = (float(np.mean([t[k] for k in both])) for t in (found, first))
        print(f"| {title} | {mean:.3f} | {mean - before:+.3f} | {worst[1]} {-loss[worst]:+.2f} |", flush=True)


if __name__ == "__main__":
    main()
