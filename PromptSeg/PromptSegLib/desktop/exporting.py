"""Structures of the user's own as files for others: with where they lie in open reference CTs, and no patient's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .context import Context, Work
from .job import Job


class Exporting:
    """Where patients are remembered, the worker carries their masks to the reference CTs first."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def export(self, texts: Sequence[str], path: Path | str, **listeners: Any) -> Job:
        """Write structures of the library to ``path`` as :meth:`.catalogue.Library.export` does.

        Gives (path, by structure why others get no start from it).
        """
        context = self._context
        job = context.new_job("export", listeners)
        folder = context.folder(job)

        def prepare() -> Work:
            files = context.library.files_of(texts)
            yield
            asked = [{"file": str(file), "name": name} for file, names in files.items() for name in names]
            return {"prompts": asked, "memory": context.remembers}

        def receive(result: Mapping[str, Any]) -> None:
            def put() -> Work:
                made = {Path(one["source"]): context.service.jobs.path(one["file"]) for one in result["files"]}
                yield
                return context.library.export(texts, path, made), dict(result["without"])

            job.do_steps(put(), job.finish)

        job.do_steps(prepare(), lambda fields: job.do_request("export", fields, receive, identity=folder))
        return job
