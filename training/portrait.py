"""What is told of the users of a fit beside their segments: who belongs how firmly."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from segmenter.audience_model import AudienceModel
from segmenter.events.store import EventStore
from segmenter.segments.calibration import Calibration, calibrate
from segmenter.segments.coverage import (
    GROUPS,
    OUTSIDER,
    CoverageRule,
    GroupCounts,
    added,
    count_groups,
    fit_coverage,
)
from segmenter.segments.density import BETWEEN
from segmenter.segments.outsiders import Outsiders, describe_outsiders
from segmenter.validity.habits import user_habits
from training.segmentation import Segmentation
from training.typical import SegmentJourneys, typical_journeys

if TYPE_CHECKING:
    from training.plan import TrainPlan

OUTSIDE = GROUPS.index(OUTSIDER)


@dataclass(frozen=True)
class Portrait:
    """How the segments hold their users.

    Attributes
    ----------
    rule
        That tells the groups apart, for everybody who comes later.
    groups
        Segment id to its users in each group.
    outsiders
        What is odd about those who belong to no segment.
    calibration
        Whether strength means what it says; None of a handful.
    journeys
        Segment id to its typical users and what comes after what.
    """

    rule: CoverageRule
    groups: Mapping[int, GroupCounts]
    outsiders: Outsiders
    calibration: Calibration | None
    journeys: Mapping[int, SegmentJourneys]

    def for_model(self) -> dict[str, Any]:
        """What the model keeps: the rule that scoring needs, and the reliability of strength."""
        reliable = self.calibration
        return {
            "coverage": self.rule.to_json(),
            "calibration": None if reliable is None else reliable.to_json(),
        }

    def to_json(self) -> dict[str, Any]:
        """What the report shows."""
        reliable = self.calibration
        return {
            "groups": added(self.groups).to_json(),
            "segments": {str(number): one.to_json() for number, one in self.groups.items()},
            "outsiders": self.outsiders.to_json(),
            "calibration": None if reliable is None else reliable.to_json(),
            "journeys": {str(number): one.to_json() for number, one in self.journeys.items()},
        }


@dataclass(frozen=True)
class Sitters:
    """Whom a portrait is of.

    Attributes
    ----------
    store
        Where their events are.
    users
        int64 [n], their rows in it.
    as_of
        Microseconds; later events do not count.
    outsider_share
        Share of them who shall belong to no segment.
    seed
        Of the users who are drawn where all would be too many.
    """

    store: EventStore
    users: np.ndarray
    as_of: int
    outsider_share: float
    seed: int


def portray(plan: "TrainPlan", segmentation: Segmentation, embeddings: np.ndarray) -> Portrait:
    """Count the groups, describe the outsiders, and measure how reliable strength is.

    Parameters
    ----------
    plan
        The job, with its users and settings.
    segmentation
        Their segments.
    embeddings
        float32 [n, D] of them.
    """
    config, space = plan.request.config, segmentation.choice.projection(embeddings)
    sitters = Sitters(plan.store, plan.users, plan.as_of, config.outsider_share, config.seed)
    reliable = _reliability(plan, segmentation, space)
    return portray_users(sitters, segmentation, space, reliable=reliable)


def portray_users(
    sitters: Sitters,
    segmentation: Segmentation,
    space: np.ndarray,
    *,
    reliable: Calibration | None,
) -> Portrait:
    """The same where the reliability of strength is known.

    Parameters
    ----------
    sitters
        The n users.
    segmentation
        Their segments.
    space
        float [n, d], the users in segment coordinates.
    reliable
        Whether strength means what it says; None where that is not known.
    """
    leaves, assignment = segmentation.leaves, segmentation.assignment
    rule = fit_coverage(
        assignment,
        segmentation.assigner,
        rows=leaves.rows,
        in_core=leaves.labels != BETWEEN,
        outsider_share=sitters.outsider_share,
    )
    groups = rule.groups(assignment)
    habits = user_habits(sitters.store, sitters.users, until=sitters.as_of + 1)
    return Portrait(
        rule,
        count_groups(groups, assignment.segment_id),
        describe_outsiders(habits, groups == OUTSIDE),
        reliable,
        typical_journeys(sitters, assignment.segment_id, space, typical=groups != OUTSIDE),
    )


def _reliability(
    plan: "TrainPlan", segmentation: Segmentation, space: np.ndarray
) -> Calibration | None:
    """How reliable strength is; a refit has the measure from where its segments were made afresh.

    The halves of a refit are anchored, so that hardly anybody leaves a segment.
    """
    start, assignment = plan.request.start, segmentation.assignment
    if start is None:
        return calibrate(
            assignment.strength, assignment.segment_id, space, halves=segmentation.choice.halves
        )
    return inherited_calibration(start.model, start.label)


def inherited_calibration(model: AudienceModel, label: str) -> Calibration | None:
    """How reliable strength is by a model that another one goes on from; None if it is not told.

    Parameters
    ----------
    model
        The earlier model.
    label
        What it is called.
    """
    told = model.training.get("calibration")
    if told is None:
        return None
    found = Calibration.from_json(told)
    return replace(found, measured_for=found.measured_for or label)
