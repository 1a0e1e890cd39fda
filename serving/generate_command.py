"""``segmenter generate``: journeys from any point of the latent; ``segmenter forecast``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal

if TYPE_CHECKING:
    from segmenter.audience_model import AudienceModel
    from segmenter.events.store import EventStore
    from segmenter.generation.population import Population
    from segmenter.generation.report import Report
    from segmenter.generation.request import Drawn, Request
    from segmenter.space.directions import Direction

Store = Annotated[Path, typer.Option("--store", help="Event store of the users behind the model.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="MODEL@ALIAS, MODEL/VERSION or a bundle folder."),
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Read events until then; left out, all.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("generate")(generate)
    app.command("forecast")(forecast)


def generate(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    store: Store,
    out: Annotated[Path, typer.Option("--out", help="Folder for the journeys and the report.")],
    model: Model = None,
    segment: Annotated[
        list[str] | None,
        typer.Option("--segment", help="Segment ID, or ID:WEIGHT of a mixture. Repeatable."),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option("--users", help="Draw as the users of this table lie; at least 50."),
    ] = None,
    from_point: Annotated[
        str | None, typer.Option("--from-point", help="Decode one point: user:ID or segment:ID.")
    ] = None,
    path: Annotated[
        tuple[str, str] | None,
        typer.Option("--path", help="Decode the way from one place to another.", metavar="A B"),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=100, help="Of the path.")] = 8,
    on_the_data: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--on-the-data", help="Let the path follow users.")
    ] = False,
    direction: Annotated[
        str | None, typer.Option("--direction", help="What if: move along this named direction.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="Folder of named directions.")
    ] = None,
    amount: Annotated[float, typer.Option("--amount", help="Part of the direction's step.")] = 1.0,
    n: Annotated[int, typer.Option("--n", min=1, help="Journeys; of a path, at each step.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0,
    temperature: Annotated[
        float, typer.Option("--temperature", help="1 is faithful; 0 the likeliest journey.")
    ] = 1.0,
    correct: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--correct", help="Keep the most real of four times as many.")
    ] = False,
    as_of: AsOf = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Draw journeys of everybody, of segments, from a point or along a path.

    The event log that is written can be ingested like a real one. A report beside it says how
    real it looks and what it may give away.
    """
    from segmenter.generation.output import write_set  # noqa: PLC0415 - torch takes two seconds
    from segmenter.generation.report import report_on  # noqa: PLC0415
    from segmenter.generation.request import Request, draw  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    population = _population(store, model, as_of=as_of, mlruns=mlruns, terminal=terminal)
    request = Request(
        n=n,
        segments=_weights(segment or []),
        users=() if users is None else _listed(users),
        place=from_point,
        path=path,
        n_steps=steps,
        on_the_data=on_the_data,
        direction=_direction(direction, catalogue, population),
        amount=amount,
        correction=correct,
        seed=seed,
        temperature=temperature,
    )
    drawn = draw(population, request)
    events = drawn.journeys.table(population.model.network.vocabulary)
    report = report_on(events, population, request) if request.describes_users else None
    manifest = write_set(out, population, request, drawn=drawn, report=report)
    _show(terminal, population, request, drawn=drawn, out=out)
    if report is not None:
        _show_report(terminal, report)
    again = ["segmenter", "ingest", str(out / "events.parquet"), "--keep-duplicates"]
    terminal.next_commands(shlex.join([*again, "--store", str(out / "store")]))
    terminal.finish({"out": str(out), **manifest})


def _population(
    store: Path, model: str | None, *, as_of: str | None, mlruns: Path, terminal: Terminal
) -> "Population":
    """Load the model and embed the users of the store."""
    from segmenter.generation.population import read_population  # noqa: PLC0415

    loaded, opened, moment = _opened(store, model, as_of=as_of, mlruns=mlruns)
    with terminal.progress("Embedding users") as progress:
        return read_population(loaded, opened, as_of=moment, progress=progress)


def _opened(
    store: Path, model: str | None, *, as_of: str | None, mlruns: Path
) -> "tuple[AudienceModel, EventStore, int]":
    """The model, the store and the as-of time."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415 - torch takes two seconds
    from segmenter.clock import parse_time  # noqa: PLC0415
    from segmenter.events.store import EventStore  # noqa: PLC0415
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415

    opened = EventStore.open(store)
    moment = opened.newest if as_of is None else parse_time(as_of, option="--as-of")
    return AudienceModel.load(resolve(MlflowHome(mlruns), model).folder), opened, moment


def _weights(texts: list[str]) -> dict[int, float]:
    """Segments with weights, from ``ID`` or ``ID:WEIGHT``."""
    from segmenter.errors import ConfigError  # noqa: PLC0415

    found = {}
    for text in texts:
        name, _, weight = text.partition(":")
        try:
            found[int(name)] = float(weight or 1)
        except ValueError as error:
            message = f"--segment must be ID or ID:WEIGHT, such as 7 or 7:0.5; found {text!r}"
            raise ConfigError(message) from error
    return found


def _listed(path: Path) -> tuple[str, ...]:
    """Ids of a list of users, each once."""
    from serving.space_tables import USER, read_users  # noqa: PLC0415

    return tuple(read_users(path)[USER].unique(maintain_order=True).to_list())


def _direction(
    name: str | None, catalogue: Path | None, population: "Population"
) -> "Direction | None":
    """A direction of the catalogue, which must be of the model's space."""
    from segmenter.errors import ConfigError  # noqa: PLC0415
    from segmenter.space.catalogue import Catalogue  # noqa: PLC0415

    if (name is None) != (catalogue is None):
        message = "a what-if needs both --direction NAME and --catalogue FOLDER; give both"
        raise ConfigError(message)
    if name is None or catalogue is None:
        return None
    return Catalogue.load(catalogue, space=population.model.digest)[name]


def _show(
    terminal: Terminal,
    population: "Population",
    request: "Request",
    *,
    drawn: "Drawn",
    out: Path,
) -> None:
    """Print a journey, what a direction changed, and what was written."""
    from segmenter.generation.comparison import changes  # noqa: PLC0415
    from segmenter.generation.features import Looks  # noqa: PLC0415
    from serving.generate_views import changes_table, journey_table, path_table  # noqa: PLC0415

    vocabulary = population.model.network.vocabulary
    events = drawn.journeys.table(vocabulary)
    terminal.say(journey_table(events))
    if drawn.unmoved is not None and request.direction is not None:
        before = drawn.unmoved.table(vocabulary)
        found = changes(before, events, looks=Looks.of(before))
        terminal.say(changes_table(f"What {request.direction.name} changes", found))
    if request.path is not None:
        terminal.say(path_table(events, drawn.step, request.path))
    if drawn.path is not None:
        terminal.say(
            f"Decoded without lot, the path leads on with a rank correlation of "
            f"{drawn.path.monotonicity:.2f}; its largest step is {drawn.path.largest_step:.0%} "
            f"of the way (even: {1 / request.n_steps:.0%})."
        )
    if request.place is not None:
        terminal.say("[yellow]These journeys follow one place; do not pass them on.[/yellow]")
    if drawn.correction is not None:
        done = "kept by" if drawn.correction.applied else "too few are effective: not corrected by"
        terminal.say(
            f"{len(drawn.journeys):,} of {drawn.correction.n_candidates:,} candidates {done} "
            f"density ratio; effective share {drawn.correction.effective_share:.0%}"
        )
    terminal.people.print(
        f"{len(drawn.journeys):,} journeys, {len(events):,} events: {out}",
        markup=False,
        soft_wrap=True,
    )


def _show_report(terminal: Terminal, report: "Report") -> None:
    from serving.generate_views import fidelity_table, report_lines  # noqa: PLC0415

    terminal.say(fidelity_table(report))
    for line in report_lines(report):
        terminal.say(line)


def forecast(  # noqa: PLR0917 - a command's options are its parameters
    store: Store,
    user: Annotated[str, typer.Option("--user", help="Id of the user.")],
    model: Model = None,
    as_of: AsOf = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Tell what a user will do in the coming window, with intervals from the window before."""
    from segmenter.generation.forecasts import backtest, forecast_user  # noqa: PLC0415
    from segmenter.generation.output import plain  # noqa: PLC0415
    from segmenter.generation.population import row_of_user  # noqa: PLC0415
    from serving.generate_views import forecast_tables  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    loaded, opened, moment = _opened(store, model, as_of=as_of, mlruns=mlruns)
    row = row_of_user(opened, user, as_of=moment)
    errors = backtest(loaded, opened, as_of=moment)
    found = forecast_user(loaded, opened, row, as_of=moment, errors=errors)
    for table in forecast_tables(user, found):
        terminal.say(table)
    terminal.say(f"Intervals from the errors of {found.n_backtest:,} users one window earlier.")
    terminal.finish({"user": user, **plain(found)})
