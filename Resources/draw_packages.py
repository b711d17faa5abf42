"""Draw which package imports which, read from the sources.

``python Resources/draw_packages.py`` writes ``docs/pictures/packages.svg``. Packages are in rows, each above what it
imports. Arrows that follow from others are left out, and so are the files that everything may use. A test fails when
the picture is not that of the sources.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP = ROOT / "PromptSeg"
SIBLINGS = ("PromptSegCli", "PromptSegTrain")
PICTURE = ROOT / "docs" / "pictures" / "packages.svg"
FOR_ALL = ("errors", "atomic", "locked", "progress", "resources", "threads")

WIDTH, HEIGHT, GAP, ROW, THIN = 122, 30, 26, 74, 16
Graph = dict[str, set[str]]


def imports() -> Graph:
    """What each package of the library, and each sibling as a whole, imports of the others, but for what everything may
    use."""
    files = [path for name in ("PromptSegLib", *SIBLINGS) for path in (TOP / name).rglob("*.py")]
    names = {_package(path.relative_to(TOP).with_suffix("").parts) for path in files} - {"__init__", *FOR_ALL}
    graph: Graph = {name: set() for name in sorted(names)}
    for path in files:
        parts = path.relative_to(TOP).with_suffix("").parts
        package = _package(parts)
        if package in names and parts[-1] != "__main__":
            graph[package] |= {_package(other) for other in _imported(path, parts)} & names - {package}
    return graph


def _package(parts: tuple[str, ...]) -> str:
    """The box that a module is drawn in, from its dotted name in pieces."""
    if parts[0] in SIBLINGS:
        return parts[0]
    return parts[1] if parts[0] == "PromptSegLib" and len(parts) > 1 else ""


def _imported(path: Path, parts: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The modules, or their packages, that a file imports, as dotted names in pieces."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else ()
            for alias in node.names:
                found.add((*base, *(node.module or alias.name).split("."), alias.name))
    return found


def reached(graph: Graph, start: str) -> set[str]:
    """All that ``start`` imports, also by way of others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += sorted(new)
    return found


def rows(graph: Graph) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The row of each package, 0 at the bottom, and the arrows that are needed."""
    below = {name: reached(graph, name) for name in graph}
    level: dict[str, int] = {}

    def place(name: str) -> int:
        if name not in level:
            level[name] = 1 + max((place(other) for other in sorted(graph[name])), default=-1)
        return level[name]

    for name in graph:
        place(name)
    arrows = [
        (name, other)
        for name in graph
        for other in sorted(graph[name])
        if not any(other in below[one] for one in graph[name] - {other})
    ]
    return level, arrows


def layout(level: dict[str, int], arrows: list[tuple[str, str]]) -> tuple[dict[str, tuple[int, int]], list[list[str]]]:
    """The middle of each package in pixels, and each arrow as the places that it goes through."""
    table: dict[int, list[str]] = defaultdict(list)
    for name in sorted(level):
        table[level[name]].append(name)
    ways = []
    for start, end in arrows:
        bends = [f"{start}>{end}@{row}" for row in range(level[start] - 1, level[end], -1)]
        for row, bend in zip(range(level[start] - 1, level[end], -1), bends, strict=True):
            table[row].append(bend)
        ways.append([start, *bends, end])
    near: Graph = defaultdict(set)
    for way in ways:
        for a, b in pairwise(way):
            near[a].add(b)
            near[b].add(a)
    places: dict[str, tuple[int, int]] = {}
    for row in table:
        _set_row(table[row], row, places)
    for sweep in range(24):  # nearer to what they are joined with, from below and from above in turn
        for row in sorted(table, reverse=sweep % 2 == 1):
            middle = {name: _mean([places[one][0] for one in near[name]], places[name][0]) for name in table[row]}
            table[row].sort(key=lambda name, middle=middle: (middle[name], name))
            _set_row(table[row], row, places)
    return places, ways


def _mean(numbers: list[int], otherwise: int) -> float:
    return sum(numbers) / len(numbers) if numbers else float(otherwise)


def _set_row(names: list[str], row: int, places: dict[str, tuple[int, int]]) -> None:
    """Put a row's packages and the arrows that pass it side by side, about the middle of the picture."""
    widths = [THIN if "@" in name else WIDTH for name in names]
    x = -(sum(widths) + GAP * (len(names) - 1)) // 2
    for name, width in zip(names, widths, strict=True):
        places[name] = (x + width // 2, -row * ROW)
        x += width + GAP


def svg(graph: Graph) -> str:
    """The picture as an SVG file's text."""
    level, arrows = rows(graph)
    places, ways = layout(level, arrows)
    xs, ys = zip(*places.values(), strict=True)
    left, top = min(xs) - WIDTH // 2 - 10, min(ys) - HEIGHT // 2 - 10
    width, height = max(xs) + WIDTH // 2 + 10 - left, ROW + HEIGHT // 2 + 10 - top
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="{left} {top} {width} {height}" font-family="sans-serif" font-size="14">',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#ffffff"/>',
        '<marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0,0.5 L8,4 L0,7.5 z" fill="#77909c"/></marker>',
    ]
    line = 'fill="none" stroke="#77909c" stroke-width="1.3"'
    for way in ways:
        parts.append(f'<path d="{_curve([places[name] for name in way])}" {line} marker-end="url(#head)"/>')
    for name in graph:
        parts.append(_box(*places[name], WIDTH, name, "#f28c28" if name == "session" else "#d9e2e7"))
    parts.append(_box(left + width // 2, ROW, width - 20, f"for all: {', '.join(FOR_ALL)}", "#f1f4f6"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(points: list[tuple[int, int]]) -> str:
    """A smooth way down through the points, from the foot of the first box to the head of the last."""
    (x, y), *others = points
    y += HEIGHT // 2
    text = f"M{x},{y}"
    for n, (to_x, to_y) in enumerate(others):
        end = to_y - HEIGHT // 2 if n == len(others) - 1 else to_y
        half = (y + end) // 2
        text += f" C{x},{half} {to_x},{half} {to_x},{end}"
        x, y = to_x, end
    return text


def _box(x: int, y: int, width: int, text: str, colour: str) -> str:
    shape = f'x="{x - width // 2}" y="{y - HEIGHT // 2}" width="{width}" height="{HEIGHT}" rx="5"'
    words = f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="#1d2b33">{text}</text>'
    return f'<rect {shape} fill="{colour}" stroke="#77909c"/>{words}'


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(svg(imports()), encoding="utf-8", newline="\n")
    print(PICTURE)


if __name__ == "__main__":
    main()
