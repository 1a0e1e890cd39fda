"""What a report shows, in plain form: kept in the bundle and with the run, rendered by `page`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from segmenter.segments.calibration import Calibration
from segmenter.segments.outsiders import Outsiders
from segmenter.validity.validity_report import ValidityReport
from training.refit_report import Refit

CORE_FIGURE, FIGURE = "assigner agreement core", "assigner agreement all"
"""Figures of a fit: see `training.agreement`."""
NOT_IN_A_METRIC = re.compile(r"[^\w .:/-]")
"""Characters that MLflow refuses in the name of a metric."""
BELOW_FLOOR, ABOVE_FLOOR, NOT_JUDGED = "below_floor", "above_floor", "not_judged"
MAP_SIDE = 10_000
"""Map coordinates are whole numbers from 0 to this."""


@dataclass(frozen=True)
class UserMap:
    """Users on a plane, for the eye.

    Attributes
    ----------
    x, y
        Whole numbers in [0, `MAP_SIDE`], one per user shown.
    segment_id
        Segment of each user shown.
    strength
        Whole percents.
    user_id
        Ids for the search, or empty where ids are personal (an e-mail address or a phone number).
    n_users
        Users of the fit; more than are shown where they were sampled.
    """

    x: tuple[int, ...]
    y: tuple[int, ...]
    segment_id: tuple[int, ...]
    strength: tuple[int, ...]
    user_id: tuple[str, ...]
    n_users: int


@dataclass(frozen=True)
class Coverage:
    """How much of the users the segments really hold.

    Attributes
    ----------
    core_share
        Users in the dense cores.
    between_share
        Users between cores, given to the nearest segment.
    mean_strength
        Of all assignments, in [0, 1].
    weak_share
        Users whose strength is below .5: look at their second-best segment.
    agreement
        Core members who are in the segment of most of their core.
    smallest
        Users in the smallest segment.
    """

    core_share: float
    between_share: float
    mean_strength: float
    weak_share: float
    agreement: float
    smallest: int


@dataclass(frozen=True)
class ReportData:
    """Everything that the page, the tables and the terminal say of a model.

    Attributes
    ----------
    model
        Registered name.
    version
        Number of the registered version; None before it is registered.
    as_of
        ISO 8601 time that recency and windows are relative to.
    trained_at
        ISO 8601 time of the fit.
    n_users, n_events
        That were learned from.
    segments
        Plain form of each `segmenter.segments.segment.Segment`.
    coverage
        See `Coverage`.
    user_map
        See `UserMap`.
    curves
        Stage, then metric, to one value per pass.
    validity
        Plain form of a `ValidityReport`, or None where there is no later behaviour.
    levels
        Plain form of each `training.selection.Level` that was tried, the published one marked.
    encoder
        Plain form of the `training.encoder_choice.EncoderChoice`: what the forecast part reads.
    figures
        Numbers of the fit: histories, padding share, seconds and the like.
    provenance
        Digests, seed and settings: how to get the same model again.
    refit
        Plain form of a `training.refit_report.Refit`, or None for a model that started afresh.
    hierarchy
        Plain form of a `segmenter.segments.hierarchy.Hierarchy`; None of a model without levels.
    portrait
        Plain form of a `training.portrait.Portrait`, or None of earlier versions.
    """

    model: str
    version: int | None
    as_of: str
    trained_at: str
    n_users: int
    n_events: int
    segments: tuple[dict[str, Any], ...]
    coverage: Coverage
    user_map: UserMap
    curves: dict[str, dict[str, list[float]]]
    validity: dict[str, Any] | None
    levels: tuple[dict[str, Any], ...]
    encoder: dict[str, Any]
    figures: dict[str, float]
    provenance: dict[str, Any]
    refit: dict[str, Any] | None = None
    hierarchy: dict[str, Any] | None = None
    portrait: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        """The model as outputs are stamped: ``name/3``."""
        return self.model if self.version is None else f"{self.model}/{self.version}"

    @property
    def validity_report(self) -> ValidityReport | None:
        """The validation, or None where there is no later behaviour."""
        return None if self.validity is None else ValidityReport.from_json(self.validity)

    @property
    def standing(self) -> str:
        """How the segments stand to what needs no training: the tag ``validity`` of a version."""
        report = self.validity_report
        if report is None or not report.outcomes:
            return NOT_JUDGED
        return BELOW_FLOOR if report.below_floor else ABOVE_FLOOR

    def with_version(self, version: int | None) -> Self:
        """The same report of a model that was registered."""
        return replace(self, version=version)

    def fit_lines(self) -> list[str]:
        """What training started from, and what the forecast part reads, a line each."""
        lines = [] if self.refit is None else Refit.from_json(self.refit).summary_lines()
        return [*lines, f"Encoder: {self.encoder['kind']}, since {self.encoder['reason']}"]

    def portrait_lines(self) -> list[str]:
        """Who belongs how firmly, what is odd about outsiders, and how reliable strength is."""
        if self.portrait is None:
            return []
        groups = self.portrait["groups"]
        total = max(sum(groups.values()), 1)
        share = {name: f"{users:,} ({users / total:.1%})" for name, users in groups.items()}
        told = f"core {share['core']}, voted {share['voted']}, second choice as good "
        lines = [f"Groups: {told}{share['second']}, outsiders {share['outsider']}"]
        outsiders = Outsiders.from_json(self.portrait["outsiders"])
        if outsiders.n_users:
            texts = (outsiders.text, *(oddity.text for oddity in outsiders.oddities))
            lines += [f"Outsiders: {text}" for text in texts]
        reliable = self.portrait["calibration"]
        if reliable is not None:
            lines.append(Calibration.from_json(reliable).text)
        return lines

    def summary_lines(self) -> list[str]:
        """Refit, encoder, coverage and validity for the terminal, a line each."""
        part = self.coverage
        covered = (
            f"Coverage: {part.core_share:.0%} in dense cores, {part.between_share:.0%} between "
            f"them, {part.weak_share:.0%} with a strength below .5 (see second best)"
        )
        lines = [*self.fit_lines(), covered, *self.portrait_lines()]
        if FIGURE in self.figures:
            lines.append(
                f"Assigner: gives {self.figures[CORE_FIGURE]:.1%} of the core members and "
                f"{self.figures[FIGURE]:.1%} of all training users their segment again"
            )
        report = self.validity_report
        if report is None:
            return [*lines, "Validity: no later events to judge by; pass --until to keep some"]
        return [*lines, *(f"Validity: {line}" for line in report.outcome_lines())]

    def headline(self) -> str:
        """One paragraph of Markdown for the registry."""
        report = self.validity_report
        judged = "" if report is None else f" {report.summary_line()}."
        return (
            f"{len(self.segments)} segments of {self.n_users:,} users, {self.n_events:,} events, "
            f"as of {self.as_of}.{judged}"
        )

    def metrics(self) -> dict[str, float]:
        """Numbers for the tracking server, named like the things they measure."""
        return {NOT_IN_A_METRIC.sub("", name): value for name, value in self._metrics()}

    def _metrics(self) -> Iterator[tuple[str, float]]:
        yield "segments", float(len(self.segments))
        yield from ((f"coverage {name}", float(v)) for name, v in asdict(self.coverage).items())
        yield from self.figures.items()
        groups = {} if self.portrait is None else self.portrait["groups"]
        yield from ((f"users {name}", float(users)) for name, users in groups.items())
        reliable = None if self.portrait is None else self.portrait["calibration"]
        if reliable is not None:
            yield "calibration error of strength", reliable["error"]
        report = self.validity_report
        for row in report.rows if report else ():
            for outcome, score in zip(report.outcomes if report else (), row.scores, strict=True):
                yield f"validity {outcome.title} {row.name}", score.score.value

    def to_json(self) -> dict[str, Any]:
        """Plain form; `from_json` gives back an equal report."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        shown: dict[str, Any] = {
            name: value if name == "n_users" else tuple(value)
            for name, value in plain["user_map"].items()
        }
        parts = {
            "segments": tuple(plain["segments"]),
            "levels": tuple(plain["levels"]),
            "coverage": Coverage(**plain["coverage"]),
            "user_map": UserMap(**shown),
        }
        return cls(**{**plain, **parts})
