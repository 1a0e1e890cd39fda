"""A fitted model in use: events to embeddings to segments, and one folder to keep it all.

The stages in order: `batch_of` or a store's reader → `embed` → `assign`. Fitting happens in the
training room; here nothing is learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.autoencoder.one_user.encoder import OneUserEncoder
from segmenter.bundle import BundleContent, read_bundle, write_bundle
from segmenter.clock import iso
from segmenter.errors import BundleError
from segmenter.events.batches import EventBatch, SequenceReader, batch_from_lists
from segmenter.golden import GoldenVectors
from segmenter.segments.assignment import Assignment, PrototypeAssigner
from segmenter.segments.coverage import CoverageRule
from segmenter.segments.hierarchy import Hierarchy
from segmenter.segments.lineage import NO_LINEAGE, Lineage
from segmenter.segments.projection import Projection
from segmenter.segments.segment import Segment
from segmenter.terminal import ProgressCallback

if TYPE_CHECKING:
    from segmenter.events.store import EventStore  # which brings polars along

BATCH_EVENTS = 16_000
BATCH_USERS = 1024
GOLDEN = "golden"
"""Document of a bundle with its golden vectors."""
HIERARCHY = "hierarchy"
"""File stem of the levels in a bundle."""


@dataclass(frozen=True)
class AudienceModel:
    """Network, segment coordinates, assigner and segment table of one fitted model.

    Attributes
    ----------
    network
        The trained autoencoder, in evaluation mode.
    projection
        Embeddings to segment coordinates.
    assigner
        Segment coordinates to segments.
    segments
        The published segments.
    training
        How the model came to be, in plain form: as-of time, configuration, digests of the data,
        figures of the fit.
    lineage
        The history of its segments and of those before them.
    digest
        Identity of the saved bundle; empty before it is saved.
    golden
        What the model said of histories of nobody when it was saved; None before, and of bundles
        older than these.
    hierarchy
        Macro and micro segments; None of a model that was made before there were any.
    """

    network: SequenceAutoencoder
    projection: Projection
    assigner: PrototypeAssigner
    segments: tuple[Segment, ...]
    training: dict[str, Any]
    lineage: Lineage = NO_LINEAGE
    digest: str = ""
    golden: GoldenVectors | None = None
    hierarchy: Hierarchy | None = None

    @property
    def embedding_dim(self) -> int:
        """Length of one embedding."""
        return self.network.embedding_dimensions

    @cached_property
    def one_user(self) -> OneUserEncoder:
        """Embeds one user at a time, quickly; made at its first use."""
        return OneUserEncoder(self.network)

    @property
    def trained_as_of(self) -> int:
        """Time of the newest event that the model was fitted on, in microseconds."""
        return int(self.training["as_of_us"])

    @property
    def coverage(self) -> CoverageRule | None:
        """What tells core, voted, second choice and outsider apart; None of earlier versions."""
        told = self.training.get("coverage")
        return None if told is None else CoverageRule.from_json(told)

    def with_lineage(self) -> "AudienceModel":
        """The same model; where its segments have no history, one that begins with this fit."""
        if self.lineage.histories:
            return self
        return replace(self, lineage=Lineage.begin(self.segments, at=iso(self.trained_as_of)))

    def embed(
        self,
        store: "EventStore",
        users: np.ndarray | None = None,
        *,
        as_of: int,
        progress: ProgressCallback | None = None,
    ) -> np.ndarray:
        """Embeddings of users of a store at a point in time.

        Parameters
        ----------
        store
            The events; values that the model does not know count as "other".
        users
            int64 rows of the store; None takes everybody.
        as_of
            Microseconds; only events at or before it are read.
        progress
            Told of (users done, users in all).

        Returns
        -------
        numpy.ndarray
            float32 [n, embedding_dim], one row per user in the order given.
        """
        rows = np.arange(store.n_users) if users is None else users
        return embed_users(self.network, store, rows, as_of=as_of, progress=progress)

    def batch_of(
        self,
        columns: Mapping[str, Sequence[Sequence[Any] | None]],
        *,
        as_of: Sequence[int],
    ) -> EventBatch:
        """A batch from parallel lists per user; see `batch_from_lists`."""
        return batch_from_lists(self.network.vocabulary, columns, as_of)

    def embed_batch(self, batch: EventBatch) -> np.ndarray:
        """Embeddings float32 [B, embedding_dim] of one batch."""
        return embed_batch(self.network, batch)

    def assign(self, embeddings: np.ndarray) -> Assignment:
        """Segment, strength and second-best segment of each embedding.

        Parameters
        ----------
        embeddings
            float32 [n, embedding_dim].
        """
        return self.assigner.assign(self.projection(embeddings))

    def levels(
        self, embeddings: np.ndarray, segment_id: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Macro and micro segment of users whose segment is known, int32 [n] each.

        Parameters
        ----------
        embeddings
            float32 [n, embedding_dim].
        segment_id
            int32 [n], from `assign`.

        Returns
        -------
        tuple or None
            None of a model without levels.
        """
        if self.hierarchy is None:
            return None
        return self.hierarchy.place(self.projection(embeddings), segment_id)

    def save(self, folder: Path, *, documents: Mapping[str, Any] | None = None) -> "AudienceModel":
        """Write the model as a bundle, atomically.

        Parameters
        ----------
        folder
            Where it shall stand; an older bundle there is replaced.
        documents
            Further JSON values to keep with the model, such as its report; `load` ignores them.

        Returns
        -------
        AudienceModel
            The same model with its digest and golden vectors.
        """
        golden = GoldenVectors.of(self)
        weights = {name: value.cpu().numpy() for name, value in self.network.state_dict().items()}
        levels = self.hierarchy
        digest = write_bundle(
            folder,
            documents={
                "network": self.network.description(),
                "segments": [segment.to_json() for segment in self.segments],
                "training": self.training,
                "lineage": self.with_lineage().lineage.to_json(),
                GOLDEN: golden.to_json(),
                **({} if levels is None else {HIERARCHY: levels.to_json()}),
                **(documents or {}),
            },
            arrays={
                "weights": weights,
                "projection": self.projection.arrays(),
                "assigner": self.assigner.arrays(),
                **({} if levels is None else {HIERARCHY: levels.arrays()}),
            },
        )
        return replace(self, digest=digest, golden=golden)

    @classmethod
    def load(cls, folder: Path) -> "AudienceModel":
        """Read a bundle.

        Raises
        ------
        BundleError
            If the folder is damaged, incomplete, of a newer format, or its parts do not fit.
        """
        content = read_bundle(folder)
        golden = content.documents.get(GOLDEN)
        try:
            with torch.random.fork_rng(devices=[]):  # the weights are drawn only to be replaced
                network = SequenceAutoencoder.from_description(content.documents["network"])
            weights = content.arrays["weights"]
            network.load_state_dict(
                {name: torch.from_numpy(array) for name, array in weights.items()}
            )
            model = cls(
                network.eval(),
                Projection(**content.arrays["projection"]),
                PrototypeAssigner.from_arrays(content.arrays["assigner"]),
                tuple(Segment.from_json(plain) for plain in content.documents["segments"]),
                content.documents["training"],
                Lineage.from_json(content.documents.get("lineage", NO_LINEAGE.to_json())),
                content.digest,
                GoldenVectors.from_json(golden) if golden is not None else None,
                hierarchy_of(content),
            )
            model._check_parts()
        except (KeyError, TypeError, ValueError, RuntimeError, BundleError) as error:
            message = f"{folder} holds parts that do not fit together: {error}"
            raise BundleError(message) from error
        return model.with_lineage()

    def _check_parts(self) -> None:
        """Refuse what each part accepts alone and what would fail at the first user."""
        described = {segment.id for segment in self.segments}
        if not set(self.assigner.segment_ids.tolist()) <= described:
            message = (
                f"the assigner knows segments {self.assigner.segment_ids.tolist()}, "
                f"the segment table {sorted(described)}"
            )
            raise ValueError(message)
        if self.hierarchy is not None:
            width = self.assigner.prototypes.shape[1]
            self.hierarchy.check(self.assigner.ids.tolist(), width)
        self.assign(np.zeros((1, self.embedding_dim), dtype=np.float32))


def hierarchy_of(content: BundleContent) -> Hierarchy | None:
    """Levels that a bundle holds; None where it was made before there were any."""
    plain = content.documents.get(HIERARCHY)
    return None if plain is None else Hierarchy.from_json(plain, content.arrays[HIERARCHY])


def embed_batch(network: SequenceAutoencoder, batch: EventBatch) -> np.ndarray:
    """Embeddings float32 [B, D] of one batch, computed where the network lives."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        return network.encode(batch.to(device)).joined().cpu().numpy()


def embed_users(
    network: SequenceAutoencoder,
    store: "EventStore",
    users: np.ndarray,
    *,
    as_of: int,
    progress: ProgressCallback | None = None,
) -> np.ndarray:
    """Embeddings float32 [n, D] of store rows, read in batches of similar length."""
    reader = SequenceReader(store, network.vocabulary)
    result = np.empty((len(users), network.embedding_dimensions), dtype=np.float32)
    done = 0
    for places, batch in reader.batches(
        users, as_of=as_of, max_events=BATCH_EVENTS, max_users=BATCH_USERS
    ):
        result[places] = embed_batch(network, batch)
        done += len(places)
        if progress is not None:
            progress(done, len(users))
    return result
