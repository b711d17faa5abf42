"""In which order slices should be looked at: area under the risk-coverage curve, and hits among the first ten shown.

    PYTHONPATH=PromptSeg python Testing/Benchmarks/risk.py btcv/dataset.json --prompts abdomen-ct \
        --subjects btcv_06 btcv_12 btcv_17 --slices slices.json --json Testing/Benchmarks/results/risk.json

Segments held-out subjects, and measures each slice of each structure: what is truly wrong in it, and what each order
goes by. Maps of uncertainty are those that a front end gets: entropy in steps of 1/255. ``--slices`` keeps what was
measured, and subjects that are in it are not segmented again. Errors are also simulated in the references, for the
orders that need a mask alone: a tenth of the slices of each structure is shifted, grown, shrunk or cut.

The risk of a slice is the area that is wrong, as a share of the structure's mean area in the reference: so an
adrenal gland counts as much as the liver. Slices are taken from the one that is said to be best; the area under the
curve of mean risk over coverage is smaller for a better order (Geifman and El-Yaniv, NeurIPS 2017). "Hits" are how many
of the first ten slices shown, over all structures of a subject, are among the truly worst tenth of all slices.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from result_file import write_result
from scipy import ndimage
from uncertainty import area, risk_coverage

from PromptSegLib.anatomy.terminology import key
from PromptSegLib.datasets.loading import read_dataset
from PromptSegLib.prompts.library import resolve
from PromptSegLib.review import risk
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume

SHOWN, WORST = 10, 0.1
RANDOM, TRUE = "random", "the true order"
FORMER, FORMER_UNCERTAIN = "not what neighbours show", "entropy"
"""What reviews sorted by before this was measured, without and with a map of uncertainty."""
IN_USE = ("neighbours and interpolation", "expected error + neighbours + interpolation")
"""What they sort by now."""
COLUMNS = ("order", "area, real", "of ten, real", "within a structure", "area, simulated", "of ten, simulated")


def slices_of(
    mask: np.ndarray, reference: np.ndarray, entropy: np.ndarray | None, spacing: Sequence[float]
) -> list[dict[str, float]]:
    """Of each axial slice that holds the mask, the reference or any uncertainty: its risk, and what orders go by."""
    pixel = float(spacing[1] * spacing[2]) / 100
    wrong = np.count_nonzero(mask ^ reference, axis=(1, 2))
    here, there = (np.count_nonzero(one, axis=(1, 2)) for one in (mask, reference))
    typical, own = risk.mean_area(reference), max(1.0, risk.mean_area(mask))
    between = np.count_nonzero(risk.interpolated(mask, spacing) ^ mask, axis=(1, 2))
    near = np.abs(np.gradient(here.astype(float))) if len(here) > 1 else np.zeros(len(here))
    orders = {
        "change of area": near,
        "change of area, relative": near / np.maximum(1, here),
        FORMER: risk.neighbour_change(mask),
        "differs from interpolation": between / own,
        "neighbours and interpolation": risk.slice_risk(mask, spacing).share,
    }
    shown = (here + there) > 0
    if entropy is not None:
        error = risk.expected_error_area(entropy, 1.0)
        bits = entropy.sum(axis=(1, 2), dtype=np.float64)
        shown |= bits > 0
        orders |= {
            FORMER_UNCERTAIN: bits * pixel / 2,
            "entropy, relative": bits / own,
            "expected error": error * pixel,
            "expected error, relative": error / own,
            "expected error + interpolation": (error + between) / own,
            "expected error + neighbours + interpolation": risk.slice_risk(mask, spacing, entropy).share,
        }
    return [
        {"risk": float(wrong[k] / max(1.0, typical)), **{name: float(values[k]) for name, values in orders.items()}}
        for k in np.flatnonzero(shown)
    ]


def simulated(reference: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A reference in which a tenth of the slices that show the structure is wrong."""
    out = reference.copy()
    there = np.flatnonzero(reference.any(axis=(1, 2)))
    for k in rng.choice(there, max(1, round(WORST * len(there))), replace=False):
        plane, size = reference[k], max(2, round(np.sqrt(np.count_nonzero(reference[k])) / 5))
        kind = rng.integers(4)
        if kind == 0:
            out[k] = np.roll(plane, rng.integers(-size, size + 1, 2), axis=(0, 1))
        elif kind in (1, 2):
            change = ndimage.binary_dilation if kind == 1 else ndimage.binary_erosion
            out[k] = change(plane, iterations=max(1, size // 2))
        else:
            columns = np.flatnonzero(plane.any(axis=0))
            out[k][:, int(rng.integers(columns[0], columns[-1] + 1)) :] = False
    return out


def measure(score: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(area under the risk-coverage curve, hits among the first :data:`SHOWN`) of one order of the same slices. What is
    equal is in random order: both are then expected values."""
    curve = area(*risk_coverage(score, truth))
    count = max(1, round(WORST * len(truth)))
    worst = np.zeros(len(truth))
    worst[np.argsort(-truth, kind="stable")[:count]] = 1
    hits, left = 0.0, SHOWN
    for value in np.unique(score)[::-1]:
        group = worst[score == value]
        hits += float(group.mean()) * min(left, len(group))
        left -= min(left, len(group))
        if not left:
            break
    return curve, hits


def table(found: dict[str, dict[str, list[dict[str, float]]]]) -> dict[str, dict[str, float]]:
    """By order: means over subjects of area and hits over all structures, and over subjects and structures of the area
    within a structure; each area is divided by that of a random order."""
    names = [name for name in next(iter(next(iter(found.values())).values()))[0] if name != "risk"]
    out: dict[str, dict[str, float]] = {}
    for name in (RANDOM, *names, TRUE):
        areas: list[float] = []
        hits: list[float] = []
        inner: list[float] = []
        for structures in found.values():
            together = [row for one in structures.values() for row in one]
            for rows in (together, *structures.values()):
                true = np.array([row["risk"] for row in rows])
                if not true.any():
                    continue
                curve, hit = measure(
                    np.zeros(len(rows))
                    if name == RANDOM
                    else true
                    if name == TRUE
                    else np.array([r[name] for r in rows]),
                    true,
                )
                (areas if rows is together else inner).append(curve / float(true.mean()))
                hits += [hit] if rows is together else []
        out[name] = {"area": float(np.mean(areas)), "hits": float(np.mean(hits)), "inner": float(np.mean(inner))}
    return out


def main() -> None:
    """Segment, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--prompts", required=True, help="a prompt set, by name or file")
    parser.add_argument("--backbone", default="punet-ct")
    parser.add_argument("--subjects", nargs="+", required=True, help="held-out subjects")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated errors")
    parser.add_argument("--slices", type=Path, help="keep, or take, what was measured of each slice")
    parser.add_argument("--json", type=Path, help="write the tables there")
    options = parser.parse_args()

    known = options.slices is not None and options.slices.is_file()
    kept = json.loads(options.slices.read_text(encoding="utf-8")) if known else {"real": {}, "simulated": {}}
    if set(options.subjects) - set(kept["real"]):
        segment(options, kept)
        if options.slices:
            options.slices.write_text(json.dumps(kept), encoding="utf-8")
    real, made = (table({one: kept[source][one] for one in options.subjects}) for source in ("real", "simulated"))
    rows: list[list[float | str]] = []
    for name, found in sorted(real.items(), key=lambda item: item[1]["area"]):
        other = made.get(name)
        note = {FORMER: " (former)", FORMER_UNCERTAIN: " (former)"}.get(name, " (in use)" if name in IN_USE else "")
        last: list[float | str] = ["", ""] if other is None else [other["area"], other["hits"]]
        rows.append([name + note, found["area"], found["hits"], found["inner"], *last])
    print(" | ".join(COLUMNS))
    for row in rows:
        print(" | ".join(cell if isinstance(cell, str) else f"{cell:.3f}" for cell in row))
    if options.json:
        digits = (0, 2, 1, 2, 2, 1)
        rounded = [[c if isinstance(c, str) else round(c, 4) for c in row] for row in rows]
        machine = f"one busy core of an AMD EPYC, weights {str(kept.get('backbone', '?'))[:12]}"
        write_result(options.json, machine, COLUMNS, digits, rounded)


def segment(options: argparse.Namespace, kept: dict[str, Any]) -> None:
    """Add what is measured of each slice, by source of the errors, subject and structure, where it is not there yet."""
    dataset, prompts = read_dataset(options.dataset), resolve(options.prompts)
    known = {key(name): name for name in prompts}  # data sets call one structure by several names
    session = Session(options.backbone, threads=options.threads)
    rng = np.random.default_rng(options.seed)
    kept["backbone"] = session.backbone.id
    for case in (one for one in dataset.cases if one.name in options.subjects and one.name not in kept["real"]):
        volume = read_volume(case.image)
        reference = read_labels(case.label, volume.grid)
        session.set_volume(volume)
        result = session.segment(prompts.values())
        spacing = volume.grid.spacing[::-1]
        real = kept["real"][case.name] = {}
        made = kept["simulated"][case.name] = {}
        for value, label in dataset.labels.items():
            name, there = known.get(key(label), ""), reference.array == value
            if not name or not there.any():
                continue
            entropy = np.rint(np.clip(result.uncertainty(name), 0, 1) * 255).astype(np.uint8) / np.float32(255)
            real[name] = slices_of(result.mask(name), there, entropy, spacing)
            made[name] = slices_of(simulated(there, rng), there, None, spacing)
        print(f"{case.name}: {sum(map(len, real.values()))} slices of {len(real)} structures", flush=True)


if __name__ == "__main__":
    main()
