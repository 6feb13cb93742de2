"""Secure sums of 3, 20 and 100 cities: how near to plain sums, and what a round costs.

    .venv/bin/python experiments/benchmarks/secure_sums.py

First numbers from 1e-6 to 1e12 are added up plainly, behind masks, and exactly; then a study of `poisson_did` is asked
of cities of 200 units and 24 months each with plain and with secure sums, through Flower's apps and messages in this
process, gate and ledger included, one city after another. Writes ``secure_sums.json`` beside this script, and fails if
a result differs by more than 1e-9.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from estimator_methods import OPEN, asked, panel_of
from flwr.app import Message
from thousand_sites import store_of

from evalkit.core.estimate import Estimate
from evalkit.core.study import Analysis, Study
from evalkit.disclosure.keys import public_text
from evalkit.disclosure.masking import Masks, masked
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.numerics.fixed_point import from_words, sum_of, to_words
from evalkit.runtimes.local import run_local

HERE: Final = Path(__file__).parent
SITES: Final = (3, 20, 100)
NUMBERS: Final = 10_000
UNITS: Final = 200
PERIODS: Final = 24
COHORTS: Final = 2
PROMISE: Final = 1e-9
ESTIMATOR: Final = "poisson_did"


def of_numbers(sites: int) -> dict[str, float]:
    """Largest relative differences of sums over cities of numbers of every size."""
    random = np.random.default_rng(sites)
    names = tuple(f"site{at:04d}" for at in range(sites))
    pairs = {(a, b): random.bytes(32) for a in names for b in names if a < b}
    plain = 10.0 ** random.uniform(-6, 12, (sites, NUMBERS))
    sent = [
        masked(to_words(row), Masks("0" * 32, names, name, _secrets(name, names, pairs)), "0" * 64)
        for name, row in zip(names, plain, strict=True)
    ]
    found = from_words(sum_of(sent))
    exact = np.array([math.fsum(column) for column in plain.T])
    return {
        "secure to plain": float((np.abs(found - plain.sum(axis=0)) / exact).max()),
        "secure to exact": float((np.abs(found - exact) / exact).max()),
        "plain to exact": float((np.abs(plain.sum(axis=0) - exact) / exact).max()),
    }


def _secrets(
    name: str, names: Sequence[str], pairs: dict[tuple[str, str], bytes]
) -> dict[str, bytes]:
    return {one: pairs[min(name, one), max(name, one)] for one in names if one != name}


def of_study(sites: int, folder: Path) -> dict[str, Any]:
    """One study with plain and with secure sums over the same panels."""
    found: dict[str, tuple[Estimate, dict[str, float]]] = {}
    for sums in ("plain", "secure"):
        study = asked(Analysis(estimator=ESTIMATOR), PERIODS)
        federation = msgspec.structs.replace(study.federation, sums=sums)
        study = msgspec.structs.replace(study, federation=federation)
        stores = [
            store_of(
                panel_of(f"site{at:04d}", at, units=UNITS, periods=PERIODS, cohorts=COHORTS),
                study,
                folder / sums,
            )
            for at in range(sites)
        ]
        _pin(stores)
        found[sums] = _run(study, stores, folder / f"{sums}-run")
    (plain, cost_plain), (secure, cost_secure) = found["plain"], found["secure"]
    return {
        "effect": _differ(secure.effect, plain.effect),
        "variance": _differ(secure.covariance, plain.covariance),
        "plain": cost_plain,
        "secure": cost_secure,
    }


def _differ(one: np.ndarray, other: np.ndarray) -> float:
    return float((np.abs(one - other) / np.abs(other)).max())


def _pin(stores: Sequence[SiteStore]) -> None:
    keys = {store.name: public_text(store.identity()) for store in stores}
    for store in stores:
        peers = {name: key for name, key in keys.items() if name != store.name}
        policy = msgspec.structs.replace(OPEN, peers=peers)
        (store.folder / "policy.json").write_bytes(msgspec.json.encode(policy))


def _run(
    study: Study, stores: Sequence[SiteStore], folder: Path
) -> tuple[Estimate, dict[str, float]]:
    """The estimate, and milliseconds and bytes for each city and round."""
    traffic = {"down": 0, "up": 0}
    counted = InProcessGrid.send_and_receive

    def count(grid: InProcessGrid, messages: Any, *, timeout: float | None = None) -> Any:
        sent: list[Message] = list(messages)
        received = list(counted(grid, sent, timeout=timeout))
        traffic["down"] += sum(_bytes(one) for one in sent)
        traffic["up"] += sum(_bytes(one) for one in received)
        return received

    run = RunFolder.create(folder, study)
    marks: list[tuple[float, float]] = []

    def mark(*_: object) -> None:
        marks.append((time.perf_counter(), time.process_time()))

    InProcessGrid.send_and_receive = count  # type: ignore[method-assign]  # counts what passes
    try:
        start = (time.perf_counter(), time.process_time())
        found = run_local(run, stores, watch=mark, workers=1)
    finally:
        InProcessGrid.send_and_receive = counted  # type: ignore[method-assign]  # as it was
    later = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)]
    wall, cpu = (float(np.median([one[at] for one in later])) for at in (0, 1))
    each = 1000 / len(stores)
    calls = len(marks) * len(stores)
    return found, {
        "rounds": len(marks),
        "first_round_ms": (marks[0][0] - start[0]) * each,
        "wall_ms": wall * each,
        "cpu_ms": cpu * each,
        "bytes_to_site": traffic["down"] / calls,
        "bytes_from_site": traffic["up"] / calls,
        "release_bytes": float(
            np.mean([path.stat().st_size for path in (folder / "releases").iterdir()])
        ),
    }


def _bytes(message: Message) -> int:
    """Of what a message holds, without Flower's envelope."""
    return sum(record.count_bytes() for record in message.content.values())


def main() -> None:
    """Measure all, print it, keep it."""
    parser = argparse.ArgumentParser(description="What secure sums change, and what they cost.")
    parser.add_argument("--sites", type=int, nargs="*", default=SITES)
    chosen = parser.parse_args().sites
    numbers, studies = {}, {}
    for sites in chosen:
        numbers[str(sites)] = of_numbers(sites)
        with tempfile.TemporaryDirectory() as folder:
            studies[str(sites)] = of_study(sites, Path(folder))
    _print(numbers, studies)
    worst = max(
        *(one["secure to plain"] for one in numbers.values()),
        *(one[key] for one in studies.values() for key in ("effect", "variance")),
    )
    if tuple(chosen) == SITES:
        machine = {"python": platform.python_version(), "processors": os.cpu_count()}
        content = {"machine": machine, "numbers": numbers, ESTIMATOR: studies}
        text = json.dumps(content, indent=2, sort_keys=True)
        (HERE / "secure_sums.json").write_text(text + "\n", encoding="utf-8")
    if worst > PROMISE:
        sys.exit(f"a result differs by {worst:.2g}; {PROMISE:g} is promised")


def _print(numbers: dict[str, dict[str, float]], studies: dict[str, dict[str, Any]]) -> None:
    print(
        "| cities | sums of numbers | effect | variance | ms a city and round | bytes to and from |"
    )
    print("|---|---|---|---|---|---|")
    for sites, one in studies.items():
        plain, secure = one["plain"], one["secure"]
        print(
            f"| {sites} | {numbers[sites]['secure to plain']:.1e} | {one['effect']:.1e} | {one['variance']:.1e} "
            f"| {plain['wall_ms']:.1f} → {secure['wall_ms']:.1f} "
            f"| {plain['bytes_to_site']:.0f} → {secure['bytes_to_site']:.0f}, "
            f"{plain['bytes_from_site']:.0f} → {secure['bytes_from_site']:.0f} |"
        )


if __name__ == "__main__":
    main()
