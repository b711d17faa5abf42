from __future__ import annotations

import json

import pytest

from PromptSegLib.errors import BackboneError
from PromptSegLib.model.config import PUNetConfig, paper, tiny


@pytest.mark.parametrize("config", [PUNetConfig(), paper(), tiny()], ids=["shipped", "paper", "tiny"])
def test_it_goes_through_json_and_back(config: PUNetConfig) -> None:
    assert PUNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.stride == 2 ** len(config.widths)


@pytest.mark.parametrize(
    "changed",
    [
        {"widths": [32, 64]},
        {"widths": 32},
        {"widths": []},
        {"widths": [32, 64, 128, 256, "384"]},
        {"heads": [1, 2, 4, 8, 7]},
        {"heads": [1, 2, 4, 8, 0]},
        {"windows": [8, 8, 8, 12, -1]},
        {"second": "sideways"},
        {"norm": "none"},
        {"head": "third"},
        {"tokens": 0},
        {"prompted_encoder_levels": [5]},
        {"temperature": 0.0},
        {"proposer_width": 30},
        {"invented_later": 1},
        {"widths": [2**20] * 5},
        {"heads": [10**400] * 5},
        {"windows": [8, 8, 8, 12, 4096]},
        {"encoder_blocks": [0, 2, 2, 2, 10**6]},
        {"tokens": 10**9},
        {"mlp_ratio": "1"},
        {"mlp_ratio": 10**6},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": "warm"},
        {"proposer_width": 4 * 10**8},
        {"up_project": "yes"},
        {"second": ["grid"]},
        {
            "widths": [8] * 20,
            "heads": [1] * 20,
            "windows": [4] * 20,
            "encoder_blocks": [0] * 20,
            "decoder_blocks": [0] * 19,
        },
    ],
    ids=str,
)
def test_a_bad_one_is_refused(changed: dict) -> None:
    with pytest.raises(BackboneError, match=r"model.s configuration|another version"):
        PUNetConfig.from_dict(PUNetConfig().to_dict() | changed)
