"""The worker: reads requests, does them one after the other, and says how far it is.

Reading happens in a thread of its own, so that a cancelled request and a closed input are noticed while something
computes. Standard output is the protocol's alone: before anything else is imported it is moved to a private descriptor,
and what libraries print, C libraries too, goes to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import PromptSegError, Stopped, as_problem
from ..progress import Progress
from ..threads import take_own_share, wait_passively
from .protocol import PROTOCOL, Lines, RequestError, decode, decode_request, encode, is_id

if TYPE_CHECKING:
    from .engine import Engine

RELEASE_AFTER = 0.7
"""Seconds after which a cancelled request is answered although the work has not come to a place where it can stop (such
as loading torch): the user is not kept waiting, and what the work still says is dropped."""
LEAVE_AFTER = 1.0
"""Seconds after the end of input until the process ends, whatever it is doing."""
_EVERY = 0.1
"""Seconds between two reports of progress."""
_NOBODY_LISTENS = (errno.EPIPE, errno.EBADF, errno.ESHUTDOWN, errno.ECONNRESET, errno.EINVAL)
GO_ON, KEEP, CANCEL = range(3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the worker is started with."""
    parser.add_argument(
        "--jobs", metavar="DIR", help="the private folder that arrays pass through (default: a new one)"
    )
    parser.add_argument("--backbone", metavar="NAME|FILE", default="punet-ct", help="default: punet-ct")
    device = "auto (default: a GPU if there is one), cpu, cuda or mps"
    parser.add_argument("--device", metavar="DEVICE", default="auto", help=device)
    parser.add_argument("--threads", metavar="N", type=int, help="threads of the CPU (default: all that may be used)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until standard input closes."""
    wait_passively()
    parser = argparse.ArgumentParser("python -m PromptSegLib.worker", description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    return serve(parser.parse_args(arguments))


def serve(args: argparse.Namespace) -> int:
    """Serve until standard input closes; then the job folder is removed and the process ends, so this never returns."""
    source, sink = take_over_pipes()
    take_own_share()
    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the front end's; it closes our input
    from .engine import Engine
    from .jobs import Jobs

    jobs = Jobs(args.jobs) if args.jobs else Jobs.create()
    WorkerLoop(Engine(jobs, args.backbone, args.device, args.threads), source, sink).run()
    return 0


def take_over_pipes() -> tuple[int, int]:
    """Private descriptors of standard input and output; the public ones then lead to nothing and to standard error."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


class RunningCall:
    """One request; see :class:`~PromptSegLib.worker.call.Call`."""

    def __init__(self, worker: WorkerLoop, message: Mapping[str, Any]) -> None:
        self.id: str = message["id"]
        self.do: str = message["do"]
        self.fields: Mapping[str, Any] = {key: value for key, value in message.items() if key not in ("id", "do")}
        self.level = GO_ON
        self.answered = False
        self._worker = worker
        self._stage = ""
        self._reported = 0.0

    def emit(self, event: str, **fields: Any) -> None:
        """Say something, unless the request was answered already."""
        self._worker.tell(self, event, **fields)

    def on_progress(self, progress: Progress) -> None:
        """At most ten reports a second, but every stage and every metric."""
        if progress.stage != self._stage:
            self._stage = progress.stage
            self.emit("stage", stage=progress.stage, message=progress.message)
        if progress.metrics:
            self.emit("metric", stage=progress.stage, metrics=dict(progress.metrics))
        now = time.monotonic()
        if now - self._reported >= _EVERY or progress.fraction >= 1:
            self._reported = now
            self.emit("progress", stage=progress.stage, fraction=progress.fraction, message=progress.message)

    def should_stop(self) -> bool:
        """Whether the request was cancelled."""
        return self.level >= CANCEL

    def should_finish(self) -> bool:
        """Whether it was cancelled, or the best so far is asked for."""
        return self.level >= KEEP


class WorkerLoop:
    """Serves the requests that come in on descriptor ``source``; events go to descriptor ``sink``."""

    def __init__(self, engine: Engine, source: int, sink: int) -> None:
        self._engine, self._source, self._sink = engine, source, sink
        self._waiting: queue.Queue[RunningCall | None] = queue.Queue()
        self._calls: dict[str, RunningCall] = {}
        self._lock = threading.RLock()

    def run(self) -> None:
        """Work until the input closes; ends the process."""
        self._write(
            id=None,
            event="hello",
            protocol=PROTOCOL,
            version=__version__,
            pid=os.getpid(),
            python=sys.version.split()[0],
            jobs=str(self._engine.jobs.root),
        )
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while (call := self._waiting.get()) is not None:
            if not call.answered:
                self._perform(call)
        self._leave()

    def tell(self, call: RunningCall, event: str, **fields: Any) -> None:
        """Write an event of a request; *done* and *error* are its last."""
        with self._lock:
            if call.answered:
                return
            if event in ("done", "error"):
                call.answered = True
                self._calls.pop(call.id, None)
            self._write(id=call.id, event=event, **fields)

    def _perform(self, call: RunningCall) -> None:
        try:
            if call.should_stop():
                raise Stopped
            call.emit("stage", stage="begin", message="")
            result = self._engine.do(call)
            call.emit("done", status="done", result=result)
        except Stopped:
            call.emit("done", status="stopped", result={})
        except Exception as error:
            problem = as_problem(error)
            if problem is None:
                traceback.print_exc()
                self._refuse(_defect(error), call, "defect")
            else:
                self._refuse(problem, call, "problem")

    def _refuse(self, error: PromptSegError, call: RunningCall | None = None, kind: str = "request") -> None:
        fields = {"kind": kind, "problem": error.problem, "remedy": error.remedy, "message": str(error)}
        if call is None:
            self._write(id=None, event="error", **fields)
        else:
            call.emit("error", **fields)

    def _write(self, **event: Any) -> None:
        data = encode(event)
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._sink, data) :]
            except OSError as error:
                if error.errno in _NOBODY_LISTENS:
                    self._leave()
                sys.stderr.write(f"Standard output cannot be written to ({error.strerror}); the worker ends.\n")
                self._leave(status=2)

    def _read(self) -> None:
        lines = Lines()
        while data := self._next_bytes():
            for line in lines.feed(data):
                try:
                    self._take(line)
                except PromptSegError as error:
                    self._answer_unread(line, error)
                except Exception as error:  # without this thread nothing would be answered any more
                    traceback.print_exc()
                    self._answer_unread(line, _defect(error))
        # The front end is gone, or done with us: stop what computes, and leave even if it does not stop.
        with self._lock:
            for call in self._calls.values():
                call.level = CANCEL
        self._waiting.put(None)
        time.sleep(LEAVE_AFTER)
        self._leave()

    def _next_bytes(self) -> bytes:
        """What comes next; empty at the end of input, or when the process that started us is gone."""
        parent = os.getppid()
        while os.name == "posix" and not select.select([self._source], [], [], 2.0)[0]:
            if os.getppid() != parent:
                return b""
        try:
            return os.read(self._source, 65536)
        except OSError:
            return b""

    def _take(self, line: bytes | None) -> None:
        call = RunningCall(self, decode_request(line))
        with self._lock:
            if call.id in self._calls:
                raise RequestError(f"The id {call.id} is in use", "give every request an id of its own")
            self._calls[call.id] = call
        if call.do == "cancel":
            self._cancel(call)
        elif call.do == "leave":
            with self._lock:
                alone = len(self._calls) == 1
            call.emit("done", status="done", result={"left": alone})
            if alone:
                self._leave(keep=True)
        else:
            self._waiting.put(call)

    def _cancel(self, request: RunningCall) -> None:
        with self._lock:
            call = self._calls.get(request.fields["of"])
        if call is not None and call is not request:
            call.level = max(call.level, KEEP if request.fields.get("keep") else CANCEL)
            if call.should_stop():
                timer = threading.Timer(RELEASE_AFTER, call.emit, ("done",), {"status": "stopped", "result": {}})
                timer.daemon = True
                timer.start()
        request.emit("done", status="done", result={"found": call is not None})

    def _answer_unread(self, line: bytes | None, error: PromptSegError) -> None:
        """An error for a line that is no request, under its id where that can be read and belongs to nothing else."""
        identity = None
        with contextlib.suppress(PromptSegError):
            identity = decode(line).get("id")
        with self._lock:
            known = identity in self._calls if is_id(identity) else True
        fields = {"kind": "request", "problem": error.problem, "remedy": error.remedy, "message": str(error)}
        self._write(id=None if known else identity, event="error", **fields)

    def _leave(self, keep: bool = False, status: int = 0) -> None:
        """End at once: Python's own way of ending takes seconds once torch is loaded. ``keep`` spares the folder."""
        if not keep:
            self._engine.jobs.close()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def _defect(error: Exception) -> PromptSegError:
    return PromptSegError(f"This is a defect in PromptSeg ({type(error).__name__}: {error})", "report it with the log")
