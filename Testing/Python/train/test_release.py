"""From a finished run to the files that come with PromptSeg."""

from __future__ import annotations

import json
import sys

import pytest

from PromptSegLib.errors import PromptSegError
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.session import Session
from PromptSegTrain import release

QUALITY = {
    "dataset": "phantoms",
    "validation": ["case_9"],
    "dice": {"liver": 0.91, "spleen": 0.82},
    "note": "all slices",
}


def test_what_is_released_loads_and_says_how_good_it_is(trained, tmp_path, monkeypatch, phantom) -> None:
    (tmp_path / "q.json").write_text(json.dumps(QUALITY))
    words = [str(trained), "-o", str(tmp_path / "R"), "--set", "phantoms=abdomen-ct", "--name", "tiny"]
    words += ["--quality", str(tmp_path / "q.json"), "--note", "made for tests", "--components", "largest"]
    words += ["--components-of", "aorta=main", "--second-look", "phantoms"]
    monkeypatch.setattr(sys, "argv", ["release", *words])
    assert release.main() == 0
    source = load_backbone(trained / "tiny.safetensors", "cpu")
    backbone = load_backbone(tmp_path / "R" / "Models" / "tiny.safetensors", "cpu")
    assert backbone.id == source.id
    assert backbone.card["note"] == "made for tests"
    assert backbone.card["quality"] == [QUALITY]
    assert backbone.card["data"] == source.card["data"]
    assert "research use" in backbone.card["licence"]
    assert "validation" not in backbone.card  # the run's own quick look is replaced by what was measured
    prompts = PromptSet.read(tmp_path / "R" / "PromptSets" / "abdomen-ct.promptset")
    assert prompts.name == "abdomen-ct"
    assert (prompts.card["data"], prompts.card["validation"]) == ("phantoms", ["case_9"])
    assert {n: p.card.validation_dice for n, p in prompts.items()} == {"liver": 0.91, "spleen": 0.82, "aorta": None}
    assert {n: p.card.components for n, p in prompts.items()} == {
        "liver": "largest",
        "spleen": "largest",
        "aorta": "main",
    }
    assert all(p.card.shared_pass for p in prompts.values())
    assert not any(p.card.shared_pass for p in PromptSet.read(trained / "phantoms.promptset").values())
    session = Session(tmp_path / "R" / "Models" / "tiny.safetensors", "cpu", threads=1)
    session.set_volume(phantom.volume)
    found = session.segment([prompts["liver"]])
    assert found.mask("liver").any()


def test_a_set_may_join_several_and_hold_a_part(trained, tmp_path) -> None:
    source = PromptSet.read(trained / "phantoms.promptset")
    source.write(tmp_path / "more.promptset")
    for name in ("tiny.safetensors", "phantoms.promptset"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    quality = [QUALITY, {"dataset": "more", "validation": ["x", "y"], "dice": {"liver": 0.61}}]
    release.release(
        tmp_path,
        tmp_path / "R",
        {"phantoms,more": "both-ct"},
        quality,
        name="tiny",
        only={"both-ct": ["liver", "aorta"]},
    )
    both = PromptSet.read(tmp_path / "R" / "PromptSets" / "both-ct.promptset")
    assert list(both) == ["liver", "aorta"]
    assert both["liver"].card.volumes == 2 * source["liver"].card.volumes
    assert both["liver"].card.validation_dice == pytest.approx(0.71)
    assert both.card["validation"] == ["case_9", "x", "y"]
    with pytest.raises(PromptSegError, match="No set of phantoms,more has a prompt for 'brain'"):
        release.release(tmp_path, tmp_path / "R", {"phantoms,more": "b"}, name="tiny", only={"b": ["brain"]})


def test_a_run_without_such_files_is_one_sentence(tmp_path, trained) -> None:
    with pytest.raises(PromptSegError, match="no backbone file"):
        release.release(tmp_path, tmp_path / "R", {"phantoms": "abdomen-ct"})
    sets = {"phantoms": "abdomen-ct"}
    with pytest.raises(PromptSegError, match="No set has a prompt for 'liber'"):
        release.release(trained, tmp_path / "R", sets, name="tiny", own_components={"liber": "main"})
    with pytest.raises(PromptSegError, match="no prompt set"):
        release.release(trained, tmp_path / "R", {"other": "abdomen-ct"}, name="tiny")


@pytest.fixture
def run(trained, tmp_path):
    """A run's folder of this test's own."""
    folder = tmp_path / "Models"
    folder.mkdir()
    for name in ("tiny.safetensors", "phantoms.promptset"):
        (folder / name).write_bytes((trained / name).read_bytes())
    return folder


def test_a_release_does_not_take_the_place_of_what_it_is_made_from(run, trained, tmp_path) -> None:
    before = {path: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(PromptSegError, match="nothing is written over an input"):
        release.release(run, tmp_path, {"phantoms": "abdomen-ct"}, name="tiny")
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    measured = tmp_path / "R" / "Models" / "tiny.safetensors"
    release.release(trained, tmp_path / "R", {"phantoms": "abdomen-ct"}, name="tiny")
    with pytest.raises(PromptSegError, match="nothing is written over an input"):
        release.release(trained, tmp_path / "R", {"phantoms": "abdomen-ct"}, name="tiny", measured_on=measured)


def test_nothing_is_written_before_everything_is_known_to_fit(run, tmp_path) -> None:
    target = tmp_path / "R"
    for sets, only in (
        ({"phantoms": "abdomen-ct"}, {"abdomen-ct": ["brain"]}),
        ({"phantoms": "../abdomen-ct"}, {}),
        ({"phantoms": "one", "phantoms,phantoms": "one"}, {}),
    ):
        with pytest.raises(PromptSegError):
            release.release(run, target, sets, name="tiny", only=only)
    assert not target.exists()


@pytest.mark.parametrize(
    "words",
    [("--set", "nothing"), ("--set", "a=b", "--set", "a=c"), ("--set", "a=b", "--quality", "none.json")],
)
def test_words_that_do_not_fit_are_one_sentence(words, run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["release", str(run), "-o", str(tmp_path / "R"), *words])
    try:
        status = release.main()
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "R").exists()
