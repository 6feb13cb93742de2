"""Whether every record of a delimited text is one line with the same number of fields.

Most files are like that, and to know it for certain costs a tenth of taking the records apart:
separators and line ends have to come in a fixed rhythm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

__all__ = ["Even", "even_records"]

CHUNK_BYTES: Final = 1 << 17
"""Bytes looked at once: their temporaries stay in the processor's cache."""

BLANKS: Final = b"\t\v\f "
"""Blanks of ASCII beside the line ends."""


@dataclass(frozen=True, slots=True)
class Even:
    """What is known of such a text.

    Attributes:
        records: their number.
        tidy: whether it is certain that no field begins or ends with a blank.
    """

    records: int
    tidy: bool


def even_records(body: bytes, separator: str, width: int) -> Even | None:
    """Look through a text without quotation marks, NULs and carriage returns inside a line.

    Args:
        body: UTF-8; the last line may lack its end.
        separator: one ASCII character.
        width: number of fields, 2 or more.

    Returns:
        None if a line is blank or has another number of fields, or ``width`` is 1.
    """
    if width < 2:
        return None
    marks = f"{separator}\n".encode()
    rhythm = body.translate(None, bytes(byte for byte in range(256) if byte not in marks))
    if body and not body.endswith(b"\n"):
        rhythm += b"\n"
    records, rest = divmod(len(rhythm), width)
    if rest or rhythm != (marks[:1] * (width - 1) + b"\n") * records:
        return None
    return Even(records, _is_tidy(body, separator))


def _is_tidy(body: bytes, separator: str) -> bool:
    blanks = [byte for byte in BLANKS if byte in body and byte != ord(separator)]
    if not body.isascii():  # there are other blanks
        return False
    if not blanks:
        return True
    data = np.frombuffer(body, dtype=np.uint8)
    if data[0] in blanks or data[-1] in blanks:
        return False
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES + 1]
        mark = (chunk == ord(separator)) | (chunk == ord("\n"))
        blank = chunk == blanks[0]
        for other in blanks[1:]:
            blank |= chunk == other
        if (mark[1:] & blank[:-1]).any() or (mark[:-1] & blank[1:]).any():
            return False
    return True
