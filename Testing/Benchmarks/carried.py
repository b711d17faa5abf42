"""A structure taught in one patient, used in others: network alone, carried over alone, and both.

    PYTHONPATH=PromptSeg:Testing/Benchmarks python Testing/Benchmarks/carried.py DATASET/dataset.json \
        --teachers a,b --cases c,d --structures heart,aorta --json FILE.json [--samples FOLDER]
    ... carried.py DATASET/dataset.json --fit FOLDER --json FILE.json

Five slices of a teacher are drawn; what PromptSeg makes of them (not the expert's mask) is carried over. Rows are kept
in the JSON file, and what is there is not done again. ``--expert`` carries the expert's whole mask, without a network
(with ``--look`` registered by what the backbone sees); ``--shipped SET`` takes the prompts of a set, with the expert's
masks. ``--samples`` also keeps what was told of each voxel near the structure, also by prompts that are blunted with
noise, for networks that see less of a structure: ``--fit`` prints what :mod:`carried_fit` makes of these, ``--expect``
what it makes of JSON files. ``--as-segment`` asks the network near the carried mask alone, as Segment does, and also
carries over from all teachers together. ``--correct 2`` has the two slices of least certainty
corrected by the expert, learns from these and from the teacher's, and compares with three freshly drawn slices.
``--pairs t:p,...`` prints how well pairs of files fit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from carried_fit import NOISE, calibrate, fit, save
from few_slices import Rows, Task, add_arguments, cropped, mean, span_around, tasks

from PromptSegLib import earlier_patients
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.overview_net import overview_net
from PromptSegLib.progress import ignore, never
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.register.located import CarriedMask, Registrations
from PromptSegLib.register.log_odds import largest
from PromptSegLib.register.picture import Region, mask_in, picture_of
from PromptSegLib.register.references import on_references, teachers_from
from PromptSegLib.register.register import frame_of, register
from PromptSegLib.register.teachers import Memory, Teacher, beside, remembered
from PromptSegLib.register.views import looks
from PromptSegLib.review.metrics import score
from PromptSegLib.segment.result import LogitMap, Segmentation
from PromptSegLib.segment.segmenter import clean_map
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_volume
from PromptSegTrain.simulate import evenly_spaced

TaughtCase = tuple[Prompt, Teacher, float]


def taught(
    session: Session, task: Task, k: int, folder: Path, margin_mm: float | None, known: Sequence[Prompt] | None = None
) -> TaughtCase:
    """A prompt from k slices, the teacher with PromptSeg's own mask, and its Dice; kept in ``folder``. With a margin,
    the mask is found in the slices around the structure, and the teacher's CT is kept whole."""
    stem = f"{session.backbone.id[:8]}-{task.case}-{task.structure}-{k}".replace(" ", "_")
    path = folder / f"{stem}.promptset"
    folder.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        part, structure = cropped(task, margin_mm), Structure(task.structure)
        drawn = part.draw(evenly_spaced(part.mask, k))
        session.set_volume(part.volume)
        learned = session.tune(drawn, structure, known=known)
        print(f"{task.case} {task.structure}: {learned.steps} steps.", *learned.notes, flush=True)
        made = session.segment([learned.prompt], drawn={task.structure: drawn})
        teacher = session.remember(made, drawn, learned.prompt)
        if margin_mm is not None:
            mask, (low, high) = np.zeros_like(task.mask), span_around(task, margin_mm)
            mask[low:high] = made.mask(task.structure)
            quality = teacher.masks[task.structure].quality
            teacher = remembered(task.volume, {task.structure: (mask, quality)}, drawn=teacher.drawn)
        Memory([teacher]).write(beside(path))
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
    learned = session.tune(drawn, Structure(name), known=(), **options).prompt
    out["corrected"] = dice(session.segment([learned], drawn={name: drawn}, priors={name: [kept]}))
    out["corrected without the place"] = dice(session.segment([learned], drawn={name: drawn}))
    out["corrected slices"] = slices
    fresh = task.draw(evenly_spaced(task.mask, count + 1))
    learned = session.tune(fresh, Structure(name), known=()).prompt
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


def as_segment(
    session: Session,
    patients: Mapping[str, Sequence[Task]],
    taught_cases: Mapping[tuple[str, str], TaughtCase],
    rows: Rows,
) -> None:
    """What Segment gives from each teacher, and from all of them (with the first one's prompt)."""
    names = list(dict.fromkeys(case for case, _ in taught_cases))
    for case, some in patients.items():
        session.set_volume(some[0].volume)
        for group in [[name] for name in names] + ([names] if len(names) > 1 else []):
            here = [t for t in some if all((name, t.structure) in taught_cases and name != case for name in group)]
            title = ", ".join(group)
            here = [task for task in here if f"{key_of(session, title, task)} as Segment" not in rows.rows]
            if not here:
                continue
            known = {t.structure: [taught_cases[name, t.structure] for name in group] for t in here}
            prompts = [some[0][0] for some in known.values()]
            teachers = {name: [one for _, one, _ in some] for name, some in known.items()}
            start = time.process_time()
            found = session.earlier.locate(teachers, prompts, ignore, never)
            seconds, start = time.process_time() - start, time.process_time()
            made = session.segment(prompts, priors=teachers)
            segmenting = time.process_time() - start
            for task in here:
                name, spacing, one = task.structure, task.volume.grid.spacing[::-1], found[task.structure]
                row = {"structure": name, "teacher": title, "case": case, "reason": one.reason, "seconds": seconds}
                row |= {"own": mean([own for _, _, own in known[name]]), "segmenting": segmenting / len(here)}
                row |= {"both": score(made.mask(name), task.mask, spacing).dice, "expected": made.expected.get(name)}
                if one.prior is not None:
                    picture = session.earlier.picture
                    truth = mask_in(picture, task.mask, task.volume.grid) > 0.5
                    row |= dice_at_3_mm(one, truth) | {"fit": mean([fit.trust for fit in one.fits])}
                    row |= {"signs": earlier_patients.predictors(made, known[name][0][0], one)}
                rows.add(f"{key_of(session, title, task)} as Segment", row)
                print({k: v if not isinstance(v, float) else round(v, 3) for k, v in row.items()}, flush=True)
    by_number_of_teachers(rows)


def dice_at_3_mm(found: CarriedMask, truth: np.ndarray) -> dict[str, float]:
    """Of the carried mask, and of what the patient's grey values make of it, on the picture."""
    masks = {"carried": np.zeros(truth.shape, bool), "refined": np.zeros(truth.shape, bool)}
    if found.prior is not None:
        masks["carried"][found.prior.box] = found.prior.place > 0
        masks["refined"][found.prior.box] = largest(found.prior.log_odds > 0)
    return {n: float(2 * (m & truth).sum() / max(1, m.sum() + truth.sum())) for n, m in masks.items()}


def by_expert(options: argparse.Namespace) -> None:
    """The expert's whole mask carried over: what registration, with ``--look`` by a network, and grey values give."""
    rows, kept = Rows(options.json), {}
    by_organs = partial(overview_net, options.overview)
    look = looks(load_backbone(options.backbone), by_organs) if options.look else None
    teaching = argparse.Namespace(**{**vars(options), "cases": options.teachers})
    for task in tasks(teaching, 1):
        kept.setdefault(task.case, (task.volume, {}))[1][task.structure] = (task.mask, 1.0)
    teachers = {case: remembered(volume, masks) for case, (volume, masks) in kept.items()}
    exports = {}
    for case, one in teachers.items() if options.references else ():
        exports[case] = on_references({name: [one] for name in one.masks}, look=look).masks
        print(
            case, {n: [(m.returned, round(m.trust, 2)) for m in some] for n, some in exports[case].items()}, flush=True
        )
    patients: dict[str, list[Task]] = {}
    for task in tasks(options, 1):
        patients.setdefault(task.case, []).append(task)
    for case, some in patients.items():
        start = time.process_time()
        registrations, structures = Registrations(some[0].volume, look=look), [task.structure for task in some]
        others = {name: one for name, one in teachers.items() if name != case}
        groups = {name: [one] for name, one in others.items()}
        if len(groups) > 1:
            groups[", ".join(others)] = list(others.values())
        for teacher, some_of_them in groups.items():
            wanted = {name: [one for one in some_of_them if name in one.masks] for name in structures}
            found = registrations.locate({name: ones for name, ones in wanted.items() if ones})
            picture, seconds = registrations.picture(), time.process_time() - start
            away = exports.get(teacher, {})
            sent = registrations.locate(teachers_from(away))
            for task in some:
                here = found.get(task.structure)
                if here is None:
                    continue
                truth, row = mask_in(picture, task.mask, task.volume.grid) > 0.5, {"reason": here.reason}
                if here.prior is not None:
                    row["fit"] = mean([fit.trust for fit in here.fits])
                row |= dice_at_3_mm(here, truth)
                row |= {"structure": task.structure, "teacher": teacher, "case": case, "seconds": seconds}
                if teacher in exports:
                    there = sent.get(task.structure)
                    mask = np.zeros(truth.shape, bool)
                    if there is not None and there.prior is not None:
                        mask[there.prior.box] = largest(there.prior.log_odds > 0)
                        row["references"] = len(there.fits)
                    row["by reference"] = float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
                    row["returned"] = [m.returned for m in away.get(task.structure, ())]
                rows.add(f"expert {teacher} {task.structure} {case}", row)
                print({k: v if not isinstance(v, float) else round(v, 3) for k, v in row.items()}, flush=True)
    by_number_of_teachers(rows)


def by_number_of_teachers(rows: Rows) -> None:
    """A table of pairs, and one of several teachers together."""
    every = list(rows.rows.values())
    for alone in (True, False):
        table([row for row in every if ("," not in row["teacher"]) == alone])


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
    begins = (
        "a prompt set: learning begins with that of its prompts which finds what was drawn, as with those that ship"
    )
    parser.add_argument("--known", help=begins)
    parser.add_argument("--expert", action="store_true", help="carry the expert's mask over, without a network")
    seen = "with --expert: register by what the backbone sees, not by grey values alone"
    parser.add_argument("--look", action="store_true", help=seen)
    parser.add_argument("--overview", type=Path, help="another overview network than the one that ships")
    also = "with --expert: also by way of the open reference CTs, as exported prompts go"
    within = "only what Segment gives, which asks the network near the carried mask; also from all teachers together"
    parser.add_argument("--as-segment", action="store_true", help=within)
    parser.add_argument("--references", action="store_true", help=also)
    parser.add_argument("--fit", type=Path, help="such a folder: only fit")
    rows = "files of rows: only fit the Dice to expect to them"
    parser.add_argument("--expect", type=Path, nargs="+", metavar="FILE.json", help=rows)
    parser.add_argument("--pairs", help="teacher:patient,... as files: only how they fit")
    options = parser.parse_args()
    if options.fit or options.expect or options.pairs:
        if options.pairs:
            pairs(options.pairs)
        else:
            fit(options.fit) if options.fit else calibrate(options.expect)
        return
    if options.expert:
        by_expert(options)
        return
    rows, began = Rows(options.json), time.perf_counter()
    session = Session(options.backbone, threads=options.threads, overview=options.overview)
    teaching = argparse.Namespace(**{**vars(options), "cases": options.teachers, "margin_mm": None})
    taught_cases: dict[tuple[str, str], TaughtCase] = {}
    shipped = resolve(options.shipped) if options.shipped else {}
    known = list(resolve(options.known).values()) if options.known else None
    for task in tasks(teaching, options.k):
        if options.shipped:
            shared = remembered(task.volume, {task.structure: (task.mask, 1.0)})
            taught_cases[task.case, task.structure] = shipped[task.structure], shared, 1.0
        else:
            taught_cases[task.case, task.structure] = taught(
                session, task, options.k, options.taught, options.margin_mm, known
            )
        print(f"{task.case} {task.structure}: Dice {taught_cases[task.case, task.structure][2]:.3f}", flush=True)
    patients: dict[str, list[Task]] = {}
    for task in tasks(argparse.Namespace(**{**vars(options), "margin_mm": None}), 1):
        patients.setdefault(task.case, []).append(task)
    if options.as_segment:
        as_segment(session, patients, taught_cases, rows)
        return
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
    if not rows:
        return
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
