"""What a gate is, and the margins that it allows."""

from dataclasses import asdict, dataclass
from typing import Any

PASS, FAIL, NOT_JUDGED = "pass", "fail", "cannot be judged"


@dataclass(frozen=True)
class Gate:
    """One question to the challenger, and its answer.

    Attributes
    ----------
    name
        In a word; what ``--despite`` names.
    title
        The question's subject, for people.
    verdict
        `PASS`, `FAIL` or `NOT_JUDGED`.
    challenger, champion
        The figure of either; None where there is none.
    margin
        What is asked of the figure.
    reason
        What was found, in a sentence.
    """

    name: str
    title: str
    verdict: str
    challenger: float | None
    champion: float | None
    margin: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


@dataclass(frozen=True)
class Margins:
    """How much worse than the champion, or than a fixed bound, a challenger may be.

    Attributes
    ----------
    reconstruction
        Loss of the share of surprise that is taken away.
    validity
        Loss of the mean score over outcomes: the interval's low end may not lie below it.
    outcome
        Loss of a single score that fails if its whole interval lies below 0.
    stability, floor_stability
        Loss of the mean stability; the least without a champion (below .5 a cluster dissolves).
    weak_share, most_weak
        Growth of the share of users with a strength below .5, and the most without a champion.
    least_users, least_share
        Of the smallest segment: users, and share of the slice.
    agreement, floor_agreement
        Loss of the share of core members who are in the segment of their core, and the least.
    shift
        Population stability index of the segments' shares since the fit: .25 is a major shift.
    unknown
        Growth of the share of event values that the model does not know.
    parity
        Difference of a coordinate between batch and online.
    ms_per_user, size_mb, memory_mb
        Budget of one answer on one core, of the bundle, and of a process that has loaded it.
    same_id
        Least share of users who are in a segment of the same id as before.
    """

    reconstruction: float = 0.05
    validity: float = 0.02
    outcome: float = 0.05
    stability: float = 0.1
    floor_stability: float = 0.5
    weak_share: float = 0.05
    most_weak: float = 0.5
    least_users: int = 20
    least_share: float = 0.005
    agreement: float = 0.05
    floor_agreement: float = 0.75
    shift: float = 0.25
    unknown: float = 0.05
    parity: float = 1e-4
    ms_per_user: float = 20.0
    size_mb: float = 100.0
    memory_mb: float = 800.0
    same_id: float = 0.6


@dataclass(frozen=True)
class Pair:
    """A figure of both models.

    Attributes
    ----------
    challenger, champion
        None where it is not known.
    """

    challenger: float | None
    champion: float | None = None


@dataclass(frozen=True)
class Bound:
    """What a figure must keep.

    Attributes
    ----------
    loss
        Most that it may be worse than the champion's.
    alone
        The bound without a champion.
    higher_is_better
        The direction.
    """

    loss: float
    alone: float | None
    higher_is_better: bool = True

    def limit(self, champion: float | None) -> float | None:
        """The figure that may just be reached."""
        if champion is None:
            return self.alone
        return champion - self.loss if self.higher_is_better else champion + self.loss


def no_worse(named: tuple[str, str], figures: Pair, bound: Bound, *, what: str) -> Gate:
    """Judge that a figure is not worse than the champion's by more than a margin.

    Parameters
    ----------
    named
        Name and title of the gate.
    figures
        Of both models.
    bound
        What is allowed.
    what
        The figure in words.
    """
    limit, value = bound.limit(figures.champion), figures.challenger
    side = "at least" if bound.higher_is_better else "at most"
    if value is None or limit is None:
        missing = "the challenger has none" if value is None else "there is no champion to beat"
        reason = f"{what} is not known: {missing}"
        return Gate(*named, NOT_JUDGED, value, figures.champion, "", reason)
    good = value >= limit if bound.higher_is_better else value <= limit
    if figures.champion is None:
        margin, beside = f"{side} {limit:.3g}", ""
    else:
        sign = "less" if bound.higher_is_better else "more"
        margin = f"{side} {limit:.3g} (the champion's, {sign} {bound.loss:g})"
        beside = f", the champion's {figures.champion:.3g}"
    reason = f"{what} is {value:.3g}{beside}"
    verdict = PASS if good else FAIL
    return Gate(*named, verdict, value, figures.champion, margin, reason)
