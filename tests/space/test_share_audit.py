"""Audits: exact under no bias, and sharp where the top is skewed and the whole is not."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from segmenter.errors import SpaceError
from segmenter.space.attributes import encode_attribute
from segmenter.space.readability import measure_readability
from segmenter.space.share_audit import audit_top_share


def test_the_p_value_is_that_of_the_hypergeometric_distribution() -> None:
    member = np.arange(40) < 20
    top = np.array([[*range(9), 30]])
    found = audit_top_share(top, member, n_permutations=9_999)
    exact = 2 * hypergeom(40, 20, 10).sf(8)
    assert found.p == pytest.approx(exact, rel=0.3)
    assert (found.base, found.gap, found.skew) == pytest.approx((0.5, 0.4, 0.4))


def test_false_finds_are_as_rare_as_promised() -> None:
    p_values = []
    for seed in range(150):
        generator = np.random.default_rng(seed)
        member, tops = generator.random(200) < 0.3, np.array([generator.permutation(200)[:40]] * 2)
        p_values.append(audit_top_share(tops, member, n_permutations=99, seed=seed).p)
    # Of 150 at 10 %: outside once in a thousand times.
    assert 4 <= np.sum(np.array(p_values) <= 0.1) <= 28


def test_a_bias_that_is_the_librarys_own_is_none_of_the_ranking() -> None:
    generator = np.random.default_rng(3)
    stratum = np.repeat([0, 1], 500)
    member = generator.random(1_000) < np.where(stratum == 1, 0.8, 0.2)
    tops = np.stack([generator.permutation(500)[:100], 500 + generator.permutation(500)[:100]])
    compared = np.array([True, False])
    plain = audit_top_share(tops, member, compared=compared)
    inside = audit_top_share(tops, member, compared=compared, strata=stratum)
    assert plain.biased
    assert plain.gap == pytest.approx(0.6, abs=0.15)
    assert not inside.biased
    assert abs(inside.gap) < 0.1


def test_what_cannot_be_audited_is_refused() -> None:
    with pytest.raises(SpaceError, match="a part of the whole"):
        audit_top_share(np.array([[0]]), np.ones(3, dtype=bool))
    with pytest.raises(SpaceError, match="both sides"):
        audit_top_share(np.array([[0]]), np.array([True, False]), compared=np.array([True]))


def test_what_is_in_the_vectors_is_readable_and_what_is_not_is_not() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((400, 6))
    clear = np.where(vectors[:, 0] > 0, "up", "down")
    number = vectors[:, 1] + 0.3 * generator.standard_normal(400)
    noise = np.where(generator.random(400) < 0.5, "x", "y")
    found = {
        name: measure_readability(vectors, encode_attribute(name, values))
        for name, values in {"clear": clear, "number": number, "noise": noise}.items()
    }
    assert {name: one.readable for name, one in found.items()} == {
        "clear": True,
        "number": True,
        "noise": False,
    }
    assert set(found["clear"].by_value) == {"up", "down"}
    assert found["number"].figure == pytest.approx(0.95, abs=0.03)
    assert found["noise"].figure == pytest.approx(0.5, abs=0.1)


def test_what_other_attributes_tell_is_no_sight_of_it() -> None:
    """An attribute that only goes along with one that is seen."""
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((2_000, 6))
    seen = vectors[:, 0] > 0
    along = np.where(generator.random(2_000) < 0.85, seen, ~seen)
    attribute = encode_attribute("along", np.where(along, "x", "y"))
    plain = measure_readability(vectors, attribute)
    beside = measure_readability(vectors, attribute, beside=seen[:, None].astype(float))
    assert plain.readable
    assert not beside.readable
    itself = measure_readability(vectors, encode_attribute("seen", seen), beside=along[:, None])
    assert itself.readable
    numbers = encode_attribute("number", seen + 0.3 * generator.standard_normal(2_000))
    assert measure_readability(vectors, numbers).readable
    assert not measure_readability(vectors, numbers, beside=seen[:, None]).readable
