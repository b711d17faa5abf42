"""Texts of strangers as a page shows them: as text, whatever they hold."""

from __future__ import annotations

import html
import unicodedata


def escape(text: str) -> str:
    """As :func:`html.escape`; what would not be seen and changes what is (control characters, marks that turn the
    direction of writing, characters without width) becomes a question mark."""
    return html.escape("".join("?" if _steers(c) else c for c in text))


def _steers(character: str) -> bool:
    """Control and format characters and separators of lines; spaces of any width, as between thousands, do not."""
    return character != "\n" and unicodedata.category(character) != "Zs" and not character.isprintable()
