"""Parts of the network against independent computations."""

import numpy as np
import torch
from hypothesis import given, settings, strategies as st
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import QuantileTransformer

from segmenter.autoencoder.likelihoods import NumberClasses, fit_number_classes
from segmenter.autoencoder.profile import normal_scores, tfidf_entries
from segmenter.autoencoder.recurrence import GatedRecurrence, _Scan
from tests.autoencoder.test_model import VOCABULARY, batch_of, random_lists


def test_the_scan_has_the_gradient_of_the_recurrence() -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (7, 3, 2)
    keep = torch.rand(shape, generator=generator, dtype=torch.double, requires_grad=True)
    new = torch.randn(shape, generator=generator, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(_Scan.apply, (keep, new))


def test_later_steps_do_not_change_earlier_states() -> None:
    layer = GatedRecurrence(4, 5)
    steps = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(layer(steps)[:, :6], layer(steps[:, :6]))
        assert layer(steps).abs().max() <= 1


def test_tfidf_equals_scikit_learns() -> None:
    batch = batch_of(random_lists(30, seed=1))
    size = VOCABULARY.size("category")
    counts = np.zeros((30, size))
    present = batch.codes["category"] > 0
    np.add.at(counts, (batch.owner[present].numpy(), batch.codes["category"][present].numpy()), 1)
    reference = TfidfTransformer(sublinear_tf=True).fit(counts)
    owner, code, weight = tfidf_entries(
        batch, "category", torch.from_numpy(reference.idf_).float()
    )
    ours = np.zeros((30, size))
    ours[owner.numpy(), code.numpy()] = weight.numpy()
    np.testing.assert_allclose(ours, reference.transform(counts).toarray(), atol=1e-5)


def test_normal_scores_agree_with_scikit_learns_quantile_transformer() -> None:
    generator = np.random.default_rng(2)
    smooth = generator.lognormal(0, 1, 500)
    lumpy = np.round(generator.exponential(2, 500))
    values = np.column_stack([smooth, lumpy])
    reference = QuantileTransformer(
        output_distribution="normal", n_quantiles=200, subsample=None
    ).fit(values)
    quantiles = torch.from_numpy(reference.quantiles_.T.copy()).float()
    ours = normal_scores(torch.from_numpy(values).float(), quantiles).numpy()
    theirs = reference.transform(values).clip(-3, 3)
    inner = np.abs(theirs) < 2.5
    assert np.abs(ours - theirs)[inner].max() < 0.06


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=200))
def test_every_number_has_one_class_and_order_is_kept(numbers: list[float]) -> None:
    values = np.array(numbers, dtype=np.float32)
    classes = fit_number_classes(values)
    assert NumberClasses.from_json(classes.to_json()) == classes
    probe = torch.tensor([*numbers, float("nan"), -1e9, 1e9])
    encoded = classes.encode(probe)
    assert int(encoded.min()) >= 0
    assert int(encoded.max()) < classes.n_classes
    assert int(encoded[len(numbers)]) == 0
    binned = encoded[: len(numbers)] > len(classes.atoms)
    order = torch.argsort(probe[: len(numbers)][binned])
    ranks = encoded[: len(numbers)][binned][order]
    assert bool((ranks[1:] >= ranks[:-1]).all())


def test_a_common_value_is_a_class_of_its_own() -> None:
    values = np.concatenate([np.zeros(500), np.linspace(0.1, 9, 500)]).astype(np.float32)
    classes = fit_number_classes(values)
    assert classes.atoms == (0.0,)
    assert int(classes.encode(torch.tensor([0.0]))) == 1
    assert classes.typical()[1] == 0.0
