"""Does the demo's interval cover the truth, and does a world without effect ever come out supported?

Every seed goes the whole way: raw files are written, read, accounted for, built into panels, and a federated
study runs behind each city's gate. Run from the repository's root:

    .venv/bin/python experiments/00_demo_coverage/run.py --seeds 20
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from evalkit.cli.run_options import claim_of
from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.config import load_study
from evalkit.simulate import PRESETS, load_truth, simulate
from evalkit.workbench import open_bench

HERE = Path(__file__).parent


def one(preset: str, seed: int) -> dict[str, object]:
    """One seed, from raw files to the verdict."""
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        made = simulate(PRESETS[preset], data, seed)
        truth = load_truth(data / "truth.json")
        study = load_study(made.study)
        plan = Plan(
            study=study,
            claim=claim_of(study, made.study),
            benches=[open_bench(site) for site in made.sites],
            root=Path(folder) / "runs",
            tracking=False,
            pictures=False,
            quiet=True,
        )
        build_panels(plan)
        result = run_study(plan)
    row = result["estimate"]["terms"][0]
    low, high = row["conf_low"], row["conf_high"]
    return {
        "preset": preset,
        "seed": seed,
        "estimate": row["estimate"],
        "std_error": row["std_error"],
        "conf_low": low,
        "conf_high": high,
        "effect_mean": truth.effect_mean,
        "effect_realised": truth.effect_realised,
        "covers_mean": low <= truth.effect_mean <= high,
        "covers_realised": low <= truth.effect_realised <= high,
        "verdict": result["verdict"]["outcome"],
        "cpu_s": round(time.process_time() - begun, 2),
    }


def main() -> None:
    """Run all seeds on two processes and write ``result.json`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--presets", nargs="+", default=["demo", "null"])
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    asked = parser.parse_args()
    jobs = [(preset, seed) for preset in asked.presets for seed in range(1, asked.seeds + 1)]
    with ProcessPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(one, *zip(*jobs, strict=True)))
    for preset in asked.presets:
        mine = [row for row in rows if row["preset"] == preset]
        verdicts = [row["verdict"] for row in mine]
        counts = {v: verdicts.count(v) for v in ("supported", "contradicted", "undecided")}
        bias = sum(row["estimate"] - row["effect_mean"] for row in mine) / len(mine)
        print(
            f"{preset:>8}: interval covers the mean effect {sum(r['covers_mean'] for r in mine)}/{len(mine)}, "
            f"the cities' realised effect {sum(r['covers_realised'] for r in mine)}/{len(mine)}, "
            f"mean error {bias:+.4f}, verdicts {counts}"
        )
    asked.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
