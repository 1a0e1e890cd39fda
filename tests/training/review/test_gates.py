"""The gates: what passes, what fails, and what is said where nothing can be said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import cluster

from segmenter.errors import ConfigError
from segmenter.events.batches import users_until
from segmenter.events.ingest import ingest
from segmenter.events.store import EventStore
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from segmenter.segments.segment import Flag
from tests.models import World, make_model
from training.review.evidence import Evidence
from training.review.gates import judge_gates
from training.review.migration import migrate
from training.review.outcomes import predict
from training.review.sides import Side, look
from training.review.slices import Slice, freeze
from training.review.use_gates import respects_consent
from training.review.verdict import FAIL, NOT_JUDGED, PASS, Bound, Margins, Pair, no_worse

figures = st.floats(0, 1)


@pytest.fixture(scope="module")
def part(world: World) -> Slice:
    """All users of the shared world at its end."""
    return freeze(world.store, cut=None, trained_as_of=world.model.trained_as_of)


@pytest.fixture(scope="module")
def sides(world: World, part: Slice, tmp_path_factory) -> tuple[Side, Side]:
    """The shared model, and one of another seed."""
    other = tmp_path_factory.mktemp("other") / "bundle"
    make_model(world.store, seed=1).save(other)
    home = MlflowHome(Path("none"))
    one, two = (
        look(resolve(home, str(place)), part, must_prove=False) for place in (world.bundle, other)
    )
    return one, two


def evidence(part: Slice, challenger: Side, champion: Side | None) -> Evidence:
    prediction = predict(part, challenger.found.segment_id, champion and champion.found.segment_id)
    moved = None if champion is None else migrate(champion, challenger)
    return Evidence(part, challenger, champion, prediction, moved, Margins())


def verdicts(found: Evidence) -> dict[str, str]:
    return {gate.name: gate.verdict for gate in judge_gates(found)}


def test_a_model_beside_itself_keeps_every_audience(part, sides):
    one, _ = sides
    found = evidence(part, one, one)
    assert found.migration is not None
    assert found.migration.same_id == found.migration.same_matched == 1
    assert np.count_nonzero(found.migration.counts) == len(one.sizes)
    told = verdicts(found)
    for name in ("audiences", "reconstruction", "coverage", "drift", "parity", "sensitive"):
        assert told[name] == PASS, name


def test_what_has_no_evidence_is_never_passed(part, sides):
    one, _ = sides
    told = verdicts(evidence(part, one, None))
    for name in ("floors", "validity", "stability", "agreement", "input", "audiences", "consent"):
        assert told[name] == NOT_JUDGED, name
    assert told["golden"] == FAIL


def test_the_migration_matrix_counts_as_scikit_learn_does(part, sides):
    champion, challenger = sides
    moved = migrate(champion, challenger)
    expected = cluster.contingency_matrix(champion.found.segment_id, challenger.found.segment_id)
    held = moved.counts[moved.counts.sum(axis=1) > 0][:, moved.counts.sum(axis=0) > 0]
    np.testing.assert_array_equal(held, expected)
    assert moved.counts.sum() == len(part.users)
    assert len(set(moved.matched.values())) == len(moved.matched)


@given(challenger=figures, champion=figures, loss=figures, higher=st.booleans())
def test_a_figure_passes_exactly_when_it_is_worse_by_no_more_than_the_margin(
    *, challenger, champion, loss, higher
):
    bound = Bound(loss, None, higher_is_better=higher)
    gate = no_worse(("n", "t"), Pair(challenger, champion), bound, what="the figure")
    limit = champion - loss if higher else champion + loss
    assert gate.verdict == (
        PASS if (challenger >= limit) == higher or challenger == limit else FAIL
    )


@given(figures, figures)
def test_a_figure_that_is_missing_cannot_be_judged(champion, loss):
    bound = Bound(loss, None)
    for pair in (Pair(None, champion), Pair(champion, None), Pair(None, None)):
        gate = no_worse(("n", "t"), pair, bound, what="the figure")
        assert gate.verdict == NOT_JUDGED
        assert "is not known" in gate.reason


def test_a_new_sensitive_topic_fails_and_an_old_one_does_not(part, sides):
    one, _ = sides
    first, *others = one.model.segments
    flagged = replace(first, flags=(Flag("health", "insulin", "fact", "insulin: 40 %"),))
    touched = replace(one, model=replace(one.model, segments=(flagged, *others)))
    assert verdicts(evidence(part, touched, one))["sensitive"] == FAIL
    assert verdicts(evidence(part, touched, touched))["sensitive"] == PASS


def test_an_answer_that_differs_online_and_a_tiny_segment_fail(part, sides):
    one, _ = sides
    moved = replace(one, online=replace(one.online, n_moved=1))
    assert verdicts(evidence(part, moved, one))["parity"] == FAIL
    strict = replace(evidence(part, one, one), margins=Margins(least_users=len(part.users)))
    assert verdicts(strict)["smallest"] == FAIL


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (["granted", "granted", "granted"], PASS),
        (["granted", "denied", "granted"], FAIL),
        ([None, "granted", "granted"], FAIL),
        (["granted", None, None], NOT_JUDGED),
    ],
)
def test_consent_is_the_newest_word_of_each_user(tmp_path, part, sides, *, said, verdict):
    log = pl.DataFrame(
        {
            "user": ["a", "a", "b", "c"],
            "time": [f"2026-01-0{day}T00:00:00Z" for day in (1, 2, 1, 1)],
            "event": ["view"] * 4,
            "consent": ["denied", *said],
        },
        schema_overrides={"consent": pl.String},
    )
    log.write_parquet(tmp_path / "log.parquet")
    ingest([tmp_path / "log.parquet"], tmp_path / "store")
    store = EventStore.open(tmp_path / "store")
    asked = replace(part, store=store, users=np.arange(store.n_users))
    found = replace(evidence(part, sides[0], None), part=asked)
    assert respects_consent(found).verdict == verdict


def test_validity_beside_the_champion_is_the_mean_difference_over_the_outcomes(world, sides):
    cut = world.store.oldest + (world.store.newest - world.store.oldest) // 2
    early = Slice(world.store, users_until(world.store, cut - 1), cut, 0)
    one, two = (
        side.model.assign(side.model.embed(world.store, early.users, as_of=cut - 1))
        for side in sides
    )
    found = predict(early, two.segment_id, one.segment_id)
    challenger, champion, *_ = found.report.rows
    pairs = zip(challenger.scores, champion.scores, strict=True)
    means = np.mean([own.score.value - other.score.value for own, other in pairs])
    over = found.over_champion
    assert over is not None
    assert over.value == pytest.approx(means)
    assert over.low <= over.value <= over.high
    same = predict(early, one.segment_id, one.segment_id).over_champion
    assert same is not None
    assert (same.low, same.value, same.high) == (0, 0, 0)


def test_a_slice_that_a_model_has_seen_is_refused(world):
    with pytest.raises(ConfigError, match="must not judge models by what they learned from"):
        freeze(world.store, cut=world.store.newest, trained_as_of=world.store.newest)
