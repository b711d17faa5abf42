"""A new structure is learned from a few drawn slices; only what was drawn counts, and the backbone stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.annotations import IGNORE, Slice, SliceAnnotations, SliceStatus
from PromptSegLib.contours.fusion import WEIGHTS
from PromptSegLib.errors import AnnotationError, PromptError, Stopped
from PromptSegLib.model.backbone import weights_id
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.punet import PUNet
from PromptSegLib.prompts.promptset import Prompt
from PromptSegLib.session import Session
from PromptSegLib.tune import tuner
from PromptSegLib.tune.examples import Drawing
from PromptSegLib.tune.fit import Fit
from PromptSegLib.tune.optimise import first_weight

CYST = Structure("cyst")


@pytest.fixture(scope="module")
def phantom(kit):
    """A patient with something that the backbone was never taught."""
    return kit.make_phantom(11, values=(1, 2, kit.new))


@pytest.fixture(scope="module")
def session(trained, phantom) -> Session:
    session = Session(trained / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    return session


@pytest.fixture(scope="module")
def annotations(phantom, kit) -> SliceAnnotations:
    return SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, kit.new, [6, 9, 12], absent=[21])


@pytest.fixture(scope="module")
def events() -> list:
    return []


@pytest.fixture(scope="module")
def result(session, annotations, events):
    return session.tune(annotations, CYST, on_progress=events.append)


def learn(session, annotations: SliceAnnotations, steps: int, seed: int = 0) -> Prompt:
    """Tune for exactly so many steps: nothing is left out to find how many are best."""
    recipe = tuner.TuningRecipe(folds=0)
    work = session._works.get(annotations.axis)
    drawings = [Drawing(work, annotations)]
    return tuner.tune(session.backbone, drawings, CYST, steps=steps, seed=seed, recipe=recipe).prompt


def same(a: Prompt, b: Prompt) -> bool:
    return set(a.tensors) == set(b.tensors) and all(torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors)


def test_a_new_structure_is_learned_from_three_slices(session, result, phantom, kit) -> None:
    mask = session.segment([result.prompt]).mask("cyst")
    truth = phantom.labels == kit.new
    rest = np.setdiff1d(np.arange(24), [6, 9, 12])
    assert kit.dice(mask[rest], truth[rest]) > 0.6
    assert result.leave_one_out_dice > 0.6


def test_what_the_result_says(session, result, annotations) -> None:
    assert set(result.leave_one_out) == {6, 9, 12}
    assert result.leave_one_out_dice == pytest.approx(np.mean(list(result.leave_one_out.values())))
    assert not result.stopped
    assert result.prompt.structure == CYST
    result.prompt.check(session.backbone.shapes(), session.backbone.id)
    assert all(t.dtype == torch.float32 and torch.isfinite(t).all() for t in result.prompt.tensors.values())
    card = result.prompt.card
    assert (card.plane, card.slices, card.volumes, card.rounds) == ("axial", 4, 1, 1)
    assert card.leave_one_slice_out_dice == pytest.approx(result.leave_one_out_dice, abs=1e-4)
    assert 0 < result.network_dice <= 1
    assert card.network_dice == pytest.approx(result.network_dice, abs=1e-4)
    assert 0 < result.seconds["first mask"] < sum(result.seconds.values()) == pytest.approx(result.outcome.seconds)


def test_the_first_mask_comes_before_any_gradient_step(events, result) -> None:
    assert events[0].stage == "first mask"
    assert events[0].metrics["dice"] == result.history[0]["dice"]
    assert {"leave one out", "tune"} <= {e.stage for e in events[1:]}
    assert result.history[0]["step"] == 0


def test_the_first_mask_is_the_proposer_s(session, annotations, monkeypatch) -> None:
    """Without a gradient step, the prompt is what the proposer makes of the drawn slices."""
    first = session.tune(annotations, CYST, steps=0)
    asked = []
    original = type(session.backbone.net.proposer).forward

    def listen(self, memory, inside, outside):
        asked.append(inside.sum())
        return original(self, memory, inside, outside)

    monkeypatch.setattr(type(session.backbone.net.proposer), "forward", listen)
    again = session.tune(annotations, CYST, steps=0)
    assert same(first.prompt, again.prompt)
    assert not first.left_out, "it is wanted at once"
    assert first.prompt.card.contour_weight == first_weight(first.history[0]["dice"])
    assert asked
    assert asked[0] > 0


def test_progress_never_falls_and_ends_at_one(events, result) -> None:
    shares = [e.fraction for e in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_unlabelled_voxels_give_no_loss(session, phantom, kit) -> None:
    """Whatever stands in the mask where nothing is decided, the prompt is the same bit for bit."""
    truth = phantom.labels == kit.new
    random = np.random.default_rng(0)
    slices, scribbled = {}, {}
    for index in (6, 9, 12):
        mask = np.full(truth.shape[1:], IGNORE, np.uint8)
        mask[4:30, 20:44] = truth[index, 4:30, 20:44]
        slices[index] = Slice(SliceStatus.DRAFT, mask)
    scribbled = dict(slices)
    scribbled[15] = Slice(SliceStatus.UNTOUCHED, random.integers(0, 2, truth.shape[1:]).astype(np.uint8))
    scribbled[16] = Slice(SliceStatus.DRAFT, np.full(truth.shape[1:], IGNORE, np.uint8))
    grid = phantom.volume.grid
    a = learn(session, SliceAnnotations(0, grid, slices), 3)
    assert same(a, learn(session, SliceAnnotations(0, grid, scribbled), 3))
    complete = {i: Slice(SliceStatus.COMPLETE, s.mask) for i, s in slices.items()}
    c = learn(session, SliceAnnotations(0, grid, complete), 3)
    assert not same(a, c)  # and it counts where it is decided


def test_no_gradient_comes_from_unlabelled_pixels() -> None:
    from PromptSegLib.model.losses import mask_loss

    logits = torch.randn(2, 8, 8, requires_grad=True)
    valid = (torch.rand(2, 8, 8) > 0.5).float()
    mask_loss(logits, torch.rand(2, 8, 8).round(), valid).sum().backward()
    assert (logits.grad[valid == 0] == 0).all()
    assert (logits.grad[valid == 1] != 0).all()


def test_the_same_seed_gives_the_same_prompt(session, annotations) -> None:
    one = session.tune(annotations, CYST, steps=6, seed=3)
    assert same(one.prompt, session.tune(annotations, CYST, steps=6, seed=3).prompt)
    assert one.leave_one_out == session.tune(annotations, CYST, steps=6, seed=3).leave_one_out


def test_another_seed_gives_other_examples(session, annotations) -> None:
    one = learn(session, annotations, 6, seed=3)
    assert same(one, learn(session, annotations, 6, seed=3))
    assert not same(one, learn(session, annotations, 6, seed=4))


def test_the_backbone_stays_as_it_is(session, annotations) -> None:
    before = weights_id(session.backbone.net.state_dict())
    learn(session, annotations, 2)
    assert weights_id(session.backbone.net.state_dict()) == before
    assert not any(p.requires_grad or p.grad is not None for p in session.backbone.net.parameters())


def test_a_prompt_is_under_one_per_cent_of_the_network() -> None:
    with torch.device("meta"):
        net = PUNet(replace(PUNetConfig(), proposer_width=0))
    own = sum(int(np.prod(shape)) for shape in net.prompt_shapes().values())
    assert own < 0.01 * sum(p.numel() for p in net.parameters())


def test_going_on_from_a_former_round(session, annotations, result) -> None:
    events = []
    kept = session.tune(annotations, CYST, start_from=result.prompt, steps=0, on_progress=events.append)
    assert same(kept.prompt, result.prompt)
    assert kept.prompt.card.contour_weight == result.prompt.card.contour_weight
    assert events[0].metrics["dice"] == pytest.approx(kept.history[0]["dice"])
    more = session.tune(annotations, CYST, start_from=result.prompt)
    assert more.prompt.card.rounds == 2
    assert more.history[0]["dice"] == pytest.approx(kept.history[0]["dice"])
    # The first round's prompt knows the slices that the second leaves out; on another volume it knows none.
    assert kept.network_dice == more.network_dice == result.prompt.card.network_dice
    elsewhere = replace(result.prompt, card=replace(result.prompt.card, taught_on=("another",)))
    assert session.tune(annotations, CYST, start_from=elsewhere).network_dice != more.network_dice
    foreign = Prompt(CYST, "ff" * 32, result.prompt.tensors, result.prompt.card)
    with pytest.raises(PromptError, match="was learned on backbone ffffff"):
        session.tune(annotations, CYST, start_from=foreign)


def test_stopping_before_the_first_mask_delivers_nothing(session, annotations) -> None:
    with pytest.raises(Stopped):
        session.tune(annotations, CYST, should_stop=lambda: True)


def test_stopping_later_keeps_the_best_so_far(session, annotations) -> None:
    events = []
    first = session.tune(annotations, CYST, steps=0)
    early = session.tune(annotations, CYST, on_progress=events.append, should_stop=lambda: bool(events))
    assert early.stopped
    assert same(early.prompt, first.prompt)
    assert early.leave_one_out_dice is None
    events.clear()

    def tuning() -> bool:
        return bool(events) and events[-1].stage == "tune" and events[-1].metrics["step"] >= 12

    one = SliceAnnotations(0, annotations.grid, {9: annotations.slices[9]})
    late = session.tune(one, CYST, on_progress=events.append, should_stop=tuning)
    assert late.stopped
    told = {e.metrics["step"]: e.metrics["dice"] for e in events if "dice" in e.metrics}
    kept = late.prompt.card.steps
    assert told.get(kept, 1.0) >= max(told.values())  # the step at which it was stopped is told by nobody else
    assert events[-1].fraction == 1.0
    assert same(late.prompt, session.tune(one, CYST, steps=0).prompt) is (kept == 0)


@pytest.mark.parametrize("after", [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
def test_whenever_it_is_stopped_the_best_so_far_on_left_out_slices_is_kept(session, annotations, after) -> None:
    """At every moment of the run, leaving slices out included; and the step that was kept is said."""
    events: list = []
    found = session.tune(
        annotations, CYST, steps=20, on_progress=events.append,
        should_stop=lambda: bool(events) and events[-1].fraction >= after,
    )  # fmt: skip
    assert found.stopped
    curves: dict = {}
    for event in events:
        if "left_out_dice" in event.metrics:
            curves.setdefault(event.metrics["step"], []).append(event.metrics["left_out_dice"])
    reached = {e.metrics["step"] for e in events if e.stage == "tune" and "dice" in e.metrics}
    means = {step: np.mean(dice) for step, dice in curves.items() if len(dice) == 3 and step in reached}
    best = max(means, key=lambda step: (means[step], step), default=0)
    assert found.steps == found.prompt.card.steps == best
    assert events[-1].message == f"Stopped; step {best} of 20 is kept"
    assert (found.leave_one_out_dice is None) == (not means)
    if means:
        assert found.network_dice == pytest.approx(means[best])


@pytest.mark.parametrize(("after", "kept"), [(0.1, 0), (0.3, 5), (0.55, 10), (0.8, 10), (0.95, 10), (2.0, 10)])
def test_the_best_step_is_kept_from_the_moment_on_that_it_is_known(
    session, annotations, monkeypatch, after, kept
) -> None:
    """Left-out slices are found best after ten steps; 2.0 is a run that nobody stops."""
    looked: dict[int, int] = {}

    def look(self, n: int, tensors) -> tuple[np.ndarray, bool]:
        looked[n] = looked.get(n, -1) + 1
        return np.full((len(WEIGHTS), 2), [0.2, 0.5, 0.9, 0.7, 0.6][looked[n]]), True

    monkeypatch.setattr(Fit, "_evaluate", look)
    events: list = []
    found = session.tune(
        annotations, CYST, steps=20, on_progress=events.append,
        should_stop=lambda: bool(events) and events[-1].fraction >= after,
    )  # fmt: skip
    assert (found.steps, found.stopped) == (kept, after <= 1)
    assert not kept or found.network_dice == [0.2, 0.5, 0.9][kept // 5]
    assert (found.prompt.card.steps, found.outcome.steps) == (kept, kept)


def test_what_is_kept_after_a_stop_is_what_the_run_had_at_that_step(session, annotations, monkeypatch) -> None:
    def run(after: float) -> tuner.TuningResult:
        looked: dict[int, int] = {}
        events: list = []

        def look(self, n: int, tensors) -> tuple[np.ndarray, bool]:
            looked[n] = looked.get(n, -1) + 1
            return np.full((len(WEIGHTS), 2), [0.2, 0.9, 0.7][looked[n]]), True

        monkeypatch.setattr(Fit, "_evaluate", look)
        return session.tune(
            annotations, CYST, steps=10, on_progress=events.append,
            should_stop=lambda: bool(events) and events[-1].fraction >= after,
        )  # fmt: skip

    whole, stopped = run(2.0), run(0.7)
    assert (whole.stopped, stopped.stopped) == (False, True)
    assert whole.steps == stopped.steps == 5
    assert same(whole.prompt, stopped.prompt)


def test_with_nothing_to_leave_out_the_drawn_slices_are_the_measure(session, annotations, monkeypatch) -> None:
    """The best of what was looked at, not the latest."""
    one = SliceAnnotations(0, annotations.grid, {9: annotations.slices[9]})
    events: list = []
    measured = iter([0.5, 0.9, 0.7, 0.6])
    monkeypatch.setattr(Fit, "_dice", lambda *_: next(measured))
    found = session.tune(
        one, CYST, steps=20, on_progress=events.append,
        should_stop=lambda: bool(events) and events[-1].stage == "tune" and events[-1].metrics["step"] >= 12,
    )  # fmt: skip
    assert found.stopped
    assert found.steps == 5


def test_a_run_that_is_not_stopped_chooses_by_left_out_slices(session, annotations, result, events) -> None:
    means: dict = {}
    for event in events:
        if "left_out_dice" in event.metrics:
            means.setdefault(event.metrics["step"], []).append(event.metrics["left_out_dice"])
    best = max(means, key=lambda step: (np.mean(means[step]), step))
    assert result.steps == best
    assert result.network_dice == pytest.approx(np.mean(means[best]))


def test_a_first_mask_encodes_the_drawn_slices_once(session, annotations, monkeypatch) -> None:
    counted = []
    original = type(session.backbone.net).encode
    monkeypatch.setattr(type(session.backbone.net), "encode", lambda s, x: counted.append(len(x)) or original(s, x))
    session.tune(annotations, CYST, steps=0)
    assert counted == [4]


def test_more_steps_than_can_be_meant_are_refused(session, annotations) -> None:
    with pytest.raises(AnnotationError, match="greater than 100000"):
        session.tune(annotations, CYST, steps=10**9)


def test_absent_slices_are_learned_from(session, phantom, kit, annotations) -> None:
    """A slice where the structure is not, taken away, changes what is learned."""
    shown = {i: s for i, s in annotations.slices.items() if s.status is not SliceStatus.ABSENT}
    without = SliceAnnotations(0, annotations.grid, shown)
    assert not same(learn(session, without, 3), learn(session, annotations, 3))
    # Where the structure is said to be absent though it looks the same, it is found less.
    denied = Slice(SliceStatus.ABSENT, annotations.slices[12].mask)
    against = SliceAnnotations(0, annotations.grid, {**shown, 12: denied})
    for_it, against_it = (session.segment([learn(session, a, 20)]).probability("cyst")[12] for a in (without, against))
    there = phantom.labels[12] == kit.new
    assert against_it[there].mean() < for_it[there].mean()


def test_a_single_drawn_slice_has_no_honest_figure(session, annotations) -> None:
    one = session.tune(SliceAnnotations(0, annotations.grid, {9: annotations.slices[9]}), CYST, steps=4)
    assert one.leave_one_out == {}
    assert one.leave_one_out_dice is None
    assert one.prompt.card.leave_one_slice_out_dice is None
    assert one.prompt.card.steps == 4


def test_other_planes(session, phantom, kit) -> None:
    drawn = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, kit.new, [12, 16], axis=1)
    found = session.tune(drawn, CYST, steps=2)
    assert found.prompt.card.plane == "coronal"
    assert session.segment([found.prompt]).labels.shape == phantom.labels.shape


def test_a_prompt_of_another_plane_is_no_start_and_is_said(session, phantom, kit, annotations) -> None:
    """Its card would say one plane and its tensors were of another."""
    coronal = SliceAnnotations.from_labels(phantom.labels, phantom.volume.grid, kit.new, [12, 16], axis=1)
    axial = session.tune(annotations, CYST, steps=0).prompt
    for steps in (0, 1, None):
        with pytest.raises(PromptError, match="learned in axial slices, and these were drawn in coronal ones; draw in"):
            session.tune(coronal, CYST, start_from=axial, steps=steps)
    (note,) = session.notes([axial], {"cyst": coronal, "other": coronal})
    assert note.startswith("cyst was learned in axial slices, and these were drawn in coronal ones: ")
    assert session.notes([axial], {"cyst": annotations}) == session.notes([axial], {}) == []


def test_a_name_that_could_not_be_kept_is_not_taught(session, annotations) -> None:
    events: list = []
    with pytest.raises(PromptError, match="has 201 characters, and at most 200 are kept"):
        session.tune(annotations, Structure("a" * 201), on_progress=events.append)
    assert not events


def test_five_voxels_are_learned_or_refused(session, phantom) -> None:
    mask = np.zeros(phantom.labels.shape[1:], np.uint8)
    mask[20, 20:25] = 1
    few = session.tune(SliceAnnotations(0, phantom.volume.grid, {9: Slice(SliceStatus.COMPLETE, mask)}), CYST, steps=2)
    assert all(torch.isfinite(t).all() for t in few.prompt.tensors.values())


@pytest.mark.parametrize("status", [SliceStatus.ABSENT, SliceStatus.UNTOUCHED, SliceStatus.COMPLETE])
def test_nothing_drawn_is_refused(session, phantom, status) -> None:
    empty = Slice(status, np.zeros(phantom.labels.shape[1:], np.uint8))
    with pytest.raises(AnnotationError, match="No drawn slice shows the structure"):
        session.tune(SliceAnnotations(0, phantom.volume.grid, {9: empty}), CYST)


def test_a_negative_number_of_steps_is_refused(session, annotations) -> None:
    with pytest.raises(AnnotationError, match="must not be negative"):
        session.tune(annotations, CYST, steps=-1)


def test_teaching_takes_what_the_preview_encoded_and_comes_to_the_same(
    session, annotations, phantom, monkeypatch
) -> None:
    encode, calls = session.backbone.net.encode, []

    def counted(x):
        calls.append(len(x))
        return encode(x)

    monkeypatch.setattr(session.backbone.net, "encode", counted)
    session.set_volume(phantom.volume)
    alone = session.tune(annotations, Structure("blob"), steps=2).prompt
    without = len(calls)
    calls.clear()
    session.tune(annotations, Structure("blob"), steps=0)
    after = session.tune(annotations, Structure("blob"), steps=2).prompt
    assert len(calls) == without
    assert all(torch.equal(alone.tensors[k], after.tensors[k]) for k in alone.tensors)
    calls.clear()
    session.tune(annotations, Structure("blob"), steps=2)  # what was kept is used once, and not kept for ever
    assert len(calls) == without
    session.tune(annotations, Structure("blob"), steps=0)
    session.set_volume(phantom.volume)
    calls.clear()
    session.tune(annotations, Structure("blob"), steps=2)
    assert len(calls) == without
