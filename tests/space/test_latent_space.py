"""The friendly layer: ids, conditions and places in; the functions' own results out."""

import doctest

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import SpaceError
from segmenter.space import selection
from segmenter.space.contrasts import contrasts
from segmenter.space.latent_space import LatentSpace
from segmenter.space.profiles import metadata_features
from segmenter.space.selection import select
from tests.space.clouds import N_USERS, people as space, seeds

numbers = st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=20)


@settings(max_examples=60)
@given(numbers, st.integers(-3, 3), st.sampled_from(["=", "!=", ">=", "<=", ">", "<"]))
def test_a_condition_chooses_whom_it_is_true_of_and_nobody_unknown(values, bound, sign) -> None:
    table = pl.DataFrame({"some thing": pl.Series(values, dtype=pl.Int64)})
    python = "==" if sign == "=" else sign
    expected = [value is not None and eval(f"{value} {python} {bound}") for value in values]  # noqa: S307 - the oracle
    if any(expected):
        assert select(table, f"some thing {sign} {bound}").tolist() == expected
    else:
        with pytest.raises(SpaceError, match="nobody has"):
            select(table, f"some thing{sign}{bound}")


def test_groups_users_and_points_are_found_by_name() -> None:
    found = space()
    assert found.rows(["u3", "u1"]).tolist() == [3, 1]
    np.testing.assert_array_equal(found.place("user:u3"), found.vectors[3])
    old = (found.metadata["age"] == "65+").fill_null(value=False).to_numpy()
    np.testing.assert_allclose(found.place("age=65+"), found.vectors[old].mean(axis=0), rtol=1e-5)
    rich = (found.metadata["spend"] > 1).to_numpy()
    assert found.group("age=65+ & spend>1").sum() == (old & rich).sum()
    assert found.group("known=true").sum() == found.metadata["known"].sum()
    back = found.point("user:u3", minus="age=65+", plus="age=65+")
    np.testing.assert_allclose(back, found.vectors[3], atol=1e-6)


def test_what_is_no_number_is_not_known() -> None:
    table = pl.DataFrame({"x": [1.0, float("nan"), None]})
    found = LatentSpace(pl.Series(["a", "b", "c"]), np.eye(3), table)
    assert found.group("x>0").tolist() == [True, False, False]


def test_search_obeys_its_filter_and_finds_a_user_at_its_own_place() -> None:
    found = space()
    assert found.search(found.place("user:u7"), k=3).rows[0] == 7
    rows = found.search(found.place("user:u7"), share=0.1, where="age=19-24").rows
    assert set(found.metadata["age"].gather(rows)) == {"19-24"}
    assert len(rows) == round(0.1 * found.group("age=19-24").sum())


def test_look_alikes_beat_what_is_known_by_the_controls() -> None:
    found = space()
    generator = np.random.default_rng(1)
    odds = 2 * found.vectors[:, 3] + found.vectors[:, 1] - 2
    listed = np.flatnonzero(generator.random(N_USERS) < 1 / (1 + np.exp(-odds)))
    result = found.look_alikes(
        listed, controls=["spend", "age", "age+segment_id"], already="known=true", balance="age"
    )
    assert [one.name for one in result.controls] == ["spend", "age", "age+segment_id"]
    spend, age, both = (one.separation.value for one in result.controls)
    assert result.separation.value > spend > 0.55
    assert max(abs(age - 0.5), abs(both - 0.5)) < 0.1
    assert not found.metadata["known"].gather(result.rows).any()


def test_a_direction_goes_without_what_is_projected_out() -> None:
    found = space()
    plain = found.direction("spend>1", "spend<=1")
    age = found.direction("age=65+", "age=19-24", without=["spend"])
    assert plain.name == "spend>1 - spend<=1"
    assert age.without == ("spend",)
    whitening = found.whitening
    nuisance = found.direction(
        f"spend>{found.metadata['spend'].median()}", f"spend<={found.metadata['spend'].median()}"
    )
    assert abs(whitening.step(age.step) @ whitening.step(nuisance.step)) < 1e-9
    with pytest.raises(SpaceError, match="must be a number; age is of type"):
        found.direction("spend>1", "spend<=1", without=["age"])


@pytest.mark.parametrize("on_the_data", [False, True])
def test_a_path_between_groups_changes_what_is_known_little_by_little(on_the_data) -> None:
    found = space()
    start, end = found.place("age=19-24"), found.place("age=65+")
    path = found.path(start, end, n_steps=4, on_the_data=on_the_data)
    np.testing.assert_allclose(path.points[[0, -1]], [start, end])
    assert path.monotonicity >= 0.9
    assert path.largest_step <= 0.45


def test_without_metadata_a_path_is_even_in_whitened_coordinates() -> None:
    bare = LatentSpace(space().ids, space().vectors, pl.DataFrame())
    path = bare.path(bare.place("user:u1"), bare.place("user:u2"), n_steps=4)
    np.testing.assert_allclose(path.progress, np.linspace(0, 1, 5), atol=1e-9)


def test_drift_and_bias_are_measured_between_named_groups() -> None:
    found = space()
    moved = found.drift("age=65+", "age=19-24")
    assert moved.distance.low > 0.5
    assert moved.distance_p == 1 / 200
    inside = found.drift_by("segment_id", "age=65+", "age=19-24")
    assert [one.segment for one in inside] == ["False", "True"]
    with pytest.raises(SpaceError, match="share nobody"):
        found.drift("age=65+", "spend>0")
    known = found.only(found.metadata["age"].is_not_null().to_numpy())
    erased = known.erase("age", n_segments=4, outcomes=["spend"])
    assert erased.before.linear_r2 > 0.3
    assert erased.after.linear_r2 < 0.02


@settings(max_examples=20)
@given(seeds)
def test_contrasts_are_antisymmetric_and_the_planted_one_comes_first(seed) -> None:
    generator = np.random.default_rng(seed)
    group = generator.random(400) < 0.5
    likes = np.where(generator.random(400) < 0.2 + 0.5 * group, "diapers", "wine")
    table = pl.DataFrame({"likes": likes, "noise": generator.standard_normal(400)})
    there, back = contrasts(table, group, ~group), contrasts(table, ~group, group)
    assert {one.what for one in there[:2]} == {"likes = diapers", "likes = wine"}
    assert [-one.z for one in there] == pytest.approx([one.z for one in back])
    shares = {one.what: one.group for one in there if one.is_share}
    assert shares["likes = diapers"] == pytest.approx((likes[group] == "diapers").mean())


def test_features_are_numbers_and_values_that_vary() -> None:
    table = pl.DataFrame(
        {"a": [1.0, None, 3.0], "b": ["x", None, "y"], "same": [1, 1, 1], "one": ["z"] * 3}
    )
    found = metadata_features(table)
    assert found.names == ("a", "b = x", "b = y")
    np.testing.assert_allclose(found.values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.values[:, 1] * found.spread[1] + found.mean[1], [1, 0, 0])


@pytest.mark.parametrize(
    "case",
    [
        (lambda s: s.rows(["u1", "nobody"]), "1 of 2 are not, such as 'nobody'"),
        (lambda s: s.place("user:nobody"), "must be in the space"),
        (lambda s: s.group("height=3"), "nothing is known as 'height'"),
        (lambda s: s.group("age>65"), "age is no number"),
        (lambda s: s.group("spend>much"), "compares a number with 'much'"),
        (lambda s: s.group("old people"), "COLUMN=VALUE"),
        (lambda s: s.point("user:u1", minus="user:u2"), "needs both B and C"),
        (lambda s: LatentSpace(s.ids, s.vectors[1:], s.metadata), "600 ids"),
        (lambda s: LatentSpace(s.ids.replace("u2", "u1"), s.vectors, s.metadata), "found 'u1'"),
    ],
)
def test_what_is_not_there_is_named(case) -> None:
    asked, said = case
    with pytest.raises(SpaceError, match=said):
        asked(space())


def test_the_example_of_conditions_runs() -> None:
    ran = doctest.testmod(selection)
    assert (ran.failed, ran.attempted > 0) == (0, True)
