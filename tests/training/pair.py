"""Two processes that have joined, kept for many tests: starting them costs more than what they are asked to do."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Pair:
    """`run(function, *arguments)` calls function(processes, *arguments) in both and returns both results."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._connections: list[Connection] = []
        self._workers = []
        for rank in range(2):
            ours, theirs = context.Pipe()
            worker = context.Process(target=_serve, args=(theirs, rank, port), daemon=True)
            worker.start()
            theirs.close()
            self._connections.append(ours)
            self._workers.append(worker)

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """The results in order of rank. Raises what a process raised."""
        answers = self.answers(function, *arguments)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers

    def answers(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """The results, or what was raised in their place; EOFError for a process that died."""
        for connection in self._connections:
            connection.send((function, arguments))
        return [_received(connection) for connection in self._connections]

    def close(self) -> None:
        """Lets both leave, and waits for them."""
        for connection in self._connections:
            with contextlib.suppress(BrokenPipeError):  # it died
                connection.send(None)
        for worker in self._workers:
            worker.join()


def _received(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError as error:
        return error


def torchrun_environment(rank: int, port: int, count: int = 2) -> dict[str, str]:
    """What torchrun tells a process on one machine."""
    return {
        "RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def _serve(connection: Connection, rank: int, port: int) -> None:
    os.environ.update(torchrun_environment(rank, port))
    import torch

    from foray.processes import joined_processes

    torch.set_num_threads(1)
    with joined_processes("cpu") as processes:
        while (task := connection.recv()) is not None:
            function, arguments = task
            try:
                connection.send(function(processes, *arguments))
            except Exception as error:
                connection.send(error)
