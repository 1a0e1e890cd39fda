"""A review: a challenger beside the champion on one frozen slice, gate by gate."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from segmenter.bundle import read_bundle
from segmenter.clock import now
from segmenter.errors import ReviewError
from segmenter.events.store import EventStore
from segmenter.registry import CHAMPION, ResolvedModel, resolve
from segmenter.terminal import ProgressCallback
from segmenter.tracking_server import Registry
from training.review.approval import find_version
from training.review.evidence import Evidence
from training.review.gates import judge_gates
from training.review.migration import migrate
from training.review.outcomes import predict
from training.review.sides import look
from training.review.slices import freeze, recorded_store
from training.review.verdict import FAIL, NOT_JUDGED, Gate, Margins

Bar = Callable[[str], AbstractContextManager[ProgressCallback]]
N_STEPS = 4
SOURCES = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ReviewRequest:
    """What to review.

    Attributes
    ----------
    challenger
        ``name/version`` or ``name@alias``.
    against
        The same for what it is held against; None takes the champion, if another version is.
    store
        Folder of the events; None takes the one that the challenger's run tells of.
    cut
        Microseconds; None takes the moment after the newest event that either learned from.
    margins
        What is allowed.
    """

    challenger: str
    against: str | None = None
    store: Path | None = None
    cut: int | None = None
    margins: Margins = field(default_factory=Margins)


@dataclass(frozen=True)
class Review:
    """What a review found.

    Attributes
    ----------
    challenger, champion
        The versions; no champion where there is none.
    evidence
        Everything that was compared.
    gates
        The verdicts.
    slice_identity
        The slice, in plain form.
    identities
        Where either version comes from, the challenger first.
    at
        ISO 8601 time of the review.
    code
        Version and digest of the code that reviewed.
    """

    challenger: ResolvedModel
    champion: ResolvedModel | None
    evidence: Evidence
    gates: tuple[Gate, ...]
    slice_identity: dict[str, Any]
    identities: tuple[dict[str, Any], ...]
    at: str
    code: dict[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the gates that failed."""
        return tuple(gate.name for gate in self.gates if gate.verdict == FAIL)

    @property
    def not_judged(self) -> tuple[str, ...]:
        """Names of the gates that cannot be judged."""
        return tuple(gate.name for gate in self.gates if gate.verdict == NOT_JUDGED)

    @property
    def verdict(self) -> str:
        """The review in a few words."""
        n_passed = len(self.gates) - len(self.failed) - len(self.not_judged)
        parts = [f"{n_passed} of {len(self.gates)} gates passed"]
        if self.failed:
            parts.append(f"failed: {', '.join(self.failed)}")
        if self.not_judged:
            parts.append(f"cannot be judged: {', '.join(self.not_judged)}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain form, as logged with the version."""
        moved, prediction = self.evidence.migration, self.evidence.prediction
        over = prediction.over_champion
        return {
            "challenger": self.challenger.label,
            "bundle": self.challenger.digest,
            "against": None if self.champion is None else self.champion.label,
            "at": self.at,
            "verdict": self.verdict,
            "failed": list(self.failed),
            "not_judged": list(self.not_judged),
            "gates": [gate.to_json() for gate in self.gates],
            "margins": asdict(self.evidence.margins),
            "slice": self.slice_identity,
            "identities": list(self.identities),
            "code": self.code,
            "migration": None if moved is None else moved.to_json(),
            "validity": prediction.report.to_json(),
            "over_champion": None if over is None else asdict(over),
        }


def review(home: Registry, request: ReviewRequest, bar: Bar) -> Review:
    """Look at both versions on the same slice and judge every gate.

    Parameters
    ----------
    home
        Where the model is registered.
    request
        What to review.
    bar
        Opens a progress bar.

    Raises
    ------
    RegistryError
        If there is no such version, or its bundle is missing or another one.
    ReviewError
        If a version is held against itself.
    ConfigError
        If there is no store to review on, or a model has seen what it would be judged by.
    BundleError, StoreError
        If a bundle or the store is damaged.
    """
    found = find_version(home, request.challenger)
    rival = _rival(home, found, request.against)
    client = home.client()
    place = recorded_store(client, found) if request.store is None else request.store
    store = EventStore.open(place)
    trained = max(_trained_as_of(side) for side in (found, rival) if side is not None)
    part = freeze(store, cut=request.cut, trained_as_of=trained)
    with bar("Reviewing") as progress:
        progress(0, N_STEPS)
        challenger = look(found, part, must_prove=True)
        progress(1, N_STEPS)
        champion = None if rival is None else look(rival, part, must_prove=False)
        progress(2, N_STEPS)
        labels = None if champion is None else champion.found.segment_id
        prediction = predict(part, challenger.found.segment_id, labels)
        progress(3, N_STEPS)
        moved = None if champion is None else migrate(champion, challenger)
        evidence = Evidence(part, challenger, champion, prediction, moved, request.margins)
        gates = judge_gates(evidence)
        progress(N_STEPS, N_STEPS)
    sides = [side for side in (challenger, champion) if side is not None]
    return Review(
        found,
        rival,
        evidence,
        gates,
        part.identity(),
        tuple(_identity(client, side.resolved, side.report) for side in sides),
        now(),
        {"segmenter": _version(), "sources_sha256": sources_digest()},
    )


def _rival(home: Registry, found: ResolvedModel, against: str | None) -> ResolvedModel | None:
    """What the challenger is held against."""
    if against is None:
        aliases = home.client().get_registered_model(found.name).aliases
        if int(aliases.get(CHAMPION, found.version)) == found.version:
            return None
        return resolve(home, f"{found.name}@{CHAMPION}")
    rival = find_version(home, against)
    if rival.label == found.label:
        message = (
            f"{found.label} cannot be held against itself; name another version with --against, "
            "or leave it out"
        )
        raise ReviewError(message)
    return rival


def _trained_as_of(found: ResolvedModel) -> int:
    return int(read_bundle(found.folder).documents["training"]["as_of_us"])


def _identity(client: Any, found: ResolvedModel, report: Any) -> dict[str, Any]:  # noqa: ANN401
    """Where a version comes from, in plain words."""
    version = client.get_model_version(found.name, str(found.version))
    run = client.get_run(found.run_id)
    settings = report.get("provenance", {}).get("settings", {})
    return {
        "version": found.label,
        "aliases": list(found.aliases),
        "bundle": found.digest,
        "run": found.run_id,
        "data": version.tags.get("store.digest", "unknown"),
        "settings": version.tags.get("config.digest", "unknown"),
        "as_of": version.tags.get("as_of", "unknown"),
        "trained_at": report.get("trained_at", "unknown"),
        "registered_at": version.tags.get("registered_at", "unknown"),
        "seed": settings.get("seed", "unknown"),
        "users": report.get("n_users", "unknown"),
        "events": report.get("n_events", "unknown"),
        "commit": run.data.tags.get("mlflow.source.git.commit", "unknown"),
        "refit_of": (report.get("provenance", {}).get("refit of") or {}).get("label", "none"),
    }


def _version() -> str:
    try:
        return metadata.version("segmenter")
    except metadata.PackageNotFoundError:
        return "from its sources"


def sources_digest() -> str:
    """SHA-256 over the code of the library and of the training room."""
    total = hashlib.sha256()
    for room in ("segmenter", "training"):
        for path in sorted((SOURCES / room).rglob("*.py")):
            total.update(path.relative_to(SOURCES).as_posix().encode() + path.read_bytes())
    return total.hexdigest()
