"""What is published of a segment: id, name, size, the facts that set it apart, a short rule."""

from dataclasses import asdict, dataclass
from typing import Any, Self

SHARE, LEVEL = "share", "level"
UNSTABLE = 0.5
"""Below this stability a segment dissolves when other users are sampled (Hennig 2007)."""
FITTING_PRECISION, FITTING_RECALL = 0.6, 0.5
"""A rule that finds fewer of the members, or more of others, does not stand for its segment."""


@dataclass(frozen=True)
class Fact:
    """One thing that the members of a segment do more, or less, than everybody else.

    Attributes
    ----------
    kind
        ``"share"`` of users who did something, or ``"level"``: the median of a number.
    field, value
        What: a field and one of its values; of a level its name, and an empty text.
    here, elsewhere
        In the segment and among all other users: shares in [0, 1], or medians.
    low, high
        90 % interval of `here` over users.
    n_users
        Members who did it; of a level, all members.
    """

    kind: str
    field: str
    value: str
    here: float
    elsewhere: float
    low: float
    high: float
    n_users: int

    @property
    def text(self) -> str:
        """The fact as printed, such as ``DIAPERS: 61 % of users, elsewhere 12 %``."""
        if self.kind == SHARE:
            here, elsewhere = _percent(self.here), _percent(self.elsewhere)
            return f"{self.value}: {here} of users, elsewhere {elsewhere}"
        return f"{self.field}: median {_amount(self.here)}, elsewhere {_amount(self.elsewhere)}"


@dataclass(frozen=True)
class Condition:
    """One condition of a rule, on a plain feature of a user.

    Attributes
    ----------
    field, value
        A field and one of its values; or the name of a number, and an empty text.
    positive
        Whether the user did it at least once, or the number is at least `bound`; else whether
        never, or below.
    bound
        Of a number; None of a value.
    """

    field: str
    value: str
    positive: bool
    bound: float | None = None

    @property
    def text(self) -> str:
        """The condition as printed, such as ``events at least 120`` or ``no redeem (event)``."""
        if self.bound is not None:
            return f"{self.field} {'at least' if self.positive else 'below'} {self.bound:,.7g}"
        return f"{'' if self.positive else 'no '}{self.value} ({self.field})"


@dataclass(frozen=True)
class Rule:
    """The short rule that comes nearest to a segment, and how near that is.

    Attributes
    ----------
    conditions
        All of them must hold.
    precision
        Share of members among the users whom the rule finds, in [0, 1].
    recall
        Share of the members whom it finds.
    coverage
        Share of all users whom it finds. All three are measured on users who had no part in
        making the rule.
    """

    conditions: tuple[Condition, ...]
    precision: float
    recall: float
    coverage: float

    @property
    def fits(self) -> bool:
        """Whether the rule may stand for the segment."""
        return self.precision >= FITTING_PRECISION and self.recall >= FITTING_RECALL

    @property
    def text(self) -> str:
        """The rule with its fidelity, or the sentence that no short rule fits."""
        words = " and ".join(condition.text for condition in self.conditions)
        found = f"finds {_percent(self.recall)} of the members"
        right = f"{_percent(self.precision)} of those whom it finds are members"
        if self.fits:
            return f"{words}: {found}, {right}"
        return f"No short rule fits; the nearest ({words}) {found}, {right}"

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle, with the text for other readers of the file."""
        return asdict(self) | {"fits": self.fits, "text": self.text}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        conditions = tuple(Condition(**item) for item in plain["conditions"])
        return cls(conditions, plain["precision"], plain["recall"], plain["coverage"])


@dataclass(frozen=True)
class Flag:
    """A sensitive topic that a segment touches, and where.

    Attributes
    ----------
    topic
        Name of the topic.
    term
        Of the topic's list, as it was found.
    place
        ``"name"``, ``"fact"`` or ``"rule"``.
    evidence
        The text that it was found in.
    """

    topic: str
    term: str
    place: str
    evidence: str


@dataclass(frozen=True)
class Segment:
    """A published segment.

    Attributes
    ----------
    id
        Positive; kept by refits, never given to another segment.
    name
        For people; unique within a model.
    n_users
        Members among the users of the fit.
    share
        Of the users of the fit, in [0, 1].
    n_core
        Members in the dense cores; the others lie between them.
    facts
        What sets the segment apart, the most telling first.
    locked
        Whether a person gave the name, which refits then keep.
    rule
        The short rule that comes nearest; None where users are too few to measure one.
    flags
        Sensitive topics that name, facts or rule touch.
    stability
        In [0, 1], higher is better: mean overlap (Jaccard) with the nearest segment that half of
        the users give; of a refit, when they move the same prototypes. None where users are too
        few for halves.
    """

    id: int
    name: str
    n_users: int
    share: float
    n_core: int
    facts: tuple[Fact, ...]
    locked: bool = False
    rule: Rule | None = None
    flags: tuple[Flag, ...] = ()
    stability: float | None = None

    @property
    def is_unstable(self) -> bool:
        """Whether the segment dissolves when other users are sampled."""
        return self.stability is not None and self.stability < UNSTABLE

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle; the texts of the facts are for other readers of the file."""
        facts = [asdict(fact) | {"text": fact.text} for fact in self.facts]
        rule = None if self.rule is None else self.rule.to_json()
        return asdict(self) | {"facts": facts, "rule": rule}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        facts = tuple(
            Fact(**{name: value for name, value in fact.items() if name != "text"})
            for fact in plain["facts"]
        )
        rule = None if plain.get("rule") is None else Rule.from_json(plain["rule"])
        flags = tuple(Flag(**flag) for flag in plain.get("flags", ()))
        return cls(**plain | {"facts": facts, "rule": rule, "flags": flags})


def _percent(share: float) -> str:
    """A share with one decimal where whole percents would say nothing."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f} %"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}".removesuffix(".0")
