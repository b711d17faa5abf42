"""A prompt is learned from whole labelled volumes: better than it began, the same again, kept at its best."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.datasets.loading import load_part, read_dataset, split_cases
from PromptSegLib.datasets.pack import write_pack
from PromptSegLib.errors import InputError, OutputError, PromptError, Stopped
from PromptSegLib.labelled import learn as learning
from PromptSegLib.labelled.checkpoint import LAST
from PromptSegLib.labelled.learn import learn
from PromptSegLib.labelled.set_recipe import SetRecipe
from PromptSegLib.labelled.subjects import load_subjects
from PromptSegLib.model.backbone import load_backbone, weights_id
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.punet import PUNet
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.session import Session

QUICK = SetRecipe(
    steps=40, groups=1, look_every=20, lr=0.05, warmup=5, ema=0.9, validation=0.4, looked_at=1, look_stride=1
)


@pytest.fixture(scope="module")
def events() -> list:
    return []


@pytest.fixture(scope="module")
def result(backbone, labelled, tmp_path_factory, events):
    """Of a few steps."""
    folder = tmp_path_factory.mktemp("run") / "run"
    recipe = replace(QUICK, steps=4, look_every=2)
    return learn(backbone, [labelled], "renal cyst", folder, recipe=recipe, on_progress=events.append)


@pytest.fixture(scope="module")
def taught(trained, prompts, labelled, small_slices, tmp_path_factory):
    """Of a backbone that has seen such CTs without the structure, from another structure's prompt."""
    backbone = load_backbone(trained / "tiny.safetensors", "cpu")
    recipe = replace(QUICK, steps=60, look_every=30, lr=0.1)
    folder = tmp_path_factory.mktemp("taught") / "run"
    return learn(backbone, [labelled], "renal cyst", folder, recipe=recipe, start_from=prompts["spleen"])


@pytest.fixture
def quick_scores(monkeypatch):
    """Looks at held-out volumes take no time and give these Dice, one a look (one volume each)."""

    def use(*dice: float) -> list[int]:
        looks = iter(dice)
        asked: list[int] = []

        def score(*_, **__) -> float:
            asked.append(1)
            return next(looks, 0.0)

        monkeypatch.setattr(learning, "volume_dice", score)
        return asked

    return use


def same(a: Prompt, b: Prompt) -> bool:
    return set(a.tensors) == set(b.tensors) and all(torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors)


def test_it_gets_better_on_subjects_that_it_did_not_learn_from(taught) -> None:
    looks = [one["dice"] for one in taught.curve]
    assert [one["step"] for one in taught.curve] == [0, 30, 60]
    assert max(looks) > looks[0] + 0.2
    assert taught.mean_dice > 0.6
    assert taught.complete
    assert not taught.stopped


def test_the_prompt_finds_the_structure_in_another_patient(taught, trained, kit) -> None:
    other = kit.make_phantom(77, values=(1, 2, kit.new))
    session = Session(trained / "tiny.safetensors", "cpu")
    session.set_volume(other.volume)
    found = session.segment([taught.prompt]).mask(taught.prompt.structure.name)
    assert kit.dice(found, other.labels == kit.new) > 0.6


def test_the_card_tells_how_many_subjects_split_and_dice_and_nobody_s_name(result, tmp_path) -> None:
    PromptSet.of("x", [result.prompt]).write(tmp_path / "x.promptset")
    (read,) = PromptSet.read(tmp_path / "x.promptset").values()
    card = read.card
    split = result.subjects.split
    assert sorted(split["training"] + split["held_out"]) == [f"p{n}" for n in range(31, 36)], "p36 does not show it"
    assert card.extra["subjects"] == {"training": 3, "held_out": 2}
    assert card.extra["dice_by_subject"] == [round(v, 4) for v in result.dice.values()]
    assert set(result.dice) == set(split["held_out"])
    assert card.validation_dice == pytest.approx(np.mean(card.extra["dice_by_subject"]), abs=1e-3)
    names = [name.encode() for part in split.values() for name in part]
    assert not any(name in (tmp_path / "x.promptset").read_bytes() for name in names)
    assert (card.volumes, card.steps, card.data, card.plane) == (3, result.steps, ("cysts",), "axial")
    assert [one["step"] for one in card.extra["curve"]] == [0, 2, 4]
    assert "made for tests" in card.licence
    assert card.components == "largest"
    assert card.leave_one_slice_out_dice is None


def test_progress_never_falls_and_tells_the_curve(events, result) -> None:
    shares = [e.fraction for e in events]
    assert shares == sorted(shares)
    assert [e.metrics["step"] for e in events if e.stage == "validate" and e.metrics] == [0, 2, 4]
    assert any(e.stage == "learn" and math.isfinite(e.metrics["loss"]) for e in events)


def test_the_backbone_stays_and_the_same_seed_gives_the_same(backbone, labelled, result, tmp_path) -> None:
    before = weights_id(backbone.net.state_dict())
    recipe = replace(QUICK, steps=4, look_every=2)
    again = learn(backbone, [labelled], "Renal_Cyst", tmp_path / "run", recipe=recipe)
    assert weights_id(backbone.net.state_dict()) == before
    assert not any(p.requires_grad or p.grad is not None for p in backbone.net.parameters())
    assert same(again.prompt, result.prompt)
    assert again.dice == result.dice


def test_what_learns_is_within_the_paper_s_share() -> None:
    with torch.device("meta"):
        net = PUNet(replace(PUNetConfig(), proposer_width=0))
    own = sum(math.prod(shape) for shape in net.prompt_shapes().values())
    assert own <= 0.0085 * sum(p.numel() for p in net.parameters())


def test_the_best_look_is_kept_and_patience_ends(backbone, labelled, tmp_path, quick_scores) -> None:
    quick_scores(0.2, 0.5, 0.8, 0.7, 0.6, 0.9)
    recipe = replace(QUICK, steps=50, look_every=2, patience=2, validation=0.2)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe)
    assert [one["dice"] for one in found.curve] == [0.2, 0.5, 0.8, 0.7, 0.6]
    assert (found.steps, found.mean_dice, found.complete) == (4, 0.8, True)
    assert found.prompt.card.steps == 4


def test_looks_on_the_way_are_quick_and_the_last_is_of_whole_volumes(backbone, labelled, tmp_path, monkeypatch) -> None:
    asked: list[tuple[str, int]] = []

    def score(backbone, sample, structure, tensors, every, should_stop) -> float:
        asked.append((sample.name, every))
        return 0.5

    monkeypatch.setattr(learning, "volume_dice", score)
    recipe = replace(QUICK, steps=2, look_every=2, look_stride=3)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe)
    one, other = found.subjects.split["held_out"]
    assert asked == [(one, 3), (one, 3), (one, 1), (other, 1)]
    assert list(found.dice) == [one, other]


@pytest.mark.parametrize("at", [3, 6, 9])
def test_stopped_and_gone_on_with_it_comes_to_the_same(backbone, labelled, tmp_path, quick_scores, at) -> None:
    scores = (0.2, 0.5, 0.4, 0.6)
    recipe = replace(QUICK, steps=9, look_every=3, validation=0.2)
    quick_scores(*scores)
    whole = learn(backbone, [labelled], "renal cyst", tmp_path / "whole", recipe=recipe)
    quick_scores(*scores)
    seen: list = []

    def after_the_look() -> bool:
        return any(e.metrics.get("step") == at and e.stage == "validate" for e in seen)

    stopped = learn(
        backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe,
        on_progress=seen.append, should_stop=after_the_look,
    )  # fmt: skip
    assert (stopped.stopped, stopped.complete) == ((True, False) if at < 9 else (False, True))
    quick_scores(*scores[1 + at // 3 :])
    again = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe, resume=True)
    assert same(again.prompt, whole.prompt)
    assert (again.steps, again.curve, again.dice) == (whole.steps, whole.curve, whole.dice)


def test_stopping_keeps_the_best_so_far_and_before_the_volumes_nothing(
    backbone, labelled, tmp_path, quick_scores
) -> None:
    with pytest.raises(Stopped):
        learn(backbone, [labelled], "renal cyst", tmp_path / "a", recipe=QUICK, should_stop=lambda: True)
    seen: list = []
    with pytest.raises(Stopped):  # what it began with is no prompt that was learned
        learn(
            backbone, [labelled], "renal cyst", tmp_path / "c", recipe=QUICK, on_progress=seen.append,
            should_stop=lambda: any(e.stage == "learn" for e in seen),
        )  # fmt: skip
    assert (tmp_path / "c" / LAST).is_file()
    quick_scores(0.2, 0.9, 0.5)
    seen.clear()
    recipe = replace(QUICK, look_every=2, validation=0.2)
    found = learn(
        backbone, [labelled], "renal cyst", tmp_path / "b", recipe=recipe, on_progress=seen.append,
        should_stop=lambda: any(e.metrics.get("dice") == 0.5 for e in seen),
    )  # fmt: skip
    assert (found.stopped, found.steps, found.mean_dice) == (True, 2, 0.9)


def test_the_time_budget_ends_it_and_resume_goes_on(backbone, labelled, tmp_path, quick_scores) -> None:
    quick_scores(0.2, 0.3)
    recipe = replace(QUICK, steps=4, look_every=4, validation=0.2)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe, time_budget=1e-9)
    assert (found.steps, found.complete, found.stopped) == (0, False, False)
    quick_scores(0.3)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe, resume=True)
    assert (found.steps, found.complete) == (4, True)


def test_what_was_learned_when_the_time_is_over_is_looked_at(
    backbone, labelled, tmp_path, quick_scores, monkeypatch
) -> None:
    quick_scores(0.2, 0.6)
    over = iter([False, False, False, True])
    monkeypatch.setattr(learning._Run, "_over", lambda _: next(over))
    recipe = replace(QUICK, steps=50, look_every=50, validation=0.2)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe, time_budget=1000)
    assert [one["step"] for one in found.curve] == [0, 3]
    assert (found.steps, found.mean_dice, found.complete) == (3, 0.6, False)


def test_without_held_out_subjects_the_last_is_kept_and_said(backbone, labelled, tmp_path) -> None:
    recipe = replace(QUICK, steps=2, validation=0.0)
    found = learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe)
    assert (found.steps, found.mean_dice, found.dice) == (2, None, {})
    assert any("No subject was held out" in note for note in found.notes)
    assert found.prompt.card.validation_dice is None


def test_it_can_start_from_a_prompt_and_leaves_that_as_it_was(backbone, labelled, result, tmp_path) -> None:
    before = {k: v.clone() for k, v in result.prompt.tensors.items()}
    recipe = replace(QUICK, steps=0, validation=0.0)
    kept = learn(backbone, [labelled], "renal cyst", tmp_path / "a", recipe=recipe, start_from=result.prompt)
    assert same(kept.prompt, result.prompt)
    learn(backbone, [labelled], "renal cyst", tmp_path / "b", recipe=replace(recipe, steps=2), start_from=result.prompt)
    assert all(torch.equal(result.prompt.tensors[k], v) for k, v in before.items())
    foreign = replace(result.prompt, backbone_id="ff" * 32)
    with pytest.raises(PromptError, match="was learned on backbone"):
        learn(backbone, [labelled], "renal cyst", tmp_path / "c", recipe=recipe, start_from=foreign)


def test_what_cannot_be_learned_from_is_a_sentence(backbone, labelled, tmp_path, quick_scores) -> None:
    with pytest.raises(InputError, match=r"No data set has a structure 'pancreas'; choose of: 'liver', 'spleen'"):
        learn(backbone, [labelled], "pancreas", tmp_path / "a", recipe=QUICK)
    text = json.loads(labelled.read_text())
    text["training"] = text["training"][3:]
    few = labelled.with_name("few.json")
    few.write_text(json.dumps(text))
    with pytest.raises(InputError, match="is in volumes of 2 subjects, and a labelled set needs 3"):
        learn(backbone, [few], "renal cyst", tmp_path / "b", recipe=QUICK)


def test_a_folder_with_a_run_is_not_begun_anew_nor_gone_on_with_otherwise(
    backbone, labelled, tmp_path, quick_scores
) -> None:
    quick_scores(0.2, 0.3, 0.4)
    recipe = replace(QUICK, steps=1, look_every=1, validation=0.2)
    learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe)
    with pytest.raises(OutputError, match="already holds a run; add --resume"):
        learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe)
    for other, what in ((replace(recipe, lr=0.01), "lr"), (replace(recipe, seed=5), "split|seed")):
        with pytest.raises(InputError, match=f"with another ({what})"):
            learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=other, resume=True)
    with pytest.raises(InputError, match="with another structure"):
        learn(backbone, [labelled], "liver", tmp_path / "run", recipe=recipe, resume=True)
    path = tmp_path / "run" / LAST
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError):
        learn(backbone, [labelled], "renal cyst", tmp_path / "run", recipe=recipe, resume=True)


def test_subjects_that_the_backbone_knows_are_held_out_last_and_said(labelled, tmp_path) -> None:
    def held_out(learned: dict) -> tuple[list[str], tuple[str, ...]]:
        found = load_subjects([labelled], "renal cyst", tmp_path / "cache", validation=0.4, seed=1, learned=learned)
        return found.split["held_out"], found.seen

    free, seen = held_out({})
    assert not seen
    others = [f"p{n}" for n in range(31, 36) if f"p{n}" not in free]
    known, seen = held_out({"cysts": free})
    assert not set(known) & set(free)
    assert not seen
    assert held_out({"cysts": [*free, *others]}) == (free, tuple(free))


def test_all_volumes_of_a_subject_teach_or_are_held_out(labelled, tmp_path) -> None:
    """The five that show it are of three; another data set has some of them again."""
    text = json.loads(labelled.read_text())
    whose = dict(zip((f"p{n}" for n in range(31, 37)), "aabbcc", strict=True))
    for entry, subject in zip(text["training"], whose.values(), strict=True):
        entry["subject"] = subject
    path = labelled.with_name("scans.json")
    path.write_text(json.dumps(text))

    def found(*paths: Path, seed: int, **learned: list[str]) -> tuple[set[str], set[str], tuple[str, ...]]:
        made = load_subjects(paths, "renal cyst", tmp_path / "c", validation=0.4, seed=seed, learned=learned)
        assert made.subjects_held_out == 1
        return {s.subject for s in made.training}, {s.subject for s in made.held_out}, made.seen

    held_out = set()
    for seed in range(6):
        training, out, _ = found(path, seed=seed)
        assert training | out == {*"abc"}
        assert not training & out
        held_out |= out
        assert found(path, seed=seed, cysts=["a", "b"])[1:] == ({"c"}, ())
        assert found(path, seed=seed, cysts=["a", "B", "c"])[2] == tuple(out)
    assert len(held_out) > 1
    more = labelled.parent / "more.json"
    entries = [{**e, "subject": s} for e, s in zip(text["training"], "aabbcc", strict=True) if s != "b"]
    copies = []
    for n, entry in enumerate(entries):
        files = {}
        for what in ("image", "label"):
            files[what] = f"again_{n}_{what}.nii.gz"
            (labelled.parent / files[what]).write_bytes((labelled.parent / entry[what]).read_bytes())
        copies.append({**files, "subject": entry["subject"]})
    more.write_text(json.dumps({**text, "name": "cysts again", "derived_from": "cysts", "training": copies}))
    for seed in range(3):
        assert found(path, more, seed=seed)[:2] == ({"a", "c"}, {"b"})
    part = load_part(
        read_dataset(path), 0.34, next(s for s in range(9) if "b" not in _out(path, s)), tmp_path / "cache"
    )
    write_pack([part], tmp_path / "cysts.pack")
    with pytest.raises(InputError, match="would be learned from and held out; leave out the data set that is derived"):
        found(tmp_path / "cysts.pack", more, seed=1)


def _out(path: Path, seed: int) -> set[str]:
    return {c.subject for c in split_cases(read_dataset(path).cases, 0.34, seed)[1]}


def test_a_smaller_pack_keeps_its_own_split(labelled, tmp_path) -> None:
    part = load_part(read_dataset(labelled), 0.34, 1, tmp_path / "cache")
    write_pack([part], tmp_path / "cysts.pack")
    found = load_subjects([tmp_path / "cysts.pack"], "renal cyst", tmp_path / "c", validation=0.9, seed=4)
    assert set(found.split["held_out"]) <= set(part.validation_names)
    assert not set(found.split["training"]) & set(part.validation_names)
    assert Path(tmp_path / "c").exists() is False
