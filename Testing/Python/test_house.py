"""The rules that the layout of the house rests on, read from the files themselves."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
TOP = ROOT / "PromptSeg"
LIBRARY = TOP / "PromptSegLib"
PACKAGES = ("PromptSegLib", "PromptSegCli", "PromptSegTrain")

# What Slicer has, or installs at run time.
IN_SLICER = {"numpy", "SimpleITK", "scipy", "requests", "torch", "safetensors"}
ONLY_THERE = {
    "slicer": {"mrml", "desktop"},
    "vtk": {"mrml", "desktop"},
    "qt": {"desktop"},
    "ctk": {"desktop"},
}
IN_SLICER_ITSELF = {"mrml", "desktop"}
# Modules whose name is not that of the distribution that brings them.
DISTRIBUTIONS = {
    "dask": "distributed",
    "itk": "itk-morphologicalcontourinterpolation",
    "SimpleITK": "simpleitk",
    "slicer": "slicer-core",
    "vtk": "slicer-core",
    "tomli": "pytest",
    "packaging": "pytest",
}


def sources() -> list[Path]:
    return sorted(path for name in PACKAGES for path in (TOP / name).rglob("*.py"))


def short(path: Path) -> str:
    """'PromptSegLib.tune.fit' for PromptSeg/PromptSegLib/tune/fit.py."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def foreign(path: Path, top_level_only: bool = False) -> set[str]:
    """The first names of what a file imports, but for ours and the standard library's."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found - {*sys.stdlib_module_names, *PACKAGES}


def test_imports_keep_the_contracts_of_pyproject() -> None:
    """Layers, no circles: import-linter reads them from the sources."""
    environment = {**os.environ, "PYTHONPATH": str(TOP), "PYTHONUTF8": "1"}
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports as lint; raise SystemExit(lint())"]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", [TOP / name / "__init__.py" for name in PACKAGES], ids=short)
def test_a_package_itself_imports_nothing(path: Path) -> None:
    assert not [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, (ast.Import, ast.ImportFrom))]


def test_no_two_files_have_one_name() -> None:
    names = Counter(path.stem for path in LIBRARY.rglob("*.py") if not path.stem.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", sources(), ids=short)
def test_each_library_is_used_where_it_may_be(path: Path) -> None:
    package, first = (*short(path).split("."), "")[:2]
    for other in foreign(path):
        allowed = ONLY_THERE.get(other)
        assert allowed is None or first in allowed, f"{short(path)} imports {other}"
    if package == "PromptSegLib" and first not in IN_SLICER_ITSELF:
        others = foreign(path, top_level_only=True) - IN_SLICER
        assert not others, f"{short(path)} imports {others} at the top, which Slicer does not have"


@pytest.mark.parametrize(
    "modules",
    [
        "PromptSegLib, PromptSegCli.cli, PromptSegLib.errors, PromptSegLib.progress, PromptSegLib.resources",
        # What shows a review in 3D Slicer's window, which stands still meanwhile.
        "PromptSegLib.review.page, PromptSegLib.review.report_html, PromptSegLib.review.review_csv",
    ],
)
def test_importing_the_package_and_the_command_line_brings_nothing_heavy(modules: str) -> None:
    code = (
        f"import {modules}\n"
        "heavy = {'torch', 'SimpleITK', 'matplotlib', 'scipy', 'itk', 'vtk', 'slicerio'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else 0)"
    )
    path = str(LIBRARY.parent)
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr


def test_every_command_s_help_comes_before_numpy() -> None:
    code = f"import sys; sys.path.insert(0, {str(LIBRARY.parent)!r})\nimport PromptSegCli.commands.run\n"
    code += "sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def declared() -> list[Requirement]:
    table = project()
    extras = table["project"]["optional-dependencies"].values()
    lists = [table["project"]["dependencies"], *extras, *table["dependency-groups"].values()]
    return [Requirement(text) for some in lists for text in some]


def pins() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_every_declared_dependency_is_pinned_once_on_each_python(minor: int) -> None:
    version = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
    for requirement in declared():
        chosen = [
            pin
            for pin in pins().get(canonicalize_name(requirement.name), [])
            if pin.marker is None or pin.marker.evaluate(version)
        ]
        assert len(chosen) == 1, f"{requirement.name} has {len(chosen)} pins on Python 3.{minor}"
        (pinned,) = chosen[0].specifier
        assert pinned.operator == "=="
        assert requirement.specifier.contains(pinned.version), f"{chosen[0]} is not within {requirement}"


def test_what_the_dependencies_bring_is_pinned_too() -> None:
    known = pins()
    waiting = [(canonicalize_name(r.name), frozenset(r.extras)) for r in declared()]
    seen: set[tuple[str, frozenset[str]]] = set()
    missing: set[str] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name not in known:
            missing.add(name)
        try:
            brought = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # an extra that is not installed here
        for text in brought:
            requirement = Requirement(text)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras)):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    assert not missing, f"constraints.txt lacks {sorted(missing)}"


def test_everything_imported_is_declared() -> None:
    names = {canonicalize_name(r.name) for r in declared()}
    for path in sources():
        for other in foreign(path) - {"qt", "ctk", "PyTorchUtils", "SampleData"}:  # these are Slicer's own
            distribution = canonicalize_name(DISTRIBUTIONS.get(other, other))
            assert distribution in names, f"{short(path)} imports {other}, which pyproject.toml does not name"


def test_constraints_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|@", text)


def test_the_page_on_the_house_names_every_package_and_every_dependency() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = {path.parent.name + "/" for path in sources()}
    names = packages | {requirement.name for requirement in declared()}
    missing = {name for name in names if not re.search(rf"(?<![\w/.-]){re.escape(name)}", page)}
    assert not missing, f"docs/architecture.md does not mention {sorted(missing)}"


def files(*endings: str) -> list[Path]:
    """Every text file of the checkout with one of these endings."""
    tops = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]  # a file in a work tree of git
    folders = (".ci", "PromptSeg", "Testing", "docs", "Resources")
    inside = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    return sorted(path for path in tops + inside if path.suffix in endings and "__pycache__" not in path.parts)


def test_no_source_file_is_long() -> None:
    longest = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files(".py")}
    long = {str(path.relative_to(ROOT)): lines for path, lines in longest.items() if lines > 450}
    assert not long


def test_no_file_names_a_machine_or_a_registry() -> None:
    # Assembled from pieces, so that this file does not name them either.
    predictors = ["/" + "home/", "/" + "root/", "/" + "work/", "C:" + r"\\Users", "/" + "Users/", "/" + "opt/"]
    predictors += ["pypi" + r"\.org", "pythonhosted" + r"\.org", "download" + r"\.pytorch"]
    pattern = re.compile("|".join(predictors))
    named = []
    for path in files(".py", ".md", ".toml", ".txt", ".json", ".html", ".yml", ".yaml", ".csv", ""):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                named.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not named, "\n".join(named)


def test_the_tool_and_its_files_carry_one_version() -> None:
    text = (LIBRARY / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "([^"]+)"', text)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_resource_finds_shipped_files_and_says_what_is_missing() -> None:
    from PromptSegLib.errors import InputError
    from PromptSegLib.resources import resource

    assert resource("Models").is_dir()
    with pytest.raises(InputError, match=r"Resources/Models/none is missing; .*install PromptSeg again\.$"):
        resource("Models", "none")
