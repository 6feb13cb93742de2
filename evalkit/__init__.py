"""evalkit: measure what public cameras do to crime, without any city's raw records leaving it.

Public names are loaded when they are first used, so that ``import evalkit`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

__version__: Final = "0.1.0"

_PUBLIC: Final = {
    "Claim": "evalkit.claims.claim",
    "Estimate": "evalkit.core.estimate",
    "EvalkitError": "evalkit.errors",
    "Panel": "evalkit.core.panel",
    "Question": "evalkit.core.estimator",
    "Role": "evalkit.core.panel",
    "Study": "evalkit.core.study",
    "estimate": "evalkit.core.estimator",
    "estimator": "evalkit.core.discover",
    "judge": "evalkit.claims.verdict",
    "load_claim": "evalkit.claims.claim",
    "load_site": "evalkit.config",
    "load_study": "evalkit.config",
    "study_hash": "evalkit.core.study",
}

__all__ = [  # noqa: PLE0604  # names come from the table above, which keeps both true
    "__version__",
    *_PUBLIC,
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute '{name}'")
