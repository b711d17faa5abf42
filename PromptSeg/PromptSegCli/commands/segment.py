"""``promptseg segment``: apply prompts to a volume."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.atomic import folder_for
from PromptSegLib.errors import quoted
from PromptSegLib.inputs_stay import check_outputs

from ..dicom.result import ENDING, FORMATS, format_of, write_result
from ..masks import Masks
from .arguments import (
    add_engine,
    add_orientation,
    check_backbone,
    check_folder,
    check_input,
    expanded,
    open_session,
    output,
)

if TYPE_CHECKING:
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.volumes.volume import DicomSource

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "segment a CT with prompts"
DESCRIPTION = """\
Segment IMAGE (NIfTI, NRRD, MHA or a folder with one DICOM series) with one or
more prompt sets. The result has the grid of IMAGE; the value of each structure
in it and its volume are printed, and what was not found. A .seg.nrrd opens in 3D Slicer as a segmentation and keeps
overlaps, as do DICOM Segmentations (.dcm) and RT Structure Sets (.rtstruct.dcm),
which need a DICOM series as IMAGE; in the other formats the most probable structure has the voxel.

Files that are there already are replaced. Ctrl-C stops within a second and
writes nothing."""
EXAMPLES = (
    "promptseg segment ct.nii.gz --prompts abdomen-ct -o organs.seg.nrrd",
    "promptseg segment ct.nii.gz --prompts abdomen-ct:liver,spleen --prompts kidney.promptset \\\n"
    "      -o organs.nii.gz --probabilities maps",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", type=expanded, help="the CT")
    sets = "a shipped prompt set, some of its structures (abdomen-ct:liver,spleen) or a .promptset file; repeatable"
    parser.add_argument("--prompts", metavar="SET", type=expanded, action="append", required=True, help=sets)
    result = "the result: .nii.gz, .nrrd, .mha, .seg.nrrd, .dcm (DICOM Segmentation) or .rtstruct.dcm"
    parser.add_argument("-o", "--output", metavar="OUT", type=output, required=True, help=result)
    kind = "what a .dcm becomes: a DICOM Segmentation (dicom-seg, default) or an RT Structure Set (rtstruct)"
    parser.add_argument("--format", choices=FORMATS, help=kind)
    maps = "also write a map of probabilities (.nii.gz, 0 to 1) for each structure to this folder"
    parser.add_argument("--probabilities", metavar="DIR", type=output, help=maps)
    without = (
        "carry nothing over from the patients a prompt was taught in: neither from FILE.memory beside it, nor from"
        " where an exported prompt has them in open reference CTs"
    )
    parser.add_argument("--no-memory", action="store_true", help=without)
    add_orientation(parser)
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Segment a volume and write the result; returns 0. Raises :class:`PromptSegError` before anything is written, or
    ``Stopped``."""
    from PromptSegLib.prompts.library import remembers, resolve_all
    from PromptSegLib.register.teachers import remembered_by
    from PromptSegLib.volumes.io import LABEL_ENDINGS, read_volume

    from ..dicom.series import check_source

    inputs = [("IMAGE", args.image), ("--backbone", args.backbone), *((f"--prompts {t}", t) for t in args.prompts)]
    result_file = {"-o": (args.output, (*LABEL_ENDINGS, ENDING))}
    dicom = format_of(args.output, args.format)
    check_outputs(result_file, inputs)
    check_folder(args.probabilities)
    check_input(args.image)
    prompts = resolve_all(args.prompts)
    maps = _map_paths(args.probabilities, [prompt.structure.name for prompt in prompts])
    if args.probabilities is not None and args.probabilities.is_dir():
        check_outputs(result_file | {f"--probabilities, '{name}'": (maps[name], ()) for name in maps}, inputs)
    session = open_session(args, console)
    check_backbone(session, prompts)
    stop.check()
    with console.timed("read", f"Reading {args.image}"):
        volume = read_volume(args.image, args.orientation)
        if dicom:
            check_source(volume.source)
        session.set_volume(volume)
    console.warn(*session.warnings)
    stop.check()
    carries = remembers() and not args.no_memory
    priors, problems = remembered_by(args.prompts) if carries else ({}, [])
    for problem in problems:
        console.line(problem)
    result = session.segment(prompts, priors=priors, references=carries, on_progress=console.progress, should_stop=stop)
    console.seconds.update(result.seconds)
    stop.check()
    with console.timed("write", f"Writing {args.output}", 1.0):
        notes = write_segmentation(args.output, result, volume.source, session.backbone.id, stop, args.format)
        console.wrote(args.output)
        if maps:
            _write_maps(args.probabilities, maps, result, stop)
            console.wrote(args.probabilities)

    labels = {structure.name: value for value, structure in enumerate(result.structures, 1)}
    volumes = {name: result.volume_ml(name) for name in labels}
    missing = result.nothing_of()
    rows = [(name, value, volumes[name]) for name, value in labels.items()]
    console.table("", ("structure", "value in the file", "volume ml"), rows)
    if missing:
        console.line(f"Nothing was found of: {quoted(missing)}.")
    for name, (dice, low, high) in result.expected.items():
        console.line(f"Dice to be expected of {name}: {dice:.2f} ({low:.2f} to {high:.2f} in four of five cases).")
    notes = [*result.notes, *notes]
    for note in notes:
        console.line(note)
    console.done(*console.written)
    console.result(
        labels=labels,
        volumes_ml={name: round(ml, 3) for name, ml in volumes.items()},
        nothing_found=missing,
        expected_dice={n: dict(zip(("dice", "low", "high"), e, strict=True)) for n, e in result.expected.items()},
        notes=notes,
        output=args.output,
        probabilities=maps,
    )
    return 0


def write_segmentation(
    path: Path,
    result: Segmentation,
    source: DicomSource | None,
    backbone_id: str,
    stop: StopOnSignal,
    asked: str | None = None,
) -> list[str]:
    """Write a result in the format of the path's ending, or of DICOM's the one that was asked for; structure ``n``
    (from 0) has the value ``n + 1``. Gives what a user should hear of what could not be written."""
    from PromptSegLib.volumes.io import write_labels, write_segments

    dicom = format_of(path, asked)
    if dicom:
        return write_result(path, dicom, result, source, backbone_id, stop)
    if path.name.lower().endswith(".seg.nrrd"):
        write_segments(path, Masks(result), result.grid)
    else:
        write_labels(path, result.labels, result.grid, dict(enumerate(result.structures, 1)))
    return []


def map_name(structure: str) -> str:
    """The file name of a structure's map of probabilities, no other structure's: also where a disk ignores case.

    A plain name names its file; any other becomes what files may be called, with a digest of the name itself.
    """
    plain = re.fullmatch(r"[a-z0-9]+(?:[ -][a-z0-9]+)*", structure)
    if plain and len(structure) <= 80 and not re.fullmatch(r"con|prn|aux|nul|(?:com|lpt)[0-9]", structure):
        return structure.replace(" ", "_") + ".nii.gz"
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", structure)[:60].strip("_-") or "structure"
    return f"{readable}.{hashlib.sha256(structure.encode()).hexdigest()[:10]}.nii.gz"


def _map_paths(folder: Path | None, names: Sequence[str]) -> dict[str, Path]:
    return {} if folder is None else {name: folder / map_name(name) for name in names}


def _write_maps(folder: Path, paths: Mapping[str, Path], result: Segmentation, stop: StopOnSignal) -> None:
    from PromptSegLib.volumes.io import write_map

    with folder_for(folder):
        for name, path in paths.items():
            stop.check()
            write_map(path, result.probability(name), result.grid)
