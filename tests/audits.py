"""What a serving city hands the gate for its auditor, for tests that call the gate themselves."""

from __future__ import annotations

from evalkit.core.panel import Panel
from evalkit.core.study import Study
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.told import told_by


def audit_beside(ledger: Ledger, panel: Panel, study: Study) -> Audit:
    """The audit of one panel's answers, kept beside the ledger as in a store."""
    return Audit(ledger.path.with_name(f"{ledger.path.stem}-audit"), told_by(panel, study))
