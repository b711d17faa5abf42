"""Nothing is measured on subjects that were learned from, in this run or in one before it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from PromptSegLib.datasets.loading import read_dataset, split_cases
from PromptSegLib.datasets.provenance import check_measured, learned_from, steps_so_far
from PromptSegLib.errors import InputError, few
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegTrain import pack, release
from PromptSegTrain.checkpoint import read_settings

pytestmark = pytest.mark.usefixtures("small_images")


def other_seed(dataset, known: set[str]) -> int:
    """A seed whose split would hold out a subject that is known."""
    cases = read_dataset(dataset).cases
    return next(s for s in range(2, 99) if known & {c.name for c in split_cases(cases, 0.25, s)[1]})


def test_a_card_tells_what_was_learned_from() -> None:
    card = {
        "data": [{"name": "a", "training": ["2", "1"]}, {"name": "b", "training": ["7"]}],
        "recipe": {"earlier": {"a": ["3", "1"], "c": ["9"]}},
    }
    assert learned_from(card) == {"a": ("1", "2", "3"), "b": ("7",), "c": ("9",)}
    for strange in ({}, {"data": "x", "recipe": 3}, {"data": [1, {"name": "a"}], "recipe": {"earlier": {"a": 1}}}):
        assert learned_from(strange) == {}
    assert (few(["a", "b"]), few(["a", "b", "c", "d", "e"])) == ("a, b", "a, b, c and 2 more")


def test_what_was_learned_from_is_not_held_out_later(go, dataset, trained, tmp_path) -> None:
    source = load_backbone(trained / "tiny.safetensors", "cpu")
    ((name, known),) = learned_from(source.card).items()
    seed = other_seed(dataset, set(known))
    started = {"start_from": trained / "tiny.safetensors", "steps": 1}
    with pytest.raises(InputError, match=r"would be held out, but tiny has learned from .*--validation 0"):
        go("leaky", recipe={"seed": seed, "validation": 0.25}, **started)
    assert not (tmp_path / "leaky" / "last.safetensors").exists()
    # With nothing held out it may; what was learned before is remembered, also by what starts from that.
    go("all", recipe={"seed": seed}, **started)
    last = load_backbone(tmp_path / "all" / "small.safetensors", "cpu")
    assert last.card["recipe"]["earlier"] == {name: list(known)}
    assert set(learned_from(last.card)[name]) == {c.name for c in read_dataset(dataset).cases}
    with pytest.raises(InputError, match="would be held out, but small has learned from"):
        go("later", recipe={"validation": 0.25}, steps=1, start_from=tmp_path / "all" / "small.safetensors")


def derived(dataset: Path, folder: Path, subjects: dict[str, str]) -> Path:
    """A data set that is derived from another, of some of its volumes and of whom these are."""
    values, entries = json.loads(dataset.read_text()), []
    for case in read_dataset(dataset).cases:
        if case.name in subjects:
            files = {}
            for what, file in (("image", case.image), ("label", case.label)):
                files[what] = f"{case.name}-{what}.nii.gz"
                folder.mkdir(exist_ok=True)
                shutil.copy2(file, folder / files[what])
            entries.append({**files, "subject": subjects[case.name]})
    path = folder / "dataset.json"
    path.write_text(json.dumps({**values, "name": "copies", "derived_from": values["name"], "training": entries}))
    return path


def test_a_derived_set_holds_its_subjects_again(go, dataset, tmp_path) -> None:
    """In the same run, in a later one, in a pack, and where figures are told."""
    origin = read_dataset(dataset)
    split_of = split_cases(origin.cases, 0.25, 1)
    known, held_out = (sorted(c.name for c in part) for part in split_of)
    leaky = derived(dataset, tmp_path / "leaky", {held_out[0]: held_out[0], known[0]: known[0]})
    refused = rf"'{held_out[0]}' of {origin.name} would be held out, but copies holds it, too; take the --seed"
    with pytest.raises(InputError, match=refused):
        go("leaky-run", steps=1, datasets=[dataset, leaky], recipe={"validation": 0.25})
    words = [str(dataset), str(leaky), "-o", str(tmp_path / "x.pack"), "--cache", str(tmp_path / "c")]
    assert pack.main(words) == 2
    assert not (tmp_path / "x.pack").exists()
    # Whoever is learned from may be there again; nobody of the copies is held out.
    good = derived(dataset, tmp_path / "good", {known[0]: known[0], known[1]: known[1].upper()})
    go("good-run", steps=1, datasets=[dataset, good], recipe={"validation": 0.25})
    card = load_backbone(tmp_path / "good-run" / "small.safetensors", "cpu").card
    assert [d.get("derived_from") for d in card["data"]] == [None, origin.name]
    assert (card["data"][1]["training"], card["data"][1]["validation"]) == (sorted([known[0], known[1].upper()]), [])
    assert PromptSet.read(tmp_path / "good-run" / "copies.promptset").card["derived_from"] == origin.name
    # Learned from in copies alone, they are never held out later.
    go("copies-run", steps=1, datasets=[leaky])
    last = tmp_path / "copies-run" / "small.safetensors"
    card = load_backbone(last, "cpu").card
    assert learned_from(card) == {name: tuple(sorted([held_out[0], known[0]])) for name in ("copies", origin.name)}
    with pytest.raises(InputError, match=f"'{held_out[0]}' of {origin.name} would be held out, but small has learned"):
        go("later", steps=1, start_from=last, recipe={"validation": 0.25})
    quality = {"dataset": origin.name.upper(), "validation": [held_out[0].upper()], "dice": {}}
    with pytest.raises(InputError, match="says nothing"):
        check_measured(quality, card)


def test_a_run_that_goes_on_keeps_its_split(go, tmp_path) -> None:
    go("run", steps=1)
    with pytest.raises(InputError, match=r"leave --seed and --validation as they were \(1 and 0\)"):
        go("run", steps=2, resume=True, recipe={"seed": 3})
    assert read_settings(tmp_path / "run" / "last.safetensors")[1].seed == 1


def test_a_last_part_with_all_subjects_may_tell_what_was_measured_before_it() -> None:
    def card(training: list[str], step: int, start: str = "", earlier: tuple[str, ...] = ()) -> dict:
        recipe = {"step": step, "start_from": start, "earlier": {"ct": list(earlier)}}
        return {"data": [{"name": "ct", "training": training}], "recipe": recipe}

    identity = "f" * 64
    quality = {"dataset": "ct", "validation": ["c"], "dice": {"liver": 0.9}, "backbone": identity}
    before = card(["a", "b"], 100)
    last = card(["a", "b", "c"], 25, f"punet {identity[:12]}", ("a", "b"))
    check_measured(quality, before)
    check_measured(quality, last, (identity, before))
    with pytest.raises(InputError, match="says nothing"):
        check_measured(quality, last)
    for wrong, why in (
        ((quality, card(["a", "b", "c"], 26, f"punet {identity[:12]}"), (identity, before)), "more than a last fifth"),
        ((quality, card(["a", "b", "c"], 25, "punet 000000000000"), (identity, before)), "another backbone"),
        (({**quality, "backbone": "e" * 64}, last, (identity, before)), "another backbone"),
        ((quality, last, (identity, card(["a", "b", "c"], 100))), "had itself learned"),
        ((quality, last, (identity, {**before, "data": [{"name": "mr", "training": []}]})), "other data sets"),
    ):
        with pytest.raises(InputError, match=why):
            check_measured(*wrong)


def test_a_last_part_may_be_gone_on_with() -> None:
    """Two runs with all subjects, one after the other, are one last part: a fifth of all steps together."""

    def card(step: int, steps_before: int, start: str, **more: object) -> dict:
        recipe = {"step": step, "steps_before": steps_before, "start_from": f"punet {start[:12]}"}
        return {"data": [{"name": "ct", "training": ["a", "b", "c"]}], "recipe": recipe, **more}

    measured, first, other = "a" * 64, "b" * 64, "c" * 64
    quality = {"dataset": "ct", "validation": ["c"], "dice": {"liver": 0.9}, "backbone": measured}
    released = card(10, 1000, measured, quality=[quality])
    check_measured(quality, card(240, 1010, first), (first, released))
    for wrong, why in (
        ((quality, card(241, 1010, first), (first, released)), "251 steps with all subjects after 1000 are more"),
        ((quality, card(9, 1010, other), (first, released)), "another backbone"),
        (({**quality, "dice": {"liver": 0.99}}, card(9, 1010, first), (first, released)), "another backbone"),
        ((quality, card(9, 1010, first), (first, card(10, 1000, other, quality=[quality]))), "another backbone"),
        ((quality, card(9, 10, first), (first, card(10, 0, measured, quality=[quality]))), "more than a last fifth"),
    ):
        with pytest.raises(InputError, match=why):
            check_measured(*wrong)


def test_steps_are_counted_from_random_numbers_on(go, dataset, trained, tmp_path) -> None:
    source = load_backbone(trained / "tiny.safetensors", "cpu")
    assert steps_so_far(source.card) == source.card["recipe"]["step"] > 0
    go("all", start_from=trained / "tiny.safetensors", steps=1)
    last = load_backbone(tmp_path / "all" / "small.safetensors", "cpu")
    assert last.card["recipe"]["steps_before"] == steps_so_far(source.card)
    assert steps_so_far(last.card) == steps_so_far(source.card) + 1
    assert [steps_so_far(c) for c in ({}, {"recipe": 3}, {"recipe": {"step": "many", "steps_before": -3}})] == [0] * 3


def test_figures_of_subjects_that_were_learned_from_are_not_released(trained, tmp_path) -> None:
    (one,) = learned_from(load_backbone(trained / "tiny.safetensors", "cpu").card)
    subject = learned_from(load_backbone(trained / "tiny.safetensors", "cpu").card)[one][0]
    quality = {"dataset": one, "validation": [subject], "dice": {"liver": 0.99}}
    with pytest.raises(InputError, match=f"What was measured on '{subject}' of {one} says nothing"):
        release.release(trained, tmp_path / "R", {one: "abdomen-ct"}, [quality], name="tiny")
    assert not (tmp_path / "R").exists()
    release.release(trained, tmp_path / "R", {one: "abdomen-ct"}, [{**quality, "validation": ["x"]}], name="tiny")
