"""Directions: planted ones are found, nuisances are gone, the arithmetic is arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from segmenter.errors import BundleError, SpaceError
from segmenter.space.catalogue import Catalogue
from segmenter.space.directions import Direction, combine, find_direction, position
from segmenter.space.whitening import fit_whitening
from tests.space.clouds import affine, cloud, seeds


def halves(crowd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The crowd above and below the middle of its first coordinate."""
    above = crowd[:, 0] > np.median(crowd[:, 0])
    return crowd[above], crowd[~above]


def direction_of(crowd: np.ndarray, **options) -> Direction:
    target, reference = halves(crowd)
    whitening = fit_whitening(crowd)
    return find_direction("high", target, reference, whitening=whitening, **options)


@settings(max_examples=15)
@given(seeds)
def test_a_step_leads_from_one_mean_to_the_other(seed) -> None:
    crowd = cloud(seed)
    target, reference = halves(crowd)
    direction = direction_of(crowd)
    found = direction.apply(reference).mean(axis=0)
    np.testing.assert_allclose(found, target.mean(axis=0), atol=1e-8)
    back = (-direction).apply(direction.apply(crowd))
    np.testing.assert_allclose(back, crowd, atol=1e-9)
    places = position(np.vstack([target, reference]), direction, whitening=fit_whitening(crowd))
    difference = places[: len(target)].mean() - places[len(target) :].mean()
    assert difference == pytest.approx(1)


@settings(max_examples=15)
@given(seeds, seeds)
def test_length_and_agreement_do_not_depend_on_the_coordinates(seed, other) -> None:
    crowd = cloud(seed)
    linear, offset = affine(other)
    above = crowd[:, 0] > np.median(crowd[:, 0])
    moved = crowd @ linear + offset
    one, two = (
        find_direction("x", space[above], space[~above], whitening=fit_whitening(space))
        for space in (crowd, moved)
    )
    assert one.length.value == pytest.approx(two.length.value, rel=1e-6)
    assert one.length.low == pytest.approx(two.length.low, rel=1e-6)
    assert one.agreement.value == pytest.approx(two.agreement.value, abs=1e-6)
    np.testing.assert_allclose(one.step @ linear, two.step, atol=1e-6)


@settings(max_examples=15)
@given(seeds)
def test_nuisances_are_gone_and_projecting_them_out_twice_changes_nothing(seed) -> None:
    crowd = cloud(seed)
    whitening = fit_whitening(crowd)
    second = crowd[:, 1] > np.median(crowd[:, 1])
    nuisance = find_direction("activity", crowd[second], crowd[~second], whitening=whitening)
    once = direction_of(crowd, nuisances=(nuisance,))
    twice = direction_of(crowd, nuisances=(nuisance, nuisance))
    step, other = (whitening.step(one.step) for one in (once, nuisance))
    assert abs(step @ other) < 1e-8 * np.linalg.norm(other)
    np.testing.assert_allclose(twice.step, once.step, atol=1e-8)
    assert once.without == ("activity",)
    whole = whitening.step(direction_of(crowd).step)
    assert np.linalg.norm(step) <= np.linalg.norm(whole) + 1e-9


@settings(max_examples=60)
@given(seeds)
def test_a_minus_b_plus_b_is_a(seed) -> None:
    a, b, c = cloud(seed, n_rows=3)
    np.testing.assert_allclose(combine(a, b, b), a, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(combine(a, a, c), c, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(combine(combine(a, b, c), c, b), a, rtol=1e-12, atol=1e-9)


def test_halves_agree_where_there_is_a_direction_and_not_where_there_is_none() -> None:
    generator = np.random.default_rng(0)
    crowd = generator.standard_normal((2000, 8))
    whitening = fit_whitening(crowd)
    by_lot = generator.random(2000) < 0.5
    chance = find_direction("chance", crowd[by_lot], crowd[~by_lot], whitening=whitening)
    real = direction_of(crowd)
    assert chance.agreement.low < 0 < chance.agreement.high
    assert real.agreement.low > 0.95
    assert chance.length.low == 0
    assert real.length.low <= real.length.value <= real.length.high
    wanted = np.eye(8)[0]
    assert real.step @ wanted / np.linalg.norm(real.step) > 0.99


def test_groups_that_are_too_small_or_alike_are_refused() -> None:
    crowd = cloud(0)
    whitening = fit_whitening(crowd)
    with pytest.raises(SpaceError, match="found 9 in the reference group"):
        find_direction("x", crowd, crowd[:9], whitening=whitening)
    with pytest.raises(SpaceError, match="one mean once nothing is set aside"):
        find_direction("x", crowd, crowd, whitening=whitening)
    direction = direction_of(crowd)
    with pytest.raises(SpaceError, match="one mean once high is set aside"):
        direction_of(crowd, nuisances=(direction,))


names = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=4)


@settings(max_examples=6)
@given(some=names, random=st.randoms(use_true_random=False))
def test_a_catalogue_comes_back_as_it_was_saved(tmp_path_factory, some, random) -> None:
    catalogue = Catalogue("model-1", {})
    for name in some:
        found = direction_of(cloud(random.randint(0, 99)))
        catalogue = catalogue.with_direction(Direction(**{**vars(found), "name": name}))
    folder = tmp_path_factory.mktemp("catalogue") / "directions"
    catalogue.save(folder)
    loaded = Catalogue.load(folder, space="model-1")
    assert (loaded.version, list(loaded.directions)) == (len(some), some)
    for name in some:
        ours, theirs = vars(catalogue[name]).copy(), vars(loaded[name]).copy()
        np.testing.assert_array_equal(ours.pop("step"), theirs.pop("step"))
        assert ours == theirs
        assert name not in loaded.without_direction(name).directions


def test_a_direction_of_another_space_or_name_is_refused(tmp_path) -> None:
    catalogue = Catalogue("model-1", {}).with_direction(direction_of(cloud(0)))
    catalogue.save(tmp_path / "directions")
    with pytest.raises(SpaceError, match="of the space model-1, not of model-2"):
        Catalogue.load(tmp_path / "directions", space="model-2")
    with pytest.raises(SpaceError, match="no direction 'low'; it has: high"):
        catalogue["low"]
    (tmp_path / "directions" / "steps.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match="damaged"):
        Catalogue.load(tmp_path / "directions", space="model-1")
