"""The commands of the training room."""

import typer

from training import demo_command, ingest_command, mlflow_commands, model_commands, train_command


def register(app: typer.Typer) -> None:
    """Add every command of this room to the application."""
    for module in (demo_command, ingest_command, train_command, model_commands, mlflow_commands):
        module.register(app)
