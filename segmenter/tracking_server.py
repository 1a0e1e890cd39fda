"""An MLflow tracking server in place of the home's folder: the same registry, over HTTP.

It offers what readers and reviewers use of `segmenter.mlflow_home.MlflowHome`. Training writes to
a folder and knows nothing of servers.
"""

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from segmenter.bundle import MANIFEST, read_manifest
from segmenter.command_options import MLRUNS
from segmenter.errors import BundleError, ConfigError, RegistryError
from segmenter.mlflow_home import MlflowHome, import_mlflow

SCHEMES = ("http://", "https://")
VARIABLE = "MLFLOW_TRACKING_URI"
TIMEOUT_S = 20
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
        Its address, ``http://`` or ``https://``.
    cache
        Folder for fetched bundles, by digest.
    """

    uri: str
    cache: Path = field(default_factory=_cache)

    @property
    def path(self) -> str:
        """What messages call it."""
        return self.uri

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
            place = f"{self.uri.rstrip('/')}/health"
            with urllib.request.urlopen(place, timeout=TIMEOUT_S):  # noqa: S310 - http alone
                return
        except (urllib.error.URLError, OSError, ValueError) as error:
            message = (
                f"the tracking server {self.uri} does not answer ({error}); start it, or name "
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
        return import_mlflow().MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def alias_version(self, name: str, alias: str) -> int | None:
        """Version that an alias of a model stands for; None if there is none."""
        found = self.client().get_registered_model(name).aliases
        return int(found[alias]) if alias in found else None

    def experiment_place(self, name: str) -> None:
        """Where a new experiment keeps its files: the server decides."""

    def bundle_place(self, client: Any, version: Any) -> Path:  # noqa: ANN401 - of MLflow
        """Folder with the files of a version's model, fetched unless they are here already.

        Parameters
        ----------
        client
            From `client`.
        version
            MLflow's model version, with the digest of its bundle in a tag.

        Raises
        ------
        RegistryError
            If the files cannot be fetched.
        """
        digest = str(version.tags.get("bundle.sha256", ""))
        place = self.cache / quote(digest or "without digest", safe="")
        if digest and _is_whole(place, digest):
            return place
        self.cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=self.cache) as scratch:
            source = client.get_model_version_download_uri(version.name, version.version)
            try:
                import_mlflow().artifacts.download_artifacts(
                    artifact_uri=source, dst_path=scratch, tracking_uri=self.uri
                )
            except Exception as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                message = (
                    f"cannot fetch {version.name}/{version.version} from {self.uri}: {reason}"
                )
                raise RegistryError(message) from error
            (made,) = sorted(Path(scratch).rglob("data"))[:1] or [Path(scratch)]
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(made.parent, place)
        return place


def _is_whole(place: Path, digest: str) -> bool:
    """Whether a fetched model stands there; its files are compared when they are loaded."""
    for manifest in place.glob(f"data/*/{MANIFEST}"):
        try:
            found = read_manifest(manifest.parent)
        except BundleError:
            return False
        return bool(found["digest"] == digest) and all(
            (manifest.parent / name).is_file() for name in found["files"]
        )
    return False


Registry = MlflowHome | TrackingServer
"""Where models are registered."""


def registry_at(mlruns: Path, tracking_uri: str | None) -> Registry:
    """The registry that a command's options mean.

    Parameters
    ----------
    mlruns
        The home's folder.
    tracking_uri
        Address of a server; None takes ``MLFLOW_TRACKING_URI`` where it names a server and no
        other home than the usual one was asked for, and otherwise the home.

    Raises
    ------
    ConfigError
        If the address is of another kind.
    """
    if tracking_uri is None:
        told = os.environ.get(VARIABLE, "")
        if mlruns != MLRUNS or not told.startswith(SCHEMES):
            return MlflowHome(mlruns)
        return TrackingServer(told)
    if not tracking_uri.startswith(SCHEMES):
        message = (
            f"a tracking server has an address with http:// or https://; found {tracking_uri!r}; "
            "name a folder with --mlruns instead"
        )
        raise ConfigError(message)
    return TrackingServer(tracking_uri)
