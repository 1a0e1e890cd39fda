"""What is published of a segment: its id, its name, its size and the facts that set it apart."""

from dataclasses import asdict, dataclass
from typing import Any, Self

SHARE, LEVEL = "share", "level"


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
    """

    id: int
    name: str
    n_users: int
    share: float
    n_core: int
    facts: tuple[Fact, ...]
    locked: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain form for a bundle; the texts of the facts are for other readers of the file."""
        facts = [asdict(fact) | {"text": fact.text} for fact in self.facts]
        return asdict(self) | {"facts": facts}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        facts = tuple(
            Fact(**{name: value for name, value in fact.items() if name != "text"})
            for fact in plain["facts"]
        )
        return cls(**plain | {"facts": facts})


def _percent(share: float) -> str:
    """A share with one decimal where whole percents would say nothing."""
    percent = 100 * share
    return f"{percent:.1f} %" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f} %"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}".removesuffix(".0")
