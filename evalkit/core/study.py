"""A study: what is asked, frozen before anybody looks, and the hash a city approves.

Vocabulary
    window      first and last day of the study, both included; whole periods only.
    unit        the place that is counted: a grid cell, a camera's catchment, a named area.
    catchment   everywhere within ``radius_m`` of a camera; nearest camera wins.
    ring        from ``radius_m`` to ``ring_m``: where crime might be displaced to. Set apart, not a control.
                Several radii make several rings, each from the radius before it to its own.
    cohort      the units whose first camera goes live in the same period.
    transition  the period in which a camera goes live: neither before nor after.
    matching    choosing controls that were like the treated units before any of these had a camera.

Every default cites where it comes from.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import math
from typing import Annotated, Final, Literal

import msgspec

from evalkit.core.moderators import read_groups, read_moderator
from evalkit.core.taxonomy import CRIME_TYPES, TAXONOMY
from evalkit.core.text import shows_plainly
from evalkit.errors import ConfigError, TaxonomyError

__all__ = [
    "Analysis",
    "Checks",
    "Federation",
    "Matching",
    "Outcome",
    "Specifications",
    "Study",
    "Treatment",
    "Units",
    "Window",
    "check_study",
    "checks_of",
    "matching_of",
    "study_hash",
]

AUSTIN_CALIPER: Final = 0.2
"""Standard deviations of the logit of the propensity score: the caliper Austin (2011) recommends."""

Metres = Annotated[float, msgspec.Meta(gt=0, le=50_000)]
Resolution = Annotated[int, msgspec.Meta(ge=5, le=12)]
RingRadii = Annotated[tuple[Metres, ...], msgspec.Meta(min_length=1)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=24)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]


RESOLUTION: Final = 9
"""H3 resolution of hexagons where the study names none."""


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First and last day (both included) and the period that is counted."""

    start: dt.date
    end: dt.date
    period: Literal["day", "week", "month", "quarter", "year"] = "month"


class Units(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a unit is.

    ``resolution`` is that of the H3 grid, for hexagons: 9 has edges of 201 m, the nearest to the cells of 250 m.
    Other kinds of unit do not have it, so that their hash is what it was before there were hexagons.
    ``ring_m`` is one number, or for catchments several in ascending order, each the outer radius of a ring of
    its own: how far displacement reaches is then seen and not assumed. A list of one number is that number.

    ``radius_m`` 100 and ``ring_m`` 200: the viewshed and displacement distances of the Newark and
    Medellín evaluations (Piza, Caplan & Kennedy 2014; Gómez, Mejía & Tobón 2021 use 120 m).
    ``controls`` says where a catchment study finds its controls: ``lattice`` discs of the same radius
    outside every ring, or ``later_cameras`` only (sites chosen for a camera but not live yet).
    """

    kind: Literal["grid", "hexagon", "catchment", "area", "polygon"]
    cell_m: Metres = 250.0
    resolution: Resolution | msgspec.UnsetType = msgspec.UNSET
    radius_m: Metres = 100.0
    ring_m: Metres | RingRadii = 200.0
    controls: Literal["lattice", "later_cameras"] = "lattice"

    def __post_init__(self) -> None:
        if self.kind == "hexagon" and self.resolution is msgspec.UNSET:
            msgspec.structs.force_setattr(self, "resolution", RESOLUTION)
        if isinstance(self.ring_m, tuple) and len(self.ring_m) == 1:
            # One question, one hash. The way msgspec has for a frozen structure that is being made.
            msgspec.structs.force_setattr(self, "ring_m", self.ring_m[0])

    @property
    def hexagon_resolution(self) -> int:
        """``resolution``, or its default."""
        return RESOLUTION if self.resolution is msgspec.UNSET else self.resolution

    @property
    def rings_m(self) -> tuple[float, ...]:
        """Outer radii of the rings, outward; none if ``ring_m`` does not lie beyond ``radius_m``."""
        radii = self.ring_m if isinstance(self.ring_m, tuple) else (self.ring_m,)
        return tuple(radius for radius in radii if radius > self.radius_m)

    @property
    def reach_m(self) -> float:
        """Outermost radius: that of the last ring, or ``radius_m`` without one."""
        return self.rings_m[-1] if self.rings_m else self.radius_m


class Treatment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a unit counts as treated.

    ``transition = "drop"`` leaves the go-live period out: it is partly before and partly after, and
    counting it as either biases the effect towards zero. ``adoption_start`` and ``adoption_end`` keep only
    units whose first camera went live in between (days, both included); units treated before count as
    always treated, units treated later serve as controls until their own camera is live.
    ``washout_periods`` leaves out as many more periods after the go-live period: cameras are live, but
    offenders may not know of them yet. ``min_cameras`` is for areas, which are seldom without any camera: an
    area counts as treated from the day on which that many have gone live.

    Three keys make a study that asks whether another one can be believed (`evalkit.core.falsification`), one at a
    time. ``placebo_periods`` pretends that cameras went live as many periods earlier and leaves out everything from
    their true go-live on, so that an effect can only be the design's mistake. ``treated_ring`` puts the units of that
    ring, 1 for the innermost, in the place of the treated ones, which are set apart: where crime may have gone.
    ``placebo_cameras`` puts as many controls in their place, with their go-live dates.
    """

    transition: Literal["drop", "treat"] = "drop"
    washout_periods: Annotated[int, msgspec.Meta(ge=0)] = 0
    min_cameras: Annotated[int, msgspec.Meta(ge=1)] = 1
    adoption_start: dt.date | None = None
    adoption_end: dt.date | None = None
    placebo_periods: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    treated_ring: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    placebo_cameras: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.placebo_cameras is False:  # one question, one hash
            msgspec.structs.force_setattr(self, "placebo_cameras", msgspec.UNSET)

    @property
    def pretended_earlier(self) -> int:
        """``placebo_periods``; 0 without."""
        return 0 if self.placebo_periods is msgspec.UNSET else self.placebo_periods

    @property
    def ring_under_study(self) -> int:
        """``treated_ring``; 0 for the units with cameras themselves."""
        return 0 if self.treated_ring is msgspec.UNSET else self.treated_ring

    @property
    def pretends_cameras(self) -> bool:
        """Whether controls stand in the place of treated units."""
        return self.placebo_cameras is True

    @property
    def is_true(self) -> bool:
        """Whether cameras are taken to be where and when they were."""
        return not (self.pretended_earlier or self.ring_under_study or self.pretends_cameras)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which incidents are counted, in the common taxonomy.

    ``hours`` is a band of the day, from the first hour up to the second, which is left out: ``[22, 6]`` is
    from 22:00 to 05:59. Incidents without an hour are then not counted: their hour is never guessed.
    """

    crime_types: tuple[str, ...]
    hours: tuple[Hour, Hour] | None = None
    taxonomy: str = TAXONOMY


class Analysis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which estimator answers, and how cities are combined.

    ``method`` REML (Viechtbauer 2005) and ``interval`` Knapp–Hartung, recommended for few studies by IntHout,
    Ioannidis & Borm (2014). Truncated at the Wald standard error (Röver, Knapp & Friede 2015) it is safer and far
    longer than its level asks (`experiments/02_calibration`). ``dispersion`` quasi: crime
    counts vary more than Poisson counts do, and a Poisson variance rejects true nulls far too often.

    ``design`` (poisson_did, linear_did): one effect, one for each event time, or one for each cohort and event
    time (Wooldridge 2023), which is averaged. ``event_window`` is the first and last event time with an effect
    of its own; those beyond are binned. ``aggregation``, ``control_group``, ``control_pool`` and
    ``base_period`` are Callaway & Sant'Anna's (2021); ``scale`` says whether their effects are ratios of means
    or differences of counts. ``covariates`` are of a unit's outcome before the first go-live of its city.
    ``moderators`` and ``subgroups`` are of cities (``[city.moderators]`` in their site files), written as in
    `evalkit.core.moderators`; ``cumulative_by`` is the one that cities are put in order of, such as the year in
    which half of their cameras were live. ``bootstrap`` is the number of draws of a score bootstrap by clusters, 0 for
    none. ``randomisation`` is the number of draws of a randomisation test (`evalkit.numerics.randomisation`), 0 for
    none; without it a study keeps the hash it had.
    ``period_weights`` (synthetic_did): of the paper, or cross-fitted over controls, which counts need.
    ``displacement_controls`` (wdd): what rings are compared with; ``none`` takes their change as it is.
    """

    estimator: str = "random_effects"
    first_stage: str = "poisson_did"
    method: Literal["fixed", "DL", "PM", "REML"] = "REML"
    interval: Literal["wald", "knapp_hartung", "knapp_hartung_truncated"] = "knapp_hartung"
    dispersion: Literal["quasi", "poisson", "doubled"] = "quasi"
    zero_cells: Literal["refuse", "add_half"] = "refuse"
    design: Literal["static", "event_time", "cohort_event_time"] = "static"
    event_window: tuple[int, int] = (-6, 12)
    aggregation: Literal["simple", "dynamic", "group", "calendar"] = "simple"
    scale: Literal["ratio", "count"] = "ratio"
    control_group: Literal["never", "not_yet"] = "never"
    control_pool: Literal["within_city", "pooled"] = "within_city"
    base_period: Literal["varying", "universal"] = "varying"
    period_weights: Literal["cross_fitted", "published"] = "cross_fitted"
    covariates: tuple[Literal["level", "trend"], ...] = ()
    moderators: tuple[str, ...] = ()
    subgroups: str = ""
    cumulative_by: str = ""
    bootstrap: Annotated[int, msgspec.Meta(ge=0, le=9999)] = 0
    randomisation: Annotated[int, msgspec.Meta(ge=0, le=9999)] | msgspec.UnsetType = msgspec.UNSET
    displacement_controls: Literal["controls", "none"] = "controls"
    learner: Literal["gradient_boosting", "poisson_glm", "random_forest"] = "gradient_boosting"
    level: Annotated[float, msgspec.Meta(gt=0.5, lt=1.0)] = 0.95

    def __post_init__(self) -> None:
        if self.randomisation == 0:  # one question, one hash
            msgspec.structs.force_setattr(self, "randomisation", msgspec.UNSET)

    @property
    def reassignments(self) -> int:
        """``randomisation``; 0 without."""
        return 0 if self.randomisation is msgspec.UNSET else self.randomisation


class Federation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the server waits and how many cities must answer.

    ``quorum`` 0 means every city on the roster: a city that drops out silently changes the estimand.
    ``small_cohorts`` says what a city's gate may do when too few units share a go-live period:
    ``coarsen`` merges cohorts by quarter, half-year and year; ``set_apart`` also leaves out those that stay
    too small; ``refuse`` does neither. ``sums = "secure"`` lets the server see sums over cities only. ``outliers``
    says what is done with a city whose answer is implausible beside the others'.
    """

    quorum: Annotated[int, msgspec.Meta(ge=0)] = 0
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    small_cohorts: Literal["refuse", "coarsen", "set_apart"] = "coarsen"
    sums: Literal["plain", "secure"] | msgspec.UnsetType = msgspec.UNSET
    outliers: Literal["refuse", "downweight", "name"] | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.sums == "plain":  # one question, one hash: the default spelled out is the default
            msgspec.structs.force_setattr(self, "sums", msgspec.UNSET)
        if self.outliers == "refuse":
            msgspec.structs.force_setattr(self, "outliers", msgspec.UNSET)

    @property
    def secure(self) -> bool:
        """Whether the server may see sums over cities only."""
        return self.sums == "secure"

    @property
    def on_outlier(self) -> Literal["refuse", "downweight", "name"]:
        """``outliers``; a city whose answer is implausible is left out unless the study says otherwise."""
        return "refuse" if self.outliers is msgspec.UNSET else self.outliers


class Specifications(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other choices that would have been as good: `study curve` estimates every combination of them.

    An empty list keeps the study's own choice. ``radius_m`` and ``controls`` are for catchments; the ring keeps
    its width. ``window`` is pairs of first and last day. ``estimator`` names one, or ``random_effects/NAME`` with
    its first stage. A city that approves the study's hash approves all of them
    (`evalkit.core.specifications.specifications_of` says which).
    """

    radius_m: tuple[Metres, ...] = ()
    window: tuple[tuple[dt.date, dt.date], ...] = ()
    controls: tuple[Literal["lattice", "later_cameras"], ...] = ()
    estimator: tuple[str, ...] = ()
    crime_types: tuple[tuple[str, ...], ...] = ()


class Checks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Studies derived from the study that `study run` asks too, and by which its checks judge the design.

    ``placebo_periods``: go-live pretended so many periods earlier, once for each number. ``placebo_outcomes``: crimes
    that the cameras should not move, once for each list. ``placebo_cameras``: places without a camera are pretended to
    have got one. ``by_crime_type``: each of the study's crime types by itself. ``rings``: each ring around the cameras
    by itself. ``chance``: how far the places would have fallen
    back by themselves. A city that approves the study's hash approves all of them
    (`evalkit.core.falsification.derived_of` says which).
    """

    placebo_periods: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    placebo_outcomes: tuple[tuple[str, ...], ...] = ()
    placebo_cameras: bool = False
    by_crime_type: bool = False
    rings: bool = False
    chance: bool = False


class Matching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which controls a city keeps, from what is known before the first of its treated units goes live.

    ``method`` none: matching on outcomes before can itself bring regression to the mean into a
    difference-in-differences (Daw & Hatfield 2018), so a study must ask for it. ``nearest`` takes the distance
    of standardised covariates, ``propensity`` that of the logit of a logistic regression (Rosenbaum & Rubin
    1985). ``ratio`` controls for each treated unit, at most. ``replacement`` false: estimators carry no
    weights, so a control that is taken twice would still count once, and the balance shown would not be that
    of the estimate. ``caliper`` is the largest distance allowed: in standard deviations of the logit
    (``propensity``; 0.2 by default, Austin 2011) or of the covariates (``nearest``; none by default); 0 is
    none. ``covariates``: ``level``, the log of 1 + incidents before; ``trend``, how that differs between the
    later and the earlier half; ``x`` and ``y``, metres east and north of the city's centre. ``pre_periods``
    last periods before the first go-live; 0 is all.
    """

    method: Literal["none", "nearest", "propensity"] = "none"
    ratio: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    replacement: bool = False
    caliper: Annotated[float, msgspec.Meta(ge=0)] | None = None
    covariates: tuple[Literal["level", "trend", "x", "y"], ...] = ("level", "trend")
    pre_periods: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def largest_distance(self) -> float:
        """The caliper in force; infinite for none."""
        default = AUSTIN_CALIPER if self.method == "propensity" else 0.0
        return (default if self.caliper is None else self.caliper) or math.inf


class Study(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pre-registered question. Its hash is what a city approves."""

    name: Name
    title: str
    window: Window
    units: Units
    outcome: Outcome
    treatment: Treatment = Treatment()
    analysis: Analysis = Analysis()
    federation: Federation = Federation()
    specifications: Specifications = Specifications()
    matching: Matching | msgspec.UnsetType = msgspec.UNSET
    checks: Checks | msgspec.UnsetType = msgspec.UNSET
    claim: str | None = None
    notes: str = ""

    def __post_init__(self) -> None:
        if self.checks == Checks():  # one question, one hash: a section that asks nothing is none
            msgspec.structs.force_setattr(self, "checks", msgspec.UNSET)


def study_hash(study: Study) -> str:
    """SHA-256 over the study's canonical JSON (sorted keys, no spaces), as 64 hex digits.

    Defaults are spelled out in the canonical form, so a default that changes between versions changes the
    hash and asks for a new approval. A section that came later and is not in the file is left out, so that
    studies written before it keep their hash.
    """
    return hashlib.sha256(msgspec.json.encode(study, order="deterministic")).hexdigest()


def matching_of(study: Study) -> Matching:
    """The study's matching; the default, which is none, where it has no such section."""
    return Matching() if study.matching is msgspec.UNSET else study.matching


def checks_of(study: Study) -> Checks:
    """The derived studies that the study asks for; none where it has no such section."""
    return Checks() if study.checks is msgspec.UNSET else study.checks


def check_study(study: Study) -> Study:
    """Refuse a study that could not mean anything; return it otherwise.

    Raises:
        ConfigError: window upside down or not whole periods, ring inside the catchment, hours that are no part
            of the day, moderators that are none, a crime type named twice, secure sums with a quorum, a title that is
            not one line of text, or parts of the treatment that contradict each other.
        TaxonomyError: unknown taxonomy or crime type.
    """
    _check_window(study.window)
    _check_treatment(study.treatment, study.units)
    _check_randomisation(study)
    _check_hours(study.outcome.hours)
    _check_moderators(study.analysis)
    _check_matching(matching_of(study), study.units)
    _check_rings(study.units)
    _check_sums(study.federation)
    if study.outcome.taxonomy != TAXONOMY:
        raise TaxonomyError(
            f'the study names the taxonomy "{study.outcome.taxonomy}"',
            where="[outcome]",
            limit=f'"{TAXONOMY}", the only one this version knows',
            way_out="use it, or upgrade evalkit",
        )
    unknown = sorted(set(study.outcome.crime_types) - set(CRIME_TYPES))
    if unknown or not study.outcome.crime_types:
        raise TaxonomyError(
            f"unknown crime types: {', '.join(unknown)}" if unknown else "no crime type is named",
            where="[outcome] crime_types",
            limit=f"one or more of {', '.join(CRIME_TYPES)}",
            way_out="use the common names; each site file maps its own categories to them",
        )
    _check_repeated(study.outcome)
    _check_title(study.title)
    return study


def _check_title(title: str) -> None:
    """An officer reads it before he signs, on a terminal where other characters could write over the rest."""
    if not all(map(shows_plainly, title)):
        raise ConfigError(
            "the title has characters that cannot be printed",
            where="title",
            limit="one line, without control characters",
            way_out="put what needs more lines into notes",
        )


def _check_sums(federation: Federation) -> None:
    if federation.secure and federation.quorum:
        raise ConfigError(
            f'quorum = {federation.quorum} is given with sums = "secure"',
            where="[federation]",
            limit="every city: what the others sent cannot be unmasked without the one that is missing",
            way_out='leave quorum out, or set sums = "plain"',
        )


def _check_repeated(outcome: Outcome) -> None:
    types = outcome.crime_types
    twice = sorted({one for one in types if types.count(one) > 1})
    if twice:
        raise ConfigError(
            f"a crime type is named twice: {', '.join(twice)}",
            where="[outcome] crime_types",
            limit="each once: their incidents are added up",
            way_out="remove the repetition",
        )


def _check_window(window: Window) -> None:
    if window.end < window.start:
        raise ConfigError(
            f"the window ends ({window.end}) before it starts ({window.start})",
            where="[window]",
            limit="start ≤ end",
            way_out="swap the two dates",
        )
    next_day = window.end + dt.timedelta(days=1)
    for label, day in (("start", window.start), ("the day after end", next_day)):
        if not _starts_period(day, window.period):
            raise ConfigError(
                f"the window's {label} ({day}) is not the first day of a {window.period}",
                where="[window]",
                limit=f"whole {window.period}s; a partial one would look like a fall in crime",
                way_out=f"move it to the first day of a {window.period}",
            )


def _check_rings(units: Units) -> None:
    if isinstance(units.ring_m, tuple):
        _check_several_rings(units, units.ring_m)
    elif units.kind != "area" and units.ring_m < units.radius_m:
        raise ConfigError(
            f"units.ring_m ({units.ring_m:g}) is smaller than units.radius_m ({units.radius_m:g})",
            where="[units]",
            limit="ring_m ≥ radius_m; the ring runs from one to the other",
            way_out="raise ring_m, or set both to the same number for no ring",
        )


def _check_several_rings(units: Units, radii: tuple[float, ...]) -> None:
    if units.kind != "catchment":
        raise ConfigError(
            f'several ring_m are given with units of kind "{units.kind}"',
            where="[units]",
            limit='units.kind = "catchment": elsewhere a unit lies in a ring as a whole or not at all',
            way_out="give one ring_m",
        )
    edges = (units.radius_m, *radii)
    if any(outer <= inner for inner, outer in itertools.pairwise(edges)):
        raise ConfigError(
            f"units.ring_m ({', '.join(f'{radius:g}' for radius in radii)}) does not ascend from units.radius_m "
            f"({units.radius_m:g})",
            where="[units]",
            limit="radius_m < the first < the second and so on; each ring runs from one to the next",
            way_out="sort them, each once and all beyond radius_m",
        )


def _check_treatment(treatment: Treatment, units: Units) -> None:
    if treatment.washout_periods and treatment.transition == "treat":
        raise ConfigError(
            'washout_periods are given with transition = "treat"',
            where="[treatment]",
            limit='a washout follows a go-live period that is left out itself: transition = "drop"',
            way_out="drop the transition, or set washout_periods = 0",
        )
    if treatment.min_cameras > 1 and units.kind != "area":
        raise ConfigError(
            f'min_cameras is given with units of kind "{units.kind}"',
            where="[treatment]",
            limit='units.kind = "area": elsewhere a place with fewer cameras would become a control',
            way_out="set min_cameras = 1",
        )
    least = treatment.washout_periods + (treatment.transition == "drop")
    if 0 < treatment.pretended_earlier <= least:
        raise ConfigError(
            f"placebo_periods = {treatment.pretended_earlier} leaves no period after the pretended go-live",
            where="[treatment]",
            limit=f"at least {least + 1}: transition and washout take {least}",
            way_out="pretend an earlier go-live",
        )
    rings = 0 if units.kind == "area" else len(units.rings_m)
    if treatment.ring_under_study > rings:
        raise ConfigError(
            f"treated_ring = {treatment.ring_under_study} is no ring of the study",
            where="[treatment]",
            limit=f"a ring from 1 to {rings}" if rings else "a study with rings; this one has none",
            way_out="name one of the rings that [units] ring_m makes, or leave treated_ring out",
        )
    if treatment.pretends_cameras and (treatment.pretended_earlier or treatment.ring_under_study):
        raise ConfigError(
            "placebo_cameras is given with placebo_periods or treated_ring",
            where="[treatment]",
            limit="one of them: places without a camera have no go-live of their own and no ring",
            way_out="make a study of each",
        )
    first, last = treatment.adoption_start, treatment.adoption_end
    if first is not None and last is not None and last < first:
        raise ConfigError(
            "adoption_end lies before adoption_start",
            where="[treatment]",
            limit="adoption_start ≤ adoption_end",
            way_out="swap the two dates",
        )


def _check_randomisation(study: Study) -> None:
    if study.analysis.reassignments and study.treatment.pretended_earlier:
        raise ConfigError(
            "randomisation is given with placebo_periods",
            where="[analysis]",
            limit="true go-live dates: what follows them would be used where places exchange pretended ones",
            way_out="leave randomisation or placebo_periods out",
        )


def _check_hours(hours: tuple[int, int] | None) -> None:
    if hours is not None and (hours[0] == hours[1] or hours[0] == 24 or hours == (0, 24)):
        raise ConfigError(
            f"hours = [{hours[0]}, {hours[1]}] is no part of the day",
            where="[outcome]",
            limit="two different hours, the first from 0 to 23, the second from 0 to 24: [22, 6] is the night",
            way_out="correct the hours, or leave them out for the whole day",
        )


def _check_moderators(analysis: Analysis) -> None:
    named = [read_moderator(text).label for text in analysis.moderators]
    if len(set(named)) < len(named):
        raise ConfigError(
            "a moderator is named twice",
            where="[analysis] moderators",
            limit="each once",
            way_out="remove one of them",
        )
    if analysis.subgroups:
        read_groups(analysis.subgroups)
    if analysis.cumulative_by and read_moderator(analysis.cumulative_by, key="cumulative_by").level:
        raise ConfigError(
            "cumulative_by is not a number's name",
            where="[analysis] cumulative_by",
            limit='a moderator that is a number, such as "year"',
            way_out="name one, or leave it out",
        )


def _check_matching(matching: Matching, units: Units) -> None:
    chosen = matching.covariates
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(
            "a covariate is named twice" if chosen else "no covariate is named",
            where="[matching] covariates",
            limit="one or more of level, trend, x, y, each once",
            way_out='leave the key out for ["level", "trend"]',
        )
    if units.kind == "area" and {"x", "y"} & set(chosen):
        raise ConfigError(
            "controls are to be matched on coordinates, and areas have none",
            where="[matching] covariates",
            limit="level and trend, where units are areas",
            way_out="leave x and y out",
        )


def _starts_period(day: dt.date, period: str) -> bool:
    match period:
        case "week":
            return day.isoweekday() == 1
        case "month":
            return day.day == 1
        case "quarter":
            return day.day == 1 and day.month in (1, 4, 7, 10)
        case "year":
            return day.month == day.day == 1
        case _:
            return True
