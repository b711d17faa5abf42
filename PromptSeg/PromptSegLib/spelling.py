"""When two names are one: what no reader can tell apart must not be told apart by a program."""

from __future__ import annotations

import unicodedata


def spelled(name: str) -> str:
    """What counts of a name when it is compared: neither case, nor how many blanks there are, nor whether a letter and
    its accent are one character or two (macOS writes two), nor marks that nobody sees, such as a text's direction."""
    seen = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFC", seen.casefold()).split())
