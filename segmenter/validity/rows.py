"""The pieces of a validity report: outcomes, rows of scores, and what each segment did."""

from dataclasses import dataclass

from segmenter.validity.lift import Interval

SEGMENTS = "Segments"
NO_SEGMENTS = "No segments"
EMBEDDING = "Embedding"
PLAIN_FEATURES = "Plain features"
RANDOM_ENCODER = "Random encoder"


@dataclass(frozen=True)
class OutcomeSummary:
    """An outcome that was predicted.

    Attributes
    ----------
    name, kind, population
        As in `Outcome`; `population` is its name.
    n_users
        Users in the population.
    mean
        Over these users in the natural unit: a rate where `kind` is ``"auc"``, a number of yes
        where it is ``"mean auc"``.
    n_parts
        Questions whose scores are averaged; 1 but for a ``"mean auc"``.
    """

    name: str
    kind: str
    population: str
    n_users: int
    mean: float
    n_parts: int = 1

    @property
    def label(self) -> str:
        """The name, and the population where it is not everybody."""
        among = "" if self.population == "everybody" else f" ({self.population})"
        return f"{self.name[:1].upper()}{self.name[1:]}{among}"

    @property
    def title(self) -> str:
        """What is printed: the label and the score."""
        return f"{self.label} {self.score_name}"

    @property
    def score_name(self) -> str:
        """R2, AUC or mean AUC."""
        return {"r2": "R2", "auc": "AUC", "mean auc": "mean AUC"}[self.kind]

    @property
    def chance(self) -> float:
        """The score of the same guess for everybody."""
        return 0.0 if self.kind == "r2" else 0.5


@dataclass(frozen=True)
class Score:
    """How well one segmentation, or one linear model, predicts one outcome.

    Attributes
    ----------
    score
        R2 or AUC, out of fold.
    ahead
        The score of the first row of the table, which is under test, minus this one, paired over
        users; None for that row itself.
    rule
        Which of several rules this is, the best for the outcome; empty where there is one.
    over_rule
        For a linear model its score minus that of the best rule, paired over users.
    """

    score: Interval
    ahead: Interval | None = None
    rule: str = ""
    over_rule: Interval | None = None


@dataclass(frozen=True)
class Row:
    """One segmentation, or one linear model.

    Attributes
    ----------
    name
        As printed.
    kind
        Of segmentations ``"segments"`` under test, ``"rule"`` that a person could write,
        ``"model"`` made by clustering, or ``"none"``; of linear models ``"embedding"`` under
        test, or ``"features"`` that need no training.
    n_groups
        Its groups; None for a linear model, and where it stands for several rules.
    scores
        One for each outcome.
    """

    name: str
    kind: str
    n_groups: int | None
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Lift:
    """One segment and one outcome.

    Attributes
    ----------
    n_users
        Members in the outcome's population.
    mean
        What they did later, in the natural unit.
    predicted
        What the rest of their segment had said of them: the mean of the out-of-fold predictions.
    lift
        `mean` relative to that of all users, above 1 is more; None where nobody is a member.
    """

    n_users: int
    mean: float
    predicted: float
    lift: Interval | None


@dataclass(frozen=True)
class SegmentValidity:
    """What the members of one segment did later: a `Lift` for each outcome."""

    segment_id: int
    n_users: int
    lifts: tuple[Lift, ...]


@dataclass(frozen=True)
class LiftCurve:
    """What tenths of the users did later, the tenth first that was expected to do most.

    Attributes
    ----------
    outcome
        Place of the outcome in the report.
    name
        The row whose out-of-fold predictions put the users in order.
    lifts
        Mean of each tenth relative to that of all users. Where equal predictions span two tenths,
        each gets its share of those users' mean.
    """

    outcome: int
    name: str
    lifts: tuple[Interval, ...]


@dataclass(frozen=True)
class ActivityShare:
    """How much of a segmentation is the number of events before the cut.

    Attributes
    ----------
    name
        The row.
    information
        Share of what tells its segments apart that a user's activity decile tells: mutual
        information over the entropy of the segments, 0 to 1.
    variance
        Share of the variance of log activity that lies between its segments (eta squared).
    """

    name: str
    information: float
    variance: float


@dataclass(frozen=True)
class WithinActivity:
    """What segmentations predict among users who were equally active before the cut.

    Attributes
    ----------
    n_bands
        Bands of activity.
    outcomes
        Those that vary within bands. A score of ``"r2"`` is of what is left of the outcome
        without the mean of the user's band; an AUC compares users of one band only.
    rows
        As in the table of all users.
    shares
        For each single segmentation.
    """

    n_bands: int
    outcomes: tuple[OutcomeSummary, ...]
    rows: tuple[Row, ...]
    shares: tuple[ActivityShare, ...]


def best_rule(rows: tuple[Row, ...], place: int) -> Row | None:
    """The rule with the best score for the outcome at `place`, or None."""
    rules = [row for row in rows if row.kind == "rule"]
    return max(rules, key=lambda row: row.scores[place].score.value, default=None)


def figure(value: float) -> str:
    """A score as printed: two decimals without the leading zero, ``.52``."""
    # A loss that rounds to nothing has no sign.
    text = f"{round(value, 2) + 0.0:.2f}"
    return text.replace("-0.", "-.", 1).removeprefix("0")
