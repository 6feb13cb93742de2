"""A run's folder: everything a reviewer needs to recompute the result without any city's data.

study.json       the study, canonical; its SHA-256 is what the cities approved
claim.json       the claim, if the study names one
roster.json      the cities asked
releases/        every release as its exact canonical bytes, one file per round and city
releases.json    the SHA-256 of each, which equals the one in that city's ledger
estimate.json    what came out
versions.json    evalkit, Python and the libraries that compute
result.json      estimate, verdict and file names in one place
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import msgspec

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.release import parse_release
from evalkit.errors import BadMessageError, ConfigError
from evalkit.federation.codec import Received

__all__ = ["COMPUTING_LIBRARIES", "RunFolder"]

COMPUTING_LIBRARIES: Final = ("evalkit", "numpy", "scipy", "polars", "msgspec", "flwr")


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
        except msgspec.DecodeError:
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
        except msgspec.DecodeError:
            raise ConfigError("study.json is damaged", where=str(self.path)) from None

    def write_release(self, question: Question, received: Received) -> None:
        """Keep one city's release of one round, byte for byte."""
        name = _release_name(question, received.site)
        (self.path / "releases" / name).write_bytes(received.data)
        self._hashes[name] = hashlib.sha256(received.data).hexdigest()
        self.write("releases.json", self._hashes)

    def releases(self, question: Question) -> list[Statistics]:
        """All cities' releases of one round, checked against their recorded hashes.

        Raises:
            BadMessageError: a file is missing, was changed, or does not answer the question.
        """
        recorded: Mapping[str, str] = self.read("releases.json")
        prefix = _release_name(question, "")
        found: list[Statistics] = []
        for name in sorted(name for name in recorded if name.startswith(prefix)):
            try:
                data = (self.path / "releases" / name).read_bytes()
            except OSError:
                raise _changed(name, "is missing") from None
            if hashlib.sha256(data).hexdigest() != recorded[name]:
                raise _changed(name, "was changed")
            statistics = parse_release(data)
            if name != _release_name(question, statistics.sites[0]):
                raise _changed(name, "does not hold what its name says")
            found.append(statistics)
        return found

    def write_estimate(self, estimate: Estimate) -> None:
        """Keep the estimate."""
        self.write("estimate.json", estimate.to_dict())

    def summary(self) -> dict[str, Any]:
        """Name, title and hash of the study, for `result.json`."""
        study = self.study()
        return {"name": study.name, "title": study.title, "hash": study_hash(study)}


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
