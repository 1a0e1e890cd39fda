"""The rules of the house, checked by the tools that know them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("segmenter", "training", "serving")
MAX_LINES = 400
MAX_MLFLOW_FILES = 3


def run_tool(*command: str) -> None:
    """Run a tool of this environment at the project's root; show what it says when it fails."""
    tools = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(  # noqa: S603 - the commands stand in this file
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("lint-imports", "--no-cache"),
        ("mypy",),
    ],
    ids=["lint", "format", "imports", "types"],
)
def test_the_code_passes_its_checkers(command: tuple[str, ...]) -> None:
    run_tool(*command)


def python_files() -> list[Path]:
    return [path for room in (*SOURCES, "tests") for path in sorted((ROOT / room).rglob("*.py"))]


def test_no_file_is_longer_than_a_concept() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in python_files()}
    assert not {str(path): n for path, n in lengths.items() if n > MAX_LINES}


def test_mlflow_stays_in_three_files() -> None:
    users = [
        path
        for room in SOURCES
        for path in (ROOT / room).rglob("*.py")
        if any(
            line.strip().startswith(("import mlflow", "from mlflow"))
            for line in path.read_text().splitlines()
        )
    ]
    assert len(users) <= MAX_MLFLOW_FILES, users


def test_nothing_unpickles() -> None:
    words = ("import pickle", "cloudpickle", "joblib", "torch.load(", "allow_pickle=True")
    found = [
        (path.name, word)
        for room in SOURCES
        for path in (ROOT / room).rglob("*.py")
        for word in words
        if word in path.read_text()
    ]
    assert not found


def test_the_top_level_is_the_agreed_one() -> None:
    agreed = {"pyproject.toml", "segmenter", "training", "serving", "mlruns", "tests", "README.md"}
    listed = subprocess.run(
        ["git", "ls-files"],  # noqa: S607 - whichever git made the checkout
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= agreed


@pytest.mark.parametrize(
    "command",
    [
        *("", "ingest", "train", "refit", "score", "segments", "report", "export"),
        *("space", "space lookalike", "serve", "api-key", "review", "approve", "history"),
        *("drift", "compare", "generate", "forecast", "creative", "creative drift"),
    ],
)
def test_help_does_not_wait_for_the_network_stack(command: str) -> None:
    code = (
        f"import sys; sys.argv = ['segmenter', *{command.split()}, '--help']\n"
        "from segmenter.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "slow = {'torch', 'mlflow', 'polars', 'umap', 'sklearn', 'pytorch_lightning'}\n"
        "slow |= {'transformers', 'PIL'}\n"
        "assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    run_tool(sys.executable, "-c", code)


def test_scoring_starts_without_the_training_stack() -> None:
    code = (
        "import sys, serving.batch, serving.cli\n"
        "heavy = {'pytorch_lightning', 'umap', 'hdbscan', 'numba', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    run_tool(sys.executable, "-c", code)
