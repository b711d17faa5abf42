"""A computer that fails is not taken for a damaged file, one that is not there, or one that may not be read."""

from __future__ import annotations

import errno
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from PromptSegLib import atomic
from PromptSegLib.datasets.description import read_dataset
from PromptSegLib.datasets.pack import _manifest
from PromptSegLib.errors import OutputError, PromptSegError
from PromptSegLib.model.files import read_header, read_tensors
from PromptSegLib.prompts.memory_file import keep_only
from PromptSegLib.prompts.promptfile import read_file
from PromptSegLib.prompts.promptfile import read_header as read_prompt_header
from PromptSegLib.register.teachers import Memory
from PromptSegLib.volumes.dicom import is_multiframe
from PromptSegLib.volumes.io import read_labels, read_volume
from PromptSegLib.volumes.stream import fill
from PromptSegLib.worker.jobs import Jobs
from PromptSegLib.worker.process import PACKAGE

READERS = {
    "a.nii": read_volume, "a.nii.gz": read_volume, "a.nrrd": read_volume, "a.mha": read_volume, "a.dcm": is_multiframe,
    "b.nii.gz": read_labels, "b.dcm": read_labels, "b.seg.nrrd": read_labels,
    "a.promptset": read_file, "b.promptset": read_prompt_header, "a.memory": Memory.read,
    "b.memory": lambda path: keep_only(path, ["liver"]), "a.safetensors": read_header, "b.safetensors": read_tensors,
    "dataset.json": read_dataset, "a.pack": _manifest,
    "1/a.npy": lambda path: Jobs(path.parents[1]).read_array("1/a.npy"),
}  # fmt: skip
SAID = {errno.EMFILE: "Too many files are open", errno.EIO: "A disk or network folder failed"}


@pytest.mark.parametrize("number", SAID)
@pytest.mark.parametrize("name", READERS)
def test_what_is_wrong_is_said(name: str, number: int, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"anything")
    opened = io.open

    def fails(file, *more, **options):
        if isinstance(file, (str, os.PathLike)) and Path(file) == path:
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *more, **options)

    monkeypatch.setattr(io, "open", fails)
    with pytest.raises(PromptSegError, match=SAID[number]):
        READERS[name](path)
    assert path.exists()


def test_a_disk_that_fails_on_the_way(tmp_path: Path) -> None:
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 30:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(min(size, 20))

    data = gzip.compress(bytes(range(256)) * 8, 1)
    for packing, content in (("", bytes(2048)), ("gzip", data)):
        with pytest.raises(PromptSegError, match=r"A disk or network folder failed; copy the files to another disk\."):
            fill("a.nii", np.zeros(2048, np.uint8), Failing(content), packing, 0)


def test_a_result_that_cannot_be_written_has_the_remedy_that_helps(tmp_path: Path, monkeypatch) -> None:
    def fails(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", fails)
    said = r"a could not be written .Too many open files.; allow more \(ulimit -n\)"
    with pytest.raises(OutputError, match=said), atomic.replacing(tmp_path / "a"):
        pass


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX processes")
def test_weights_are_read_where_few_files_may_be_open(tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {os.fspath(PACKAGE)!r})\n"
        "import os, resource, torch\nfrom pathlib import Path\n"
        "from safetensors.torch import load, load_file, save\n"
        "from PromptSegLib.errors import PromptSegError\nfrom PromptSegLib.model.files import read_tensors\n"
        f"path = Path({os.fspath(tmp_path / 'a.safetensors')!r})\n"
        "path.write_bytes(save({'x': torch.arange(4.0)}))\n"
        "load_file(path)\nread_tensors(path)\nfree = os.dup(0)\nos.close(free)\n"
        "for more, said in ((1, [0.0, 1.0, 2.0, 3.0]), (0, 'Too many files are open')):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, 4096))\n"
        "    try:\n        found = read_tensors(path)[0]['x'].tolist()\n"
        "    except PromptSegError as error:\n        found = error.problem\n"
        "    assert str(found).startswith(str(said)), found\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX processes")
def test_too_few_files_for_the_command_itself() -> None:
    code = (
        f"import sys; sys.path.insert(0, {os.fspath(PACKAGE)!r})\n"
        "from PromptSegCli.cli import main\nimport os, resource\nfree = os.dup(0)\nos.close(free)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (free, 4096))\n"
        "sys.exit(main(['info']))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (2, "Too few files may be open at once; allow more (ulimit -n 256).\n")
