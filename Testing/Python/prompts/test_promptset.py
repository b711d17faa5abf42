"""A prompt set comes back as it was written, and whatever is not one is refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from PromptSegLib.errors import PromptError
from PromptSegLib.prompts.promptset import CARRIES, Prompt, PromptSet, carries, read_header
from PromptSegLib.prompts.structure import Code, Structure

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
    card = {"window": [-160.0, 240.0], "note": f"nº {seed}", "leave_one_slice_out_dice": None}
    return Prompt(structure, identity, {k: torch.randn(s, generator=random) for k, s in SHAPES.items()}, card)


@pytest.fixture
def prompts() -> PromptSet:
    return PromptSet.of("two", [make_prompt(CYST, 1), make_prompt(Structure("bone"), 2)], {"licence": "CC0"})


@pytest.fixture
def path(prompts, tmp_path) -> Path:
    prompts.write(tmp_path / "two.promptset")
    return tmp_path / "two.promptset"


def rewrite(path: Path, change: Callable[[dict], None], tensors: Callable[[dict], None] | None = None) -> None:
    """Write the file again as somebody would who knows the format."""
    from safetensors.torch import load_file

    data = path.read_bytes()
    meta = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    header, values = json.loads(meta["promptset"]), load_file(path)
    change(header)
    if tensors:
        tensors(values)
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
    assert [p["structure"]["name"] for p in header["prompts"]] == ["left cyst of Müller", "bone"]


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
    "a prompt without tensors": lambda h: h["prompts"].append(h["prompts"][0]),
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
    with pytest.raises(PromptError, match=r"two\.promptset is (damaged|not a PromptSeg prompt set)"):
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


@pytest.mark.parametrize(
    ("found", "expected"),
    [(CARRIES, True), (0.2, False), (None, None), (float("nan"), None), ("0.9", None), (True, None)],
)
def test_whether_other_patients_gain_is_told_by_what_the_network_found_alone(found, expected) -> None:
    assert carries({"network_dice": found, "leave_one_slice_out_dice": 0.95}) is expected
    assert carries({}) is None


def test_two_prompts_of_one_name_are_refused() -> None:
    with pytest.raises(PromptError, match="two prompts for left cyst"):
        PromptSet.of("x", [make_prompt(CYST, 1), make_prompt(CYST, 2)])


def test_sets_are_merged_in_order(prompts) -> None:
    more = PromptSet.of("more", [make_prompt(Structure("gland"))])
    assert list(prompts.merge(more, "all")) == [*prompts, "gland"]
    with pytest.raises(PromptError, match="two prompts for bone"):
        prompts.merge(PromptSet.of("b", [make_prompt(Structure("bone"))]), "all")
    with pytest.raises(PromptError, match="two and b were learned on different backbones"):
        prompts.merge(PromptSet.of("b", [make_prompt(Structure("new"), identity=OTHER_ID)]), "all")


def test_a_failed_write_leaves_the_former_file(path, prompts) -> None:
    before = path.read_bytes()
    broken = Prompt(Structure("bone"), ID, {"head": torch.zeros(2)}, {"note": object()})
    with pytest.raises(TypeError):
        PromptSet.of("x", [broken]).write(path)
    assert path.read_bytes() == before
