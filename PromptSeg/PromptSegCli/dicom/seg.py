"""A result as a DICOM Segmentation (SEG), written by highdicom (Bridge et al. 2022, J Digit Imaging 35:1719-1737)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from PromptSegLib import __version__
from PromptSegLib.atomic import PathLike, replacing
from PromptSegLib.errors import InputError, Stopped

from .codes import category_and_type, item, text
from .series import MANUFACTURER, UTF_8, check_can_write, new_series_number, quietly, referred, refused

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.volumes.volume import DicomSource


def write_dicom_seg(
    segmentation: Segmentation,
    source: DicomSource | None,
    path: PathLike,
    *,
    backbone_id: str = "",
    should_stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Write ``segmentation`` as a DICOM Segmentation of the series that it was made from.

    ``source`` is :attr:`Volume.source <PromptSegLib.volumes.volume.Volume.source>` of the volume that was segmented,
    whose files must still be there. Segment ``n`` (from 1) is ``structures[n - 1]``, BINARY, on the rows, columns and
    slices of the series; overlapping segments are each kept whole, and frames without a voxel are left out. The file
    appears complete or not at all. Gives sentences on what of the series could not be repeated in it.

    Raises :class:`InputError` where there is no DICOM series to refer to or it lacks what an object needs,
    :class:`OutputError` where the file cannot be written, :class:`PromptSegError` where highdicom is not installed, and
    ``Stopped``.
    """
    check_can_write()
    import highdicom as hd

    found, files, notes = referred(source, segmentation.grid.shape[0])
    if len(files) not in (1, len(found.slices)):
        raise InputError(
            "The DICOM series consists of several files with many slices each, to which a Segmentation cannot refer",
            "write the result as an RT Structure Set (.rtstruct.dcm), or as .seg.nrrd or .nii.gz",
        )
    first, stop, voxels = _voxels(segmentation, should_stop)
    if len(files) == 1:  # one file has all slices, in an order of its own
        order = np.argsort([frame for _, frame in found.slices])
        full = np.zeros((len(order), *voxels.shape[1:]), voxels.dtype)
        full[first:stop] = voxels
        voxels, images = full[order], files
    else:
        images = files[first:stop]
    for one in files:
        if not one.get("SliceThickness"):  # which a Segmentation repeats, and a CT may leave empty
            one.SliceThickness = f"{segmentation.grid.spacing[2]:.10g}"
    if should_stop():
        raise Stopped
    numbers = range(1, len(segmentation.structures) + 1)
    with quietly():
        try:
            made = hd.seg.Segmentation(
                source_images=images,
                further_source_images=None if len(images) == len(files) else files[:first] + files[stop:],
                pixel_array=voxels,
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[
                    _described(number, structure, backbone_id)
                    for number, structure in zip(numbers, segmentation.structures, strict=True)
                ],
                series_instance_uid=hd.UID(),
                series_number=new_series_number(files[0]),
                series_description=text("PromptSeg segmentation"),
                sop_instance_uid=hd.UID(),
                instance_number=1,
                manufacturer=MANUFACTURER,
                manufacturer_model_name=MANUFACTURER,
                software_versions=__version__,
                device_serial_number=backbone_id[:16] or __version__,
                content_label="SEGMENTATION",
                content_description=text(", ".join(one.name for one in segmentation.structures)),
                specific_character_set=UTF_8,
                omit_empty_frames=bool(voxels.any()),
            )
            measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
            # Of a single slice, highdicom would take the distance to be 1 mm.
            measures.SpacingBetweenSlices = f"{segmentation.grid.spacing[2]:.10g}"
            if should_stop():
                raise Stopped
            with replacing(path) as handle:
                made.save_as(handle, enforce_file_format=True)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise refused(error) from error
    return notes


def _voxels(segmentation: Segmentation, should_stop: Callable[[], bool]) -> tuple[int, int, np.ndarray]:
    """The slices from the first to before the last that holds something, and the voxels there as highdicom takes them:
    labels (K, J, I), or where structures overlap bool (K, J, I, structures). One slice where nothing was found."""
    counts, planes = 0, np.zeros(segmentation.grid.shape[0], bool)
    for structure in segmentation.structures:
        if should_stop():
            raise Stopped
        mask = segmentation.mask(structure.name)
        planes |= mask.any(axis=(1, 2))
        counts += int(np.count_nonzero(mask))
    there = np.flatnonzero(planes)
    first, stop = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 1)
    if counts == np.count_nonzero(segmentation.labels):
        return first, stop, segmentation.labels[first:stop]
    voxels = np.zeros((stop - first, *segmentation.grid.shape[1:], len(segmentation.structures)), bool)
    for number, structure in enumerate(segmentation.structures):
        if should_stop():
            raise Stopped
        voxels[..., number] = segmentation.mask(structure.name)[first:stop]
    return first, stop, voxels


def _described(number: int, structure: Structure, backbone_id: str) -> SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    category, kind, laterality = category_and_type(structure)
    parameters = {"backbone": backbone_id} if backbone_id else None
    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=text(structure.name),
        segmented_property_category=_concept(category),
        segmented_property_type=_concept(kind),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=MANUFACTURER,
            family=codes.cid7162.ArtificialIntelligence,
            version=__version__,
            parameters=parameters,
        ),
        display_color=hd.color.CIELabColor.from_rgb(*(round(part * 255) for part in structure.colour)),
    )
    if laterality is not None:
        made.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [item(laterality)]
    if text(structure.name) != structure.name:
        made.SegmentDescription = structure.name
    return made


def _concept(code: Any) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, text(code.meaning))
