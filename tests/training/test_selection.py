"""The published level predicts as well as the best, is stable, and finds what was planted."""

import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import adjusted_rand_score, homogeneity_score

from segmenter.errors import FitError
from segmenter.segments.distances import nearest
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from segmenter.validity.guard import check_blind
from segmenter.validity.lift import resampled_users
from segmenter.validity.outcomes import Outcome
from segmenter.validity.scoring import Scorer
from tests.segments.reference import planted_blobs
from tests.training.crowd import AS_OF, N_FORECAST, crowd_at, slice_of
from training import inner_slice
from training.config import TrainConfig
from training.inner_slice import InnerSlice
from training.selection import (
    DECODED,
    DECODED_WEIGHT,
    DEFAULT_LEVEL,
    LEVELS,
    PLAIN,
    TASTE_WEIGHTS,
    Choice,
    Level,
    choose_level,
    published,
    tried_levels,
    tried_spaces,
)

ONE_SPACE = TrainConfig(taste_weight=0.3)


@pytest.fixture(scope="module")
def crowd(two_months):
    return crowd_at(two_months.store, AS_OF)


@pytest.fixture(scope="module")
def earlier(two_months):
    return slice_of(two_months.store)


def choose(embeddings, earlier, config, **more) -> Choice:
    return choose_level(embeddings, earlier, config, n_forecast=N_FORECAST, **more)


@pytest.fixture(scope="module")
def told():
    """What the choice told of its progress."""
    return []


@pytest.fixture(scope="module")
def choice(crowd, earlier, told):
    """The choice among all levels in all spaces; to be read only."""
    return choose(
        crowd.embeddings, earlier, TrainConfig(), progress=lambda *step: told.append(step)
    )


def labels_of(choice, embeddings):
    """Segment of each user at the chosen level, from 0."""
    points = choice.projection(embeddings)
    prototypes = make_prototypes(
        points[choice.leaves.rows],
        choice.leaves,
        n_segments=choice.level.n_asked,
        limits=SizeLimits(),
        seed=0,
    )
    return nearest(points, prototypes)


def figures_of(level):
    return np.array([level.validity, level.behind, level.stability, level.smallest], float)


def test_every_space_and_number_is_tried_once(choice, told):
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert {level.taste_weight for level in choice.levels} == set(TASTE_WEIGHTS)
    for weight in TASTE_WEIGHTS:
        levels = [level for level in choice.levels if level.taste_weight == weight]
        sizes = [level.n_segments for level in levels]
        assert len(set(sizes)) == len(sizes) > 3
        assert sizes[0] == LEVELS[0]
        assert all(level.n_segments <= level.n_asked <= 30 for level in levels)
    assert all(level.smallest >= SizeLimits().smallest(400) for level in choice.levels)
    assert all(0 < level.stability < 0.95 for level in choice.levels)


def test_the_chosen_segments_are_the_planted_personas_or_parts_of_them(choice, two_months, crowd):
    """In what users do more than in how much: the space must be one with some taste in it."""
    persona, label = two_months.persona[crowd.users], labels_of(choice, crowd.embeddings)
    assert choice.level.taste_weight > 0
    assert homogeneity_score(persona, label) > 0.8
    assert adjusted_rand_score(persona, label) > 0.4
    only_how_much = [level for level in choice.levels if level.taste_weight == 0]
    assert choice.level.validity > max(level.validity for level in only_how_much) - 0.02


def test_what_is_said_of_the_chosen_level_is_so(choice, earlier, crowd):
    level, label = choice.level, labels_of(choice, crowd.embeddings)
    assert level.n_segments == len(np.unique(label))
    assert level.smallest == np.bincount(label).min()
    points = choice.projection(crowd.embeddings)
    middles = np.stack([points[label == number].mean(axis=0) for number in np.unique(label)])
    then = nearest(choice.projection(earlier.embeddings), middles.astype(np.float64))
    # Segments hardly move when each user of the fit is put to the middle of its segment.
    assert earlier.validity(then, seed=0)[0] == pytest.approx(level.validity, abs=0.02)


def test_a_planted_number_of_groups_is_chosen():
    """Six groups that differ in what they do later: four are too few, ten say nothing more."""
    space, group = planted_blobs((130, 110, 90, 80, 60, 50), n_dimensions=4, spread=0.4, seed=0)
    generator = np.random.default_rng(0)
    then = (space + 0.1 * generator.standard_normal(space.shape)).astype(np.float32)
    amount = np.array([0.0, 1, 2, 3, 4, 5])[group] + generator.standard_normal(len(group))
    does = (generator.random(len(group)) < np.array([0.1, 0.9, 0.4, 0.7, 0.2, 0.6])[group]) * 1.0
    everybody = np.ones(len(group), dtype=bool)
    outcomes = (
        Outcome("later events", "r2", amount, everybody),
        Outcome("later view", "auc", does, everybody),
    )
    scorer = Scorer(outcomes, resampled_users(len(group), n_draws=50, seed=0), seed=0)
    found = choose_level(
        space, InnerSlice(then, (scorer,)), TrainConfig(taste_weight=0.0), n_forecast=4
    )
    assert found.level.n_segments == 6
    assert found.level.stability > 0.95
    assert adjusted_rand_score(group, labels_of(found, space)) > 0.95
    four = next(level for level in found.levels if level.n_segments == 4)
    assert four.behind > 1


random_level = st.builds(
    Level,
    taste_weight=st.sampled_from(TASTE_WEIGHTS),
    n_asked=st.integers(1, 50),
    n_segments=st.integers(1, 50),
    validity=st.none(),
    behind=st.none(),
    stability=st.sampled_from([0.2, 0.5, 0.8, 1.0]),
    smallest=st.integers(1, 99),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(random_level, min_size=1, max_size=12),
    st.integers(0, 10_000),
    st.sampled_from([0.01, 0.2]),
)
def test_of_the_levels_within_one_standard_error_of_the_best_the_most_stable_is_published(
    levels: list[Level], seed: int, noise: float
) -> None:
    generator = np.random.default_rng(seed)
    shared = 0.3 * generator.standard_normal(21)
    drawn = [generator.random() + shared + noise * generator.standard_normal(21) for _ in levels]
    marked = published(levels, drawn)
    assert [replace(level, behind=None, chosen=False) for level in marked] == levels
    (chosen,) = (level for level in marked if level.chosen)
    best = max(drawn, key=lambda figures: figures[0])
    near = []
    for level, figures in zip(marked, drawn, strict=True):
        lost = (best - figures).tolist()
        error = statistics.stdev(lost[1:]) if figures is not best else 1.0
        assert level.behind == pytest.approx(lost[0] / error)
        near += [level] if lost[0] <= error else []
    assert chosen in near
    stable = [level for level in near if level.stability == max(one.stability for one in near)]
    assert chosen.n_segments == min(level.n_segments for level in stable)
    assert chosen in stable


@settings(max_examples=60, deadline=None)
@given(st.lists(random_level, min_size=1, max_size=12))
def test_without_a_slice_the_most_stable_level_nearest_to_the_default_is_published(
    levels: list[Level],
) -> None:
    marked = published(levels, [])
    assert [replace(level, chosen=False) for level in marked] == levels
    (chosen,) = (level for level in marked if level.chosen)
    off = [abs(level.n_asked - DEFAULT_LEVEL) for level in levels]
    assert abs(chosen.n_asked - DEFAULT_LEVEL) == min(off)
    near = [level for level, far in zip(levels, off, strict=True) if far == min(off)]
    assert chosen.stability == max(level.stability for level in near)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80))
def test_no_more_segments_are_tried_than_allowed(max_segments: int) -> None:
    levels = tried_levels(TrainConfig(max_segments=max_segments))
    assert list(levels) == sorted(set(levels))
    assert levels[-1] <= max_segments
    assert len(levels) == max(1, sum(level <= max_segments for level in LEVELS))
    assert levels[-1] == max_segments or levels[-1] in LEVELS


def test_what_is_asked_for_is_what_is_tried():
    asked = TrainConfig(n_segments=35, max_segments=8, taste_weight=0.07)
    assert tried_levels(asked) == (35,)
    assert tried_spaces(asked, has_metric=False) == ((0.07, PLAIN),)
    assert tried_spaces(asked, has_metric=True) == ((0.07, PLAIN), (0.07, DECODED))
    plain = tuple((weight, PLAIN) for weight in TASTE_WEIGHTS)
    assert tried_spaces(TrainConfig(), has_metric=False) == plain
    assert tried_spaces(TrainConfig(), has_metric=True) == (*plain, (DECODED_WEIGHT, DECODED))


def test_a_metric_is_tried_beside_plain_distance_and_measures_the_published_space(crowd, earlier):
    """A metric that reads one direction alone leaves segments that differ in nothing else."""
    metric = np.zeros((N_FORECAST, N_FORECAST))
    metric[0, 0] = 1.0
    config = TrainConfig(n_segments=4, taste_weight=0.0)
    found = choose(crowd.embeddings, earlier, config, metric=metric)
    assert [level.metric for level in found.levels] == [PLAIN, DECODED]
    measured = found.projection(crowd.embeddings)[:, 1:]
    assert (np.ptp(measured, axis=0).max() == 0) == (found.level.metric == DECODED)


def test_a_number_and_a_weight_that_are_given_are_published(crowd, earlier):
    config = TrainConfig(n_segments=5, taste_weight=0.2)
    (level,) = choose(crowd.embeddings, earlier, config).levels
    assert (level.n_asked, level.n_segments, level.taste_weight) == (5, 5, 0.2)
    assert (level.chosen, level.behind) == (True, 0)
    assert level.validity > 0.2


def test_without_a_slice_the_default_is_published_and_nothing_said_of_validity(crowd):
    found = choose(crowd.embeddings, None, ONE_SPACE)
    off = [abs(level.n_asked - DEFAULT_LEVEL) for level in found.levels]
    assert abs(found.level.n_asked - DEFAULT_LEVEL) == min(off) < 4
    assert {(level.validity, level.behind) for level in found.levels} == {(None, None)}
    few = choose(crowd.embeddings, None, replace(ONE_SPACE, max_segments=6))
    assert few.level.n_asked == 6


def test_neither_what_comes_after_the_period_nor_a_second_run_changes_the_choice(two_months):
    def build(store):
        crowd = crowd_at(store, AS_OF)
        found = choose(crowd.embeddings, slice_of(store), ONE_SPACE)
        figures = [[*figures_of(level), level.chosen] for level in found.levels]
        return np.concatenate(
            [np.ravel(figures), found.projection.matrix.ravel(), found.leaves.labels]
        )

    assert (np.asarray(two_months.store.times) > AS_OF).mean() > 0.1
    check_blind(build, two_months.store, until=AS_OF + 1, what="the choice")


def test_many_users_are_chosen_for_on_a_sample(crowd, earlier, monkeypatch):
    monkeypatch.setattr(inner_slice, "MAX_USERS", 150)
    config = TrainConfig(n_segments=4, taste_weight=0.3)
    found = choose(crowd.embeddings, earlier, config)
    assert found.leaves is None
    everybody = choose_level(
        crowd.embeddings[inner_slice.sampled_rows(len(crowd.users), seed=0)],
        earlier,
        config,
        n_forecast=N_FORECAST,
    )
    assert everybody.leaves is not None
    assert len(everybody.leaves.rows) == 150
    assert found.level.smallest < 150 / 4


@pytest.mark.parametrize("n_users", [1, 5, 15])
def test_a_handful_of_users_is_one_stable_segment(n_users):
    space = np.random.default_rng(0).standard_normal((n_users, N_FORECAST)).astype(np.float32)
    found = choose(space, None, TrainConfig())
    assert {(level.n_segments, level.stability) for level in found.levels} == {(1, 1.0)}
    assert found.level.smallest == n_users
    assert not labels_of(found, space).any()


def test_users_in_one_place_are_one_segment():
    found = choose(np.full((60, N_FORECAST + 3), 0.1, np.float32), None, TrainConfig())
    assert {level.n_segments for level in found.levels} == {1}


def test_a_diverged_network_is_told_so(crowd, earlier):
    embeddings = crowd.embeddings.copy()
    embeddings[7, 2] = np.nan
    with pytest.raises(FitError, match=r"1 of \d+ users have NaN"):
        choose(embeddings, earlier, TrainConfig())
