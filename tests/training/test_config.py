"""The configuration: what is refused, with which words, and that nothing is lost on the way."""

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from segmenter.autoencoder.config import AutoencoderConfig
from segmenter.errors import ConfigError
from training.config import LOWEST, MODEL_SIZES, TrainConfig, load_config

NAMES = [item.name for item in fields(TrainConfig)]
WHOLE = [item.name for item in fields(TrainConfig) if type(item.default) is int]
MODEL_WHOLE = [name for name in MODEL_SIZES if type(getattr(AutoencoderConfig(1.0), name)) is int]

ACCEPTED: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(NAMES, (int, float)),
    **dict.fromkeys(WHOLE, (int,)),
    "name": (str,),
    "encoder": (str,),
    "model": (dict,),
    "sensitive": (dict,),
}
WRONG_TYPES = [
    (name, value)
    for name in NAMES
    for value in (True, [1], "7", 7, 0.5, {"dropout": 0.5})
    if type(value) not in ACCEPTED[name]
]


def whole_settings() -> st.SearchStrategy[dict[str, Any]]:
    """Allowed values of any of the whole-numbered settings."""
    settings = {name: st.integers(LOWEST[name], 10**6) for name in WHOLE}
    return st.fixed_dictionaries({}, optional=settings)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def as_toml(settings: dict[str, Any]) -> str:
    return "".join(f"{name} = {value!r}\n" for name, value in settings.items())


@given(settings=whole_settings(), flags=whole_settings())
def test_flags_win_over_the_file_and_the_file_over_the_defaults(
    tmp_path_factory: pytest.TempPathFactory, settings: dict, flags: dict
) -> None:
    path = written(tmp_path_factory.mktemp("config"), as_toml(settings))
    unset = dict.fromkeys(set(NAMES) - set(flags))
    config = load_config(path, **flags, **unset)
    for name in WHOLE:
        expected = flags.get(name, settings.get(name, getattr(TrainConfig(), name)))
        assert getattr(config, name) == expected


@given(
    settings=whole_settings(),
    window=st.none() | st.floats(0.01, 1000),
    model=st.fixed_dictionaries({}, optional={n: st.integers(1, 512) for n in MODEL_WHOLE}),
)
def test_the_plain_form_gives_the_same_configuration_back(
    settings: dict, window: float | None, model: dict
) -> None:
    config = TrainConfig(**settings, window_days=window, model=model)
    assert TrainConfig(**config.to_json()) == config


def test_without_a_file_and_flags_the_defaults_hold() -> None:
    assert load_config(None) == TrainConfig()


def test_every_setting_can_be_written_in_a_file(tmp_path: Path) -> None:
    plain = TrainConfig(
        name="shoppers",
        window_days=30.0,
        n_segments=9,
        taste_weight=0,
        encoder="hybrid",
        model={"dropout": 0.1},
        sensitive={"tobacco": ["cigar*"]},
    ).to_json()
    assert None not in plain.values()
    tables = {name: plain.pop(name) for name in ("model", "sensitive")}
    text = as_toml(plain) + "".join(f"[{name}]\n{as_toml(tables[name])}" for name in tables)
    assert load_config(written(tmp_path, text)) == TrainConfig(**plain, **tables)


@given(name=st.sampled_from(NAMES), place=st.integers(0, 30))
def test_a_slip_of_the_pen_is_answered_with_the_setting_that_was_meant(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: int
) -> None:
    wrong = f"{name[: place % len(name)]}x{name[place % len(name) :]}"
    path = written(tmp_path_factory.mktemp("config"), f"{wrong} = 1\n")
    with pytest.raises(ConfigError, match=f"unknown setting {wrong}; did you mean ") as caught:
        load_config(path)
    assert str(caught.value).rpartition(" ")[2].removesuffix("?") == name


def test_a_setting_unlike_any_other_is_answered_with_all_that_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, "zzz = 1\n"))
    assert all(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES)
def test_a_setting_of_another_type_is_refused(name: str, value: object) -> None:
    words = rf"{name} must be of type \w+; found {re.escape(repr(value))}"
    with pytest.raises(ConfigError, match=words):
        TrainConfig(**{name: value})


@pytest.mark.parametrize(("name", "lowest"), LOWEST.items())
def test_a_setting_below_its_smallest_value_is_refused(name: str, lowest: int) -> None:
    assert getattr(TrainConfig(**{name: lowest}), name) == lowest
    with pytest.raises(ConfigError, match=f"{name} must be at least {lowest}; found {lowest - 1}"):
        TrainConfig(**{name: lowest - 1})


@pytest.mark.parametrize("name", ["learning_rate", "window_days"])
@pytest.mark.parametrize("value", [0, -1.5, float("nan"), float("inf")])
def test_a_rate_or_a_window_must_be_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be a number above 0"):
        TrainConfig(**{name: value})


@pytest.mark.parametrize("share", [1, 1.0, 3.5])
def test_somebody_must_be_left_to_learn_from(share: float) -> None:
    with pytest.raises(ConfigError, match="validation_share must be below 1"):
        TrainConfig(validation_share=share)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"forecast_dimension": 8}, "did you mean forecast_dimensions?"),
        ({"zzz": 8}, "known settings: forecast_events"),
        ({"window_days": 8.0}, r"\[model\] has no setting window_days"),
        ({"taste_dimensions": 0}, "taste_dimensions must be at least 1; found 0"),
        ({"taste_dimensions": 8.0}, "taste_dimensions must be of type int"),
        ({"taste_dimensions": "8"}, "taste_dimensions must be of type int"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1; found 1.0"),
        ({"dropout": True}, "dropout must be of type float"),
        ({"count_weight": -1}, "count_weight must be at least 0; found -1"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused_at_once(model: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig(model=model)


@given(model=st.fixed_dictionaries({}, optional={n: st.integers(1, 512) for n in MODEL_WHOLE}))
def test_overrides_reach_the_network_and_nothing_else_changes(model: dict) -> None:
    built = TrainConfig(model=model).autoencoder(12.5)
    expected = AutoencoderConfig(window_days=12.5).to_json() | model
    assert built.to_json() == expected


@pytest.mark.parametrize(
    "content", [b"n_cuts = \n", b"n_cuts = 1\nn_cuts = 2\n", b"\xff\xfe", b"name: shoppers\n"]
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml is no TOML file"):
        load_config(written(tmp_path, content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load_config(tmp_path / "nowhere.toml")


def test_a_wrong_value_in_a_file_is_refused_like_a_flag(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="n_segments must be at least 1; found 0"):
        load_config(written(tmp_path, "n_segments = 0\n"))


@pytest.mark.parametrize("kind", [TrainConfig, AutoencoderConfig])
def test_every_setting_is_documented(kind: type) -> None:
    assert kind.__doc__ is not None
    listed = re.findall(
        r"^    (\w+(?:, \w+)*)$", kind.__doc__.partition("----------")[2], re.MULTILINE
    )
    documented = {name for line in listed for name in line.split(", ")}
    assert documented == {item.name for item in fields(kind)}


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        TrainConfig().seed = 1  # type: ignore[misc] # the very thing that must fail
