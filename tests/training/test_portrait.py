"""The portrait of a fit: groups that scoring gives again, and planted outsiders that are found."""

import numpy as np
import pytest

from segmenter.audience_model import AudienceModel
from segmenter.events.samples import planted_personas
from segmenter.segments.assignment import PrototypeAssigner
from segmenter.segments.calibration import Calibration
from segmenter.segments.coverage import (
    GROUPS,
    OUTSIDER,
    added,
    count_groups,
    fit_coverage,
)
from segmenter.segments.density import BETWEEN, DensitySettings, find_leaves
from segmenter.segments.outsiders import describe_outsiders
from segmenter.segments.projection import fit_projection
from segmenter.segments.prototypes import SizeLimits, make_prototypes
from segmenter.validity.habits import user_habits
from tests.models import make_store
from tests.outsiders import plant_outsiders
from tests.training.conftest import TrainedJob
from tests.training.crowd import N_FORECAST, crowd_at
from training.plan import plan_training

N_REAL, N_PLANTED = 800, 24


def test_the_model_gives_everybody_the_group_that_the_report_counts(trained: TrainedJob) -> None:
    plan, data = plan_training(trained.request), trained.outcome.data
    model = AudienceModel.load(trained.outcome.bundle)
    assigned = model.assign(model.embed(plan.store, plan.users, as_of=plan.as_of))
    counts = count_groups(model.coverage.groups(assigned), assigned.segment_id)
    assert added(counts).to_json() == data.portrait["groups"]
    told = {int(number): one for number, one in data.portrait["segments"].items()}
    assert {number: one.to_json() for number, one in counts.items()} == told
    share = trained.request.config.outsider_share
    assert abs(data.portrait["groups"]["outsider"] - share * data.n_users) <= 1


def test_the_reliability_of_strength_is_kept_with_the_model(trained: TrainedJob) -> None:
    model, data = AudienceModel.load(trained.outcome.bundle), trained.outcome.data
    assert model.training["calibration"] == data.portrait["calibration"]
    found = Calibration.from_json(data.portrait["calibration"])
    assert sum(bin_.n_users for bin_ in found.bins) == data.n_users
    assert 0 <= found.error <= 1
    lines = data.summary_lines()
    for beginning in ("Groups: core", "Outsiders: ", "Strength is off by"):
        assert any(line.startswith(beginning) for line in lines)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Planted personas with three per cent outsiders of four kinds, and their store."""
    log = planted_personas(N_REAL, seed=2, n_days=60).events
    return make_store(plant_outsiders(log, N_PLANTED, seed=2), tmp_path_factory.mktemp("planted"))


def test_planted_outsiders_are_found_though_the_segments_were_made_with_them(planted) -> None:
    crowd = crowd_at(planted, planted.newest)
    embeddings = crowd.embeddings
    space = fit_projection(
        embeddings, n_forecast=N_FORECAST, taste_weight=0.3, taste_components=4
    )(embeddings)
    leaves = find_leaves(space, settings=DensitySettings(), seed=0)
    prototypes = make_prototypes(
        space[leaves.rows], leaves, n_segments=8, limits=SizeLimits(), seed=0
    )
    assigner = PrototypeAssigner.fit(prototypes, space)
    names = planted.user_ids().gather(crowd.users).to_list()
    is_planted = np.array([name.startswith("planted") for name in names])
    rule = fit_coverage(
        assigner.assign(space),
        assigner,
        rows=leaves.rows,
        in_core=leaves.labels != BETWEEN,
        outsider_share=float(is_planted.mean()) + 0.01,
    )
    outside = rule.groups(assigner.assign(space)) == GROUPS.index(OUTSIDER)
    recall, false = outside[is_planted].mean(), outside[~is_planted].mean()
    print(f"planted outsiders: recall {recall:.2f} at {false:.1%} false")
    assert recall >= 0.6
    assert false <= 0.025
    habits = user_habits(planted, crowd.users, until=planted.newest + 1)
    found = describe_outsiders(habits, outside)
    told = {(one.habit, one.side) for one in found.oddities}
    assert ("share of the commonest value", "above") in told
    assert found.explained > 0.5
