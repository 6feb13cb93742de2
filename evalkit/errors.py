"""Every error a user of evalkit can meet, one tree by phase of the work.

Vocabulary
    code      short and stable (``READ-COLUMN``); documented in ``docs/reference/errors.md``.
    exit code what the command line returns, one number per phase, so that scripts can tell phases apart.
    what, where, limit, way out
              the four parts of a message. None of them may carry a value from an incident or camera row:
              columns, files, counts and settings are fine, data are not.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "BadMessageError",
    "CityAnswerError",
    "ClaimError",
    "ConfigError",
    "CoordinatesError",
    "DatabaseReadError",
    "EmptyWindowError",
    "EncodingError",
    "EstimationError",
    "EvalkitError",
    "FileReadError",
    "GeometryError",
    "KeyFileError",
    "LedgerError",
    "MissingColumnError",
    "MissingExtraError",
    "MissingSiteError",
    "ModeratorError",
    "NeedsCitiesError",
    "NoControlError",
    "NoPanelError",
    "NonConvergenceError",
    "NothingToTestError",
    "PanelError",
    "ReadError",
    "RefusalError",
    "SeparationError",
    "SignatureError",
    "TaxonomyError",
    "UnreadableDatesError",
    "WithdrawnError",
    "all_errors",
]


class EvalkitError(Exception):
    """Base of the tree: says what happened, where, against which limit, and the way out.

    Args:
        what: One sentence without a final full stop.
        where: File, table, section or site concerned.
        limit: The limit or expectation that was missed.
        way_out: What the reader can do now.
    """

    code: ClassVar[str] = "EVALKIT"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        limit: str | None = None,
        way_out: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.limit = limit
        self.way_out = way_out

    def __str__(self) -> str:
        parts = [f"{self.what}."]
        if self.where:
            parts.append(f"Where: {self.where}.")
        if self.limit:
            parts.append(f"Expected: {self.limit}.")
        if self.way_out:
            parts.append(f"Way out: {self.way_out}.")
        return " ".join(parts)


class MissingExtraError(EvalkitError):
    """An optional part of evalkit is needed and not installed."""

    code = "EXTRA-MISSING"
    exit_code = 3


class ConfigError(EvalkitError):
    """A study, site or claim file cannot be understood."""

    code = "CONFIG"
    exit_code = 3


class ClaimError(ConfigError):
    """A claim file is readable but its claim cannot be tested as written."""

    code = "CONFIG-CLAIM"


class TaxonomyError(ConfigError):
    """A crime type or taxonomy is not one the study and the site share."""

    code = "CONFIG-TAXONOMY"


class ModeratorError(ConfigError):
    """A study names a moderator that a city lacks, or takes it for what it is not."""

    code = "CONFIG-MODERATOR"


class ReadError(EvalkitError):
    """A source file cannot be read."""

    code = "READ"
    exit_code = 4


class FileReadError(ReadError):
    """A source file is absent, empty, or not of the format its site file says."""

    code = "READ-FILE"


class DatabaseReadError(ReadError):
    """A database cannot be opened, or does not answer the query of the site file."""

    code = "READ-DATABASE"


class GeometryError(ReadError):
    """An outline of a geometry file has no certain inside."""

    code = "READ-GEOMETRY"


class EncodingError(ReadError):
    """A source file is not in the encoding its site file names."""

    code = "READ-ENCODING"


class MissingColumnError(ReadError):
    """A column named in the site file is not in the source."""

    code = "READ-COLUMN"


class UnreadableDatesError(ReadError):
    """No row, or too few rows, of a date column can be read with the stated format."""

    code = "READ-DATES"


class CoordinatesError(ReadError):
    """Coordinates are systematically wrong: swapped, in another system, or all outside the city."""

    code = "READ-COORDINATES"


class PanelError(EvalkitError):
    """A panel cannot be built from the rows that were read."""

    code = "PANEL"
    exit_code = 5


class EmptyWindowError(PanelError):
    """The study's window holds no incident of this city."""

    code = "PANEL-WINDOW"


class NoControlError(PanelError):
    """No unit is left that could serve as a control."""

    code = "PANEL-CONTROL"


class NothingToTestError(PanelError):
    """No unit changes treatment inside the window, so there is no before and after."""

    code = "PANEL-TREATED"


class NoPanelError(PanelError):
    """A site has no stored panel for this study."""

    code = "PANEL-ABSENT"


class RefusalError(EvalkitError):
    """A city's gate refuses a question or a release. The reason names rules, never data.

    Args:
        rules: names of the policy's rules that refuse; all of the error that ever leaves the city.
    """

    code = "REFUSAL"
    exit_code = 6

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        limit: str | None = None,
        way_out: str | None = None,
        rules: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what, where=where, limit=limit, way_out=way_out)
        self.rules = rules


class LedgerError(EvalkitError):
    """A ledger is broken: a line was edited, removed, reordered, or cannot be written."""

    code = "LEDGER"
    exit_code = 6


class KeyFileError(EvalkitError):
    """A private key is absent, unprotected, or not the one that is needed."""

    code = "KEY"
    exit_code = 3


class SignatureError(EvalkitError):
    """A signature is not that of whoever should have signed."""

    code = "SIGNATURE"
    exit_code = 6


class WithdrawnError(EvalkitError):
    """A city in the run has withdrawn; the run is not the result any more."""

    code = "WITHDRAWN"
    exit_code = 6


class MissingSiteError(EvalkitError):
    """A city on the roster refused or did not answer, and the study's quorum is not met."""

    code = "SITE-MISSING"
    exit_code = 7


class NeedsCitiesError(EvalkitError):
    """A run's releases do not suffice: its cities must answer further questions."""

    code = "SITE-NEEDED"
    exit_code = 7


class BadMessageError(EvalkitError):
    """A message is not one the codec wrote: wrong shape, type, size, or not finite."""

    code = "MESSAGE"
    exit_code = 7


class EstimationError(EvalkitError):
    """Statistics arrived but no estimate can be computed from them."""

    code = "ESTIMATE"
    exit_code = 8


class CityAnswerError(EstimationError):
    """A city's answer cannot be right, and the study cannot go on without the city."""

    code = "ESTIMATE-CITY"


class NonConvergenceError(EstimationError):
    """The rounds ran out before the estimate settled."""

    code = "ESTIMATE-CONVERGENCE"


class SeparationError(EstimationError):
    """No finite estimate: one side has no incident, or covariates separate treated units from controls."""

    code = "ESTIMATE-SEPARATION"


def all_errors() -> tuple[type[EvalkitError], ...]:
    """Every error class of the tree, base first, in a stable order."""
    found: list[type[EvalkitError]] = []
    queue: list[type[EvalkitError]] = [EvalkitError]
    while queue:
        kind = queue.pop(0)
        found.append(kind)
        queue.extend(kind.__subclasses__())
    return tuple(found)
