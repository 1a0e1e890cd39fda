"""An MLflow tracking server in place of the home's folder: the same registry, over HTTP.

It offers what readers and reviewers use of `segmenter.mlflow_home.MlflowHome`. Training writes to
a folder and knows nothing of servers. Aliases are asked for without MLflow, which a serving
process does not hold in memory; versions and files by MLflow's client.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import Request, urlopen

from segmenter.bundle import MANIFEST, read_bundle
from segmenter.command_options import MLRUNS
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.files import atomic_folder
from segmenter.mlflow_home import MlflowHome, import_mlflow

VARIABLE = "MLFLOW_TRACKING_URI"
USERNAME, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
ALIAS, HEALTH = "/api/2.0/mlflow/registered-models/alias", "/health"
TIMEOUT_S = 10.0
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow 3 says of a model or an alias that is not there."""
N_CACHED = 5
"""Models that stay in the cache: enough to go back by."""
VARIABLES = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # else a server that went away is tried for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # which is for the command's one object
}
"""A value that the user has set wins."""


def _cache() -> Path:
    """Where fetched bundles are kept, for this user alone."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "segmenter" / "bundles"


@dataclass(frozen=True)
class TrackingServer:
    """A server that keeps runs and registered models.

    Attributes
    ----------
    uri
        ``http://HOST:PORT`` or ``https://...``; MLflow's own variables ``MLFLOW_TRACKING_TOKEN``
        or ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD`` name who asks.
    cache
        Folder of fetched models, each under its digest.

    Raises
    ------
    ConfigError
        If `uri` is no address of a server.
    """

    uri: str
    cache: Path = field(default_factory=_cache)

    def __post_init__(self) -> None:
        if not is_server(self.uri):
            message = (
                "a tracking server has an address with http:// or https://; "
                "name a folder with --mlruns DIR instead"
            )
            raise ConfigError(message)

    @property
    def path(self) -> str:
        """What messages call it: the address without who asks."""
        parts = urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Nothing is locked: a server has no lock to give; see `training.review.server_log`."""
        yield

    def prepare(self) -> "TrackingServer":
        """The server itself, checked; it is never made."""
        self.check()
        return self

    def check(self) -> None:
        """Refuse a server that does not answer.

        Raises
        ------
        RegistryError
            With its address.
        """
        try:
            with urlopen(self._request(HEALTH), timeout=TIMEOUT_S):  # noqa: S310 - http alone
                return
        except (URLError, OSError, ValueError) as error:
            message = (
                f"the tracking server {self.path} does not answer ({error}); start it, or name "
                "another with --tracking-uri"
            )
            raise RegistryError(message) from error

    def client(self) -> Any:  # noqa: ANN401 - mlflow.MlflowClient, imported only when used
        """An `mlflow.MlflowClient` on this server alone, whatever the environment says.

        Raises
        ------
        RegistryError
            If the server does not answer.
        """
        for name, value in VARIABLES.items():
            os.environ.setdefault(name, value)
        self.check()
        # MLflow tells the whole address in its errors: who asks goes another way.
        os.environ.update(_named_in(self.uri))
        return import_mlflow().MlflowClient(tracking_uri=self.path, registry_uri=self.path)

    def alias_version(self, name: str, alias: str) -> int | None:
        """Version that an alias of a model stands for, without MLflow; None if there is none.

        Raises
        ------
        RegistryError
            If the server does not answer, or answers something else.
        """
        asked = self._request(f"{ALIAS}?{urlencode({'name': name, 'alias': alias})}")
        try:
            with urlopen(asked, timeout=TIMEOUT_S) as answer:  # noqa: S310 - http alone
                return int(json.load(answer)["model_version"]["version"])
        except HTTPError as error:
            if _error_code(error) in MISSING:
                return None
            reason = f"it answered {error.code} {HTTPStatus(error.code).phrase}"
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error)
        message = f"cannot read the aliases of {self.path}: {reason}; look whether it runs"
        raise RegistryError(message)

    def experiment_place(self, name: str) -> None:
        """Where a new experiment keeps its files: the server decides."""

    def bundle_place(self, client: Any, version: Any) -> Path:  # noqa: ANN401 - of MLflow
        """Folder with the files of a version's model, fetched unless the cache has them whole.

        Parameters
        ----------
        client
            From `client`.
        version
            MLflow's model version, with the digest of its bundle in a tag.

        Raises
        ------
        RegistryError
            If the files cannot be fetched or written.
        """
        digest = str(version.tags.get("bundle.sha256", ""))
        label = f"{version.name}/{version.version}"
        place = self.cache / quote(digest or label, safe="")
        if not _is_whole(place):
            mlflow = import_mlflow()
            self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                source = client.get_model_version_download_uri(version.name, version.version)
                with atomic_folder(place) as temporary:
                    mlflow.artifacts.download_artifacts(
                        artifact_uri=source,
                        dst_path=str(temporary / "files"),
                        tracking_uri=self.path,
                    )
            except (OSError, mlflow.exceptions.MlflowException) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                message = f"cannot fetch {label} from {self.path} into {self.cache}: {reason}"
                raise RegistryError(message) from error
            _forget_oldest(self.cache, keep=place)
        os.utime(place)
        return next(iter(sorted(place.rglob("data"))), place / "data").parent

    def _request(self, path: str) -> Request:
        """A question to the server, with who asks."""
        return Request(self.path.rstrip("/") + path, headers=_who_asks(self.uri))  # noqa: S310 - http alone, see above


Registry = MlflowHome | TrackingServer
"""Where models are registered."""


def registry_at(mlruns: Path, tracking_uri: str | None, *, cache: Path | None = None) -> Registry:
    """The registry that a command's options mean.

    Parameters
    ----------
    mlruns
        The home's folder.
    tracking_uri
        Address of a server; None takes ``MLFLOW_TRACKING_URI`` where it names a server and no
        other home than the usual one was asked for, and otherwise the home.
    cache
        Folder for what is fetched from a server; None takes the user's own.

    Raises
    ------
    ConfigError
        If the address is of another kind.
    """
    usual = os.environ.get(VARIABLE, "")
    uri = tracking_uri or (usual if is_server(usual) and mlruns == MLRUNS else None)
    if uri is None:
        return MlflowHome(mlruns)
    return TrackingServer(uri) if cache is None else TrackingServer(uri, cache)


def is_server(uri: str) -> bool:
    """Whether an address is that of a tracking server."""
    return uri.startswith(("http://", "https://")) and bool(urlsplit(uri).hostname)


def _is_whole(place: Path) -> bool:
    """Whether a fetched bundle is there and undamaged."""
    manifests = sorted(place.rglob(MANIFEST))
    try:
        return bool(manifests) and bool(read_bundle(manifests[0].parent).digest)
    except BundleError:
        return False


def _forget_oldest(cache: Path, *, keep: Path) -> None:
    """Delete fetched models beyond `N_CACHED`, those first that were used longest ago."""
    fetched = [one for one in cache.iterdir() if len(one.name) == len(keep.name) and one != keep]
    fetched.sort(key=lambda one: one.stat().st_mtime, reverse=True)
    for old in fetched[N_CACHED - 1 :]:
        shutil.rmtree(old, ignore_errors=True)


def _who_asks(uri: str) -> dict[str, str]:
    """The header that says so, as MLflow's client makes it."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if token:
        return {"Authorization": f"Bearer {token}"}
    known = dict(os.environ) | _named_in(uri)
    name, password = known.get(USERNAME, ""), known.get(PASSWORD, "")
    if not name:
        return {}
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def _named_in(uri: str) -> dict[str, str]:
    """MLflow's variables for who asks by an address; what it does not name is left out."""
    parts = urlsplit(uri)
    told = {USERNAME: parts.username, PASSWORD: parts.password}
    return {variable: unquote(text) for variable, text in told.items() if text}


def _error_code(error: HTTPError) -> str:
    """MLflow's own word for what is wrong; empty where it is not MLflow that answers."""
    try:
        return str(json.load(error)["error_code"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
