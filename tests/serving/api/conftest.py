"""A running server that tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from segmenter.mlflow_home import MlflowHome
from serving.api.server import ServerSettings
from tests.models import World
from tests.serving.api.running import Client, requests_of, running


@pytest.fixture(scope="session")
def client(world: World) -> Iterator[Client]:
    """The shared model behind a server without keys."""
    n_threads = torch.get_num_threads()
    with running(ServerSettings(MlflowHome(Path("nowhere")), str(world.bundle))) as asking:
        yield asking
    torch.set_num_threads(n_threads)


@pytest.fixture
def request_of_one(world: World) -> dict:
    """A request that is answered; the test may change it."""
    (user,) = world.store.user_ids()[:1].to_list()
    return requests_of(world.log, [user], as_of=world.store.newest)[0]
