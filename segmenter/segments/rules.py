"""A short rule per segment, on plain features, that a media planner can read and rebuild.

Segments are made from embeddings, so that no rule says what they are; a rule says how near one can
come with four conditions, and how near that is, is measured on users who had no part in making it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from segmenter.segments.segment import Condition, Rule, Segment

MAX_CONDITIONS = 4
BEAM_WIDTH = 8
MIN_GAIN = 0.01
"""A further condition must raise the F1 by this much: a shorter rule is worth a little."""
N_BOUNDS = 15
"""Quantiles of a number that are tried as bounds."""
N_VALUES = 40
"""Values that are tried, those whose share differs most inside and outside."""
MAX_USERS = 20_000
"""Users on whom rules are sought and measured; more say the same."""
MIN_USERS = 20
"""Members that each half needs."""


@dataclass(frozen=True)
class PlainFacts:
    """What is known of users in plain words.

    Attributes
    ----------
    presence
        bool CSR [n, T], whether a user did a thing at least once.
    tokens
        (field, value) of each of the T columns.
    levels
        Name of a number to float64 [n].
    """

    presence: sparse.csr_matrix
    tokens: Sequence[tuple[str, str]]
    levels: Mapping[str, np.ndarray]

    def rows(self, chosen: np.ndarray) -> "PlainFacts":
        """The facts of some users."""
        levels = {name: values[chosen] for name, values in self.levels.items()}
        return PlainFacts(self.presence[chosen], self.tokens, levels)


def with_rules(
    segments: Sequence[Segment], segment_id: np.ndarray, facts: PlainFacts, *, seed: int
) -> tuple[Segment, ...]:
    """Give each segment the short rule that comes nearest to it.

    Half of the users make the rules, the other half measures them. The search goes through
    conjunctions of growing length and keeps the best few by F1, the harmonic mean of precision
    and recall.

    Parameters
    ----------
    segments
        As published.
    segment_id
        int32 [n] of each user.
    facts
        The same users in plain words.
    seed
        Of the halves, and of a sample where users are many.

    References
    ----------
    Clark, Niblett, "The CN2 induction algorithm", Machine Learning 3 (1989): beam search for one
    conjunction; here by F1, for one rule per segment.
    """
    order = np.random.default_rng(seed).permutation(len(segment_id))[:MAX_USERS]
    making, measuring = np.sort(order[::2]), np.sort(order[1::2])
    halves = facts.rows(making), facts.rows(measuring)
    described = []
    for segment in segments:
        inside, later = segment_id[making] == segment.id, segment_id[measuring] == segment.id
        if min(inside.sum(), (~inside).sum(), later.sum()) < MIN_USERS:
            described.append(segment)
            continue
        conditions = find_conditions(inside, halves[0])
        rule = measured(conditions, later, halves[1])
        described.append(replace(segment, rule=rule))
    return tuple(described)


def find_conditions(inside: np.ndarray, facts: PlainFacts) -> tuple[Condition, ...]:
    """The conjunction of at most four conditions with the highest F1 that the beam comes upon.

    Parameters
    ----------
    inside
        bool [n], the members; some of the users are none.
    facts
        The same users.
    """
    candidates = [*_bounds(facts), *_values(inside, facts)]
    held = np.stack([holds(condition, facts) for condition in candidates]).astype(np.float32)
    everybody = np.ones(len(inside), dtype=np.float32)
    beam: list[tuple[float, tuple[int, ...], np.ndarray]] = [(0.0, (), everybody)]
    best: tuple[float, tuple[int, ...]] = (0.0, ())
    for _ in range(MAX_CONDITIONS):
        longer: dict[tuple[int, ...], tuple[float, np.ndarray]] = {}
        for _, chosen, mask in beam:
            scores = _f1(held @ (mask * inside), held @ mask, float(inside.sum()))
            for place in np.argsort(-scores, kind="stable")[: BEAM_WIDTH + len(chosen)]:
                key = tuple(sorted({*chosen, int(place)}))
                if len(key) > len(chosen):
                    longer[key] = (float(scores[place]), mask * held[place])
        ranked = sorted(longer.items(), key=lambda item: (-item[1][0], item[0]))[:BEAM_WIDTH]
        beam = [(score, key, mask) for key, (score, mask) in ranked]
        if not beam or beam[0][0] < best[0] + MIN_GAIN:
            break
        best = beam[0][:2]
    return _tightest([candidates[place] for place in best[1]])


def measured(conditions: tuple[Condition, ...], inside: np.ndarray, facts: PlainFacts) -> Rule:
    """A rule with its fidelity among users.

    Parameters
    ----------
    conditions
        Of the rule.
    inside
        bool [n], the members.
    facts
        The same users.
    """
    found = np.ones(len(inside), dtype=bool)
    for condition in conditions:
        found &= holds(condition, facts)
    right = int((found & inside).sum())
    return Rule(
        conditions,
        precision=right / max(int(found.sum()), 1),
        recall=right / max(int(inside.sum()), 1),
        coverage=float(found.mean()),
    )


def holds(condition: Condition, facts: PlainFacts) -> np.ndarray:
    """Whether a condition holds for each user, bool [n]."""
    if condition.bound is not None:
        at_least = facts.levels[condition.field] >= condition.bound
        return at_least if condition.positive else ~at_least
    column = list(facts.tokens).index((condition.field, condition.value))
    did = facts.presence[:, [column]].toarray().ravel().astype(bool)
    return did if condition.positive else ~did


def _f1(right: np.ndarray, found: np.ndarray, members: float) -> np.ndarray:
    """Harmonic mean of precision and recall."""
    return 2 * right / np.maximum(found + members, 1)


def _bounds(facts: PlainFacts) -> list[Condition]:
    """Conditions on numbers, at quantiles that are rounded to two digits."""
    conditions = []
    for name, values in facts.levels.items():
        quantiles = np.quantile(values, np.linspace(0, 1, N_BOUNDS + 2)[1:-1])
        for bound in sorted({float(f"{quantile:.2g}") for quantile in quantiles}):
            conditions += [Condition(name, "", side, bound) for side in (True, False)]
    return conditions


def _values(inside: np.ndarray, facts: PlainFacts) -> list[Condition]:
    """Conditions on values, those whose share differs most between members and others."""
    presence = facts.presence.astype(np.float64)
    here = inside @ presence / max(int(inside.sum()), 1)
    elsewhere = (~inside) @ presence / max(int((~inside).sum()), 1)
    order = np.argsort(-np.abs(here - elsewhere), kind="stable")[:N_VALUES]
    conditions = []
    for token in order:
        field, value = facts.tokens[token]
        conditions.append(Condition(field, value, bool(here[token] > elsewhere[token])))
    return conditions


def _tightest(conditions: list[Condition]) -> tuple[Condition, ...]:
    """Leave out bounds that a tighter one on the same side makes needless."""

    def needless(one: Condition) -> bool:
        same = [
            other.bound
            for other in conditions
            if other.bound is not None
            and (other.field, other.positive) == (one.field, one.positive)
        ]
        tightest = max(same) if one.positive else min(same)
        return one.bound != tightest

    return tuple(one for one in conditions if one.bound is None or not needless(one))
