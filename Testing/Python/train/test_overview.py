"""The overview network is trained by one command, on subjects that it does not hold out, and goes on where it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.datasets.loading import read_dataset
from PromptSegLib.datasets.provenance import learned_from
from PromptSegLib.errors import InputError
from PromptSegLib.model.files import read_header, read_tensors
from PromptSegLib.model.overview_net import FINE, OverviewNet, overview_net
from PromptSegLib.register.picture import SPACING
from PromptSegLib.volumes.preprocess import grey_from_hu
from PromptSegTrain import overview
from PromptSegTrain.overview import CHECKPOINT, WEIGHTS, Recipe, examine, loss_of, main, train
from PromptSegTrain.overview_data import Crops, _points, load_scans, structures_in, unenhanced

CROP = (16, 32, 32)
QUICK = Recipe(steps=4, warmup=1, decay=2, lr=1e-3)


@pytest.fixture(scope="module")
def scans(dataset, tmp_path_factory):
    one = read_dataset(dataset)
    return load_scans(one, one.cases, tmp_path_factory.mktemp("cache"), absent=("mandible", "liver"))


def crops(scans, seed: int = 1) -> Crops:
    return Crops({"phantoms": scans}, ["aorta", "liver", "mandible", "spleen"], {}, seed, [CROP])


def test_a_scan_says_what_is_annotated_and_what_is_not_there(scans, dataset, tmp_path) -> None:
    assert [set(scan.annotated) for scan in scans] == [
        {"liver", "spleen", "aorta"}, {"liver", "spleen", "aorta"}, {"liver", "aorta"}, {"liver", "spleen", "aorta"}
    ]  # fmt: skip
    assert all(scan.absent == ("mandible",) for scan in scans)  # the liver is there, whatever was said
    for scan in scans:
        assert scan.grey.shape == scan.labels.shape
        inside, around = scan.grey[scan.mask("aorta")], scan.grey[(scan.labels == 0) & (scan.grey > 60)]
        assert np.median(inside) > np.median(around) + 20
    assert structures_in(scans, 3) == ["aorta", "liver", "spleen"]
    assert structures_in(scans, 4) == ["aorta", "liver"]


def test_what_was_scanned_finely_is_shown_in_finer_voxels_too(dataset, tmp_path, monkeypatch) -> None:
    one = read_dataset(dataset)
    (scan,) = load_scans(one, one.cases[:1], tmp_path, fine=True)
    assert scan.fine is not None
    assert scan.fine.annotated == scan.annotated
    size = np.array(scan.fine.grey.shape) * FINE / (np.array(scan.grey.shape) * SPACING)
    assert np.abs(size - 1).max() < 0.2
    for name in scan.annotated:
        ml = [np.count_nonzero(s.mask(name)) * mm**3 for s, mm in ((scan, SPACING), (scan.fine, FINE))]
        assert ml[1] == pytest.approx(ml[0], rel=0.25)
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr("PromptSegTrain.overview_data._points", lambda of, *_: asked.append(of) or _points(of, *_))
    for share in (0.0, 1.0):
        monkeypatch.setattr("PromptSegTrain.overview_data.FINER", share)
        crops([scan]).draw()
    assert asked == [scan.grey.shape, scan.fine.grey.shape]
    monkeypatch.setattr("PromptSegTrain.overview_data.SPACING", 1.5)
    (coarse,) = load_scans(one, one.cases[:1], tmp_path / "other", fine=True)
    assert coarse.fine is None


def test_the_cache_is_read_again_and_tells_the_same(dataset, tmp_path, monkeypatch) -> None:
    one = read_dataset(dataset)
    first = load_scans(one, one.cases[:1], tmp_path)
    monkeypatch.setattr("PromptSegTrain.overview_data.read_case", lambda *_: pytest.fail("was read again"))
    again = load_scans(one, one.cases[:1], tmp_path)
    assert np.array_equal(first[0].labels, again[0].labels)


def test_crops_show_what_their_masks_say(scans) -> None:
    drawn = crops(scans)
    found = []
    for _ in range(12):
        crop = drawn.draw()
        assert crop.picture.shape == (1, 2, *CROP)
        assert crop.masks.shape == (len(crop.channels), *CROP)
        assert torch.isfinite(crop.picture).all()
        assert not crop.masks[crop.channels.tolist().index(2)].any()  # no mandible
        aorta = crop.masks[crop.channels.tolist().index(0)]
        if aorta.sum() > 50:
            seen = crop.picture[0, 1] > 0
            found.append(crop.picture[0, 0][aorta].mean() > crop.picture[0, 0][~aorta & seen].mean())
    assert len(found) > 3
    assert all(found)


def test_scans_that_show_nothing_of_it_are_not_drawn(scans) -> None:
    others = [replace(scans[0], annotated=("lesion",), absent=())]
    drawn = Crops({"phantoms": scans, "lesions": others}, ["aorta"], {"lesions": 9.0}, 1, [CROP])
    assert {len(drawn.draw().channels) for _ in range(5)} == {1}


def test_the_same_seed_draws_the_same_crops(scans) -> None:
    first, second, other = (crops(scans, seed).draw() for seed in (1, 1, 2))
    assert torch.equal(first.picture, second.picture)
    assert torch.equal(first.masks, second.masks)
    assert not torch.equal(first.picture, other.picture)


def test_without_contrast_medium_organs_lie_close_to_muscle_and_bone_stays() -> None:
    hu = np.array([-900.0, -80.0, 30.0, 45.0, 120.0, 200.0])
    grey = torch.from_numpy(grey_from_hu(hu)).float()
    x = grey.repeat_interleave(3)[:, None, None].expand(18, 5, 5).clone()  # slabs of three voxels
    made = unenhanced(x, 0.25)[1::3, 2, 2]
    tissue = float(grey_from_hu(np.array(45.0)))
    expected = torch.where(grey > tissue, tissue + 0.25 * (grey - tissue), grey)
    assert torch.allclose(made, expected)
    x[9] = float(grey_from_hu(np.array(900.0)))
    beside = unenhanced(x, 0.25)
    assert torch.equal(beside[8:11], x[8:11])
    assert not torch.equal(beside[12:14], x[12:14])


def test_a_better_mask_has_a_smaller_loss() -> None:
    masks = torch.zeros(2, 4, 8, 8, dtype=torch.bool)
    masks[0, 1:3, 2:6, 2:6] = True
    right, wrong = (6 * (2 * one.float() - 1) for one in (masks, ~masks))
    nothing = torch.full(masks.shape, -6.0)
    assert loss_of(right, masks) < 0.1 < loss_of(nothing, masks) < loss_of(wrong, masks)
    far = right.clone()
    far[1, 0, 0, :4] = 6.0  # of what is not there
    assert loss_of(far, masks) > loss_of(right, masks) + 0.1


def run(dataset: Path, folder: Path, recipe: Recipe = QUICK, **options) -> dict[str, torch.Tensor]:
    folder.mkdir(exist_ok=True)
    train([dataset], folder, recipe, device="cpu", crops=[CROP], **options)
    return read_tensors(folder / WEIGHTS)[0]


def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(dataset, tmp_path, monkeypatch) -> None:
    whole = run(dataset, tmp_path / "whole", validation=0.0)
    original, steps = Crops.draw, []

    def cut(self):
        steps.append(1)
        if len(steps) > 2:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Crops, "draw", cut)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, tmp_path / "cut", validation=0.0, save_every=2)
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    monkeypatch.setattr(Crops, "draw", original)
    resumed = run(dataset, tmp_path / "cut", validation=0.0, resume=True)
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_it_learns(dataset, tmp_path) -> None:
    recipe = replace(QUICK, steps=50, decay=25, lr=1.5e-3, warmup=5)
    run(dataset, tmp_path, recipe, validation=0.25)
    card = json.loads(read_header(tmp_path / WEIGHTS)["card"])
    assert card["validation_dice"]["aorta"] > 0.5
    (data,) = card["data"]
    assert not {*data["training"]} & {*data["validation"]}


def test_a_run_begins_with_another_s_weights_and_says_so(dataset, tmp_path) -> None:
    first = run(dataset, tmp_path / "first", validation=0.25)
    still = replace(QUICK, steps=1, lr=0.0)
    second = run(dataset, tmp_path / "second", still, validation=0.0, start_from=tmp_path / "first" / WEIGHTS)
    assert all(torch.equal(first[k], second[k]) for k in first)
    card = overview_net(tmp_path / "second" / WEIGHTS).card
    assert card["recipe"]["steps_before"] == 4
    assert len(card["recipe"]["earlier"]["phantoms"]) == 3
    assert len(learned_from(card)["phantoms"]) == 4
    with pytest.raises(InputError, match="would be held out"):
        run(dataset, tmp_path / "third", still, start_from=tmp_path / "second" / WEIGHTS)
    with pytest.raises(InputError, match="starts from knows 'aorta'"):
        run(dataset, tmp_path / "third", still, leave_out=("aorta",), start_from=tmp_path / "first" / WEIGHTS)


def test_what_is_left_out_is_not_learned(dataset, tmp_path, scans) -> None:
    run(dataset, tmp_path, replace(QUICK, steps=1), validation=0.0, leave_out=("aorta",))
    net = overview_net(tmp_path / WEIGHTS)
    assert net.structures == ("liver", "spleen")
    assert {*examine(net, scans[:1])} == {"liver", "spleen"}


def test_the_command_says_what_it_learns(dataset, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(overview, "CROPS", [CROP])
    assert main([str(dataset), "-o", str(tmp_path), "--steps", "1", "--device", "cpu", "--draw", "2"]) == 0
    assert "structures: 'aorta', 'liver'" in capsys.readouterr().out
    assert isinstance(overview_net(tmp_path / WEIGHTS), OverviewNet)


def test_bad_input_is_one_sentence(dataset, tmp_path, capsys) -> None:
    assert main([str(tmp_path / "none.json"), "-o", str(tmp_path / "run")]) == 2
    assert "none.json" in capsys.readouterr().err
    wrong = [str(dataset), "-o", str(tmp_path / "run"), "--steps", "1"]
    for words, said in ((["--draw", "1", "2"], "--draw"), (["--absent", "others=liver"], "others"),
                        (["--resume"], "last.safetensors")):  # fmt: skip
        assert main([*wrong, *words]) == 2
        assert said in capsys.readouterr().err
