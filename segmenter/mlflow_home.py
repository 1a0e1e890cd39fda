"""The MLflow home: one folder that holds tracking database, artifacts and model registry.

What lives here: the layout of the folder, its creation, its check after a move and the mending of
one (`relocate`), and the one place where MLflow is imported with its traps shut. A tracking server
whose models are read in place of the folder's is `segmenter.tracking_server`.
"""

import json
import logging
import os
import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from segmenter.errors import RegistryError
from segmenter.files import atomic_file, write_json

HOME_FILE = "home.json"
HOME_FORMAT = 1
LOCK_TIMEOUT_S = 120

# MLflow reads most of these once, while it is imported. A value that the user has set wins.
MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",  # else `pip install --dry-run` at log time
    "MLFLOW_UV_AUTO_DETECT": "false",  # else a uv.lock of the working directory is logged
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 7 more processes and 1.6 GB in `ui`
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else its import hangs for ever without a network
}

# Every column in which MLflow 3.17 stores a place on disk (mlflow issue 3144).
LOCATION_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def import_mlflow() -> Any:  # noqa: ANN401 - the module
    """Import MLflow with telemetry, network look-ups and chatter off; returns the module."""
    for name, value in MLFLOW_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # MLflow 3.17 maps its tables with an SQLAlchemy option that SQLAlchemy 2.1 deprecates.
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        import mlflow  # noqa: PLC0415 - two seconds that --help must not pay
        import mlflow.store.tracking.sqlalchemy_store  # noqa: PLC0415 - this is what warns
    # A failed write reaches our own report; MLflow would print its traceback besides.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    return mlflow


@dataclass(frozen=True)
class MlflowHome:
    """A self-contained folder of runs and registered models.

    ``mlflow.db`` holds runs, metrics, versions and aliases; ``artifacts/<experiment>`` holds
    files. MLflow stores absolute locations, so ``home.json`` keeps the place that they were
    written for; a home found elsewhere is refused until `relocate` has mended it.

    Attributes
    ----------
    path
        The folder, usually ``mlruns``.
    """

    path: Path

    @property
    def root(self) -> Path:
        """Absolute place of the folder."""
        return self.path.resolve()

    @property
    def database(self) -> Path:
        """File of the SQLite database."""
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """Folder under which every experiment keeps its files."""
        return self.root / "artifacts"

    @property
    def uri(self) -> str:
        """What MLflow calls the database, as tracking URI and registry URI."""
        return f"sqlite:///{quote(str(self.database))}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for a change that two processes must not make at once.

        Raises
        ------
        RegistryError
            If another process holds it for two minutes, or the folder cannot be written.
        """
        try:
            with FileLock(self.root / ".home.lock", timeout=LOCK_TIMEOUT_S):
                yield
        except Timeout as error:
            message = (
                f"another process has been changing {self.path} for {LOCK_TIMEOUT_S} seconds; "
                "wait for it or end it, then try again"
            )
            raise RegistryError(message) from error

    def prepare(self) -> "MlflowHome":
        """Make the home when there is none; safe when several processes do so at once.

        Returns
        -------
        MlflowHome
            The home itself, checked.

        Raises
        ------
        RegistryError
            If the folder cannot be made, or what stands there is no usable home.
        """
        if not self.database.exists():
            _refuse_percent(self.root)
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                with self.lock():
                    if not self.database.exists():
                        self.record_root()
                        _create_database(self)
            except OSError as error:
                message = f"cannot make an MLflow home in {self.path}: {error}; use --mlruns DIR"
                raise RegistryError(message) from error
        self.check()
        return self

    def check(self) -> None:
        """Refuse a home that is missing, damaged, foreign, or was moved.

        Raises
        ------
        RegistryError
            With what was found and the command that mends it.
        """
        if not self.database.is_file():
            message = (
                f"there is no MLflow home in {self.path} (no {self.database.name}); "
                "train a model first with `segmenter train`, or name the home with --mlruns DIR"
            )
            raise RegistryError(message)
        try:
            with self.database.open("rb") as opened:
                is_database = opened.read(16) == b"SQLite format 3\0"
        except OSError as error:
            message = f"cannot read {self.database}: {error.strerror}"
            raise RegistryError(message) from error
        if not is_database:
            message = f"{self.database} is no SQLite database; restore it from a backup"
            raise RegistryError(message)
        written_for = self.recorded_root()
        if not _is_same_folder(written_for, self.root):
            message = (
                f"this MLflow home was written for {written_for} and now stands in {self.root}: "
                f"its files would be looked for in the old place; run "
                f"`segmenter relocate --mlruns {self.path}`"
            )
            raise RegistryError(message)

    def recorded_root(self) -> Path:
        """Place that the stored locations point into.

        Raises
        ------
        RegistryError
            If ``home.json`` is missing, damaged or of a newer format.
        """
        try:
            recorded = json.loads((self.root / HOME_FILE).read_text(encoding="utf-8"))
            place, version = Path(recorded["root"]), int(recorded["format_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = (
                f"{self.path} holds an MLflow database that segmenter did not make "
                f"({HOME_FILE} is missing or damaged); name another folder with --mlruns DIR"
            )
            raise RegistryError(message) from error
        if version > HOME_FORMAT:
            message = (
                f"{self.path} has home format {version}, newer than {HOME_FORMAT}; "
                "upgrade segmenter"
            )
            raise RegistryError(message)
        return place

    def record_root(self) -> None:
        """Write down that the stored locations point into the home's present place."""
        write_json(self.root / HOME_FILE, {"format_version": HOME_FORMAT, "root": str(self.root)})

    def alias_version(self, name: str, alias: str) -> int | None:
        """Version that an alias of a model stands for, without MLflow; None if there is none.

        Raises
        ------
        RegistryError
            If the database cannot be read.
        """
        query = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
        try:
            place = f"file:{quote(str(self.database))}?mode=ro"
            with closing(sqlite3.connect(place, uri=True, timeout=5)) as connection:
                found = connection.execute(query, (name, alias)).fetchone()
        except sqlite3.Error as error:
            message = f"cannot read the aliases in {self.database}: {error}"
            raise RegistryError(message) from error
        return None if found is None else int(found[0])

    def files_of(self, client: Any, version: Any, *, digest: str) -> Path:  # noqa: ANN401, ARG002 - mlflow's own types; a server needs the digest
        """Folder with the files of a model version."""
        return Path(client.get_model_version_download_uri(version.name, version.version))

    def client(self) -> Any:  # noqa: ANN401 - mlflow.MlflowClient, imported only when used
        """An `mlflow.MlflowClient` on this home alone, whatever the environment says.

        Raises
        ------
        RegistryError
            If the home is unusable or MLflow cannot open its database.
        """
        self.check()
        mlflow = import_mlflow()
        try:
            return mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        except mlflow.exceptions.MlflowException as error:
            message = (
                f"MLflow {mlflow.__version__} cannot open {self.database}: {error}; "
                "install the MLflow version that wrote it, or name another home with --mlruns DIR"
            )
            raise RegistryError(message) from error


@dataclass(frozen=True)
class Relocation:
    """What a relocation changed.

    Attributes
    ----------
    old, new
        Place that the locations pointed into, and the place they point into now.
    changed
        ``table.column`` to the number of locations rewritten.
    backup
        The database as it was before; None when nothing had to change.
    """

    old: Path
    new: Path
    changed: dict[str, int]
    backup: Path | None


def relocate(home: MlflowHome) -> Relocation:
    """Point every stored location of a moved home to where the home stands now.

    The rewriting is one transaction and can be repeated: killed at any point, a second call ends
    right.

    Parameters
    ----------
    home
        The home in its new place.

    Returns
    -------
    Relocation
        Where it stood, where it stands, what changed.

    Raises
    ------
    RegistryError
        If there is no home of ours, or its database cannot be written.
    """
    if not home.database.is_file():
        home.check()
    _refuse_percent(home.root)
    old, new = home.recorded_root(), home.root
    if old == new:
        return Relocation(old, new, {}, None)
    backup = home.database.with_name(f"{home.database.name}.before-relocate")
    try:
        with home.lock():
            shutil.copy2(home.database, backup)
            changed = _rewrite(home.database, str(old), str(new))
            home.record_root()
    except (OSError, sqlite3.Error) as error:
        message = f"cannot relocate {home.path}: {error}; the database before is {backup}"
        raise RegistryError(message) from error
    home.check()
    return Relocation(old, new, changed, backup)


def _rewrite(database: Path, old: str, new: str) -> dict[str, int]:
    """Replace the leading folder of every location; returns the number of rows per column."""
    changed = {}
    with closing(sqlite3.connect(database, timeout=20, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, column in LOCATION_COLUMNS:
            rows = connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608 - constants
                f"WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old) + 1, f"{old}/"),
            )
            changed[f"{table}.{column}"] = rows.rowcount
        connection.execute("COMMIT")
    return changed


def _refuse_percent(root: Path) -> None:
    """MLflow decodes artifact paths as if they were URLs: with a % files would go elsewhere."""
    if "%" in str(root):
        message = f"MLflow cannot keep files under a path with %: {root}; use another --mlruns DIR"
        raise RegistryError(message)


def _is_same_folder(recorded: Path, actual: Path) -> bool:
    """Whether both are one folder, also through a link or a second mount."""
    return recorded == actual or (recorded.exists() and recorded.samefile(actual))


def _create_database(home: MlflowHome) -> None:
    """Run MLflow's migrations on a temporary file, so that a kill leaves no half-made database."""
    mlflow = import_mlflow()
    with atomic_file(home.database) as temporary:
        make_store = mlflow.store.tracking.sqlalchemy_store.SqlAlchemyStore
        store = make_store(f"sqlite:///{quote(str(temporary))}", str(home.artifacts))
        store.engine.dispose()
