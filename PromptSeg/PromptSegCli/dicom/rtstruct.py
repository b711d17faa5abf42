"""A result as a DICOM RT Structure Set (RTSTRUCT): closed contours on the slices of the series."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from PromptSegLib import __version__
from PromptSegLib.atomic import PathLike, replacing
from PromptSegLib.errors import Stopped
from PromptSegLib.volumes.polygons import polygons_of

from .codes import category_and_type, item, text
from .series import (
    MANUFACTURER,
    UTF_8,
    check_can_write,
    new_series_number,
    quietly,
    referred,
    refused,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

    from PromptSegLib.anatomy.structure import Structure
    from PromptSegLib.segment.result import Segmentation
    from PromptSegLib.volumes.volume import DicomSource, Grid

_STUDY = "1.2.840.10008.3.1.2.3.1"
"""The class by which structure sets refer to studies, retired otherwise."""
_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_CONTOUR_DATA = 0x30060050


def write_rtstruct(
    segmentation: Segmentation,
    source: DicomSource | None,
    path: PathLike,
    *,
    backbone_id: str = "",
    should_stop: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Write ``segmentation`` as an RT Structure Set of the series that it was made from.

    ROI ``n`` (from 1) is ``structures[n - 1]``, with closed contours half-way between pixels inside and outside; each
    piece in a slice is a contour, holes are joined to it by a channel without width. A structure of which nothing was
    found is an ROI without contours. ``source``, what it gives and the errors are those of
    :func:`.seg.write_dicom_seg`.
    """
    check_can_write()
    found, files, notes = referred(source, segmentation.grid.shape[0])
    with quietly():
        try:
            made = _set(files[0], found, segmentation.structures, backbone_id)
            slices = _slices(files, found)
            made.ReferencedFrameOfReferenceSequence = [_referenced(files[0], [one for _, one in slices])]
            made.ROIContourSequence = [
                _drawn(number, structure, _contours(segmentation, structure.name, slices, should_stop))
                for number, structure in enumerate(segmentation.structures, 1)
            ]
            if should_stop():
                raise Stopped
            with replacing(path) as handle:
                made.save_as(handle, enforce_file_format=True)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise refused(error) from error
    return notes


def _set(image: Dataset, source: DicomSource, structures: Sequence[Structure], backbone_id: str) -> FileDataset:
    """The object without its contours."""
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTStructureSetStorage, generate_uid(None)
    # With explicit types, a value has at most 64 kB: fewer points than a contour may have.
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SpecificCharacterSet = UTF_8
    for name in _PATIENT_AND_STUDY:
        if name in image:
            setattr(made, name, image.get(name))
    now = datetime.datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    made.InstanceCreationDate = made.SeriesDate = made.StructureSetDate = now.strftime("%Y%m%d")
    made.InstanceCreationTime = made.SeriesTime = made.StructureSetTime = now.strftime("%H%M%S")
    made.Modality, made.SeriesInstanceUID, made.OperatorsName = "RTSTRUCT", generate_uid(None), ""
    made.SeriesNumber, made.InstanceNumber = new_series_number(image), 1
    made.SeriesDescription = text("PromptSeg structures")
    made.Manufacturer = made.ManufacturerModelName = made.StructureSetLabel = MANUFACTURER
    made.SoftwareVersions, made.DeviceSerialNumber = __version__, backbone_id[:16] or __version__
    made.StructureSetName = text(", ".join(one.name for one in structures))
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = source.frame_of_reference, ""
    made.ApprovalStatus = "UNAPPROVED"
    rois, observations = [], []
    for number, structure in enumerate(structures, 1):
        roi, seen = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, text(structure.name)
        if roi.ROIName != structure.name:
            roi.ROIDescription = structure.name
        roi.ReferencedFrameOfReferenceUID, roi.ROIGenerationAlgorithm = source.frame_of_reference, "AUTOMATIC"
        how = f"{MANUFACTURER} {__version__}" + (f", backbone {backbone_id[:16]}" if backbone_id else "")
        roi.ROIGenerationDescription = text(how)
        roi.ROIDerivationAlgorithmIdentificationSequence = [_algorithm(backbone_id)]
        category, kind, laterality = category_and_type(structure)
        seen.ObservationNumber = seen.ReferencedROINumber = number
        seen.RTROIInterpretedType = seen.ROIInterpreter = ""
        seen.SegmentedPropertyCategoryCodeSequence = [item(category)]
        coded = item(kind)
        if laterality is not None:
            coded.SegmentedPropertyTypeModifierCodeSequence = [item(laterality)]
        seen.RTROIIdentificationCodeSequence = [coded]
        rois.append(roi)
        observations.append(seen)
    made.StructureSetROISequence, made.RTROIObservationsSequence = rois, observations
    return made


def _algorithm(backbone_id: str) -> Dataset:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    parameters = {"backbone": backbone_id} if backbone_id else None
    family = codes.cid7162.ArtificialIntelligence
    (made,) = hd.AlgorithmIdentificationSequence(MANUFACTURER, family, __version__, parameters=parameters)
    return made


def _slices(files: Sequence[Dataset], source: DicomSource) -> list[tuple[np.ndarray, Dataset]]:
    """Where the first voxel of each slice lies (LPS in mm), as its own file says, and the reference to the slice."""
    from pydicom.dataset import Dataset

    by_path = dict(zip(source.files, files, strict=True))
    found = []
    for path, frame in source.slices:
        image = by_path[path]
        place = image
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        if int(image.get("NumberOfFrames") or 1) > 1:
            reference.ReferencedFrameNumber = frame + 1
            place = image.PerFrameFunctionalGroupsSequence[frame].PlanePositionSequence[0]
        found.append((np.array([float(n) for n in place.ImagePositionPatient]), reference))
    return found


def _referenced(image: Dataset, slices: Sequence[Dataset]) -> Dataset:
    from pydicom.dataset import Dataset

    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = image.SeriesInstanceUID, slices
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY, image.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = image.FrameOfReferenceUID, [study]
    return frame


def _contours(
    segmentation: Segmentation,
    name: str,
    slices: Sequence[tuple[np.ndarray, Dataset]],
    should_stop: Callable[[], bool],
) -> Iterator[Dataset]:
    from pydicom.charset import default_encoding
    from pydicom.dataelem import RawDataElement
    from pydicom.dataset import Dataset
    from pydicom.tag import Tag

    grid: Grid = segmentation.grid
    steps = (np.asarray(grid.direction).reshape(3, 3) * grid.spacing)[:, :2]
    mask = segmentation.mask(name)
    for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        if should_stop():
            raise Stopped
        origin, reference = slices[k]
        for points in polygons_of(mask[k]):
            lps = np.round(points @ steps.T + origin, 4) + 0.0  # no negative zero
            numbers = "\\".join([f"{value:.10g}" for value in lps.ravel().tolist()])
            one = Dataset()
            one.ContourImageSequence = [reference]
            one.ContourGeometricType, one.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            # As they are written: a Python object for each of some million numbers would take a minute.
            one.set_original_encoding(True, True, default_encoding)
            data = numbers.encode() + b" " * (len(numbers) % 2)
            one[_CONTOUR_DATA] = RawDataElement(Tag(_CONTOUR_DATA), "DS", len(data), data, 0, True, True)
            yield one


def _drawn(number: int, structure: Structure, contours: Iterator[Dataset]) -> Dataset:
    from pydicom.dataset import Dataset

    drawn = Dataset()
    drawn.ROIDisplayColor = [round(part * 255) for part in structure.colour]
    drawn.ReferencedROINumber = number
    found = list(contours)
    if found:
        drawn.ContourSequence = found
    return drawn
