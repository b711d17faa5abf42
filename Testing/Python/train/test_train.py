"""Pre-training: it goes on exactly where it stopped, learns only from what is annotated, and ends with files to use."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from PromptSegLib.datasets.loading import load_part, read_dataset
from PromptSegLib.datasets.tasks import TaskSampler
from PromptSegLib.errors import InputError, OutputError, PromptSegError, Stopped
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import tiny
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.session import Session
from PromptSegTrain import curves, train
from PromptSegTrain.pretraining_model import PretrainingModel, quick_dice
from PromptSegTrain.recipe import Recipe
from PromptSegTrain.train import pretrain
from PromptSegTrain.validate import mean_dice, read_validation, validate

pytestmark = pytest.mark.usefixtures("small_images")


def test_a_run_that_goes_on_is_the_run_that_never_stopped(go, losses, tmp_path, stop_after, rows) -> None:
    whole = load_file(go("whole"))
    expected = losses[:]
    losses.clear()
    with pytest.raises(Stopped):
        go("parts", should_stop=stop_after(3, losses))
    parts = load_file(go("parts", resume=True))
    assert losses == expected
    assert len(set(losses)) == 6
    assert set(parts) == set(whole)
    assert all(torch.equal(parts[k], whole[k]) for k in whole)
    assert [r["step"] for r in rows(tmp_path / "whole")] == ["2", "4", "6"]
    assert [r["step"] for r in rows(tmp_path / "parts")] == ["2", "3", "4", "6"]


def test_seconds_go_on_too_and_lines_of_lost_steps_are_dropped(go, losses, tmp_path, stop_after, rows) -> None:
    with pytest.raises(Stopped):
        go(should_stop=stop_after(2, losses))
    with (tmp_path / "run" / "metrics.csv").open("a") as file:
        file.write("4,99999.0,1e-3,1,1,1,1,1,,\n")  # a run that was killed before it saved these steps
    go(resume=True)
    seconds = [float(r["seconds"]) for r in rows(tmp_path / "run")]
    assert [r["step"] for r in rows(tmp_path / "run")] == ["2", "4", "6"]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 9999


def test_a_folder_with_a_run_needs_resume(go, losses) -> None:
    go(steps=1)
    with pytest.raises(OutputError, match="already holds a run; add --resume"):
        go(steps=2)


@pytest.mark.parametrize("name", ["metrics.csv", "validation.json", "mine.promptset"])
def test_files_of_others_are_not_replaced(go, losses, tmp_path, name) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_text("subject,dice\na,0.9\n")
    with pytest.raises(OutputError, match=f"{name} is there already, and no run has left it"):
        go(steps=1)
    assert (tmp_path / "run" / name).read_text() == "subject,dice\na,0.9\n"


def test_a_run_that_was_killed_early_may_begin_again(go, losses, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text("step,seconds,lr,loss\n")
    go(steps=1)


def test_stopping_saves_a_checkpoint_and_what_can_be_used(go, losses, tmp_path, stop_after) -> None:
    with pytest.raises(Stopped):
        go(steps=100, should_stop=stop_after(2, losses))
    assert len(losses) == 2
    assert load_backbone(tmp_path / "run" / "small.safetensors", "cpu").card["recipe"]["step"] == 2
    assert len(PromptSet.read(tmp_path / "run" / "phantoms.promptset")) == 3


def test_stopping_before_the_first_step_ships_nothing(go, tmp_path, losses) -> None:
    with pytest.raises(Stopped):
        go(should_stop=lambda: True)
    assert losses == []
    assert not list((tmp_path / "run").glob("*.promptset"))


def test_a_time_budget_ends_a_run_as_if_it_were_finished(go, losses, tmp_path, monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(train.time, "monotonic", lambda: now.__setitem__(0, now[0] + 1) or now[0])
    last = go(steps=1000, time_budget=12)
    assert 0 < len(losses) < 12
    assert last.is_file()
    assert (tmp_path / "run" / "small.safetensors").is_file()


def test_what_a_run_ships_says_where_it_comes_from(trained, kit, dataset) -> None:
    backbone = load_backbone(trained / "tiny.safetensors", "cpu")
    card = backbone.card
    assert json.loads((trained / "tiny.json").read_text(encoding="utf-8")) == card
    assert "research use" in card["licence"]
    [source] = card["data"]
    assert (source["name"], source["licence"]) == ("phantoms", "made for tests")
    assert sorted(source["training"] + source["validation"]) == [f"case_{n}" for n in (1, 2, 3, 4)]
    assert len(source["validation"]) == 1
    assert card["recipe"]["step"] == card["recipe"]["steps"]
    assert card["recipe"]["seed"] == 1
    assert card["date"]
    assert card["validation"]["step"] == card["recipe"]["steps"]
    assert card["validation"]["dice"]["liver"]["prompt"] > 0.6
    prompts = PromptSet.read(trained / "phantoms.promptset")
    assert [p.structure.code is not None for p in prompts.values()] == [True] * 3
    for name, prompt in prompts.items():
        prompt.check(backbone.shapes(), backbone.id)
        assert "research use" in prompt.card.licence
        assert prompt.card.validation_dice == read_validation(trained)["dice"][name]["prompt"]
    held_out = source["validation"][0]
    assert prompts["spleen"].card.volumes == 3 - (held_out != "case_3")
    assert prompts["liver"].card.volumes == 3


def test_a_session_takes_what_a_run_ships(go, tmp_path, phantom) -> None:
    go(steps=1)
    session = Session(tmp_path / "run" / "small.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    found = session.segment(PromptSet.read(tmp_path / "run" / "phantoms.promptset").values())
    assert found.labels.shape == phantom.labels.shape


def test_what_ships_is_the_average(go, tmp_path) -> None:
    average = load_file(go(steps=3))
    shipped = load_file(tmp_path / "run" / "small.safetensors")
    shared = {n: "bank.shared." + n.removeprefix("shared.").replace(".", "_") for n in shipped if "shared." in n}
    sources = {n: shared.get(n, f"net.{n}") for n in shipped}
    assert shared
    for name, tensor in shipped.items():
        assert torch.equal(tensor, average[f"ema.{sources[name]}"].half())
    assert any(not torch.equal(average[f"ema.{n}"], average[f"model.{n}"]) for n in sources.values())


def test_structures_without_a_code_or_without_a_volume(kit, tmp_path) -> None:
    path = kit.write_dataset(tmp_path / "own", (1, 2), name="my data: 1")
    values = json.loads(path.read_text())
    values["labels"].update({"1": "blob of mine", "9": "never drawn"})
    path.write_text(json.dumps(values))
    pretrain([path], tmp_path / "run", config=tiny(), recipe=kit.recipe(1, validation=0.0), device="cpu")
    prompts = PromptSet.read(tmp_path / "run" / "my-data-1.promptset")
    assert list(prompts) == ["blob of mine", "spleen", "aorta"]
    assert prompts["blob of mine"].structure.code is None


def test_statistics_of_a_batch_norm_are_learned(go, tmp_path) -> None:
    go(steps=2, config=replace(tiny(), norm="batch"))
    net = load_backbone(tmp_path / "run" / "small.safetensors", "cpu").net
    means = [t for n, t in net.named_buffers() if n.endswith("running_mean")]
    assert means
    assert all(t.abs().max() > 0 for t in means)


def test_a_network_that_sees_one_slice_alone(go, tmp_path, phantom) -> None:
    """As the paper's, which has no neighbouring slices and no proposer."""
    go(steps=1, config=replace(tiny(), in_channels=1, proposer_width=0, norm="batch"), recipe={"validation": 0.25})
    session = Session(tmp_path / "run" / "small.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    session.segment(PromptSet.read(tmp_path / "run" / "phantoms.promptset").values())


def test_what_is_not_annotated_gives_no_gradient(dataset, trained) -> None:
    """Case 3 has no spleen: from it, nothing reaches the spleen's prompt."""
    part = load_part(read_dataset(dataset), 0.0, 1, trained / "cache")
    names = ["liver", "spleen", "aorta"]
    partial = [s for s in part.training if s.name == "case_3"]
    torch.manual_seed(0)
    model = PretrainingModel(tiny(), names)
    for samples, expected in ((partial, False), (part.training, True)):
        sampler = TaskSampler([samples], [1.0], names, 1)
        model.zero_grad(set_to_none=True)
        for _ in range(4):
            batch = sampler.draw(2, 2)
            parts = model(batch, torch.float32)
            sum(parts[k] for k in ("prompted", "episodic", "deep")).backward()
        spleen = max(float(p.grad[1].abs().max()) for p in model.bank.tensors.values())
        assert (spleen > 0) is expected
        assert max(float(p.grad[0].abs().max()) for p in model.bank.tensors.values()) > 0


def test_a_folder_that_cannot_be_made(dataset, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        pretrain([dataset], tmp_path / "file" / "run", config=tiny(), device="cpu")


def test_the_same_seed_gives_the_same_losses_and_another_does_not(go, losses) -> None:
    go("one", steps=20)
    first = losses[:]
    losses.clear()
    go("two", steps=20)
    assert losses == first
    losses.clear()
    go("three", steps=2, recipe={"seed": 2})
    assert losses != first[:2]


@pytest.mark.parametrize("mode", ["joint", "self"])
def test_modes_with_views_learn_and_go_on(mode, go, losses, tmp_path, rows, stop_after) -> None:
    options = {"recipe": {"mode": mode, "validation": 0.25}, "steps": 3}
    whole = load_file(go("whole", **options))
    expected = losses[:]
    losses.clear()
    with pytest.raises(Stopped):
        go("run", should_stop=stop_after(1, losses), **options)
    parts = load_file(go("run", resume=True, **options))
    assert losses == expected
    assert all(torch.equal(parts[k], whole[k]) for k in whole)
    line = rows(tmp_path / "run")[0]
    assert float(line["cpa"]) > 0
    assert bool(line["prompted"]) is (mode == "joint")
    assert (tmp_path / "run" / "small.safetensors").is_file()
    # Without annotations no structure has learned a prompt, and there is no Dice.
    assert bool(list((tmp_path / "run").glob("*.promptset"))) is (mode == "joint")
    assert bool(read_validation(tmp_path / "run")) is (mode == "joint")


def test_the_cpa_weight_counts_in_joint_mode_alone(go, losses) -> None:
    for number, recipe in enumerate(({"mode": "joint", "cpa": 0.0}, {"mode": "joint", "cpa": 1.0}, {})):
        go(str(number), steps=1, recipe=recipe)
    assert losses[1] > losses[0] + 0.1


def test_an_unknown_mode_or_a_number_too_many_is_one_sentence(go) -> None:
    with pytest.raises(InputError, match="no mode 'both'; choose one of supervised, joint, self"):
        Recipe(mode="both")
    with pytest.raises(InputError, match="no schedule 'square'"):
        Recipe(schedule="square")
    with pytest.raises(InputError, match="1 data sets, but 2 numbers"):
        go(recipe={"weights": (7.0, 3.0)})


def test_an_empty_training_split_is_one_sentence(kit, tmp_path) -> None:
    path = kit.write_dataset(tmp_path / "own", (1, 2))
    phantom = kit.make_phantom(1)
    for n in (1, 2):
        kit.save_image(path.parent / f"case_{n}_labels.nii.gz", phantom.labels * 0, phantom.volume.grid)
    with pytest.raises(InputError, match="no annotated volume in its training part"):
        pretrain([path], tmp_path / "run", config=tiny(), recipe=kit.recipe(1), device="cpu")


def test_a_run_whose_loss_is_no_number_ends(go, tmp_path) -> None:
    with pytest.raises(PromptSegError, match="not a number any more; go on with --resume and a lower --lr"):
        go(steps=100, recipe={"lr": 1e30, "prompt_lr": 1e30, "warmup": 0})


def test_validation_looks_at_whole_volumes(trained, dataset) -> None:
    """The same Dice as from all slices at once; for the shown column, without the three shown slices."""
    part = load_part(read_dataset(dataset), 0.25, 1, trained / "cache")
    names = list(part.dataset.labels.values())
    torch.manual_seed(0)
    model = PretrainingModel(tiny(), names)
    model.net.load_state_dict(load_backbone(trained / "tiny.safetensors", "cpu", torch.float32).net.state_dict())
    scores = validate(model, part.validation, names, torch.device("cpu"))
    assert model.training
    [sample] = part.validation
    number = names.index("liver")
    masks = torch.from_numpy(sample.labels == sample.structures.index("liver") + 1)
    step = max(1, round(3.0 / sample.slice_mm))
    around = np.clip(np.arange(len(sample.grey))[:, None] + np.array([-step, 0, step]), 0, len(sample.grey) - 1)
    grey = torch.from_numpy(sample.grey[around].astype(np.float32) / 127.5 - 1).permute(0, 2, 3, 1)
    there = np.flatnonzero(masks.flatten(1).any(1)).tolist()
    support = [there[round(q * (len(there) - 1))] for q in (0.15, 0.5, 0.85)]
    model.eval()
    assert scores["liver"][0] == pytest.approx(quick_dice(model, grey, masks, number), abs=1e-6)
    assert scores["liver"][1] == pytest.approx(quick_dice(model, grey, masks, number, support), abs=1e-6)
    assert scores["liver"][1] > 0.5
    every_third = validate(model, part.validation, names, torch.device("cpu"), 3)
    assert every_third["liver"] != scores["liver"]
    assert np.isnan(mean_dice({"a": [np.nan, 0.5]}))
    assert mean_dice({"a": [np.nan, 0.5], "b": [0.2, 0.1]}, 1) == pytest.approx(0.3)


def test_the_best_step_is_kept(go, tmp_path, rows, monkeypatch) -> None:
    dice = iter((0.4, 0.7, 0.5))

    def rated(ema, samples, names, *rest):
        value = next(dice)
        return {n: [value, value] for n in names}

    monkeypatch.setattr(train, "validate", rated)
    go(steps=3, recipe={"validate_every": 1, "validation": 0.25})
    folder = tmp_path / "run"
    assert [r["dice"] for r in rows(folder) if r["dice"]] == ["0.4000", "0.7000", "0.5000"]
    assert read_validation(folder)["mean"] == 0.5
    assert read_validation(folder / "best")["step"] == 2
    best = load_backbone(folder / "best" / "small.safetensors", "cpu")
    assert best.card["recipe"]["step"] == 2
    prompts = PromptSet.read(folder / "best" / "phantoms.promptset")
    assert prompts["liver"].card.validation_dice == 0.7
    assert prompts["liver"].backbone_id == best.id
    assert prompts.card["validation"] == best.card["data"][0]["validation"]
    size = (folder / "best.safetensors").stat().st_size
    assert size < (folder / "last.safetensors").stat().st_size / 5


def test_validation_changes_nothing_in_what_is_learned(go, losses, tmp_path) -> None:
    go("without", steps=3, recipe={"validation": 0.25})
    expected = losses[:]
    losses.clear()
    go("with", steps=3, recipe={"validation": 0.25, "validate_every": 1})
    assert read_validation(tmp_path / "with" / "best")  # what shipped in between changed nothing either
    assert losses == expected


def test_curves_go_to_tensorboard(go, tmp_path, monkeypatch, losses, stop_after) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(Stopped):
        go(steps=4, should_stop=stop_after(3, losses))
    go(steps=4, resume=True)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [2, 3, 4]
    assert events.Scalars("loss")[1].value == pytest.approx(losses[2], rel=1e-5)
    monkeypatch.setattr(curves, "find_spec", lambda _: None)
    go("without", steps=1)
    assert not (tmp_path / "without" / "tensorboard").exists()
    assert (tmp_path / "without" / "metrics.csv").is_file()


def test_the_time_that_is_left_is_said() -> None:
    assert [train._duration(s) for s in (40, 720, 7800)] == ["40 s", "12 min", "2 h 10 min"]


def test_tokens_of_its_own_for_what_nobody_annotates_are_refused(go) -> None:
    with pytest.raises(InputError, match=r"No data set annotates .*liber"):
        go(steps=1, recipe={"own": ("liber",)})
