"""Every shipped file is read: claims, studies and recipes cannot rot."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.claims.claim import load_claim
from evalkit.claims.cost import load_costs
from evalkit.cli.run_options import claim_of
from evalkit.config import load_site, load_study
from evalkit.core.discover import estimator

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("claims/*.toml")), ids=lambda path: path.stem)
def test_claims(path: Path) -> None:
    assert load_claim(path).name == path.stem


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("studies/*.toml")), ids=lambda path: path.stem)
def test_studies(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    assert estimator(study.analysis.estimator).name == study.analysis.estimator
    assert claim_of(study, path) is not None


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("sites/*.toml")), ids=lambda path: path.stem)
def test_recipes(path: Path) -> None:
    site = load_site(path)
    assert site.name == path.stem
    assert site.policy is not None


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("costs/*.toml")), ids=lambda path: path.stem)
def test_costs(path: Path) -> None:
    assert load_costs(path).per_crime


def test_nothing_else_is_shipped() -> None:
    folders = {path.parent.name for path in CONFIGS.rglob("*") if path.is_file()}
    assert folders == {"claims", "costs", "studies", "sites"}
