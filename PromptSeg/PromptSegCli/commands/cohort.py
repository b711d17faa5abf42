"""``promptseg cohort``: apply prompts to many patients."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import InputError, OutputError, PromptSegError, Stopped, few, short

from .arguments import add_engine, add_orientation, check_folder, expanded, integer, output

if TYPE_CHECKING:
    from ..cohort.folder import Folder
    from ..cohort.items import Inputs
    from ..cohort.manifest import Manifest, Record
    from ..cohort.run import CohortPlan, Executor
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "segment many patients"
DESCRIPTION = """\
Segment every CT that INPUT leads to: folders and all below them, files, globs,
CSV files (a column image, and if wanted subject, prompts and reference), and
DICOM trees of many patients, of which the CT series are taken.

DIR gets a result for each, results.csv and report.html: volumes and outliers,
what needs review first, what failed and why. A volume that fails is told of,
and the others go on. The same command goes on where the last one ended: what is
done is not done again, unless its image or a prompt has changed. Ctrl-C stops
within a second and keeps what is done. docs/cohorts.md has more, on clusters
too."""
EXAMPLES = (
    "promptseg cohort scans --prompts abdomen-ct -o results",
    "promptseg cohort 'study/*/ct.nii.gz' --prompts kidney.promptset -o results --jobs 2 --memory 12G",
    "promptseg cohort archive --series '*venous*' --series one --prompts abdomen-ct -o results --dry-run",
    "promptseg cohort patients.csv --prompts abdomen-ct:liver -o results --scheduler tcp://head:8786",
)
FORMATS = ("seg.nrrd", "nii.gz", "nrrd", "mha", "dicom-seg", "rtstruct")


_MAX_WARNINGS = 10
_MAX_AT_STOP = 20_000
"""Structures that a page is made of when the user stops: of more it would take longer than a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("inputs", metavar="INPUT", type=expanded, nargs="+", help="where the CTs are, see above")
    sets = "a shipped prompt set, some of its structures (abdomen-ct:liver,spleen) or a .promptset file; repeatable"
    parser.add_argument("--prompts", metavar="SET", type=expanded, action="append", default=[], help=sets)
    where = "the folder for the results, made where it is missing"
    parser.add_argument("-o", "--output", metavar="DIR", type=output, required=True, help=where)
    kind = (
        "of the results (default: seg.nrrd, which 3D Slicer opens as a segmentation); dicom-seg and rtstruct refer to"
        " the DICOM series that they are of"
    )
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help=kind)
    rule = (
        "of DICOM trees, only CT series whose description fits TEXT, in which * stands for anything ('*venous*'); one"
        " takes the series with most slices of each study; repeatable, as in --series '*venous*' --series one"
    )
    parser.add_argument("--series", metavar="TEXT", type=pattern, action="append", default=[], help=rule)
    many = "how many volumes are done at once (default: as many as cores and memory allow; a GPU does one)"
    parser.add_argument("--jobs", metavar="N", type=integer(1), help=many)
    memory = "what all of them may take together, for example 16G or 50%% (default: 80%% of the computer's)"
    parser.add_argument("--memory", metavar="SIZE", help=memory)
    cluster = "a Dask scheduler: its address, its scheduler file, or local for one on this computer"
    parser.add_argument("--scheduler", metavar="ADDRESS", type=expanded, help=cluster)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and what is left out, and end")
    without = (
        "carry nothing over from the patients a prompt was taught in: neither from FILE.memory beside it, nor from"
        " where an exported prompt has them in open reference CTs"
    )
    parser.add_argument("--no-memory", action="store_true", help=without)
    add_orientation(parser)
    add_engine(parser)


def pattern(text: str) -> str:
    """A rule for series; an empty one would fit nothing."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Give 0 if all volumes are done, 2 if some failed. Raises :class:`PromptSegError` and ``Stopped``."""
    from PromptSegLib.prompts.library import remembers, resolve_all

    from ..cohort.apart import check_apart
    from ..cohort.folder import Folder
    from ..cohort.inputs import collect
    from ..cohort.manifest import Manifest
    from ..cohort.run import Options, plan

    memory = _memory(args)
    folder = Folder(args.output)
    check_folder(folder.root)
    resolve_all(args.prompts)
    with console.timed("find", "Looking for volumes"):
        inputs = collect(args.inputs, folder.root, series=args.series, on_progress=console.progress, should_stop=stop)
    stop.check()
    check_apart(folder, inputs, [*args.inputs, *args.prompts, args.backbone], args.format)
    console.warn(*inputs.warnings[:_MAX_WARNINGS])
    if len(inputs.warnings) > _MAX_WARNINGS:
        console.warn(f"There are {len(inputs.warnings) - _MAX_WARNINGS} more like these; results.csv lists all.")
    remember = not args.no_memory and remembers()
    options = Options(tuple(args.prompts), args.format, args.backbone, args.device, args.orientation, remember)
    if args.dry_run:
        made = plan(inputs, folder, Manifest(folder.manifest), options)
        _tell_plan(console, made, inputs)
        return 0
    with folder:
        manifest = Manifest(folder.manifest)
        made = plan(inputs, folder, manifest, options)
        stop.check()
        if made.former:
            console.line(f"{len(made.former)} of {len(inputs.items)} volumes are done already.")
        return _do(args, console, stop, folder, manifest, made, inputs, memory)


def _memory(args: argparse.Namespace) -> float | None:
    from ..cohort.share import memory_of

    return None if args.memory is None else memory_of(args.memory)


def _do(
    args: argparse.Namespace,
    console: Console,
    stop: StopOnSignal,
    folder: Folder,
    manifest: Manifest,
    made: CohortPlan,
    inputs: Inputs,
    memory: float | None,
) -> int:
    from ..cohort.run import execute, failures, records_of, sentence_of

    def tell(record: Record) -> None:
        console.event("volume", **record.to_json())
        if record.problem:
            console.aside(f"{record.subject}: {record.problem}")

    executor = _executor(args, console, made, memory) if made.tasks else None
    with stop.keeping():
        try:
            if executor is not None:
                try:
                    execute(
                        made.tasks, executor, manifest,
                        on_progress=console.progress, on_record=tell, should_stop=stop,
                    )  # fmt: skip
                finally:
                    folder.stop()
                    executor.close()
        except Stopped:
            done = len(records_of(made, manifest)) - len(failures(records_of(made, manifest)))
            said = f"Stopped; {done} of {len(inputs.items)} volumes are done and kept, and the same command goes on"
            if sum(len(one.structures) for one in records_of(made, manifest)) <= _MAX_AT_STOP:
                _write(folder, made, manifest, inputs)
            else:
                said += "; it brings results.csv and report.html up to date when it ends"
            raise Stopped(f"{said}.") from None
        except PromptSegError as error:
            with contextlib.suppress(OutputError):  # the first error says why
                _write(folder, made, manifest, inputs)
            done = len(records_of(made, manifest)) - len(failures(records_of(made, manifest)))
            raise sentence_of(error, done, len(inputs.items)) from error
        with console.timed("write", "Writing the report", 1.0):
            _write(folder, made, manifest, inputs)
            console.wrote(folder.results, folder.report)
    return _report(console, folder, records_of(made, manifest), inputs)


def _executor(args: argparse.Namespace, console: Console, made: CohortPlan, memory: float | None) -> Executor:
    from ..cohort.cluster import LOCAL, Cluster
    from ..cohort.pool import Pool
    from ..cohort.share import devices, share, threads

    if args.scheduler is not None and args.scheduler != LOCAL:
        for name, value, theirs in (("--jobs", args.jobs, "--nworkers"), ("--memory", args.memory, "--memory-limit")):
            if value is not None:
                remedy = f"leave it out, and give dask worker {theirs} instead"
                raise InputError(f"{name} is for this computer, and not for a scheduler's", remedy)
        with console.timed("connect", f"Connecting to {args.scheduler}"):
            return Cluster(made.tasks, args.scheduler)
    every, note = devices(args.device, args.jobs, memory)
    if note:
        console.warn(note)
    every = every[: len(made.tasks)]
    on_cpu = threads(len(every)) if every[0] == "cpu" else None
    if args.scheduler is None:
        return Pool(made.tasks, every, on_cpu, share(memory))
    with console.timed("connect", "Starting a Dask cluster"):
        return Cluster(made.tasks, LOCAL, every, on_cpu, share(memory))


def _write(folder: Folder, made: CohortPlan, manifest: Manifest, inputs: Inputs) -> None:
    from ..cohort.report import Cohort, write_report
    from ..cohort.results import write_results
    from ..cohort.run import records_of

    records = records_of(made, manifest)
    write_results(folder.results, records, inputs.left_out)
    waiting = len(inputs.items) - len(records)
    write_report(folder, Cohort(records, inputs.left_out, waiting, made.prompts, made.backbone))


def _report(console: Console, folder: Folder, records: list[Record], inputs: Inputs) -> int:
    from ..cohort.results import distributions, rows_of
    from ..cohort.run import failures

    known = distributions(records)
    rows = rows_of(records, known)
    out = [row for row in rows if row.outlier]
    failed = failures(records)
    table = [(one.name, one.found, one.median, one.low, one.high) for one in known.values()]
    console.table("", ("structure", "found in", "median ml", "lower quartile", "upper quartile"), table)
    if out:
        names = [f"{row.structure.name} of {row.record.subject} ({row.outlier})" for row in out]
        console.line(f"Outliers: {few(names, 5)}.")
    if inputs.left_out:
        console.line(f"Left out: {few([f'{short(o.what)} ({o.reason})' for o in inputs.left_out], 3)}.")
    console.done(*console.written)
    counts = {"volumes": len(inputs.items), "done": len(records) - len(failed), "failed": len(failed)}
    console.result(
        **counts,
        left_out=[vars(one) for one in inputs.left_out],
        outliers=[{"subject": o.record.subject, "structure": o.structure.name, "outlier": o.outlier} for o in out],
        failures={one.subject: one.problem for one in failed},
        results=folder.results,
        report=folder.report,
    )
    if failed:
        console.aside(
            f"{len(failed)} of {len(inputs.items)} volumes failed; {folder.report} says why, and the same command does"
            " only these again."
        )
    return 2 if failed else 0


def _tell_plan(console: Console, made: CohortPlan, inputs: Inputs) -> None:
    rows = [(task.subject, task.image, len(task.files) or None) for task in made.tasks]
    console.table("To be done", ("volume", "image", "files"), rows)
    console.table("Left out", ("what", "why"), [(one.what, one.reason) for one in inputs.left_out])
    console.line(f"{len(made.tasks)} volumes to do, {len(made.former)} done already.")
    console.result(
        to_do=[task.subject for task in made.tasks],
        done=[one.subject for one in made.former],
        left_out=[vars(one) for one in inputs.left_out],
        output=Path(made.tasks[0].root) if made.tasks else None,
    )
