"""What the commands of ``segmenter space`` ask for and keep."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from segmenter.errors import ConfigError, OutputError, SeedError, SpaceError
from segmenter.files import atomic_file
from segmenter.space.catalogue import Catalogue
from segmenter.space.directions import Direction
from segmenter.space.latent_space import LatentSpace
from segmenter.space.neighbors import nearest_rows
from segmenter.space.paths import Path as SpacePath, density_percentile
from segmenter.space.profiles import metadata_features
from segmenter.terminal import Terminal
from serving.space_tables import USER, OpenedSpace, read_users

N_CHANGES = 4
"""Things that change most along a path and are told at each step."""


def asked_point(
    space: LatentSpace,
    near: str | None,
    *,
    minus: str | None,
    plus: str | None,
    events: Path | None,
    model: str | None,
    mlruns: Path,
) -> np.ndarray:
    """The point float64 [d] of a search: a place, A - B + C, or described behaviour.

    Raises
    ------
    ConfigError
        If neither or both of a place and events are given, or events without a model.
    SpaceError
        If a place is not known, or the model's embeddings are of another length.
    """
    if near is not None and events is None:
        return space.point(near, minus=minus, plus=plus)
    if events is None or near is not None or model is None:
        message = "search needs either --near PLACE or --events FILE with --model; give one"
        raise ConfigError(message)
    point = _embedded(events, model, mlruns)
    if len(point) != space.vectors.shape[1]:
        message = (
            f"{model} makes embeddings of {len(point)} numbers, these have "
            f"{space.vectors.shape[1]}; give the model that made them"
        )
        raise SpaceError(message)
    return point


def _embedded(events: Path, model: str, mlruns: Path) -> np.ndarray:
    """Mean embedding of the users of a small log."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415 - torch takes two seconds
    from segmenter.events.ingest import ingest  # noqa: PLC0415
    from segmenter.events.store import EventStore  # noqa: PLC0415
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415

    loaded = AudienceModel.load(resolve(MlflowHome(mlruns), model).folder)
    with TemporaryDirectory(prefix="segmenter-events-") as place:
        ingest([events], Path(place) / "store")
        store = EventStore.open(Path(place) / "store")
        return loaded.embed(store, as_of=store.newest).mean(axis=0, dtype=np.float64)


def seed_rows(
    space: LatentSpace, listed: Path | None, group: str | None, *, terminal: Terminal
) -> np.ndarray:
    """Rows of a seed list; those of whom there is no embedding are counted and left out.

    Raises
    ------
    ConfigError
        If neither or both of a list and a group are given.
    SeedError
        If nobody of the list has an embedding.
    """
    if (listed is None) == (group is None):
        message = "look-alikes need either --seeds FILE or --seed-group GROUP; give one"
        raise ConfigError(message)
    if group is not None:
        return np.flatnonzero(space.group(group))
    assert listed is not None
    ids = read_users(listed)[USER].unique(maintain_order=True)
    here = ids.filter(ids.is_in(space.ids.implode()))
    if not len(here):
        message = f"nobody of the {len(ids):,} seeds of {listed} has an embedding; check the ids"
        raise SeedError(message)
    if len(here) < len(ids):
        n_missing = len(ids) - len(here)
        terminal.say(f"[yellow]{n_missing:,} of {len(ids):,} seeds have no embedding.[/yellow]")
    return space.rows(here.to_list())


def asked_direction(
    source: OpenedSpace,
    target_and_reference: tuple[str | None, str | None],
    *,
    name: str | None,
    without: Sequence[str],
    catalogue: Path | None,
    seed: int,
) -> Direction:
    """A direction between two groups, or one of a catalogue by its name.

    Raises
    ------
    ConfigError
        If it is neither named nor described.
    BundleError
        If the catalogue is damaged or missing.
    SpaceError
        If it cannot be found, or is of another space.
    """
    target, reference = target_and_reference
    if target is not None and reference is not None:
        return source.space.direction(target, reference, name=name, without=without, seed=seed)
    if target is None and reference is None and name is not None and catalogue is not None:
        return Catalogue.load(catalogue, space=source.identity)[name]
    message = (
        "a direction needs either --target and --reference or --name and --catalogue; give one "
        "pair"
    )
    raise ConfigError(message)


def keep_direction(folder: Path, found: Direction, *, space: str) -> int:
    """Add a direction to a catalogue, which is made when missing; returns the new version.

    Raises
    ------
    BundleError
        If the folder is damaged.
    SpaceError
        If it holds directions of another space.
    OutputError
        If it cannot be written.
    """
    before = Catalogue.load(folder, space=space) if folder.exists() else Catalogue(space, {})
    after = before.with_direction(found)
    try:
        after.save(folder)
    except OSError as error:
        message = f"cannot write {folder}: {error}; choose another folder"
        raise OutputError(message) from error
    return after.version


def described_steps(
    space: LatentSpace, path: SpacePath, *, n_neighbors: int
) -> list[dict[str, Any]]:
    """Each point of a path: how far it is, how crowded, who is near, and what is seen there."""
    rows, distances = nearest_rows(space.vectors, path.points, k=n_neighbors)
    crowded = density_percentile(space.vectors, path.points)
    features = metadata_features(space.metadata)
    changing = np.argsort(-np.abs(path.profiles[-1] - path.profiles[0]), kind="stable")
    told = changing[:N_CHANGES] if features.names else changing[:0]
    steps = []
    for place, profile in enumerate(path.profiles):
        near = space.ids.gather(rows[place]).to_list()
        seen = {
            features.names[one]: float(profile[one] * features.spread[one] + features.mean[one])
            for one in told.tolist()
        }
        steps.append(
            {
                "progress": float(path.progress[place]),
                "density_percentile": float(crowded[place]),
                "nearest": near,
                "distances": distances[place].tolist(),
                "around": seen,
                "point": path.points[place].tolist(),
            }
        )
    return steps


def write_table(out: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file, atomically; OutputError if that fails."""
    try:
        with atomic_file(out) as temporary:
            table.write_parquet(temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"cannot write {out}: {error}; choose another file"
        raise OutputError(message) from error
