"""Prompts applied to a volume, slice batch by slice batch; where its slices are oblique and nothing was drawn in them,
on canonical ones.

Each batch is encoded once for all structures that see it in the same way (plane, spacing, window); a structure's logits
are kept as int8 and only for slices that show a sign of it, so that memory stays small for long volumes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from ..annotations import SliceAnnotations
from ..errors import PromptError, quoted
from ..model.backbone import Backbone
from ..model.blocks import directions
from ..prior import NETWORK_LIMIT, SCALE, Location, Prior
from ..progress import OnProgress, Progress, ShouldStop, check, ignore, never
from ..prompts.promptset import Prompt
from ..volumes.canonical import is_oblique, resampled_back, resampled_to_canonical
from ..volumes.preprocess import FULL_WINDOW, WorkingVolume
from ..volumes.volume import Volume
from .overview import Overview
from .postprocess import clean
from .result import FILL, NO_SIGN, LogitMap, Segmentation

BATCH = 8
KNOWN = 0.8
"""How far a network must know a structure by itself (:meth:`Location.known`) to be asked once more without a box."""
Box = tuple[slice, slice]


class WorkingVolumes:
    """The working grids of one volume, made once for each plane and spacing."""

    def __init__(self, volume: Volume) -> None:
        self.volume = volume
        self._made: dict[tuple, WorkingVolume] = {}
        self._canonical: WorkingVolumes | None = None

    def get(self, plane: str | int = "axial", spacing: float = 2.0) -> WorkingVolume:
        """By plane ("axial", "coronal", "sagittal") or by array axis (0 = K, 1 = J, 2 = I)."""
        from ..volumes.preprocess import axis_of_plane

        axis = axis_of_plane(self.volume.grid, plane) if isinstance(plane, str) else plane
        key = (axis, round(float(spacing), 3))
        if key not in self._made:
            self._made[key] = WorkingVolume(self.volume, axis=axis, spacing=spacing)
        return self._made[key]

    def canonical(self, should_stop: ShouldStop = never) -> WorkingVolumes:
        """Those of the same volume on canonical axes. Raises ``Stopped``."""
        if self._canonical is None:
            self._canonical = WorkingVolumes(resampled_to_canonical(self.volume, should_stop))
        return self._canonical


def segment(
    backbone: Backbone,
    works: WorkingVolumes,
    prompts: Sequence[Prompt],
    *,
    drawn: Mapping[str, SliceAnnotations] | None = None,
    priors: Mapping[str, Prior] | None = None,
    crops: Mapping[str, Box] | None = None,
    locations: Mapping[str, Location] | None = None,
    corrections: Mapping[str, Callable[[LogitMap], None]] | None = None,
    overview: Overview | None = None,
    on_progress: OnProgress = ignore,
    should_stop: ShouldStop = never,
) -> Segmentation:
    """Segment the volume of ``works`` with ``prompts``; see :meth:`PromptSegLib.session.Session.segment`.

    ``priors`` gives, by structure name, what is added to the network's logits, and ``crops`` the part (rows, columns)
    of the working grid that is looked at: outside of it there is nothing of the structure. ``locations`` gives what
    other patients tell of where the structure is, and ``corrections`` what brings to a map what drawn slices tell of
    their neighbours. ``overview`` is asked for the structures whose cards give it a share. Raises
    :class:`PromptError` for a structure that is asked for twice or a prompt of another backbone, and ``Stopped``.
    """
    drawn, priors, crops, locations = drawn or {}, priors or {}, crops or {}, locations or {}
    corrections = corrections or {}
    names = [p.structure.name for p in prompts]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise PromptError(f"{quoted([twice])} was asked for twice", "name each structure once")
    for prompt in prompts:
        prompt.check(backbone.shapes(), backbone.id, backbone.name)

    groups: dict[tuple, list[Prompt]] = {}
    for prompt in prompts:
        there = locations.get(prompt.structure.name)
        box = crops.get(prompt.structure.name, None if there is None else there.crop)
        where = None if box is None else tuple((part.start, part.stop) for part in box)
        by_hand = prompt.structure.name in drawn
        groups.setdefault((*_view(prompt), where, by_hand), []).append(prompt)
    seconds = {"prepare": 0.0, "network": 0.0, "clean": 0.0, "export": 0.0}
    maps: dict[str, LogitMap] = {}
    done, total = 0.0, float(sum(0.8 + len(g) for g in groups.values()))
    for (plane, spacing, window, where, by_hand), group in groups.items():
        work = works.get(plane, spacing)
        for prompt in group:
            name = prompt.structure.name
            prior = priors.get(name, Prior())
            own = drawn[name].native_slices(work.axis) if by_hand else {}
            there = locations.get(name)
            span = None if there is None else there.span
            maps[name] = LogitMap(prior.work or work, drawn=own, prior=prior, span=span)
        cost = 0.8 + len(group)

        def report(share: float, message: str, base: float = done, cost: float = cost) -> None:
            on_progress(Progress("segment", 0.95 * min(1.0, (base + share * cost) / total), message))

        crop = None if where is None else (slice(*where[0]), slice(*where[1]))
        if by_hand or not is_oblique(works.volume.grid, work.axis):
            _run(backbone, work, window, group, maps, overview, seconds, report, should_stop, crop)
        else:
            start = time.perf_counter()
            report(0.0, "Resampling oblique slices to canonical axes")
            canonical = works.canonical(should_stop).get(plane, spacing)
            seconds["prepare"] += time.perf_counter() - start
            seen = {p.structure.name: LogitMap(canonical) for p in group}
            _run(backbone, canonical, window, group, seen, overview, seconds, report, should_stop, crop)
            for name, found in seen.items():
                check(should_stop)
                _resample_back(found, maps[name])
        done += cost

    for prompt in prompts:
        check(should_stop)
        start = time.perf_counter()
        if prompt.structure.name in locations:
            there, found = locations[prompt.structure.name], maps[prompt.structure.name]
            if there.known(found.slices) > KNOWN and there.cut(found.slices, found.work.count):
                found = maps[prompt.structure.name] = _everywhere(backbone, works, prompt, found, overview, should_stop)
            found.locate(there)
        if prompt.structure.name in corrections:
            corrections[prompt.structure.name](maps[prompt.structure.name])
        clean_map(maps[prompt.structure.name], prompt.card.components)
        seconds["clean"] += time.perf_counter() - start
    start = time.perf_counter()
    labels, counts = _labels(works.volume, [maps[n] for n in names], on_progress, should_stop)
    seconds["export"] = time.perf_counter() - start
    on_progress(Progress("segment", 1.0, "Done"))
    return Segmentation(
        labels,
        works.volume.grid,
        tuple(p.structure for p in prompts),
        maps,
        seconds,
        dict(zip(names, counts, strict=True)),
    )


def beside_overview(logits: np.ndarray, overview: np.ndarray | None, share: float, crop: Box | None) -> np.ndarray:
    """PUNet's logits of a ``crop`` and those of the overview network for the whole slice, of which a ``share`` counts;
    both are held within a limit. PUNet's alone where the other does not know the structure."""
    if overview is None:
        return logits
    wide = overview if crop is None else overview[crop]
    own, other = (np.clip(one, -NETWORK_LIMIT, NETWORK_LIMIT) for one in (logits, wide))
    return (1 - share) * own + share * other


def _view(prompt: Prompt) -> tuple:
    """How a prompt was taught to see a volume."""
    return prompt.card.plane, prompt.card.spacing, prompt.card.window or FULL_WINDOW


@torch.inference_mode()
def _run(backbone, work, window, group, maps, overview, seconds, report, should_stop, crop) -> None:
    """Fill the logit maps of one group of prompts that share a view and a crop."""
    net, place = backbone.net, backbone.device
    tensors = [{k: v.to(place, backbone.dtype) for k, v in p.tensors.items()} for p in group]
    wanted = [maps[p.structure.name].wanted() for p in group]
    every = sorted(set.union(*wanted))
    asked = [p.card.overview[0] for p in group if p.card.overview is not None]
    beside = [] if overview is None or not asked else overview.known(dict.fromkeys(asked))
    if beside:
        report(0.0, "Looking at the whole volume")
        start = time.perf_counter()
        overview.find(beside, should_stop)
        seconds["network"] += time.perf_counter() - start
    common = backbone.shared if any(p.card.shared_pass or p.card.shared_tokens for p in group) else None
    for first in range(0, len(every), BATCH):
        check(should_stop)
        indices = every[first : first + BATCH]
        start = time.perf_counter()
        images = torch.from_numpy(work.inputs(indices, window)).to(place, backbone.dtype)
        images = images if crop is None else images[:, crop[0], crop[1]].contiguous()
        seconds["prepare"] += time.perf_counter() - start
        start = time.perf_counter()
        encoded = net.encode(images)
        features = None if common is None else directions(net.pixel_features(encoded, common))
        around = [dict(zip(beside, overview.at(work, index, beside), strict=True)) for index in indices if beside]
        for n, (prompt, prompt_tensors) in enumerate(zip(group, tensors, strict=True)):
            check(should_stop)
            own = [at for at, index in enumerate(indices) if index in wanted[n]]
            if own:
                some = len(own) < len(indices)
                card, parts = prompt.card, []
                if features is None or not card.shared_tokens:
                    parts.append(net.decode(encoded.select(own) if some else encoded, prompt_tensors).float())
                if features is not None and (card.shared_pass or card.shared_tokens):
                    seen = features[own] if some else features
                    parts.append(net.compare_along(seen, prompt_tensors, encoded.size).float())
                values = (sum(parts) / len(parts)).cpu().numpy()
                found = maps[prompt.structure.name]
                for at, plane in zip(own, values, strict=True):
                    if beside and card.overview is not None:
                        wide = around[at].get(card.overview[0])
                        plane = beside_overview(plane, wide, card.overview[1], crop)
                    found.put(indices[at], plane if crop is None else _framed(plane, crop, work.size), work)
            share = (first + len(indices) * (n + 1) / len(group)) / len(every)
            report(min(1.0, share), f"slice {indices[-1] + 1} of {work.count}")
        seconds["network"] += time.perf_counter() - start


def _everywhere(
    backbone: Backbone,
    works: WorkingVolumes,
    prompt: Prompt,
    found: LogitMap,
    overview: Overview | None,
    should_stop: ShouldStop,
) -> LogitMap:
    """The network asked once more, in the whole volume: what it knows goes on beyond the part that it was asked in."""
    plane, spacing, window = _view(prompt)
    everywhere = LogitMap(found.work, drawn=found.drawn, prior=found.prior)
    _run(backbone, works.get(plane, spacing), window, [prompt], {prompt.structure.name: everywhere}, overview,
         {"prepare": 0.0, "network": 0.0}, lambda share, message: None, should_stop, None)  # fmt: skip
    return everywhere


def _resample_back(found: LogitMap, target: LogitMap) -> None:
    """Logits of canonical slices, on the slices that the volume has; canonical ones without a sign are surely empty."""
    empty = round(-NETWORK_LIMIT * SCALE)
    values = np.full((found.work.count, *found.work.size), empty, np.int8)
    for index, plane in found.slices.items():
        values[index] = plane
    target.slices.update(resampled_back(values, found.work, target.work, round(NO_SIGN * SCALE), empty))


def _framed(plane: np.ndarray, crop: Box, size: tuple[int, int]) -> np.ndarray:
    """A crop's logits in the whole slice, with nothing around them."""
    out = np.full(size, FILL, np.float32)
    out[crop] = plane
    return out


def clean_map(logits: LogitMap, components: str) -> None:
    """Push what post-processing takes away below zero, so that masks, maps and probabilities agree."""
    if not logits.slices:
        return
    low, high = min(logits.slices), max(logits.slices) + 1
    nothing = np.full(logits.work.size, NO_SIGN * SCALE, np.int8)
    values = np.stack([logits.slices.get(k, nothing) for k in range(low, high)])
    found = values > 0
    seeds = None
    if logits.drawn:
        seeds = np.zeros_like(found)
        for k, mask in logits.drawn.items():
            if low <= k < high:
                seeds[k - low] = logits.work.mask_to_working(mask == 1) > 0.5
        found |= seeds
    kept = clean(found, components, seeds, values)
    for k in range(low, high):
        wrong = found[k - low] & ~kept[k - low]
        if k in logits.slices and wrong.any():
            logits.slices[k] = np.where(wrong, np.int8(FILL * SCALE), logits.slices[k])


def _labels(
    volume: Volume, maps: Sequence[LogitMap], on_progress: OnProgress, should_stop: ShouldStop
) -> tuple[np.ndarray, list[int]]:
    """The label map on the native grid, streamed: slices of one axis are argmaxed together; other axes are merged
    in. And how many voxels each map's own mask has."""
    counts = [0] * len(maps)
    labels = np.zeros(volume.voxels.shape, np.uint8 if len(maps) < 256 else np.uint16)
    axes = sorted({m.work.axis for m in maps})
    best = np.zeros(volume.voxels.shape, np.int8) if len(axes) > 1 else None
    for turn, axis in enumerate(axes):
        own = [(n + 1, m) for n, m in enumerate(maps) if m.work.axis == axis]
        out = np.moveaxis(labels, axis, 0)
        highest = None if best is None else np.moveaxis(best, axis, 0)
        for index in range(len(out)):
            check(should_stop)
            there = [(value, m) for value, m in own if index in m.slices or index in m.drawn]
            if not there:
                continue
            top = np.zeros(out.shape[1:], np.float32) if highest is None else highest[index].astype(np.float32) / SCALE
            for value, m in there:
                found = m.native(index)
                if found is not None:
                    box, logits = found
                    counts[value - 1] += int(np.count_nonzero(logits > 0))
                    wins = logits > top[box]
                    out[index][box][wins] = value
                    top[box][wins] = logits[wins]
            if highest is not None:
                highest[index] = np.clip(top * SCALE, 0, 127).astype(np.int8)
            if index % 16 == 0:
                share = (turn + index / len(out)) / len(axes)
                on_progress(Progress("export", 0.95 + 0.05 * share, "Writing masks to the volume's grid"))
    return labels, counts
