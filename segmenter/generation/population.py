"""Real users of a store as a model sees them: those it learned from, and those it did not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from segmenter.audience_model import AudienceModel
from segmenter.errors import SegmentTooSmallError, SpaceError
from segmenter.events.batches import EventBatch, SequenceReader, history_ends, users_until
from segmenter.events.holdout import is_held_out
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import FIRST
from segmenter.generation.crowd import Crowd, read_crowd
from segmenter.generation.decoding import MIN_VALUE_USERS
from segmenter.generation.journeys import events_table
from segmenter.terminal import ProgressCallback

MIN_USERS = 50
"""Fewer users than this are not described: what is drawn would follow single ones."""


@dataclass(frozen=True)
class Population:
    """A model with the users of a store as of a time.

    Attributes
    ----------
    model, store
        As given.
    as_of
        Microseconds.
    learned
        Users whom the network learned from.
    held_out
        Users whose histories had no part in its gradient steps, for reports.
    segments
        int64, segment of each user of `learned`.
    held_out_segments
        int64, of each user of `held_out`.
    """

    model: AudienceModel
    store: EventStore
    as_of: int
    learned: Crowd
    held_out: Crowd
    segments: np.ndarray
    held_out_segments: np.ndarray

    def members(self, segment: int) -> np.ndarray:
        """Rows of `learned` that are in a segment.

        Raises
        ------
        SpaceError
            If the model has no such segment.
        SegmentTooSmallError
            If fewer than 50 users are in it.
        """
        known = sorted(one.id for one in self.model.segments)
        if segment not in known:
            message = f"the model has no segment {segment}; it has {', '.join(map(str, known))}"
            raise SpaceError(message)
        rows = np.flatnonzero(self.segments == segment)
        if len(rows) < MIN_USERS:
            message = (
                f"a segment must have at least {MIN_USERS} users before journeys are drawn for "
                f"it, so that none stands for a person; segment {segment} has {len(rows)} in this "
                "store, held-out users apart; choose a larger one or a coarser level"
            )
            raise SegmentTooSmallError(message)
        return rows

    def rare_values(self) -> dict[str, list[str]]:
        """By field, values that fewer than five of the users have, of those the model knows."""
        vocabulary = self.model.network.vocabulary
        return {
            name: [
                vocabulary.label(name, code)
                for code in np.flatnonzero(counts < MIN_VALUE_USERS).tolist()
                if code >= FIRST
            ]
            for name, counts in self.learned.scales.n_users.items()
        }

    def is_listed(self, users: Sequence[str]) -> np.ndarray:
        """Whether each user of the store is one of a list of ids, bool [store.n_users]."""
        listed = pl.Series(list(users), dtype=pl.String)
        return self.store.user_ids().is_in(listed.implode()).to_numpy()

    def events(self, crowd: Crowd) -> pl.DataFrame:
        """What some users did, as the model sees it and as far back as it decodes."""
        decimals = {name: one.decimals for name, one in self.learned.scales.numerals.items()}
        return events_table(
            self.histories(crowd),
            self.model.network.vocabulary,
            decimals=decimals,
            prefix="real-",
        )

    def histories(self, crowd: Crowd) -> EventBatch:
        """The newest events of some users, as many as the decoder reads."""
        reader = SequenceReader(self.store, self.model.network.vocabulary)
        ends = reader.ends(crowd.users, self.as_of)
        as_of = np.full(len(ends), self.as_of)
        return reader.between(ends - crowd.frames.length, ends, as_of)


def read_population(
    model: AudienceModel,
    store: EventStore,
    *,
    as_of: int,
    progress: ProgressCallback | None = None,
) -> Population:
    """Embed everybody and learn what generation needs.

    Parameters
    ----------
    model, store
        What to generate with, and the users who stand behind it.
    as_of
        Microseconds; later events are not read.
    progress
        Told of (users done, users in all).

    Raises
    ------
    SegmentTooSmallError
        If fewer than 50 users have an event.
    """
    users = users_until(store, as_of)
    share = float(model.training.get("config", {}).get("validation_share", 0.0))
    held = is_held_out(store, share)[users]
    if (~held).sum() < MIN_USERS:
        message = (
            f"at least {MIN_USERS} users must have an event before journeys are drawn; "
            f"{store.path} has {(~held).sum()} until the as-of time"
        )
        raise SegmentTooSmallError(message)
    embeddings = model.embed(store, users, as_of=as_of, progress=progress)
    read = partial(read_crowd, model.network, store, as_of=as_of)
    learned = read(users=users[~held], embeddings=embeddings[~held])
    held_out = read(users=users[held], embeddings=embeddings[held], scales=learned.scales)
    segments = model.assign(embeddings).segment_id
    return Population(model, store, as_of, learned, held_out, segments[~held], segments[held])


def row_of_user(store: EventStore, user: str, *, as_of: int) -> int:
    """Row in a store of a user with events at or before a time in microseconds.

    Raises
    ------
    SpaceError
        If there is no such user, or no event until then.
    """
    rows = np.flatnonzero((store.user_ids() == user).to_numpy())
    if not len(rows):
        message = f"the store has no user {user!r}; check the id"
        raise SpaceError(message)
    if history_ends(store, rows, as_of)[0] == store.offsets[rows[0]]:
        message = f"user {user!r} has no event until the as-of time; give a later --as-of"
        raise SpaceError(message)
    return int(rows[0])
