"""``promptseg review``: where to look in a segmentation."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.atomic import replacing
from PromptSegLib.errors import InputError, quoted
from PromptSegLib.inputs_stay import check_outputs

from .arguments import AXES, add_orientation, check_input, expanded, integer, output
from .segment import map_name

if TYPE_CHECKING:
    import numpy as np

    from PromptSegLib.review.findings import Auxiliary
    from PromptSegLib.volumes.labels import LabelMap
    from PromptSegLib.volumes.volume import Grid

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "show where to look in a segmentation"
DESCRIPTION = """\
Write a page with the volume of each structure in SEGMENTATION, what looks odd,
and pictures of the slices that need review first: with --reference those that
differ most from it, else those in which most may be wrong, as the shape of the
slices beside them tells, and with --probabilities (the folder that promptseg
segment wrote) the network too. A name that ends in .csv gives a table."""
EXAMPLES = (
    "promptseg review ct.nii.gz organs.seg.nrrd -o report.html",
    "promptseg review ct.nii.gz organs.nii.gz --reference labels.nii.gz -o report.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", type=expanded, help="the CT")
    labels = "a label map on the grid of IMAGE, a .seg.nrrd, or a DICOM SEG or RTSTRUCT"
    parser.add_argument("segmentation", metavar="SEGMENTATION", type=expanded, help=labels)
    reference = "what it is compared with: by name where both have names, else by value"
    parser.add_argument("--reference", metavar="REF", type=expanded, help=reference)
    maps = "maps of probabilities, a file for each structure"
    parser.add_argument("--probabilities", metavar="DIR", type=output, help=maps)
    parser.add_argument(
        "--axis", choices=tuple(AXES), default="k", help="the axis that slices count along (default: k)"
    )
    add_orientation(parser)
    slices = "how many slices of each structure are shown (default: 4)"
    parser.add_argument("--limit", "--most", metavar="N", type=integer(1), default=4, help=slices)
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=output, required=True, help="the page, .html, or a table, .csv"
    )


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Review a segmentation and write the page; returns 0. Raises :class:`PromptSegError` before anything is written,
    or ``Stopped``."""
    from PromptSegLib.review.evaluate import names_of
    from PromptSegLib.review.findings import review
    from PromptSegLib.review.page import About, page, pictures_of
    from PromptSegLib.review.report_html import write_report
    from PromptSegLib.review.review_csv import csv_of
    from PromptSegLib.volumes.io import read_labels, read_volume
    from PromptSegLib.volumes.plausible import warnings_of

    inputs = {"IMAGE": args.image, "SEGMENTATION": args.segmentation}
    inputs |= {"--reference": args.reference} if args.reference else {}
    check_outputs({"-o": (args.output, (".html", ".csv"))}, inputs.items())
    for path in inputs.values():
        check_input(path)
    with console.timed("read", f"Reading {args.image} and {args.segmentation}"):
        volume = read_volume(args.image, args.orientation)
        labels = read_labels(args.segmentation, volume.grid, args.orientation, volume.source)
        reference = (
            read_labels(args.reference, volume.grid, args.orientation, volume.source) if args.reference else None
        )
    notes = (*warnings_of(volume), *labels.notes, *(reference.notes if reference is not None else ()))
    console.warn(*dict.fromkeys(notes))
    stop.check()
    names = names_of(labels)
    masks = {name: labels.mask(value) for value, name in names.items()}
    if not masks:
        raise InputError(f"{args.segmentation} is empty", "choose a segmentation that holds a structure")
    references = _references(labels, reference, names) if reference is not None else {}
    auxiliary = _auxiliary(args.probabilities, masks, references, volume.grid)
    unmapped = [name for name in masks if args.probabilities is not None and auxiliary[name].uncertainty is None]
    with console.timed("review", "Looking at the structures"):
        found = review(
            masks, volume.grid, auxiliary, axis=AXES[args.axis], limit=args.limit,
            on_progress=console.part(0.1, 0.8), should_stop=stop,
        )  # fmt: skip
    stop.check()
    with console.timed("write", f"Writing {args.output}", 0.9):
        about = About(
            volume.name, Path(args.segmentation).name, volume.grid,
            datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
            Path(args.reference).name if args.reference else "",
        )  # fmt: skip
        if args.output.suffix.lower() == ".csv":
            with replacing(args.output) as file:
                file.write(csv_of(found, about).encode("utf-8", "replace"))
        else:
            pictures = pictures_of(found, volume, masks, references)
            write_report(args.output, page(found, about, pictures, f"Review of {about.segmentation}"))
        console.wrote(args.output)
    rows = [
        (one.name, one.volume_ml, one.score.dice if one.score else None, ", ".join(str(s.index) for s in one.slices))
        for one in found.structures
    ]
    console.table("", ("structure", "volume ml", "Dice", "slices to look at"), rows)
    for one in found.structures:
        for remark in one.remarks:
            console.line(f"{one.name}: {remark}")
    if unmapped:
        console.line(f"No map of probabilities in {args.probabilities}: {quoted(unmapped)}.")
    console.done(args.output)
    console.result(output=args.output, **found.to_json())
    return 0


def _references(labels: LabelMap, reference: LabelMap, names: dict[int, str]) -> dict[str, np.ndarray]:
    """The reference's masks by the segmentation's names, where there is a partner."""
    from PromptSegLib.review.evaluate import partners

    pairs = partners(labels, reference, "give both the same names, each of them once, or the same values")
    return {names[a]: reference.mask(b) for a, b in pairs.items() if b in reference.values}


def _auxiliary(
    folder: Path | None, masks: dict[str, np.ndarray], references: dict[str, np.ndarray], grid: Grid
) -> dict[str, Auxiliary]:
    from PromptSegLib.review.findings import Auxiliary
    from PromptSegLib.segment.result import entropy
    from PromptSegLib.volumes.maps import read_map

    found = {}
    for name in masks:
        uncertainty = None
        if folder is not None and (folder / map_name(name)).is_file():
            uncertainty = entropy(read_map(folder / map_name(name), grid))
        found[name] = Auxiliary(uncertainty, references.get(name))
    if folder is not None and all(one.uncertainty is None for one in found.values()):
        raise InputError(
            f"{folder} has no map of {quoted(list(masks))}",
            "name the folder that promptseg segment wrote, and a segmentation with names of structures (.seg.nrrd or "
            ".nrrd; a .nii.gz has none)",
        )
    return found
