"""Draw the icon: an axial slice of a body, one structure in it found, and the tokens that steer the network to it.

``python Resources/draw_icon.py`` writes ``PromptSeg/Resources/Icons/PromptSeg.svg`` and, 128 pixels wide, ``.png``,
both from one list of shapes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIZE = 128
FOLDER = Path(__file__).resolve().parents[1] / "PromptSeg" / "Resources" / "Icons"
_FINER = 8

# (centre x, y, radius x, y, turn in degrees, colour), from back to front; x to the right, y down, in pixels.
ELLIPSES = (
    (64, 56, 56, 43, 0, "#d9e2e7"),  # skin
    (64, 56, 51, 38, 0, "#8fa3ae"),  # inside
    (64, 84, 9, 8, 0, "#f1f4f6"),  # vertebra
    (86, 46, 18, 14, 25, "#77909c"),  # an organ that was not asked for
    (45, 50, 25, 20, -20, "#b4420f"),  # the structure's edge
    (45, 50, 21, 16, -20, "#f28c28"),  # the structure
)
TOKENS = tuple((22 + 21 * n, 115, 7.5, 7.5, 0, colour) for n, colour in enumerate(("#f28c28",) * 3 + ("#8fa3ae",) * 2))


def svg() -> str:
    """The icon as an SVG file's text."""
    shapes = "\n".join(
        f'  <ellipse cx="{x}" cy="{y}" rx="{a}" ry="{b}" transform="rotate({turn} {x} {y})" fill="{colour}"/>'
        for x, y, a, b, turn, colour in (*ELLIPSES, *TOKENS)
    )
    size = f'width="{SIZE}" height="{SIZE}" viewBox="0 0 {SIZE} {SIZE}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{shapes}\n</svg>\n'


def pixels() -> np.ndarray:
    """The icon as (128, 128, 4) uint8, red, green, blue and opacity."""
    y, x = (np.indices((SIZE * _FINER, SIZE * _FINER)) + 0.5) / _FINER
    picture = np.zeros((SIZE * _FINER, SIZE * _FINER, 4))
    for centre_x, centre_y, a, b, degrees, colour in (*ELLIPSES, *TOKENS):
        turn = np.deg2rad(degrees)
        u = (x - centre_x) * np.cos(turn) + (y - centre_y) * np.sin(turn)
        v = (y - centre_y) * np.cos(turn) - (x - centre_x) * np.sin(turn)
        rgb = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        picture[(u / a) ** 2 + (v / b) ** 2 <= 1] = (*rgb, 1.0)  # colours are nought outside, as the means below need
    means = picture.reshape(SIZE, _FINER, SIZE, _FINER, 4).mean(axis=(1, 3))
    means[..., :3] /= np.maximum(means[..., 3:], 1e-6)
    return np.rint(means * 255).astype(np.uint8)


def main() -> None:
    """Write both files."""
    import SimpleITK as sitk  # noqa: N813

    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "PromptSeg.svg").write_text(svg(), encoding="utf-8", newline="\n")
    sitk.WriteImage(sitk.GetImageFromArray(pixels(), isVector=True), str(FOLDER / "PromptSeg.png"))


if __name__ == "__main__":
    main()
