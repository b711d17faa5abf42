"""What the engine says of volumes, results and problems, by key: so that the panel can say it in another language.

The engine speaks English, which commands print and scenes keep. Here each of its sentences has a stable key; one is
recognised by its words, and what stands at its placeholders are its values, which may be sentences themselves. What is
not listed stays as it was said.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from ..errors import PromptSegError
from .structure_names import name_of


def _(text: str) -> str:
    """Marks a text for translation; that it is looked up by :func:`spoken`."""
    return text


SENTENCES = {
    "progress.load": _("Loading the backbone"),
    "progress.read": _("Reading {name}"),
    "progress.slice": _("slice {n} of {count}"),
    "progress.oblique": _("Resampling oblique slices to canonical axes"),
    "progress.write": _("Writing masks to the volume's grid"),
    "progress.export": _("Exporting {name}"),
    "progress.register": _("Registering with another CT"),
    "progress.first": _("First mask: Dice {dice} on the drawn slices"),
    "progress.without": _("Checking without slice {index}"),
    "progress.step": _("Step {step} of {steps}"),
    "progress.kept": _("Stopped; step {step} of {steps} is kept"),
    "progress.done": _("Done"),
    "progress.look": _("Looking at {name}"),
    "progress.looked": _("Looked at all structures"),
    "review.differs": _("differs by {share} from the adjacent slices"),
    "review.wrong": _("about {area} cm² may be wrong"),
    "review.both": _("differs by {share} from the adjacent slices, about {area} cm² may be wrong"),
    "review.dice": _("Dice {dice}"),
    "review.nothing": _("Nothing was found."),
    "review.parts": _("It is in {n} separate parts."),
    "review.speck": _("There is a speck beside it."),
    "review.specks": _("There are {n} specks beside it."),
    "review.border": _("It touches the border of the image."),
    "review.gap": _("It is missing in 1 slice between others that show it."),
    "review.gaps": _("It is missing in {n} slices between others that show it."),
    "review.jump": _("It changes abruptly at slice {index}."),
    "review.jumps": _("It changes abruptly at slices {listed}."),
    "review.many_jumps": _("It changes abruptly at slices {listed} and others."),
    "suggest.beyond": _("Beyond slice {index}, where the drawing ends, the network still finds the structure."),
    "suggest.goes_on": _(
        "Beyond slice {index}, where the drawing ends, the structure seems to go on: draw it here, or mark "
        "this slice as without it."
    ),
    "suggest.uncertain": _("Here the network is most uncertain."),
    "suggest.between_uncertain": _(
        "Between slices {below} and {above} the network is uncertain or disagrees with the contours most."
    ),
    "suggest.widest": _("Between slices {below} and {above} is the widest gap, and the contour changes there."),
    "suggest.changes": _("Between slices {below} and {above} the contour changes most."),
    "suggest.changes_uncertain": _(
        "Between slices {below} and {above} the contour changes and the network is uncertain."
    ),
    "correct.least_certain": _("Here, and in the slices around, the result is least certain."),
    "advice.odd": _(
        "Slice {index} is not what the other drawn slices let expect (Dice {dice}, the middle of all "
        "{middle}): check whether they contradict each other."
    ),
    "advice.one": _("Only one slice shows the structure: how good the result is, cannot be estimated."),
    "advice.beyond": _(
        "The structure seems to go on beyond slice {index}, where the drawing ends: it is not small, and "
        "little is looked for beyond. Draw the first and the last slice that show it, or mark a slice without "
        "it as absent."
    ),
    "advice.beyond_both": _(
        "The structure seems to go on beyond slices {first} and {last}, where the drawing ends: they are not "
        "small, and little is looked for beyond. Draw the first and the last slice that show it, or mark a "
        "slice without it as absent."
    ),
    "advice.border": _("The contour in slice {index} touches the border of the image: the structure may go on."),
    "advice.part": _(
        "Slice {index} shows separate parts where the other slices have one: check that it is one structure."
    ),
    "advice.parts": _(
        "Slices {listed} show separate parts where the other slices have one: check that it is one structure."
    ),
    "advice.gone": _(
        "Slice {index} is marked as without the structure, between slices that show it: it will stay empty."
    ),
    "note.earlier": _("Learned from {slices} of {patients}, too."),
    "note.one_slice": _("one slice"),
    "note.slices": _("{n} slices"),
    "note.one_patient": _("an earlier patient"),
    "note.patients": _("{n} earlier patients"),
    "note.plane": _("The prompt before was learned in {before} slices: taught anew in {now} ones."),
    "note.other_plane": _(
        "{name} was learned in {before} slices, and these were drawn in {now} ones: what is drawn stays as it "
        "is, and does not help to find the slices between."
    ),
    "plane.axial": _("axial"),
    "plane.coronal": _("coronal"),
    "plane.sagittal": _("sagittal"),
    "note.not_kept": _("Nothing is kept for the next patient: {why}"),
    "carried.nowhere": _("{name} was not found: registered with where it was taught, {why}."),
    "carried.not": _("{name} could not be carried over from {source}: {why}."),
    "carried.reference": _("a reference CT"),
    "carried.patient": _("the patient it was taught in"),
    "carried.none": _("no patient is remembered"),
    "carried.guess": _("{name} is a first guess: a Dice of about {dice} is to be expected."),
    "carried.misfit": _("the two CTs do not fit, they may show different parts of the body"),
    "carried.field": _("the field of view does not show that part of the body"),
    "carried.failed": _("the registration failed, forward and backward it does not agree with itself"),
    "carried.unknown": _("nothing is known of it"),
    "volume.modality": _("{name} is of the modality {modality}, not CT; results are likely to be wrong."),
    "volume.values": _("The values of {name} do not look like a CT's in HU: {why}; results are likely to be wrong."),
    "volume.outside": _("most of them are outside of {low} to {high}"),
    "volume.narrow": _("they span only {low} to {high}"),
    "volume.no_air": _("hardly any is below 0, where air and fat are ({low} to {high})"),
    "volume.no_tissue": _("hardly any is above {value}, where tissue is"),
    "set.pretrained": _(
        "The backbone was pre-trained on {n} of the {count} held-out subjects: for others, expect less than the Dice "
        "here."
    ),
    "set.some": _("The run ended before the last look: the Dice is that of some slices of some subjects."),
    "set.few": _("With fewer than three held-out subjects the Dice says little of the next one."),
    "problem.few_ticked": _("{n} segmented volumes of {name} are ticked, and {least} are needed"),
    "problem.twice": _("{name} is ticked with two segmentations"),
    "problem.odd": _("The values of {name} do not look like a CT's in HU: {why}"),
    "problem.whose": _("{name} does not say which volume it is of"),
    "problem.pair_gone": _("{name}, or the volume that it is of, was removed"),
    "problem.other_voxels": _("{name} does not lie on the voxels of {other}"),
    "problem.empty_in": _("{name} is empty in {other}"),
    "problem.nowhere": _("{name} is nowhere in {other}"),
    "problem.few_show": _("{name} is in {n} of the volumes, and a labelled set needs {least}"),
    "problem.no_image": _("{name} has no image"),
    "problem.label_map": _("{name} is a label map"),
    "problem.values": _("{name} has several values per voxel"),
    "problem.no_segment": _("{name} has no such segment"),
    "problem.belongs": _("{name} belongs to the volume {other}"),
    "problem.surfaces": _("{name} holds surfaces and no label map"),
    "problem.transforms": _("{name} and {other} are moved by different transforms, and one of them is bent"),
    "problem.voxels": _("{name} was not drawn on the voxels of {other}"),
    "problem.frame": _("{name} was drawn in another frame of the sequence than the one in view"),
    "problem.view": _("The view is not along the slices of {name}"),
    "problem.bent": _("{name} is bent by a transform, so its slices are no planes"),
    "problem.absent": _("Slice {index} is marked as absent, and something is drawn in it"),
    "problem.complete": _("Slice {index} is marked as complete, and nothing is drawn in it"),
    "problem.marks": _("The slice marks of {name} cannot be read"),
    "problem.other_volume": _("The slices of {name} were marked on another volume, or the volume was changed"),
    "problem.removed": _("The segmentation was removed"),
    "problem.changed": _("{names}: changed since"),
    "problem.none_asked": _("No structure was asked for"),
    "problem.export": _("There is nothing to export"),
    "problem.own_only": _("Only structures of your own can be deleted"),
    "problem.delete": _("{path} cannot be deleted ({why})"),
    "problem.file_of": _("{name} is one of the files that the structures are kept in"),
    "problem.folder": _("The folder {folder} cannot be made ({why})"),
    "problem.own_folder": _("The folder {folder} for your structures cannot be made ({why})"),
    "problem.gone": _("The volume or the segmentation was removed meanwhile"),
    "problem.was_removed": _("{name} was removed"),
    "problem.no_common": _("{name} and {other} have no structure in common"),
    "problem.empty": _("{name} has no segment"),
    "problem.download": _("{name} could not be downloaded"),
    "problem.download_why": _("{name} could not be downloaded ({why})"),
    "problem.taught_removed": _("The result of teaching {name} was removed"),
    "problem.nothing_back": _("There is no segmentation to take back"),
    "problem.sequence": _("The sequence was changed or removed meanwhile"),
    "problem.not_drawn": _("No slice shows the structure yet"),
    "problem.no_volume": _("There is no volume to work on"),
    "problem.pip": _("{name} could not be installed ({why})"),
    "problem.torch": _("torch was not installed"),
    "problem.version": _("{name} {version} is installed, and PromptSeg needs {least} or later"),
    "problem.run_busy": _("The run of {name} is being worked on"),
    "problem.run_taken": _("Another process is at the run in {folder}"),
    "problem.writing": _("Another 3D Slicer is writing to {folder}"),
    "problem.disk": _("The disk is full"),
    "problem.permission": _("A file or folder may not be used"),
    "problem.memory": _("This computer's memory is not enough"),
    "problem.gpu": _("The GPU's memory is not enough"),
    "problem.ended": _("The computing process was ended by the system, most often because memory ran out"),
    "remedy.tick_more": _("load and tick more, or draw it in a few slices of one instead"),
    "remedy.untick_one": _("untick one: a volume must not be learned from and held out"),
    "remedy.hu": _("untick it, or load it again so that its values are HU"),
    "remedy.both": _("choose both, volume and segmentation, in the Segment Editor once"),
    "remedy.others": _("choose others and try again"),
    "remedy.geometry": _(
        "untick it, or give it the volume's geometry (Segment Editor, the button beside the source volume)"
    ),
    "remedy.untick_empty": _("untick that volume, or segment it there first"),
    "remedy.leave_out": _("leave that volume out, or segment it there first"),
    "remedy.add_volumes": _("add volumes, or draw it in a few slices of one instead"),
    "remedy.dataset": _("name a dataset.json in the layout of the Decathlon or of nnU-Net"),
    "remedy.loaded": _("choose a volume that is loaded"),
    "remedy.ct": _("choose the CT itself"),
    "remedy.scalar": _("choose a volume with one value per voxel, such as a CT"),
    "remedy.segment": _("choose a segment"),
    "remedy.other": _("choose another segmentation or a new one"),
    "remedy.source": _("make binary labelmap its source representation in the module Segmentations"),
    "remedy.transform": _("put both under the same transform in the module Transforms"),
    "remedy.its_volume": _("draw on the volume that it belongs to"),
    "remedy.frame": _("go to that frame, or draw the structure in a new segment"),
    "remedy.view": _("turn it to the volume plane (the view's menu, Rotate to volume plane)"),
    "remedy.harden": _("harden the transform or take the volume out of it, in the module Transforms"),
    "remedy.erase": _("erase it or mark the slice as complete"),
    "remedy.draw": _("draw in it or mark it as absent"),
    "remedy.mark": _("mark its slices again, or use a newer PromptSeg"),
    "remedy.clear": _("choose the volume that they were drawn on, or clear the marks"),
    "remedy.your_segment": _("choose the segment that you draw"),
    "remedy.another": _("choose another one"),
    "remedy.delete": _("delete the segments that are not wanted"),
    "remedy.tick": _("tick at least one"),
    "remedy.tick_structure": _("tick at least one structure"),
    "remedy.mine": _("choose one of My structures"),
    "remedy.permissions": _("check its permissions"),
    "remedy.choose_another": _("choose another"),
    "remedy.self_check": _("choose another one in the self-check"),
    "remedy.again": _("choose another one and try again"),
    "remedy.names": _("give the same structures the same names in both"),
    "remedy.segment_first": _("segment something first"),
    "remedy.internet": _("check the connection to the internet and try again, or load a CT of your own"),
    "remedy.teach": _("teach it again"),
    "remedy.sequence": _("choose it and try again"),
    "remedy.one_slice": _("draw it in at least one slice"),
    "remedy.restart": _("restart 3D Slicer and install it before another module uses it"),
    "remedy.pytorch": _("open the module PyTorch Util and install it there"),
    "remedy.network": _("check the network, then try again"),
    "remedy.stop_run": _("stop it, in the other 3D Slicer perhaps, first"),
    "remedy.wait_run": _("wait until it has ended, or stop it there"),
    "remedy.moment": _("try again in a moment"),
    "remedy.space": _("free some space"),
    "remedy.close": _("close other programs or crop the image"),
}
"""By key: the English text, with its placeholders."""
CONTEXT = "desktop.sentences"
_COUNTED = re.compile(r"(\d+/\d+: )(.+)", re.DOTALL)


@lru_cache(maxsize=500)
def recognise(text: str) -> tuple[str, dict[str, str]] | None:
    """(key, values by placeholder) of what was said; None for what is not listed. Of several sentences that fit, it is
    the one with most words of its own."""
    for key, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            return key, found.groupdict()
    return None


def spoken(text: str) -> str:
    """What was said, in the language of the window."""
    from slicer.i18n import translate

    counted = _COUNTED.fullmatch(text)
    if counted is not None:  # a frame of several: what is said follows its number
        return counted[1] + spoken(counted[2])
    known = recognise(text)
    if known is None:
        problem, found, remedy = text.rstrip(".").partition("; ")
        parts = [recognise(problem), recognise(remedy)] if found else []
        return f"{spoken(problem)}; {spoken(remedy)}." if any(parts) else text
    key, values = known
    translated = str(translate(CONTEXT, SENTENCES[key]))
    try:
        said = {name: (name_of if name == "name" else str)(spoken(value)) for name, value in values.items()}
        return translated.format(**said)
    except (KeyError, IndexError, ValueError):  # a translation whose placeholders are others
        return text


def told(problem: PromptSegError | str) -> str:
    """A problem with its remedy, in the language of the window."""
    if isinstance(problem, str):
        return spoken(problem)
    parts = [spoken(problem.problem), *([spoken(problem.remedy)] if problem.remedy else ())]
    return f"{'; '.join(parts)}."


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The sentences as patterns, those with most words of their own first."""
    own = sorted(SENTENCES, key=lambda key: -len(re.sub(r"\{\w+\}", "", SENTENCES[key])))
    return tuple((key, re.compile(_pattern(SENTENCES[key]), re.DOTALL)) for key in own)


def _pattern(text: str) -> str:
    """Placeholders hold as little as fits."""
    parts = re.split(r"\{(\w+)\}", text)
    return "".join(f"(?P<{part}>.+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
