"""What a real Slicer's Python has: the names of its classes and modules, read once from a running one.

    python Testing/standin/facts.py FULL.json

writes the part of it that matters here to ``Testing/slicer_facts.json``.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "slicer_facts.json"


@cache
def facts() -> dict[str, Any]:
    """The whole of it."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@cache
def names_of(kind: str) -> frozenset[str] | None:
    """The attributes of a class such as "qt.QLabel"; None for one that is not listed."""
    found = facts()["classes"].get(kind)
    if found is None:
        return None
    base = facts()["classes"]["qt.QWidget"]["names"] if found["widget"] and kind != "qt.QWidget" else ()
    return frozenset((*found["names"], *base))


@cache
def signals_of(kind: str) -> frozenset[str] | None:
    """The signatures of a class's signals; None for one whose signals are not listed."""
    found = facts()["classes"].get(kind)
    return frozenset(found["signals"]) if found is not None and found["signals"] else None


def trim(full: dict[str, Any]) -> dict[str, Any]:
    """Classes with their names, properties and signals; modules with their names."""
    base = set(full["classes"]["qt.QWidget"]["names"])
    classes = {}
    for name, one in full["classes"].items():
        properties = one.get("properties") or ()
        widget = name != "qt.QWidget" and "visible" in properties
        own = set(one["names"]) - (base if widget else set())
        classes[name] = {
            "widget": bool(widget),
            "names": sorted(own),
            "properties": sorted(properties),
            "signals": sorted(one.get("signals") or ()),
        }
    out = {"about": full["about"], "classes": classes}
    for part in ("slicer_util", "slicer_app", "layoutManager", "slicer_names", "qt_names", "ctk_names", "modules"):
        out[part] = sorted(full[part])
    out["python_modules"] = {name: sorted(found) for name, found in full["python_modules"].items()}
    return out


if __name__ == "__main__":
    text = json.dumps(trim(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), separators=(",", ":"))
    FILE.write_text(text + "\n", encoding="utf-8")
