"""The series that a DICOM result refers to: its headers, as a new object of the same study may take them over."""

from __future__ import annotations

import contextlib
import datetime
import logging
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PromptSegLib.errors import GridError, InputError, PromptSegError, few, short

from .valid import Changed, is_uid, make_valid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from PromptSegLib.volumes.volume import DicomSource

_OTHERWISE = "write the result as .seg.nrrd or .nii.gz instead"
_NEEDED = {
    "SOPClassUID": "its kind of image",
    "SOPInstanceUID": "the identity of its files",
    "StudyInstanceUID": "its study",
    "SeriesInstanceUID": "its series",
    "FrameOfReferenceUID": "its frame of reference",
}
# Type 2 of the patient and study modules: there, and perhaps empty.
_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip
_OF_A_FILE = (
    *_NEEDED, "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_DATES, _TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:[0-5][0-9](?:\.[0-9]{1,6})?)?)?")
MANUFACTURER = "PromptSeg"
UTF_8 = "ISO_IR 192"


def check_can_write() -> None:
    """Raise :class:`PromptSegError` where the packages that write DICOM are not installed."""
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise PromptSegError(
            "Writing DICOM needs the Python package highdicom, which is not installed",
            'run pip install "promptseg[dicom]", or pip install highdicom',
        ) from error
    del highdicom, pydicom


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what pydicom and highdicom say of values that others wrote and that are copied as they are."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    former = [one.level for one in loggers]
    try:
        for one in loggers:
            one.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, former, strict=True):
            one.setLevel(level)


def check_source(source: DicomSource | None) -> DicomSource:
    """The source, if it is one that a DICOM result can refer to; raises :class:`InputError` if it is none."""
    if source is None:
        raise InputError(
            "A DICOM result refers to the DICOM series of the image, and this image was read from another kind of file",
            f"name the folder of the DICOM series as the image, or {_OTHERWISE}",
        )
    said = {
        "FrameOfReferenceUID": source.frame_of_reference,
        "StudyInstanceUID": source.study,
        "SeriesInstanceUID": source.series,
    }
    for name, uid in said.items():
        if not uid:
            raise _lacking(name)
    return source


def referred(source: DicomSource | None, slices: int) -> tuple[DicomSource, list[Dataset], list[str]]:
    """The source of a result with ``slices`` slices, and the headers of its files with what a user should hear of them
    (:func:`headers`). Raises :class:`InputError` for a series that no object can refer to, and :class:`GridError` for
    one of other slices."""
    found = check_source(source)
    files, notes = headers(found)
    if len(found.slices) != slices:
        raise GridError("The result has another number of slices than the series that it should refer to")
    return found, files, notes


def _lacking(name: str) -> InputError:
    return InputError(
        f"The DICOM series does not say {_NEEDED[name]} ({name}), which a DICOM result needs",
        f"export the original series again, or {_OTHERWISE}",
    )


def headers(source: DicomSource) -> tuple[list[Dataset], list[str]]:
    """The headers, without pixels, of the files of a source in the order of K, each file once; and sentences on what in
    them could not be repeated.

    What a strict writer stumbles over and no result depends on is made good in them. What is said of patient and study
    is the first file's in all of them: missing elements are empty, as are dates, times and sexes that are none, and
    others are brought within DICOM's limits (:mod:`.valid`). All slices have the first one's orientation, from which
    they differ by rounding at most. Raises :class:`InputError` for a series that no object can refer to.
    """
    import pydicom
    from pydicom.dataset import Dataset

    found: list[Dataset] = []
    changed = Changed()
    with quietly():
        for path in check_source(source).files:
            try:
                own = list(_OF_A_FILE) if found else None
                one: Dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=own)
            except OSError as error:
                raise InputError(
                    f"{path} can no longer be read", "leave the series where it is until the result is written"
                ) from error
            except Exception as error:  # whatever pydicom makes of a damaged file
                raise InputError(
                    f"{path.name} is damaged or is no DICOM file any more", "export the whole series again"
                ) from error
            make_valid(one, Changed() if found else changed)
            _check_needed(one)
            if found:
                former, one = one, Dataset()
                one.update(found[0])
                one.update({element.tag: element for element in former if element.keyword in _OF_A_FILE})
                if "ImageOrientationPatient" in one:
                    one.ImageOrientationPatient = found[0].ImageOrientationPatient
            else:
                _complete(one, changed)
            found.append(one)
    return found, [*changed.note(), *_uid_note(found)]


def _uid_note(files: list[Dataset]) -> list[str]:
    """A sentence on UIDs that are none: a result has to name the images as they are named."""
    odd = [name for name in _NEEDED if any(not is_uid(str(one.get(name))) for one in files)]
    if not odd:
        return []
    return [
        f"{few(odd, 6)} of the DICOM series {'is' if len(odd) == 1 else 'are'} not valid; the result repeats"
        f" {'it' if len(odd) == 1 else 'them'}, since a changed UID names nothing, and strict programs may refuse it."
    ]


def _check_needed(one: Dataset) -> None:
    for name in _NEEDED:
        if not one.get(name):
            raise _lacking(name)


def _complete(one: Dataset, changed: Changed) -> None:
    for name in _EMPTY:
        if one.get(name) is None:
            setattr(one, name, "")
    fit = {"PatientSex": one.PatientSex in ("M", "F", "O")}
    fit |= {name: _is_date(str(one.get(name))) for name in _DATES}
    fit |= {name: _TIME.fullmatch(str(one.get(name))) is not None for name in _TIMES}
    for name, fits in fit.items():
        if not fits:
            if one.get(name):
                changed.left_out.append(name)
            setattr(one, name, "")


def _is_date(text: str) -> bool:
    try:
        datetime.datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return len(text) == 8


def new_series_number(one: Dataset) -> int:
    """A number for a new series beside that of ``one``: larger, so that it is listed behind."""
    try:
        return min(max(int(one.get("SeriesNumber") or 0), 0), 10**6) + 1000
    except (TypeError, ValueError):
        return 1000


def refused(error: Exception) -> InputError:
    """What to tell where the writer of an object does not accept a series."""
    return InputError(f"The DICOM series is not one that a DICOM result can refer to ({short(error)})", _OTHERWISE)
