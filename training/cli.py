"""The commands of the training room."""

import typer

from training import (
    demo_command,
    ingest_command,
    mlflow_commands,
    model_commands,
    refit_command,
    train_command,
    validate_command,
)
from training.review import commands as review_commands


def register(app: typer.Typer, *, score_everybody: demo_command.ScoreEverybody) -> None:
    """Add every command of this room to the application.

    Parameters
    ----------
    app
        The application.
    score_everybody
        Scoring, which the demonstration runs too and which lives in the serving room.
    """
    for module in (
        ingest_command,
        train_command,
        refit_command,
        validate_command,
        model_commands,
        mlflow_commands,
        review_commands,
    ):
        module.register(app)
    demo_command.register(app, score_everybody=score_everybody)
