"""Cards, prompt sets, backbones and texts that ask for prompts, tampered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from PromptSegLib.contours.fusion_net import contour_fusion_net
from PromptSegLib.errors import PromptSegError
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.config import PUNetConfig, tiny
from PromptSegLib.prompts import promptfile
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.prompts.reference_mask import ReferenceMask
from PromptSegLib.register.references import teachers_from

from .attack import TEXTS, attack, broken, odd, survives, tampered

CARD = {
    "plane": "axial", "spacing": 2.0, "window": [-160.0, 240.0], "components": "largest", "shared_pass": False,
    "contour_weight": 15.0, "volumes": 2, "slices": 5, "slice_mm": 2.5, "steps": 10, "rounds": 1, "seed": 0,
    "leave_one_slice_out_dice": 0.9, "network_dice": 0.8, "validation_dice": None, "data": ["btcv"],
    "date": "2027-01-01", "author": "A", "licence": "CC0", "note": "", "taught_on": ["0123456789abcdef"], "new": [1],
}  # fmt: skip


@pytest.fixture(scope="module")
def parts(engine_files) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], bytes]:
    """(the table of tensors, the metadata, the header, the tensors) of a prompt set."""
    data = engine_files[1].read_bytes()
    length = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + length])
    meta = table.pop("__metadata__")
    header = json.loads(meta["promptset"])
    for one in header["prompts"]:
        one["card"] = CARD
    return table, meta, header, data[8 + length :]


def put(path: Path, table: Any, data: bytes) -> Path:
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def use(path: Path) -> None:
    """Everything that faces do with a file. What can be read can be written, and is the same then."""
    survives(lambda: promptfile.read_header(path))
    found = survives(lambda: PromptSet.read(path))
    if found is not None:
        found.write(path.with_name("again.promptset"))
        again = PromptSet.read(path.with_name("again.promptset"))
        assert {n: (p.structure, p.card) for n, p in again.items()} == {
            n: (p.structure, p.card) for n, p in found.items()
        }
        for name in found:
            survives(lambda name=name: resolve(f"{path}:{name}"))


def test_cards(tmp_path, parts) -> None:
    table, meta, header, data = parts

    def check(changed: Any) -> None:
        raw = {k: v for k, v in changed.items() if k != "checksum"} if isinstance(changed, dict) else changed
        arrays = promptfile._arrays(table, memoryview(data), PromptSegError("broken"))
        try:
            raw = {**raw, "checksum": promptfile._checksum(raw, arrays)}
        except (TypeError, ValueError, RecursionError):
            return  # nobody can sign it either
        use(put(tmp_path / "x.promptset", {**table, "__metadata__": {**meta, "promptset": json.dumps(raw)}}, data))

    attack(tampered(header), check, 150)


def test_cards_by_themselves() -> None:
    def check(values: Any) -> None:
        card = survives(lambda: Card.from_json(values))
        if card is not None:
            assert Card.from_json(json.loads(json.dumps(card.to_json()))).to_json() == card.to_json()

    attack(st.one_of(tampered(CARD), odd), check, 400)


def test_prompt_sets_bit_by_bit(tmp_path, parts, engine_files) -> None:
    table, meta, _, data = parts
    path = tmp_path / "x.promptset"

    def check(changed: Any) -> None:
        if isinstance(changed, bytes):
            path.write_bytes(changed)
        else:
            put(path, changed, data)
        use(path)

    whole = engine_files[1].read_bytes()
    length = int.from_bytes(whole[:8], "little")
    small = {"__metadata__": meta, **dict(list(table.items())[:6])}
    attack(st.one_of(tampered(small), broken(whole, 8 + length)), check, 120)


def test_masks_in_reference_cts(tmp_path, parts) -> None:
    table, meta, header, data = parts
    share = np.zeros((6, 7, 8), np.float32)
    share[1:5, 1:5, 1:6] = 1.0
    one = ReferenceMask.of("0123456789abcdef", share, 0.9, 0.5)
    arrays = promptfile._arrays(table, memoryview(data), PromptSegError("broken"))
    unsigned = {k: v for k, v in header.items() if k != "checksum"}
    raw = unsigned | {"checksum": promptfile._checksum(unsigned, arrays)}

    def check(changed: Any) -> None:
        try:
            signed = {"masks": changed, "checksum": promptfile._mask_checksum(changed, raw["checksum"])}
        except (TypeError, ValueError, RecursionError):
            return
        told = {**meta, "promptset": json.dumps(raw), "reference_masks": json.dumps(signed)}
        path = put(tmp_path / "x.promptset", {**table, "__metadata__": told}, data)
        use(path)
        found = survives(lambda: PromptSet.read(path))
        if found is not None:
            teachers_from({name: prompt.masks for name, prompt in found.items() if prompt.masks})

    attack(tampered({"0": [one.to_json(), one.to_json() | {"reference": "f" * 16}]}), check, 150)


def test_texts_that_ask_for_prompts(tmp_path, engine_files, monkeypatch) -> None:
    (tmp_path / "own.promptset").write_bytes(engine_files[1].read_bytes())
    monkeypatch.chdir(tmp_path)
    pieces = st.sampled_from(("own.promptset", "abdomen-ct", "liver", "spleen", ":", ",", " ", ".promptset", *TEXTS))
    text = st.one_of(st.text(max_size=30), st.lists(pieces, max_size=8).map("".join))
    attack(text, lambda one: survives(lambda: resolve(one)), 250)


def test_backbones(tmp_path, engine_files) -> None:
    whole = engine_files[0].read_bytes()
    length = int.from_bytes(whole[:8], "little")
    table, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    meta = table.pop("__metadata__")
    config, path = json.loads(meta["config"]), tmp_path / "x.safetensors"

    def check(changed: Any) -> None:
        kind, value = changed
        if kind == "bytes":
            path.write_bytes(value)
        elif kind == "config":
            put(path, {"__metadata__": {**meta, "config": json.dumps(value)}, **table}, data)
        elif kind == "meta":
            put(path, {"__metadata__": value, **table}, data)
        else:
            put(path, {"__metadata__": meta, **value}, data)
        survives(lambda: load_backbone(path, "cpu"))

    kinds = {"bytes": broken(whole, 8 + length), "config": tampered(config), "meta": tampered(meta),
             "table": tampered(table)}  # fmt: skip
    attack(st.one_of(*(strategy.map(lambda v, k=k: (k, v)) for k, strategy in kinds.items())), check, 150)


def test_configurations() -> None:
    attack(
        st.one_of(tampered(json.loads(json.dumps(tiny().to_dict()))), odd),
        lambda values: survives(lambda: PUNetConfig.from_dict(values)),
        400,
    )


def test_the_contour_network(tmp_path) -> None:
    from PromptSegLib.resources import resource

    whole = resource("ContourFusion", "contour-fusion.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    table, path = json.loads(whole[8 : 8 + length]), tmp_path / "x.safetensors"

    def check(changed: Any) -> None:
        if isinstance(changed, bytes):
            path.write_bytes(changed)
        else:
            put(path, changed, whole[8 + length :])
        survives(lambda: contour_fusion_net(path))

    attack(st.one_of(tampered(table), broken(whole, 8 + length)), check, 100)
