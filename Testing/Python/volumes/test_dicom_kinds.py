"""Every way in which DICOM can hold a CT: how pixels are stored, what a file says of them, and Enhanced CT."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

from PromptSegLib.errors import InputError
from PromptSegLib.volumes.dicom_file import Incomplete, read_elements, stored_pixels
from PromptSegLib.volumes.io import read_volume
from PromptSegLib.volumes.plausible import check_hu

STEP = 5.0


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 2000, (4, 9, 12))


def _plane(path, k, stored, odd=lambda one, k: None, syntax=ExplicitVRLittleEndian, kind="<u2", **more):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = more.get("SOPClassUID", CTImageStorage)
    meta.MediaStorageSOPInstanceUID = more.get("SOPInstanceUID", generate_uid())
    meta.TransferSyntaxUID = syntax
    one = FileDataset(str(path), {}, b"\0" * 128, meta, syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = "1.2.3", "1.2.3.4", "CT"
    one.PatientName, one.PatientID, one.InstanceNumber = "A", "1", k + 1
    one.ImagePositionPatient, one.ImageOrientationPatient = [-170, -160, -300 + STEP * k], [1, 0, 0, 0, 1, 0]
    one.PixelSpacing, one.RescaleSlope, one.RescaleIntercept = [1.5, 1.25], 1, -1024
    one.Rows, one.Columns = stored.shape[-2:]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 8 * np.dtype(kind).itemsize
    one.HighBit, one.PixelRepresentation = one.BitsAllocated - 1, int("i" in kind)
    one.PixelData = stored.astype(kind).tobytes()
    one["PixelData"].VR = "OW"
    for key, value in more.items():
        setattr(one, key, value)
    odd(one, k)
    if syntax == RLELossless:
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.compress(RLELossless, generate_instance_uid=False)
    one.save_as(path, enforce_file_format=True)


@pytest.fixture
def series(tmp_path, hu):
    def write(odd=lambda one, k: None, folder=None, stored=None, **more):
        folder = folder or tmp_path / "ct"
        folder.mkdir(exist_ok=True)
        for k, plane in enumerate(hu + 1024 if stored is None else stored):
            _plane(folder / f"{k:03d}.dcm", k, plane, odd, **more)
        return folder

    return write


def _without(*names):
    def odd(one, k):
        for name in names:
            delattr(one, name)

    return odd


def _put(**fields):
    def odd(one, k):
        for name, value in fields.items():
            setattr(one, name, value)

    return odd


def _said(path) -> str:
    with pytest.raises(InputError) as caught:
        read_volume(path)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless],
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_however_pixels_are_stored(series, hu, syntax, signed, photometric):
    """MONOCHROME1 says how to show them, and nothing of what they are."""
    kind = (">" if syntax == ExplicitVRBigEndian else "<") + ("i2" if signed else "u2")
    folder = series(syntax=syntax, kind=kind, stored=hu if signed else hu + 1024, PhotometricInterpretation=photometric,
                    RescaleIntercept=0 if signed else -1024)  # fmt: skip
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, hu)
    assert volume.voxels.dtype == np.int16
    assert volume.grid.spacing == (1.25, 1.5, STEP)
    assert volume.grid.origin == (-170, -160, -300)
    assert volume.notes == ()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_sequences_and_private_elements_are_passed_over(series, hu, syntax, nested):
    def odd(one, k):
        inner = Dataset()
        inner.CodeValue, inner.CodeMeaning = "1", "x"
        outer = Dataset()
        outer.ConceptNameCodeSequence = [inner, inner]
        one.ProcedureCodeSequence = [outer] if nested else [inner]
        if nested:
            one["ProcedureCodeSequence"].is_undefined_length = True
        block = one.private_block(0x29, "SOMEBODY", create=True)
        block.add_new(0x10, "OB", b"\xfe\xff\0\xe0" * 20_000)
        block.add_new(0x11, "SQ", [inner])

    assert np.array_equal(read_volume(series(odd, syntax=syntax)).voxels, hu)


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_bits_that_are_not_stored_do_not_count(series, bits):
    """Old files hide overlays in the upper bits."""
    stored = np.random.default_rng(0).integers(0, 2**bits, (3, 4, 5))
    high = stored | (((1 << (16 - bits)) - 1) << bits)
    folder = series(stored=high, BitsStored=bits, HighBit=bits - 1, RescaleIntercept=0)
    assert np.array_equal(read_volume(folder).voxels, stored)


def test_signed_values_of_twelve_bits(series, hu):
    stored = np.clip(hu, -2048, 2047)
    folder = series(stored=stored & 0xFFF, BitsStored=12, HighBit=11, PixelRepresentation=1, RescaleIntercept=0)
    assert np.array_equal(read_volume(folder).voxels, stored)


def test_bytes_and_real_numbers(series, hu, tmp_path):
    small = hu // 16 + 64
    folder = series(stored=small, kind="u1", RescaleSlope=16, RescaleIntercept=-1024)
    assert np.array_equal(read_volume(folder).voxels, small * 16 - 1024)
    real = np.random.default_rng(1).normal(0, 300, (3, 4, 5)).astype("<f4")

    def odd(one, k):
        one.FloatPixelData = real[k].tobytes()
        del one.PixelData, one.RescaleSlope, one.RescaleIntercept
        one.BitsAllocated = 32

    folder = series(odd, tmp_path / "real", real)
    assert np.array_equal(read_volume(folder).voxels, real)


def test_padding_that_was_read_as_unsigned(series, hu):
    """-2000 stored as 63536: far off the scale, as it is; what sees volumes takes it for air."""
    stored = hu + 1024
    stored[:, :2] = 63536
    volume = read_volume(series(stored=stored, PixelPaddingValue=63536))
    assert np.array_equal(volume.voxels[:, 2:], hu[:, 2:])
    assert np.all(volume.voxels[:, :2] == 62512)
    assert check_hu(volume) == []


def test_without_preamble(series, hu):
    folder = series(syntax=ImplicitVRLittleEndian)
    for path in folder.iterdir():
        data = path.read_bytes()
        start = data.index(b"\x08\0\x16\0")
        path.write_bytes(data[start:])
    assert np.array_equal(read_volume(folder).voxels, hu)


def test_compressed_by_itk(tmp_path, hu):
    for name in ("JPEG2000", "JPEG"):
        writer = sitk.ImageFileWriter()
        writer.SetUseCompression(True)
        writer.SetCompressor(name)
        folder = tmp_path / name
        folder.mkdir()
        for k, plane in enumerate(np.repeat(np.repeat(hu, 8, 1), 8, 2)):
            image = sitk.GetImageFromArray((plane + 1024).astype(np.uint16)[None])
            image.SetSpacing((1.25, 1.5, STEP))
            for tag, text in {
                "0008|0060": "CT", "0020|000d": "1.2", "0020|000e": "1.2.3", "0020|0032": f"0\\0\\{k * STEP}",
                "0020|0037": "1\\0\\0\\0\\1\\0", "0028|1052": "-1024", "0028|1053": "1", "0008|0018": f"1.2.3.{k + 1}",
            }.items():  # fmt: skip
                image.SetMetaData(tag, text)
            writer.SetFileName(str(folder / f"{k}.dcm"))
            writer.KeepOriginalImageUIDOn()
            writer.Execute(image)
        assert not pydicom.dcmread(folder / "0.dcm").file_meta.TransferSyntaxUID.is_implicit_VR
        assert pydicom.dcmread(folder / "0.dcm").file_meta.TransferSyntaxUID.is_compressed
        assert np.array_equal(read_volume(folder).voxels[:, ::8, ::8] - read_volume(folder).voxels.min(), hu - hu.min())


@pytest.mark.parametrize("where", [0.5, 0.9])
def test_a_compressed_slice_that_is_cut_is_found_before_it_is_decoded(tmp_path, hu, where, monkeypatch):
    """GDCM takes gigabytes and half a minute over a JPEG2000 stream that ends early."""
    test_compressed_by_itk(tmp_path, hu)
    path = tmp_path / "JPEG2000" / "2.dcm"
    data = path.read_bytes()
    path.write_bytes(data[: int(where * len(data))])
    monkeypatch.setattr(sitk, "ImageFileReader", None)  # the decoder
    with pytest.raises(Incomplete):
        stored_pixels(read_elements(path))
    # The same with lengths that fit: the stream itself tells.
    start = data.index(b"\xff\x4f\xff\x51")
    end = data.rindex(b"\xff\xd9")
    middle = start + (end - start) // 2
    path.write_bytes(data[:middle] + b"\0" * (len(data) - middle - 8) + data[-8:])
    with pytest.raises(Incomplete):
        stored_pixels(read_elements(path))


def test_the_rescale_of_each_slice_and_none(series, hu):
    volume = read_volume(series(_without("RescaleSlope", "RescaleIntercept")))
    assert np.array_equal(volume.voxels, hu + 1024)
    assert "hardly any is below 0" in check_hu(volume)[0]
    assert np.array_equal(read_volume(series(_put(RescaleSlope=None, RescaleIntercept=None))).voxels, hu + 1024)
    volume = read_volume(series(_put(RescaleSlope=0)))
    assert np.array_equal(volume.voxels, hu)
    (note,) = volume.notes  # not one for each of hundreds of slices
    assert "with a RescaleSlope of 0: 1 was taken" in note


def test_values_that_may_be_no_hu_are_told_whatever_they_look_like(series, hu):
    (note,) = read_volume(series(_without("RescaleIntercept"))).notes
    assert re.search(r"has \d+ slices without RescaleIntercept, so that their values may be no HU", note)
    folder = series(lambda one, k: k in (1, 2) and delattr(one, "RescaleIntercept"))
    (note,) = read_volume(folder).notes
    assert "has 2 slices ('001.dcm', '002.dcm') without RescaleIntercept" in note

    def positron(one, k):
        one.Modality = "PT"
        del one.RescaleIntercept

    assert read_volume(series(positron)).notes == ()


def test_another_modality_is_known(series):
    volume = read_volume(series(SOPClassUID=MRImageStorage, Modality="MR"))
    assert volume.modality == "MR"
    assert "of the modality MR, not CT" in check_hu(volume)[0]
    assert read_volume(series(Modality="")).modality == "CT"


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (_without("PixelSpacing"), "how large its pixels are"),
        (_put(PixelSpacing=[0, 1]), "how large its pixels are"),
        (_put(PixelSpacing=None), "how large its pixels are"),
        (_without("ImagePositionPatient"), "where its slice lies"),
        (_put(ImagePositionPatient=None), "where its slice lies"),
        (_put(ImageOrientationPatient=None), "where its slice lies"),
        (_put(ImageOrientationPatient=[0] * 6), "which way its rows and columns run"),
        (_put(ImageOrientationPatient=[1, 0, 0, 0.1, 1, 0]), "sheared"),
        (_put(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "which way its rows and columns run"),
        (_put(BitsAllocated=None), "how they are stored"),
        (_put(Rows=None), "how many pixels"),
        (_put(SamplesPerPixel=3), "colour"),
        (lambda one, k: k == 1 and setattr(one, "Rows", 8), "odd are '001.dcm'"),
        (lambda one, k: k == 2 and setattr(one, "PixelSpacing", [1.5, 1.3]), "odd are '002.dcm'"),
        (lambda one, k: k == 0 and setattr(one, "ImageOrientationPatient", [0, 1, 0, 0, 0, -1]), "odd are '000.dcm'"),
    ],
)
def test_what_a_file_does_not_say_is_told_as_it_is(series, odd, said):
    text = _said(series(odd))
    assert said in text
    assert "damaged" not in text


def test_numbers_that_do_not_matter_may_be_anything(series, hu):
    for odd in (
        _put(SpacingBetweenSlices="0"),
        _put(SpacingBetweenSlices="-7.5", SliceThickness=""),
        _put(ImageOrientationPatient=[2, 0, 0, 0, 2, 0]),
        _put(ImageOrientationPatient=[1, 0, 2e-4, 0, 1, 0]),
        _put(InstanceNumber=None, AcquisitionNumber=None),
        _put(WindowCenter="", NumberOfFrames=None),
        _put(NumberOfFrames=1),
    ):
        volume = read_volume(series(odd))
        assert np.array_equal(volume.voxels, hu)
        assert np.allclose(volume.grid.spacing, (1.25, 1.5, STEP), atol=1e-5)
        axes = np.reshape(volume.grid.direction, (3, 3))
        assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-12)


def test_copies_and_scouts_are_left_out_and_told(series, hu, tmp_path):
    folder = series()
    shutil.copy(folder / "002.dcm", folder / "002 (1).dcm")
    _plane(folder / "scout.dcm", 9, hu[0, :5] + 1024, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
           ImageOrientationPatient=[1, 0, 0, 0, 0, -1])  # fmt: skip
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels, hu)
    assert len(volume.notes) == 2
    assert "localiser, which was left out: 'scout.dcm'" in volume.notes[0]
    assert "twice; left out: '002 (1).dcm'" in volume.notes[1]
    _plane(folder / "003b.dcm", 3, hu[3] + 1024)
    text = _said(folder)
    assert "several slices at one place" in text
    assert "003.dcm" in text
    assert "003b.dcm" in text
    one = pydicom.dcmread(folder / "003.dcm")
    one.PixelData = bytes(len(one.PixelData))
    one.save_as(folder / "003b.dcm")
    assert "claim to be the same: 003.dcm and 003b.dcm" in _said(folder)


def test_a_pipe_and_a_list_of_files_in_the_folder(series, hu):
    if sys.platform == "win32":
        pytest.skip("has no pipes in folders")
    folder = series()
    os.mkfifo(folder / "pipe")
    (folder / "notes.txt").write_text("nothing")
    (folder / "more").mkdir()
    assert np.array_equal(read_volume(folder).voxels, hu)


def test_names_that_are_not_utf8(tmp_path, series, hu):
    """As of CDs written in Latin-1; SWIG ends the process over them."""
    if sys.platform in ("win32", "darwin"):
        pytest.skip("has no such names")
    folder = os.fsencode(tmp_path) + b"/CT_Sch\xe4del"
    Path(os.fsdecode(folder)).mkdir()
    for path in series().iterdir():
        path.rename(os.fsdecode(folder + b"/Bild_\xfc" + os.fsencode(path.name)))
    volume = read_volume(os.fsdecode(folder))
    assert np.array_equal(volume.voxels, hu)
    assert volume.name == "CT_Sch?del"
    text = _said(os.fsdecode(folder) + "/none")
    assert text.encode()


def _item(**fields) -> Dataset:
    one = Dataset()
    for key, value in fields.items():
        setattr(one, key, value)
    return one


def _enhanced(path, hu, order=None, syntax=ExplicitVRLittleEndian, own=False, positions=None):
    """An Enhanced CT with its frames in ``order``; with ``own``, each frame has its own values, orientation and
    spacing."""
    order = list(range(len(hu))) if order is None else order
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    one = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = "1.2.3", "1.2.3.5", "CT"
    one.Rows, one.Columns, one.NumberOfFrames = *hu.shape[1:], len(hu)
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    slopes = [k + 1 if own else 1 for k in order]
    groups = {
        "PixelMeasuresSequence": [_item(PixelSpacing=[1.5, 1.25], SliceThickness=STEP)],
        "PlaneOrientationSequence": [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    }
    if not own:
        values = _item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")
        groups["PixelValueTransformationSequence"] = [values]
    one.SharedFunctionalGroupsSequence = [_item(**({} if own else groups))]
    frames = []
    for k, slope in zip(order, slopes, strict=True):
        z = -300 + STEP * k if positions is None else positions[k]
        frame = _item(PlanePositionSequence=[_item(ImagePositionPatient=[-170, -160, z])])
        if own:
            values = _item(RescaleIntercept=-1024 * slope, RescaleSlope=slope, RescaleType="HU")
            for key, value in {**groups, "PixelValueTransformationSequence": [values]}.items():
                setattr(frame, key, value)
        frames.append(frame)
    one.PerFrameFunctionalGroupsSequence = frames
    one.PixelData = np.stack([hu[k] + 1024 for k in order]).astype("<u2").tobytes()
    one["PixelData"].VR = "OW"
    if syntax == RLELossless:
        one.compress(RLELossless, generate_instance_uid=False)
    one.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize("order", [None, [3, 1, 0, 2]])
def test_enhanced_ct(tmp_path, hu, syntax, order):
    (tmp_path / "ct").mkdir()
    _enhanced(tmp_path / "ct" / "a.dcm", hu, order, syntax)
    for path in (tmp_path / "ct", tmp_path / "ct" / "a.dcm"):
        volume = read_volume(path)
        assert np.array_equal(volume.voxels, hu)
        assert volume.grid.spacing == (1.25, 1.5, STEP)
        assert volume.grid.origin == (-170, -160, -300)
        assert volume.notes == ()


def test_enhanced_ct_with_a_rescale_of_each_frame(tmp_path, hu):
    _enhanced(tmp_path / "a.dcm", hu, own=True)
    assert np.array_equal(read_volume(tmp_path / "a.dcm").voxels, hu * np.arange(1, 5)[:, None, None])


def test_enhanced_ct_that_is_no_volume(tmp_path, hu):
    path = tmp_path / "a.dcm"
    _enhanced(path, hu, positions=[-300, -295, -295, -290])
    assert "several slices at one place" in _said(path)
    assert "a.dcm (frame 2)" in _said(path)
    _enhanced(path, hu, positions=[-300, -295, -280, -275])
    assert "lacks 2 of its slices" in _said(path)
    one = pydicom.dcmread(path)
    del one.PerFrameFunctionalGroupsSequence
    one.save_as(path)
    assert "does not say where they lie" in _said(path) or "do not say" in _said(path)
    _enhanced(path, hu)
    path.write_bytes(path.read_bytes()[:-50])
    assert "damaged" in _said(path)


def test_any_cut_or_changed_byte_is_an_error_or_the_image(tmp_path, series):
    """Nothing but our own errors, whatever bytes there are."""
    folder = series()
    path, rng = folder / "001.dcm", np.random.default_rng(5)
    whole, said = path.read_bytes(), []
    for n in range(150):
        data = bytearray(whole)
        if n % 3 == 0:
            data = data[: rng.integers(1, len(data))]
        else:
            for at in rng.integers(128, len(data), rng.integers(1, 4)):
                data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            read_volume(folder)
        except InputError as error:
            said.append(str(error))
    assert len(said) > 50
    assert all(one.endswith(".") for one in said)
