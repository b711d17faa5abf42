"""The documents: links lead somewhere, the commands that they show can be given, and ``docs/cli.md`` is up to date."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

from PromptSegCli.cli import build_parser, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SHOWN_TO_USERS = [ROOT / "README.md", ROOT / "docs" / "cli.md", ROOT / "docs" / "dicom.md"]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that a reader of Markdown makes of a page's headings, as GitHub does, and its own."""
    titles = re.findall(r"^#+ +(.*)$", prose(page), flags=re.MULTILINE)
    found = set(re.findall(r'<a id="([^"]+)">', prose(page)))
    for title in titles:
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", title).lower()).strip().replace(" ", "-")
        again = sum(1 for one in found if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", one))
        found.add(f"{plain}-{again}" if again else plain)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_within_the_checkout_lead_somewhere(page: Path) -> None:
    broken = []
    for found in re.findall(r"""\]\(([^()\s]+)\)|<img src="([^"]+)""", prose(page)):
        target = "".join(found)
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(target)
    assert not broken


def load(name: str) -> ModuleType:
    """A script of the folder Resources."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "Resources" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script() -> ModuleType:
    return load("make_cli_page")


def test_the_picture_of_the_packages_is_that_of_the_sources() -> None:
    draw = load("draw_packages")
    drawn = draw.svg(draw.imports())
    assert draw.PICTURE.read_text(encoding="utf-8") == drawn, "run `python Resources/draw_packages.py`"
    arrows = draw.rows({"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"b", "c"}})
    assert arrows == ({"c": 0, "b": 1, "a": 2, "d": 2}, [("a", "b"), ("b", "c"), ("d", "b")])


def test_the_tables_of_the_benchmarks_are_those_of_their_result_files() -> None:
    make = load("make_benchmarks_page")
    named = []
    for path in make.PAGES:
        text = path.read_text(encoding="utf-8")
        assert text == make.page(text), "run `python Resources/make_benchmarks_page.py`"
        here = re.findall(r"<!-- results: ([\w -]+) -->", text)
        assert len(here) == text.count("\n| --- |"), "every table has its files"
        named += [name for names in here for name in names.split()]
    assert len(named) == len(set(named))
    assert {*named} == {path.stem for path in make.RESULTS.glob("*.json")}, "every result is in a page"


def test_the_pages_of_benchmarks_are_short() -> None:
    for page in load("make_benchmarks_page").PAGES[:2]:
        lines = page.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 150
        assert max(len(line) for line in lines if not line.startswith(("|", "`"))) <= 700, f"a wall of text in {page}"


def test_the_picture_of_the_papers_claim_is_drawn_from_its_result_file() -> None:
    draw = load("draw_paper_claim")
    assert draw.PICTURE.read_text(encoding="utf-8") == draw.svg(), "run `python Resources/draw_paper_claim.py`"


def test_a_table_shows_a_result_file_as_it_is() -> None:
    make = load("make_benchmarks_page")
    result = {"command": "python it.py", "machine": "one core", "columns": ["what", "Dice", "change"]}
    result |= {"digits": [0, 3, 2], "signed": ["change"], "rows": [["liver", 0.9, 0.1], ["mean", 0.5, -0.25]]}
    expected = "`python it.py`, one core: <!-- results: x -->\n\n| what | Dice | change |\n| --- | --- | --- |\n"
    assert make.table("x", [result]) == expected + "| liver | 0.900 | +0.10 |\n| **mean** | **0.500** | **-0.25** |\n"
    beside = make.table("x", [result | {"side_by_side": 2}])
    assert beside.endswith("| liver | 0.900 | +0.10 | **mean** | **0.500** | **-0.25** |\n")
    other = {"command": "python it.py b", "machine": "one core", "rows": [["spleen", 0.8]]}
    both = make.table("x y", [result, other])
    assert both.startswith("`python it.py`; `python it.py b`, one core: <!-- results: x y -->\n")
    assert both.endswith("| spleen | 0.800 |  |\n")


def test_the_page_of_the_command_line_is_what_its_help_says(script: ModuleType) -> None:
    text = script.PAGE.read_text(encoding="utf-8")
    above, mark, _ = text.partition(script.MARK)
    assert mark
    assert text == script.page(above, build_parser()), "run `python Resources/make_cli_page.py`"


def test_what_the_page_lists_is_in_the_help_that_is_printed(script: ModuleType, capsys) -> None:
    text = script.PAGE.read_text(encoding="utf-8").partition(script.MARK)[2]
    commands = re.findall(r"^### promptseg (.*)\n((?:(?!###).*\n)*)", text, flags=re.MULTILINE)
    assert len(commands) == len(list(script.leaves(build_parser())))
    for words, section in commands:
        assert main([*words.split(), "--help"]) == 0
        # Where --help wraps its lines differs between versions of Python.
        printed = "".join(capsys.readouterr().out.split())
        meanings = re.findall(r"^- `[^`]+`(?: \(required\))?: (.*)$", section, flags=re.MULTILINE)
        assert meanings or "list" in words
        assert [one for one in meanings if "".join(one.split()) not in printed] == []


@pytest.mark.parametrize("page", SHOWN_TO_USERS, ids=name)
def test_commands_that_users_are_shown_can_be_given(page: Path) -> None:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = "".join(text for language, text in blocks if not language).replace("\\\n", " ").splitlines()
    lines = [line.removeprefix(".venv/bin/") for line in lines if "[options]" not in line]
    given = [shlex.split(line)[1:] for line in lines if line.startswith("promptseg ")]
    assert given
    for words in given:
        assert callable(build_parser().parse_args(words).run), words
