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
    assert done == ["extension >=2.2", "pip safetensors>=0.4.3"]


def test_without_the_extension_torch_comes_from_the_index_and_the_question_says_so(absent) -> None:
    assert install.install(agree(absent))
    question, *done = absent.said
    assert "The extension PyTorch" in question
    assert done == ["pip torch>=2.2", "pip safetensors>=0.4.3"]


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
