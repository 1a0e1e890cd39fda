"""The training configuration: one frozen value from a small TOML file and flags."""

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.errors import ConfigError
from segmenter.segments.sensitive import all_topics

MODEL_SIZES = [item.name for item in fields(AutoencoderConfig) if item.name != "window_days"]
LOWEST = {
    "seed": 0,
    "n_cuts": 1,
    "min_events": 1,
    "max_histories": 1,
    "validation_share": 0,
    "forecast_epochs": 1,
    "taste_epochs": 1,
    "refit_forecast_epochs": 1,
    "refit_taste_epochs": 1,
    "refit_anchor": 0,
    "patience": 0,
    "forecast_batch_users": 1,
    "taste_batch_users": 1,
    "batch_events": 1,
    "n_segments": 1,
    "max_segments": 1,
    "taste_weight": 0,
    "taste_components": 0,
    "outsider_share": 0,
    "max_items": 1,
    "max_categories": 1,
    "max_types": 1,
    "max_extras": 1,
}
"""Smallest value of each setting that has one."""
OPTIONAL: dict[str, tuple[type, ...]] = {
    "window_days": (float, int),
    "n_segments": (int,),
    "taste_weight": (float, int),
    "encoder": (str,),
}
"""Settings that may be left to the data, with their types."""
ENCODERS = ("hybrid", "profile")
"""What the forecast part may read."""
SHARES = ("dropout", "blank_share")


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training run decides, frozen into the run and its bundle.

    Attributes
    ----------
    name
        Name of the registered model.
    seed
        Of every random choice.
    window_days
        Length of the coming window to learn from; None takes 26 % of the observed time, at most
        90 days.
    n_cuts
        Times inside the training period at which histories end and windows begin.
    min_events
        Events that a history needs before a cut to be learned from.
    max_histories
        Greatest number of (user, cut) histories to learn from; more are sampled.
    validation_share
        Share of users held out of the gradient steps, chosen by a stable hash of the id.
    forecast_epochs, taste_epochs, patience
        Passes of each stage, and passes without improvement before a stage stops.
    forecast_batch_users, taste_batch_users, batch_events
        Size of a batch in users, and its greatest number of events.
    learning_rate
        Peak of the one-cycle schedule of the first stage; the second stage uses the same.
    refit_forecast_epochs, refit_taste_epochs, refit_learning_rate
        The same for a job that starts from an earlier model.
    refit_anchor
        How strongly such a job holds embeddings where they were; 0 lets them go.
    n_segments
        Published segments; None chooses on an earlier slice inside the training period.
    max_segments
        Most segments to choose.
    taste_weight
        Spread of the taste part relative to the forecast part where segments are sought; None
        chooses on the same slice.
    encoder
        ``"hybrid"`` reads sequences, ``"profile"`` their profile alone; None chooses on the same
        slice, and the profile where users are few.
    taste_components
        Principal components of the taste part that take part.
    outsider_share
        Target for the share of users who belong to no segment: those farthest out.
    max_items, max_categories, max_types, max_extras
        Known values per field.
    model
        Overrides of network sizes and loss weights.
    sensitive
        Topic to terms, beside those of `segmenter.segments.sensitive`, which must not define a
        segment unseen.
    """

    name: str = "segmenter"
    seed: int = 0
    window_days: float | None = None
    n_cuts: int = 6
    min_events: int = 5
    max_histories: int = 400_000
    validation_share: float = 0.05
    forecast_epochs: int = 4
    taste_epochs: int = 2
    patience: int = 3
    forecast_batch_users: int = 256
    taste_batch_users: int = 64
    batch_events: int = 200_000
    learning_rate: float = 2e-3
    refit_forecast_epochs: int = 1
    refit_taste_epochs: int = 1
    refit_learning_rate: float = 1e-3
    refit_anchor: float = 100.0
    n_segments: int | None = None
    max_segments: int = 30
    taste_weight: float | None = None
    encoder: str | None = None
    taste_components: int = 8
    outsider_share: float = 0.01
    max_items: int = 1500
    max_categories: int = 500
    max_types: int = 64
    max_extras: int = 500
    model: dict[str, Any] = field(default_factory=dict)
    sensitive: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in fields(self):
            accepted = _accepted_types(item)
            _check_type(item.name, getattr(self, item.name), accepted)
        for name, lowest in LOWEST.items():
            value = getattr(self, name)
            if value is not None and not value >= lowest:
                message = f"{name} must be at least {lowest}; found {getattr(self, name)}"
                raise ConfigError(message)
        for name in ("learning_rate", "refit_learning_rate", "window_days"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                message = f"{name} must be a number above 0; found {value}"
                raise ConfigError(message)
        if self.encoder not in (None, *ENCODERS):
            message = f"encoder must be one of {', '.join(ENCODERS)}; found {self.encoder}"
            raise ConfigError(message)
        for name in ("validation_share", "outsider_share"):
            _check_below_one(name, getattr(self, name))
        check_model_sizes(self.model)
        all_topics(self.sensitive)

    @property
    def limits(self) -> dict[str, int]:
        """Known values per field, as the vocabulary wants them."""
        return {
            "event": self.max_types,
            "item": self.max_items,
            "category": self.max_categories,
            "extra": self.max_extras,
        }

    def autoencoder(self, window_days: float) -> AutoencoderConfig:
        """Sizes of the network for a window of `window_days`."""
        return replace(AutoencoderConfig(window_days=window_days), **self.model)

    def to_json(self) -> dict[str, Any]:
        """Plain form for the run and the bundle."""
        return asdict(self)


def check_model_sizes(settings: dict[str, Any]) -> None:
    """Refuse overrides of the network that it does not have or that cannot be.

    Raises
    ------
    ConfigError
        If a setting is unknown, of another type, negative, or a size of zero.
    """
    for name, value in settings.items():
        if name not in MODEL_SIZES:
            message = f"[model] has no setting {name}{_hint(name, MODEL_SIZES)}"
            raise ConfigError(message)
        accepted = _accepted_types(AutoencoderConfig.__dataclass_fields__[name])
        _check_type(f"[model] {name}", value, accepted)
        lowest = 1 if accepted == (int,) else 0
        if not lowest <= value < math.inf or (name in SHARES and value >= 1):
            below = " and below 1" if name in SHARES else ""
            message = f"[model] {name} must be at least {lowest}{below}; found {value}"
            raise ConfigError(message)


def _accepted_types(item: Field[Any]) -> tuple[type, ...]:
    """Types that a setting may have: its default's, and whole numbers where it has decimals."""
    if item.name in OPTIONAL:
        return (*OPTIONAL[item.name], type(None))
    if item.name in ("model", "sensitive"):
        return (dict,)
    return (float, int) if isinstance(item.default, float) else (type(item.default),)


def _check_type(name: str, value: object, accepted: tuple[type, ...]) -> None:
    """Refuse a value of another type, before hours are spent on it."""
    if isinstance(value, bool) or not isinstance(value, accepted):
        message = f"{name} must be of type {accepted[0].__name__}; found {value!r}"
        raise ConfigError(message)


def _check_below_one(name: str, share: float) -> None:
    """Refuse a share that leaves nobody."""
    if share >= 1:
        message = f"{name} must be below 1; found {share}"
        raise ConfigError(message)


def _hint(name: str, known: Sequence[str]) -> str:
    """What may have been meant by an unknown setting."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known settings: {', '.join(known)}"


def load_config(
    path: Path | None,
    *,
    inherited: Mapping[str, Any] | None = None,
    **flags: Any,  # noqa: ANN401 - any setting
) -> TrainConfig:
    """Read a TOML file and lay flags over it.

    Parameters
    ----------
    path
        The file; None takes the defaults.
    inherited
        Settings that the file wins over, such as those of the model that training starts from.
    **flags
        Settings that win over the file; None is no setting.

    Returns
    -------
    TrainConfig
        The frozen configuration.

    Raises
    ------
    ConfigError
        If the file is missing or no TOML, a setting is unknown or of another type.
    """
    settings: dict[str, Any] = {}
    if path is not None:
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            message = f"cannot read the configuration {path}: {error.strerror}"
            raise ConfigError(message) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            message = f"{path} is no TOML file: {error}"
            raise ConfigError(message) from error
    known = [item.name for item in fields(TrainConfig)]
    for name in settings:
        if name not in known:
            message = f"{path}: unknown setting {name}{_hint(name, known)}"
            raise ConfigError(message)
    given = {name: value for name, value in flags.items() if value is not None}
    return TrainConfig(**{**(inherited or {}), **settings, **given})
