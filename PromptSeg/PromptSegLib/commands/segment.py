"""``promptseg segment``: apply prompts to a volume."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .arguments import (
    add_engine,
    add_orientation,
    check_backbone,
    check_folder,
    check_input,
    check_outputs,
    make_folder,
    open_session,
)

if TYPE_CHECKING:
    import numpy as np

    from ..prompts.promptset import Prompt
    from ..prompts.structure import Structure
    from ..segment.result import Segmentation
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "segment a CT with prompts"
DESCRIPTION = """\
Segment IMAGE (NIfTI, NRRD, MHA or a folder with one DICOM series) with one or
more prompt sets. The result has the grid of IMAGE; the value of each structure
in it is printed. A .seg.nrrd opens in 3D Slicer as a segmentation and keeps
overlaps; in the other formats the surest structure has the voxel.

Files that are there already are replaced. Ctrl-C stops within a second and
writes nothing."""
EXAMPLES = (
    "promptseg segment ct.nii.gz --prompts abdomen-ct -o organs.seg.nrrd",
    "promptseg segment ct.nii.gz --prompts abdomen-ct:liver,spleen --prompts kidney.promptset \\\n"
    "      -o organs.nii.gz --probabilities maps",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="the CT")
    sets = "a shipped prompt set, some of its structures (abdomen-ct:liver,spleen) or a .promptset file; repeatable"
    parser.add_argument("--prompts", metavar="SET", action="append", required=True, help=sets)
    output = "the result: .nii.gz, .nrrd, .mha or .seg.nrrd"
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=output)
    maps = "also write a map of probabilities (.nii.gz, 0 to 1) for each structure to this folder"
    parser.add_argument("--probabilities", metavar="DIR", type=Path, help=maps)
    add_orientation(parser)
    add_engine(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Do it. Raises :class:`PromptSegError` before anything is written, or ``Stopped``."""
    from ..volumes.io import LABEL_ENDINGS, read_volume

    files = {f"--prompts {text}": text for text in args.prompts}
    check_outputs({"-o": (args.output, LABEL_ENDINGS)}, {"IMAGE": args.image, **files})
    check_folder(args.probabilities)
    check_input(args.image)
    prompts = asked_for(args.prompts)
    session = open_session(args, console)
    check_backbone(session, prompts)
    stop.check()
    with console.timed("read", f"Reading {args.image}"):
        session.set_volume(read_volume(args.image, args.orientation))
    stop.check()
    result = session.segment(prompts, on_progress=console.progress, should_stop=stop)
    console.seconds.update(result.seconds)
    stop.check()
    with console.timed("write", f"Writing {args.output}", 1.0):
        write_segmentation(args.output, result)
        maps = _write_maps(args.probabilities, result) if args.probabilities else {}

    labels = {structure.name: value for value, structure in enumerate(result.structures, 1)}
    console.table("", ("structure", "value in the file"), list(labels.items()))
    console.done(args.output, *([args.probabilities] if maps else []))
    console.result(labels=labels, output=args.output, probabilities=maps)
    return 0


def asked_for(texts: Sequence[str]) -> list[Prompt]:
    """The prompts that ``--prompts`` names, in that order; raises :class:`InputError` for a structure asked for
    twice.
    """
    from ..prompts.library import resolve

    found: dict[str, tuple[Prompt, str]] = {}
    for text in texts:
        for name, prompt in resolve(text).prompts.items():
            if name in found:
                where = f"by {found[name][1]} and {text}" if found[name][1] != text else f"by {text}, given twice"
                raise InputError(f"The structure {name} is asked for twice, {where}", "ask for it once")
            found[name] = (prompt, text)
    return [prompt for prompt, _ in found.values()]


def write_segmentation(path: Path, result: Segmentation) -> None:
    """Write a result in the format of the path's ending; structure ``n`` (from 0) has the value ``n + 1``."""
    from ..volumes.io import write_labels, write_segments

    if path.name.lower().endswith(".seg.nrrd"):
        write_segments(path, _Masks(result), result.grid)
    else:
        write_labels(path, result.labels, result.grid, dict(enumerate(result.structures, 1)))


def map_name(structure: str) -> str:
    """The file name of a structure's map of probabilities."""
    return (re.sub(r"[^\w-]+", "_", structure).strip("_") or "structure") + ".nii.gz"


def _write_maps(folder: Path, result: Segmentation) -> dict[str, Path]:
    from ..volumes.io import write_map

    make_folder(folder)
    paths: dict[str, Path] = {}
    for structure in result.structures:
        stem = map_name(structure.name).removesuffix(".nii.gz")
        while folder / f"{stem}.nii.gz" in paths.values():
            stem += "_"
        paths[structure.name] = folder / f"{stem}.nii.gz"
        write_map(paths[structure.name], result.probability(structure.name), result.grid)
    return paths


class _Masks(Mapping):  # type: ignore[type-arg]
    """The masks of a result by structure, each made when it is asked for: together they may not fit into memory."""

    def __init__(self, result: Segmentation) -> None:
        self._result = result

    def __getitem__(self, structure: Structure) -> np.ndarray:
        return self._result.mask(structure.name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._result.structures)

    def __len__(self) -> int:
        return len(self._result.structures)
