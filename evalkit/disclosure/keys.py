"""Ed25519 keys and signatures over canonical JSON: for ledgers, approvals, treaties, rosters and revocations.

A signature covers the SHA-256 of nothing but the bytes themselves: `canonical` writes an object with sorted keys and no
spaces, so that whoever has the object has the bytes. Every signed object names its purpose, so that a signature made
for one use says nothing in another. Private keys are PEM files that only their owner may read; they are made where they
are used and are never sent.

Source: RFC 8032 (Ed25519), through the library ``cryptography``.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from evalkit.errors import ConfigError, KeyFileError
from evalkit.policy import PUBLIC_KEY

__all__ = [
    "PrivateKey",
    "canonical",
    "check_public",
    "is_public",
    "kept_key",
    "load_key",
    "make_key",
    "public_text",
    "sign",
    "verified",
]

PrivateKey = Ed25519PrivateKey

PREFIX: Final = "ed25519:"

OWNER_ONLY: Final = 0o600

_PUBLIC: Final = re.compile(PUBLIC_KEY)


def canonical(content: Mapping[str, Any]) -> bytes:
    """The one way in which an object is written before it is hashed or signed."""
    return msgspec.json.encode(content, order="deterministic")


def make_key(path: Path, passphrase: str = "") -> PrivateKey:
    """Make a new private key and write it to ``path``, readable by its owner only.

    Args:
        path: must not exist; its folder is made.
        passphrase: encrypts the file; empty leaves it to the file's permissions.

    Raises:
        KeyFileError: the file exists already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError:
        raise KeyFileError(
            "a key is there already", where=str(path), way_out="keep it, or choose another file"
        ) from None
    except OSError as error:
        raise KeyFileError(
            f"the key cannot be written ({error.strerror})", where=str(path)
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return key


def load_key(path: Path, passphrase: str = "") -> PrivateKey:
    """Read a private key.

    Raises:
        KeyFileError: absent, not an Ed25519 key, others can read it, or the passphrase is wrong.
    """
    try:
        mode, pem = path.stat().st_mode, path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            f"the key cannot be read ({error.strerror})",
            where=str(path),
            way_out="name the file that `evalkit site officer` has made; a city's own key is made by `evalkit site "
            "key`, and one that is lost comes from a backup",
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise KeyFileError(
            "others than its owner can read the key",
            where=str(path),
            limit="permissions 600",
            way_out=f"chmod 600 {path}; if others may have read it, make a new one",
        )
    try:
        key = load_pem_private_key(pem, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(
            "the file is no private key, or its passphrase is another",
            where=str(path),
            way_out="give the passphrase it was made with",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("the key is not Ed25519", where=str(path))
    return key


def kept_key(path: Path) -> PrivateKey:
    """`load_key` of a file without a passphrase, decoded once as long as the file is the same.

    Raises:
        KeyFileError: as `load_key`.
    """
    try:
        found = path.stat()
    except OSError:
        return load_key(path)
    return _key_in(path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=4096)
def _key_in(path: Path, _stamp: tuple[int, ...]) -> PrivateKey:
    """The key of a file that had this stamp, which changes when it is written or given other permissions."""
    return load_key(path)


def public_text(key: PrivateKey) -> str:
    """The public half as it is written in policies, treaties and rosters."""
    return PREFIX + _encode(key.public_key().public_bytes_raw())


def sign(key: PrivateKey, content: Mapping[str, Any]) -> str:
    """The signature of `canonical` ``content``, in URL-safe base 64."""
    return _encode(key.sign(canonical(content)))


def verified(public: str, content: Mapping[str, Any], signature: str) -> bool:
    """Whether ``signature`` is that of ``content`` by the holder of the private half; False for whatever is none.

    Raises:
        ConfigError: ``public`` is not a public key.
    """
    try:
        _public(public).verify(_decode(signature), canonical(content))
    except (InvalidSignature, ValueError, TypeError, UnicodeEncodeError):
        return False
    return True


def is_public(text: str) -> bool:
    """Whether a text is written as public keys are."""
    return _PUBLIC.fullmatch(text) is not None


def check_public(text: str) -> str:
    """Return a public key.

    Raises:
        ConfigError: it is not one.
    """
    _public(text)
    return text


@lru_cache(maxsize=4096)
def _public(text: str) -> Ed25519PublicKey:
    if not _PUBLIC.match(text):
        raise ConfigError(
            "what is given as a public key is none",
            limit="ed25519: and 43 letters, digits, - and _",
            way_out="copy it from `evalkit site key` or `evalkit site officer`",
        )
    try:
        return Ed25519PublicKey.from_public_bytes(_decode(text.removeprefix(PREFIX)))
    except ValueError:
        raise ConfigError(
            "what is given as a public key is none", way_out="copy it again"
        ) from None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """Strict: one text for one signature, so that no line can be changed and still verify."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(data) != text:
        raise ValueError("not canonical base 64")
    return data
