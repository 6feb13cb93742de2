"""A ledger in one file that verifies by itself: its lines, and a head as the last line.

For the public each line keeps what the server has seen anyway and a digest in place of the rest; for auditors inside
the city the lines are the ledger's own. Both verify to the last bit: each line's content, place and signature, and
the number of lines. Whose key it is a file cannot prove: compare it with one that the city has given by another way.
"""

from __future__ import annotations

from evalkit.disclosure.keys import canonical, check_public
from evalkit.disclosure.ledger_lines import EMPTY, Chain, check_head, first_key, open_fields
from evalkit.errors import LedgerError

__all__ = ["exported", "number_of", "read_export"]


def exported(chain: Chain, head: bytes, *, full: bool = False) -> bytes:
    """The file.

    Args:
        chain: verified lines.
        head: signed, of these lines (`ledger_lines.make_head`).
        full: with closed fields.
    """
    if full:
        return chain.data + head
    return b"".join(canonical(open_fields(entry)) + b"\n" for entry in chain.entries) + head


def read_export(data: bytes, where: str, public: str = "") -> Chain:
    """Verify such a file and return its lines.

    Args:
        data: of the file.
        where: its name, for messages.
        public: the city's public key; by default the one that the first line names.

    Raises:
        LedgerError: a line was changed, moved, removed or added, or it is not such a file.
        ConfigError: ``public`` is not a public key.
    """
    lines = data.splitlines(keepends=True)
    named = first_key(lines[0]) if lines else ""
    if len(lines) < 2 or not named:
        raise LedgerError(
            "the file is not an exported ledger",
            where=where,
            limit="lines of a ledger and its head, as `evalkit site ledger --export` writes them",
            way_out="ask the city for the file again",
        )
    head = lines[-1]
    public = check_public(public) if public else named
    chain = EMPTY.followed_by(data[: -len(head)], public, where, exported=True)
    if check_head(head, public, where) != chain.head:
        raise LedgerError(
            f"the file has {len(chain.entries)} lines, and its head names other ones",
            where=where,
            limit="as many lines as the head says",
            way_out="ask the city for the file again",
        )
    return chain


def number_of(chain: Chain, head: str, where: str) -> int:
    """The number of the line with the hash ``head``, which somebody wrote down earlier.

    Raises:
        LedgerError: the chain does not hold it: the ledger was cut back or begun anew since.
    """
    for entry in chain.entries:
        if entry["hash"] == head:
            return int(entry["number"])
    raise LedgerError(
        "the earlier head is not in the ledger's chain",
        where=where,
        limit="a ledger that only ever grew holds every earlier head's hash",
        way_out="compare the 64 digits; if they are right, the ledger was cut back, or begun anew, after they were "
        "written down",
    )
