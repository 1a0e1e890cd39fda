"""``segmenter space``: every command on plain embeddings, for people and for scripts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from segmenter.errors import ConfigError, OutputError, SeedError, SpaceError
from segmenter.registry import resolve
from segmenter.space.catalogue import Catalogue
from segmenter.space.latent_space import LatentSpace
from serving import space_commands
from serving.batch import score
from serving.space_tables import open_space
from tests.models import World
from tests.space.clouds import people


@pytest.fixture(scope="module")
def space() -> LatentSpace:
    """Users whose age and spend show in their vectors."""
    found = people()
    generator = np.random.default_rng(1)
    odds = 2.5 * found.vectors[:, 3] - 2
    buys = (generator.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(int)
    return LatentSpace(found.ids, found.vectors, found.metadata.with_columns(buys=pl.Series(buys)))


@pytest.fixture(scope="module")
def words(space: LatentSpace, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Where everything is read from."""
    folder = tmp_path_factory.mktemp("plain [red]")
    user = space.ids.alias("user_id")
    pl.DataFrame([user, pl.Series("embedding", space.vectors.tolist())]).write_parquet(
        folder / "embeddings.parquet"
    )
    space.metadata.insert_column(0, user).write_parquet(folder / "metadata.parquet")
    return [
        *("--embeddings", str(folder / "embeddings.parquet")),
        *("--metadata", str(folder / "metadata.parquet")),
    ]


def segmenter(*words: str | Path) -> Result:
    """The command as typed, with this group alone."""
    app = typer.Typer()
    space_commands.register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["space", *map(str, words)], env={"COLUMNS": "160"})


def result_of(*words: str | Path) -> dict:
    """The one JSON object of a command that must succeed."""
    done = segmenter(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_search_finds_the_user_first_and_obeys_its_filter(words, space) -> None:
    found = result_of("search", *words, "--near", "user:u7", "--k", 3)["users"]
    assert found[0] == {"user_id": "u7", "distance": pytest.approx(0, abs=1e-6)}
    filtered = result_of("search", *words, "--near", "user:u7", "--where", "age=65+")["users"]
    ages = space.metadata["age"].gather(space.rows([one["user_id"] for one in filtered]))
    assert set(ages) == {"65+"}
    back = ("--minus", "age=65+", "--plus", "age=65+")
    assert result_of("search", *words, "--near", "user:u7", *back, "--k", 3)["users"] == found
    done = segmenter("search", *words, "--near", "user:u7", "--groups", "age")
    assert "u7" in done.stdout
    assert "Nearest groups" in done.stdout
    centre = result_of("search", *words, "--near", "age=65+", "--groups", "age")["groups"]
    assert centre[0] == {"group": "65+", "distance": pytest.approx(0, abs=1e-5)}


def test_look_alikes_are_ranked_written_and_compared(words, space, tmp_path) -> None:
    out = tmp_path / "alike.parquet"
    controls = ("--control", "spend", "--control", "age+segment_id", "--audit", "age")
    found = result_of("lookalike", *words, "--seed-group", "buys=1", *controls, "--out", out)
    assert [one["name"] for one in found["controls"]] == ["spend", "age+segment_id"]
    assert found["curve"][3]["lift"]["value"] > found["controls"][0]["lifts"][3]["value"]
    assert found["audit"]["age"]["labels"] == ["19-24", "65+", "unknown"]
    table = pl.read_parquet(out)
    assert table.columns == ["user_id", "rank", "similarity"]
    assert len(table) == found["n_users"] == round(0.1 * (space.metadata["buys"] == 0).sum())
    assert table["rank"].to_list() == list(range(1, len(table) + 1))
    done = segmenter("lookalike", *words, "--seed-group", "buys=1", "--already", "known=true")
    assert "expected lift" in done.stdout
    assert "they do it already" in done.stdout


def test_a_seed_list_may_hold_strangers_who_are_counted(words, space, tmp_path) -> None:
    members = space.ids.filter((space.metadata["buys"] == 1).to_numpy()).to_list()
    pl.DataFrame({"user_id": [*members, "stranger"]}).write_csv(tmp_path / "seeds.csv")
    by_list = segmenter("lookalike", *words, "--seeds", tmp_path / "seeds.csv", "--json")
    assert f"1 of {len(members) + 1} seeds have no embedding" in by_list.stderr
    by_group = result_of("lookalike", *words, "--seed-group", "buys=1")
    assert json.loads(by_list.stdout) == by_group


def test_seeds_that_nothing_sets_apart_are_refused(words) -> None:
    done = segmenter("lookalike", *words, "--seed-group", "known=true")
    assert isinstance(done.exception, SeedError)
    assert "not distinctive" in str(done.exception)


def test_a_direction_is_applied_and_kept_in_a_catalogue(words, space, tmp_path) -> None:
    groups = ("--target", "age=65+", "--reference", "age=19-24", "--without", "spend")
    kept = ("--catalogue", tmp_path / "directions", "--name", "older")
    found = result_of("direction", *words, *groups, "--apply", "user:u7", *kept)
    identity = open_space(embeddings=Path(words[1]), scores=None, metadata=None).identity
    catalogue = Catalogue.load(tmp_path / "directions", space=identity)
    np.testing.assert_allclose(catalogue["older"].step, found["direction"]["step"])
    moved = np.array(found["applied"]["point"]) - space.place("user:u7")
    np.testing.assert_allclose(moved, catalogue["older"].step, atol=1e-5)
    assert result_of("direction", *words, *groups, *kept)["catalogue_version"] == 2
    by_name = result_of("direction", *words, *kept, "--apply", "user:u7")
    assert by_name["applied"] == found["applied"]
    assert "age" not in {one["what"].split(" ")[0] for one in found["contrasts"]}
    assert "halves of the groups agree" in segmenter("direction", *words, *groups).stdout


@pytest.mark.parametrize("mode", [(), ("--on-the-data",)])
def test_a_path_tells_what_is_seen_at_each_step(words, mode) -> None:
    ends = ("--from", "age=19-24", "--to", "age=65+", "--steps", "4")
    found = result_of("path", *words, *ends, *mode)
    assert [round(step["progress"], 6) for step in found["steps"]][:: len(found["steps"]) - 1] == [
        0,
        1,
    ]
    assert found["monotonicity"] >= 0.9
    assert "age = 65+" in found["steps"][0]["around"]
    assert "Monotonicity" in segmenter("path", *words, *ends, *mode).stdout


def test_drift_is_told_by_segment_and_points_are_sampled_on_the_way(words, tmp_path) -> None:
    groups = ("--group", "age=65+", "--target", "age=19-24", "--by", "segment_id")
    toward = ("--toward", "0.5", "--n", "300", "--out", tmp_path / "points.parquet")
    found = result_of("drift", *words, *groups, *toward)
    assert found["drift"]["distance_p"] == 1 / 200
    assert [one["segment"] for one in found["by"]] == ["False", "True"]
    assert found["toward"]["mean_adherence"] == pytest.approx(0.5, abs=0.1)
    sampled = open_space(embeddings=tmp_path / "points.parquet", scores=None, metadata=None).space
    assert sampled.vectors.shape == (300, 5)
    done = segmenter("drift", *words, *groups, "--toward", "0.5", "--before", "age=65+ & spend<1")
    assert "toward the target" in " ".join(done.stdout.split())
    assert "Inside each segment" in done.stdout
    assert "keep what is local" in done.stdout


def test_bias_is_told_before_and_after_and_its_remedies_are_written(words, tmp_path) -> None:
    out = tmp_path / "erased.parquet"
    options = ("--attribute", "age", "--outcome", "spend", "--n-segments", "4", "--out", out)
    found = result_of("bias", *words, *options)
    assert found["before"]["linear_r2"] > 0.3
    assert found["after"]["linear_r2"] < 0.02
    assert 0 < found["reweighing"]["effective_sample"] <= 600
    table = pl.read_parquet(out)
    assert table.columns == ["user_id", "embedding", "weight"]
    assert len(table) == 600
    assert table["weight"].null_count() == 60
    assert "after erasure" in segmenter("bias", *words, *options[:-2]).stdout


def test_scores_and_their_model_are_searched_by_behaviour_and_audited(
    world: World, tmp_path
) -> None:
    score(world.store.path, tmp_path / "scores", resolve(None, str(world.bundle)))  # type: ignore[arg-type] - a folder needs no home
    user = world.store.user_ids()[3]
    world.log.filter(pl.col("user") == user).write_parquet(tmp_path / "like this.parquet")
    model = ("--scores", tmp_path / "scores", "--model", world.bundle)
    found = result_of("search", *model, "--events", tmp_path / "like this.parquet")
    assert user in {one["user_id"] for one in found["users"]}
    half = pl.DataFrame({"user_id": world.store.user_ids()}).with_row_index("half")
    half.with_columns((pl.col("half") % 2 == 0).alias("half")).write_parquet(
        tmp_path / "m.parquet"
    )
    audited = result_of(
        "bias", *model, "--metadata", tmp_path / "m.parquet", "--attribute", "half"
    )
    assert audited["after"]["linear_r2"] < 0.02


@pytest.mark.parametrize(
    "case",
    [
        (("search",), ConfigError, "either --near PLACE or --events"),
        (("search", "--near", "user:x"), SpaceError, "must be in the space"),
        (("direction", "--target", "age=65+"), ConfigError, "--target and --reference or --name"),
        (("lookalike",), ConfigError, "either --seeds FILE or --seed-group"),
        (("lookalike", "--seed-group", "buys=2"), SpaceError, "nobody has 'buys=2'"),
        (("path", "--from", "user:u1", "--to", "user:u1"), SpaceError, "same profile"),
        (("bias", "--attribute", "height"), SpaceError, "nothing is known as 'height'"),
    ],
)
def test_what_cannot_be_done_is_a_deliberate_error(words, case) -> None:
    (command, *options), kind, said = case
    done = segmenter(command, *words, *options)
    assert isinstance(done.exception, kind)
    assert said in str(done.exception)


def test_what_cannot_be_written_is_a_deliberate_error(words, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "below"
    for command in (
        ("lookalike", "--seed-group", "buys=1", "--out", out),
        ("direction", "--target", "age=65+", "--reference", "age=19-24", "--catalogue", out),
    ):
        done = segmenter(command[0], *words, *command[1:])
        assert isinstance(done.exception, OutputError), done.exception
