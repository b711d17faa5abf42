"""A structure taught in one patient, used in others: network alone, carried over alone, and both.

    PYTHONPATH=PromptSeg:Testing/Benchmarks python Testing/Benchmarks/carried.py DATASET/dataset.json \
        --teachers a,b --cases c,d --structures heart,aorta --json FILE.json [--samples FOLDER]
    ... carried.py DATASET/dataset.json --fit FOLDER --json FILE.json

Five slices of a teacher are drawn; what PromptSeg makes of them (not the expert's mask) is carried over. Rows are kept
in the JSON file, and what is there is not done again. ``--expert`` carries the expert's whole mask, without a network;
``--shipped SET`` takes the prompts of a set, with the expert's masks. ``--samples`` also keeps what was told of each
voxel near the structure: ``--fit`` prints from these the coefficients of :mod:`PromptSegLib.register.blend`, and what
each pair would get with coefficients that were fitted to the other teachers' pairs. Prompts are also blunted with
noise, for networks that see less of a structure. ``--correct 2`` has the two slices of least certainty corrected by the
expert, learns from these and from the teacher's, and compares with three freshly drawn slices. ``--pairs t:p,...``
prints how well pairs of files fit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from few_slices import Rows, Task, add_arguments, mean, tasks

from PromptSegLib import earlier_patients
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prior import ALONE, NETWORK_LIMIT, SCALE, Location
from PromptSegLib.progress import ignore, never
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.register.blend import COEFFICIENTS, blend_of, log_odds, predictors
from PromptSegLib.register.located import CarriedMask, Registrations
from PromptSegLib.register.log_odds import LIMIT, largest
from PromptSegLib.register.picture import Region, mask_in, picture_of
from PromptSegLib.register.references import on_references, teachers_from
from PromptSegLib.register.register import frame_of, register
from PromptSegLib.register.teachers import Memory, Teacher, beside, remembered
from PromptSegLib.review.metrics import score
from PromptSegLib.segment.result import LogitMap, Segmentation
from PromptSegLib.segment.segmenter import clean_map
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_volume
from PromptSegTrain.simulate import evenly_spaced

NOISE = (0.0, 1.5)
"""Of a prompt's tokens, in their standard deviations: networks that see less of a structure."""
TaughtCase = tuple[Prompt, Teacher, float]


def taught(session: Session, task: Task, k: int, folder: Path) -> tuple[Prompt, Teacher, float]:
    """A prompt from k slices, the teacher with PromptSeg's own mask, and its Dice; kept in ``folder``."""
    stem = f"{session.backbone.id[:8]}-{task.case}-{task.structure}-{k}".replace(" ", "_")
    path = folder / f"{stem}.promptset"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        drawn, structure = task.draw(evenly_spaced(task.mask, k)), Structure(task.structure)
        session.set_volume(task.volume)
        learned = session.tune(drawn, structure)
        made = session.segment([learned.prompt], drawn={task.structure: drawn})
        Memory([session.remember(made, drawn, learned.prompt)]).write(beside(path))
        PromptSet.of(stem, [learned.prompt]).write(path)
    (kept,) = Memory.read(beside(path)).teachers
    own = mask_in(kept.picture, task.mask, task.volume.grid) > 0.5
    share = kept.masks[task.structure].on(kept.picture) > 0.5
    return PromptSet.read(path)[task.structure], kept, 2 * float((own & share).sum()) / float(own.sum() + share.sum())


def blunted(prompt: Prompt, noise: float, label: str) -> Prompt:
    """The prompt with noise in its tokens, for a structure of another name."""
    if not noise:
        return replace(prompt, structure=Structure(label))
    random = torch.Generator().manual_seed(0)
    tensors = {
        k: v + noise * v.std() * torch.randn(v.shape, generator=random) if v.numel() > 1 else v
        for k, v in prompt.tensors.items()
    }
    return Prompt(Structure(f"{label} {noise}"), prompt.backbone_id, tensors, prompt.card)


def corrected(session: Session, task: Task, taught_case: TaughtCase, count: int) -> dict:
    """Dice of the volume at hand as Segment gives it, once its slices of least certainty are corrected and taught, and
    of one slice more that is drawn afresh."""
    name, spacing, (prompt, kept, _), out = task.structure, task.volume.grid.spacing[::-1], taught_case, {}
    began = time.process_time()

    def dice(found: Segmentation) -> float:
        return score(found.mask(name), task.mask, spacing).dice

    first = session.segment([prompt], priors={name: [kept]})
    out["segmented"] = dice(first)
    wanted = session.corrections(first, prompt, count)[1]
    slices = sorted(one.index for one in wanted)
    empty = [k for k in slices if not task.mask[k].any()]
    drawn = SliceAnnotations.from_labels(
        task.mask.astype(np.uint8), task.volume.grid, 1, [k for k in slices if k not in empty], empty
    )
    options = {"start_from": prompt, "remembered": [kept.drawn[name]]}
    learned = session.tune(drawn, Structure(name), **options).prompt
    out["corrected"] = dice(session.segment([learned], drawn={name: drawn}, priors={name: [kept]}))
    out["corrected without the place"] = dice(session.segment([learned], drawn={name: drawn}))
    out["corrected slices"] = slices
    fresh = task.draw(evenly_spaced(task.mask, count + 1))
    learned = session.tune(fresh, Structure(name)).prompt
    out["drawn afresh"] = dice(session.segment([learned], drawn={name: fresh}))
    return out | {"correcting seconds": time.process_time() - began}


def measure(
    session: Session, task: Task, looks: Segmentation, taught_case: TaughtCase, folder: Path | None, key: str
) -> dict:
    """One pair: Dice of each way, and how well it fits. The volume is open, and ``looks`` is what the network found."""
    name, spacing, (prompt, kept, own) = task.structure, task.volume.grid.spacing[::-1], taught_case
    label, out = key.split("--")[0] + name, {"own": own, "told": prompt.card.network_dice}
    out["network"] = score(looks.mask(label), task.mask, spacing).dice
    work, start = looks.maps[label].work, time.process_time()
    found = session.earlier.locate({name: [kept]}, [prompt], ignore, never)[name]
    out["seconds"], out["reason"] = time.process_time() - start, found.reason
    if found.prior is None:
        return out | {"carried": 0.0, "refined": 0.0, "both": out["network"]}
    location = session.earlier.location(prompt, found, None, never)
    fused = LogitMap(work, dict(looks.maps[label].slices))
    fused.locate(location)
    clean_map(fused, prompt.card.components)
    both = Segmentation(looks.labels, looks.grid, (Structure(name),), {name: fused})
    out["both"] = score(both.mask(name), task.mask, spacing).dice
    out["signs"] = earlier_patients.predictors(both, prompt, found)
    truth = {k: work.mask_to_working(task.mask[k]) > 0.5 for k in range(work.count)}
    out["carried"] = dice_of({k: p > 0 for k, (p, _) in location.slices.items()}, truth)
    out["refined"] = dice_of({k: p.astype(np.float32) + g > 0 for k, (p, g) in location.slices.items()}, truth)
    out["fit"] = found.fits[0].trust
    if folder is not None:
        networks = [looks.maps[label if not n else f"{label} {n}"].slices for n in NOISE]
        save(folder / f"{key}.npz", location.slices, networks, truth, found, prompt)
    return out


def by_expert(options: argparse.Namespace) -> None:
    """The expert's whole mask carried over, without any network: what registration and grey values give alone."""
    rows, kept = Rows(options.json), {}
    teaching = argparse.Namespace(**{**vars(options), "cases": options.teachers})
    for task in tasks(teaching, 1):
        kept.setdefault(task.case, (task.volume, {}))[1][task.structure] = (task.mask, 1.0)
    teachers = {case: remembered(volume, masks) for case, (volume, masks) in kept.items()}
    exports = {}
    for case, one in teachers.items() if options.references else ():
        exports[case] = on_references({name: [one] for name in one.masks}).masks
        print(
            case, {n: [(m.returned, round(m.trust, 2)) for m in some] for n, some in exports[case].items()}, flush=True
        )
    patients: dict[str, list[Task]] = {}
    for task in tasks(options, 1):
        patients.setdefault(task.case, []).append(task)
    for case, some in patients.items():
        start = time.process_time()
        registrations, structures = Registrations(some[0].volume), [task.structure for task in some]
        others = {name: one for name, one in teachers.items() if name != case}
        for teacher, one in others.items():
            found = registrations.locate({name: [one] for name in structures if name in one.masks})
            picture, seconds = registrations.picture(), time.process_time() - start
            away = exports[teacher] if options.references else {}
            sent = registrations.locate(teachers_from(away))
            for task in some:
                here = found.get(task.structure)
                if here is None:
                    continue
                truth, row = mask_in(picture, task.mask, task.volume.grid) > 0.5, {"reason": here.reason}
                masks = {"carried": np.zeros(truth.shape, bool), "refined": np.zeros(truth.shape, bool)}
                if here.prior is not None:
                    masks["carried"][here.prior.box] = here.prior.place > 0
                    masks["refined"][here.prior.box] = largest(here.prior.log_odds > 0)
                    row["fit"] = here.fits[0].trust
                row |= {n: float(2 * (m & truth).sum() / (m.sum() + truth.sum())) for n, m in masks.items()}
                row |= {"structure": task.structure, "teacher": teacher, "case": case, "seconds": seconds}
                if options.references:
                    there = sent.get(task.structure)
                    mask = np.zeros(truth.shape, bool)
                    if there is not None and there.prior is not None:
                        mask[there.prior.box] = largest(there.prior.log_odds > 0)
                        row["references"] = len(there.fits)
                    row["by reference"] = float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
                    row["returned"] = [m.returned for m in away.get(task.structure, ())]
                rows.add(f"expert {teacher} {task.structure} {case}", row)
                print({k: v if not isinstance(v, float) else round(v, 3) for k, v in row.items()}, flush=True)
    table(list(rows.rows.values()))


def key_of(session: Session, teacher: str, task: Task) -> str:
    """The row of a pair."""
    return f"{session.backbone.id[:8]} {teacher} {task.structure} {task.case}"


def dice_of(found: dict[int, np.ndarray], truth: dict[int, np.ndarray]) -> float:
    """On working slices."""
    sums = np.zeros(3)
    for k, mask in truth.items():
        own = found.get(k)
        sums += [0 if own is None else own.sum(), mask.sum(), 0 if own is None else (own & mask).sum()]
    return float(2 * sums[2] / max(1, sums[0] + sums[1]))


def save(path: Path, slices: dict, networks: list, truth: dict, found: CarriedMask, prompt: Prompt) -> None:
    """What is told of each voxel: in slices that the prior reaches or the structure is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = sorted({*slices, *(k for k, m in truth.items() if m.any())})
    size = truth[chosen[0]].shape
    empty = np.full(size, -NETWORK_LIMIT * SCALE, np.int8)
    place = np.stack([slices[k][0] if k in slices else np.full(size, -LIMIT, np.float16) for k in chosen])
    grey = np.stack([slices[k][1] if k in slices else np.zeros(size, np.float16) for k in chosen])
    seen = np.stack([[n.get(k, empty) for k in chosen] for n in networks])
    mask = np.stack([truth[k] for k in chosen])
    wanted = (place > -LIMIT + 0.1).any(0) | mask.any(0) | (seen > 0).any((0, 1))
    rows, columns = (np.flatnonzero(wanted.any(1 - a)) for a in (0, 1))
    box = (..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    dice = prompt.card.validation_dice if prompt.card.network_dice is None else prompt.card.network_dice
    np.savez_compressed(
        path, place=place[box], grey=grey[box], network=seen[box], truth=mask[box],
        trust=found.fits[0].trust, network_dice=-1.0 if dice is None else dice,
    )  # fmt: skip


def read(path: Path) -> list[dict]:
    """Each network's view of one pair."""
    with np.load(path) as one:
        arrays = {k: one[k] for k in one.files}
    truth, place, grey = (arrays[k] for k in ("truth", "place", "grey"))
    views = []
    for level, seen in enumerate(arrays["network"]):
        network = np.clip(seen / SCALE, -NETWORK_LIMIT, NETWORK_LIMIT)
        alone = float(2 * ((network > 0) & truth).sum() / max(1, (network > 0).sum() + truth.sum()))
        # What leaving slices out tells of a blunted prompt: as much less as it finds less here.
        told = float(arrays["network_dice"])
        if level:
            told = views[0]["told"] * alone / max(views[0]["alone"], 0.02)
        view = {"name": f"{path.stem} {NOISE[level]}", "network": network, "truth": truth, "told": told, "alone": alone}
        both = {"place": place.astype(np.float32), "grey": grey.astype(np.float32), "trust": float(arrays["trust"])}
        views.append(view | both)
    return views


def plausible(view: dict) -> tuple[float, float]:
    """As :meth:`PromptSegLib.prior.Location.plausible` and :meth:`PromptSegLib.prior.Location.known`."""
    values = dict(enumerate(np.rint(view["network"] * SCALE).astype(np.int8)))
    slices = {k: (p, g) for k, (p, g) in enumerate(zip(view["place"], view["grey"], strict=True))}
    location = Location(slices, lambda *_: ALONE, -LIMIT)
    return location.plausible(values), location.known(values)


def features(view: dict) -> np.ndarray:
    """(voxels, 16) of :data:`PromptSegLib.register.blend.COEFFICIENTS`."""
    base = np.stack([view["network"], view["place"], view["grey"], np.ones_like(view["place"])], -1)
    fit = argparse.Namespace(trust=view["trust"])
    factors = np.array(predictors(view["told"], plausible(view)[0], [fit]))  # type: ignore[list-item]
    return (base[..., :, None] * factors).reshape(-1, 16)


def fitted(views: Sequence[dict], steps: int = 30) -> np.ndarray:
    """Coefficients (4, 4): logistic regression, each view counting alike, structure and surroundings too; ridge."""
    random = np.random.default_rng(0)
    samples, targets, weights = [], [], []
    for view in views:
        near = (view["place"] > -LIMIT + 0.1) | (view["network"] > -2) | view["truth"]
        inside, outside = np.flatnonzero(near & view["truth"]), np.flatnonzero(near & ~view["truth"])
        if not len(inside) or not len(outside):
            continue
        pick = [random.choice(one, min(1500, len(one)), replace=False) for one in (inside, outside)]
        chosen = np.concatenate(pick)
        samples.append(features(view)[chosen])
        targets.append(view["truth"].ravel()[chosen])
        # As they occur near the structure, up to four times as much outside as inside: what Dice asks for.
        share = min(4.0, len(outside) / len(inside))
        weights += [np.full(len(pick[0]), 1 / len(pick[0])), np.full(len(pick[1]), share / len(pick[1]))]
    x, y, w = np.concatenate(samples), np.concatenate(targets).astype(float), np.concatenate(weights)
    prior, ridge = np.asarray(COEFFICIENTS, float).ravel(), 0.02 * len(samples)
    at = prior.copy()
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ at))
        slope = x.T @ (w * (p - y)) + ridge * (at - prior)
        at -= np.linalg.solve((x.T * (w * p * (1 - p) + 1e-6)) @ x + ridge * np.eye(16), slope)
    return at.reshape(4, 4)


def blended(view: dict, table: np.ndarray) -> np.ndarray:
    """Logits of a view with coefficients, on the working slices, as steps of 1/8."""
    fit = argparse.Namespace(trust=view["trust"])
    agrees, known = plausible(view)
    factors = blend_of(view["told"], agrees, [fit], table, known)  # type: ignore[list-item]
    logits = sum(f * view[n] for f, n in zip(factors, ("network", "place", "grey"), strict=False)) + factors[3]
    return np.rint(logits * SCALE) / SCALE


def with_table(view: dict, table: np.ndarray) -> float:
    """Dice of a view with coefficients."""
    found = blended(view, table) > 0
    return float(2 * (found & view["truth"]).sum() / max(1, found.sum() + view["truth"].sum()))


def calibrate(views: Sequence[dict], used: Sequence[int] = (0, 1), ridge: float = 1.0) -> None:
    """Print the line of :mod:`PromptSegLib.register.expected`: only of the signs ``used``, in log-odds; its spread is
    that of patients whom it was not fitted to."""
    rows = []
    for view in views:
        logits, alone = blended(view, np.asarray(COEFFICIENTS)), view["network"] > 0
        found, share = logits > 0, 1 / (1 + np.exp(-logits))
        if not found.any():
            continue
        own = 2 * share[found].sum() / (share.sum() + found.sum())
        agree = 2 * (found & alone).sum() / (found.sum() + alone.sum())
        dice = 2 * (found & view["truth"]).sum() / (found.sum() + view["truth"].sum())
        predictors = [log_odds(float(one)) for one in (own, view["trust"], view["told"], agree)]
        rows.append((view["name"].split("--")[1], predictors, log_odds(float(dice))))
    patients, x, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows])

    def line(some: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        means = x[some].mean(0)
        a = x[some][:, used] - means[list(used)]
        weights = np.zeros(x.shape[1])
        weights[list(used)] = np.linalg.solve(a.T @ a + ridge * np.eye(len(used)), a.T @ (y[some] - y[some].mean()))
        return weights, means, float(y[some].mean())

    left = np.zeros(len(y))
    for patient in set(patients):
        weights, means, offset = line(patients != patient)
        own = patients == patient
        left[own] = y[own] - offset - (x[own] - means) @ weights
    weights, means, offset = line(np.ones(len(y), bool))
    spread = float(np.sqrt((left**2).mean()))
    inside = float((np.abs(left) < 1.2816 * spread).mean())
    numbers = np.round(weights, 3).tolist(), np.round(means, 3).tolist(), round(offset, 3), round(spread, 2), len(y)
    print("expected:", *numbers)
    print(f"{inside:.2f} of patients that it was not fitted to lie within its range")


def fit(folder: Path) -> None:
    """Print coefficients, and what they give in pairs of teachers that they were not fitted to."""
    views = [view for path in sorted(folder.glob("*.npz")) for view in read(path)]
    teachers = sorted({view["name"].split("--")[0] for view in views})
    rows = []
    for teacher in teachers:
        own = [v for v in views if v["name"].startswith(teacher + "--")]
        table = fitted([v for v in views if v not in own] if len(teachers) > 1 else views)
        for view in own:
            refined = view["place"] + view["grey"] > 0
            prior = float(2 * (refined & view["truth"]).sum() / max(1, refined.sum() + view["truth"].sum()))
            dice = view["alone"], prior, with_table(view, np.asarray(COEFFICIENTS)), with_table(view, table)
            rows.append((view["name"], view["told"], view["trust"], *dice))
    for row in rows:
        print(row[0], *(f"{value:.3f}" for value in row[1:]))
    print("mean: network, refined, both now, both fitted:", *(f"{mean([r[n] for r in rows]):.3f}" for n in range(3, 7)))
    known = [r for r in rows if r[3] > 0.75]
    print(f"{len(known)} where the network knows it:", *(f"{mean([r[n] for r in known]):.3f}" for n in range(3, 7)))
    print("least gain there:", f"{min((r[6] - r[3] for r in known), default=0):.3f}")
    print(np.round(fitted(views), 3).tolist())
    calibrate([view for view in views if view["name"].endswith(" 0.0")])


def pairs(text: str) -> None:
    """Print how well pairs of files fit."""
    for pair in text.split(","):
        teacher, patient = (picture_of(read_volume(path)) for path in pair.split(":"))
        region = Region.of(teacher, teacher.body.astype(np.float32))
        found = register(patient, teacher, region)
        print(pair, found.fit, frame_of(patient).shape, flush=True)


def main() -> None:
    """Teach, carry over, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--teachers", default="", help="subjects whose slices are drawn, with commas")
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--samples", type=Path, help="a folder for what is told of voxels")
    parser.add_argument("--taught", type=Path, default=Path("taught"), help="a folder for what was taught")
    parser.add_argument("--correct", type=int, default=0, help="slices to correct in each patient")
    parser.add_argument("--shipped", help="a prompt set to use in place of teaching, with the expert's masks")
    parser.add_argument("--expert", action="store_true", help="carry the expert's mask over, without a network")
    also = "with --expert: also by way of the open reference CTs, as exported prompts go"
    parser.add_argument("--references", action="store_true", help=also)
    parser.add_argument("--fit", type=Path, help="such a folder: only fit")
    parser.add_argument("--pairs", help="teacher:patient,... as files: only how they fit")
    options = parser.parse_args()
    if options.fit or options.pairs:
        fit(options.fit) if options.fit else pairs(options.pairs)
        return
    if options.expert:
        by_expert(options)
        return
    rows, began = Rows(options.json), time.perf_counter()
    session = Session(options.backbone, threads=options.threads)
    teaching = argparse.Namespace(**{**vars(options), "cases": options.teachers})
    taught_cases: dict[tuple[str, str], TaughtCase] = {}
    known = resolve(options.shipped) if options.shipped else {}
    for task in tasks(teaching, options.k):
        if options.shipped:
            shared = remembered(task.volume, {task.structure: (task.mask, 1.0)})
            taught_cases[task.case, task.structure] = known[task.structure], shared, 1.0
        else:
            taught_cases[task.case, task.structure] = taught(session, task, options.k, options.taught)
        print(f"{task.case} {task.structure}: Dice {taught_cases[task.case, task.structure][2]:.3f}", flush=True)
    patients: dict[str, list[Task]] = {}
    for task in tasks(options, 1):
        patients.setdefault(task.case, []).append(task)
    for case, some in patients.items():
        todo = [
            (task, teacher) for task in some for teacher, structure in taught_cases
            if structure == task.structure and teacher != case and key_of(session, teacher, task) not in rows.rows
        ]  # fmt: skip
        if not todo or time.perf_counter() - began > 60 * options.minutes:
            continue
        session.set_volume(some[0].volume)
        kept = {task.structure: [taught_cases[t, task.structure][1]] for task, t in todo}
        session.earlier.locate(kept, [taught_cases[t, task.structure][0] for task, t in todo], ignore, never)
        prompts = [
            blunted(taught_cases[t, task.structure][0], n, t + task.structure) for task, t in todo for n in NOISE
        ]
        looks = session.segment(prompts)
        for task, teacher in todo:
            taught_case, file = taught_cases[teacher, task.structure], f"{teacher}--{case}--{task.structure}"
            row = measure(session, task, looks, taught_case, options.samples, file)
            if options.correct:
                row |= corrected(session, task, taught_case, options.correct)
            row = {"structure": task.structure, "teacher": teacher, "case": case} | row
            rows.add(key_of(session, teacher, task), row)
            print({k: v if not isinstance(v, float) else round(v, 3) for k, v in row.items()}, flush=True)
    table(list(rows.rows.values()))


def table(rows: list[dict]) -> None:
    """Print each structure's mean, side by side."""
    every = ("own", "network", "carried", "refined", "both", "by reference")
    ways = [way for way in every if any(way in row for row in rows)]
    print(f"\n| structure | pairs | {' | '.join(ways)} |\n" + "|---" * (len(ways) + 2) + "|")
    for structure in (*dict.fromkeys(r["structure"] for r in rows), None):
        some = [r for r in rows if structure in (None, r["structure"])]
        values = [mean([r.get(way, float("nan")) for r in some]) for way in ways]
        print(f"| {structure or '**all**'} | {len(some)} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    print(json.dumps({"seconds": mean([r["seconds"] for r in rows])}))


if __name__ == "__main__":
    main()
