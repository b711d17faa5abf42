"""The table of structures: complete, without doubles, and with codes that DICOM knows."""

from __future__ import annotations

import pytest

from PromptSegLib.anatomy.structure import Code, Structure
from PromptSegLib.anatomy.terminology import entry_string, find, parse_entry, structures

TRAINED = """spleen; right kidney; left kidney; gallbladder; esophagus; liver; stomach; aorta; inferior vena cava;
portal and splenic veins; pancreas; right adrenal gland; left adrenal gland; brainstem; spinal cord;
right parotid gland; left parotid gland; larynx; mandible"""


@pytest.mark.parametrize("name", [name.strip() for name in TRAINED.split(";")])
def test_what_the_shipped_sets_teach_is_there(name):
    found = find(name)
    assert found is not None
    assert found.name == name
    assert found.code is not None
    assert ("Left" if name.startswith("left") else "Right" if name.startswith("right") else None) == (
        found.modifier.meaning if found.modifier else None
    )


def test_no_name_or_synonym_means_two_things():
    for one in structures():
        assert one.name == one.name.lower()
        for name in (one.name, *one.synonyms):
            assert find(name) is one, name


def test_every_code_is_in_the_dicom_standard():
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    known = {code for meanings in concepts.values() for code in meanings}
    for one in structures():
        assert one.code.scheme == "SCT"
        assert one.code.value in known, one.name
        assert one.category.value in known
        assert one.modifier is None or one.modifier.value in known
        assert all(0 <= part <= 1 for part in one.colour)


def test_paired_structures_share_a_code_and_differ_in_the_side():
    left, right = find("left lung"), find("right lung")
    assert left.code == right.code == Code("SCT", "39607008", "Lung")
    assert left.modifier == Code("SCT", "7771000", "Left")
    assert right.modifier == Code("SCT", "24028007", "Right")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Kidney_L", "left kidney"),
        ("KIDNEY right", "right kidney"),
        ("oesophagus", "esophagus"),
        ("IVC", "inferior vena cava"),
        ("lung-upper-lobe-left", "upper lobe of left lung"),
        ("Portal Vein and Splenic Vein", "portal and splenic veins"),
        ("brain stem", "brainstem"),
        ("thoracic vertebral column", "thoracic spine"),
    ],
)
def test_find_by_synonym(name, meant):
    assert find(name).name == meant


def test_find_nothing():
    assert find("flux capacitor") is None
    assert find("") is None
    assert find("kidney") is None  # which one?


def test_slicers_entry_has_seven_parts():
    assert entry_string(find("left kidney")) == (
        "Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~^^~^^"
    )
    assert entry_string(find("inferior vena cava")).startswith("Segmentation category and type - DICOM master list~")
    assert entry_string(Structure("my own thing")) == ""


def test_entries_can_be_read_back():
    for one in structures():
        assert parse_entry(entry_string(one)) == (one.category, one.code, one.modifier)
    assert parse_entry("") == (None, None, None)
    assert parse_entry("a~b~c~d") == (None, None, None)


def test_a_codes_text_cannot_break_the_entry():
    nasty = Structure("x", Code("99A", "1^2", "one|two~three\nfour"))
    assert parse_entry(entry_string(nasty))[1] == Code("99A", "12", "onetwothreefour")
    assert "|" not in entry_string(nasty)
