"""One model looked at on the slice: everything that the gates compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.model import Latent, SequenceAutoencoder
from segmenter.bundle import MANIFEST, read_bundle
from segmenter.errors import BundleError
from segmenter.events.batches import EventBatch, SequenceReader
from segmenter.events.vocabulary import OTHER
from segmenter.registry import ResolvedModel
from segmenter.segments.assignment import Assignment
from training.review.online import OnlineCheck, check_online
from training.review.proof import Proof, prove
from training.review.slices import Slice

N_DECODED = 2_000
"""Users whose histories are decoded."""
DECODED_EVENTS = 50_000


@dataclass(frozen=True)
class Side:
    """A model on the slice.

    Attributes
    ----------
    resolved, model
        The version and its bundle, loaded.
    report
        What its training reported; empty for a bundle without a report.
    embeddings
        float32 [n, D] of the users of the slice.
    found
        Their segments.
    reconstruction
        Share of the surprise at a history that its embedding takes away, mean over fields:
        0 says no more than the average user, 1 everything.
    unknown_growth
        Growth of the share of event values that the model does not know; None where there are
        no later events.
    online
        Users asked about one at a time.
    proof
        Of the fresh process; None where it refused, for the reason in `refusal`, and of a
        champion, which was not asked.
    refusal
        Why a fresh process refused the bundle; empty where it did not.
    size_mb
        Of the bundle.
    """

    resolved: ResolvedModel
    model: AudienceModel
    report: Mapping[str, Any]
    embeddings: np.ndarray
    found: Assignment
    reconstruction: float
    unknown_growth: float | None
    online: OnlineCheck
    proof: Proof | None
    refusal: str
    size_mb: float

    @property
    def label(self) -> str:
        """``name/3``."""
        return self.resolved.label

    @property
    def names(self) -> dict[int, str]:
        """Segment id to name."""
        return {segment.id: segment.name for segment in self.model.segments}

    @property
    def sizes(self) -> dict[int, int]:
        """Segment id to users of the slice."""
        ids, counts = np.unique(self.found.segment_id, return_counts=True)
        found = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        published = self.model.assigner.segment_ids.tolist()
        return {number: found.get(number, 0) for number in published}


def look(resolved: ResolvedModel, part: Slice, *, must_prove: bool) -> Side:
    """Look at a version on a slice; a challenger must prove itself in a fresh process.

    Raises
    ------
    BundleError
        If the bundle does not load.
    """
    model = AudienceModel.load(resolved.folder)
    content = read_bundle(resolved.folder).documents
    embeddings = model.embed(part.store, part.users, as_of=part.as_of)
    proof, refusal = _proof(resolved) if must_prove else (None, "")
    files = [path for path in resolved.folder.iterdir() if path.name != MANIFEST]
    return Side(
        resolved,
        model,
        content.get("report", {}),
        embeddings,
        model.assign(embeddings),
        reconstruction(model.network, part),
        unknown_growth(model, part),
        check_online(model, part, embeddings),
        proof,
        refusal,
        sum(path.stat().st_size for path in files) / 1e6,
    )


def _proof(resolved: ResolvedModel) -> tuple[Proof | None, str]:
    try:
        return prove(resolved.folder), ""
    except BundleError as error:
        return None, str(error)


def reconstruction(network: SequenceAutoencoder, part: Slice) -> float:
    """Share of the surprise at what happened that an embedding takes away, mean over fields.

    Each field's histogram of a history is decoded from the user's own latent and from the mean of
    all latents; the share is 1 minus the ratio of the two negative log-likelihoods. Unlike a loss
    in nats it can be compared between vocabularies.

    Parameters
    ----------
    network
        The network.
    part
        The slice, of which at most `N_DECODED` users are decoded.
    """
    users = _some(part, N_DECODED)
    reader = SequenceReader(part.store, network.vocabulary)
    batches = [
        batch for _, batch in reader.batches(users, as_of=part.as_of, max_events=DECODED_EVENTS)
    ]
    with torch.inference_mode():
        latents = [network.encode(batch) for batch in batches]
        mean = Latent(
            torch.cat([latent.forecast for latent in latents]).mean(dim=0, keepdim=True),
            torch.cat([latent.taste for latent in latents]).mean(dim=0, keepdim=True),
        )
        own: dict[str, float] = {}
        average: dict[str, float] = {}
        for batch, latent in zip(batches, latents, strict=True):
            recent = batch.tail(network.config.sequence_events)
            middle = network.decoder_input(mean).expand(len(batch), -1)
            for sums, read in ((own, network.decoder_input(latent)), (average, middle)):
                for name, nll in network.decoder.bag_nll(read, recent).items():
                    sums[name] = sums.get(name, 0.0) + float(nll.sum())
    shares = [1 - own[name] / average[name] for name in own if average[name] > 0]
    return float(np.mean(shares)) if shares else 0.0


def unknown_growth(model: AudienceModel, part: Slice) -> float | None:
    """How many more event values are unknown after the fit than before it, as a share.

    A model knows the frequent values only, so that some are always unknown; what tells is more of
    them. None where the store has no event of these users after the fit.
    """
    reader, users = SequenceReader(part.store, model.network.vocabulary), _some(part, N_DECODED)
    first, last = np.asarray(part.store.offsets)[users], np.asarray(part.store.offsets)[users + 1]
    fit = reader.ends(users, model.trained_as_of)
    if not (last > fit).any():
        return None
    bound = np.full(len(users), part.store.newest)
    before, after = reader.between(first, fit, bound), reader.between(fit, last, bound)
    return _unknown(after) - _unknown(before)


def _unknown(batch: EventBatch) -> float:
    """Share of the values that the model does not know, mean over fields."""
    present = [codes[codes > 0] for codes in batch.codes.values()]
    shares = [float((codes == OTHER).double().mean()) for codes in present if len(codes)]
    return float(np.mean(shares)) if shares else 0.0


def _some(part: Slice, n_users: int) -> np.ndarray:
    """At most so many users of a slice."""
    if len(part.users) <= n_users:
        return part.users
    generator = np.random.default_rng(part.seed)
    return np.sort(generator.choice(part.users, n_users, replace=False))
