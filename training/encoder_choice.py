"""Hybrid or profile-only: whether the forecast part may learn from sequences at all.

With few users, or without time after any cut, gradient steps would learn noise: the forecast part
then is a fixed map of the profile. Otherwise both are held against an earlier slice of time
inside the training period, and the profile alone is taken where sequences only cost.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from segmenter.audience_model import BATCH_EVENTS, BATCH_USERS
from segmenter.autoencoder.model import SequenceAutoencoder
from segmenter.events.batches import EventBatch, SequenceReader, users_until
from segmenter.files import read_json, write_json
from training.config import TrainConfig
from training.inner_slice import inner_slice, sampled_rows
from training.prepare import Prepared

HYBRID, PROFILE = "hybrid", "profile"
MIN_USERS = 1_000
"""Fewer users than this teach a network little that their profiles do not say."""
COMPARED_SEGMENTS = 24
"""Segments by which both spaces are compared; fewer where fewer may be published."""
N_STARTS = 4


@dataclass(frozen=True)
class EncoderChoice:
    """What the forecast part reads, and why.

    Attributes
    ----------
    kind
        ``"hybrid"``: profile and sequence, learned; ``"profile"``: a fixed map of the profile.
    reason
        A sentence.
    hybrid, profile
        Validity of segments in either space on the earlier slice; None where they were not
        compared.
    """

    kind: str
    reason: str
    hybrid: float | None = None
    profile: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)

    @classmethod
    def kept(cls, path: Path) -> Self | None:
        """The choice that an earlier run of the job has made, or None."""
        return cls(**read_json(path)) if path.exists() else None

    def keep(self, path: Path) -> Self:
        """Write the choice down for a later run of the job."""
        write_json(path, self.to_json())
        return self


def forced_choice(prepared: Prepared, config: TrainConfig, *, as_of: int) -> EncoderChoice | None:
    """The choice that the data or the settings leave no doubt about, or None.

    Parameters
    ----------
    prepared
        What is to be learned from.
    config
        Settings.
    as_of
        End of the training period in microseconds.
    """
    if config.encoder is not None:
        return EncoderChoice(config.encoder, "the settings ask for it")
    n_users = len(users_until(prepared.reader.store, as_of))
    if n_users < MIN_USERS:
        reason = f"{n_users:,} users are fewer than the {MIN_USERS:,} that a sequence model needs"
        return EncoderChoice(PROFILE, reason)
    if not prepared.histories.window_days:
        return EncoderChoice(PROFILE, "there is no time after any cut to learn from")
    return None


def inherited_choice(start: SequenceAutoencoder) -> EncoderChoice:
    """What the network that training goes on from reads: it stays so.

    Parameters
    ----------
    start
        A trained network.
    """
    kind = HYBRID if start.forecast_encoder.reads_sequences else PROFILE
    return EncoderChoice(kind, "the model that training started from does the same")


def compared_choice(prepared: Prepared, config: TrainConfig, *, as_of: int) -> EncoderChoice:
    """Hold the trained forecast part and the profile against an earlier slice of time.

    The profile is taken where it is ahead by more than one standard error.

    Parameters
    ----------
    prepared
        With the forecast part trained.
    config
        Settings.
    as_of
        End of the training period in microseconds; the slice ends there.
    """
    reader, cut, seed = prepared.reader, int(prepared.histories.cuts.max()), config.seed
    users = users_until(reader.store, cut)
    users = users[sampled_rows(len(users), seed=seed)]
    model = prepared.model.eval()

    def both(batch: EventBatch) -> Tensor:
        profile = model.profile(batch)
        return torch.cat([model.forecast_encoder(batch, profile), profile], dim=1)

    read = _read_users(reader, users, as_of=cut, what=both)
    earlier = inner_slice(reader.store, users, read, cut=cut, end=as_of, seed=seed)
    if earlier is None:
        return EncoderChoice(HYBRID, "nothing varies enough on the earlier slice to compare by")
    n_forecast, drawn = model.config.forecast_dimensions, {}
    spaces = {HYBRID: read[:, :n_forecast], PROFILE: _components(read[:, n_forecast:], n_forecast)}
    n_segments = min(COMPARED_SEGMENTS, config.max_segments, len(users))
    for kind, space in spaces.items():
        grouped = KMeans(n_segments, n_init=N_STARTS, random_state=seed).fit(space)
        drawn[kind] = earlier.validity(grouped.labels_, seed=seed)
    return _better(drawn[HYBRID], drawn[PROFILE])


def _better(hybrid: np.ndarray, profile: np.ndarray) -> EncoderChoice:
    """Compare validities float64 [1 + draws] of the same users."""
    ahead = profile - hybrid
    error = float(ahead[1:].std(ddof=1))
    kind = PROFILE if ahead[0] > error else HYBRID
    reason = (
        f"on an earlier slice segments with sequences score {hybrid[0]:.3f}, those of the profile "
        f"alone {profile[0]:.3f} (standard error of the difference {error:.3f})"
    )
    return EncoderChoice(kind, reason, float(hybrid[0]), float(profile[0]))


def read_profile_only(prepared: Prepared, config: TrainConfig, *, as_of: int) -> None:
    """Make the forecast part a fixed map: the principal components of the users' profiles.

    Parameters
    ----------
    prepared
        Its model is changed in place.
    config
        Settings.
    as_of
        End of the training period in microseconds.
    """
    model, reader = prepared.model.eval(), prepared.reader
    users = users_until(reader.store, as_of)
    users = users[sampled_rows(len(users), seed=config.seed)]
    profiles = _read_users(reader, users, as_of=as_of, what=model.profile)
    directions = _directions(profiles, model.config.forecast_dimensions)
    model.forecast_encoder.read_profile_only(torch.from_numpy(directions))


def _components(profiles: np.ndarray, n_components: int) -> np.ndarray:
    """Principal components of profiles, float32 [n, d]."""
    return profiles @ _directions(profiles, n_components).T


def _directions(profiles: np.ndarray, n_components: int) -> np.ndarray:
    """Main directions of profiles float32 [n, P], orthonormal rows [d, P]; zeros where few."""
    directions = np.zeros((n_components, profiles.shape[1]), dtype=np.float32)
    rank = min(n_components, *profiles.shape)
    directions[:rank] = PCA(rank, svd_solver="full").fit(profiles).components_
    return directions


def _read_users(
    reader: SequenceReader,
    users: np.ndarray,
    *,
    as_of: int,
    what: Callable[[EventBatch], Tensor],
) -> np.ndarray:
    """Something of each user's history up to a time, float32 [n, W]."""
    places, parts = [], []
    with torch.inference_mode():
        for rows, batch in reader.batches(
            users, as_of=as_of, max_events=BATCH_EVENTS, max_users=BATCH_USERS
        ):
            places.append(rows)
            parts.append(what(batch).numpy())
    read = np.empty((len(users), parts[0].shape[1]), dtype=np.float32)
    read[np.concatenate(places)] = np.concatenate(parts)
    return read
