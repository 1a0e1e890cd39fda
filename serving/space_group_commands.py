"""``segmenter space drift`` and ``segmenter space bias``: groups of users compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from segmenter.command_options import MLRUNS, AsJson, Mlruns
from segmenter.terminal import Terminal
from serving.space_options import GROUP_HELP, Embeddings, Metadata, Scores, Seed, opened

if TYPE_CHECKING:
    from segmenter.space.debias import Erasure
    from segmenter.space.latent_space import LatentSpace
    from segmenter.space.segmenting import Assign


def register(app: typer.Typer) -> None:
    """Add both commands to the group."""
    app.command("drift")(drift)
    app.command("bias")(bias)


def drift(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    group: Annotated[str, typer.Option("--group", help=GROUP_HELP)],
    target: Annotated[str, typer.Option("--target", help="The group to compare with.")],
    before: Annotated[
        str | None, typer.Option("--before", help="The group as it was: tell how it has moved.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Column: compare inside each of its values too.")
    ] = None,
    toward: Annotated[
        float | None,
        typer.Option("--toward", help="Sample points of the group this part of the way: 0 to 1."),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Points to sample.")] = 500,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the sampled points.")
    ] = None,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure how far a group is from a target, and sample points that come closer."""
    from serving.space_plain import plain  # noqa: PLC0415 - --help must not wait for numpy
    from serving.space_views import (  # noqa: PLC0415
        contrast_table,
        drift_line,
        movement_line,
        segment_drift_table,
    )

    terminal = Terminal(as_json=as_json)
    space = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata).space
    found = space.drift(group, target, seed=seed)
    terminal.say(drift_line(found))
    result = {"drift": plain(found)}
    if before is not None:
        moved = space.movement(before, group, target, seed=seed)
        terminal.say(movement_line(moved))
        result["movement"] = plain(moved)
    if by is not None:
        inside = space.drift_by(by, group, target, seed=seed)
        terminal.say(segment_drift_table(by, inside))
        result["by"] = plain(inside, without=("step",))
    different = space.contrasts(group, target)
    terminal.say(contrast_table("What is different", different, ("group", "target")))
    result["contrasts"] = plain(different[:20])
    if toward is not None:
        result["toward"] = sampled(
            space, (group, target), amount=toward, n_points=n, out=out, seed=seed
        )
        terminal.say(toward_line(result["toward"]))
    terminal.finish(result)


def sampled(
    space: "LatentSpace",
    group_and_target: tuple[str, str],
    *,
    amount: float,
    n_points: int,
    out: Path | None,
    seed: int,
) -> dict[str, object]:
    """Sample points toward the target, write them if asked to, and tell where they lie."""
    import polars as pl  # noqa: PLC0415 - --help must not wait for it

    from segmenter.space.paths import density_percentile  # noqa: PLC0415
    from segmenter.space.toward import adherence, sample_toward  # noqa: PLC0415
    from serving.space_points import write_table  # noqa: PLC0415

    group, target = (space.vectors[space.group(one)] for one in group_and_target)
    points = sample_toward(
        group, target, whitening=space.whitening, amount=amount, n_points=n_points, seed=seed
    )
    on_the_way = adherence(points, group, target, whitening=space.whitening)
    if out is not None:
        kind = pl.Array(pl.Float32, points.shape[1])
        vectors = pl.Series("embedding", points.astype("float32"), dtype=kind)
        names = [f"point-{place:05d}" for place in range(len(points))]
        write_table(
            out, pl.DataFrame({"user_id": names, "adherence": on_the_way}).hstack([vectors])
        )
    crowded = density_percentile(space.vectors, points)
    return {
        "amount": amount,
        "n_points": n_points,
        "mean_adherence": float(on_the_way.mean()),
        "median_density_percentile": float(sorted(crowded)[len(crowded) // 2]),
        "out": None if out is None else str(out),
    }


def toward_line(toward: dict[str, object]) -> Text:
    """Where sampled points lie."""
    where = f", written to {toward['out']}" if toward["out"] else ""
    return Text(
        f"{toward['n_points']:,} points that keep what is local{where}: on average "
        f"{toward['mean_adherence']:.2f} of the way from the group (0) to the target (1); the "
        f"median one is more crowded than {toward['median_density_percentile']:.0%} of users"
    )


def bias(  # noqa: PLR0913, PLR0917 - a command's options are its parameters
    attribute: Annotated[str, typer.Option("--attribute", help="Column to measure and erase.")],
    outcome: Annotated[
        list[str] | None,
        typer.Option("--outcome", help="Column the space is for: what erasure costs. Repeatable."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Segments by this model; left out, by KMeans.")
    ] = None,
    n_segments: Annotated[int, typer.Option("--n-segments", min=2, help="Without --model.")] = 16,
    out: Annotated[
        Path | None, typer.Option("--out", help="Parquet file for the erased embeddings.")
    ] = None,
    embeddings: Embeddings = None,
    scores: Scores = None,
    metadata: Metadata = None,
    mlruns: Mlruns = MLRUNS,
    seed: Seed = 0,
    as_json: AsJson = False,  # noqa: FBT002 - a flag
) -> None:
    """Measure what embeddings and segments tell of an attribute; erase it; measure again."""
    from serving.space_views import bias_table  # noqa: PLC0415 - --help must not wait for it

    terminal = Terminal(as_json=as_json)
    whole = opened(terminal, embeddings=embeddings, scores=scores, metadata=metadata).space
    space = known_of(whole, [attribute, *(outcome or ())])
    if len(space.ids) < len(whole.ids):
        terminal.say(f"Measured on the {len(space.ids):,} users of whom all of it is known.")
    found = space.erase(
        attribute,
        assign=None if model is None else assigner_of(model, mlruns),
        n_segments=n_segments,
        outcomes=outcome or (),
        seed=seed,
    )
    terminal.say(bias_table(found))
    terminal.say(
        f"{found.eraser.rank} dimensions erased; vectors moved by {found.moved:.0%} of their "
        f"spread; segments agree at an adjusted Rand index of {found.segment_agreement:.2f}."
    )
    weighed, words, weights = reweighed(space, attribute, found)
    terminal.say(Text(words))
    if out is not None:
        write_erased(out, whole, found, weights=dict(zip(space.ids, weights, strict=False)))
        terminal.say(Text(f"Erased embeddings and weights are written to {out}"))
    terminal.finish(
        found.to_json() | {"reweighing": weighed, "out": None if out is None else str(out)}
    )


def reweighed(
    space: "LatentSpace", attribute: str, found: "Erasure"
) -> tuple[dict[str, float] | None, str, list[float]]:
    """The other remedy: its figures, what it comes to in words, and the weights."""
    from segmenter.errors import SpaceError  # noqa: PLC0415
    from segmenter.space.debias import balancing_weights, effective_sample  # noqa: PLC0415

    try:
        weights = balancing_weights(found.segments, space.attribute(attribute))
    except SpaceError as error:
        return None, f"Reweighing instead is not possible: {error}", []
    effective = effective_sample(weights)
    figures = {
        "effective_sample": effective,
        "lowest_weight": float(weights.min()),
        "highest_weight": float(weights.max()),
    }
    words = (
        f"Reweighing instead makes segments and {attribute} independent with weights of "
        f"{weights.min():.2f} to {weights.max():.2f}; {len(weights):,} users then tell as much "
        f"as {effective:,.0f}."
    )
    return figures, words, weights.tolist()


def known_of(space: "LatentSpace", columns: list[str]) -> "LatentSpace":
    """The users of whom all these columns are known."""
    from segmenter.space.selection import column_of  # noqa: PLC0415

    known = column_of(space.metadata, columns[0]).is_not_null()
    for name in columns[1:]:
        known &= column_of(space.metadata, name).is_not_null()
    return space.only(known.to_numpy())


def assigner_of(model: str, mlruns: Path) -> "Assign":
    """The assigner of a model as a function from vectors to segments."""
    from segmenter.audience_model import AudienceModel  # noqa: PLC0415 - torch takes two seconds
    from segmenter.mlflow_home import MlflowHome  # noqa: PLC0415
    from segmenter.registry import resolve  # noqa: PLC0415

    loaded = AudienceModel.load(resolve(MlflowHome(mlruns), model).folder)
    return lambda vectors: loaded.assign(vectors.astype("float32")).segment_id


def write_erased(
    out: Path, space: "LatentSpace", found: "Erasure", *, weights: dict[str, float]
) -> None:
    """Write everybody's embeddings without the attribute, and weights where there are any."""
    import polars as pl  # noqa: PLC0415 - --help must not wait for it

    from serving.space_points import write_table  # noqa: PLC0415

    erased = found.eraser(space.vectors).astype("float32")
    vectors = pl.Series("embedding", erased, dtype=pl.Array(pl.Float32, erased.shape[1]))
    table = pl.DataFrame([space.ids.alias("user_id"), vectors])
    if weights:
        each = [weights.get(id_) for id_ in space.ids]
        table = table.with_columns(weight=pl.Series(each, dtype=pl.Float64))
    write_table(out, table)
