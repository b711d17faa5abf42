"""What carried-over samples of :mod:`carried` say of how much network, place and grey values should count.

:func:`fit` prints the coefficients of :mod:`PromptSegLib.register.blend` and what each pair would get with coefficients
that were fitted to the other teachers' pairs; :func:`calibrate` prints the line of
:mod:`PromptSegLib.register.expected`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from few_slices import mean

from PromptSegLib.prior import ALONE, NETWORK_LIMIT, SCALE, Location
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.register.blend import COEFFICIENTS, blend_of, log_odds, most_beside, predictors
from PromptSegLib.register.expected import NAMES
from PromptSegLib.register.located import CarriedMask
from PromptSegLib.register.log_odds import LIMIT

NOISE = (0.0, 1.5)
"""Of a prompt's tokens, in their standard deviations: networks that see less of a structure."""


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
        trust=found.fits[0].trust, network_dice=-1.0 if dice is None else dice, knows=prompt.card.knows,
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
        both = {"place": place.astype(np.float32), "grey": grey.astype(np.float32), "trust": float(arrays["trust"])} | {
            "knows": bool(arrays["knows"])
        }
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
    most = most_beside(view["told"], known, None) if view["knows"] else 1.0
    factors = blend_of(view["told"], agrees, [fit], table, known, most, not view["knows"])  # type: ignore[list-item]
    logits = sum(f * view[n] for f, n in zip(factors, ("network", "place", "grey"), strict=False)) + factors[3]
    return np.rint(logits * SCALE) / SCALE


def with_table(view: dict, table: np.ndarray) -> float:
    """Dice of a view with coefficients."""
    found = blended(view, table) > 0
    return float(2 * (found & view["truth"]).sum() / max(1, found.sum() + view["truth"].sum()))


def calibrate(files: Sequence[Path], used: Sequence[int] = (0, 3), ridge: float = 1.0) -> None:
    """Print the line of :mod:`PromptSegLib.register.expected`, from rows of :mod:`carried`:
    only of the signs ``used``, in log-odds; its spread is that of patients whom it was not fitted to."""
    rows = []
    for row in (row for path in files for row in json.loads(path.read_text()).values()):
        if row.get("signs") and row["signs"]["probabilities"] is not None:
            predictors = [log_odds(row["signs"][name] or 0.0) for name in NAMES]
            rows.append((row["case"], predictors, log_odds(row["both"])))
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
