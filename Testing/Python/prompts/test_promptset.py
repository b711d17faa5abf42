"""A prompt set comes back as it was written, and whatever is not one is refused in one sentence."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from PromptSegLib.anatomy.structure import Code, Structure
from PromptSegLib.errors import PromptError
from PromptSegLib.prompts import promptfile
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptfile import read_header
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.volumes.volume import Grid

SHAPES = {"decoder.0.0.tokens": (4, 8), "decoder.0.0.bias": (2, 4), "head.foreground": (2, 8)}
ID, OTHER_ID = "ab" * 32, "cd" * 32
CYST = Structure(
    "left cyst of Müller",
    Code("SCT", "441457006", "Cyst"),
    (0.25, 0.5, 1.0),
    Code("SCT", "49755003", "Morphologically Altered Structure"),
    Code("SCT", "7771000", "Left"),
    ("cyst", "zyste"),
)


def make_prompt(structure: Structure, seed: int = 0, identity: str = ID) -> Prompt:
    random = torch.Generator().manual_seed(seed)
    card = Card(window=(-160.0, 240.0), note=f"nº {seed}", extra={"later": {"fields": [1, None]}})
    return Prompt(structure, identity, {k: torch.randn(s, generator=random) for k, s in SHAPES.items()}, card)


@pytest.fixture
def prompts() -> PromptSet:
    return PromptSet.of("two", [make_prompt(CYST, 1), make_prompt(Structure("bone"), 2)], {"licence": "CC0"})


@pytest.fixture
def path(prompts, tmp_path) -> Path:
    prompts.write(tmp_path / "two.promptset")
    return tmp_path / "two.promptset"


def rewrite(
    path: Path, change: Callable[[dict], None], tensors: Callable[[dict], None] | None = None, resign: bool = False
) -> None:
    """Write the file again as somebody would who knows the format, and perhaps the checksum."""
    from safetensors.torch import load_file

    data = path.read_bytes()
    meta = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header, values = json.loads(meta["promptset"]), load_file(path)
    change(header)
    if tensors:
        tensors(values)
    if resign:
        header.pop("checksum")
        header["checksum"] = promptfile._checksum(header, {k: v.numpy() for k, v in values.items()})
    save_file(values, path, {**meta, "promptset": json.dumps(header)})


def test_what_is_written_comes_back(prompts, path) -> None:
    again = PromptSet.read(path)
    assert (again.name, again.card, list(again)) == ("two", {"licence": "CC0"}, ["left cyst of Müller", "bone"])
    for name, prompt in prompts.items():
        found = again[name]
        assert found.structure == prompt.structure
        assert found.card == prompt.card
        assert found.backbone_id == ID
        assert set(found.tensors) == set(SHAPES)
        for k, tensor in prompt.tensors.items():
            assert torch.equal(found.tensors[k], tensor.half().float())
        found.check(SHAPES, ID)


def test_the_file_holds_fp16_and_no_stray_file_is_left(path) -> None:
    from safetensors.torch import load_file

    assert {t.dtype for t in load_file(path).values()} == {torch.float16}
    assert list(path.parent.iterdir()) == [path]


def test_the_card_is_read_without_tensors(path) -> None:
    header = read_header(path)
    assert [one.structure.name for one in header.entries] == ["left cyst of Müller", "bone"]
    assert header.entries[0].card.window == (-160.0, 240.0)


PICKLE = b"\x80\x04\x8c\x08builtins\x8c\x04exit\x93K\x07\x85R."  # whoever reads it ends with status 7
DAMAGE = {
    "nothing": lambda data: b"",
    "seven bytes": lambda data: data[:7],
    "half": lambda data: data[: len(data) // 2],
    "one byte missing": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "one bit of a tensor": lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
    "a huge header": lambda data: (2**40).to_bytes(8, "little") + data[8:],
    "a header beyond the file": lambda data: (len(data)).to_bytes(8, "little") + data[8:],
    "a header of text": lambda data: (4).to_bytes(8, "little") + b"text",
    "a header that is a list": lambda data: (2).to_bytes(8, "little") + b"[]",
    "not UTF-8": lambda data: data[:9] + b"\xff" + data[10:],
    "a pickle": lambda data: PICKLE,
    "tensors without a card": lambda data: save({"a": torch.zeros(2)}),
    "another format": lambda data: save({"a": torch.zeros(2)}, {"format": "another", "promptset": "{}"}),
    "a card that is no object": lambda data: save(
        {"a": torch.zeros(2)}, {"format": "promptseg-promptset-1", "promptset": "[]"}
    ),
    "deeply nested JSON": lambda data: (200_000).to_bytes(8, "little") + b"[" * 200_000,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused(path, kind) -> None:
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with pytest.raises(PromptError, match=r"two\.promptset is (damaged|not a PromptSeg prompt set)"):
        PromptSet.read(path)


CHANGES = {
    "no name": lambda h: h.pop("name"),
    "a number as name": lambda h: h.update(name=3),
    "no prompts": lambda h: h.update(prompts=[]),
    "prompts that are text": lambda h: h.update(prompts="ab"),
    "too many prompts": lambda h: h.update(prompts=h["prompts"] * 600),
    "a prompt without tensors": lambda h: h["prompts"].append(
        {**h["prompts"][0], "structure": {**h["prompts"][0]["structure"], "name": "twin"}}
    ),
    "two of one name": lambda h: h["prompts"][1].update(structure=h["prompts"][0]["structure"]),
    "a prompt fewer": lambda h: h["prompts"].pop(),
    "an unprintable name": lambda h: h["prompts"][0]["structure"].update(name="a\x1b[31m"),
    "a long name": lambda h: h["prompts"][0]["structure"].update(name="a" * 201),
    "a colour of two": lambda h: h["prompts"][0]["structure"].update(colour=[1, 0]),
    "a colour of NaN": lambda h: h["prompts"][0]["structure"].update(colour=[float("nan"), 0, 0]),
    "a code without a meaning": lambda h: h["prompts"][0]["structure"]["code"].pop("meaning"),
    "a card that is a list": lambda h: h["prompts"][0].update(card=[]),
    "a backbone that is a number": lambda h: h["prompts"][0].update(backbone=7),
    "another note": lambda h: h["prompts"][0]["card"].update(note="better"),
    "another name": lambda h: h["prompts"][0]["structure"].update(name="right cyst"),
    "another checksum": lambda h: h.update(checksum="0" * 64),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_card_is_refused(path, kind) -> None:
    rewrite(path, CHANGES[kind])
    with pytest.raises(
        PromptError, match=r"two\.promptset (is damaged|is not a PromptSeg prompt set|cannot be used: )"
    ):
        PromptSet.read(path)


TENSORS = {
    "float32": lambda t: t.update({k: v.float() for k, v in t.items()}),
    "whole numbers": lambda t: t.update({"0/head.foreground": t["0/head.foreground"].to(torch.int16)}),
    "NaN": lambda t: t["0/head.foreground"].fill_(float("nan")),
    "infinite": lambda t: t["1/head.foreground"].fill_(float("inf")),
    "a value": lambda t: t["1/head.foreground"].add_(1),
    "without a prompt's number": lambda t: t.update({"head": torch.zeros(2, dtype=torch.float16)}),
}


@pytest.mark.parametrize("kind", TENSORS)
def test_changed_tensors_are_refused(path, kind) -> None:
    rewrite(path, lambda header: None, TENSORS[kind])
    with pytest.raises(PromptError, match=r"two\.promptset is damaged"):
        PromptSet.read(path)


def test_a_file_that_is_not_there_or_a_folder(tmp_path) -> None:
    with pytest.raises(PromptError, match=r"There is no prompt set .*none\.promptset; check the name"):
        PromptSet.read(tmp_path / "none.promptset")
    (tmp_path / "folder.promptset").mkdir()
    with pytest.raises(PromptError, match=r"folder\.promptset is not a PromptSeg prompt set"):
        PromptSet.read(tmp_path / "folder.promptset")


def test_another_backbone_is_refused_with_both_names() -> None:
    with pytest.raises(PromptError) as refused:
        make_prompt(CYST).check(SHAPES, OTHER_ID, "punet-new")
    for name in (ID[:12], OTHER_ID[:12], "punet-new", CYST.name):
        assert name in str(refused.value)


@pytest.mark.parametrize("change", ["shape", "missing", "more"])
def test_tensors_that_do_not_fit_the_backbone_are_refused(change) -> None:
    prompt = make_prompt(CYST)
    tensors = dict(prompt.tensors)
    if change == "shape":
        tensors["head.foreground"] = torch.zeros(3, 8)
    elif change == "missing":
        del tensors["head.foreground"]
    else:
        tensors["head.other"] = torch.zeros(2)
    with pytest.raises(PromptError, match="wrong shape"):
        Prompt(CYST, ID, tensors).check(SHAPES, ID)


def test_two_prompts_of_one_name_are_refused() -> None:
    with pytest.raises(PromptError, match="two prompts for left cyst"):
        PromptSet.of("x", [make_prompt(CYST, 1), make_prompt(CYST, 2)])


def test_sets_are_merged_in_order(prompts) -> None:
    more = PromptSet.of("more", [make_prompt(Structure("gland"))])
    assert list(prompts.merge(more, "all")) == [*prompts, "gland"]
    with pytest.raises(PromptError, match="both have a prompt for 'bone'"):
        prompts.merge(PromptSet.of("b", [make_prompt(Structure("bone"))]), "all")
    with pytest.raises(PromptError, match="two and b were learned on different backbones"):
        prompts.merge(PromptSet.of("b", [make_prompt(Structure("new"), identity=OTHER_ID)]), "all")


UNFIT = {
    "a long name": (lambda p: replace(p, structure=Structure("a" * 201)), "has 201 characters, and at most 200"),
    "an empty name": (lambda p: replace(p, structure=Structure("  ")), "name is empty"),
    "a name of two lines": (lambda p: replace(p, structure=Structure("a\nb")), "cannot be shown"),
    "a lone surrogate": (lambda p: replace(p, structure=Structure("a\udcff")), "cannot be shown"),
    "a long synonym": (lambda p: replace(p, structure=Structure("a", synonyms=("b" * 300,))), "synonym"),
    "an empty code": (lambda p: replace(p, structure=Structure("a", Code("SCT", "1", ""))), "meaning is empty"),
    "a colour of NaN": (lambda p: replace(p, structure=Structure("a", colour=(math.nan, 0, 0))), "finite numbers"),
    "no tensors": (lambda p: replace(p, tensors={}), "damaged"),
    "an empty tensor": (lambda p: replace(p, tensors={"head": torch.zeros(0)}), "damaged"),
    "more than fp16 holds": (lambda p: replace(p, tensors={"head": torch.full((2,), 1e6)}), "too large to be kept"),
    "NaN": (lambda p: replace(p, tensors={"head": torch.full((2,), math.nan)}), "too large to be kept"),
    "a long backbone": (lambda p: replace(p, backbone_id="a" * 201), "names no backbone"),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_could_not_be_read_is_not_written(kind, path) -> None:
    change, said = UNFIT[kind]
    before = path.read_bytes()
    with pytest.raises(PromptError, match=rf"two\.promptset was not written: .*{said}"):
        PromptSet.of("x", [change(make_prompt(CYST))]).write(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_sets_that_are_empty_or_too_large_are_not_written(path, monkeypatch) -> None:
    with pytest.raises(PromptError, match="holds 0 prompts"):
        PromptSet.of("x", []).write(path)
    with pytest.raises(PromptError, match="the set's card is not"):
        PromptSet.of("x", [make_prompt(CYST)], {"training": ["a" * 300_000]}).write(path)
    monkeypatch.setattr(promptfile, "MAX_HEADER", 1000)
    with pytest.raises(PromptError, match="larger than a prompt set may be; put fewer structures"):
        PromptSet.of("x", [make_prompt(CYST)]).write(path)


def test_the_longest_name_and_any_title_come_back(tmp_path) -> None:
    name = "ä" * 200
    PromptSet.of("a\x1b[2J\n" + "b" * 500, [make_prompt(Structure(name))]).write(tmp_path / "long.promptset")
    again = PromptSet.read(tmp_path / "long.promptset")
    assert list(again) == [name]
    assert again.name.startswith("a [2J bbb")
    assert len(again.name) == 200


HOSTILE = {
    "spacing": (0.02, 0, -2, 1e9, math.nan, math.inf, "2", None, [2], True, 10**400),
    "plane": ("foo", "", None, 3, ["axial"], {}),
    "window": ([1], [2, 1], [1, 1], "ab", 7, [math.nan, 2], ["a", "b"], [0, None], {"a": 1, "b": 2}, [-(10**400), 0]),
    "components": ("some", None, 1, ["all"]),
    "shared_pass": ("yes", 1, None),
    "contour_weight": ("a", -1, math.nan, math.inf, [], True),
    "volumes": ("a", -1, 1.5, 10**400, True),
    "leave_one_slice_out_dice": ("0.9", -0.1, 1.1, math.nan, True),
    "network_dice": ("0.9", 2, math.nan),
    "data": (7, [7], [[]], {"a": 1}),
    "author": (7, [], {}, "a" * 5000),
    "note": (7, "a" * 5000),
    "taught_on": (7, [7], [None], ["a" * 1000], {}),
    "anything": (math.nan, [[[[[[[[[[[[[[[]]]]]]]]]]]]]]], "a" * 300_000),
}


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in HOSTILE.items() for v in values], ids=str)
def test_a_hostile_card_is_refused_in_a_sentence(path, name, value) -> None:
    """By somebody who knows how to make the checksum."""
    rewrite(path, lambda header: header["prompts"][1]["card"].update({name: value}), resign=True)
    for read in (PromptSet.read, read_header):
        with pytest.raises(PromptError, match=r"^two\.promptset cannot be used: ") as refused:
            read(path)
        assert "\n" not in str(refused.value)
        assert len(str(refused.value)) < 300


def test_any_other_card_that_is_signed_can_be_read(path) -> None:
    """What older files have, and what later ones may."""
    old = {"plane": "coronal", "spacing": 3, "window": [-160, 240], "dice": 0.5, "data": [{"name": "btcv"}],
           "author": None, "note": "two\nlines\x1b", "taught_on": ["0123456789abcdef"],
           "new": {"a": [1.5]}}  # fmt: skip
    rewrite(path, lambda header: header["prompts"][0].update(card=old), resign=True)
    card = next(iter(PromptSet.read(path).values())).card
    assert (card.plane, card.spacing, card.window, card.data) == ("coronal", 3.0, (-160.0, 240.0), ("btcv",))
    assert card.note == "two\nlines"
    assert card.taught_on == ("0123456789abcdef",)
    assert card.extra == {"dice": 0.5, "new": {"a": [1.5]}}
    again = PromptSet.read(path)
    again.write(path)
    assert next(iter(PromptSet.read(path).values())).card.extra == card.extra


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.promptset")
    with pytest.raises(PromptError, match=r"pipe\.promptset is not a PromptSeg prompt set"):
        PromptSet.read(tmp_path / "pipe.promptset")


GRID = Grid((40, 30, 20), (-100.1, 20.0, 3.3), (0.7, 0.7, 3.0))


def test_no_file_says_which_scan_it_was_taught_on_and_this_computer_knows(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "home"))
    path = tmp_path / "new.promptset"
    prompt = make_prompt(CYST, 5)
    PromptSet.of("x", [replace(prompt, card=replace(prompt.card, taught_on=(GRID, "0123456789abcdef")))]).write(path)
    for secret in (b"taught_on", GRID.digest.encode(), b"0123456789abcdef", b"-100.1"):
        assert secret not in path.read_bytes()
    (card,) = (p.card for p in PromptSet.read(path).values())
    moved = replace(GRID, origin=(-100.1 + 1e-9, 20.0 - 1e-9, 3.3))
    assert card.taught_there(GRID)
    assert card.taught_there(moved), "noise in the last digits is the same volume"
    assert not card.taught_there(replace(GRID, origin=(-101.0, 20.0, 3.3)))
    promptfile.rewrite(path, tmp_path / "other.promptset", note="passed on")
    assert next(iter(PromptSet.read(tmp_path / "other.promptset").values())).card.taught_there(GRID)
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "another"))
    assert not next(iter(PromptSet.read(path).values())).card.taught_there(GRID)


def test_what_was_drawn_and_was_known_is_taught_where_it_was_drawn_and_the_known_prompt_nowhere(
    tmp_path, monkeypatch
) -> None:
    """Both have the same numbers: learning began with the known one, and no step was worth taking."""
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "home"))
    known, other = replace(make_prompt(CYST, 5), card=Card(validation_dice=0.9)), replace(GRID, size=(41, 30, 20))
    PromptSet.of("x", [known]).write(tmp_path / "known.promptset")
    for name, grid in (("one", GRID), ("two", other)):
        drawn = replace(known, card=Card(begun_dice=0.9, taught_on=(grid,)))
        PromptSet.of("x", [drawn]).write(tmp_path / f"{name}.promptset")
    seen = {n: PromptSet.read(tmp_path / f"{n}.promptset")[CYST.name].card.taught_on for n in ("known", "one", "two")}
    assert seen == {"known": (), "one": (GRID, other), "two": (GRID, other)}


def test_what_ships_is_taught_nowhere_though_a_round_of_no_step_has_its_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "home"))
    ships = replace(make_prompt(CYST, 5), card=Card(validation_dice=0.9))
    PromptSet.of("x", [ships]).write(tmp_path / "ships.promptset")
    drawn = replace(ships, card=Card(rounds=1, taught_on=(GRID,)))
    PromptSet.of("x", [drawn]).write(tmp_path / "drawn.promptset")
    found = [PromptSet.read(tmp_path / f"{n}.promptset")[CYST.name].card.taught_on for n in ("ships", "drawn")]
    assert found == [(), (GRID,)]


def test_what_an_older_file_says_of_its_scan_comes_after_what_is_remembered_and_stays(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PROMPTSEG_HOME", str(tmp_path / "home"))
    prompt = make_prompt(CYST, 5)
    PromptSet.of("x", [replace(prompt, card=Card(taught_on=(GRID,)))]).write(tmp_path / "new.promptset")
    for dice in (None, 0.9):
        old = Card(validation_dice=dice, extra={"taught_on": ["0123456789abcdef"]})
        PromptSet.of("x", [replace(prompt, card=old)]).write(tmp_path / "old.promptset")
        first = PromptSet.read(tmp_path / "old.promptset")
        assert first[CYST.name].card.taught_on == (GRID, "0123456789abcdef")
        first.write(tmp_path / "again.promptset")
        assert PromptSet.read(tmp_path / "again.promptset")[CYST.name].card == first[CYST.name].card


@pytest.mark.parametrize("there", ["a file", "rubbish", "nothing to write to"])
def test_a_memory_that_does_not_work_disturbs_nothing(tmp_path, monkeypatch, there) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("PROMPTSEG_HOME", str(home))
    prompt = replace(make_prompt(CYST, 6), card=Card(taught_on=(GRID,)))
    if there == "a file":
        home.write_text("x")
    elif there == "nothing to write to":
        monkeypatch.setenv("PROMPTSEG_HOME", "/proc/nowhere")
    PromptSet.of("x", [prompt]).write(tmp_path / "new.promptset")
    if there == "rubbish":
        (kept,) = (home / "taught").iterdir()
        kept.write_text('[{"size": 3}, 7]')
    assert PromptSet.read(tmp_path / "new.promptset")[CYST.name].card.taught_on == ()


def test_a_file_is_written_anew_with_some_of_its_prompts(prompts, path, tmp_path) -> None:
    assert promptfile.rewrite(path, tmp_path / "one.promptset", ["bone"]) == ("bone",)
    one = PromptSet.read(tmp_path / "one.promptset")
    assert list(one) == ["bone"]
    assert all(torch.equal(one["bone"].tensors[k], v.half().float()) for k, v in prompts["bone"].tensors.items())
    with pytest.raises(PromptError, match=r"has no such structure; it has: 'left cyst of Müller', 'bone'"):
        promptfile.rewrite(path, tmp_path / "none.promptset", ["liver"])
    assert not (tmp_path / "none.promptset").exists()


def test_other_programs_can_read_the_tensors(path, prompts) -> None:
    from safetensors.torch import load_file

    found = load_file(path)
    assert torch.equal(found["1/head.foreground"], prompts["bone"].tensors["head.foreground"].half())


def test_a_failed_write_leaves_the_former_file(path, prompts) -> None:
    before = path.read_bytes()
    with pytest.raises(PromptError, match=r"two\.promptset was not written: "):
        PromptSet.of("x", [make_prompt(CYST)], {"note": object()}).write(path)
    assert path.read_bytes() == before
