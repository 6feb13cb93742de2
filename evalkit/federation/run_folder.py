"""A run's folder: everything a reviewer needs to recompute the result without any city's data.

study.json       the study, canonical; its SHA-256 is what the cities approved
claim.json       the claim, if the study names one
roster.json      the cities asked; with secure sums also the session and its signed keys
releases/        every release as its exact canonical bytes, one file per round and city
releases.json    the SHA-256 of each, which equals the one in that city's ledger
estimate.json    what came out
versions.json    evalkit, Python and the libraries that compute
result.json      estimate, verdict and file names in one place
checks/          a run folder of each study that the study's checks ask for; failure.json in place of
                 estimate.json where one has no estimate
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.masked import is_masked, parse_masked, sum_parts
from evalkit.disclosure.release import parse_release
from evalkit.errors import BadMessageError, ConfigError, EvalkitError
from evalkit.federation.codec import Received
from evalkit.federation.secure_codec import ReceivedPart

__all__ = ["COMPUTING_LIBRARIES", "Failure", "RunFolder"]

SPECIFICATIONS: Final = "specifications"
DERIVED: Final = "checks"
FAILURE: Final = "failure.json"

COMPUTING_LIBRARIES: Final = ("evalkit", "numpy", "scipy", "polars", "msgspec", "flwr")


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a study has no estimate: an error's code, and what it says."""

    code: str
    what: str


@dataclass(slots=True)
class RunFolder:
    """One run on disk."""

    path: Path
    _hashes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path, study: Study) -> RunFolder:
        """Start a new run folder.

        Raises:
            ConfigError: the folder exists already or cannot be made.
        """
        try:
            (path / "releases").mkdir(parents=True)
        except OSError as error:
            raise ConfigError(
                f"the run folder cannot be made ({error.strerror})",
                where=str(path),
                way_out="choose another with --out",
            ) from None
        run = cls(path)
        (path / "study.json").write_bytes(msgspec.json.encode(study, order="deterministic"))
        run.write("versions.json", versions())
        return run

    def specification(self, number: int) -> Path:
        """Folder of one specification of a curve, a run folder itself."""
        return self.path / SPECIFICATIONS / f"{number:03d}"

    def derived(self, number: int, kind: str) -> RunFolder:
        """The folder of one study derived from the run's, a run folder itself; it may not be there yet."""
        return RunFolder(self.path / DERIVED / f"{number:02d}-{kind}")

    def write(self, name: str, content: Any) -> Path:
        """Write one JSON file, indented for people."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        return file

    def read(self, name: str) -> Any:
        """Read one JSON file.

        Raises:
            ConfigError: it is absent or damaged.
        """
        try:
            return msgspec.json.decode((self.path / name).read_bytes())
        except OSError:
            raise ConfigError(
                f"the run folder has no {name}",
                where=str(self.path),
                way_out="name a folder made by a run",
            ) from None
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
        ):  # lists in lists without end
            raise ConfigError(f"{name} is damaged", where=str(self.path)) from None

    def study(self) -> Study:
        """The study of this run.

        Raises:
            ConfigError: absent or damaged.
        """
        try:
            return msgspec.json.decode((self.path / "study.json").read_bytes(), type=Study)
        except OSError:
            raise ConfigError(
                "the folder is not a run",
                where=str(self.path),
                way_out="name a folder made by a run",
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ConfigError("study.json is damaged", where=str(self.path)) from None

    def write_release(self, question: Question, received: Received | ReceivedPart) -> None:
        """Keep one city's release of one round, byte for byte."""
        name = _release_name(question, received.site)
        (self.path / "releases" / name).write_bytes(received.data)
        digest = hashlib.sha256(received.data).hexdigest()
        first, again = not self._hashes, name in self._hashes
        self._hashes[name] = digest
        if first or again:
            self.write("releases.json", self._hashes)
        else:
            _add(self.path / "releases.json", name, digest)

    def releases(self, question: Question) -> list[Statistics]:
        """All cities' releases of one round, checked against their recorded hashes; masked ones as their sum.

        Raises:
            BadMessageError: a file is missing, was changed, or does not answer the question.
            EstimationError: masked releases are not the parts of one sum.
        """
        recorded: Mapping[str, str] = self.read("releases.json")
        prefix = _release_name(question, "")
        names = sorted(name for name in recorded if name.startswith(prefix))
        found, sites = self._statistics(names, recorded)
        for name, site in zip(names, sites, strict=True):
            if name != _release_name(question, site):
                raise _changed(name, "does not hold what its name says")
        return found

    def last_releases(self) -> list[Statistics]:
        """All cities' releases of the last round, from which the estimate came, checked against their hashes.

        Raises:
            BadMessageError: a file is missing or was changed.
            EstimationError: masked releases are not the parts of one sum.
        """
        recorded: Mapping[str, str] = self.read("releases.json")
        last = max((name.partition("-")[0] for name in recorded), key=int, default="")
        names = sorted(name for name in recorded if name.partition("-")[0] == last)
        return self._statistics(names, recorded)[0]

    def _statistics(
        self, names: Sequence[str], recorded: Mapping[str, str]
    ) -> tuple[list[Statistics], list[str]]:
        """What these releases hold, and which city each is of."""
        read = {name: self._bytes(name, recorded[name]) for name in names}
        hidden = [name for name, data in read.items() if is_masked(data)]
        if not hidden:
            plain = [parse_release(data) for data in read.values()]
            return plain, [one.sites[0] for one in plain]
        if len(hidden) < len(read):
            raise _changed(hidden[0], "is masked, and others of its round are not")
        parts = [parse_masked(data) for data in read.values()]
        return [sum_parts(parts)], [one.site for one in parts]

    def _bytes(self, name: str, recorded: str) -> bytes:
        try:
            data = (self.path / "releases" / name).read_bytes()
        except OSError:
            raise _changed(name, "is missing") from None
        if hashlib.sha256(data).hexdigest() != recorded:
            raise _changed(name, "was changed")
        return data

    def write_estimate(self, estimate: Estimate) -> None:
        """Keep the estimate."""
        self.write("estimate.json", estimate.to_dict())

    def write_failure(self, error: EvalkitError) -> None:
        """Keep why there is no estimate."""
        self.write(FAILURE, Failure(error.code, error.what))

    def failure(self) -> Failure | None:
        """Why there is no estimate; None if nothing says so.

        Raises:
            ConfigError: the file is damaged.
        """
        if not (self.path / FAILURE).exists():
            return None
        try:
            return msgspec.convert(self.read(FAILURE), type=Failure)
        except msgspec.ValidationError:
            raise ConfigError(f"{FAILURE} is damaged", where=str(self.path)) from None

    def summary(self) -> dict[str, Any]:
        """Name, title and hash of the study, for `result.json`."""
        study = self.study()
        return {"name": study.name, "title": study.title, "hash": study_hash(study)}

    def other_versions(self) -> dict[str, tuple[str | None, str | None]]:
        """Name → its version in this run and here, of whatever computes and is not the same; None where there is none.

        Raises:
            ConfigError: ``versions.json`` is absent or damaged.
        """
        recorded, here = self.read("versions.json"), versions()
        if not isinstance(recorded, dict):
            raise ConfigError("versions.json is damaged", where=str(self.path))
        return {
            name: (recorded.get(name), here.get(name))
            for name in sorted({*recorded, *here})
            if recorded.get(name) != here.get(name)
        }


def _add(path: Path, name: str, digest: str) -> None:
    """Add one entry to a JSON object that `RunFolder.write` wrote: the same bytes, without writing all anew."""
    end = b"\n}\n"
    with path.open("r+b") as file:
        file.seek(-len(end), os.SEEK_END)
        file.write(b",\n  " + msgspec.json.encode(name) + b": " + msgspec.json.encode(digest) + end)


def versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    found = {"python": platform.python_version()}
    for name in COMPUTING_LIBRARIES:
        found[name] = metadata.version(name)
    return found


def _release_name(question: Question, site: str) -> str:
    suffix = f"{site}.release" if site else ""
    return f"{question.round:03d}-{question.stage}-{suffix}"


def _changed(name: str, how: str) -> BadMessageError:
    return BadMessageError(
        f"the release {name} {how}",
        limit="the bytes whose SHA-256 is in releases.json",
        way_out="ask whoever ran the study for the run folder again",
    )
