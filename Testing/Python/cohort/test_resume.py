"""What is done is not done again, unless something that it depends on has changed; and nothing of it is lost."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk  # noqa: N813
import torch

from PromptSegCli.cohort.details import read_details
from PromptSegCli.cohort.folder import Folder
from PromptSegCli.cohort.manifest import DONE, FAILED, KEPT, Manifest, Record, StructureResult
from PromptSegCli.cohort.report import Cohort, write_report
from PromptSegCli.cohort.results import write_results
from PromptSegLib.errors import OutputError, PromptError
from PromptSegLib.prompts.library import resolve
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.volumes.io import read_labels

from .conftest import Site, scan, series


@pytest.fixture
def three(site: Site) -> Site:
    for n in range(3):
        scan(Path(f"scans/p{n}.nii.gz"), seed=n)
    return site


def test_a_second_call_does_nothing_and_a_new_volume_alone(three: Site) -> None:
    assert three.run("scans") == ["p0", "p1", "p2"]
    assert three.run("scans") == []
    scan(Path("scans/p3.nii.gz"))
    assert three.run("scans") == ["p3"]
    record = three.records["p1"]
    assert list(record.prompts) == ["liver", "spleen"]
    assert all((record.stamp, *record.prompts.values(), record.backbone, record.digest))
    labels = read_labels(three.root / "p1.seg.nrrd")
    assert [one.name for one in labels.names.values()] == ["liver", "spleen"]


def test_a_changed_image_is_done_anew(three: Site) -> None:
    three.run("scans")
    scan(Path("scans/p1.nii.gz"), seed=9)
    assert three.run("scans") == ["p1"]


def test_a_changed_slice_of_a_series_is_noticed(site: Site) -> None:
    series(Path("tree"))
    assert len(site.run("tree")) == 1
    assert site.run("tree") == []
    os.utime("tree/002.dcm", ns=(1, 1))
    assert len(site.run("tree")) == 1


def test_a_changed_prompt_is_done_anew_and_the_same_prompt_elsewhere_is_not(three: Site) -> None:
    three.run("scans")
    own = Path("abdomen.promptset")
    Path("other.promptset").write_bytes(own.read_bytes())
    assert three.run("scans", prompts=(str(Path("other.promptset").absolute()),)) == []
    known = PromptSet.read(own)
    first, second = known.values()
    taught = {name: value + 0.5 for name, value in first.tensors.items()}
    PromptSet.of("abdomen", [replace(first, tensors=taught), second]).write(own)
    assert three.run("scans") == ["p0", "p1", "p2"]
    PromptSet.of(
        "abdomen", [replace(first, tensors=taught, card=replace(first.card, components="largest")), second]
    ).write(own)
    assert three.run("scans") == ["p0", "p1", "p2"]


def test_what_a_taught_prompt_remembers_belongs_to_it(three: Site) -> None:
    three.run("scans", memory=False)
    Path("abdomen.memory").write_bytes(b"changed")
    assert [one.subject for one in three.plan("scans", memory=True).tasks] == ["p0", "p1", "p2"]
    assert three.plan("scans", memory=False).tasks == ()
    assert three.run("scans", memory=True) == ["p0", "p1", "p2"]
    assert three.records["p0"].status == DONE  # a memory that cannot be used loses no result
    assert any("abdomen.memory" in one for one in three.records["p0"].warnings)


def test_another_format_or_orientation_is_done_anew(three: Site) -> None:
    three.run("scans")
    assert three.run("scans", format="nii.gz") == ["p0", "p1", "p2"]
    assert (three.root / "p0.nii.gz").is_file()
    assert len(three.plan("scans", format="nii.gz", orientation="LPS").tasks) == 3


def test_a_lost_result_is_done_anew(three: Site) -> None:
    three.run("scans")
    (three.root / "p1.seg.nrrd").unlink()
    assert three.run("scans") == ["p1"]


def test_a_result_that_somebody_corrected_is_never_written_over(three: Site) -> None:
    three.run("scans")
    mended = three.root / "p1.seg.nrrd"
    mended.write_bytes(b"corrected by hand")
    scan(Path("scans/p1.nii.gz"), seed=9)
    assert three.run("scans") == []
    assert mended.read_bytes() == b"corrected by hand"
    (kept,) = [one for one in three.plan("scans").former if one.status == KEPT]
    assert "delete it" in kept.warnings[-1]


def test_what_was_drawn_for_a_volume_that_failed_stays(three: Site) -> None:
    image = Path("scans/p1.nii.gz")
    image.write_bytes(b"damaged")
    three.run("scans")
    assert three.records["p1"].status == FAILED
    drawn = three.root / "p1.seg.nrrd"
    drawn.write_bytes(b"drawn by hand")
    scan(image, seed=9)
    assert three.run("scans") == []
    assert drawn.read_bytes() == b"drawn by hand"
    (kept,) = [one for one in three.plan("scans").former if one.status == KEPT]
    assert "delete it" in kept.warnings[-1]
    drawn.unlink()
    assert three.run("scans") == ["p1"]


def test_a_correction_is_kept_though_another_format_was_written_since(three: Site) -> None:
    three.run("scans")
    assert three.run("scans", format="nii.gz") == ["p0", "p1", "p2"]
    mended = three.root / "p1.seg.nrrd"
    mended.write_bytes(b"corrected by hand")
    assert three.run("scans") == ["p0", "p2"]
    assert mended.read_bytes() == b"corrected by hand"


def test_names_of_a_reference_may_be_written_otherwise_and_structures_may_overlap(site: Site) -> None:
    scan(Path("a.nii.gz"))
    (liver,) = (one for one in resolve("abdomen.promptset").values() if one.structure.name == "liver")
    twin = replace(liver, structure=replace(liver.structure, name="Twin"))
    PromptSet.of("both", [liver, twin]).write("both.promptset")
    site.run("a.nii.gz", prompts=["both.promptset"])
    (site.root / "a.seg.nrrd").rename("reference.seg.nrrd")
    written = sitk.ReadImage("reference.seg.nrrd")
    for key in written.GetMetaDataKeys():
        if written.GetMetaData(key) == "liver":
            written.SetMetaData(key, "Liver")
    sitk.WriteImage(written, "reference.seg.nrrd")
    Path("cases.csv").write_text("image,subject,reference\na.nii.gz,one,reference.seg.nrrd\n")
    site.run("cases.csv", prompts=["both.promptset"])
    assert {one.name: one.dice for one in site.records["one"].structures} == {"liver": 1.0, "Twin": 1.0}


def test_a_folder_of_results_that_was_copied_is_as_it_was(three: Site) -> None:
    three.run("scans")
    for path in three.root.glob("*.seg.nrrd"):
        os.utime(path, ns=(1, 1))
    assert [one.status for one in three.plan("scans").former] == [DONE] * 3


def test_looking_at_a_manifest_changes_nothing(three: Site) -> None:
    three.run("scans")
    path = Folder(three.root).manifest
    text = path.read_text() * 60
    path.write_text(text)
    manifest = Manifest(path)
    assert path.read_text() == text
    manifest.compact()
    assert len(path.read_text().splitlines()) == 3
    assert Manifest(path).records == manifest.records


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf_8_make_names_that_are(three: Site, engine) -> None:
    odd = os.fsencode("scans/m") + b"\xfcller, 3: a\n.nii.gz"
    Path("scans/p0.nii.gz").rename(Path(os.fsdecode(odd)))
    done = three.run("scans")
    assert len(done) == 3
    (name,) = set(done) - {"p1", "p2"}
    assert name.startswith("m_ller_ 3_ a")
    assert (three.root / f"{name}.seg.nrrd").is_file()
    assert three.run("scans") == []
    records = list(three.records.values())
    write_results(three.root / "results.csv", records, [])
    write_report(Folder(three.root), Cohort(records, [], 0, {}, ""))


def test_a_prompt_for_another_backbone_is_refused_before_anything_is_done(three: Site) -> None:
    own = Path("abdomen.promptset")
    prompts = [replace(one, backbone_id="f" * 64) for one in PromptSet.read(own).values()]
    PromptSet.of("abdomen", prompts).write(own)
    with pytest.raises(PromptError, match="learned on backbone ffff"):
        three.plan("scans")


def test_a_volume_that_fails_is_told_and_the_others_go_on(three: Site) -> None:
    Path("scans/p1.nii.gz").write_bytes(b"\x1f\x8bdamaged")
    scan(Path("scans/p2.nii.gz"), shape=(1, 20, 22))
    assert three.run("scans") == ["p0", "p1", "p2"]
    assert [three.records[f"p{n}"].status for n in range(3)] == [DONE, FAILED, FAILED]
    assert three.records["p1"].problem.endswith(".")
    assert not (three.root / "p1.seg.nrrd").exists()
    assert three.run("scans") == ["p1", "p2"]  # they are tried again


def test_a_defect_is_one_volume_s_and_told_as_one(three: Site, monkeypatch, capfd) -> None:
    from PromptSegCli.cohort import job

    def broken(task):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(job, "read", broken)
    three.run("scans")
    assert three.records["p0"].kind == "defect"
    assert "defect in PromptSeg (ZeroDivisionError: of ours)" in three.records["p0"].problem
    assert "Traceback" in capfd.readouterr().err


def test_prompts_and_references_of_a_table_count(site: Site) -> None:
    scan(Path("a.nii.gz"))
    site.run("a.nii.gz")
    (site.root / "a.seg.nrrd").rename("reference.seg.nrrd")
    written = sitk.ReadImage("reference.seg.nrrd")
    turned = sitk.Flip(sitk.PermuteAxes(written, (2, 1, 0)), (True, False, False))  # by another tool
    for key in written.GetMetaDataKeys():
        if key.startswith("Segment"):
            turned.SetMetaData(key, written.GetMetaData(key))
    sitk.WriteImage(turned, "reference.seg.nrrd")
    Path("cases.csv").write_text(
        "image,subject,prompts,reference\n"
        "a.nii.gz,one,abdomen.promptset:liver,reference.seg.nrrd\n"
        "a.nii.gz,two,,missing.nrrd\n"
    )
    assert site.run("cases.csv") == ["one", "two"]
    (liver,) = site.records["one"].structures
    assert (liver.name, liver.dice) == ("liver", 1.0)
    assert site.records["two"].status == DONE  # a reference that cannot be read loses no result
    assert "Not compared with the reference" in site.records["two"].warnings[-1]
    other = sitk.Cast(sitk.ReadImage("a.nii.gz") > -5000, sitk.sitkUInt8) * 7
    sitk.WriteImage(other, "other.nii.gz")
    Path("cases.csv").write_text("image,subject,prompts,reference\na.nii.gz,one,abdomen.promptset:liver,other.nii.gz\n")
    site.run("cases.csv")
    said = site.records["one"].warnings[-1]
    assert said.endswith("as a .seg.nrrd has them, or the values of the result."), said


def test_a_reference_of_another_patient_is_not_compared_with(site: Site) -> None:
    import pydicom

    series(Path("tree"))
    site.run("tree", format="dicom-seg")
    (record,) = site.records.values()
    foreign = pydicom.dcmread(site.root / record.output)
    foreign.FrameOfReferenceUID, foreign.ReferencedSeriesSequence = "1.2.9", []
    foreign.save_as("foreign.dcm")
    Path("cases.csv").write_text("image,subject,reference\ntree,x,foreign.dcm\n")
    site.run("cases.csv")
    assert "another frame of reference" in site.records["x"].warnings[-1]


@pytest.mark.parametrize(
    ("kind", "ending", "modality"), [("dicom-seg", ".dcm", "SEG"), ("rtstruct", ".rtstruct.dcm", "RTSTRUCT")]
)
def test_results_of_dicom_series_can_be_dicom(site: Site, kind: str, ending: str, modality: str) -> None:
    import pydicom

    uid = series(Path("scans/tree"))
    scan(Path("scans/a.nii.gz"))
    site.run("scans", format=kind)
    (made,) = [one for one in site.records.values() if one.status == DONE]
    assert made.output.endswith(ending)
    found = pydicom.dcmread(site.root / made.output)
    assert found.Modality == modality
    assert uid in found.to_json()
    assert "A DICOM result refers to the DICOM series" in site.records["a"].problem


def test_a_result_never_takes_the_place_of_an_input(site: Site) -> None:
    scan(Path("out/p0.nii.gz"))
    with pytest.raises(OutputError, match="would take the place of"):
        site.plan("out/p0.nii.gz", format="nii.gz")


def test_each_volume_has_a_picture_of_each_structure_that_was_found(three: Site) -> None:
    import base64

    three.run("scans")
    _, pictures = read_details(Folder(three.root).details("p0"))
    found = [one.name for one in three.records["p0"].structures if one.volume_ml]
    assert sorted(pictures) == sorted(found)
    assert all(base64.b64decode(one).startswith(b"\x89PNG") for one in pictures.values())


LIVER = StructureResult("liver", 2.0, 0.9, (0.8, 0.7, 0.9))
RECORD = Record("a/b", "a.nii", "key", DONE, "a/b.nrrd", 3, 4, "digest", (LIVER,))


def test_a_line_that_was_cut_off_costs_its_volume_alone(tmp_path) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.add(RECORD)
    manifest.add(replace(RECORD, subject="c"))
    text = path.read_text()
    path.write_text(text + '{"subject": "d", "sta')
    again = Manifest(path)
    assert again.records == {"a/b": RECORD, "c": replace(RECORD, subject="c")}
    again.add(replace(RECORD, subject="d"))
    assert list(Manifest(path).records) == ["a/b", "c", "d"]
    path.write_text('[]\nnull\n{"subject": 1}\n{"structures": 3, "subject": "x"}\n\x00\n' + text)
    assert list(Manifest(path).records) == ["a/b", "c"]


@pytest.mark.parametrize("written", [0, 20])
def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch, written: int) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest(path)
    manifest.add(RECORD)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[:written])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="the disk is full; free some space"):
            manifest.add(replace(RECORD, subject="c"))
    assert list(Manifest(path).records) == ["a/b"]
    manifest.add(replace(RECORD, subject="d"))
    assert list(Manifest(path).records) == ["a/b", "d"]


def test_a_disk_that_fills_up_ends_the_run_and_keeps_what_is_done(three: Site, monkeypatch) -> None:
    from PromptSegCli.cohort import output
    from PromptSegLib.volumes import io

    def full(*_: object) -> None:
        raise OutputError("p1.seg.nrrd could not be written: the disk is full", "free some space")

    def fill_up(task) -> None:
        if task.subject == "p1":
            monkeypatch.setattr(io, "write_segments", full)

    with pytest.raises(OutputError, match=r"the disk is full; free some space, and give the same command again\.$"):
        three.run("scans", on_task=fill_up)
    monkeypatch.undo()
    monkeypatch.chdir(three.root.parent)
    assert [one.subject for one in three.plan("scans").tasks] == ["p1", "p2"]
    assert output.ENDINGS


def test_the_same_volume_gives_the_same_file(three: Site) -> None:
    three.run("scans")
    before = (three.root / "p0.seg.nrrd").read_bytes()
    (three.root / "p0.seg.nrrd").unlink()
    torch.rand(3)
    three.run("scans")
    assert (three.root / "p0.seg.nrrd").read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": ["p1"]}, {"output": 5}, {"output": "../p1.nrrd"}, {"output": "/etc/p1.nrrd"}, {"output": "a\0b"},
        {"status": "perhaps"}, {"size": "9"}, {"seconds": 5}, {"seconds": {"all": "long"}}, {"peak_mib": "much"},
        {"prompts": {"liver": 3}}, {"warnings": [{}]}, {"digest": None}, {"structures": [{"name": "liver"}]},
        {"structures": [{"name": "liver", "volume_ml": "big"}]}, {"structures": [{"name": 3, "volume_ml": 1.0}]},
        {"structures": [{"name": "liver", "volume_ml": float("nan")}]},
        {"structures": [{"name": "liver", "volume_ml": 1.0, "expected": [0.5]}]},
        {"structures": [{"name": "liver", "volume_ml": 1.0, "dice": "good"}]}, {"structures": 7},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_that_somebody_spoiled_is_no_line(tmp_path, changes) -> None:
    """The volume is done anew; whatever stands there, the table of the others is written."""
    whole = Record(
        "p0", "a.nii", "key", DONE, "p0.nrrd", structures=(StructureResult("liver", 1.0, expected=(1, 0, 1)),)
    )
    spoiled = {**whole.to_json(), "subject": "p1", **changes}
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{json.dumps(whole.to_json())}\n{json.dumps(spoiled)}\n", encoding="utf-8")
    manifest = Manifest(path)
    assert list(manifest.records) == ["p0"]
    assert manifest.records["p0"] == whole
    details = tmp_path / "p1.json"
    details.write_text(json.dumps({"record": spoiled, "pictures": {}}), encoding="utf-8")
    assert read_details(details) == (None, {})
    write_results(tmp_path / "results.csv", list(manifest.records.values()), [])
