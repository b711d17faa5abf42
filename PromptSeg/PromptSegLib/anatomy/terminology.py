"""Names, SNOMED CT codes and colours of common structures, and how 3D Slicer writes them down.

Codes are those of the coding scheme SCT (SNOMED CT) as DICOM PS3.16 lists them; each was looked up in pydicom's concept
dictionary and in the two terminology lists that 3D Slicer ships, "3D Slicer General Anatomy" and "DICOM master".
Colours are Slicer's General Anatomy colours; where that table has no entry, the colour of the kind of tissue (bone,
vein, artery, salivary gland, midbrain) or, for the portal and splenic veins, a shade of it. The combined portal and
splenic veins carry the portal vein's code.
"""

from __future__ import annotations

from functools import cache

from ..spelling import spelled
from .structure import Code, Structure

ANATOMY = Code("SCT", "123037004", "Anatomical Structure")
TISSUE = Code("SCT", "85756007", "Tissue")
RIGHT = Code("SCT", "24028007", "Right")
LEFT = Code("SCT", "7771000", "Left")

_GENERAL = "Segmentation category and type - 3D Slicer General Anatomy list"
_MASTER = "Segmentation category and type - DICOM master list"
_REGIONS = "Anatomic codes - DICOM master list"

_BONE, _VEIN, _ARTERY = (241, 214, 145), (0, 151, 206), (216, 101, 79)

# name, code, meaning, colour (0-255), synonyms, whether Slicer's General Anatomy list has the code
_SINGLE = (
    ("spleen", "78961009", "Spleen", (157, 108, 162), (), True),
    ("gallbladder", "28231008", "Gallbladder", (139, 150, 98), ("gall bladder",), True),
    ("esophagus", "32849002", "Esophagus", (211, 171, 143), ("oesophagus",), True),
    ("liver", "10200004", "Liver", (221, 130, 101), (), True),
    ("stomach", "69695003", "Stomach", (216, 132, 105), (), True),
    ("aorta", "15825003", "Aorta", (224, 97, 76), (), True),
    ("inferior vena cava", "64131007", "Inferior vena cava", _VEIN, ("ivc", "postcava"), False),
    (
        "portal and splenic veins",
        "32764006",
        "Portal vein",
        (0, 116, 176),
        ("portal vein and splenic vein", "portal vein & splenic vein", "portal vein"),
        False,
    ),
    ("pancreas", "15776009", "Pancreas", (249, 180, 111), (), True),
    ("brainstem", "119238007", "Brain stem", (145, 92, 109), ("brain stem",), False),
    ("spinal cord", "2748008", "Spinal cord", (244, 214, 49), ("cord", "myelon"), True),
    ("larynx", "4596009", "Larynx", (150, 208, 243), (), True),
    ("mandible", "91609006", "Mandible", (222, 198, 101), ("lower jaw",), True),
    ("heart", "80891009", "Heart", (206, 110, 84), (), True),
    ("left ventricle", "87878005", "Left Ventricle", (152, 55, 13), ("left ventricle of heart",), True),
    ("right ventricle", "53085002", "Right Ventricle", (181, 85, 57), ("right ventricle of heart",), True),
    ("left atrium", "82471001", "Left atrium", (203, 108, 81), ("left atrium of heart",), False),
    ("right atrium", "73829009", "Right atrium", (210, 115, 89), ("right atrium of heart",), False),
    ("pericardium", "76848001", "Pericardium", (255, 244, 209), (), True),
    ("superior vena cava", "48345005", "Superior vena cava", _VEIN, ("svc",), False),
    ("pulmonary artery", "81040000", "Pulmonary artery", (0, 122, 171), (), False),
    ("pulmonary vein", "122972007", "Pulmonary vein", (186, 77, 64), ("pulmonary veins",), False),
    ("trachea", "44567001", "Trachea", (182, 228, 255), ("windpipe",), True),
    ("bronchus", "955009", "Bronchus", (175, 216, 244), ("bronchi",), False),
    (
        "middle lobe of right lung",
        "72481006",
        "Middle lobe of right lung",
        (202, 164, 140),
        ("lung middle lobe right",),
        True,
    ),
    ("thyroid gland", "69748006", "Thyroid", (62, 162, 114), ("thyroid",), True),
    ("thymus", "9875009", "Thymus", (47, 150, 103), (), True),
    ("pharynx", "54066008", "Pharynx", (184, 105, 108), (), True),
    ("tongue", "21974007", "Tongue", (166, 84, 94), (), True),
    ("brain", "12738006", "Brain", (250, 250, 225), (), True),
    ("skull", "89546000", "Skull", (241, 213, 144), ("cranium",), True),
    ("pituitary gland", "56329008", "Pituitary", (57, 157, 110), ("pituitary", "hypophysis"), True),
    ("optic chiasm", "244453006", "Optic chiasm", (99, 106, 24), ("chiasm", "optic chiasma"), True),
    ("duodenum", "38848004", "Duodenum", (255, 253, 229), (), True),
    ("small bowel", "30315005", "Small Intestine", (205, 167, 142), ("small intestine",), True),
    ("colon", "71854001", "Colon", (204, 168, 143), ("large bowel",), True),
    ("rectum", "34402009", "Rectum", (204, 168, 143), (), False),
    ("urinary bladder", "89837001", "Bladder", (222, 154, 132), ("bladder",), True),
    ("prostate", "41216001", "Prostate", (230, 158, 140), ("prostate gland",), True),
    ("uterus", "35039007", "Uterus", (255, 181, 158), (), True),
    ("spine", "421060004", "Spine", _BONE, ("vertebrae", "vertebral column", "spinal column", "backbone"), False),
    (
        "cervical spine",
        "122494005",
        "Cervical spine",
        (255, 255, 207),
        ("cervical vertebral column", "cervical vertebrae"),
        True,
    ),
    (
        "thoracic spine",
        "122495006",
        "Thoracic spine",
        (226, 202, 134),
        ("thoracic vertebral column", "thoracic vertebrae"),
        True,
    ),
    (
        "lumbar spine",
        "122496007",
        "Lumbar spine",
        (212, 188, 102),
        ("lumbar vertebral column", "lumbar vertebrae"),
        True,
    ),
    ("vertebra", "51282000", "Vertebra", _BONE, (), False),
    ("sacrum", "54735007", "Sacrum", _BONE, (), False),
    ("ribs", "113197003", "Rib", (253, 232, 158), ("rib", "rib cage"), True),
    ("sternum", "56873002", "Sternum", (244, 217, 154), ("breastbone",), True),
)

# As above, for what the body has twice; the modifier says which.
_PAIRED = (
    ("kidney", "64033007", "Kidney", (185, 102, 83), (), True),
    ("adrenal gland", "23451007", "Adrenal gland", (249, 186, 150), ("adrenal", "suprarenal gland"), True),
    ("parotid gland", "45289007", "Parotid gland", (70, 163, 117), ("parotid",), False),
    ("submandibular gland", "54019009", "Submandibular gland", (70, 163, 117), ("submandibular",), False),
    ("lung", "39607008", "Lung", (197, 165, 145), (), True),
    ("eyeball", "79652003", "Eyeball", (194, 142, 0), ("eye", "globe"), True),
    ("common carotid artery", "32062004", "Common carotid artery", _ARTERY, (), False),
    ("common iliac artery", "73634005", "Common iliac artery", _ARTERY, ("iliac artery",), False),
    ("common iliac vein", "46027005", "Common iliac vein", _VEIN, ("iliac vein", "iliac vena"), False),
    ("ureter", "87953007", "Ureter", (247, 182, 164), (), False),
    ("seminal vesicle", "64739004", "Seminal Vesicle", (245, 172, 147), (), True),
    ("ovary", "15497006", "Ovary", (213, 141, 113), (), True),
    ("femur", "71341001", "Femur", _BONE, ("thigh bone",), False),
    ("humerus", "85050009", "Humerus", _BONE, (), False),
    ("scapula", "79601000", "Scapula", _BONE, ("shoulder blade",), False),
    ("clavicle", "51299004", "Clavicle", (205, 179, 108), ("collar bone",), True),
    ("ilium", "22356005", "Ilium", _BONE, (), False),
)

_LOBES = (
    (
        "upper lobe of {} lung",
        "45653009",
        "Upper lobe of lung",
        (172, 138, 115),
        ("lung upper lobe {}", "superior lobe of {} lung"),
    ),
    (
        "lower lobe of {} lung",
        "90572001",
        "Lower lobe of lung",
        (224, 186, 162),
        ("lung lower lobe {}", "inferior lobe of {} lung"),
    ),
)

_TISSUES = (
    ("tissue", "85756007", "Tissue", (128, 174, 128), ("soft tissue",)),
    ("bone", "272673000", "Bone", _BONE, ("bones",)),
    ("muscle", "71616004", "Muscle", (192, 104, 88), ("muscles", "skeletal muscle")),
    ("body fat", "248300009", "Body fat", (230, 220, 70), ("fat", "adipose tissue")),
    ("skin", "39937001", "Skin", (177, 122, 101), ()),
)


@cache
def structures() -> tuple[Structure, ...]:
    """All structures of the table, each with category, code and colour, paired ones with their laterality as
    modifier.
    """
    found = [
        Structure(name, Code("SCT", code, meaning), _unit(colour), ANATOMY, None, synonyms)
        for name, code, meaning, colour, synonyms, _ in _SINGLE
    ]
    for side in (RIGHT, LEFT):
        word = side.meaning.lower()
        for name, code, meaning, colour, synonyms, _ in _PAIRED:
            also = tuple(f"{word} {one}" for one in synonyms)
            found.append(Structure(f"{word} {name}", Code("SCT", code, meaning), _unit(colour), ANATOMY, side, also))
        for pattern, code, meaning, colour, patterns in _LOBES:
            also = tuple(one.format(word) for one in patterns)
            found.append(
                Structure(pattern.format(word), Code("SCT", code, meaning), _unit(colour), ANATOMY, side, also)
            )
    for name, code, meaning, colour, synonyms in _TISSUES:
        found.append(Structure(name, Code("SCT", code, meaning), _unit(colour), TISSUE, None, synonyms))
    return tuple(found)


def find(name: str) -> Structure | None:
    """The structure of that name or synonym, or None.

    Case, underscores, hyphens and the order of words do not matter, and a single l or r is a side: "Kidney_L" is the
    left kidney.
    """
    return _index().get(key(name))


def key(name: str) -> str:
    """What is the same for all spellings of a name that :func:`find` takes for one, also of names it does not know."""
    words = spelled(name).replace("_", " ").replace("-", " ").split()
    sides = {"l": "left", "r": "right"}
    return " ".join(sorted(sides.get(word, word) for word in words))


def entry_string(structure: Structure) -> str:
    """What 3D Slicer keeps in a segment's ``TerminologyEntry`` tag: seven parts joined by ``~``, codes by ``^``;
    empty for a structure without a code.
    """
    if structure.code is None:
        return ""
    context = _GENERAL if structure.code.value in _general_codes() else _MASTER
    category = structure.category or ANATOMY
    codes = (_triplet(category), _triplet(structure.code), _triplet(structure.modifier))
    return "~".join((context, *codes, _REGIONS, _triplet(None), _triplet(None)))


def parse_entry(entry: str) -> tuple[Code | None, Code | None, Code | None]:
    """Category, code and modifier of a ``TerminologyEntry``; None for each that is missing or malformed."""
    parts = entry.split("~")
    if len(parts) < 4:
        return None, None, None
    return _code(parts[1]), _code(parts[2]), _code(parts[3])


@cache
def _index() -> dict[str, Structure]:
    return {key(name): one for one in structures() for name in (one.name, *one.synonyms)}


@cache
def _general_codes() -> frozenset[str]:
    listed = {row[1] for row in (*_SINGLE, *_PAIRED) if row[5]}
    return frozenset(listed | {row[1] for row in (*_LOBES, *_TISSUES)})


def _unit(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255


def _triplet(code: Code | None) -> str:
    if code is None:
        return "^^"
    # The separators of the entry and of the tag list that it stands in must not come from a code's text.
    return "^".join("".join(c for c in part if c not in "^~|\r\n") for part in (code.scheme, code.value, code.meaning))


def _code(triplet: str) -> Code | None:
    parts = triplet.split("^")
    return Code(*parts) if len(parts) == 3 and all(parts) else None
