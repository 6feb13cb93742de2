"""``python -m evalkit`` is ``evalkit``."""

from __future__ import annotations

from evalkit.cli import main

main()
