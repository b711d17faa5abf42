"""Prompts of a set get their places in the open reference CTs from labelled volumes, and no picture of these."""

from __future__ import annotations

from pathlib import Path

import pytest

from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register import references as module
from PromptSegLib.register.picture import picture_of
from PromptSegLib.register.references import Reference
from PromptSegLib.register.teachers import Teacher
from PromptSegTrain import places


@pytest.fixture(scope="module")
def labelled(kit, tmp_path_factory) -> Path:
    return kit.write_dataset(tmp_path_factory.mktemp("labelled") / "few", (31, 32), without={32: 2})


@pytest.fixture(scope="module")
def open_ct(kit) -> Reference:
    picture = picture_of(kit.make_phantom(33).volume)
    return Reference("open_ct", picture, Teacher(picture, {}).digest)


@pytest.fixture
def one_reference(open_ct, monkeypatch) -> None:
    monkeypatch.setattr(module, "references", lambda: (open_ct,))


def words(trained, labelled, out, structures="liver", volumes="case_31,case_32") -> list[str]:
    given = [str(trained / "phantoms.promptset"), str(labelled), "-o", str(out)]
    return [*given, "--structures", structures, "--volumes", volumes]


@pytest.mark.usefixtures("one_reference")
def test_a_structure_gets_its_place_and_the_others_stay_as_they_are(
    trained, labelled, open_ct, tmp_path, capsys
) -> None:
    out = tmp_path / "with.promptset"
    assert places.main(words(trained, labelled, out)) == 0
    before, after = PromptSet.read(trained / "phantoms.promptset"), PromptSet.read(out)
    (mask,) = after["liver"].masks
    assert mask.reference == open_ct.digest
    assert mask.returned > 0.7
    assert (
        f"liver: Dice of what comes back from each reference that fits: {mask.returned:.2f}" in capsys.readouterr().out
    )
    assert list(after) == list(before)
    assert all(not after[name].masks for name in after if name != "liver")
    assert after["liver"].card == before["liver"].card
    assert out.stat().st_size < (trained / "phantoms.promptset").stat().st_size + 30_000  # a mask, and no picture


@pytest.mark.usefixtures("one_reference")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"structures": "kidney"}, "phantoms has no 'kidney'; choose of 'liver', 'spleen', 'aorta'."),
        ({"volumes": "case_7"}, "has no 'case_7'; choose of 'case_31', 'case_32'."),
        (
            {"structures": "spleen", "volumes": "case_32"},
            "spleen has no place in the reference CTs: none of these volumes shows it; leave it out",
        ),
    ],
)
def test_what_is_not_there_is_said_and_nothing_is_written(trained, labelled, tmp_path, capsys, change, said) -> None:
    out = tmp_path / "with.promptset"
    assert places.main(words(trained, labelled, out, **change)) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_the_set_itself_is_not_written_over(trained, labelled, capsys) -> None:
    same = trained / "phantoms.promptset"
    before = same.read_bytes()
    assert places.main(words(trained, labelled, same)) == 2
    assert "nothing is written over an input" in capsys.readouterr().err
    assert same.read_bytes() == before
