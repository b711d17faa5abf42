"""The scripts that measure the paper's claim and whether prompts steer: what they print is what they say it is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.model.config import tiny
from PromptSegLib.model.punet import PUNet

SCRIPTS = Path(__file__).resolve().parents[1] / "Benchmarks"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def scripts(monkeypatch):
    """The three modules, importable as when they are run from their folder."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import adaptation
    import paper_claim
    import steering

    yield adaptation, paper_claim, steering
    for name in ("adaptation", "paper_claim", "paper_claim_table", "steering", "readout"):
        sys.modules.pop(name, None)


@pytest.fixture
def experiment(scripts, dataset, tmp_path, monkeypatch):
    """Pre-trained on liver and aorta, asked for the spleen; the tiny network; a step or two of everything."""
    from PromptSegLib.datasets import contrastive_views as views
    from PromptSegLib.datasets import loading as data
    from PromptSegLib.datasets import tasks

    _, claim, _ = scripts
    for module, name in ((tasks, "SIZES"), (data, "RECIPE"), (views, "TEACHER"), (views, "STUDENTS")):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back afterwards what the script changes
    monkeypatch.setattr(claim.Settings, "network", lambda self: tiny())
    settings = claim.Settings(
        spacing=4.0, size=(32, 32), pretraining_steps=6, steps=4, batches=2, groups=1, every=6,
        base=("liver", "aorta"), new=("spleen",), rehearsal="spleen",
    )  # fmt: skip
    results = claim.Results(tmp_path / "results.json")
    results.bind(settings)
    material = claim.load(dataset, settings, tmp_path / "cache")
    return claim.Experiment(material, settings, results)


def test_every_way_is_measured_once_and_learns_only_what_it_says(scripts, experiment, monkeypatch) -> None:
    adaptation, claim, _ = scripts
    for name in ("prompts", "full"):  # the choice of a rate is tried on two of them
        monkeypatch.setitem(
            adaptation.METHODS, name, claim.METHODS[name].__class__(**{**vars(claim.METHODS[name]), "rates": (0.01,)})
        )
    monkeypatch.setattr(claim, "MAX_RATES", 1)
    for name in adaptation.METHODS:
        if name not in ("prompts", "full"):
            experiment.results.put("rates", name, {"chosen": 0.01, "tried": {}})
    cells = list(claim.plan(experiment.settings, ["supervised"], 1))
    assert len(cells) == len({c.key for c in cells}) == 3 * len(adaptation.METHODS)
    for cell in cells[:-6]:
        if cell.subjects != 10:
            experiment.run(cell)
    for name in ("bias", "scales"):
        experiment.run(next(c for c in cells if c.method == name))
    found = json.loads(experiment.results.path.read_text())["cells"]
    assert {c["method"] for c in found.values()} == set(adaptation.METHODS)
    assert all(0 <= c["dice"] <= 1 and c["seconds"] >= 0 and np.isfinite(c["loss"]) for c in found.values())

    shapes = {k: torch.Size(s).numel() for k, s in PUNet(tiny()).prompt_shapes().items()}
    weights = dict(PUNet(tiny()).named_parameters())
    network = sum(p.numel() for p in weights.values())
    scales = sum(p.numel() for n, p in weights.items() if p.ndim == 1 or (n.startswith("head.") and p.ndim == 2))
    wide = tiny().widths[0] + 2 * sum(tiny().widths) - tiny().widths[-1] + tiny().head_width  # stem, levels, head
    readout = 16 * wide + 16 + 17
    trained = {c["method"]: c["trained"] for c in found.values()}
    assert trained == {
        "prompts": sum(shapes.values()),
        "decoder": sum(shapes.values()),  # of the tiny network the bottleneck is the only prompted level above it
        "head": sum(n for k, n in shapes.items() if k.startswith("head.")),
        "bias": sum(n for k, n in shapes.items() if k.endswith(".bias")),
        "linear": tiny().head_width + 1,
        "scales": scales + sum(shapes.values()),
        "readout": readout,
        "both": scales + readout,
        "full": network + sum(shapes.values()),
        "scratch": network + sum(shapes.values()),
    }
    first = found["supervised|spleen|0|prompts|1"]
    assert first["share"] == pytest.approx(first["trained"] / network)

    text = claim.table(experiment.results.values)
    assert "**All subjects**" in text
    assert "**3 subjects**" in text
    assert f"{first['dice']:.3f}" in text
    again = claim.Results(experiment.results.path)
    with pytest.raises(SystemExit, match="other settings"):
        again.bind(claim.Settings())
    # A file of before regions and Muon goes on with neither.
    former = {k: v for k, v in again.values["settings"].items() if k not in ("optimiser", "pseudo")}
    again.values["settings"] = former
    again.bind(experiment.settings)
    again.values["settings"] = former
    with pytest.raises(SystemExit, match="other settings"):
        again.bind(replace(experiment.settings, optimiser="muon"))


def test_the_network_stays_as_it_was_and_prompts_enter_where_they_should(scripts, experiment) -> None:
    adaptation, _, _ = scripts
    torch.manual_seed(0)
    config = replace(tiny(), widths=(8, 16, 16, 16), heads=(1, 2, 2, 2), windows=(4,) * 4, encoder_blocks=(0, 2, 2, 2),
                     decoder_blocks=(1, 2, 2), prompted_encoder_levels=(1, 2, 3), proposer_width=0)  # fmt: skip
    net = PUNet(config).freeze()
    prompt = {k: torch.randn(s) for k, s in net.prompt_shapes().items()}
    frozen = adaptation.Frozen(net, net, prompt)
    slices = adaptation.Slices(frozen, [torch.randn(2, 32, 32, 3)], [torch.zeros(2, 32, 32, dtype=torch.long)])
    prompts = adaptation.batched(prompt, torch.float32)
    whole = net.decode(net.encode(slices.images[0]), prompts)
    # What is kept of the encoder, decoded from the bottleneck on, is the same network.
    assert torch.allclose(frozen.below.decode(slices.encoded[0], prompts), whole, atol=1e-4)
    assert torch.allclose(net.head.logits(slices.features[0], prompts), whole, atol=1e-4)

    slices.labels[0][:, 8:20, 8:20] = 1
    before = {k: v.clone() for k, v in net.state_dict().items()}
    start = adaptation.first_prompt(frozen, slices, 0)
    for name in ("prompts", "readout", "both", "full"):
        adaptation.learn(adaptation.METHODS[name], frozen, slices, 3, 0.01, 0)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(torch.equal(v, prompt[k]) for k, v in start.items() if not k.startswith("head."))


def test_a_readout_reads_every_level_from_coarse_to_fine(scripts, experiment) -> None:
    import readout

    adaptation, _, _ = scripts
    net = PUNet(tiny()).freeze()
    prompt = adaptation.batched({k: torch.randn(s) for k, s in net.prompt_shapes().items()}, torch.float32)
    images = torch.randn(2, 20, 28, 3)  # padded to 24 x 32
    with torch.no_grad():
        maps = readout.level_maps(net, lambda: net.pixel_features(net.encode(images), prompt))
    assert [m.shape[1:3] for m in maps] == [(3, 4), (6, 8), (6, 8), (12, 16), (12, 16), (12, 16), (24, 32)]
    made = readout.Readout([maps])
    assert made(maps, (20, 28)).shape == (2, 20, 28)
    # A map that is constant says nothing: it is its own mean.
    flat = [m.mean((0, 1, 2), keepdim=True).expand_as(m) for m in maps]
    expected = made.out(torch.nn.functional.gelu(made.offset)).item()
    assert torch.allclose(made(flat, (20, 28)), torch.tensor(expected), atol=1e-4)
    assert not net.stem._forward_hooks  # nothing goes on watching


@pytest.mark.parametrize("mode", ["joint", "self"])
def test_pretraining_without_and_with_annotations(scripts, experiment, mode) -> None:
    _, claim, _ = scripts
    settings = replace(experiment.settings, pretraining_steps=2, optimiser="muon" if mode == "joint" else "adamw")
    model, record = claim.pretrain(mode, experiment.material, settings, torch.float32)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert set(record["dice"]) == (set(settings.base) if mode == "joint" else set())


def test_subjects_are_drawn_by_seed_and_structures_are_restricted(scripts, experiment) -> None:
    adaptation, _, _ = scripts
    material = experiment.material
    assert {s.name for s in material.some(2, 1)} > {s.name for s in material.some(1, 1)}
    assert len(material.some(0, 1)) == len(material.training)
    (one,) = adaptation.restrict([s for s in material.training if "aorta" in s.where][:1], ["aorta"])
    assert one.structures == ("aorta",)
    assert set(np.unique(one.labels)) == {0, 1}
    assert not adaptation.restrict(material.training, ["pancreas"])


def test_steering_tells_head_from_deep_tokens(scripts) -> None:
    """Two prompts with the same deep tokens: exchanging those changes nothing, exchanging the head is everything."""
    _, _, steering = scripts
    torch.manual_seed(0)
    net = PUNet(tiny()).freeze()
    shapes = net.prompt_shapes()
    deep = {k: torch.randn(s) for k, s in shapes.items() if not k.startswith("head.")}
    head = {k: torch.randn(s) for k, s in shapes.items() if k.startswith("head.")}
    swapped = {"head.foreground": head["head.background"], "head.background": head["head.foreground"]}
    prompts = {"a": {**deep, **head}, "b": {**deep, **swapped}}
    images = torch.randn(3, 32, 32, 3)
    found = net.decode(net.encode(images), {k: v[None] if v.ndim == 2 and not k.endswith(".bias") else v
                                            for k, v in prompts["a"].items()}) > 0  # fmt: skip
    dice = steering.steering(net, prompts, images, {"a": found, "b": ~found})
    assert np.allclose(dice["whole"][:2], np.eye(2), atol=1e-3)
    assert np.allclose(dice["deep"], 1.0, atol=1e-3)  # three rows: a, b and their mean
    assert np.allclose(dice["head"][:2], np.eye(2), atol=1e-3)
    assert np.isnan(dice["whole"][2]).all()
    few = steering.summary(dice)
    assert few["right prompt"] == pytest.approx(1, abs=1e-3)
    assert few["another structure's head tokens"] == pytest.approx(0, abs=1e-3)
    assert "| 2 b | 0.00 | 1.00 |" in steering.matrix(dice["whole"], ["a", "b"])
    absent = steering.steering(net, prompts, images, {"a": found})
    assert np.isnan(absent["whole"][:, 1]).all()
