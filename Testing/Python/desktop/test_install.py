"""What is installed, when, and after which question: Slicer's functions and the extension PyTorch are pretended."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from PromptSegLib.desktop import install
from PromptSegLib.errors import PromptSegError


@pytest.fixture
def absent(application, monkeypatch):
    """Both packages are missing until they are installed; gives what was asked and done."""
    said: list[str] = []
    there: set[str] = set()

    def pip(requirement: str) -> None:
        said.append(f"pip {requirement}")
        there.add(requirement.partition(">")[0])

    packaging = ModuleType("slicer.packaging")
    packaging.pip_install = pip
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(application, "testingEnabled", False)  # nothing is installed while Slicer runs tests
    monkeypatch.setattr(install, "missing", lambda: [one for one in ("torch", "safetensors") if one not in there])
    monkeypatch.setattr(install, "outdated", dict)
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: True)
    return SimpleNamespace(said=said, there=there)


def extension(monkeypatch, absent, install_torch) -> None:
    """Pretend that the extension PyTorch is there."""
    module = ModuleType("PyTorchUtils")
    module.PyTorchUtilsLogic = lambda: SimpleNamespace(installTorch=install_torch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)


def agree(absent):
    return lambda question: absent.said.append(question) or True


def test_the_extension_installs_torch(absent, monkeypatch) -> None:
    def install_torch(torchVersionRequirement):
        absent.said.append(f"extension {torchVersionRequirement}")
        absent.there.add("torch")
        return object()

    extension(monkeypatch, absent, install_torch)
    assert install.install(agree(absent))
    question, *done = absent.said
    assert "torch and safetensors" in question
    assert "extension" not in question
    assert "about 3 GB" in question
    assert done == ["extension >=2.6", "pip safetensors>=0.5"]


def test_without_the_extension_torch_comes_from_the_index_and_the_question_says_so(absent) -> None:
    assert install.install(agree(absent))
    question, *done = absent.said
    assert "The extension PyTorch" in question
    assert done == ["pip torch>=2.6", "pip safetensors>=0.5"]


def test_a_no_installs_nothing(absent) -> None:
    assert not install.install(lambda question: False)
    assert absent.said == []


def test_what_cannot_be_installed_is_a_sentence(absent, monkeypatch) -> None:
    def fails(requirement):
        raise RuntimeError("no network")

    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_install", fails)
    with pytest.raises(PromptSegError, match=r"torch could not be installed \(no network\)"):
        install.install(agree(absent))


def test_an_extension_that_gives_nothing_is_a_sentence(absent, monkeypatch) -> None:
    extension(monkeypatch, absent, lambda **_: None)
    with pytest.raises(PromptSegError, match="torch was not installed"):
        install.install(agree(absent))


def test_nothing_is_asked_where_all_is_there(absent) -> None:
    absent.there |= {"torch", "safetensors"}
    assert install.install(agree(absent))
    assert absent.said == []


def console(monkeypatch, absent, works: bool) -> None:
    """Pretend that Slicer runs a program."""
    import slicer

    def run(words):
        absent.said.append(" ".join(words[1:]))
        return words

    def log(_process) -> None:
        if not works:
            raise RuntimeError("no such build")
        absent.there.add("torch")

    monkeypatch.setattr(slicer.util, "launchConsoleProcess", run, raising=False)
    monkeypatch.setattr(slicer.util, "logProcessOutput", log, raising=False)
    monkeypatch.setattr(install.util, "find_spec", lambda name: object())
    monkeypatch.setattr(install.sys, "platform", "linux")
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: False)


def test_without_a_gpu_the_cpu_build_is_taken(absent, monkeypatch) -> None:
    console(monkeypatch, absent, works=True)
    assert install.install(agree(absent))
    question, *done = absent.said
    assert "no NVIDIA GPU" in question
    assert "about 0.3 GB" in question
    assert done[0] == "pip uv"
    assert done[1].startswith("-m uv pip install --python ")
    assert done[1].endswith("--torch-backend cpu torch>=2.6")
    assert done[2:] == ["pip safetensors>=0.5"]


def test_where_the_cpu_build_cannot_be_had_the_usual_one_is_taken(absent, monkeypatch) -> None:
    console(monkeypatch, absent, works=False)
    assert install.install(agree(absent))
    assert absent.said[-2:] == ["pip torch>=2.6", "pip safetensors>=0.5"]


def test_it_is_said_before_it_begins(absent) -> None:
    told: list[str] = []
    install.install(agree(absent), lambda text: told.append(f"{text} {len(absent.said)}"))
    assert told == ["Installing torch and safetensors; the window may not answer for some minutes. 1"]


@pytest.mark.parametrize(
    ("torch", "safetensors", "old"),
    [
        ("2.2.0", "0.5.3", {"torch": "2.2.0"}),
        ("2.6.0+cpu", "0.4.5", {"safetensors": "0.4.5"}),
        ("2.10.1", "0.5", {}),
        ("3.0.0rc1", "1.0", {}),
        (None, None, {}),
    ],
)
def test_versions_are_compared_as_numbers(application, monkeypatch, torch, safetensors, old) -> None:
    monkeypatch.setattr(install, "versions", lambda: {"torch": torch, "safetensors": safetensors, "numpy": "1.0"})
    assert install.outdated() == old


def test_an_old_version_is_told_and_brought_up_to_date(absent, monkeypatch) -> None:
    absent.there |= {"torch", "safetensors"}
    found = {"torch": "2.2.0"}
    monkeypatch.setattr(install, "outdated", lambda: dict(found))
    assert install.wanted() == ["torch 2.6 or later (2.2.0 is installed)"]
    with pytest.raises(PromptSegError, match=r"torch 2.2.0 is installed, and PromptSeg needs 2.6 or later; restart"):
        install.install(agree(absent))  # pip could not replace it
    assert "Restart 3D Slicer afterwards" in absent.said[0]
    assert absent.said[1:] == ["pip torch>=2.6"]
    monkeypatch.setattr(
        sys.modules["slicer.packaging"], "pip_install", lambda what: absent.said.append(what) or found.clear()
    )
    assert install.install(agree(absent))


def test_the_versions_are_those_of_the_project() -> None:
    from pathlib import Path

    root = Path(install.__file__).resolve().parents[3]
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    for package, version in install.MIN_VERSIONS.items():
        assert f'"{package}>={version}"' in text
    needs = (root / "PromptSeg" / "Resources" / "requirements.txt").read_text(encoding="utf-8")
    assert needs == f"safetensors>={install.MIN_VERSIONS['safetensors']}\n"


def test_the_box_has_a_title_of_its_own(absent, monkeypatch) -> None:
    import slicer

    boxes: list[dict] = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, **more: boxes.append(more), raising=False)
    assert not install.install()
    assert boxes == [{"windowTitle": "Install what PromptSeg needs"}]
