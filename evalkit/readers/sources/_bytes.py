"""Bytes of a file, and bytes as UTF-8; every failure in words."""

from __future__ import annotations

import codecs
import os
from pathlib import Path
from typing import BinaryIO, Final

from evalkit.errors import EncodingError, FileReadError

__all__ = ["LINE_BYTES", "check_lines", "codec_name", "read_bytes", "to_utf8", "unreadable"]

CANDIDATES: Final = (
    "utf-8",
    "utf-16",
    "cp949",
    "shift_jis",
    "gb18030",
    "big5",
    "cp1252",
    "latin-1",
)
"""Encodings tried when the stated one fails. latin-1 is last: it decodes anything."""

LINE_BYTES: Final = 16 << 20
"""Longest line of delimited text. A record of an incident takes some hundred bytes; a line of
megabytes is not a line but a file whose line ends are gone, and would be held in memory several
times over."""

_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_bytes(path: Path) -> bytes:
    """All bytes of ``path``.

    Raises:
        FileReadError: absent, a folder, unreadable, or empty.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileReadError(
            "the file does not exist", where=str(path), way_out="check files in the site file"
        ) from None
    except IsADirectoryError:
        raise FileReadError(
            "this is a folder, not a file",
            where=str(path),
            way_out=f'to read every file in it, write files = ["{path.name}/*"]',
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None
    if not data:
        raise FileReadError("the file is empty", where=str(path), way_out="export it again")
    return data


def unreadable(path: Path, error: OSError) -> FileReadError:
    """The error of a file that is there and cannot be read."""
    return FileReadError(
        f"the file cannot be read ({error.strerror})",
        where=str(path),
        way_out="check its permissions",
    )


def check_lines(path: Path) -> None:
    """Refuse delimited text with a line of more than `LINE_BYTES`, before it is taken into memory.

    Raises:
        FileReadError: there is such a line, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size <= LINE_BYTES:
                return
            start = _long_line(file, b"\n")
            if start is not None:  # or lines end with a lone carriage return
                file.seek(0)
                start = _long_line(file, b"\n", b"\r")
    except OSError:
        return  # `read_bytes` says what is wrong
    if start is not None:
        raise FileReadError(
            f"the line that begins at byte {start + 1:,} has more than {LINE_BYTES:,} bytes",
            where=str(path),
            limit=f"lines of at most {LINE_BYTES:,} bytes; most have some hundred",
            way_out="export the file again with one record a line, or correct format in the site file",
        )


def _long_line(file: BinaryIO, *ends: bytes) -> int | None:
    """Where the first line of more than `LINE_BYTES` begins, None if there is none.

    Within a block no line is too long, so only its first and last line ends matter, and they are
    found at once: this costs little more than reading.
    """
    begin = at = 0
    while block := file.read(LINE_BYTES):
        first = min((place for end in ends if (place := block.find(end)) >= 0), default=len(block))
        if at + first - begin > LINE_BYTES:
            return begin
        if first < len(block):
            begin = at + max(block.rfind(end) for end in ends) + 1
        at += len(block)
    return None


def to_utf8(data: bytes, encoding: str, where: str) -> tuple[bytes, tuple[str, ...]]:
    """``data`` as UTF-8 without a byte order mark, and notes on the encoding.

    Raises:
        EncodingError: ``encoding`` is unknown, or does not fit; names the byte and what would fit.
    """
    name = codec_name(encoding, where)
    mark = codecs.BOM_UTF8 if name == "utf-8" and data.startswith(codecs.BOM_UTF8) else b""
    body = data[len(mark) :]
    bad = -1
    text = ""
    try:
        text = body.decode(name)
    except UnicodeError as error:
        bad = len(mark) + getattr(error, "start", 0)
    if bad >= 0:
        # Raised here, not above: the error being handled there carries the file's bytes.
        line = data.count(b"\n", 0, bad) + 1
        raise EncodingError(
            f"byte {bad + 1:,} (line {line:,}) is not {encoding} text",
            where=where,
            limit=f'encoding = "{encoding}"',
            way_out=_advice(data, name),
        )
    if name in {"utf-8", "ascii"}:
        return body, ()
    return _encoded(text.removeprefix("\ufeff"), encoding, where), _notes(data, encoding)


def codec_name(encoding: str, where: str) -> str:
    """Python's own name of a text encoding.

    Raises:
        EncodingError: there is no such encoding.
    """
    try:
        info = codecs.lookup(encoding)
        "x".encode(encoding)  # only a text encoding can
    except (LookupError, ValueError):
        raise EncodingError(
            f'"{encoding}" is not the name of a text encoding',
            where=where,
            limit=f"for example {', '.join(CANDIDATES)}",
            way_out="correct encoding in the site file",
        ) from None
    return "utf-8" if info.name == "utf-8-sig" else info.name


def _encoded(text: str, encoding: str, where: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeError:
        pass
    raise EncodingError(
        f"{encoding} decodes the file to something that is not text",
        where=where,
        way_out="correct encoding in the site file",
    )


def _advice(data: bytes, failed: str) -> str:
    fitting = [name for name in CANDIDATES if name != failed and _decodes(data, name)]
    others = [name for name in fitting if name != "latin-1"] or fitting
    written = " or ".join(f'"{name}"' for name in others)
    if not written:
        return "export the file again as UTF-8"
    return f"{written} can read every byte; set the one that shows the letters as they should be"


def _decodes(data: bytes, name: str) -> bool:
    if name == "utf-16" and not data.startswith(_UTF16_MARKS):
        return False
    try:
        data.decode(name)
    except UnicodeError:
        return False
    return True


def _notes(data: bytes, encoding: str) -> tuple[str, ...]:
    if data.isascii() or not _decodes(data, "utf-8"):
        return ()
    note = (
        f"the file is read as {encoding} but is also valid UTF-8; if accented letters look wrong, "
        'set encoding = "utf-8"'
    )
    return (note,)
