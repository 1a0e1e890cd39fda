"""Features of activity, counted again by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.profile import activity_features, activity_names
from segmenter.events.batches import EventBatch, batch_from_lists
from segmenter.events.vocabulary import Vocabulary

WINDOWS = (1.0, 3.0, 30.0)
NOW = 20_000 * DAY_US
MINUTE_US = 60_000_000
VOCABULARY = Vocabulary({"event": ("view", "buy"), "item": ("a", "b", "c")}, ("value",))

one_event = st.tuples(
    st.integers(0, 90 * 24 * 60),
    st.sampled_from(["view", "buy", "return"]),
    st.sampled_from(["a", "b", "c", "d", None]),
    st.none() | st.sampled_from([0.0, 9.99, -4.5]) | st.floats(-1e6, 1e6, width=32),
)


def batch_of(*users: list[tuple]) -> EventBatch:
    """Histories of users; times are minutes before `NOW`."""
    columns = {
        "time": [[NOW - minutes * MINUTE_US for minutes, *_ in events] for events in users],
        "event": [[event for _, event, _, _ in events] for events in users],
        "item": [[item for _, _, item, _ in events] for events in users],
        "value": [[value for *_, value in events] for events in users],
    }
    return batch_from_lists(VOCABULARY, columns, [NOW] * len(users))


@given(st.lists(st.lists(one_event, max_size=12), min_size=1, max_size=5))
def test_features_are_what_they_are_called(users: list[list[tuple]]) -> None:
    """Counted again by hand, for users together."""
    found = activity_features(batch_of(*users), VOCABULARY, WINDOWS).numpy()
    names = activity_names(VOCABULARY, WINDOWS)
    for row, events in zip(found, users, strict=True):
        told = dict(zip(names, row.tolist(), strict=True))
        minutes = sorted((event[0] for event in events), reverse=True)
        gaps = [early - late for early, late in pairwise(minutes)]
        values = [value for *_, value in events if value is not None]
        assert told["events"] == len(events)
        assert told["distinct item"] == len(
            {item if item in "abc" else "?" for _, _, item, _ in events if item}
        )
        assert told["event buy"] == sum(event == "buy" for _, event, _, _ in events)
        assert told["recent 1"] == sum(minute <= 3 * 24 * 60 for minute in minutes)
        assert told["visits"] == (len(events) > 0) + sum(gap > 30 for gap in gaps)
        assert told["greatest gap"] == pytest.approx(max(gaps, default=0) / 1440, rel=1e-6)
        assert told["mean gap"] == pytest.approx(np.mean(gaps or [0]) / 1440, rel=1e-6)
        assert told["total of value"] == pytest.approx(sum(values), rel=1e-5, abs=1e-6)
        assert told["spread of value"] == pytest.approx(np.std(values or [0]), rel=1e-5, abs=1e-6)


def test_equal_values_have_no_spread_however_they_add_up() -> None:
    events = [(minute, "view", "a", 9.99) for minute in range(37)]
    features = activity_features(batch_of(events), VOCABULARY, WINDOWS)[0]
    place = activity_names(VOCABULARY, WINDOWS).index("spread of value")
    assert features[place] == 0
