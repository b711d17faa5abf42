"""What the stored numbers of a DICOM series mean, and of whom they are: what would be wrong without a sign of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError, quoted, short
from .dicom_file import FRAME_OF_REFERENCE, INTERCEPT, MODALITY, PHOTOMETRIC, SLOPE, STUDY, DicomFile, Elements

_PATIENT, _NAME, _TABLE, _UNIT = 0x00100020, 0x00100010, 0x00283000, 0x00281054
_TRANSFORMATION = 0x00289145
_HU = ("", "HU", "US", "HU_MOD")
"""Rescale types of a CT in HU: none given, unspecified, and virtual monoenergetic or otherwise modified HU."""


def check_values(of: Elements, name: str) -> None:
    """Raise :class:`InputError` for pixels that stand for something else than a slope and an intercept make of them."""
    if of.text(PHOTOMETRIC).upper() == "PALETTE COLOR":
        raise InputError(f"{name} is a colour image (its pixels are entries of a palette)", "choose a CT series")
    if (_TABLE in of.sequences or _TABLE in of.values) and SLOPE not in of.values:
        raise InputError(
            f"{name} gives its values by a table (Modality LUT), which PromptSeg does not support",
            "load the series in 3D Slicer, which applies it, and save it as NRRD",
        )

    for one in (of, *_transformations(of)):
        for tag in (SLOPE, INTERCEPT):
            if one.text(tag) and one.numbers(tag) is None:
                raise InputError(
                    f"{name} has a RescaleSlope or RescaleIntercept that is no number ('{short(one.text(tag), 40)}')",
                    "export the whole series again",
                )


def unit_notes(where: str, files: Sequence[DicomFile]) -> list[str]:
    """A sentence where a CT says that its values are no HU, as maps of iodine or electron density do."""
    units = {unit for one in files for unit in _units(one.elements)}
    odd = sorted(unit for unit in units if unit.upper() not in _HU)
    if not odd or files[0].elements.text(MODALITY) not in ("", "CT"):
        return []
    return [
        f"{where} says that its values are {quoted([short(one, 40) for one in odd], 3)}, not HU (RescaleType); results"
        " are likely to be wrong."
    ]


def _units(of: Elements) -> set[str]:
    return {one.text(_UNIT) for one in (of, *_transformations(of))}


def _transformations(of: Elements) -> list[Elements]:
    """What a file with several frames says of their values."""
    groups = [group for groups in of.sequences.values() for group in groups]
    return [one for group in groups for one in group.sequences.get(_TRANSFORMATION, [])]


def check_one_patient(where: str, files: Sequence[DicomFile]) -> list[str]:
    """Raise :class:`InputError` for files of several patients under one series number, as some programs that take names
    away leave them; gives a sentence where studies or frames of reference differ."""
    for what, tag in (("patients", _PATIENT), ("patients", _NAME)):
        found = {text: one.path.name for one in files if (text := _person(one.elements.text(tag)))}
        if len(found) > 1:
            (first, second), more = list(found.values())[:2], len(found)
            raise InputError(
                f"{where} holds slices of {more} {what} under one series number, such as {first} and {second}",
                "move the files of each into a folder of its own",
            )
    notes = []
    for what, tag in (("studies", STUDY), ("frames of reference", FRAME_OF_REFERENCE)):
        uids = {one.elements.text(tag) for one in files} - {""}
        if len(uids) > 1:
            notes.append(
                f"{where} holds slices of {len(uids)} {what} under one series number; whether they belong together is"
                " not known."
            )
    return notes


def _person(text: str) -> str:
    """A patient's name or ID for comparing: case and the marks between its parts differ between machines."""
    return " ".join(text.partition("=")[0].replace("^", " ").casefold().split())
