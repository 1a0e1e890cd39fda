"""``segmenter space``: the geometry of a scored population, or of vectors from anywhere.

Here: what asks of single points (search, look-alikes, directions, paths). What compares groups
stands in `serving.space_group_commands`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal
from serving import space_group_commands
from serving.space_options import (
    GROUP_HELP,
    PLACE_HELP,
    Embeddings,
    Metadata,
    Neighbors,
    Scores,
    Seed,
    opened,
)

if TYPE_CHECKING:
    import numpy as np

    from segmenter.space.directions import Direction
    from segmenter.space.disparity import Disparity
    from segmenter.space.latent_space import LatentSpace
    from segmenter.space.lookalike import LookAlikes
    from segmenter.space.neighbors import Ranking


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    space = typer.Typer(
        help="The geometry of a scored population, or of embeddings from anywhere.",
        no_args_is_help=True,
    )
    for command in (search, lookalike, direction, path):
        space.command(command.__name__)(command)
    space_group_commands.register(space)
    app.add_typer(space, name="space")


def search(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    near: Annotated[str | None, typer.Option("--near", help=PLACE_HELP)] = None,
    minus: Annotated[str | None, typer.Option("--minus", help="B of NEAR - B + C.")] = None,
    plus: Annotated[str | None, typer.Option("--plus", help="C of NEAR - B + C.")] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Log of behaviour to search for; with --model.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Model that made the embeddings.")
    ] = None,
    where: Annotated[str | None, typer.Option("--where", help=GROUP_HELP)] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Column whose values are ranked too.")
    ] = None,
    k: Neighbors = 10,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    mlruns: Mlruns = MLRUNS,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Find the users nearest to a user, a group, A - B + C, or described behaviour. Exact."""
    from serving.space_points import asked_point  # noqa: PLC0415 - --help must not wait for it
    from serving.space_views import groups_table, users_table  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    space = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata).space
    point = asked_point(
        space, near, minus=minus, plus=plus, events=events, model=model, mlruns=mlruns
    )
    found = space.search(point, k=k, where=where)
    terminal.say(users_table("Nearest users", space, found))
    result: dict[str, object] = {
        "users": listed(space, found.rows, -found.scores, name="distance"),
    }
    if groups is not None:
        near_groups = space.nearest_groups(point, groups)[:k]
        terminal.say(groups_table(groups, near_groups))
        result["groups"] = [{"group": one, "distance": far} for one, far in near_groups]
    terminal.finish(result)


def listed(
    space: "LatentSpace", rows: "np.ndarray", figures: "np.ndarray", *, name: str
) -> list[dict[str, object]]:
    """Users by id with one figure each."""
    ids = space.ids.gather(rows).to_list()
    return [
        {"user_id": id_, name: figure}
        for id_, figure in zip(ids, figures.astype(float).tolist(), strict=True)
    ]


def lookalike(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    seeds: Annotated[
        Path | None, typer.Option("--seeds", help="Seed list: a table with user_id.")
    ] = None,
    seed_group: Annotated[
        str | None,
        typer.Option("--seed-group", help=f"Or {GROUP_HELP[0].lower()}{GROUP_HELP[1:]}"),
    ] = None,
    control: Annotated[
        list[str] | None,
        typer.Option("--control", help="Column to compare with; A+B joins columns. Repeatable."),
    ] = None,
    already: Annotated[
        str | None, typer.Option("--already", help="Prospecting: set aside this group.")
    ] = None,
    balance: Annotated[
        str | None, typer.Option("--balance", help="Column whose shares every reach keeps.")
    ] = None,
    audit: Annotated[
        list[str] | None,
        typer.Option("--audit", help="Column whose groups' reach is compared. Repeatable."),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", min=0.0001, max=1.0, help="Part of the ranking to write.")
    ] = 0.1,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the ranked users.")
    ] = None,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Rank everybody by likeness to a seed list, with what each reach may be expected to find.

    A seed list that nothing sets apart is refused: exit code 1 and the reason.
    """
    from serving.space_plain import plain  # noqa: PLC0415 - --help must not wait for numpy
    from serving.space_points import seed_rows  # noqa: PLC0415
    from serving.space_views import disparity_table, reach_lines, reach_table  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    space = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata).space
    rows = seed_rows(space, seeds, seed_group, terminal=terminal)
    found = space.look_alikes(
        rows, controls=control or (), already=already, balance=balance, seed=seed
    )
    terminal.say(reach_table(found))
    for line in reach_lines(found):
        terminal.say(line)
    n_users = max(round(share * len(found.rows)), 1)
    audits = {name: reach_disparity(space, found, name, n_users=n_users) for name in audit or ()}
    for name, disparity in audits.items():
        terminal.say(disparity_table(name, disparity))
    result = plain(found, without=("rows", "similarity")) | {"audit": plain(audits)}
    result |= {"n_users": n_users, "out": None if out is None else str(out)}
    if out is not None:
        write_ranking(out, space, found, n_users=n_users)
        terminal.say(Text(f"The first {n_users:,} users are written to {out}"))
    terminal.finish(result)


def reach_disparity(
    space: "LatentSpace", found: "LookAlikes", column: str, *, n_users: int
) -> "Disparity":
    """How often each group of a column is among the first users of a ranking."""
    import numpy as np  # noqa: PLC0415 - --help must not wait for it

    from segmenter.space.disparity import selection_disparity  # noqa: PLC0415

    ranked = space.only(np.isin(np.arange(len(space.ids)), found.rows))
    reached = ranked.ids.is_in(space.ids.gather(found.rows[:n_users]).implode())
    return selection_disparity(reached.to_numpy(), ranked.attribute(column))


def write_ranking(out: Path, space: "LatentSpace", found: "LookAlikes", *, n_users: int) -> None:
    """Write the head of a ranking: user_id, rank from 1, similarity."""
    import polars as pl  # noqa: PLC0415 - --help must not wait for it

    from serving.space_points import write_table  # noqa: PLC0415

    table = pl.DataFrame(
        {
            "user_id": space.ids.gather(found.rows[:n_users]),
            "rank": range(1, n_users + 1),
            "similarity": found.similarity[:n_users],
        }
    )
    write_table(out, table)


def direction(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    target: Annotated[str | None, typer.Option("--target", help=GROUP_HELP)] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", help="The group that it starts from.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="Numeric column to project out. Repeatable."),
    ] = None,
    apply: Annotated[
        str | None, typer.Option("--apply", help=f"Move this place. {PLACE_HELP}")
    ] = None,
    amount: Annotated[float, typer.Option("--amount", help="How many steps to move it.")] = 1.0,
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="Folder of named directions to keep it in.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the direction.")] = None,
    k: Neighbors = 5,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Find what leads from one group to another, and apply it to a user or a group.

    Without --target and --reference, --name is looked up in --catalogue.
    """
    from serving.space_plain import plain  # noqa: PLC0415 - --help must not wait for numpy
    from serving.space_points import asked_direction, keep_direction  # noqa: PLC0415
    from serving.space_views import contrast_table, direction_lines  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    source = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata)
    found = asked_direction(
        source,
        (target, reference),
        name=name,
        without=without or (),
        catalogue=catalogue,
        seed=seed,
    )
    for line in direction_lines(found):
        terminal.say(line)
    result = {"direction": plain(found)}
    if target is not None and reference is not None:
        different = source.space.contrasts(target, reference)
        terminal.say(contrast_table("What is different", different, ("target", "reference")))
        result["contrasts"] = plain(different[:20])
        if catalogue is not None:
            result["catalogue_version"] = keep_direction(catalogue, found, space=source.identity)
            terminal.say(Text(f"Kept in {catalogue}, version {result['catalogue_version']}"))
    if apply is not None:
        result["applied"] = applied(
            source.space, found, apply, amount=amount, k=k, terminal=terminal
        )
    terminal.finish(result)


def applied(
    space: "LatentSpace",
    found: "Direction",
    place: str,
    *,
    amount: float,
    k: int,
    terminal: Terminal,
) -> dict[str, object]:
    """Move a place along a direction and tell who is there."""
    from serving.space_views import users_table  # noqa: PLC0415 - --help must not wait for it

    told, near = moved(space, found, place, amount=amount, k=k)
    terminal.say(users_table(f"Nearest users after {amount:g} of the step", space, near))
    terminal.say(f"It is less crowded around {told['density_percentile']:.0%} of users.")
    return told


def moved(
    space: "LatentSpace", found: "Direction", place: str, *, amount: float, k: int
) -> "tuple[dict[str, object], Ranking]":
    """Where a direction leads a place, and who is there."""
    from segmenter.space.paths import density_percentile  # noqa: PLC0415 - --help must not wait

    point = found.apply(space.place(place), amount=amount)
    near = space.search(point, k=k)
    told = {
        "point": point.tolist(),
        "density_percentile": float(density_percentile(space.vectors, point[None])[0]),
        "users": listed(space, near.rows, -near.scores, name="distance"),
    }
    return told, near


def path(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    start: Annotated[str, typer.Option("--from", help=PLACE_HELP)],
    end: Annotated[str, typer.Option("--to", help=PLACE_HELP)],
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the path.")] = 6,
    on_the_data: Annotated[  # noqa: FBT002 - a flag
        bool, typer.Option("--on-the-data", help="Along chains of users instead of straight.")
    ] = False,
    k: Neighbors = 3,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Walk between two users or groups in even steps of what is seen around."""
    from serving.space_points import described_steps  # noqa: PLC0415 - --help must not wait for it
    from serving.space_views import path_table  # noqa: PLC0415

    terminal = Terminal(as_json=as_json)
    space = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata).space
    found = space.path(
        space.place(start), space.place(end), n_steps=steps, on_the_data=on_the_data
    )
    described = described_steps(space, found, n_neighbors=k)
    terminal.say(path_table(f"From {start} to {end}", described))
    terminal.say(
        f"Monotonicity {found.monotonicity:.2f} (1 never goes back), largest step "
        f"{found.largest_step:.2f} ({1 / steps:.2f} is even), detour {found.detour:.2f}"
    )
    figures = {name: getattr(found, name) for name in ("monotonicity", "largest_step", "detour")}
    terminal.finish(figures | {"steps": described})
