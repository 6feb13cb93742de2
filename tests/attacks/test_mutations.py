"""A thousand mutations of each thing evalkit reads: none accepted, and no error but evalkit's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evalkit.errors import LedgerError
from evalkit.federation.run_against_ledger import compare
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.local import run_local
from evalkit.runtimes.replay import recompute
from tests.attacks import mutations
from tests.attacks.conftest import Record
from tests.attacks.mutations import TRIALS, Figure
from tests.panels import study

FORGED = 100

# How, among others, mutations have to be found, so that a figure cannot come from one easy kind alone; and how many of
# a thousand a reader that checks nothing goes on with, at least: else there was nothing to find.
EVERY: dict[Callable[..., Figure], tuple[set[str], int]] = {
    mutations.mutated_releases: ({"MESSAGE", "arrival", "ledger"}, 800),
    mutations.mutated_questions: ({"arrival", "refusal"}, 800),
    mutations.mutated_studies: ({"reading", "refusal"}, 500),
    mutations.mutated_policies: ({"reading", "refusal"}, 500),
    mutations.mutated_ledgers: ({"refusal"}, 800),
    mutations.mutated_runs: ({"verify"}, 200),
}


@pytest.mark.parametrize("mutate", EVERY, ids=lambda one: one.__name__)
def test_of_a_thousand_mutations_none_is_accepted_and_none_crashes(
    mutate: Callable[..., Figure], tmp_path: Path, record: Record
) -> None:
    ways, naive = EVERY[mutate]
    figure = mutate(tmp_path)
    assert figure.trials == TRIALS
    assert (figure.accepted, figure.crashes) == (0, 0), figure.examples[:5]
    assert set(figure.found_by) == ways
    assert len(figure.kinds) >= 4
    assert min(figure.kinds.values()) >= 25
    assert figure.naive >= naive
    record(
        figure.name,
        without=f"at least {naive} of {TRIALS:,} read by whoever checks no hash, name or limit",
        with_=f"0 of {TRIALS:,} accepted, 0 crashes",
    )


def test_the_tally_sees_what_is_accepted_and_what_crashes() -> None:
    def crash() -> object:
        raise KeyError("x")

    attempts = [
        ("a", lambda: "", True),
        ("b", crash, False),
        ("c", lambda: mutations.SAME, True),
        ("d", lambda: "x", True),
    ]
    figure = mutations.tally("planted", iter(attempts), 3)
    assert (figure.trials, figure.accepted, figure.crashes) == (3, 1, 1)
    assert figure.found_by == {"x": 1}
    assert figure.naive == 2


def test_what_is_not_mutated_is_answered(tmp_path: Path) -> None:
    """Else refusing everything would look like finding every mutation."""
    from evalkit.core.discover import estimator
    from evalkit.federation.codec import encode_question

    asked = study(estimator="poisson_did")
    store = mutations._stores(tmp_path, asked)[0]
    question = encode_question(estimator("poisson_did").first_question(asked))
    assert mutations.Node(store).ask(question) == ""


def test_a_forged_run_that_agrees_with_itself_is_found_by_the_citys_ledger(tmp_path: Path) -> None:
    """Release, hash and estimate changed together by whoever holds the folder: only the ledger knows better."""
    asked = study()
    stores = mutations._stores(tmp_path / "cities", asked)
    run = RunFolder.create(tmp_path / "run", asked)
    run_local(run, stores)
    entries = stores[0].ledger.entries()
    assert compare(run.path, "alta", entries).releases == 1
    (release,) = (run.path / "releases").glob("*-alta.release")
    honest, rng = release.read_bytes(), np.random.default_rng(57)
    body = honest.index(b"\n") + 1
    for _ in range(FORGED):
        data = bytearray(honest)
        data[body + int(rng.integers(6))] ^= 1 << int(
            rng.integers(8)
        )  # of the first number's fraction
        release.write_bytes(data)
        hashes = run.read("releases.json") | {release.name: hashlib.sha256(data).hexdigest()}
        run.write("releases.json", hashes)
        run.write_estimate(recompute(run, asked))
        assert run.read("estimate.json") == recompute(run, asked).to_dict()
        with pytest.raises(LedgerError, match="not in its ledger"):
            compare(run.path, "alta", entries)
