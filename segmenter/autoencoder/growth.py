"""Growing a trained network with its vocabulary, so that training goes on where it stopped.

Every weight of the old network is copied to its place in the new one. Rows and columns for what is
new start where they change nothing: a new value starts as the "other" that it was until now, a new
field or feature starts unheard. The profile branch grows in `profile_growth`.
"""

import numpy as np
import torch
from torch import Tensor, nn

from segmenter.autoencoder.decoder import JourneyDecoder
from segmenter.autoencoder.encoder import ForecastEncoder, SequenceBranch, TasteEncoder
from segmenter.autoencoder.event_encoder import EventEncoder
from segmenter.autoencoder.forecast import ForecastHeads
from segmenter.autoencoder.likelihoods import NumberClasses
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.profile import ProfileBranch
from segmenter.autoencoder.profile_growth import profile_places
from segmenter.events.vocabulary import OTHER

MIN_RATE = 1e-4
"""Base rate that a new forecast value starts from at least: a logit must be finite."""


@torch.no_grad()
def grow_network(
    old: SequenceAutoencoder,
    profile: ProfileBranch,
    *,
    numbers: dict[str, NumberClasses],
    counts: dict[str, np.ndarray],
) -> SequenceAutoencoder:
    """Carry a trained network over to a grown vocabulary, all but its forecast heads.

    Parameters
    ----------
    old
        The trained network.
    profile
        The old profile branch, grown; its vocabulary becomes the network's.
    numbers
        Classes of the gap and of each numeric field; known fields keep their classes.
    counts
        Per categorical field int64 [V], training events of each model code.

    Returns
    -------
    SequenceAutoencoder
        Users who did nothing new have the embedding that the old network gives them. Weights that
        the old network has no place for are drawn from torch's global generator.
    """
    new = SequenceAutoencoder(profile.vocabulary, old.config, numbers=numbers, profile=profile)
    places = profile_places(new.profile, old.profile)
    _grow_encoder(new.forecast_encoder, old.forecast_encoder, places)
    _grow_encoder(new.taste_encoder, old.taste_encoder, places)
    deep, old_deep = new.forecast_encoder.from_profile_deep, old.forecast_encoder.from_profile_deep
    _grow_inputs(deep[0], old_deep[0], places)
    deep[-1].load_state_dict(old_deep[-1].state_dict())
    _grow_decoder(new.decoder, old.decoder, counts)
    _grow_outputs(new.profile_from_both, old.profile_from_both, places)
    new.forecast_scale.copy_(old.forecast_scale)
    return new


@torch.no_grad()
def grow_forecast_heads(new: SequenceAutoencoder, old: SequenceAutoencoder) -> None:
    """Carry the forecast heads over, once the base rates of the new windows are set.

    The scales of the totals stay, or the same latent would forecast other totals; the base rates
    are those of the new windows, since they weigh the losses and are no coordinates. Which values
    of a field are forecast follows from its known order: with more than `MAX_FORECAST_ITEMS` items
    these are the commonest of the first fit. A log that comes to have a category is forecast by
    category from then on, with a fresh head.

    Parameters
    ----------
    new
        From `grow_network`, after `ForecastHeads.set_scales`.
    old
        The trained network.
    """
    heads, trained = new.forecast_heads, old.forecast_heads
    _grow_outputs(heads.profile, trained.profile, profile_places(new.profile, old.profile))
    heads.totals[0].load_state_dict(trained.totals[0].state_dict())
    _copy_rows(heads.totals[-1], trained.totals[-1])
    n_totals = len(trained.totals_mean)
    heads.totals_mean[:n_totals] = trained.totals_mean
    heads.totals_scale[:n_totals] = trained.totals_scale
    for field, name in enumerate(heads.fields):
        known = list(trained.fields).index(name) if name in trained.fields else None
        _grow_forecast(heads, field, None if known is None else (trained, known))


def _grow_forecast(
    heads: ForecastHeads, field: int, known: tuple[ForecastHeads, int] | None
) -> None:
    """Let each new value start at its base rate for everybody.

    Of the shares: beside known logits a_k, a new logit log(r) + log sum exp(a) takes r parts to
    their one. Its expansion to first order in the latent is the mean of the known rows, weighted
    by their shares.
    """
    shares, occurrences, rate = (
        heads.shares[field],
        heads.occurrences[field],
        heads.base_rate(field),
    )
    rate = rate.clamp(MIN_RATE, 1 - MIN_RATE)
    occurrences.weight.zero_()
    occurrences.bias.copy_(torch.logit(rate))
    shares.weight.zero_()
    shares.bias.copy_(rate.log())
    if known is None:
        return
    trained, place = known
    old = trained.shares[place]
    n_known = old.out_features
    shares.weight[n_known:] = torch.softmax(old.bias, 0) @ old.weight
    shares.bias[n_known:] += torch.logsumexp(old.bias, 0) - rate[:n_known].sum().log()
    _copy_rows(shares, old)
    _copy_rows(occurrences, trained.occurrences[place])


def _grow_encoder(
    new: ForecastEncoder | TasteEncoder, old: ForecastEncoder | TasteEncoder, places: Tensor
) -> None:
    """Copy what both encoders have: the sequence branch and the linear maps to the latent."""
    branch: SequenceBranch = new.sequence
    _grow_events(branch.events, old.sequence.events)
    branch.recurrent.load_state_dict(old.sequence.recurrent.state_dict())
    new.from_sequence.load_state_dict(old.from_sequence.state_dict())
    _grow_inputs(new.from_profile, old.from_profile, places)


def _grow_events(new: EventEncoder, old: EventEncoder) -> None:
    """A new value has the vector of "other"; new fields and numbers add nothing yet."""
    for field, table in enumerate(new.embeddings):
        if field >= len(old.embeddings):
            table.weight.zero_()
            continue
        known = old.embeddings[field].weight
        table.weight[: len(known)] = known
        table.weight[len(known) :] = known[OTHER]
    new.numbers.weight.zero_()
    new.numbers.weight[:, : old.numbers.in_features] = old.numbers.weight
    new.numbers.bias.copy_(old.numbers.bias)
    new.norm.load_state_dict(old.norm.state_dict())


def _grow_decoder(new: JourneyDecoder, old: JourneyDecoder, counts: dict[str, np.ndarray]) -> None:
    """Heads in the chain are found by name: a new field stands before the gap and the numbers."""
    _grow_events(new.events, old.events)
    new.recurrent.load_state_dict(old.recurrent.state_dict())
    new.calendar.copy_(old.calendar)
    new.from_latent.load_state_dict(old.from_latent.state_dict())
    for link, name in enumerate(new.chain):
        if name not in old.chain:
            new.decided[link].weight.zero_()
            continue
        place = old.chain.index(name)
        table, known = new.decided[link].weight, old.decided[place].weight
        table[: len(known)] = known
        if name in new.fields:
            table[len(known) :] = known[OTHER]
            _split_other(new.heads[link], old.heads[place], counts[name])
            _split_other(new.bags[link], old.bags[place], counts[name])
        else:
            new.heads[link].load_state_dict(old.heads[place].state_dict())


def _split_other(new: nn.Linear, old: nn.Linear, counts: np.ndarray) -> None:
    """Share what was forecast for "other" among the new values and the rest, by their events."""
    _copy_rows(new, old)
    rows = torch.tensor([OTHER, *range(old.out_features, new.out_features)])
    shares = torch.from_numpy(counts[rows.numpy()]).float() + 1
    new.weight[rows] = old.weight[OTHER]
    new.bias[rows] = old.bias[OTHER] + torch.log(shares / shares.sum())


def _copy_rows(new: nn.Linear, old: nn.Linear) -> None:
    """Copy the outputs that the old layer has; they come first."""
    new.weight[: old.out_features] = old.weight
    new.bias[: old.out_features] = old.bias


def _grow_outputs(new: nn.Linear, old: nn.Linear, places: Tensor) -> None:
    """Copy outputs to their places; a new output says 0, the mean of a profile column."""
    new.weight.zero_()
    new.bias.zero_()
    new.weight[places] = old.weight
    new.bias[places] = old.bias


def _grow_inputs(new: nn.Linear, old: nn.Linear, places: Tensor) -> None:
    """Copy the weights of inputs to their places; a new input is not heard yet."""
    new.weight.zero_()
    new.weight[:, places] = old.weight
    new.bias.copy_(old.bias)
