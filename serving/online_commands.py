"""The commands of the online service."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal

DAY_S = 86_400.0


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("serve")(serve)
    app.command("api-key")(api_key)


def serve(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="MODEL@ALIAS, which is followed; or MODEL/VERSION or a bundle folder; "
            "left out, the champion of the only registered model.",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0 takes a free one.")] = 8000,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="File of API keys; see `segmenter api-key`.")
    ] = None,
    insecure: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--insecure", help="Let everybody ask, from everywhere.")
    ] = False,
    poll_s: Annotated[
        float, typer.Option("--poll", min=0.1, help="Seconds between looks at the alias.")
    ] = 5.0,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            help="Keep users' histories, for /v1/users:append: memory, sqlite:FILE or "
            "redis://HOST:PORT/N; left out, no user is kept.",
        ),
    ] = None,
    state_days: Annotated[
        float, typer.Option("--state-days", min=0.001, help="Days after a user's last event.")
    ] = 90.0,
    state_users: Annotated[
        int, typer.Option("--state-users", min=1, help="Most users that are kept.")
    ] = 100_000,
    space: Annotated[
        Path | None,
        typer.Option("--space", help="Scores or embeddings, for /v1/space/..."),
    ] = None,
    space_metadata: Annotated[
        Path | None,
        typer.Option("--space-metadata", help="Parquet or CSV: user_id and what is known."),
    ] = None,
    generate_store: Annotated[
        Path | None,
        typer.Option("--generate-store", help="Event store, for /v1/generate and /v1/forecast."),
    ] = None,
    creative: Annotated[
        Path | None, typer.Option("--creative", help="Creative space, for /v1/creative/...")
    ] = None,
    creative_model: Annotated[
        str | None,
        typer.Option("--creative-model", help="Its checkpoint; left out, that of the space."),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            "--tracking-uri",
            help="MLflow tracking server to follow instead of --mlruns; left out, "
            "MLFLOW_TRACKING_URI where that is one.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--model-cache", help="Folder for models of a tracking server."),
    ] = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Answer over HTTP: one user's events in, a segment out.

    Ends on SIGTERM or Ctrl-C after the requests in work. With --json the address is printed as
    one JSON object as soon as it answers.
    """
    from segmenter.tracking_server import registry_at  # noqa: PLC0415 - --help must not wait for torch
    from serving.api import server  # noqa: PLC0415
    from serving.api.keys import read_keys  # noqa: PLC0415
    from serving.state.stores import Retention  # noqa: PLC0415

    server.check_exposure(host, has_keys=keys is not None, insecure=insecure)
    known = () if keys is None else read_keys(keys)
    settings = server.ServerSettings(
        registry_at(mlruns, tracking_uri, cache=cache),
        model,
        keys=known,
        poll_s=poll_s,
        state=state,
        retention=Retention(state_days * DAY_S, state_users),
        space=space,
        space_metadata=space_metadata,
        generate_store=generate_store,
        creative=creative,
        creative_model=creative_model,
    )
    with server.listen(host, port) as sock:
        built = server.build_server(settings)
        terminal = Terminal(as_json=as_json)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{sock.getsockname()[1]}"
        said = f"Answering on {url} (described by {url}/openapi.json)"
        terminal.people.print(said, markup=False, soft_wrap=True)
        terminal.finish({"url": url})
        sys.stdout.flush()
        server.run(built, sock)


def api_key(  # noqa: PLR0917 - as above
    keys: Annotated[Path, typer.Option("--keys", help="File of API keys; made if missing.")],
    name: Annotated[str, typer.Option("--name", help="Who gets the key.")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope",
            help="assign, embed, keep, space, generate, creative, read or metrics; repeatable.",
        ),
    ],
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Most requests a second.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Make an API key; the file keeps only its digest. A running server reads it at its start."""
    from serving.api.keys import add_key  # noqa: PLC0415 - --help must not wait for pydantic

    secret = add_key(keys, name, scopes=scope, requests_per_s=rate)
    terminal = Terminal(as_json=as_json)
    terminal.people.print(secret, markup=False, soft_wrap=True)
    terminal.say("This is shown once. Send it as Authorization: Bearer KEY.")
    terminal.finish({"name": name, "key": secret})
