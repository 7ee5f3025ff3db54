"""What a fault or a mend has set going in the runner, by name: it goes on until it's ended or the run is over."""

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup


class Ongoing:
    """Runs work beside the timeline, in a task group that outlives it."""

    def __init__(self, tasks: TaskGroup) -> None:
        self.tasks = tasks
        self._scopes: dict[str, list[anyio.CancelScope]] = {}

    def begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Start work; the same name may go on several times at once."""
        scope = anyio.CancelScope()
        self._scopes.setdefault(name, []).append(scope)
        self.tasks.start_soon(_until_ended, work, scope)

    def end(self, name: str) -> None:
        """Cancel all work of a name; there may be none."""
        for scope in self._scopes.pop(name, []):
            scope.cancel()


async def _until_ended(work: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
    with scope:
        await work()
