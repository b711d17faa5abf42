"""``promptseg evaluate``: compare a segmentation with a reference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from PromptSegLib.errors import GridError, InputError, quoted

from .arguments import AXES, add_orientation, check_input, expanded, slices

if TYPE_CHECKING:
    from PromptSegLib.volumes.io import LabelMap
    from PromptSegLib.volumes.volume import Grid

    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "compare a segmentation with a reference"
DESCRIPTION = """\
Dice, HD95 and ASSD (mm), NSD at 1 and 2 mm and volumes (ml) of each structure,
and their means. Structures of equal name are compared where both files have
names, else those of equal value; --pairs says otherwise, and is needed where
several segments have one name but other values."""
EXAMPLES = (
    "promptseg evaluate kidney.seg.nrrd labels.nii.gz --pairs 1:3 --skip-slices 40,52,64",
    "promptseg evaluate organs.nii.gz labels.nii.gz",
)
_IMAGE = "name the image that both were made of with --image"
_COLUMNS = ("structure", "Dice", "HD95 mm", "ASSD mm", "NSD 1 mm", "NSD 2 mm", "volume ml", "reference ml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    labels = "a label map, a .seg.nrrd, or a DICOM SEG or RTSTRUCT"
    parser.add_argument("segmentation", metavar="SEGMENTATION", type=expanded, help=labels)
    parser.add_argument("reference", metavar="REFERENCE", type=expanded, help="another on the same grid")
    image = "the CT that both were made of: needed where both are DICOM objects, which may cover a part of it"
    parser.add_argument("--image", metavar="IMAGE", type=expanded, help=image)
    pairs = "values that belong together: in the segmentation, a colon, in the reference; for example 1:6,2:3"
    parser.add_argument("--pairs", metavar="A:B,...", help=pairs)
    skip = "slices that do not count, for example those that were taught"
    parser.add_argument("--skip-slices", metavar="K,K,...", type=slices, default=(), help=skip)
    parser.add_argument(
        "--axis", choices=tuple(AXES), default="k", help="the axis that slices count along (default: k)"
    )
    add_orientation(parser)


def run(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """Compare two label files and print the table; returns 0. Raises :class:`PromptSegError` or ``Stopped``."""
    from PromptSegLib.review.evaluate import evaluate, parse_pairs

    pairs = parse_pairs(args.pairs) if args.pairs is not None else None
    check_input(args.segmentation)
    check_input(args.reference)
    if args.image is not None:
        check_input(args.image)
    with console.timed("read", f"Reading {args.segmentation} and {args.reference}"):
        segmentation, reference = _on_one_grid(args)
    console.warn(*dict.fromkeys((*segmentation.notes, *reference.notes)))
    if args.skip_slices and (segmentation.turned or reference.turned):
        turned = segmentation if segmentation.turned else reference
        console.warn(f"{turned.name} has its axes in another order or direction: slices do not count along those.")
    stop.check()
    with console.timed("evaluate", "Comparing"):
        found = evaluate(
            segmentation,
            reference,
            pairs,
            args.skip_slices,
            AXES[args.axis],
            on_progress=console.progress,
            should_stop=stop,
        )
    rows = [(row.name, *vars(row.score).values()) for row in found.rows]
    mean = found.mean
    rows.append(("mean", mean.dice, mean.hd95_mm, mean.assd_mm, mean.nsd_1mm, mean.nsd_2mm, None, None))
    console.table("", _COLUMNS, rows)
    if mean.missed:
        console.line(f"HD95 and ASSD leave out what only one of the two files has: {mean.missed} of {len(found.rows)}.")
    for side, names in (("segmentation", found.only_in_segmentation), ("reference", found.only_in_reference)):
        if names:
            console.line(f"Not compared, only in the {side}: {quoted(names)}.")
    console.result(**found.to_json())
    return 0


def _on_one_grid(args: argparse.Namespace) -> tuple[LabelMap, LabelMap]:
    """Both label maps on one grid: what 3D Slicer cropped, and a DICOM object, is put where it belongs in the other."""
    from PromptSegLib.volumes.dicom_labels import holds_contours, is_label_object
    from PromptSegLib.volumes.io import read_labels, read_volume
    from PromptSegLib.volumes.labels import differences

    ours, theirs, orientation = args.segmentation, args.reference, args.orientation
    if args.image is not None:
        volume = read_volume(args.image, orientation)
        return (
            read_labels(ours, volume.grid, orientation, volume.source),
            read_labels(theirs, volume.grid, orientation, volume.source),
        )
    names = Path(ours).name, Path(theirs).name
    if holds_contours(ours) and holds_contours(theirs):
        raise InputError(f"{names[0]} and {names[1]} hold contours, which have no voxels of their own", _IMAGE)
    if holds_contours(theirs):
        segmentation = read_labels(ours, orientation=orientation)
        return segmentation, _contours(theirs, segmentation.grid, orientation)
    reference = read_labels(theirs, orientation=orientation)
    if holds_contours(ours):
        return _contours(ours, reference.grid, orientation), reference
    segmentation = read_labels(ours, orientation=orientation)
    if segmentation.grid.matches(reference.grid):
        return segmentation, reference
    cropped = sorted(segmentation.grid.size) != sorted(reference.grid.size)
    if args.skip_slices and cropped and not (is_label_object(ours) or is_label_object(theirs)):
        what = "do not have the same slices, so that --skip-slices may mean others in each"
        raise GridError(f"{names[0]} and {names[1]} {what}", _IMAGE)
    try:
        return read_labels(ours, reference.grid, orientation), reference
    except GridError:
        pass
    try:
        return segmentation, read_labels(theirs, segmentation.grid, orientation)
    except GridError:
        how = differences(segmentation.grid, reference.grid)
        both = all(is_label_object(one) or one.lower().endswith((".nrrd", ".nhdr")) for one in (ours, theirs))
        remedy = _IMAGE if both else "resample one of them to the other's grid, nearest neighbour"
        raise GridError(f"{names[0]} is on another grid than {names[1]}: {how}", remedy) from None


def _contours(path: str, grid: Grid, orientation: str | None) -> LabelMap:
    """Contours on the grid of the other file; raises :class:`GridError` unless all of them lie there."""
    from PromptSegLib.volumes.io import read_labels

    try:
        labels = read_labels(path, grid, orientation)
        for _, error in labels.refused.values():
            if isinstance(error, GridError):
                raise error
    except GridError as error:
        raise GridError(error.problem.replace("the image", "the other file"), _IMAGE) from None
    return labels
