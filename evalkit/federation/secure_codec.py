"""Messages of secure sums as Flower records, under the same rules as `evalkit.federation.codec`.

session   asks a city for its key of one session: its id, the roster, the studies.
key       the answer: the city's key of this session with its signature.
roster    all cities' signed keys, beside the records of a question or of several. There is no place in it to say that
          a city is absent or has dropped out; a record with anything more is refused.
masked    in place of ``release``, with ``words`` in place of ``fields``: a masked release.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from evalkit.core.estimator import Question
from evalkit.disclosure.masked import MaskedRelease, Part, masked_bytes
from evalkit.disclosure.masking import EPHEMERAL
from evalkit.disclosure.rosters import (
    MOST_CITIES,
    SESSION,
    Invitation,
    SignedKey,
    SignedRoster,
)
from evalkit.federation.codec import (
    MAX_DIMENSIONS,
    MAX_FIELDS,
    MAX_NUMBERS,
    MAX_QUESTIONS,
)
from evalkit.federation.records import HASH, NAME, SITE, config_of, expect, expect_answer, text_of
from evalkit.policy import PUBLIC_KEY

__all__ = [
    "KEYS",
    "ReceivedPart",
    "attach_roster",
    "decode_invitation",
    "decode_masked",
    "decode_signed_key",
    "encode_invitation",
    "encode_masked",
    "encode_signed_key",
    "take_roster",
]

KEYS: Final = "query.keys"
"""Message type: a key for one session of secure sums, please."""

WORDS_DTYPE: Final = "uint64"
WORDS_STYPE: Final = "evalkit.little-endian-words"
ROSTER: Final = "roster"

_EPHEMERAL: Final = re.compile(EPHEMERAL)
_PUBLIC: Final = re.compile(PUBLIC_KEY)
_SIGNATURE: Final = re.compile(r"^[A-Za-z0-9_-]{86}$")


@dataclass(frozen=True, slots=True, eq=False)
class ReceivedPart:
    """One city's masked release as it arrives at the server, with its canonical bytes."""

    site: str
    part: Part
    data: bytes


def encode_invitation(invitation: Invitation) -> RecordDict:
    """What travels of an invitation."""
    return RecordDict(
        {
            "session": ConfigRecord(
                {
                    "session": invitation.session,
                    "roster": list(invitation.roster),
                    "studies": list(invitation.studies),
                }
            )
        }
    )


def decode_invitation(content: RecordDict) -> Invitation:
    """Read an invitation.

    Raises:
        BadMessageError: wrong records or names, a city or study twice, or names that are not sorted.
    """
    expect(set(content.keys()) == {"session"}, "records")
    head = config_of(content, "session", {"session", "roster", "studies"})
    studies = _texts(head, "studies", HASH, MAX_QUESTIONS)
    expect(bool(studies) and len(set(studies)) == len(studies), "studies")
    return Invitation(text_of(head, "session", SESSION), _names(head, "roster"), studies)


def encode_signed_key(session: str, one: SignedKey) -> RecordDict:
    """A city's answer to an invitation."""
    return RecordDict(
        {
            "key": ConfigRecord(
                {
                    "session": session,
                    "site": one.site,
                    "key": one.key,
                    "signature": one.signature,
                    "identity": one.identity,
                }
            )
        }
    )


def decode_signed_key(content: RecordDict, session: str, site: str) -> SignedKey:
    """Read a city's key of a session.

    Raises:
        BadMessageError: wrong records, another session or city, or not a key.
    """
    expect(set(content.keys()) == {"key"}, "records")
    head = config_of(content, "key", {"session", "site", "key", "signature", "identity"})
    expect(text_of(head, "session", SESSION) == session, "session")
    expect(text_of(head, "site", SITE) == site, "site")
    return SignedKey(
        site,
        text_of(head, "key", _EPHEMERAL),
        text_of(head, "signature", _SIGNATURE),
        text_of(head, "identity", _PUBLIC),
    )


def attach_roster(content: RecordDict, roster: SignedRoster) -> RecordDict:
    """A question, or several, with all signed keys."""
    record = ConfigRecord(
        {
            "session": roster.session,
            "sites": [one.site for one in roster.signed],
            "keys": [one.key for one in roster.signed],
            "signatures": [one.signature for one in roster.signed],
        }
    )
    return RecordDict({**dict(content), ROSTER: record})


def take_roster(content: RecordDict) -> tuple[RecordDict, SignedRoster | None]:
    """Part a message into its questions and the signed keys, if there are any.

    Raises:
        BadMessageError: a roster that `attach_roster` could not have written.
    """
    if ROSTER not in content:
        return content, None
    head = config_of(content, ROSTER, {"session", "sites", "keys", "signatures"})
    sites = _names(head, "sites")
    keys = _texts(head, "keys", _EPHEMERAL, MOST_CITIES)
    signatures = _texts(head, "signatures", _SIGNATURE, MOST_CITIES)
    expect(len(keys) == len(signatures) == len(sites), "number of keys")
    signed = tuple(map(SignedKey, sites, keys, signatures))
    rest = RecordDict({name: content[name] for name in content if name != ROSTER})
    return rest, SignedRoster(text_of(head, "session", SESSION), signed)


def encode_masked(release: MaskedRelease) -> RecordDict:
    """A masked release as records.

    Raises:
        TypeError: anything but a `MaskedRelease`.
    """
    if not isinstance(release, MaskedRelease):
        raise TypeError("only a MaskedRelease can be encoded")
    part = release.part
    words = ArrayRecord()
    for name, array in part.words.items():
        words[name] = _encode_words(array)
    return RecordDict(
        {
            "masked": ConfigRecord(
                {
                    "site": part.site,
                    "study": part.study,
                    "estimator": part.estimator,
                    "stage": part.stage,
                    "round": part.round,
                    "session": part.session,
                    "roster": list(part.roster),
                }
            ),
            "words": words,
        }
    )


def decode_masked(
    content: RecordDict, question: Question, site: str, session: str, roster: tuple[str, ...]
) -> ReceivedPart:
    """Read a masked release that answers ``question`` in ``session`` and comes from ``site``.

    Raises:
        BadMessageError: not a masked release, or the answer to something else.
    """
    expect(set(content.keys()) == {"masked", "words"}, "records")
    keys = {"site", "study", "estimator", "stage", "round", "session", "roster"}
    head = config_of(content, "masked", keys)
    study = expect_answer(head, question, site)
    expect(text_of(head, "session", SESSION) == session, "session")
    expect(_names(head, "roster") == roster, "roster")
    part = Part(
        site,
        study,
        question.estimator,
        question.stage,
        question.round,
        session,
        roster,
        _words(content),
    )
    return ReceivedPart(site, part, masked_bytes(part))


def _encode_words(array: NDArray[np.uint64]) -> Array:
    plain = np.ascontiguousarray(array, dtype="<u8")
    return Array(WORDS_DTYPE, tuple(plain.shape), WORDS_STYPE, plain.tobytes())


def _words(content: RecordDict) -> dict[str, NDArray[np.uint64]]:
    record = content["words"]
    expect(isinstance(record, ArrayRecord) and 0 < len(record) <= MAX_FIELDS, "number of fields")
    arrays: Mapping[str, Array] = dict(record.items()) if isinstance(record, ArrayRecord) else {}
    expect(all(NAME.fullmatch(key) for key in arrays), "field names")
    expect(sum(len(array.data) for array in arrays.values()) <= 8 * MAX_NUMBERS, "size")
    return {key: _decode_words(arrays[key]) for key in sorted(arrays)}


def _decode_words(array: Array) -> NDArray[np.uint64]:
    shape = tuple(array.shape)
    expect(array.dtype == WORDS_DTYPE and array.stype == WORDS_STYPE, "array type")
    expect(0 < len(shape) <= MAX_DIMENSIONS + 1, "shape")
    expect(all(0 <= n <= MAX_NUMBERS for n in shape), "shape")
    size = math.prod(shape)
    expect(shape[-1] == 2 and size <= MAX_NUMBERS, "shape")
    expect(len(array.data) == 8 * size, "array size")
    return np.frombuffer(array.data, "<u8").astype(np.uint64).reshape(shape)


def _names(head: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Names of cities, sorted, each once."""
    names = _texts(head, key, SITE, MOST_CITIES)
    expect(bool(names) and all(one < other for one, other in pairwise(names)), key)
    return names


def _texts(
    head: Mapping[str, Any], key: str, pattern: re.Pattern[str], most: int
) -> tuple[str, ...]:
    values = head[key]
    expect(isinstance(values, list) and len(values) <= most, key)
    expect(all(isinstance(one, str) and pattern.fullmatch(one) for one in values), key)
    return tuple(values)
