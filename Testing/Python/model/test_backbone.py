"""A backbone comes back as it was written; its id follows its weights; whatever is not one is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from PromptSegLib import resources
from PromptSegLib.errors import BackboneError, DeviceError, OutputError
from PromptSegLib.model.backbone import find_backbone, load_backbone, weights_id, write_backbone
from PromptSegLib.model.config import tiny
from PromptSegLib.model.punet import PUNet
from PromptSegLib.worker.process import PACKAGE


@pytest.fixture
def net() -> PUNet:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return PUNet(tiny())


@pytest.fixture
def path(net, tmp_path) -> Path:
    write_backbone(tmp_path / "small.safetensors", net, {"licence": "research use"})
    return tmp_path / "small.safetensors"


def test_what_is_written_comes_back_as_fp16(net, path) -> None:
    backbone = load_backbone(path, "cpu", torch.float32)
    assert backbone.name == "small"
    assert backbone.net.config == tiny()
    assert backbone.card == {"name": "small", "id": backbone.id, "licence": "research use"}
    for name, tensor in net.state_dict().items():
        assert torch.equal(backbone.net.state_dict()[name], tensor.half().float()), name


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the system has no such names")
def test_a_name_that_is_not_utf8(path) -> None:
    odd = os.fsdecode(os.fsencode(path.parent) + b"/Sch\xe4del.safetensors")
    path.rename(odd)
    assert load_backbone(odd, "cpu").net.config == tiny()


def test_shared_tokens_come_back_and_count_for_the_id(net, path, tmp_path) -> None:
    shared = {k: torch.full(s, 0.25) for k, s in net.prompt_shapes().items() if k.endswith(".tokens")}
    identity = write_backbone(tmp_path / "shared.safetensors", net, {}, shared)
    found = load_backbone(tmp_path / "shared.safetensors", "cpu", torch.float32)
    assert found.shared is not None
    assert {k: v.tolist() for k, v in found.shared.items()} == {k: v.tolist() for k, v in shared.items()}
    assert found.id == identity != load_backbone(path, "cpu").id
    assert load_backbone(path, "cpu").shared is None
    shared.popitem()
    write_backbone(tmp_path / "less.safetensors", net, {}, shared)
    with pytest.raises(BackboneError, match="does not fit"):
        load_backbone(tmp_path / "less.safetensors", "cpu")


def test_statistics_of_a_batch_norm_come_back_too(tmp_path) -> None:
    net = PUNet(replace(tiny(), norm="batch"))
    for name, tensor in net.named_buffers():
        if name.endswith("running_mean"):
            tensor.fill_(0.5)
    write_backbone(tmp_path / "batch.safetensors", net, {})
    found = dict(load_backbone(tmp_path / "batch.safetensors", "cpu", torch.float32).net.named_buffers())
    means = [t for name, t in found.items() if name.endswith("running_mean")]
    assert means
    assert all((t == 0.5).all() for t in means)


def test_it_is_frozen_and_in_evaluation_mode(path) -> None:
    backbone = load_backbone(path, "cpu")
    assert not backbone.net.training
    assert not any(p.requires_grad for p in backbone.net.parameters())
    assert {p.dtype for p in backbone.net.parameters()} == {backbone.dtype}


def test_the_card_lies_beside_it_for_people(path) -> None:
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["id"] == load_backbone(path, "cpu").id
    assert card["licence"] == "research use"


def test_the_id_is_that_of_the_weights_alone(net, path, tmp_path) -> None:
    again = write_backbone(tmp_path / "other-name.safetensors", net, {"note": "another card"})
    assert again == load_backbone(path, "cpu").id == load_backbone(path, "cpu", torch.float32).id
    tensors = load_file(path)
    name = sorted(tensors)[len(tensors) // 2]
    tensors[name].view(-1)[0] += 0.25
    assert weights_id(tensors) != again
    renamed = {("x" + k if k == name else k): v for k, v in load_file(path).items()}
    assert weights_id(renamed) != again


PICKLE = b"\x80\x04\x8c\x08builtins\x8c\x04exit\x93K\x07\x85R."  # whoever reads it ends with status 7
DAMAGE = {
    "nothing": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "one byte missing": lambda data: data[:-1],
    "a huge header": lambda data: (2**40).to_bytes(8, "little") + data[8:],
    "a pickle": lambda data: PICKLE,
    "nested JSON": lambda data: (200_000).to_bytes(8, "little") + b"[" * 200_000,
    "another safetensors file": lambda data: save({"a": torch.zeros(2)}, {"format": "something"}),
    "no card at all": lambda data: save({"a": torch.zeros(2)}),
    "no configuration": lambda data: save({"a": torch.zeros(2)}, {"format": "promptseg-backbone-1"}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused(path, kind) -> None:
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    with pytest.raises(BackboneError, match=r"small\.safetensors (is|does not fit)"):
        load_backbone(path, "cpu")


def rewrite(path: Path, change=None, **config) -> None:
    data = path.read_bytes()
    meta = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = load_file(path)
    if change:
        change(tensors)
    save_file(tensors, path, {**meta, "config": json.dumps({**json.loads(meta["config"]), **config})})


@pytest.mark.parametrize("meta", [None, [], "text", 7])
def test_metadata_that_is_no_object_is_refused(path, meta) -> None:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.dumps({**json.loads(data[8 : 8 + length]), "__metadata__": meta}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    with pytest.raises(BackboneError, match="is not a safetensors file"):
        load_backbone(path, "cpu")


def test_a_promised_network_is_not_built_before_its_weights_are_there(path) -> None:
    """The largest that a configuration may ask for would take tens of gigabytes."""
    rewrite(path, widths=[2048] * 3, heads=[1] * 3, encoder_blocks=[32] * 3, decoder_blocks=[32] * 2, mlp_ratio=16)
    with pytest.raises(BackboneError, match="does not fit this version"):
        load_backbone(path, "cpu")


def test_weights_that_do_not_fit_are_refused(path) -> None:
    rewrite(path, lambda tensors: tensors.popitem())
    with pytest.raises(BackboneError, match="does not fit this version"):
        load_backbone(path, "cpu")


def test_weights_of_another_type_are_refused(path) -> None:
    rewrite(path, lambda tensors: tensors.update({k: v.double() for k, v in tensors.items()}))
    with pytest.raises(BackboneError, match="unexpected type"):
        load_backbone(path, "cpu")


def test_weights_that_are_no_numbers_are_refused(path) -> None:
    rewrite(path, lambda tensors: next(iter(tensors.values())).fill_(float("nan")))
    with pytest.raises(BackboneError, match="damaged"):
        load_backbone(path, "cpu")


@pytest.mark.parametrize(
    "config", [{"tokens": 9}, {"invented": 1}, {"widths": [8, 16]}, {"heads": [3, 3, 3]}, {"norm": 2}]
)
def test_another_configuration_is_refused(path, config) -> None:
    rewrite(path, **config)
    with pytest.raises(BackboneError):
        load_backbone(path, "cpu")


def test_finding_by_name_and_by_path(path, tmp_path, monkeypatch) -> None:
    (tmp_path / "Models").mkdir()
    path.rename(tmp_path / "Models" / "punet-ct.safetensors")
    monkeypatch.setattr(resources, "_PLACES", (tmp_path,))
    shipped = tmp_path / "Models" / "punet-ct.safetensors"
    assert find_backbone("punet-ct") == find_backbone(shipped) == shipped
    with pytest.raises(BackboneError, match=r"no backbone called none; the ones installed are: punet-ct\."):
        load_backbone("none", "cpu")
    with pytest.raises(BackboneError, match="There is no backbone file"):
        load_backbone(tmp_path / "none.safetensors", "cpu")


@pytest.mark.parametrize("device", ["tpu9", "cuda:99", "meta"])
def test_a_device_that_is_not_there(path, device) -> None:
    with pytest.raises(DeviceError, match="auto"):
        load_backbone(path, device)


def test_a_folder_that_is_not_there(net, tmp_path) -> None:
    with pytest.raises(OutputError):
        write_backbone(tmp_path / "none" / "small.safetensors", net, {})
    assert list(tmp_path.iterdir()) == []


def test_loading_takes_no_compiler_along(path) -> None:
    """Whatever torch computes on the device "meta" loads 800 of its modules, which takes a second."""
    code = (
        f"import sys; sys.path.insert(0, {os.fspath(PACKAGE)!r})\n"
        "from pathlib import Path\nfrom PromptSegLib.model.backbone import load_backbone\n"
        f"load_backbone(Path({os.fspath(path)!r}), 'cpu')\n"
        "sys.exit(', '.join({'torch._inductor', 'torch._dynamo', 'sympy'} & set(sys.modules)) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
