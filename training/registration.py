"""A trained bundle becomes a registered model version: once, however often it is asked for."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmenter.bundle import read_manifest
from segmenter.clock import now
from segmenter.flavor import write_flavor
from segmenter.mlflow_home import import_mlflow
from segmenter.registry import (
    CHALLENGER,
    CHAMPION,
    DIGEST_TAG,
    aliases_of,
    all_pages,
    check_model_name,
)
from segmenter.tracking_server import Registry
from training.review.decision_log import DONE, Decision
from training.review.desk import REGISTER, RENAME, Desk, is_placing, log_of
from training.tracking import Tracker, as_registry_error

VALIDITY_TAG = "validity"
"""Tag that says how the segments stand to what needs no training."""
REGISTERED_TAG = "registered_at"
"""Tag set last: a version without it was being registered when the process died."""

MODEL_SCHEME = "models:/"
LINKS_TAG = "mlflow.modelVersions"
"""Tag of MLflow's own on a logged model: the versions that were registered from it."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry.

    Attributes
    ----------
    name
        The registered model.
    version
        Number of the version.
    aliases
        Aliases that it carries now, sorted.
    run_id
        Run that made it.
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    run_id: str

    @property
    def label(self) -> str:
        """What outputs are stamped with: ``name/3``."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class _Registration:
    """One registration under way."""

    home: Registry
    client: Any
    name: str
    run_id: str
    digest: str


def register(
    tracker: Tracker,
    bundle: Path,
    name: str,
    *,
    tags: Mapping[str, str] | None = None,
    description: str = "",
    may_lead: bool = True,
    successor_of: int | None = None,
) -> RegisteredVersion:
    """Log a bundle as an MLflow model of a run and register it as a version.

    The new version becomes `challenger`; it becomes `champion` too when the model has none and
    the version may lead; the log of decisions says so. The same bundle of the same run is
    registered once: a second call, also after a kill at any point, answers with the version that
    exists and moves no alias of a finished registration.

    Parameters
    ----------
    tracker
        The run that made the bundle, and the home.
    bundle
        Folder of the model.
    name
        Registered model; made when missing.
    tags
        Further tags of the version, such as digests of the data and of the configuration.
    description
        Markdown shown with the version.
    may_lead
        Whether the version may become champion without a person's word.
    successor_of
        A version that differs in words alone, such as the name of a segment: its aliases go over
        to the new one, and no other alias is touched.

    Returns
    -------
    RegisteredVersion
        The version, whose files are in the home.

    Raises
    ------
    ConfigError
        If `name` is no name for a model.
    BundleError
        If the folder is no bundle, or does not load.
    RegistryError
        If MLflow refuses or cannot be written; a second call goes on where this one stopped.
    """
    check_model_name(name)
    home, run_id, digest = tracker.home, tracker.run_id, read_manifest(bundle)["digest"]
    with as_registry_error(f"{bundle} could not be registered as {name}"), home.lock():
        job = _Registration(home, home.client(), name, run_id, digest)
        version = _find_version(job)
        if version is None:
            details = {"tags": {**(tags or {}), DIGEST_TAG: digest}, "description": description}
            version = _new_version(job, _logged_model(job, bundle), details)
        if REGISTERED_TAG not in version.tags:
            _link(job, version)
            _place(
                job,
                int(version.version),
                may_lead=may_lead,
                successor_of=successor_of,
                said=description,
            )
            job.client.set_model_version_tag(name, version.version, REGISTERED_TAG, now())
        number = int(version.version)
        return RegisteredVersion(name, number, aliases_of(job.client, name, number), run_id)


def _find_version(job: _Registration) -> Any | None:  # noqa: ANN401 - mlflow's ModelVersion
    """The version that an earlier call made from this bundle and run."""
    for version in job.client.search_model_versions(f"run_id = '{job.run_id}'"):
        if version.name == job.name and version.tags.get(DIGEST_TAG) == job.digest:
            return version
    return None


def _logged_model(job: _Registration, bundle: Path) -> str:
    """Id of the logged model that holds the bundle; made, or finished, when missing."""
    client, run = job.client, job.client.get_run(job.run_id)
    experiment = run.info.experiment_id
    known = client.search_logged_models([experiment], f"source_run_id = '{job.run_id}'")
    model = next((model for model in known if model.tags.get(DIGEST_TAG) == job.digest), None)
    if model is None:
        # Unlike a registered model, a logged one may have no dot in its name.
        name = re.sub(r"[^\w -]", "-", job.name)
        model = client.create_logged_model(
            experiment, name=name, source_run_id=job.run_id, tags={DIGEST_TAG: job.digest}
        )
    entities = import_mlflow().entities
    if model.status != entities.LoggedModelStatus.READY:
        with tempfile.TemporaryDirectory(prefix="segmenter-") as scratch:
            folder = Path(scratch) / "model"
            write_flavor(folder, bundle, name=job.name, run_id=job.run_id, model_id=model.model_id)
            client.log_model_artifacts(model.model_id, str(folder))
        # MLflow refuses an output that is there, as after a kill between here and the next line.
        if model.model_id not in {output.model_id for output in run.outputs.model_outputs}:
            client.log_outputs(job.run_id, [entities.LoggedModelOutput(model.model_id, step=0)])
        client.finalize_logged_model(model.model_id, "READY")
    return str(model.model_id)


def _new_version(job: _Registration, model_id: str, details: dict[str, Any]) -> Any:  # noqa: ANN401
    """Register the logged model; its digest goes in with it, in one transaction."""
    client = job.client
    if job.name not in {model.name for model in all_pages(client.search_registered_models)}:
        client.create_registered_model(job.name)
    with _as_default_home(job.home):
        return client.create_model_version(
            job.name,
            f"{MODEL_SCHEME}{model_id}",
            run_id=job.run_id,
            model_id=model_id,
            **details,
        )


def _link(job: _Registration, version: Any) -> None:  # noqa: ANN401 - mlflow's ModelVersion
    """Let the page of the logged model lead to the version, as MLflow's own function does."""
    model_id = version.source.removeprefix(MODEL_SCHEME)
    links = json.loads(job.client.get_logged_model(model_id).tags.get(LINKS_TAG, "[]"))
    link = {"name": job.name, "version": int(version.version)}
    if link not in links:
        job.client.set_logged_model_tags(model_id, {LINKS_TAG: json.dumps([*links, link])})


def _place(
    job: _Registration, version: int, *, may_lead: bool, successor_of: int | None, said: str
) -> None:
    """Give the new version its aliases, as a decision in the log that nobody took by hand."""
    desk = Desk(job.client, log_of(job.home, job.client))
    desk.settle(job.name)
    label = f"{job.name}/{version}"
    if any(entry.kind == DONE and is_placing(entry.decision, label) for entry in desk.log.read()):
        return
    if successor_of is None:
        aliases = _first_aliases(job, version, may_lead=may_lead)
        action, reason = REGISTER, _why(aliases, may_lead=may_lead)
    else:
        aliases = dict.fromkeys(aliases_of(job.client, job.name, successor_of), version)
        action, reason = RENAME, said
    desk.decide(
        Decision(action, job.name, version, job.digest, "segmenter", reason, aliases=aliases)
    )


def _first_aliases(job: _Registration, version: int, *, may_lead: bool) -> dict[str, int | None]:
    """The new version challenges; without a champion there is nothing to challenge.

    A version whose registration was cut short and ends late does not displace a newer challenger.
    """
    held = job.client.get_registered_model(job.name).aliases
    aliases: dict[str, int | None] = {}
    if int(held.get(CHALLENGER, 0)) < version:
        aliases[CHALLENGER] = version
    if may_lead and CHAMPION not in held:
        aliases[CHAMPION] = version
    return aliases


def _why(aliases: Mapping[str, int | None], *, may_lead: bool) -> str:
    """What a registration did, in words."""
    if CHAMPION in aliases:
        return "there was no champion"
    return "challenges the champion" if may_lead else "challenges; it may not lead by itself"


@contextmanager
def _as_default_home(home: Registry) -> Iterator[None]:
    """Let MLflow's global tracking URI be this home: the registry looks up models through it."""
    mlflow = import_mlflow()
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(home.uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
