"""Masks that cancel in a sum over cities: what one city adds, another subtracts.

Each pair of cities agrees on a secret (X25519, RFC 7748) from keys made for one session. From it, and from what is
asked, both derive the same stream of 16 bytes for every number (HKDF-SHA256, RFC 5869; ChaCha20, RFC 8439). The city
whose name comes first adds the stream to its numbers modulo 2^128, the other subtracts it. Whoever lacks one secret
of a city sees numbers that are uniform and independent of the city's; in the sum over exactly these cities every
stream is gone. Single masks are never taken off: a city that does not answer ends the round.

Source: Bonawitz et al. (2017), *Practical secure aggregation*, section 3, without its recovery of drop-outs, by which
a dishonest server can unmask a city (Pasquini, Francati & Ateniese 2022).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from evalkit.disclosure.keys import canonical
from evalkit.numerics.fixed_point import add, subtract

__all__ = ["EPHEMERAL", "Masks", "masked", "new_secret", "public_half", "shared_secret", "stream"]

Words = NDArray[np.uint64]

PURPOSE: Final = "evalkit mask of a secure sum"

EPHEMERAL: Final = r"^[A-Za-z0-9_-]{43}$"
"""A key of one session as it travels: X25519, 32 bytes in URL-safe base 64 without padding."""


@dataclass(frozen=True, slots=True, repr=False)
class Masks:
    """What one city needs to mask its answers in one session; it never leaves the city.

    Attributes:
        session: its id.
        roster: names of all cities in the sum, sorted.
        site: the city's own.
        secrets: other city → the secret shared with it.
    """

    session: str
    roster: tuple[str, ...]
    site: str
    secrets: Mapping[str, bytes]


def new_secret() -> bytes:
    """The private half of a session's key, 32 bytes."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_half(secret: bytes) -> str:
    """The public half as it travels."""
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return base64.urlsafe_b64encode(public).decode().rstrip("=")


def shared_secret(secret: bytes, public: str) -> bytes:
    """What the holder of ``secret`` shares with the holder of the private half of ``public``.

    Raises:
        ValueError: ``public`` is no key, or one that gives everybody the same secret.
    """
    raw = base64.b64decode(public + "=", altchars=b"-_", validate=True)
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(raw)
    )


def stream(secret: bytes, session: str, question: str, pair: tuple[str, str], size: int) -> Words:
    """(size, 2) words that the pair shares for one question of one session, and nobody else knows.

    Args:
        secret: shared by the two cities.
        session: its id.
        question: a hash of all that is asked.
        pair: the two names, sorted.
        size: how many numbers are masked.
    """
    about = {
        "purpose": PURPOSE,
        "session": session,
        "question": question,
        "first": pair[0],
        "second": pair[1],
    }
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=canonical(about)).derive(secret)
    # The key is used for this stream only, so that counter and nonce may begin at zero.
    data = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(16 * size))
    return np.frombuffer(data, "<u8").astype(np.uint64).reshape(size, 2)


def masked(words: Words, masks: Masks, question: str) -> Words:
    """(N, 2) words of a city's answer with the streams of all its pairs added or subtracted."""
    for other in sorted(masks.secrets):
        first, second = sorted((masks.site, other))
        one = stream(masks.secrets[other], masks.session, question, (first, second), len(words))
        words = add(words, one) if masks.site == first else subtract(words, one)
    return words
