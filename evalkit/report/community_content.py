"""What a ledger tells a city's people, counted: by study, by month, by rule. Plain values, no words yet.

Every figure is counted from verified ledger lines. Titles and questions are those of the studies that the city holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from evalkit.core.study import Study
from evalkit.disclosure.revocation import is_revoked

__all__ = ["Answer", "Asked", "Community", "Month", "Signature", "community_of"]

DAY: Final = 10
MONTH: Final = 7
"""Letters of an ISO time that are its day and its month."""

How = Literal["officers", "listed", "any", "covered", "revoked", "no"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One release."""

    number: int
    day: str
    study: str
    size: int
    numbers: int | None
    seal: str


@dataclass(frozen=True, slots=True)
class Signature:
    """An officer who approved a study, or withdrew."""

    day: str
    officer: str
    given: int
    needed: int
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One study, as the ledger has it.

    Attributes:
        hash: of the study.
        study: as the city holds it; None if it does not.
        signatures: approvals and withdrawals, oldest first.
        revoked: whether the city has withdrawn from it.
        how: by whose leave it may be asked now (`evalkit.federation.desk.Standing`).
        by: title of the study that covers it; empty if none does.
        answers: what left.
        refused: questions refused.
        kinds: release classes of its answers; empty where the ledger does not say.
    """

    hash: str
    study: Study | None
    signatures: tuple[Signature, ...]
    revoked: bool
    how: How
    by: str
    answers: tuple[Answer, ...]
    refused: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """Answers and refusals of one month, written ``2026-01``."""

    month: str
    left: int
    refused: int


@dataclass(frozen=True, slots=True)
class Community:
    """Everything the page says.

    Attributes:
        city: its title.
        studies: in the order in which the ledger first names them.
        answers: newest first.
        months: from the first to the last, those without anything too.
        refusals: rule → how often it refused.
        rules: rules that agreed before an answer left.
        gone: withdrawals of approvals and of the city from studies, and its return: day, outcome, study, officer. The
            study is empty where every study is meant.
        leverage: largest of all answers, None if the ledger has none.
        epsilon: sum over all answers, None if the ledger has none.
        lines, first, last, head, key: of the verified ledger; days and key empty without a line.
    """

    city: str
    studies: tuple[Asked, ...]
    answers: tuple[Answer, ...]
    refused: int
    months: tuple[Month, ...]
    refusals: Mapping[str, int]
    rules: tuple[str, ...]
    gone: tuple[tuple[str, str, str, str], ...]
    leverage: float | None
    epsilon: float | None
    lines: int
    first: str
    last: str
    head: str
    key: str

    @property
    def numbers(self) -> int | None:
        """Numbers in all answers; None where a line does not say."""
        counted = [answer.numbers for answer in self.answers]
        return None if None in counted else sum(number or 0 for number in counted)


def community_of(
    city: str,
    entries: Sequence[Mapping[str, Any]],
    *,
    studies: Mapping[str, Study],
    standing: Mapping[str, tuple[How, str]],
    head: str,
    key: str,
) -> Community:
    """Count a verified ledger.

    Args:
        city: its title.
        entries: verified, oldest first.
        studies: those that the city holds, by hash.
        standing: by whose leave each study may be asked now, and the hash of the study that covers it.
        head: hash of the last line.
        key: the city's public key.
    """
    released = [entry for entry in entries if entry.get("outcome") == "released"]
    refused = [entry for entry in entries if entry.get("outcome") == "refused"]
    named = dict.fromkeys(str(entry["study"]) for entry in entries if entry.get("study"))
    return Community(
        city=city,
        studies=tuple(_asked(study, entries, studies, standing) for study in named),
        answers=tuple(_answer(entry) for entry in reversed(released)),
        refused=len(refused),
        months=_months(released, refused),
        refusals=dict(Counter(rule for entry in refused for rule in entry.get("rules", ()))),
        rules=_passed(released),
        gone=tuple(_gone(entry) for entry in entries if _is_gone(entry)),
        leverage=max(_values(released, "leverage"), default=None),
        epsilon=sum(found) if (found := _values(released, "epsilon")) else None,
        lines=len(entries),
        first=str(entries[0]["time"])[:DAY] if entries else "",
        last=str(entries[-1]["time"])[:DAY] if entries else "",
        head=head,
        key=key,
    )


def _asked(
    study: str,
    entries: Sequence[Mapping[str, Any]],
    studies: Mapping[str, Study],
    standing: Mapping[str, tuple[How, str]],
) -> Asked:
    own = [entry for entry in entries if entry.get("study") == study]
    released = [entry for entry in own if entry.get("outcome") == "released"]
    how, covering = standing.get(study, ("no", ""))
    return Asked(
        hash=study,
        study=studies.get(study),
        signatures=tuple(
            Signature(
                day=str(entry["time"])[:DAY],
                officer=str(entry.get("officer", "")),
                given=int(entry.get("given", 0)),
                needed=int(entry.get("needed", 0)),
                withdrawn=entry["outcome"] == "withdrawn",
            )
            for entry in own
            if entry.get("outcome") in ("approved", "withdrawn")
        ),
        revoked=is_revoked(entries, study),
        how=how,
        by=studies[covering].title if covering in studies else covering,
        answers=tuple(_answer(entry) for entry in released),
        refused=sum(entry.get("outcome") == "refused" for entry in own),
        kinds=tuple(
            dict.fromkeys(str(e["release_class"]) for e in released if e.get("release_class"))
        ),
    )


def _answer(entry: Mapping[str, Any]) -> Answer:
    numbers = entry.get("numbers")
    return Answer(
        number=int(entry["number"]),
        day=str(entry["time"])[:DAY],
        study=str(entry.get("study", "")),
        size=int(entry.get("bytes", 0)),
        numbers=None if numbers is None else int(numbers),
        seal=str(entry.get("release", "")),
    )


def _months(
    released: Iterable[Mapping[str, Any]], refused: Iterable[Mapping[str, Any]]
) -> tuple[Month, ...]:
    left, not_left = (
        Counter(str(entry["time"])[:MONTH] for entry in group) for group in (released, refused)
    )
    found = sorted({*left, *not_left})
    if not found:
        return ()
    (year, month), last = (int(part) for part in found[0].split("-")), found[-1]
    months = []
    while (name := f"{year:04d}-{month:02d}") <= last:
        months.append(Month(name, left[name], not_left[name]))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return tuple(months)


def _passed(released: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    rules = (str(verdict["rule"]) for entry in released for verdict in entry.get("verdicts", ()))
    return tuple(dict.fromkeys(rules))


def _is_gone(entry: Mapping[str, Any]) -> bool:
    return entry.get("outcome") in ("revoked", "reinstated", "withdrawn")


def _gone(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return (
        str(entry["time"])[:DAY],
        str(entry["outcome"]),
        str(entry.get("study", "")),
        str(entry.get("officer", "")),
    )


def _values(released: Iterable[Mapping[str, Any]], field: str) -> list[float]:
    return [float(entry[field]) for entry in released if entry.get(field) is not None]
