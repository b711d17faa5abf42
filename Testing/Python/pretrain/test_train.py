"""Pre-training: it goes on exactly where it stopped, learns only from what is annotated, and ends with files to use."""

from __future__ import annotations

import csv
import errno
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from PromptSegLib.errors import InputError, OutputError, Stopped
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import tiny
from PromptSegLib.pretrain import tasks, train
from PromptSegLib.pretrain.checkpoint import read_validation
from PromptSegLib.pretrain.data import load_part, read_dataset
from PromptSegLib.pretrain.recipe import Recipe
from PromptSegLib.pretrain.tasks import TaskSampler
from PromptSegLib.pretrain.train import pretrain
from PromptSegLib.pretrain.trainee import Trainee
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.session import Session
from PromptSegLib.volumes import atomic


@pytest.fixture(autouse=True)
def small_images(monkeypatch):
    monkeypatch.setattr(tasks, "SIZES", ((64, 64), (64, 96)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def losses(monkeypatch) -> list[float]:
    """The loss of each step."""
    seen: list[float] = []
    original = train.train_step

    def listen(*args):
        parts = original(*args)
        seen.append(parts["loss"])
        return parts

    monkeypatch.setattr(train, "train_step", listen)
    return seen


@pytest.fixture
def go(dataset, tmp_path, trained, kit):
    """Train in a folder of one's own; the cached volumes are those of ``trained``."""

    def run(folder: str = "run", steps: int = 6, **options):
        recipe = kit.recipe(
            steps, **{"warmup": 2, "decay": 2, "log_every": 2, "validate_every": 10**6, **options.pop("recipe", {})}
        )
        (tmp_path / folder).mkdir(exist_ok=True)
        if not (tmp_path / folder / "cache").exists():
            (tmp_path / folder / "cache").symlink_to(trained / "cache")
        options = {"config": tiny(), "name": "small", "device": "cpu", **options}
        return pretrain([dataset], tmp_path / folder, recipe=recipe, **options)

    return run


def stop_after(steps: int, seen: list[float]):
    return lambda: len(seen) >= steps


def rows(folder) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_that_goes_on_is_the_run_that_never_stopped(go, losses, tmp_path) -> None:
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


def test_seconds_go_on_too_and_lines_of_lost_steps_are_dropped(go, losses, tmp_path) -> None:
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


def test_a_checkpoint_of_another_configuration_is_refused(go, tmp_path) -> None:
    last = go(steps=1)
    before = last.read_bytes()
    for other in (replace(tiny(), tokens=16), replace(tiny(), second="shift")):
        with pytest.raises(InputError, match="a checkpoint of another configuration; start in another folder"):
            go(steps=2, resume=True, config=other)
    last.write_bytes(before[: len(before) // 2])
    with pytest.raises(InputError, match="damaged or incomplete"):
        go(steps=2, resume=True)
    last.write_bytes((tmp_path / "run" / "small.safetensors").read_bytes())
    with pytest.raises(InputError, match="another configuration"):
        go(steps=2, resume=True)


def test_stopping_saves_a_checkpoint_and_what_can_be_used(go, losses, tmp_path) -> None:
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


@pytest.mark.parametrize("trouble", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_save_that_fails_leaves_the_last_good_checkpoint(go, losses, tmp_path, monkeypatch, trouble) -> None:
    with pytest.raises(Stopped):
        go(should_stop=stop_after(2, losses))
    good = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".csv" and p.is_file()}

    def fail(*_args):
        raise trouble

    with monkeypatch.context() as broken:
        if isinstance(trouble, OSError):
            broken.setattr(atomic.os, "fsync", fail)
        else:
            broken.setattr(safetensors.torch, "save", fail)
        with pytest.raises(OutputError, match=r"space|memory"):
            go(resume=True)
    after = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.suffix != ".csv" and p.is_file()}
    assert after == good
    go(resume=True)


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
        assert "research use" in prompt.card["licence"]
        assert prompt.card["validation_dice"] == read_validation(trained)["dice"][name]["prompt"]
    held_out = source["validation"][0]
    assert prompts["spleen"].card["volumes"] == 3 - (held_out != "case_3")
    assert prompts["liver"].card["volumes"] == 3


def test_a_session_takes_what_a_run_ships(go, tmp_path, phantom) -> None:
    go(steps=1)
    session = Session(tmp_path / "run" / "small.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    found = session.segment(PromptSet.read(tmp_path / "run" / "phantoms.promptset").values())
    assert found.labels.shape == phantom.labels.shape


def test_what_ships_is_the_average(go, tmp_path) -> None:
    average = load_file(go(steps=3))
    shipped = load_file(tmp_path / "run" / "small.safetensors")
    for name, tensor in shipped.items():
        assert torch.equal(tensor, average[f"ema.net.{name}"].half())
    assert any(not torch.equal(average[f"ema.net.{n}"], average[f"model.net.{n}"]) for n in shipped)


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
    go(steps=1, config=replace(tiny(), in_channels=1, proposer_width=0, norm="batch"), recipe={"validate_every": 1})
    session = Session(tmp_path / "run" / "small.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    session.segment(PromptSet.read(tmp_path / "run" / "phantoms.promptset").values())


def test_what_is_not_annotated_gives_no_gradient(dataset, trained) -> None:
    """Case 3 has no spleen: from it, nothing reaches the spleen's prompt."""
    part = load_part(read_dataset(dataset), 0.0, 1, trained / "cache")
    names = ["liver", "spleen", "aorta"]
    partial = [s for s in part.training if s.name == "case_3"]
    torch.manual_seed(0)
    trainee = Trainee(tiny(), names)
    for samples, expected in ((partial, False), (part.training, True)):
        sampler = TaskSampler([samples], [1.0], names, 1)
        trainee.zero_grad(set_to_none=True)
        for _ in range(2):
            batch = sampler.draw(2, 2)
            parts = trainee(batch, torch.float32)
            sum(parts[k] for k in ("learned", "shown", "aid")).backward()
        spleen = max(float(p.grad[1].abs().max()) for p in trainee.bank.tensors.values())
        assert (spleen > 0) is expected
        assert max(float(p.grad[0].abs().max()) for p in trainee.bank.tensors.values()) > 0


def test_the_rate_rises_holds_and_falls() -> None:
    recipe = Recipe(steps=100, warmup=10, decay=20)
    rates = [recipe.rate(s) for s in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:81] == [1.0] * 72
    assert rates[-1] == 0
    assert np.all(np.diff(rates[80:]) < 0)


def test_a_folder_that_cannot_be_made(dataset, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        pretrain([dataset], tmp_path / "file" / "run", config=tiny(), device="cpu")
