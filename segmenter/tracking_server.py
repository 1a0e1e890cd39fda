"""An MLflow tracking server in place of the home: its models are fetched before they are used.

It is read only. Aliases are asked for over HTTP without MLflow, which a serving process does not
hold in memory; versions and files by MLflow's client.
"""

import base64
import json
import os
import shutil
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from segmenter.bundle import MANIFEST, read_bundle
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.files import atomic_folder
from segmenter.mlflow_home import import_mlflow

ALIAS = "/api/2.0/mlflow/registered-models/alias"
TIMEOUT_S = 10.0
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow 3 says of a model or an alias that is not there."""
N_CACHED = 5
"""Models that stay in the cache: enough to go back by."""


@dataclass(frozen=True)
class TrackingServer:
    """A tracking server and the folder that its models are fetched into.

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
    cache: Path

    def __post_init__(self) -> None:
        if not is_server(self.uri):
            message = (
                "--tracking-uri must be http://HOST:PORT or https://...; "
                "name a folder with --mlruns DIR instead"
            )
            raise ConfigError(message)

    @property
    def path(self) -> str:
        """What messages call it: the address without who asks."""
        parts = urlsplit(self.uri)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def alias_version(self, name: str, alias: str) -> int | None:
        """Version that an alias of a model stands for, without MLflow; None if there is none.

        Raises
        ------
        RegistryError
            If the server does not answer, or answers something else.
        """
        query = urlencode({"name": name, "alias": alias})
        headers = _who_asks(self.uri)
        request = Request(f"{self.path.rstrip('/')}{ALIAS}?{query}", headers=headers)  # noqa: S310 - http alone, see above
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
                return int(json.load(answer)["model_version"]["version"])
        except HTTPError as error:
            if _error_code(error) in MISSING:
                return None
            reason = f"it answered {error.code} {HTTPStatus(error.code).phrase}"
        except (URLError, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error)
        message = f"cannot read the aliases of {self.path}: {reason}; look whether it runs"
        raise RegistryError(message)

    def client(self) -> Any:  # noqa: ANN401 - mlflow.MlflowClient, imported only when used
        """An `mlflow.MlflowClient` on this server alone, whatever the environment says."""
        # A server that is away is said to be away, and not waited for through minutes of retries.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(TIMEOUT_S)))
        mlflow = import_mlflow()
        mlflow.set_tracking_uri(self.uri)  # what fetches files asks for the global one too
        return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def files_of(self, client: Any, version: Any, *, digest: str) -> Path:  # noqa: ANN401, ARG002 - mlflow's own types; a folder asks the client
        """Folder with the files of a version, fetched unless the cache has them whole.

        Parameters
        ----------
        client
            Not needed here.
        version
            MLflow's model version.
        digest
            That of its bundle; what is fetched is compared with it by the caller.

        Raises
        ------
        RegistryError
            If the files cannot be fetched or written.
        """
        place = self.cache / digest
        if not _is_whole(place):
            mlflow = import_mlflow()
            source = f"models:/{version.name}/{version.version}"
            try:
                with atomic_folder(place) as temporary:
                    mlflow.artifacts.download_artifacts(source, dst_path=str(temporary / "files"))
            except (OSError, mlflow.exceptions.MlflowException) as error:
                message = (
                    f"cannot fetch {version.name}/{version.version} from {self.path} into "
                    f"{self.cache}: {error}"
                )
                raise RegistryError(message) from error
            _forget_oldest(self.cache, keep=place)
        os.utime(place)
        return place / "files"


def is_server(uri: str) -> bool:
    """Whether an address is that of a tracking server."""
    return uri.startswith(("http://", "https://")) and bool(urlsplit(uri).hostname)


def _is_whole(place: Path) -> bool:
    """Whether a fetched bundle is there and undamaged."""
    manifests = sorted(place.glob(f"files/data/*/{MANIFEST}"))
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
    parts = urlsplit(uri)
    name = parts.username or os.environ.get("MLFLOW_TRACKING_USERNAME")
    if not name:
        return {}
    password = parts.password or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def _error_code(error: HTTPError) -> str:
    """MLflow's own word for what is wrong; empty where it is not MLflow that answers."""
    try:
        return str(json.load(error)["error_code"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
