"""Every gate of a review, in the order in which people read them."""

from collections.abc import Callable

from training.review.evidence import Evidence
from training.review.quality_gates import (
    assigns_as_clustered,
    beats_floors,
    covers,
    has_no_tiny_segment,
    is_stable,
    keeps_validity,
    loads,
    reconstructs,
)
from training.review.use_gates import (
    answers_alike_online,
    keeps_audiences,
    keeps_the_budget,
    knows_the_values,
    respects_consent,
    shares_have_not_shifted,
    touches_no_new_topic,
)
from training.review.verdict import Gate

GATES: tuple[Callable[[Evidence], Gate], ...] = (
    loads,
    reconstructs,
    beats_floors,
    keeps_validity,
    is_stable,
    covers,
    has_no_tiny_segment,
    assigns_as_clustered,
    shares_have_not_shifted,
    knows_the_values,
    keeps_audiences,
    answers_alike_online,
    keeps_the_budget,
    touches_no_new_topic,
    respects_consent,
)


def judge_gates(evidence: Evidence) -> tuple[Gate, ...]:
    """Every gate in the order in which people read them."""
    return tuple(gate(evidence) for gate in GATES)
