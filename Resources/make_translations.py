"""Brings translations up to date: PromptSeg/Resources/Translations/PromptSeg_*.ts from the sources, .qm from them.

    python Resources/make_translations.py            # after a text of the panel was changed, and after translating
    python Resources/make_translations.py de fr      # begin another language, too

Texts are those in ``_()``, under the names of contexts that 3D Slicer's ``slicer.i18n.tr`` looks them up by: the file,
after the package that it lies in. What is translated stays so while its English text does; what is new is marked as
unfinished, for Qt Linguist or an editor. ``lrelease`` comes with PySide6, of the extra *test*; 3D Slicer reads what it
writes, with Qt 5 and Qt 6.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "PromptSeg"
FOLDER = MODULE / "Resources" / "Translations"
SOURCES = [MODULE / "PromptSeg.py", *sorted((MODULE / "PromptSegLib").rglob("*.py"))]
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n'

Texts = dict[tuple[str, str], str]
"""(context, English text): the translation, empty where there is none yet."""


def context_of(path: Path) -> str:
    """As ``slicer.i18n.getContext`` has it."""
    package = f"{path.parent.name}." if (path.parent / "__init__.py").is_file() else ""
    return package + path.stem


def texts_of(path: Path) -> list[str]:
    """The literals in ``_()`` of a file, in their order. Raises ``SystemExit`` for one that is no literal, which could
    never be translated."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
            (argument,) = node.args
            if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                raise SystemExit(f"{path}, line {node.lineno}: _() takes a literal")
            found.append((node.lineno, node.col_offset, argument.value))
    return list(dict.fromkeys(text for _line, _column, text in sorted(found)))


def extract() -> dict[str, list[str]]:
    """All texts by context."""
    found = {context_of(path): texts_of(path) for path in SOURCES}
    return {context: texts for context, texts in sorted(found.items()) if texts}


def read(path: Path) -> Texts:
    """What a .ts file holds."""
    if not path.is_file():
        return {}
    return {
        (context.findtext("name", ""), message.findtext("source", "")): message.findtext("translation", "")
        for context in ElementTree.parse(path).getroot().iter("context")
        for message in context.iter("message")
    }


def write(path: Path, texts: dict[str, list[str]], known: Texts, language: str) -> int:
    """Write a .ts file; gives how many texts are not translated."""
    root = ElementTree.Element("TS", version="2.1", language=language, sourcelanguage="en")
    missing = 0
    for context, sources in texts.items():
        part = ElementTree.SubElement(root, "context")
        ElementTree.SubElement(part, "name").text = context
        for source in sources:
            message = ElementTree.SubElement(part, "message")
            ElementTree.SubElement(message, "source").text = source
            translated = known.get((context, source), "")
            made = ElementTree.SubElement(message, "translation")
            made.text = translated
            if not translated:
                made.set("type", "unfinished")
                missing += 1
    ElementTree.indent(root, "    ")
    path.write_text(HEAD + ElementTree.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    return missing


def release(path: Path) -> None:
    """Make the .qm file that Qt reads."""
    import PySide6

    program = Path(PySide6.__file__).parent / "lrelease"
    subprocess.run([program, "-silent", path, "-qm", path.with_suffix(".qm")], check=True)


def main(languages: list[str]) -> None:
    """Update what there is, and begin with ``languages``."""
    FOLDER.mkdir(exist_ok=True)
    texts = extract()
    there = {path.stem.partition("_")[2] for path in FOLDER.glob("PromptSeg_*.ts")}
    for language in sorted(there | set(languages)):
        path = FOLDER / f"PromptSeg_{language}.ts"
        missing = write(path, texts, read(path), language)
        release(path)
        print(f"{path.name}: {sum(map(len, texts.values()))} texts, {missing} not translated")


if __name__ == "__main__":
    main(sys.argv[1:])
