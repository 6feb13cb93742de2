"""Which studies a city's approval covers: those it lists, their specifications, and those their checks ask for.

A specification curve is approved by the hash of the study that lists its specifications, and so are the studies
derived for ``[checks]``. The city derives them itself from the study it holds, so that a server can name none that the
study does not list.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from evalkit.config import Policy
from evalkit.core.discover import estimators
from evalkit.core.estimator import RELEASE_CLASSES, ReleaseClass
from evalkit.core.falsification import derived_of
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.questions import class_needed

__all__ = ["covered_by", "covering_class", "with_specifications"]


def covered_by(study: Study) -> tuple[str, ...]:
    """Hashes of all further studies that approval of ``study`` is meant to cover.

    Raises:
        ConfigError, TaxonomyError: the study lists what cannot be.
    """
    specifications = tuple(one.hash for one in specifications_of(study))
    return (*specifications, *(one.hash for one in derived_of(study)))


@lru_cache(maxsize=512)
def covering_class(study: Study, most: int) -> ReleaseClass:
    """The most revealing class of anything that leaves for a study or for what its approval covers.

    Args:
        study: the approved one.
        most: ``max_specifications``; with more specifications and derived studies only the study itself is covered.

    Raises:
        ConfigError, TaxonomyError: the study lists what cannot be.
    """
    specifications, derived = specifications_of(study), derived_of(study)
    covered = len(specifications) + len(derived) <= most
    asked = (
        study,
        *(one.study for one in specifications if covered),
        *(one.study for one in derived if covered),
    )
    known = estimators()
    return max(
        (
            class_needed(one, known[one.analysis.estimator])
            if one.analysis.estimator in known
            else RELEASE_CLASSES[-1]
            for one in asked
        ),
        key=RELEASE_CLASSES.index,
    )


def with_specifications(policy: Policy, stored: Iterable[Study]) -> Policy:
    """The policy with the hashes of all specifications and derived studies of approved studies added to its list.

    Args:
        policy: as the city wrote it.
        stored: studies the city holds; those that are not approved add nothing, nor does one with more
            specifications and derived studies together than ``max_specifications``.
    """
    approved = set(policy.studies)
    added: list[str] = []
    for study in stored:
        if study_hash(study) not in approved:
            continue
        found = covered_by(study)
        if len(found) <= policy.max_specifications:
            added += found
    if not added:
        return policy
    return msgspec.structs.replace(policy, studies=(*policy.studies, *added))
