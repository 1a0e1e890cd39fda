"""The typical users of each segment, as journeys without identity, and what they do next."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from segmenter.behavior import Groups, common_values, journeys_of, transitions_of
from segmenter.events.batches import history_ends
from segmenter.segments.journeys import Journey, Transition, central_users, transitions

if TYPE_CHECKING:
    from training.portrait import Sitters

MAX_USERS = 20_000
"""Users whose transitions are counted; more say the same."""
N_EXEMPLARS = 3
MIN_EVENTS, MAX_EVENTS = 5, 5_000
"""Events of a user who may stand for a segment."""
N_TRANSITIONS = 4
MIN_SHARE = 0.02
"""A transition that is rarer here and elsewhere says little."""


@dataclass(frozen=True)
class SegmentJourneys:
    """How the members of a segment go about it.

    Attributes
    ----------
    exemplars
        The users nearest to the middle of the segment, the nearest first.
    transitions
        Those that differ most from everybody else's, for sure.
    """

    exemplars: tuple[Journey, ...]
    transitions: tuple[Transition, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain form for the report."""
        return {
            "exemplars": [journey.to_json() for journey in self.exemplars],
            "transitions": [asdict(one) for one in self.transitions],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            tuple(Journey.from_json(one) for one in plain["exemplars"]),
            tuple(Transition(**one) for one in plain["transitions"]),
        )


def typical_journeys(
    sitters: "Sitters", segment_id: np.ndarray, space: np.ndarray, *, typical: np.ndarray
) -> dict[int, SegmentJourneys]:
    """Typical users and transitions of each segment.

    Parameters
    ----------
    sitters
        The users and their store.
    segment_id
        int32 [n] of the users.
    space
        float32 [n, d], the users in segment coordinates.
    typical
        bool [n], who may stand for a segment.
    """
    store, users, until = sitters.store, sitters.users, sitters.as_of + 1
    ids, code = np.unique(segment_id, return_inverse=True)
    generator = np.random.default_rng(sitters.seed)
    rows = np.sort(generator.permutation(len(users))[:MAX_USERS])
    groups = Groups(store, users[rows], code[rows], len(ids), until)
    tally, names = transitions_of(groups)
    texts = common_values(groups)
    n_events = history_ends(store, users, sitters.as_of) - np.asarray(store.offsets)[users]
    fit = typical & (n_events >= MIN_EVENTS) & (n_events <= MAX_EVENTS)
    found = {}
    for place, number in enumerate(ids.tolist()):
        members = np.flatnonzero((code == place) & fit)
        central = users[members[central_users(space[members], N_EXEMPLARS)]]
        told = most_telling(transitions(tally, place, names))
        found[number] = SegmentJourneys(
            journeys_of(store, central, until=until, texts=texts), told
        )
    return found


def most_telling(found: tuple[Transition, ...]) -> tuple[Transition, ...]:
    """The transitions whose interval leaves out the share elsewhere, the most different first."""
    sure = [
        one
        for one in found
        if max(one.share, one.elsewhere) >= MIN_SHARE and not one.low <= one.elsewhere <= one.high
    ]
    sure.sort(key=lambda one: (-abs(one.share - one.elsewhere), one.before, one.after))
    return tuple(sure[:N_TRANSITIONS])
