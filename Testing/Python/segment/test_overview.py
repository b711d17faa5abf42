"""What the overview network sees is brought to PUNet's slices in its right place, and counts as a card says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from PromptSegLib.annotations import Slice, SliceAnnotations, SliceStatus
from PromptSegLib.errors import BackboneError, Stopped
from PromptSegLib.model.overview_net import OverviewNet, write_overview_net
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.register.picture import Region, mask_in, part_of, picture_of
from PromptSegLib.segment.overview import MARGIN_MM, NOTHING, Overview
from PromptSegLib.segment.segmenter import WorkingVolumes, segment
from PromptSegLib.session import Session
from PromptSegLib.volumes.preprocess import WorkingVolume
from PromptSegLib.volumes.volume import Grid, Volume


class Told:
    """A network that finds what it is told."""

    structures = ("liver", "spleen", "aorta")

    def __init__(self, found: dict[str, np.ndarray], *closer: str) -> None:
        self.found, self.asked, self.closer = found, [], closer

    def logits(self, grey, names, should_stop=lambda: False):
        if should_stop():
            raise Stopped
        self.asked.append(tuple(names))
        return np.stack([self.found[name] for name in names]).astype(np.float16)


def seen_in(volume: Volume, masks: dict[str, np.ndarray]) -> tuple[Overview, Told]:
    """An overview of a volume that is sure of ``masks`` (K, J, I)."""
    picture = picture_of(volume)
    told = Told({name: 12 * mask_in(picture, mask, volume.grid) - 6 for name, mask in masks.items()})
    return Overview(picture.grey, picture.origin, picture.spacing, lambda: told), told


class Closer:
    """A network that finds a ball of another size in whatever picture it is given."""

    structures = ("liver", "spleen")

    def __init__(self, radius: dict[float, float], *closer: str) -> None:
        self.radius, self.closer, self.around, self.pictures = radius, closer, closer, []

    def sees(self, volume: Volume) -> Overview:
        whole = picture_of(volume)
        self.pictures = [whole]

        def part(low, high, spacing: float, should_stop):
            found = part_of(volume, Region(tuple(low), tuple(high)), spacing, should_stop)
            self.pictures.append(found)
            return found.grey, found.origin

        return Overview(whole.grey, whole.origin, whole.spacing, lambda: self, part)

    def logits(self, grey, names, should_stop=lambda: False):
        at = next(one for one in self.pictures if one.grey.shape == grey.shape)
        s, a, r = (o + at.spacing * n for o, n in zip(at.origin, np.indices(grey.shape), strict=True))
        ball = s**2 + a**2 + r**2 < self.radius[at.spacing] ** 2
        return np.stack([np.where(ball, 5.0, -5.0)] * len(names)).astype(np.float16)


def tissue(grid: Grid) -> Volume:
    """All body, but for one voxel of air."""
    voxels = np.full(grid.shape, 40, np.int16)
    voxels[0, 0, 0] = -1000
    return Volume(voxels, grid)


def around(work: WorkingVolume, index: int, radius: float) -> np.ndarray:
    """Where a ball around the origin is in a working slice."""
    row, column = np.indices(work.size)
    points = np.stack([np.full(work.size, float(index)), row, column, np.ones(work.size)], -1) @ work.to_ras[:3].T
    return (points**2).sum(-1) < radius**2


@pytest.mark.parametrize("angle", [0.0, 20.0])
def test_what_gains_by_it_is_looked_at_again_and_both_looks_count(angle) -> None:
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    middle = rotation @ (np.array([1.5, 1.5, 3.0]) * [40, 40, 15])
    grid = Grid((81, 81, 31), tuple(-middle), (1.5, 1.5, 3.0), tuple(rotation.ravel().tolist()))
    volume = tissue(grid)
    net = Closer({3.0: 24.0, 2.0: 18.0}, "liver")
    overview = net.sees(volume)
    overview.find(["liver", "spleen"])
    _, part = net.pictures
    assert part.spacing == 2.0
    low = np.array(part.origin)
    high = low + 2.0 * np.array(part.grey.shape)
    assert (low < -24).all()
    assert (high > 24).all()
    if not angle:
        assert max(part.grey.shape) < 2 * (24 + MARGIN_MM + 6) / 2.0
    work = WorkingVolume(volume)
    liver, spleen = overview.at(work, 15, ["liver", "spleen"])
    assert np.abs(liver[around(work, 15, 14.0)] - 5).max() < 0.1
    between = around(work, 15, 20.5) & ~around(work, 15, 19.5)
    assert np.abs(liver[between]).max() < 0.6  # one look says yes, the other no
    assert np.abs(spleen[between] - 5).max() < 0.6  # looked at once
    assert (liver[~around(work, 15, 29.0)] < -4.9).all()


def test_what_else_is_asked_for_changes_no_mask() -> None:
    grid = Grid((61, 61, 21), (-60.0, -60.0, -30.0), (2.0, 2.0, 3.0))
    work, found = WorkingVolume(tissue(grid)), []
    for asked in ([["liver"]], [["liver", "spleen"]], [["spleen"], ["liver"]]):
        net = Closer({3.0: 24.0, 2.0: 18.0}, "liver", "spleen")
        net.around = ("spleen",)
        overview = net.sees(tissue(grid))
        for names in asked:
            overview.find(names)
        assert len(net.pictures) == 2
        found.append(overview.at(work, 10, ["liver"]))
    assert all(np.array_equal(one, found[0]) for one in found)


def test_where_nothing_was_found_there_is_no_second_look() -> None:
    grid = Grid((61, 61, 21), (-60.0, -60.0, -30.0), (2.0, 2.0, 3.0))
    net = Closer({3.0: -1.0, 2.0: 10.0}, "liver")
    net.radius[3.0] = 0.0
    overview = net.sees(tissue(grid))
    overview.find(["liver"])
    assert len(net.pictures) == 1


def test_a_part_that_is_too_large_is_not_looked_at_again(monkeypatch) -> None:
    monkeypatch.setattr("PromptSegLib.segment.overview.MOST", 1000)
    grid = Grid((61, 61, 21), (-60.0, -60.0, -30.0), (2.0, 2.0, 3.0))
    net = Closer({3.0: 20.0, 2.0: 10.0}, "liver")
    overview = net.sees(tissue(grid))
    overview.find(["liver"])
    assert len(net.pictures) == 1


def with_overview(prompt: Prompt, name: str, share: float) -> Prompt:
    return replace(prompt, card=replace(prompt.card, overview=(name, share)))


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_a_place_stays_where_it_is(angle) -> None:
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    grid = Grid((60, 50, 30), (-80.0, -60.0, 300.0), (2.5, 2.5, 4.0), tuple(rotation.ravel().tolist()))
    k, j, i = np.indices(grid.shape)
    body = ((j - 25) / 24) ** 2 + ((i - 30) / 28) ** 2 < 1
    ball = ((k - 17) * 4) ** 2 + ((j - 20) * 2.5) ** 2 + ((i - 38) * 2.5) ** 2 < 18**2
    volume = Volume(np.where(body, 40, -1000).astype(np.int16), grid)
    overview, _ = seen_in(volume, {"liver": ball})
    overview.find(["liver"])
    work = WorkingVolume(volume)
    both = total = 0
    for index in range(work.count):
        there = overview.at(work, index, ["liver"])[0] > 0
        truth = work.mask_to_working(ball[index]) > 0.5
        both += 2 * np.count_nonzero(there & truth)
        total += np.count_nonzero(there) + np.count_nonzero(truth)
    assert both / total > 0.93


def test_beyond_the_picture_there_is_nothing(phantom) -> None:
    picture = picture_of(phantom.volume)
    told = Told({"liver": np.full(picture.grey.shape, 6.0)})
    overview = Overview(picture.grey[4:-4], (picture.origin[0] + 12, *picture.origin[1:]), 3.0, lambda: told)
    told.found["liver"] = told.found["liver"][4:-4]
    overview.find(["liver"])
    work = WorkingVolume(phantom.volume)
    assert (overview.at(work, 0, ["liver"]) == NOTHING).all()
    assert overview.at(work, work.count // 2, ["liver"]).max() == pytest.approx(6.0)


def test_all_of_it_is_what_it_sees_and_none_of_it_changes_nothing(session, prompts, phantom, kit) -> None:
    alone = session.segment([prompts["liver"]])
    other = phantom.labels == 2
    overview, told = seen_in(phantom.volume, {"liver": other})
    works = WorkingVolumes(phantom.volume)
    named = [with_overview(prompts["liver"], "liver", 1.0), prompts["aorta"]]
    whole = segment(session.backbone, works, named, overview=overview)
    assert kit.dice(whole.mask("liver"), other) > 0.8
    assert np.array_equal(whole.mask("aorta"), session.segment([prompts["aorta"]]).mask("aorta"))
    assert told.asked == [("liver",)]
    for prompt in (with_overview(prompts["liver"], "no such structure", 1.0), prompts["liver"]):
        same = segment(session.backbone, works, [prompt], overview=overview)
        assert np.array_equal(same.mask("liver"), alone.mask("liver"))


def test_it_takes_away_what_only_the_slice_showed(session, prompts, phantom) -> None:
    """Half of both: what neither is sure of stays the network's, what the whole does not hold goes."""
    nothing = np.zeros(phantom.labels.shape, bool)
    overview, _ = seen_in(phantom.volume, {"liver": nothing})
    prompt = with_overview(prompts["liver"], "liver", 0.6)
    found = segment(session.backbone, WorkingVolumes(phantom.volume), [prompt], overview=overview)
    assert not found.mask("liver").any()


def test_what_was_drawn_comes_back_as_drawn(session, prompts, phantom) -> None:
    overview, _ = seen_in(phantom.volume, {"liver": phantom.labels == 2})
    liver = (phantom.labels == 1).astype(np.uint8)
    slices = {k: Slice(SliceStatus.COMPLETE, liver[k]) for k in (10, 14)}
    drawn = SliceAnnotations(0, phantom.volume.grid, slices)
    prompt = with_overview(prompts["liver"], "liver", 0.5)
    found = segment(
        session.backbone, WorkingVolumes(phantom.volume), [prompt], drawn={"liver": drawn}, overview=overview
    )
    for k in (10, 14):
        assert np.array_equal(found.mask("liver")[k], liver[k] == 1)


def test_a_stop_is_heard(session, prompts, phantom) -> None:
    overview, _ = seen_in(phantom.volume, {"liver": phantom.labels == 1})
    prompt = with_overview(prompts["liver"], "liver", 0.5)
    with pytest.raises(Stopped):
        segment(session.backbone, WorkingVolumes(phantom.volume), [prompt], overview=overview, should_stop=lambda: True)


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((1, 40, 44), (2.0, 2.0, 5.0)), ((30, 2, 40), (1.0, 1.0, 1.0)), ((3, 3, 3), (0.2, 0.2, 0.2)),
     ((6, 30, 30), (9.0, 9.0, 30.0)), ((220, 6, 6), (3.0, 3.0, 3.0))],
)  # fmt: skip
def test_odd_volumes_are_segmented(trained, prompts, tmp_path, shape, spacing) -> None:
    net, path = OverviewNet(("liver",)), tmp_path / "net.safetensors"
    write_overview_net(path, net, net.state_dict(), {})
    session = Session(trained / "tiny.safetensors", "cpu", threads=1, overview=path)
    voxels = np.random.default_rng(1).integers(-900, 300, shape).astype(np.int16)
    session.set_volume(Volume(voxels, Grid(shape[::-1], (0.0, 0.0, 0.0), spacing)))
    found = session.segment([with_overview(prompts["liver"], "liver", 0.5), prompts["spleen"]])
    assert found.labels.shape == shape


def test_a_volume_that_is_too_large_for_it_is_segmented_without(
    session, trained, prompts, phantom, monkeypatch
) -> None:
    monkeypatch.setattr("PromptSegLib.register.picture.MAX_VOXELS", 10)
    own = Session(trained / "tiny.safetensors", "cpu", threads=1)
    own.set_volume(phantom.volume)
    found = own.segment([with_overview(prompts["liver"], "liver", 0.5)])
    assert np.array_equal(found.mask("liver"), session.segment([prompts["liver"]]).mask("liver"))


def test_a_missing_network_is_said(trained, prompts, phantom, tmp_path) -> None:
    session = Session(trained / "tiny.safetensors", "cpu", threads=1, overview=tmp_path / "none.safetensors")
    session.set_volume(phantom.volume)
    with pytest.raises(BackboneError, match=r"none\.safetensors"):
        session.segment([with_overview(prompts["liver"], "liver", 0.5)])
