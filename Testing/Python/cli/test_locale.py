"""In a process whose locale has a decimal comma, as Qt and GTK set it, everything is computed as in any other."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import PromptSegLib
from PromptSegLib.worker.process import PACKAGE

COMPUTE = """
import hashlib, locale, sys
sys.path.insert(0, sys.argv[1])
locale.setlocale(locale.LC_ALL, sys.argv[3])
import numpy as np, torch
torch.set_num_threads(1)
from PromptSegLib.annotations import SliceAnnotations
from PromptSegLib.prompts.library import pick
from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.session import Session
from PromptSegLib.volumes.io import read_labels, read_volume

volume = read_volume("ct.nii.gz")
session = Session(sys.argv[2], "cpu")
session.set_volume(volume)
labels = read_labels("labels.nii.gz", volume.grid)
drawn = SliceAnnotations.from_labels(labels.array, volume.grid, 3, [40, 52, 64])
taught = session.tune(drawn, Structure("ball"), steps=2, seed=1)
digest = hashlib.sha256()
for name in sorted(taught.prompt.tensors):
    digest.update(taught.prompt.tensors[name].float().numpy().tobytes())
found = session.segment([*pick("kidney.promptset", "left kidney").values(), taught.prompt], drawn={"ball": drawn})
for structure in found.structures:
    digest.update(np.round(1000 * found.probability(structure.name)).astype(np.int32).tobytes())
print(locale.localeconv()["decimal_point"], digest.hexdigest())
"""


@pytest.fixture
def comma(tmp_path: Path) -> str:
    """The name of a locale with a decimal comma; ``LOCPATH`` is to name ``tmp_path`` for it."""
    if shutil.which("localedef"):
        made = ["localedef", "-i", "de_DE", "-f", "UTF-8", os.fspath(tmp_path / "de_DE.UTF-8")]
        if subprocess.run(made, capture_output=True, check=False).returncode == 0:
            return "de_DE.UTF-8"
    pytest.skip("no locale with a decimal comma can be made")


def test_a_decimal_comma_changes_nothing(comma: str, place: Path, shipped: Path, tmp_path: Path) -> None:
    said = []
    for name in ("C", comma):
        words = (sys.executable, "-c", COMPUTE, PACKAGE, shipped / "Models" / "punet-ct.safetensors", name)
        environment = os.environ | {"LOCPATH": os.fspath(tmp_path)}
        answer = subprocess.run(
            [*map(os.fspath, words)], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stderr
        said.append(answer.stdout.split())
    assert [one[0] for one in said] == [".", ","]
    assert said[0][1] == said[1][1]


READ_BY_LOCALE = {"leaky_relu": 1, "leaky_relu_": 1, "hardshrink": 1, "softshrink": 1, "rrelu": 2, "rrelu_": 2,
                  "LeakyReLU": 0, "bernoulli_": 0}  # fmt: skip
"""Functions of torch with a fraction as default, which it reads when they are first called; and how many arguments are
before it."""


def test_no_fraction_is_left_to_torch() -> None:
    for path in sorted(Path(PromptSegLib.__file__).parents[1].rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
            if name in READ_BY_LOCALE:
                given = len(node.args) + len(node.keywords)
                assert given > READ_BY_LOCALE[name], f"{path.name}:{node.lineno}"
