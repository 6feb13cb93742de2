"""Text that comes from others and is shown to people."""

from __future__ import annotations

import unicodedata

__all__ = ["shows_plainly"]


def shows_plainly(character: str) -> bool:
    """Whether a character is text of one line: no control, no mark that turns the direction of what follows."""
    joins = character in "\u200c\u200d"  # letters, in some scripts
    return joins or (unicodedata.category(character)[0] != "C" and character not in "\u2028\u2029")
