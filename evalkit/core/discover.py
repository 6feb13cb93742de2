"""Finds the one public object of every file in a folder, so that a new file is all a new thing needs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any

from evalkit.core.check import Check
from evalkit.core.estimator import Estimator
from evalkit.errors import ConfigError

__all__ = ["checks", "discover", "estimator", "estimators"]


def discover(package: str, attribute: str) -> Iterator[tuple[str, Any]]:
    """Yield ``(file name, object)`` for every public module of ``package`` that defines ``attribute``."""
    root = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(root.__path__), key=lambda info: info.name):
        if module.name.startswith("_"):
            continue
        found = getattr(importlib.import_module(f"{package}.{module.name}"), attribute, None)
        if found is not None:
            yield module.name, found


@cache
def estimators() -> dict[str, Estimator]:
    """Every estimator in ``evalkit/estimators``, by name."""
    return {one.name: one for _, one in discover("evalkit.estimators", "estimator")}


def estimator(name: str) -> Estimator:
    """One estimator of the closed registry.

    Raises:
        ConfigError: no such estimator, with the names that exist.
    """
    try:
        return estimators()[name]
    except KeyError:
        raise ConfigError(
            f'no estimator named "{name}"',
            limit=f"one of {', '.join(estimators())}",
            way_out="correct [analysis] estimator in the study",
        ) from None


@cache
def checks() -> dict[str, Check]:
    """Every check in ``evalkit/checks``, by the name of its file."""
    return dict(discover("evalkit.checks", "check"))
