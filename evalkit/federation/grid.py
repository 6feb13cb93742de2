"""An in-process grid: the same ServerApp and ClientApp objects without sockets, processes or Ray.

This is the one place that touches parts of Flower that are not public: the run record, and the identity a
process must have before it may create messages. ``tests/federation/test_flower_internals.py`` fails with a
plain sentence when Flower moves them.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["InProcessGrid"]

NodeConfig = Mapping[str, float | int | str]


class InProcessGrid(Grid):
    """Runs each node's ClientApp on a thread; messages to one node are handled one after another.

    Args:
        client_app: the app every node runs.
        nodes: node id → that node's own configuration.
        workers: how many nodes answer at the same time.
    """

    def __init__(
        self, client_app: ClientApp, nodes: Mapping[int, NodeConfig], *, workers: int = 2
    ) -> None:
        self._app = client_app
        self._run = Run.create_empty(run_id=secrets.randbits(62))
        self._contexts = {
            node: Context(self._run.run_id, node, dict(config), RecordDict({}), {})
            for node, config in nodes.items()
        }
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="city")
        self._pending: dict[str, Future[Message]] = {}
        self._numbers = itertools.count(1)
        TaskIdentity.task_id = 1
        TaskIdentity.run_id = self._run.run_id
        TaskIdentity.node_id = 1

    def __enter__(self) -> InProcessGrid:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering; a city that still computes is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def set_run(self, run: Run) -> None:
        """Set the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message; kept because the interface asks for it."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """The nodes' ids."""
        return list(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand each message to its node."""
        ids: list[str] = []
        for message in messages:
            message_id = f"{self._run.run_id:x}-{next(self._numbers)}"
            message.metadata.__dict__["_message_id"] = message_id
            context = self._contexts[message.metadata.dst_node_id]
            self._pending[message_id] = self._pool.submit(self._app, message, context)
            ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there, each handed out once."""
        ready = [one for one in message_ids if one in self._pending and self._pending[one].done()]
        return [self._pending.pop(one).result() for one in ready]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Push, wait until all have answered or the time is over, pull what is there."""
        ids = list(self.push_messages(messages))
        wait([self._pending[one] for one in ids], timeout=timeout)
        return self.pull_messages(ids)
