"""The model registry, read side: from what a person calls a model to a verified bundle folder.

What writes versions lives in the training room.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmenter.bundle import MANIFEST, read_manifest
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.mlflow_home import import_mlflow
from segmenter.tracking_server import Registry

CHAMPION, CHALLENGER = "champion", "challenger"
DIGEST_TAG = "bundle.sha256"


@dataclass(frozen=True)
class ResolvedModel:
    """A model that was found and whose bundle is the one that was registered.

    Attributes
    ----------
    name
        Registered name; of a plain folder, the folder's name.
    version
        Number of the registered version; None for a plain folder.
    aliases
        Aliases of the version, sorted.
    folder
        The bundle.
    run_id
        Run that made the version; None for a plain folder.
    digest
        SHA-256 identity of the bundle.
    """

    name: str
    version: int | None
    aliases: tuple[str, ...]
    folder: Path
    run_id: str | None
    digest: str

    @property
    def label(self) -> str:
        """What outputs are stamped with: ``name/3``, or the bundle's digest for a plain folder."""
        return self.digest if self.version is None else f"{self.name}/{self.version}"


@dataclass(frozen=True)
class RegisteredModel:
    """A name in the registry.

    Attributes
    ----------
    name
        The name.
    versions
        Numbers of its versions, newest first.
    aliases
        Alias to version number.
    """

    name: str
    versions: tuple[int, ...]
    aliases: dict[str, int]


def check_model_name(name: str) -> None:
    """Refuse a name that MLflow refuses, or that `resolve` would read as something else.

    To be asked before a training job, which registers its model at the end.

    Raises
    ------
    ConfigError
        If the name is none.
    """
    if not re.fullmatch(r"[^\W_]([\w .-]*[\w])?", name):
        message = (
            "a model's name must begin with a letter or a digit and hold only letters, digits, "
            f"spaces, and . _ - inside; found {name!r}; pass another --name"
        )
        raise ConfigError(message)


def resolve(home: Registry, spec: str | None = None) -> ResolvedModel:
    """Find a model and check that its bundle is the one that was registered.

    Parameters
    ----------
    home
        Where registered models live, a folder or a server; not touched when `spec` is a folder.
    spec
        ``name@alias``, ``name/version``, or the folder of a bundle. None takes the champion of
        the only registered model.

    Returns
    -------
    ResolvedModel
        The model and its bundle folder. The digest was compared with the manifest; the content
        of each file is compared when the bundle is loaded.

    Raises
    ------
    RegistryError
        If there is no such model, version or alias, or its bundle is missing or another one; the
        message lists what exists.
    BundleError
        If `spec` is a folder that is no bundle.
    """
    if spec is not None and _is_folder(spec):
        folder = Path(spec).expanduser()
        digest = read_manifest(folder)["digest"]
        return ResolvedModel(folder.resolve().name, None, (), folder, None, digest)
    client = home.client()
    with _readable(home):
        if spec is None:
            spec = f"{_only_model(home, client)}@{CHAMPION}"
        name, version = _find_version(home, client, spec)
        return _verified(home, client, client.get_model_version(name, str(version)))


def list_models(home: Registry) -> tuple[RegisteredModel, ...]:
    """Every registered model with its versions and aliases, sorted by name.

    Raises
    ------
    RegistryError
        If there is no usable home.
    """
    client = home.client()
    with _readable(home):
        return _list_models(client)


def aliases_of(client: Any, name: str, version: int) -> tuple[str, ...]:  # noqa: ANN401
    """Aliases of a version, sorted.

    The searches of MLflow answer without aliases (mlflow issue 16734); the model knows them.
    """
    aliases = client.get_registered_model(name).aliases
    return tuple(sorted(alias for alias, number in aliases.items() if int(number) == version))


@contextmanager
def _readable(home: Registry) -> Iterator[None]:
    """Say in our own words that MLflow cannot read its database."""
    exceptions = import_mlflow().exceptions
    try:
        yield
    except exceptions.MlflowException as error:
        reason = str(error).strip().splitlines()[0]
        message = f"cannot read the models of {home.path}: {reason}"
        raise RegistryError(message) from error


def _list_models(client: Any) -> tuple[RegisteredModel, ...]:  # noqa: ANN401
    # One search for all versions, sorted out here: a name with a quote does not fit into MLflow's
    # filters.
    found = [(v.name, int(v.version)) for v in all_pages(client.search_model_versions)]
    models = []
    for name in sorted(model.name for model in all_pages(client.search_registered_models)):
        versions = sorted((number for owner, number in found if owner == name), reverse=True)
        aliases = client.get_registered_model(name).aliases
        known = {alias: int(number) for alias, number in sorted(aliases.items())}
        models.append(RegisteredModel(name, tuple(versions), known))
    return tuple(models)


def all_pages(search: Any) -> list[Any]:  # noqa: ANN401
    """Every result of one of MLflow's paged searches."""
    results, token = [], None
    while True:
        page = search(page_token=token)
        results.extend(page)
        token = page.token
        if not token:
            return results


def _is_folder(spec: str) -> bool:
    """Whether a person who writes `spec` means a folder."""
    return spec.startswith((".", "/", "~")) or (Path(spec) / MANIFEST).is_file()


def _only_model(home: Registry, client: Any) -> str:  # noqa: ANN401
    models = _list_models(client)
    usable = [model for model in models if model.versions]
    if len(usable) == 1:
        return usable[0].name
    message = (
        f"choose a model with --model MODEL@ALIAS or MODEL/VERSION; {_inventory(home, models)}"
    )
    raise RegistryError(message)


def _find_version(home: Registry, client: Any, spec: str) -> tuple[str, int]:  # noqa: ANN401
    """Name and version number that ``name@alias`` or ``name/version`` stands for."""
    models = _list_models(client)
    parts = re.fullmatch(r"(?P<name>.+)@(?P<alias>[^@/]+)|(?P<other>.+)/(?P<number>\d+)", spec)
    if parts:
        name = parts["name"] or parts["other"]
        model = next((model for model in models if model.name == name), None)
        if model is not None and parts["alias"] in model.aliases:
            return name, model.aliases[parts["alias"]]
        if model is not None and parts["number"] and int(parts["number"]) in model.versions:
            return name, int(parts["number"])
    message = f"there is no model or bundle folder {spec}; {_inventory(home, models)}"
    raise RegistryError(message)


def _inventory(home: Registry, models: tuple[RegisteredModel, ...]) -> str:
    """What can be asked for instead."""
    choices = []
    for model in models:
        choices += [f"{model.name}@{alias}" for alias in model.aliases]
        choices += [f"{model.name}/{number}" for number in model.versions[:5]]
    if not choices:
        return (
            f"{home.path} holds no registered model: "
            "train one with `segmenter train`, or pass the folder of a bundle"
        )
    return f"{home.path} holds {', '.join(choices)}"


def _verified(home: Registry, client: Any, version: Any) -> ResolvedModel:  # noqa: ANN401
    """The version's bundle, compared with the digest that was registered."""
    label = f"{version.name}/{version.version}"
    place = home.bundle_place(client, version)
    manifests = sorted(place.glob(f"data/*/{MANIFEST}"))
    registered = version.tags.get(DIGEST_TAG)
    place = home.bundle_place(client, version)
    manifests = sorted(place.glob(f"data/*/{MANIFEST}"))
    if registered is None or not manifests:
        found = "its files are missing" if registered else f"it has no tag {DIGEST_TAG}"
        message = (
            f"model {label} cannot be used: {found} (looked in {place}); "
            "choose another version, or train again"
        )
        raise RegistryError(message)
    folder = manifests[0].parent
    try:
        digest = read_manifest(folder)["digest"]
    except BundleError as error:
        message = f"model {label} cannot be used: {error}"
        raise RegistryError(message) from error
    if digest != registered:
        message = (
            f"model {label} is not what was registered: its bundle has digest {digest[:12]}, "
            f"registered was {registered[:12]}; choose another version, or train again"
        )
        raise RegistryError(message)
    number = int(version.version)
    aliases = aliases_of(client, version.name, number)
    return ResolvedModel(version.name, number, aliases, folder, version.run_id, digest)
