"""``segmenter ui`` and ``segmenter relocate``: look at an MLflow home, and mend a moved one."""

import shlex
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns, home_option
from segmenter.terminal import Terminal

DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the command, start nothing.")]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command("ui")(ui)
    app.command("relocate")(relocate)


def ui(  # noqa: PLR0917 - a command's options are its parameters
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to use.")] = 5000,
    mlruns: Mlruns = MLRUNS,
    dry_run: DryRun = False,  # noqa: FBT002 - a flag
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Serve MLflow's web page on this machine: runs, curves, models, versions. Ctrl-C ends it."""
    from segmenter.mlflow_home import (  # noqa: PLC0415 - --help must be fast
        MLFLOW_ENVIRONMENT,
        MlflowHome,
    )
    from training.mlflow_server import HOST, running_server, server_command  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    home = MlflowHome(mlruns)
    home.check()
    command, url = server_command(home, port), f"http://{HOST}:{port}"
    result = {"url": url, "command": command, "environment": MLFLOW_ENVIRONMENT}
    if dry_run:
        variables = " ".join(f"{name}={value}" for name, value in MLFLOW_ENVIRONMENT.items())
        terminal.people.print(f"{variables} {shlex.join(command)}", markup=False, soft_wrap=True)
        terminal.finish(result)
        return
    signal.signal(signal.SIGTERM, _interrupt)
    terminal.say(Text(f"Starting MLflow on {home.path} ..."))
    try:
        with running_server(home, port) as server:
            terminal.say(f"MLflow answers on {url} (Ctrl-C ends it)")
            terminal.finish(result)
            sys.stdout.flush()  # a script that waits for the address must not wait for the end
            status = server.wait()
    except KeyboardInterrupt:
        terminal.say("MLflow ended.")
        return
    # No error of ours any more: the one JSON object of the command is printed.
    terminal.say(f"MLflow ended by itself with status {status}; start it again")
    raise typer.Exit(1)


def _interrupt(_: int, __: FrameType | None) -> None:
    """Let a polite kill end the server as Ctrl-C does."""
    raise KeyboardInterrupt


def relocate(mlruns: Mlruns = MLRUNS, as_json: AsJson = False) -> None:  # noqa: FBT002 - a flag
    """Mend an MLflow home after its folder was moved or copied."""
    from segmenter import mlflow_home  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    done = mlflow_home.relocate(mlflow_home.MlflowHome(mlruns))
    if done.backup is None:
        terminal.say(Text(f"{mlruns} stands where its locations point to: nothing to do."))
    else:
        terminal.say(Text(f"Moved from  {done.old}\nMoved to    {done.new}"))
        for column, n_rows in done.changed.items():
            terminal.say(f"  {column}: {n_rows} locations rewritten")
        terminal.say(Text(f"Database before: {done.backup}"))
    place = home_option(mlruns)
    terminal.next_commands(f"segmenter ui{place}", f"segmenter segments{place}")
    terminal.finish(
        {
            "old": str(done.old),
            "new": str(done.new),
            "changed": done.changed,
            "backup": None if done.backup is None else str(done.backup),
        }
    )
