"""Which volumes folders, files, globs and CSV files lead to, and what is said of those that lead to none."""

from __future__ import annotations

from pathlib import Path

import pytest

from PromptSegLib.errors import InputError

from .conftest import found, names, scan


def said(*texts: object) -> str:
    with pytest.raises(InputError) as caught:
        found(*texts)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_gives_all_below_it_named_as_the_tree() -> None:
    for name in ("scans/b/ct.nii.gz", "scans/a/ct.nrrd", "scans/c.mha", "scans/a/.hidden.nii", "scans/.x/ct.nii"):
        scan(Path(name))
    Path("scans/a/notes.txt").write_text("no image")
    scan(Path("scans/a/ct.seg.nrrd"))
    inputs = found("scans")
    assert names(inputs) == ["a/ct", "b/ct", "c"]
    assert all(Path(one.image).is_absolute() for one in inputs.items)
    assert [(Path(one.what).name, one.reason) for one in inputs.left_out] == [("ct.seg.nrrd", "a segmentation")]


def test_results_within_the_folder_are_not_taken_for_images() -> None:
    scan(Path("scans/a.nii.gz"))
    scan(Path("scans/results/a.nii.gz"))
    assert names(found("scans", out=Path("scans/results"))) == ["a"]
    with pytest.raises(InputError, match="INPUT and -o at once"):
        found("scans", out=Path("scans"))


def test_patterns_and_files_are_named_from_what_they_have_in_common() -> None:
    for name in "ab":
        scan(Path(f"study/{name}/ct.nii.gz"))
    assert names(found("study/*/ct.nii.gz")) == ["a/ct", "b/ct"]
    assert names(found("study/a/ct.nii.gz", "study/b/ct.nii.gz")) == ["a/ct", "b/ct"]
    assert names(found("study/**/*.nii.gz")) == ["a/ct", "b/ct"]
    assert names(found("study/b*")) == ["b/ct"]
    assert names(found("study/a/ct.nii.gz")) == ["ct"]


def test_a_name_with_marks_of_a_pattern_is_a_name() -> None:
    scan(Path("study [1]/ct.nii.gz"))
    assert names(found("study [1]")) == ["ct"]


def test_one_file_by_several_ways_is_one_volume() -> None:
    scan(Path("scans/a.nii.gz"))
    Path("scans/b.nii.gz").symlink_to(Path("scans/a.nii.gz").absolute())
    Path("scans/again").symlink_to(Path("scans").absolute())
    assert names(found("scans", "scans/a.nii.gz", "scans/*.nii.gz")) == ["a"]


def test_header_and_voxels_in_two_files_are_one_volume() -> None:
    scan(Path("scans/a.hdr"))
    scan(Path("scans/b.mhd"))
    assert names(found("scans")) == ["a", "b"]


@pytest.mark.parametrize(("first", "second"), [("x/ct.nii.gz", "y/ct.nii.gz"), ("x/ct.nii.gz", "y/CT.nrrd")])
def test_two_patients_of_one_name_are_refused(first: str, second: str) -> None:
    scan(Path(first))
    scan(Path(second))
    assert "would both be called" in said("x", "y")
    assert len(names(found("."))) == 2  # the remedy


def test_two_formats_of_one_name_are_refused() -> None:
    scan(Path("x/ct.nii.gz"))
    scan(Path("x/ct.nrrd"))
    assert "would both be called 'ct'" in said("x")


def test_names_are_made_fit_for_files() -> None:
    scan(Path("scans/a:b.nii.gz"))
    scan(Path("scans/a_b.nii.gz"))
    scan(Path("scans/con.nii.gz"))
    scan(Path(f"scans/{'x' * 120}.nii.gz"))
    made = names(found("scans"))
    assert len(set(made)) == 4
    assert all(len(name) < 100 and ":" not in name for name in made)
    assert "con" not in made


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Path("empty").mkdir(), "The folder empty is empty"),
        (lambda: (Path("empty/deep").mkdir(parents=True), Path("empty/a.txt").write_text("")), "holds no CT"),
        (lambda: scan(Path("empty/a.seg.nrrd")), "holds no CT: only"),
        (lambda: None, "There is no file or folder 'empty'"),
    ],
)
def test_where_nothing_is_found_it_says_so(make, text: str) -> None:
    make()
    assert text in said("empty")


def test_a_pattern_that_fits_nothing_is_told() -> None:
    assert "Nothing is called scans/*.nii" in said("scans/*.nii")


def test_a_named_file_that_is_no_image_is_told() -> None:
    scan(Path("scans/a.nii.gz"))
    Path("scans/notes.txt").write_text("no image")
    inputs = found("scans/a.nii.gz", "scans/notes.txt")
    assert names(inputs) == ["a"]
    assert [(one.what, one.reason) for one in inputs.left_out] == [
        ("scans/notes.txt", "not an image that PromptSeg can read")
    ]
    assert "scans/notes.txt: not an image" in said("scans/notes.txt")
    Path("lost.nii.gz").symlink_to("nowhere")
    assert "There is no file or folder 'lost.nii.gz'" in said("lost.nii.gz")
    assert "There is no file or folder ''" in said("")


def test_one_bad_argument_among_good_ones_is_told() -> None:
    scan(Path("scans/a.nii.gz"))
    Path("empty").mkdir()
    assert "empty" in said("scans", "empty")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig"])
def test_a_table_names_images_and_what_belongs_to_them(mark: str, coding: str) -> None:
    scan(Path("lists/a.nii.gz"))
    rows = [
        ("Image", "subject", "prompts", "reference"),
        ("a.nii.gz", "Müller", '"abdomen-ct:liver;x.promptset"', "r.nrrd"),
    ]
    Path("lists/cases.csv").write_text("\r\n".join(mark.join(row) for row in rows) + "\r\n\r\n", encoding=coding)
    Path("lists/x.promptset").write_text("")
    (item,) = found("lists/cases.csv").items
    assert (item.subject, item.image) == ("Müller", str(Path("lists/a.nii.gz").absolute()))
    assert item.prompts == ("abdomen-ct:liver", str(Path("lists/x.promptset").absolute()))
    assert item.reference == str(Path("lists/r.nrrd").absolute())


def test_without_a_subject_the_path_names_the_volume() -> None:
    Path("cases.csv").write_text("image\na/ct.nii.gz\nb/ct.nii.gz\n")
    assert names(found("cases.csv")) == ["a/ct", "b/ct"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "has no column image (it has none)"),
        ("file,subject\na.nii,x\n", "has no column image (it has file, subject)"),
        ("image\n", "lists no volume"),
        ("image,subject\n,x\n", "Line 2 of cases.csv names no image"),
        ("image,subject\na.nii,x\nb.nii,X\n", "Lines 2 and 3 of cases.csv are different volumes called 'X'"),
        ('image\n"a.nii\n', "is not a CSV file"),
        ("image\na\0.nii\n", "cases.csv"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(content: str, text: str) -> None:
    Path("cases.csv").write_text(content)
    assert text in said("cases.csv")


def test_a_table_in_another_coding_is_told() -> None:
    Path("cases.csv").write_bytes("image,subject\na.nii,Müller\n".encode("cp1252"))
    assert "UTF-8" in said("cases.csv")


def test_a_line_that_is_there_twice_counts_once() -> None:
    Path("cases.csv").write_text("image,subject\na.nii,x\na.nii,x\n")
    inputs = found("cases.csv")
    assert names(inputs) == ["x"]
    assert [one.reason for one in inputs.left_out] == ["listed twice"]
