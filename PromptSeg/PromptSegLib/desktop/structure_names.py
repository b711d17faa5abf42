"""Names of known structures, for the panel in another language; segments, files and terminologies keep the English."""

from __future__ import annotations

import re

from ..spelling import spelled


def _(text: str) -> str:
    """Marks a name for translation; that it is looked up by :func:`name_of`."""
    return text


NAMES = frozenset(
    (
        _("spleen"),
        _("gallbladder"),
        _("esophagus"),
        _("liver"),
        _("stomach"),
        _("aorta"),
        _("inferior vena cava"),
        _("portal and splenic veins"),
        _("pancreas"),
        _("brainstem"),
        _("spinal cord"),
        _("larynx"),
        _("mandible"),
        _("heart"),
        _("left ventricle"),
        _("right ventricle"),
        _("left atrium"),
        _("right atrium"),
        _("pericardium"),
        _("superior vena cava"),
        _("pulmonary artery"),
        _("pulmonary vein"),
        _("trachea"),
        _("bronchus"),
        _("middle lobe of right lung"),
        _("thyroid gland"),
        _("thymus"),
        _("pharynx"),
        _("tongue"),
        _("brain"),
        _("skull"),
        _("pituitary gland"),
        _("optic chiasm"),
        _("duodenum"),
        _("small bowel"),
        _("colon"),
        _("rectum"),
        _("urinary bladder"),
        _("prostate"),
        _("uterus"),
        _("spine"),
        _("cervical spine"),
        _("thoracic spine"),
        _("lumbar spine"),
        _("vertebra"),
        _("sacrum"),
        _("ribs"),
        _("sternum"),
        _("right kidney"),
        _("right adrenal gland"),
        _("right parotid gland"),
        _("right submandibular gland"),
        _("right lung"),
        _("right eyeball"),
        _("right common carotid artery"),
        _("right common iliac artery"),
        _("right common iliac vein"),
        _("right ureter"),
        _("right seminal vesicle"),
        _("right ovary"),
        _("right femur"),
        _("right humerus"),
        _("right scapula"),
        _("right clavicle"),
        _("right ilium"),
        _("upper lobe of right lung"),
        _("lower lobe of right lung"),
        _("left kidney"),
        _("left adrenal gland"),
        _("left parotid gland"),
        _("left submandibular gland"),
        _("left lung"),
        _("left eyeball"),
        _("left common carotid artery"),
        _("left common iliac artery"),
        _("left common iliac vein"),
        _("left ureter"),
        _("left seminal vesicle"),
        _("left ovary"),
        _("left femur"),
        _("left humerus"),
        _("left scapula"),
        _("left clavicle"),
        _("left ilium"),
        _("upper lobe of left lung"),
        _("lower lobe of left lung"),
        _("tissue"),
        _("bone"),
        _("muscle"),
        _("body fat"),
        _("skin"),
    )
)
CONTEXT = "desktop.structure_names"


ENDINGS = (_(", taught"), _(", found"))
"""What the names of results are followed by."""


def name_of(name: str) -> str:
    """A structure's or a segment's name in the language of the window: "liver, taught" and "liver (2)", too. As it is
    for a structure that only its user knows."""
    from slicer.i18n import translate

    said, rest = name, ""
    counted = re.fullmatch(r"(.+)( \(\d+\))", said, re.DOTALL)
    if counted is not None:
        said, rest = counted[1], counted[2]
    for ending in ENDINGS:
        if said.endswith(ending):
            said, rest = said.removesuffix(ending), str(translate(CONTEXT, ending)) + rest
            break
    return (str(translate(CONTEXT, said)) if said in NAMES else said) + rest


def name_from(typed: str) -> str:
    """The English name of a structure that is typed in the language of the window; anything else as it is."""
    wanted = spelled(typed)
    return next((one for one in sorted(NAMES) if wanted != spelled(one) and wanted == spelled(name_of(one))), typed)
