"""The files that make this checkout a 3D Slicer extension: what they list is what there is."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "PromptSeg"
SCHEMA = (
    "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"
)


def variable(path: Path, name: str) -> list[str]:
    """The words of ``set(NAME ...)``."""
    text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = re.search(rf"^set\({name}\s([^)]*)\)", text, re.MULTILINE)
    assert found, f"{path.name} does not set {name}"
    return re.findall(r'"[^"]*"|\S+', found[1])


def text_of(path: Path, name: str) -> str:
    return " ".join(variable(path, name)).strip('"')


def tree(*endings: str) -> list[str]:
    """The files of the module, by their path in it."""
    there = (path.relative_to(MODULE) for path in MODULE.rglob("*") if path.is_file())
    hidden = ("__pycache__", "Testing", "PromptSegCli", "PromptSegTrain")  # these come with pip alone
    inside = [path for path in there if not any(part in hidden or part.startswith(".") for part in path.parts)]
    return sorted(path.as_posix() for path in inside if path.suffix in endings)


@pytest.mark.parametrize("name", ["MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"])
def test_every_script_and_resource_is_packaged(name) -> None:
    scripts = name.endswith("SCRIPTS")
    resources = {path.suffix for path in (MODULE / "Resources").rglob("*") if path.is_file()}
    there = tree(".py") if scripts else [path for path in tree(*resources) if path.startswith("Resources/")]
    listed = variable(MODULE / "CMakeLists.txt", name)
    assert listed == sorted(set(listed)), "keep the list sorted, and name each file once"
    missing, gone = sorted(set(there) - set(listed)), sorted(set(listed) - set(there))
    assert not missing, f"add to {name} in PromptSeg/CMakeLists.txt:\n  " + "\n  ".join(missing)
    assert not gone, f"take out of {name} in PromptSeg/CMakeLists.txt:\n  " + "\n  ".join(gone)


def test_slicers_generic_tests_come_with_the_module() -> None:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    assert (MODULE / "PromptSeg.py").is_file() == bool(re.search(r"^\s*WITH_GENERIC_TESTS", text, re.MULTILINE))


def test_the_index_entry_follows_its_schema() -> None:
    raw = (ROOT / "PromptSeg.json").read_bytes()
    assert b"\r" not in raw
    entry = json.loads(raw)
    allowed = {
        "$schema", "build_dependencies", "build_subdirectory", "category", "dicom_support_rule",
        "scm_revision", "scm_type", "scm_url", "tier",
    }  # fmt: skip
    assert {"$schema", "category", "scm_url"} <= set(entry) <= allowed
    assert entry["$schema"] == SCHEMA
    assert entry["category"] == "Segmentation"
    assert entry["tier"] in (1, 3, 5)
    repository = entry["scm_url"].rstrip("/").rpartition("/")[2].removesuffix(".git")
    assert repository.startswith("Slicer"), "the index wants the repository's name to begin so"


def test_the_descriptions_agree() -> None:
    cmake, entry = ROOT / "CMakeLists.txt", json.loads((ROOT / "PromptSeg.json").read_text(encoding="utf-8"))
    lines = (line for line in (ROOT / "PromptSeg.s4ext").read_text(encoding="utf-8").splitlines() if line[:1] != "#")
    old = {name: value for name, _, value in (line.partition(" ") for line in lines)}
    assert "project(PromptSeg)" in cmake.read_text(encoding="utf-8")
    assert text_of(cmake, "EXTENSION_DEPENDS").split() == entry["build_dependencies"] == old["depends"].split()
    assert text_of(cmake, "EXTENSION_HOMEPAGE") == entry["scm_url"] == old["scmurl"] == old["homepage"]
    assert text_of(cmake, "EXTENSION_DESCRIPTION") == old["description"]
    assert text_of(cmake, "EXTENSION_CONTRIBUTORS") == old["contributors"]
    assert text_of(cmake, "EXTENSION_ICONURL") == old["iconurl"]
    assert old["category"] == entry["category"]


def test_the_icon_that_the_description_names_is_there_and_as_it_is_drawn() -> None:
    address = text_of(ROOT / "CMakeLists.txt", "EXTENSION_ICONURL")
    path = ROOT / address.partition("/main/")[2]
    drawn = runpy.run_path(str(ROOT / "Resources" / "draw_icon.py"))
    image = sitk.ReadImage(str(path))
    assert image.GetSize() == (128, 128)
    assert np.array_equal(sitk.GetArrayFromImage(image), drawn["pixels"]())
    assert path.with_suffix(".svg").read_text(encoding="utf-8") == drawn["svg"]()


def test_cmake_reads_the_files(tmp_path) -> None:
    # With stand-ins for what Slicer brings, which say what they were given.
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    package = tmp_path / "slicer"
    package.mkdir()
    (package / "SlicerConfig.cmake").write_text(
        "foreach(name Slicer_USE_FILE Slicer_EXTENSION_GENERATE_CONFIG Slicer_EXTENSION_CPACK)\n"
        '  set(${name} "${CMAKE_CURRENT_LIST_DIR}/nothing.cmake")\nendforeach()\n'
        "function(slicerMacroBuildScriptedModule)\n"
        '  cmake_parse_arguments(GIVEN "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})\n'
        '  foreach(file ${GIVEN_SCRIPTS} ${GIVEN_RESOURCES})\n    message("FILE ${file}")\n'
        '    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")\n      message(FATAL_ERROR "no ${file}")\n'
        "    endif()\n  endforeach()\n"
        '  message("NAME ${GIVEN_NAME} REST ${GIVEN_UNPARSED_ARGUMENTS}")\nendfunction()\n'
    )
    (package / "nothing.cmake").write_text("")
    # Without a compiler, which PromptSeg needs as little as Slicer's own build of it does.
    words = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "build"), f"-DSlicer_DIR={package}"]
    words += ["-DCMAKE_C_COMPILER_WORKS=1", "-DCMAKE_CXX_COMPILER_WORKS=1"]
    answer = subprocess.run(words, capture_output=True, text=True)
    if answer.returncode and "COMPILER" in answer.stderr:
        pytest.skip("cmake finds no compiler here")
    assert answer.returncode == 0, answer.stderr
    said = answer.stdout + answer.stderr
    assert "NAME PromptSeg REST" in said
    assert re.search(r"NAME PromptSeg REST\s*$", said, re.MULTILINE)
    assert sorted(re.findall(r"^FILE (\S+)", said, re.MULTILINE)) == sorted(
        variable(MODULE / "CMakeLists.txt", "MODULE_PYTHON_SCRIPTS")
        + variable(MODULE / "CMakeLists.txt", "MODULE_PYTHON_RESOURCES")
    )
