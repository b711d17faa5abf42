"""A whole volume is segmented on its own grid, each structure for itself, and what was drawn comes back as drawn."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import CONTOUR_MM
from PromptSegLib.errors import PromptError, Stopped
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.session import Session
from PromptSegLib.volumes.volume import Grid, Volume

ORGANS = {1: "liver", 2: "spleen", 3: "aorta"}


def with_card(prompt: Prompt, name: str | None = None, **card) -> Prompt:
    structure = prompt.structure if name is None else Structure(name)
    return Prompt(structure, prompt.backbone_id, prompt.tensors, replace(prompt.card, **card))


@pytest.fixture(scope="module")
def whole(session, prompts):
    """All three structures of the phantom."""
    return session.segment(prompts.values())


def test_each_prompt_finds_its_organ(whole, phantom, kit) -> None:
    for value, name in ORGANS.items():
        assert kit.dice(whole.mask(name), phantom.labels == value) > 0.6, name


def test_a_prompt_steers(whole, phantom, kit) -> None:
    """Under its own prompt a structure is found, under another's it is not."""
    for value, name in ORGANS.items():
        for other in ORGANS.values():
            if other != name:
                assert kit.dice(whole.mask(other), phantom.labels == value) < 0.3, (other, name)


def test_the_result_lies_on_exactly_the_volume_s_grid(whole, phantom) -> None:
    assert whole.grid == phantom.volume.grid
    assert whole.labels.shape == phantom.volume.voxels.shape
    assert whole.labels.dtype == np.uint8
    assert [s.name for s in whole.structures] == list(ORGANS.values())
    for name in ORGANS.values():
        assert whole.mask(name).shape == whole.probability(name).shape == phantom.labels.shape
        assert whole.probability(name).dtype == np.float32


def test_masks_probabilities_and_labels_agree(whole) -> None:
    masks = np.stack([whole.mask(n) for n in ORGANS.values()])
    sure = np.stack([whole.probability(n) for n in ORGANS.values()])
    assert np.array_equal(masks, sure > 0.5)
    assert 0 <= sure.min() <= sure.max() <= 1
    assert np.array_equal(whole.labels > 0, masks.any(0))
    k, j, i = np.nonzero(whole.labels)
    assert (sure[whole.labels[k, j, i] - 1, k, j, i] == sure.max(0)[k, j, i]).all()


def test_structures_do_not_depend_on_each_other(session, prompts, whole) -> None:
    for name, prompt in prompts.items():
        alone = session.segment([prompt])
        assert np.array_equal(alone.mask(name), whole.mask(name))
        assert np.array_equal(alone.probability(name), whole.probability(name))
    turned = session.segment(reversed(list(prompts.values())))
    assert np.array_equal(turned.mask("liver"), whole.mask("liver"))


def test_overlaps_are_kept_in_masks(session, prompts) -> None:
    twin = with_card(prompts["liver"], "twin of the liver")
    both = session.segment([prompts["liver"], twin])
    assert both.mask("liver").any()
    assert np.array_equal(both.mask("liver"), both.mask("twin of the liver"))
    assert np.array_equal(both.labels, both.mask("liver") * np.uint8(1))


def test_a_prompt_with_a_second_look_takes_the_mean_of_both(session, prompts, phantom) -> None:
    """The other look is that under the tokens which the backbone shares out."""
    own = dict(prompts["liver"].tensors)
    shared = {**own, **{k: v.float().cpu() for k, v in session.backbone.shared.items()}}
    looks = {"both": own, "own": own, "other": shared}
    cards = {n: replace(prompts["liver"].card, shared_pass=n == "both") for n in looks}
    asked = [Prompt(Structure(n), session.backbone.id, t, cards[n]) for n, t in looks.items()]
    maps = session.segment(asked).maps
    for k in range(8, 16):
        both, one, other = (maps[n].slices[k].astype(float) for n in looks)
        free = (np.abs(one) < 100) & (np.abs(other) < 100) & (np.abs(both) < 100)  # neither cut off nor cleaned away
        assert free.any()
        assert np.abs(both - (one + other) / 2)[free].max() <= 1.5


def test_prompts_that_share_their_deep_tokens_take_one_pass(session, prompts, monkeypatch) -> None:
    shared = {k: v.float().cpu() for k, v in session.backbone.shared.items()}
    cards = {n: replace(prompts[n].card, shared_tokens=True) for n in ("liver", "spleen")}
    asked = [Prompt(Structure(n), session.backbone.id, {**prompts[n].tensors, **shared}, c) for n, c in cards.items()]
    apart = [replace(p, card=replace(p.card, shared_tokens=False)) for p in asked]
    expected = session.segment(apart)
    passes = []
    original = session.backbone.net.decoded
    monkeypatch.setattr(session.backbone.net, "decoded", lambda *a: passes.append(len(a)) or original(*a))
    found = session.segment(asked)
    together = len(passes)
    session.segment(apart)
    assert len(passes) - together == 2 * together
    for name in cards:
        assert np.array_equal(found.mask(name), expected.mask(name))


def test_one_structure_twice_is_refused(session, prompts) -> None:
    with pytest.raises(PromptError, match="'liver' was asked for twice"):
        session.segment([prompts["liver"], prompts["liver"]])


def test_different_windows_and_planes_in_one_call(session, prompts) -> None:
    others = [
        with_card(prompts["liver"], "narrow", window=[-100.0, 250.0]),
        with_card(prompts["liver"], "coronal", plane="coronal"),
        with_card(prompts["spleen"], "coarse", spacing=3.0),
    ]
    together = session.segment([prompts["liver"], *others])
    for prompt in (prompts["liver"], *others):
        alone = session.segment([prompt])
        assert np.array_equal(alone.mask(prompt.structure.name), together.mask(prompt.structure.name))
    assert not np.array_equal(together.mask("narrow"), together.mask("liver"))
    claimed = np.stack([together.mask(s.name) for s in together.structures])
    assert np.array_equal(together.labels > 0, claimed.any(0))


def drawn_by_hand(phantom, axis: int, status: SliceStatus) -> SliceAnnotations:
    """A rectangle, of which a draft knows only a part, in two slices."""
    shape = [n for a, n in enumerate(phantom.labels.shape) if a != axis]
    mask = np.full(shape, IGNORE if status is SliceStatus.DRAFT else 0, np.uint8)
    if status is not SliceStatus.ABSENT:
        mask[4:9, 5:12] = 1
        mask[9:13, 5:12] = 0
    return SliceAnnotations(axis, phantom.volume.grid, {10: Slice(status, mask), 13: Slice(status, mask)})


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("status", [SliceStatus.COMPLETE, SliceStatus.ABSENT, SliceStatus.DRAFT])
def test_drawn_slices_come_back_exactly_as_drawn(session, prompts, whole, phantom, axis, status) -> None:
    drawn = drawn_by_hand(phantom, axis, status)
    result = session.segment([prompts["liver"]], drawn={"liver": drawn})
    mask, labels = (np.moveaxis(a, axis, 0) for a in (result.mask("liver"), result.labels))
    for index, one in drawn.slices.items():
        known = one.labelled() != IGNORE
        assert np.array_equal(mask[index][known], one.labelled()[known] == 1)
        assert np.array_equal(labels[index][known], one.labelled()[known] == 1)
    if status is SliceStatus.DRAFT:  # what is not decided by hand is the network's
        free = drawn.slices[10].labelled() == IGNORE
        before = np.moveaxis(whole.mask("liver"), axis, 0)
        assert mask[10][free].any() or not before[10][free].any()


def test_drawn_slices_of_one_structure_leave_the_others_alone(session, prompts, whole, phantom) -> None:
    drawn = drawn_by_hand(phantom, 0, SliceStatus.COMPLETE)
    result = session.segment(prompts.values(), drawn={"liver": drawn})
    assert np.array_equal(result.mask("spleen"), whole.mask("spleen"))


def test_far_beyond_the_drawing_nothing_is_computed(session, prompts, phantom, kit, monkeypatch) -> None:
    """There the drawing keeps the mask empty, so that the network need not look."""
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, 1, [10, 13])
    net = session.backbone.net
    encode, seen = net.encode, []
    monkeypatch.setattr(net, "encode", lambda images: (seen.append(len(images)), encode(images))[1])

    def found(reach_mm: float):
        seen.clear()
        monkeypatch.setattr("PromptSegLib.segment.result.BEYOND_MM", reach_mm)
        return session.segment([prompts["liver"]], drawn={"liver": drawn}).mask("liver"), sum(seen)

    near, few = found(8.0)  # two slices on either side
    every, all_slices = found(1000.0)
    assert (few, all_slices) == (8, 24)
    assert kit.dice(near, every) > 0.999
    monkeypatch.undo()
    both = session.segment(prompts.values(), drawn={"liver": drawn})  # the others are looked for everywhere
    assert kit.dice(both.mask("liver"), every) > 0.999


@pytest.mark.parametrize(
    ("order", "flips"), [((0, 1, 2), (0,)), ((0, 1, 2), (1, 2)), ((2, 0, 1), ()), ((1, 2, 0), (0, 2))]
)
def test_a_flipped_or_permuted_copy_gives_the_same_mask(session, trained, prompts, whole, phantom, kit, order, flips):
    voxels, grid = kit.turn(phantom.volume.voxels, phantom.volume.grid, order, flips)
    other = Session(trained / "tiny.safetensors", "cpu", threads=1)
    other.set_volume(Volume(voxels, grid))
    found = other.segment([prompts["liver"]])
    assert found.grid == grid
    expected, _ = kit.turn(whole.mask("liver"), phantom.volume.grid, order, flips)
    assert kit.dice(found.mask("liver"), expected) > 0.97


def test_a_single_slice(trained, prompts, phantom, kit) -> None:
    from PromptSegLib.volumes.volume import Grid

    grid = phantom.volume.grid
    one = Grid((*grid.size[:2], 1), grid.origin, grid.spacing, grid.direction)
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(Volume(phantom.volume.voxels[12:13], one))
    result = session.segment(prompts.values())
    assert result.labels.shape == (1, 48, 48)
    assert kit.dice(result.mask("liver"), phantom.labels[12:13] == 1) > 0.6


@pytest.fixture(scope="module")
def oblique(phantom):
    """The phantom in slices that are tilted by 25 degrees: the volume, and its labels."""
    grid, turn = phantom.volume.grid, np.deg2rad(25)
    tilt = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    matrix = grid.ijk_to_ras.copy()
    middle = matrix[:3] @ [*(np.array(grid.size) - 1) / 2, 1]
    matrix[:3, :3] = tilt @ matrix[:3, :3]
    matrix[:3, 3] = middle + tilt @ (grid.ijk_to_ras[:3, 3] - middle)
    back = (np.linalg.inv(grid.ijk_to_ras) @ matrix)[[2, 1, 0]][:, [2, 1, 0, 3]]
    where = {"matrix": back[:, :3], "offset": back[:, 3]}
    voxels = ndimage.affine_transform(phantom.volume.voxels, **where, order=1, cval=-1000)
    labels = ndimage.affine_transform(phantom.labels, **where, order=0)
    return Volume(voxels, Grid.from_ijk_to_ras(matrix, voxels.shape)), labels


def test_oblique_slices_are_seen_straight(trained, prompts, oblique, kit) -> None:
    volume, labels = oblique
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(volume)
    reports = []
    result = session.segment(prompts.values(), on_progress=reports.append)
    assert result.grid == volume.grid
    assert any("canonical axes" in r.message for r in reports)
    assert [r.fraction for r in reports] == sorted(r.fraction for r in reports)
    for value, name in ORGANS.items():
        assert kit.dice(result.mask(name), labels == value) > 0.6, name
        assert np.array_equal(result.mask(name), result.probability(name) > 0.5)

    # What is drawn was drawn in these slices, and so is seen in them.
    drawn = SliceAnnotations(
        0, volume.grid, {k: Slice(SliceStatus.COMPLETE, (labels[k] == 1).astype(np.uint8)) for k in (8, 12, 16)}
    )
    reports.clear()
    result = session.segment([prompts["liver"]], drawn={"liver": drawn}, on_progress=reports.append)
    assert reports
    assert not any("canonical axes" in r.message for r in reports)
    assert np.array_equal(result.mask("liver")[12], labels[12] == 1)


def test_progress_never_falls_and_ends_at_one(session, prompts, phantom) -> None:
    reports = []
    others = [prompts["spleen"], with_card(prompts["liver"], "coronal", plane="coronal")]
    session.segment([prompts["liver"], *others], on_progress=reports.append)
    shares = [r.fraction for r in reports]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert sum(s < 1 for s in shares) > 5


def test_stopping_delivers_nothing(session, prompts) -> None:
    asked = []

    def stop_at(count: int):
        def should_stop() -> bool:
            asked.append(time.monotonic())
            return len(asked) >= count

        return should_stop

    session.segment(prompts.values(), should_stop=stop_at(10**9))
    total = len(asked)
    assert total > 20
    for count in (1, total // 4, total // 2, total):
        asked.clear()
        with pytest.raises(Stopped):
            session.segment(prompts.values(), should_stop=stop_at(count))
        assert len(asked) == count  # it is not asked again, and nothing goes on


def test_a_prompt_of_another_backbone_is_refused(session, prompts) -> None:
    liver = prompts["liver"]
    with pytest.raises(PromptError) as refused:
        session.segment([Prompt(liver.structure, "ff" * 32, liver.tensors, liver.card)])
    assert session.backbone.id[:12] in str(refused.value)
    assert "ff" * 6 in str(refused.value)


def test_a_prompt_that_finds_nothing_gives_an_empty_mask(session, prompts) -> None:
    liver = prompts["liver"]
    swapped = {**liver.tensors, "head.foreground": liver.tensors["head.background"]}
    result = session.segment([Prompt(Structure("nothing"), liver.backbone_id, swapped, liver.card)])
    assert not result.mask("nothing").any()
    assert not result.labels.any()


def test_the_shipped_set_has_a_prompt_for_each_organ(prompts) -> None:
    assert isinstance(prompts, PromptSet)
    assert set(prompts) == set(ORGANS.values())


def test_with_drawn_slices_a_structure_is_kept_on_a_finer_grid(trained, prompts, phantom, kit) -> None:
    """Of the same patient in twice as many pixels: the network sees what it saw, and the drawing keeps its detail."""
    half = phantom.volume.grid.ijk_to_ras.copy()
    half[:3, :2] /= 2
    half[:3, 3] -= half[:3, :2] @ [0.5, 0.5]
    voxels, labels = (a.repeat(2, 1).repeat(2, 2) for a in (phantom.volume.voxels, phantom.labels))
    grid = Grid.from_ijk_to_ras(half, voxels.shape)
    own = Session(trained / "tiny.safetensors", "cpu", threads=1)
    own.set_volume(Volume(voxels, grid))
    drawn = SliceAnnotations.from_labels(labels, grid, 1, [8, 16])
    alone = with_card(prompts["liver"], contour_weight=0.0, components="all", taught_on=(grid,))
    plain, found = own.segment([alone]), own.segment([alone], drawn={"liver": drawn})
    assert plain.maps["liver"].work.spacing == 2.0
    assert found.maps["liver"].work.spacing == CONTOUR_MM[0]
    assert np.array_equal(found.mask("liver")[[8, 16]], labels[[8, 16]] == 1)
    between = slice(9, 16)
    assert kit.dice(found.mask("liver")[between], plain.mask("liver")[between]) > 0.97
    assert np.abs(found.probability("liver") - plain.probability("liver"))[between].mean() < 0.01
