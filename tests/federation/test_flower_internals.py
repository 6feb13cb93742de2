"""The parts of Flower that are not public and that the in-process grid needs. One place, one clear failure."""

from __future__ import annotations

import importlib
import inspect
from importlib import metadata

import pytest
from flwr.serverapp import Grid

MOVED = (
    "Flower {version} has moved {what}. evalkit/federation/grid.py is the only file that uses it: "
    "adapt it there, or narrow the range of flwr in pyproject.toml."
)


def explain(what: str) -> str:
    return MOVED.format(version=metadata.version("flwr"), what=what)


@pytest.mark.parametrize(
    ("module", "name", "attributes"),
    [
        ("flwr.supercore.run", "Run", ("create_empty",)),
        ("flwr.supercore.task_identity", "TaskIdentity", ()),
    ],
)
def test_internals_are_where_the_grid_looks(
    module: str, name: str, attributes: tuple[str, ...]
) -> None:
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        pytest.fail(explain(f"{module}.{name}"))
    assert all(hasattr(found, one) for one in attributes), explain(f"{module}.{name}")


def test_the_grid_implements_all_that_flower_asks_for() -> None:
    from evalkit.federation.grid import InProcessGrid

    assert not inspect.isabstract(InProcessGrid), explain("a method of Grid")
    public = {name for name in vars(Grid) if not name.startswith("_")}
    assert {"push_messages", "pull_messages", "send_and_receive", "get_node_ids"} <= public, (
        explain("the interface of Grid")
    )


def test_message_metadata_can_be_given_an_id() -> None:
    from flwr.app import Message, RecordDict

    from evalkit.federation.client_app import app
    from evalkit.federation.grid import InProcessGrid

    with InProcessGrid(app, {1: {}}) as grid:
        message = Message(RecordDict({}), 1, "query.hello")
        (given,) = grid.push_messages([message])
        assert message.metadata.message_id == given, explain("the id of a message's metadata")
        (reply,) = grid.send_and_receive([Message(RecordDict({}), 1, "query.hello")])
    assert reply.metadata.reply_to_message_id, explain("the id a reply refers to")
