"""A history that grows by events gives the answers of the whole one."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.errors import StateError
from serving.state import keeper as keeping
from serving.state.history import KeptHistory
from serving.state.keeper import HistoryKeeper
from tests.models import SMALL, World, make_model

MINUTE_US = 60_000_000
TOLERANCE = 1e-5
Event = dict[str, Any]

events = st.builds(
    lambda minutes, event, category, value, session: {
        "time": minutes * MINUTE_US,
        "event": event,
        "category": category,
        "value": value,
        "session": session,
    },
    st.integers(0, 60 * 24 * 60),
    st.sampled_from(["view", "purchase", "never seen"]),
    st.sampled_from([None, "shoes", "garden", "toys", "never seen"]),
    st.none() | st.sampled_from([9.99, -3.0]) | st.floats(-100, 100, width=32),
    st.sampled_from([None, "a", "b"]),
)


@pytest.fixture(scope="module")
def keeper(world: World) -> HistoryKeeper:
    return keeper_of(world.model)


def keeper_of(model: AudienceModel) -> HistoryKeeper:
    return HistoryKeeper(model, max_recent=10_000)


def stateless(model: AudienceModel, history: list[Event], as_of: int) -> np.ndarray:
    """The network's embedding of the whole history."""
    names = ("time", "event", "category", "value", "session")
    columns = {name: [[event.get(name) for event in history]] for name in names}
    return model.embed_batch(model.batch_of(columns, as_of=[as_of]))[0]


def after_storage(kept: KeptHistory) -> KeptHistory:
    return KeptHistory.from_bytes(kept.to_bytes())


def begun(keeper: HistoryKeeper, history: list[Event]) -> KeptHistory:
    return keeper.grown(None, history)[0]


def planted(n_events: int, *, end: int, seed: int = 0) -> list[Event]:
    """A history in time order, with pauses and values of all kinds."""
    draw = np.random.default_rng(seed)
    times = end - np.sort(draw.integers(0, 100 * DAY_US, n_events))[::-1]
    return [
        {
            "time": int(time),
            "event": str(draw.choice(["view", "purchase"])),
            "category": str(draw.choice(["shoes", "garden", "toys", "never seen"])),
            "value": None if draw.random() < 0.3 else float(np.float32(draw.normal(20, 9))),
            "session": f"s{time // DAY_US}",
        }
        for time in times
    ]


@settings(max_examples=40)
@given(st.lists(events, min_size=1, max_size=24), st.integers(0, 300), st.data())
def test_events_appended_one_by_one_give_the_answer_of_the_whole_history(  # noqa: PLR0917 - drawn by Hypothesis
    world: World, drawn: list[Event], n_before: int, data: st.DataObject
) -> None:
    """Also where the newest arrive late and in any order."""
    keeper, start = keeper_of(world.model), world.store.newest - 60 * DAY_US
    newest = data.draw(st.permutations([e | {"time": start + e["time"]} for e in drawn]))
    kept: KeptHistory | None = None
    whole: list[Event] = []
    for event in [*planted(n_before, end=start, seed=n_before), *newest]:
        kept, n_repeated = keeper.grown(kept, [event])
        kept = after_storage(kept)
        whole += [] if n_repeated else [event]
    assert kept is not None
    as_of = kept.newest["time"][-1] + data.draw(st.integers(0, 40 * DAY_US))
    found, wanted = keeper.embedding(kept, as_of=as_of), stateless(world.model, whole, as_of)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)
    first, second = (world.model.assign(one[None]).segment_id for one in (found, wanted))
    assert first == second
    assert kept.n_events == len(whole)


def test_a_long_history_is_kept_in_bounded_size(keeper: HistoryKeeper, world: World) -> None:
    end = world.store.newest
    history = planted(3_000, end=end)
    kept, sizes = None, []
    for start in range(0, len(history), 50):
        kept, _ = keeper.grown(kept, history[start : start + 50])
        sizes.append(len(kept.to_bytes()))
        assert len(kept.newest["time"]) <= keeper.n_newest + keeping.BLOCK_EVENTS
    assert max(sizes[40:]) < 1.2 * max(sizes[20:30])  # the windows are full by then
    found = keeper.embedding(after_storage(kept), as_of=end)
    np.testing.assert_allclose(found, stateless(world.model, history, end), rtol=0, atol=TOLERANCE)


def test_a_repeated_request_changes_nothing_and_equal_events_of_one_request_all_count(
    keeper: HistoryKeeper, world: World
) -> None:
    (event,) = planted(1, end=world.store.newest)
    kept = begun(keeper, [event, event])
    again, n_repeated = keeper.grown(kept, [event, event])
    assert (kept.n_events, n_repeated, again) == (2, 2, kept)
    more, n_repeated = keeper.grown(kept, [event, event, event])
    assert (more.n_events, n_repeated) == (3, 2)


def test_an_event_older_than_what_is_kept_as_it_came_is_refused(
    keeper: HistoryKeeper, world: World
) -> None:
    history = planted(200, end=world.store.newest)
    kept = begun(keeper, history)
    oldest = kept.newest["time"][0]
    keeper.grown(kept, [history[-1] | {"time": oldest}])
    with pytest.raises(StateError, match=f"at least {keeper.n_newest}.*replace"):
        keeper.grown(kept, [history[-1] | {"time": oldest - 1}])
    short = begun(keeper, history[-20:])
    assert keeper.grown(short, [history[0]])[0].n_events == 21


def test_another_model_goes_on_with_what_was_not_settled_and_refuses_the_rest(
    keeper: HistoryKeeper, world: World
) -> None:
    grown = make_model(world.store, sizes=SMALL | {"sequence_events": 40})
    other, end = keeper_of(grown), world.store.newest
    history = planted(200, end=end)
    few = begun(keeper, history[-20:])
    found = other.embedding(other.grown(few, [])[0], as_of=end)
    np.testing.assert_allclose(found, stateless(grown, history[-20:], end), rtol=0, atol=TOLERANCE)
    with pytest.raises(StateError, match="knows other values"):
        other.grown(begun(keeper, history), [])
    blind = KeptHistory({name: few.newest[name] for name in ("time", "event")})
    with pytest.raises(StateError, match="reads category"):
        keeper.grown(blind, [])


def test_too_many_older_events_within_the_windows_are_refused(world: World) -> None:
    narrow = HistoryKeeper(world.model, max_recent=50)
    history = planted(2_000, end=world.store.newest)
    with pytest.raises(StateError, match="at most 50 older events"):
        narrow.grown(None, history)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"form": 2}', b'{"form": 1}'])
def test_bytes_of_another_form_are_refused(content: bytes) -> None:
    with pytest.raises(StateError, match="form"):
        KeptHistory.from_bytes(content)
