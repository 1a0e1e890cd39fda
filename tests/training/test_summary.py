"""A finished fit in plain form: what goes to tracking and to the report."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from segmenter.audience_model import AudienceModel
from segmenter.events.store import EventStore
from segmenter.segments.assignment import Assignment, PrototypeAssigner
from segmenter.segments.density import Leaves
from segmenter.segments.projection import Projection
from segmenter.segments.rules import PlainFacts
from tests.training.conftest import Personas, TrainedJob
from training import summary
from training.plan import TrainPlan, plan_training
from training.report.data import MAP_SIDE
from training.segmentation import Segmentation
from training.selection import Choice


def test_figures_and_curves_end_alike(trained: TrainedJob) -> None:
    data = trained.outcome.data
    for stage, metrics in data.curves.items():
        for name, values in metrics.items():
            assert data.figures[f"final {stage} {name}"] == values[-1]
    assert data.figures["padding share"] < 0.1
    assert data.figures["window days"] > 0
    assert data.figures["histories"] >= data.n_users / 2


def test_coverage_adds_up(trained: TrainedJob) -> None:
    data = trained.outcome.data
    part = data.coverage
    assert part.core_share + part.between_share == pytest.approx(1)
    assert part.smallest == min(segment["n_users"] for segment in data.segments)
    core = sum(segment["n_core"] for segment in data.segments)
    assert core == pytest.approx(part.core_share * data.n_users)
    assert 0 <= part.weak_share <= 1
    assert 0 < part.agreement <= 1


def test_the_map_shows_users_with_the_segment_that_serves_them(trained: TrainedJob) -> None:
    data, plan = trained.outcome.data, plan_training(trained.request)
    shown = data.user_map
    model = AudienceModel.load(trained.outcome.bundle)
    ids = plan.store.user_ids().gather(plan.users).to_list()
    assigned = model.assign(model.embed(plan.store, plan.users, as_of=plan.as_of))
    expected = {
        user: (segment, round(100 * strength))
        for user, segment, strength in zip(
            ids, assigned.segment_id.tolist(), assigned.strength.tolist(), strict=True
        )
    }
    assert shown.n_users == data.n_users == len(ids)
    assert set(shown.user_id) == set(ids)
    for user, segment, strength in zip(
        shown.user_id, shown.segment_id, shown.strength, strict=True
    ):
        assert segment == expected[user][0]
        assert abs(strength - expected[user][1]) <= 1
    assert {min(shown.x), min(shown.y)} == {0}
    assert {max(shown.x), max(shown.y)} == {MAP_SIDE}


def test_provenance_tells_how_to_get_the_same_model_again(trained: TrainedJob) -> None:
    data, plan = trained.outcome.data, plan_training(trained.request)
    assert data.provenance == {
        "events": "store",
        "events digest": plan.store.digest,
        "until": "2025-02-01T00:00:00Z",
        "settings": json.loads(json.dumps(trained.request.config.to_json())),
    }


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50))
def test_coordinates_become_whole_numbers_in_the_same_order(values: list[float]) -> None:
    whole = summary._whole(np.array(values, dtype=np.float32))
    assert all(0 <= value <= MAP_SIDE for value in whole)
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(whole)[order]) >= 0).all()
    if max(values) - min(values) > 1e-6:
        assert (min(whole), max(whole)) == (0, MAP_SIDE)


@pytest.mark.parametrize(
    ("user", "personal"),
    [
        ("anna@example.org", True),
        ("+49 (30) 1234-5678", True),
        ("0301234567", True),
        ("030/123.45.67", True),
        ("user-000001", False),
        ("12345678", False),
        ("4fd0c2aa-87d9-4d44-9d6c-1a2b3c4d5e6f", False),
    ],
)
def test_addresses_and_phone_numbers_are_personal(user: str, personal: bool) -> None:  # noqa: FBT001 - a case
    assert summary._are_personal(["7", user]) == personal


def segmentation_of(n_users: int) -> Segmentation:
    """Everybody of a fit between two prototypes, with a map that tells each user's row."""
    rows = np.arange(n_users)
    prototypes = np.array([[0.0], [float(n_users)]])
    space = rows[:, None].astype(np.float32)
    projection = Projection(np.zeros(1, np.float32), np.ones((1, 1), np.float32))
    assigner = PrototypeAssigner.fit(prototypes, space)
    leaves = Leaves(rows, np.zeros(n_users, np.int32), np.ones(1))
    assignment: Assignment = assigner.assign(space)
    map_xy = np.hstack([space, space])
    facts = PlainFacts(sparse.csr_matrix((n_users, 0), dtype=bool), [], {})
    return Segmentation(
        Choice((), projection, None), assigner, (), leaves, map_xy, assignment, 1.0, facts
    )


def plan_of(store: EventStore, trained: TrainedJob) -> TrainPlan:
    everybody = np.arange(store.n_users)
    return replace(plan_training(trained.request), store=store, users=everybody)


def test_many_users_are_thinned_on_the_map_and_each_keeps_what_is_its_own(
    personas: Personas, trained: TrainedJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "MAX_MAP_USERS", 50)
    store = personas.store
    found = segmentation_of(store.n_users)
    shown = summary._user_map(plan_of(store, trained), found)
    again = summary._user_map(plan_of(store, trained), found)
    assert shown == again
    assert (len(set(shown.user_id)), shown.n_users) == (50, store.n_users)
    place = {user: row for row, user in enumerate(store.user_ids())}
    rows = np.array([place[user] for user in shown.user_id])
    assert shown.segment_id == tuple(found.assignment.segment_id[rows].tolist())
    assert (np.diff(rows) > 0).all()
    expected = (rows - rows[0]) * MAP_SIDE / (rows[-1] - rows[0])
    np.testing.assert_allclose(shown.x, expected, atol=0.5)


def test_every_figure_is_a_number_that_json_and_mlflow_know(trained: TrainedJob) -> None:
    data = trained.outcome.data
    assert np.isfinite(list(data.figures.values())).all()
    json.dumps(data.to_json(), allow_nan=False)
    assert len(data.metrics()) >= len(data.figures)
