"""Tasks in a fixed order, run by any number of threads.

The tasks form a list from left to right. A finished task is replaced, at its place, by the tasks that it gave back, so that the
order of results does not depend on the threads. Results wait for the ones before them in a window of bounded length, in which
the oldest unfinished task always has a place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from tropica.regions.engine.tasks import Task, TaskResult

Run = Callable[[Task], TaskResult]


@dataclass
class _Place:
    """A place in the list: a task, its run, or its result."""

    task: Task | None = None
    future: Future[TaskResult] | None = None
    found: TaskResult | None = None
    after: _Place | None = None


def in_order(root: Task, run: Run, threads: int, window: int) -> Iterator[TaskResult]:
    """Yield the results of a task and of all that it gives back, in order.

    Args:
        root: the first task.
        run: searches one task.
        threads: how many at once.
        window: the largest number of tasks that are running or waiting for their turn.
    """
    start = run(root)  # nothing can run beside it; most small calls end here, before threads are started
    yield start
    if threads == 1 or not start.tasks:
        yield from _one_thread(start.tasks, run)
        return
    first = _behind(start.tasks, None)
    with ThreadPoolExecutor(threads, thread_name_prefix="tropica") as pool:
        try:
            while first is not None:
                _submit(first, pool, run, max(window, threads))
                running = [p for p in _places(first) if p.future is not None]
                if running:
                    wait([p.future for p in running if p.future is not None], return_when=FIRST_COMPLETED)
                    for place in running:
                        if place.future is not None and place.future.done():
                            _finish(place)
                while first is not None and first.found is not None:
                    yield first.found
                    first = first.after
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread(tasks: list[Task], run: Run) -> Iterator[TaskResult]:
    waiting = tasks[::-1]
    while waiting:
        found = run(waiting.pop())
        waiting.extend(reversed(found.tasks))
        yield found


def _places(first: _Place | None) -> Iterator[_Place]:
    while first is not None:
        yield first
        first = first.after


def _submit(first: _Place, pool: ThreadPoolExecutor, run: Run, window: int) -> None:
    """Start tasks from the left while the window has room."""
    for place in itertools.islice(_places(first), window):
        if place.task is not None and place.future is None:
            place.future, place.task = pool.submit(run, place.task), None


def _finish(place: _Place) -> None:
    """Put a finished task's result and the tasks that it gave back at its place."""
    assert place.future is not None
    found = place.future.result()
    place.future, place.found = None, found
    place.after = _behind(found.tasks, place.after)


def _behind(tasks: list[Task], after: _Place | None) -> _Place | None:
    """Places of some tasks in front of others."""
    for task in reversed(tasks):
        after = _Place(task, after=after)
    return after
