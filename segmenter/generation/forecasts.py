"""What a user will do in the coming window, from the forecast heads, with intervals that hold.

The heads give one number. How far it is off is measured on the same store one window earlier:
users are forecast as of then and compared with what they did. The interval of a user takes the
errors of the users with the nearest forecasts.

References
----------
Lei et al.: "Distribution-Free Predictive Inference for Regression", JASA 2018: split conformal.
"""

from dataclasses import dataclass

import numpy as np
import torch

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.autoencoder.forecast import forecast_fields, window_targets
from segmenter.errors import SpaceError
from segmenter.events.batches import SequenceReader, history_ends, users_until
from segmenter.events.store import EventStore
from segmenter.events.vocabulary import FIRST

TOTALS = ("events", "active days", "value")
N_NEAR = 200
"""Users with the nearest forecasts, whose errors make an interval."""
MIN_BACKTEST = 50
MAX_BACKTEST = 5_000
COVERED = 0.9
N_LIKELY = 8


@dataclass(frozen=True)
class Expected:
    """One amount in the coming window.

    Attributes
    ----------
    name
        ``"events"``, ``"active days"`` or ``"value"``.
    value
        Median of what such users do, as the heads have it, corrected by their errors before.
    low, high
        Interval that holds nine of ten.
    """

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Likely:
    """One thing that a user may do in the coming window.

    Attributes
    ----------
    field, value
        Such as ``category`` and one of its values.
    chance
        That it occurs at all.
    usual
        Share of training windows in which it occurs.
    """

    field: str
    value: str
    chance: float
    usual: float


@dataclass(frozen=True)
class Forecast:
    """The coming window of one user.

    Attributes
    ----------
    window_days
        Its length.
    totals
        Amounts with intervals.
    likely
        What is likeliest relative to how usual it is, most first.
    n_backtest
        Users whose errors one window earlier make the intervals.
    """

    window_days: float
    totals: tuple[Expected, ...]
    likely: tuple[Likely, ...]
    n_backtest: int


@dataclass(frozen=True)
class Backtest:
    """Forecasts one window ago and what came.

    Attributes
    ----------
    forecast, happened
        float64 [n, T], ``log(1 + amount)`` of each total.
    """

    forecast: np.ndarray
    happened: np.ndarray

    def interval(self, total: int, forecast: float) -> tuple[float, float, float]:
        """Median and ends of the interval around a forecast of a total, same scale."""
        near = np.argsort(np.abs(self.forecast[:, total] - forecast), kind="stable")[:N_NEAR]
        errors = self.happened[near, total] - self.forecast[near, total]
        edge = (1 - COVERED) / 2
        middle, low, high = np.quantile(errors, [0.5, edge, 1 - edge])
        return forecast + middle, max(forecast + low, 0.0), max(forecast + high, 0.0)


def backtest(model: AudienceModel, store: EventStore, *, as_of: int) -> Backtest:
    """Forecast the window before `as_of` and compare.

    Raises
    ------
    SpaceError
        If fewer than 50 users have an event before that window.
    """
    cut = as_of - round(model.network.config.window_days * DAY_US)
    users = users_until(store, cut) if cut > store.oldest else np.zeros(0, dtype=np.int64)
    if len(users) < MIN_BACKTEST:
        message = (
            f"intervals need at least {MIN_BACKTEST} users with events before the window of "
            f"{model.network.config.window_days:g} days that ends at the as-of time; found "
            f"{len(users)}; give a later --as-of or a longer log"
        )
        raise SpaceError(message)
    users = users[:: -(-len(users) // MAX_BACKTEST)]
    starts, ends = (history_ends(store, users, moment) for moment in (cut, as_of))
    reader = SequenceReader(store, model.network.vocabulary)
    window = reader.between(starts, ends, np.full(len(users), cut))
    happened = window_targets(window, model.network.vocabulary).totals
    return Backtest(_totals(model, store, users, as_of=cut), happened.double().numpy())


def forecast_user(
    model: AudienceModel, store: EventStore, user: int, *, as_of: int, errors: Backtest
) -> Forecast:
    """Forecast one user.

    Parameters
    ----------
    model, store
        The model and the user's events.
    user
        Row of the store.
    as_of
        Microseconds; the window begins then.
    errors
        From `backtest`.
    """
    rows = np.array([user])
    totals = _totals(model, store, rows, as_of=as_of)[0]
    expected = [
        Expected(name, *np.expm1(errors.interval(place, float(totals[place]))).tolist())
        for place, name in enumerate(TOTALS[: len(totals)])
    ]
    return Forecast(
        model.network.config.window_days,
        tuple(expected),
        _likely(model, _forecast_part(model, store, rows, as_of=as_of)),
        len(errors.forecast),
    )


def _forecast_part(
    model: AudienceModel, store: EventStore, users: np.ndarray, *, as_of: int
) -> torch.Tensor:
    """Forecast parts float32 [n, F] of users."""
    embeddings = model.embed(store, users, as_of=as_of)
    return torch.from_numpy(embeddings[:, : model.network.config.forecast_dimensions])


def _totals(
    model: AudienceModel, store: EventStore, users: np.ndarray, *, as_of: int
) -> np.ndarray:
    """Forecast ``log(1 + amount)`` of each total, float64 [n, T]."""
    heads = model.network.forecast_heads
    with torch.inference_mode():
        scaled = heads.totals(_forecast_part(model, store, users, as_of=as_of))
        return (scaled * heads.totals_scale + heads.totals_mean).double().numpy()


def _likely(model: AudienceModel, forecast: torch.Tensor) -> tuple[Likely, ...]:
    """What one user does more likely than others, by the log-odds ratio."""
    heads, vocabulary = model.network.forecast_heads, model.network.vocabulary
    found = []
    for field, name in enumerate(forecast_fields(vocabulary)):
        with torch.inference_mode():
            chances = torch.sigmoid(heads.occurrences[field](forecast))[0]
        usual = heads.base_rate(field)
        found += [
            Likely(name, vocabulary.label(name, code + FIRST), chance, base)
            for code, (chance, base) in enumerate(
                zip(chances.tolist(), usual.tolist(), strict=True)
            )
            if 0 < base < 1
        ]
    found.sort(key=lambda one: -_gain(one))
    return tuple(found[:N_LIKELY])


def _gain(one: Likely) -> float:
    """Nats by which a user's chance speaks for a thing beyond its usual share."""
    return one.chance * float(np.log(max(one.chance, 1e-9) / one.usual))
