"""Texts of strangers as a page shows them: as text, whatever they hold."""

from __future__ import annotations

import html


def escape(text: str) -> str:
    """As :func:`html.escape`; what would not be seen and changes what is (control characters, marks that turn the
    direction of writing, characters without width) becomes a question mark."""
    return html.escape("".join(c if c.isprintable() or c == "\n" else "?" for c in text))
