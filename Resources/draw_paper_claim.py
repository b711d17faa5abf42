"""Draw how far each way of adapting the network stays behind full fine-tuning, from its result file.

``python Resources/draw_paper_claim.py`` writes ``docs/pictures/paper-claim.svg`` from
``Testing/Benchmarks/results/paper-claim.json``. A test fails when the picture differs.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "paper-claim.svg"
RESULT = ROOT / "Testing" / "Benchmarks" / "results" / "paper-claim.json"
SUBJECTS = {"3": 7, "10": 5, "all 16": 3}
"""By number of subjects, the column of points to full fine-tuning."""
MARKS = {"3": "#e08214", "10": "#5e3c99", "all 16": "#2166ac"}
CLAIM, LOW = -2.67, -45.0
"""Points of Dice: what the paper loses by prompt tuning (CT-ORG), and the left end of the axis."""
LEFT, WIDTH, ROW, TOP, BELOW = 350, 420, 26, 44, 50


def svg() -> str:
    """The picture as an SVG file's text: a row for each method, a mark for each number of subjects."""
    rows = [row for row in json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if row[3] != ""]
    width, bottom = LEFT + WIDTH + 30, TOP + ROW * len(rows)

    def x(points: float) -> str:
        return f"{LEFT + WIDTH * (1 - points / LOW):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + BELOW}" '
        f'viewBox="0 0 {width} {bottom + BELOW}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{bottom + BELOW}" fill="#ffffff"/>',
    ]
    for points in range(int(LOW) + 5, 1, 10):
        parts.append(f'<path d="M{x(points)},{TOP - 6} V{bottom}" stroke="#d9dfe2"/>')
        parts.append(f'<text x="{x(points)}" y="{bottom + 18}" text-anchor="middle">{points}</text>')
    parts.append(f'<path d="M{x(CLAIM)},{TOP - 6} V{bottom}" stroke="#b2182b" stroke-dasharray="5 4"/>')
    parts.append(f'<text x="{x(CLAIM)}" y="{TOP - 12}" text-anchor="end" fill="#b2182b">the paper: {CLAIM}</text>')
    for n, row in enumerate(rows):
        y = TOP + ROW * n + ROW // 2
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{_label(row[0], str(row[1]))}</text>')
        for name, column in SUBJECTS.items():
            parts.append(f'<circle cx="{x(row[column])}" cy="{y}" r="5" fill="{MARKS[name]}" fill-opacity="0.85"/>')
    parts.append(
        f'<text x="{LEFT + WIDTH // 2}" y="{bottom + 40}" text-anchor="middle">'
        "points of Dice to full fine-tuning (mean of three structures, one seed)</text>"
    )
    for n, name in enumerate(SUBJECTS):
        parts.append(f'<circle cx="{20 + 110 * n}" cy="18" r="5" fill="{MARKS[name]}"/>')
        parts.append(f'<text x="{30 + 110 * n}" y="22">{name} subjects</text>')
    return "\n".join([*parts, "</svg>", ""])


def _label(method: str, share: str) -> str:
    name = method.partition(" (")[0].replace(
        "prompts from the bottleneck on, scales and shifts of all layers", "prompts,"
    )
    name = name if name != "prompts," else "decoder prompts, scales and shifts"
    return escape(f"{name}, {share} %")


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(svg(), encoding="utf-8", newline="\n")
    print(PICTURE)


if __name__ == "__main__":
    main()
