"""Where a structure lies in open reference CTs: kept in a prompt set beside what older versions read, and checked."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.errors import PromptError
from PromptSegLib.prompts import promptfile
from PromptSegLib.prompts.promptfile import read_header
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.prompts.reference_mask import ReferenceMask, masks_from

DIGEST, OTHER = "0123456789abcdef", "fedcba9876543210"


def mask(reference: str = DIGEST) -> ReferenceMask:
    share = np.zeros((9, 10, 11), np.float32)
    share[2:6, 3:8, 4:9] = 1.0
    share[6, 3:8, 4:9] = 0.4
    found = ReferenceMask.of(reference, share, 0.9, 0.55)
    assert found is not None
    return replace(found, returned=0.8)


def prompt(name: str, *masks: ReferenceMask) -> Prompt:
    tensors = {"head.foreground": torch.ones(2, 8)}
    return Prompt(Structure(name), "ab" * 32, tensors, masks=masks)


@pytest.fixture
def path(tmp_path) -> Path:
    both = [prompt("bone"), prompt("kidney", mask(), mask(OTHER))]
    PromptSet.of("two", both).write(tmp_path / "two.promptset")
    return tmp_path / "two.promptset"


def changed(path: Path, change: Callable[[dict], None], sign: bool = True) -> None:
    """Write other masks into the file, as somebody who knows the format would."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    meta = table["__metadata__"]
    found = json.loads(meta["reference_masks"])
    change(found["masks"])
    if sign:
        found["checksum"] = promptfile._mask_checksum(found["masks"], json.loads(meta["promptset"])["checksum"])
    meta["reference_masks"] = json.dumps(found)
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def test_what_is_written_comes_back(path) -> None:
    again = PromptSet.read(path)
    assert again["bone"].masks == ()
    one, other = again["kidney"].masks
    assert (one.reference, other.reference, one.first) == (DIGEST, OTHER, (2, 3, 4))
    assert (one.quality, one.trust, one.returned) == (0.9, 0.55, 0.8)
    assert one.share.shape == (5, 5, 5)
    assert set(np.unique(one.share)) == {102, 255}
    assert [len(entry.masks) for entry in read_header(path).entries] == [0, 2]


def test_it_is_little(tmp_path) -> None:
    """A sphere of 15 cm in three references: what a liver takes."""
    k, j, i = np.indices((60, 60, 60))
    far = np.sqrt((k - 30) ** 2 + (j - 30) ** 2 + (i - 30) ** 2)
    share = 1 / (1 + np.exp(far - 25))
    masks = [ReferenceMask.of(c * 16, share, None, 0.5) for c in "abc"]
    PromptSet.of("x", [prompt("liver", *masks)]).write(tmp_path / "x.promptset")
    assert (tmp_path / "x.promptset").stat().st_size < 60_000


def test_a_file_without_is_read_and_written_as_before(path, tmp_path) -> None:
    PromptSet.of("old", [prompt("bone")]).write(tmp_path / "old.promptset")
    assert b"reference_masks" not in (tmp_path / "old.promptset").read_bytes()
    assert PromptSet.read(tmp_path / "old.promptset")["bone"].masks == ()


def test_a_version_that_knows_none_of_it_reads_the_rest(path) -> None:
    """What such a version looks at: the format, the card with its checksum, and the tensors."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    meta = table.pop("__metadata__")
    assert meta["format"] == "promptseg-promptset-1"
    assert {one["dtype"] for one in table.values()} == {"F16"}
    raw = json.loads(meta["promptset"])
    assert set(raw) == {"name", "card", "prompts", "checksum"}
    assert all(set(one) == {"structure", "backbone", "card"} for one in raw["prompts"])
    meta.pop("reference_masks")
    text = json.dumps({"__metadata__": meta, **table}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    assert list(PromptSet.read(path)) == ["bone", "kidney"]


def test_it_goes_with_its_prompt(path, tmp_path) -> None:
    promptfile.rewrite(path, tmp_path / "one.promptset", ["kidney"], note="passed on")
    assert len(PromptSet.read(tmp_path / "one.promptset")["kidney"].masks) == 2
    more = PromptSet.of("more", [prompt("gland", mask())])
    PromptSet.read(path).merge(more, "all").write(tmp_path / "all.promptset")
    assert [len(one.masks) for one in PromptSet.read(tmp_path / "all.promptset").values()] == [0, 2, 1]


def test_nothing_that_is_nowhere_half_is_kept() -> None:
    assert ReferenceMask.of(DIGEST, np.full((4, 4, 4), 0.3), None, 0.5) is None
    assert ReferenceMask.of(DIGEST, np.zeros((4, 4, 4)), None, 0.5) is None


def packed(shape: tuple[int, int, int], level: int = 4) -> str:
    return base64.b64encode(zlib.compress(b"\xff" * int(np.prod(shape)), level)).decode()


HOSTILE = {
    "no list": lambda m: m.update({"1": {}}),
    "none": lambda m: m.update({"1": []}),
    "too many": lambda m: m.update({"1": m["1"] * 9}),
    "two of one reference": lambda m: m["1"].append(m["1"][0]),
    "of no prompt": lambda m: m.update({"2": m["1"]}),
    "of a word": lambda m: m.update({"x": m["1"]}),
    "a path as reference": lambda m: m["1"][0].update(reference="../../etc/passwd"),
    "a number as reference": lambda m: m["1"][0].update(reference=7),
    "a shape of two": lambda m: m["1"][0].update(shape=[5, 25]),
    "a huge shape": lambda m: m["1"][0].update(shape=[512, 512, 512]),
    "a long side": lambda m: m["1"][0].update(shape=[10**9, 1, 1]),
    "another shape": lambda m: m["1"][0].update(shape=[5, 5, 6]),
    "a smaller shape": lambda m: m["1"][0].update(shape=[5, 5, 4]),
    "a negative shape": lambda m: m["1"][0].update(shape=[-5, -5, 5]),
    "a shape of truth": lambda m: m["1"][0].update(shape=[True, 5, 25]),
    "a bomb": lambda m: m["1"][0].update(share=packed((200, 200, 2000), 9)),
    "no base64": lambda m: m["1"][0].update(share="%%%"),
    "nothing packed": lambda m: m["1"][0].update(share="AAAA"),
    "something behind": lambda m: m["1"][0].update(
        share=base64.b64encode(base64.b64decode(packed((5, 5, 5))) + b"more").decode()
    ),
    "empty": lambda m: m["1"][0].update(share=base64.b64encode(zlib.compress(bytes(125))).decode()),
    "a list as share": lambda m: m["1"][0].update(share=[0] * 125),
    "before the first voxel": lambda m: m["1"][0].update(first=[-1, 0, 0]),
    "a place of two": lambda m: m["1"][0].update(first=[1, 2]),
    "a broken place": lambda m: m["1"][0].update(first=[1.5, 0, 0]),
    "an endless trust": lambda m: m["1"][0].update(trust=float("inf")),
    "a trust of NaN": lambda m: m["1"][0].update(trust=float("nan")),
    "no trust": lambda m: m["1"][0].update(trust=None),
    "a quality above one": lambda m: m["1"][0].update(quality=1.1),
    "a quality in words": lambda m: m["1"][0].update(quality="good"),
    "nothing of the way back": lambda m: m["1"][0].pop("returned"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_stranger_s_masks_are_refused_in_a_sentence(path, kind) -> None:
    changed(path, HOSTILE[kind])
    for read in (PromptSet.read, read_header):
        with pytest.raises(PromptError, match=r"^two\.promptset is damaged or was changed; get the file again\.$"):
            read(path)


@pytest.mark.parametrize("sign", [False, "of another file"])
def test_masks_of_another_file_or_changed_by_hand_are_refused(path, tmp_path, sign) -> None:
    if sign:
        PromptSet.of("other", [prompt("bone"), prompt("spleen", mask())]).write(tmp_path / "other.promptset")
        data = (tmp_path / "other.promptset").read_bytes()
        table = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        theirs = json.loads(table["__metadata__"]["reference_masks"])["masks"]
        changed(path, lambda masks: (masks.clear(), masks.update(theirs)), sign=False)
    else:
        changed(path, lambda masks: masks["1"].pop(), sign=False)
    with pytest.raises(PromptError, match="damaged or was changed"):
        read_header(path)


def test_no_list_of_masks_is_no_list() -> None:
    for value in (None, 7, "masks", {}, [None], [7], [[]]):
        with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
            masks_from(value)
