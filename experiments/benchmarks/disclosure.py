"""What gate, auditor, ledger and codec cost in a round, beside what the estimator itself takes.

    .venv/bin/python experiments/benchmarks/disclosure.py

puts the questions of each method to the ten cities of `estimators.py` (20,000 units, 120 periods, 24 cohorts together)
through Flower's apps and messages in this process, one city after another, with stores on disk and the default policy.
Parts are timed by themselves: what one part calls of another is the other's. Writes ``disclosure.json`` beside this
script, and fails if gate, auditor, ledger and codec together take 10 % of a city's round or more and 50 ms or more.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from estimator_methods import CITIES, COHORTS, PERIODS, asked, panel_of
from thousand_sites import store_of

from evalkit.core.estimator import Question
from evalkit.core.study import Analysis
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.federation import client_app, exchange
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import Opened, SiteStore
from evalkit.runtimes.local import run_local

HERE: Final = Path(__file__).parent
METHODS: Final = {
    "poisson_did": Analysis(estimator="poisson_did"),
    "group_time_att": Analysis(estimator="group_time_att", scale="count"),
    "random_effects": Analysis(),
}
DISCLOSURE: Final = ("gate", "auditor", "ledger", "codec")
MOST_SHARE: Final = 0.10
MOST_MS: Final = 50.0

Round = dict[str, dict[str, float]]
"""``wall`` and ``cpu`` → part → milliseconds per city."""


class Clock:
    """Seconds by part; the time of a part within another is not counted twice. One city answers at a time.

    Attributes:
        wall: by the clock on the wall, waiting for the disk included.
        cpu: of the processor, which other work on the machine does not change much.
    """

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = _now()

    def _mark(self) -> None:
        """Give the time since the last mark to the innermost open part."""
        wall, cpu = _now()
        if self._open:
            self.wall[self._open[-1]] += wall - self._since[0]
            self.cpu[self._open[-1]] += cpu - self._since[1]
        self._since = (wall, cpu)

    def take(self) -> tuple[dict[str, float], dict[str, float]]:
        """Everything so far, and begin anew."""
        found = (dict(self.wall), dict(self.cpu))
        self.wall.clear()
        self.cpu.clear()
        return found

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens until the end of the block as this part."""
        self._mark()
        self._open.append(name)
        try:
            yield
        finally:
            self._mark()
            self._open.pop()

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return call(*args, **kwargs)

        return wrapped


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


class _Timed:
    """An estimator whose ``summarise`` is timed."""

    def __init__(self, method: Any, clock: Clock) -> None:
        self._method = method
        self.summarise = clock.timed("estimator", method.summarise)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._method, name)


def parts(clock: Clock, stack: ExitStack) -> None:
    """Time the parts of a round until ``stack`` is closed."""
    found = client_app.estimator
    places: list[tuple[Any, str, str]] = [
        (gate, "admit", "gate"),
        (gate, "review", "gate"),
        (Audit, "judge", "auditor"),
        (Audit, "record", "auditor"),
        (Opened, "told", "auditor"),
        (Ledger, "entries", "ledger"),
        (Ledger, "append", "ledger"),
        (client_app, "decode_question", "codec"),
        (client_app, "encode_release", "codec"),
        (exchange, "encode_question", "codec"),
        (exchange, "decode_release", "codec"),
        (Opened, "prepared", "stored panel and policy"),
        (SiteStore, "opened", "stored panel and policy"),
        (SiteStore, "study", "stored panel and policy"),
        (SiteStore, "policy", "stored panel and policy"),
        (RunFolder, "write_release", "the server's copy"),
    ]
    for owner, name, part in places:
        kept = getattr(owner, name)
        setattr(owner, name, clock.timed(part, kept))
        stack.callback(setattr, owner, name, kept)
    client_app.estimator = lambda name: _Timed(found(name), clock)
    stack.callback(setattr, client_app, "estimator", found)


def rounds(analysis: Analysis, units: int, folder: Path) -> list[Round]:
    """Milliseconds per city of each round's parts, on the wall and of the processor; ``whole`` is all of the round."""
    study = asked(analysis)
    stores = [
        store_of(
            panel_of(f"city{at}", at, units=units // CITIES, periods=PERIODS, cohorts=COHORTS),
            study,
            folder,
        )
        for at in range(CITIES)
    ]
    clock, found, mark = Clock(), [], _now()

    def watch(_: Question, *__: object) -> None:
        nonlocal mark
        now = _now()
        wall, cpu = clock.take()
        found.append(
            {
                "wall": _per_city({"whole": now[0] - mark[0], **wall}),
                "cpu": _per_city({"whole": now[1] - mark[1], **cpu}),
            }
        )
        mark = now

    with ExitStack() as stack:
        parts(clock, stack)
        run_local(RunFolder.create(folder / "run", study), stores, watch=watch, workers=1)
    return found


def _per_city(seconds: dict[str, float]) -> dict[str, float]:
    return {name: 1000 * one / CITIES for name, one in seconds.items()}


def summary(runs: list[list[Round]]) -> dict[str, Any]:
    """Medians over the later rounds of all runs, and over the first ones, which read panels and policies anew."""
    return {
        "rounds": len(runs[0]),
        "first round": _table([run[0] for run in runs]),
        "later rounds": _table([one for run in runs for one in run[1:]]),
    }


def _table(several: list[Round]) -> dict[str, Any]:
    """Median milliseconds per city: of each part, of the disclosure's parts together, and their share."""
    told: dict[str, Any] = {}
    for how in ("wall", "cpu"):
        rows = [one[how] for one in several]
        if not rows:
            continue
        names = sorted({name for row in rows for name in row})
        part = {name: median(row.get(name, 0.0) for row in rows) for name in names}
        together = median(sum(row.get(name, 0.0) for name in DISCLOSURE) for row in rows)
        told[f"{how}, ms"] = {**part, "disclosure": together}
        told[f"{how}, share of disclosure"] = together / part["whole"]
    return told


def main() -> None:
    """Measure, print, write, and say whether the aim was met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "disclosure.json")
    given = parser.parse_args()
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "load of the machine before": round(os.getloadavg()[0], 1),
        "units": given.units,
        "cities": CITIES,
        "periods": PERIODS,
        "repeats": given.repeats,
        "methods": {},
    }
    missed = []
    for name, analysis in METHODS.items():
        runs = []
        for _ in range(given.repeats):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(rounds(analysis, given.units, Path(folder)))
        one = summary(runs)
        result["methods"][name] = one
        for when in ("first round", "later rounds"):
            if not one[when]:
                continue
            wall, cpu = one[when]["wall, ms"], one[when]["cpu, ms"]
            print(f"\n{name}, {when}; ms per city{'wall':>20}{'share':>8}{'CPU':>9}{'share':>8}")
            for part in sorted(wall, key=lambda part: -wall[part]):
                print(
                    f"{part:>40} {wall[part]:10.2f} {wall[part] / wall['whole']:7.1%}"
                    f" {cpu[part]:8.2f} {cpu[part] / cpu['whole']:7.1%}"
                )
            if wall["disclosure"] >= max(MOST_SHARE * wall["whole"], MOST_MS):
                missed.append(f"{name}, {when}")
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if missed:
        sys.exit(
            f"{', '.join(missed)}: {MOST_SHARE:.0%} of a round or more, and {MOST_MS:g} ms or more"
        )


if __name__ == "__main__":
    main()
