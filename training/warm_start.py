"""Starting a training job from an earlier model: which one, and whether it may be gone on from.

A refit keeps the network of its parent (sizes, window, vocabulary, scales, weights) and learns on
with fewer and smaller steps, so that its embeddings stay where they were. How the network grows is
told in `segmenter.autoencoder.growth`; how far it moved, in `training.refit`.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from segmenter.audience_model import AudienceModel
from segmenter.autoencoder.config import DAY_US
from segmenter.clock import iso
from segmenter.errors import ConfigError, FitError
from segmenter.mlflow_home import MlflowHome
from segmenter.registry import resolve
from training.config import TrainConfig


@dataclass(frozen=True)
class WarmStart:
    """An earlier model that training goes on from.

    Attributes
    ----------
    label
        ``name/3``, or the digest of a plain folder.
    name
        Its registered name; None for a plain folder.
    model
        As loaded.
    """

    label: str
    name: str | None
    model: AudienceModel

    def to_json(self) -> dict[str, str]:
        """What a bundle remembers of its parent, in plain form."""
        as_of = iso(self.model.trained_as_of)
        return {"label": self.label, "digest": self.model.digest, "as_of": as_of}

    def settings(self) -> dict[str, Any]:
        """Settings that a refit takes over where it is told no others."""
        known = {item.name for item in fields(TrainConfig)}
        kept = self.model.training.get("config", {})
        inherited = {name: value for name, value in kept.items() if name in known}
        return inherited | ({"name": self.name} if self.name else {})

    def learning(self, config: TrainConfig) -> TrainConfig:
        """The settings by which a refit learns: the parent's window, and few, small steps."""
        return replace(
            config,
            window_days=self.model.network.config.window_days,
            forecast_epochs=config.refit_forecast_epochs,
            taste_epochs=config.refit_taste_epochs,
            learning_rate=config.refit_learning_rate,
        )

    def check(self, config: TrainConfig, *, oldest: int, as_of: int) -> None:
        """Refuse a refit that the parent's network cannot carry.

        Parameters
        ----------
        config
            What was asked.
        oldest, as_of
            The observed time of the refit, microseconds.

        Raises
        ------
        ConfigError
            If a size, weight or window is asked for that the parent does not have.
        FitError
            If the parent knows events that come after the refit's, or its window does not fit
            into the observed time.
        """
        network = self.model.network.config
        asked = dict(config.model)
        if config.window_days is not None:
            asked["window_days"] = config.window_days
        kept = network.to_json()
        other = [name for name in asked if asked[name] != kept[name]]
        if other:
            found = ", ".join(f"{name} = {asked[name]} (there {kept[name]})" for name in other)
            message = (
                f"a refit keeps the network of {self.label}, so its settings must be the same; "
                f"found {found}; leave them out, or train without --from"
            )
            raise ConfigError(message)
        self._check_segments(config)
        if self.model.trained_as_of > as_of:
            message = (
                f"a refit must reach as far as its parent; {self.label} was trained on events "
                f"until {iso(self.model.trained_as_of)}, the refit would end at {iso(as_of)}; "
                "pass a later --until, or train without --from"
            )
            raise FitError(message)
        span = (as_of - oldest) / DAY_US
        if network.window_days >= span:
            message = (
                f"{self.label} looks {network.window_days:.3g} days ahead, so more than that must "
                f"be observed; found {span:.3g} days; train without --from"
            )
            raise FitError(message)

    def _check_segments(self, config: TrainConfig) -> None:
        """Refuse another number of segments than the parent's."""
        n_segments = len(self.model.segments)
        known = (None, n_segments, self.settings().get("n_segments"))
        if config.n_segments not in known:
            message = (
                f"a refit keeps the {n_segments} segments of {self.label} as far as the data bear "
                f"them out; found --segments {config.n_segments}; leave it out, or train without "
                "--from"
            )
            raise ConfigError(message)


def load_warm_start(mlruns: Path, spec: str) -> WarmStart:
    """Find the model to start from and load it.

    Parameters
    ----------
    mlruns
        The MLflow home.
    spec
        ``name@alias``, ``name/version`` or the folder of a bundle.

    Raises
    ------
    RegistryError
        If there is no such model.
    BundleError
        If it is damaged.
    """
    found = resolve(MlflowHome(mlruns), spec)
    name = None if found.version is None else found.name
    return WarmStart(found.label, name, AudienceModel.load(found.folder))
