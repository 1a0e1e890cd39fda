"""Golden vectors: kept with a model, reproduced by it alone, and nobody's."""

from dataclasses import replace

import numpy as np
import pytest

from segmenter.audience_model import AudienceModel
from segmenter.bundle import read_bundle, write_bundle
from segmenter.errors import BundleError
from segmenter.golden import GoldenVectors
from tests.models import make_model


def test_a_bundle_keeps_golden_vectors_that_its_model_reproduces(world):
    model = AudienceModel.load(world.bundle)
    assert model.golden is not None
    assert model.golden.check(model) <= 1e-5
    plain = model.golden.to_json()
    assert GoldenVectors.from_json(plain).to_json() == plain == world.model.golden.to_json()


def test_golden_vectors_tell_one_model_from_another(world):
    with pytest.raises(BundleError, match="does not give its golden vectors"):
        world.model.golden.check(make_model(world.store, seed=1))


@pytest.mark.parametrize("name", ["segment_id", "strength"])
def test_another_segment_or_strength_is_noticed(world, name):
    golden = world.model.golden
    moved = replace(golden, **{name: getattr(golden, name)[::-1] + 1})
    with pytest.raises(BundleError, match="does not give the segments"):
        moved.check(world.model)


def test_golden_histories_hold_no_user_of_the_log(world):
    columns = world.model.golden.columns
    known = world.model.network.vocabulary.values
    for name, values in known.items():
        told = {value for history in columns[name] for value in history}
        assert told <= {None, "(unknown)", *values}
    users = {str(user) for user in world.log["user"]}
    assert not users & {str(v) for lists in columns.values() for row in lists for v in row}


def test_a_bundle_from_before_golden_vectors_loads(world, tmp_path):
    content = read_bundle(world.bundle)
    older = {name: value for name, value in content.documents.items() if name != "golden"}
    write_bundle(tmp_path / "older", documents=older, arrays=content.arrays)
    model = AudienceModel.load(tmp_path / "older")
    assert model.golden is None
    assert model.save(tmp_path / "newer").golden is not None


def test_damaged_golden_vectors_are_refused(world, tmp_path):
    content = read_bundle(world.bundle)
    damaged = content.documents | {"golden": {"columns": {}}}
    write_bundle(tmp_path / "damaged", documents=damaged, arrays=content.arrays)
    with pytest.raises(BundleError, match="golden vectors of a bundle cannot be read"):
        AudienceModel.load(tmp_path / "damaged")


def test_a_model_without_numbers_is_saved_and_fails_its_check(world, tmp_path):
    broken = make_model(world.store, seed=1)
    next(iter(broken.network.parameters())).data.fill_(np.nan)
    broken.save(tmp_path / "broken")
    model = AudienceModel.load(tmp_path / "broken")
    with pytest.raises(BundleError, match="no finite embedding"):
        model.golden.check(model)
