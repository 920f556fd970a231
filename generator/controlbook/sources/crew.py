# SPDX-License-Identifier: Apache-2.0
"""Very many places, read by several processes: boto3 keeps one core busy.

Rules enforced here:
- what comes back is what one process would have read, in the same order; pages, retries
  and queries are counted together;
- few places are read here: a process of its own costs half a second;
- when a run stops, for whatever reason, its processes stop with it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from controlbook.vault.packs import pack

from . import SourceError
from .aws import Conversation, shared

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from concurrent.futures import Future

    from controlbook.vault.packs import Pack

    from .aws import Told
    from .places import Answer, Asked, Errand

BATCH = 100
"""So many places go to a process at a time; their pages make one pack."""
MANY = 4 * BATCH
"""From so many places on it is worth the processes."""
CREW = 4
"""Never more processes than this: each takes about 100 MiB."""
AHEAD = 2
"""So many batches wait or run for each process."""
GARBAGE = 50_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What one process read of some places."""

    answers: tuple[Answer, ...]
    pages: Pack
    told: Told


def processes(places: int) -> int:
    """Say how many processes read so many places; 0: this one does."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    return min(cores, CREW) if places >= MANY and cores > 1 else 0


def batches(errand: Errand, asked: Iterable[Asked], size: int) -> Generator[Batch]:
    """Let a number of processes read places; SourceError where one of them is lost."""
    waiting: deque[Future[Batch]] = deque()
    following = iter(asked)
    # Not forked: a fork would inherit this process's connections and threads.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(size, context, initializer=_begin)
    try:
        while batch := list(islice(following, BATCH)):
            waiting.append(pool.submit(_work, errand, batch))
            if len(waiting) > size * AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        pool.shutdown()
    except BrokenProcessPool as error:
        message = "a process that read it was ended from outside, for memory perhaps"
        raise SourceError(message, "AWS Config", "run it again") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
            process.join()


def _begin() -> None:
    # The parent is told of Ctrl-C as well, and ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(GARBAGE)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent has, who may have been killed."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _work(errand: Errand, asked: list[Asked]) -> Batch:
    talk = Conversation(shared(errand.role), plain=True)
    answers = tuple(errand.run(talk, asked))
    return Batch(answers, pack(set(talk.take_kept(0))), talk.told)
