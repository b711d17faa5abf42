"""What the engine says of volumes, results and problems, by key: so that the panel can say it in another language.

The engine speaks English, which commands print and scenes keep. Here each of its sentences has a stable key; one is
recognised by its words, and what stands at its placeholders are its values, which may be sentences themselves. What is
not listed stays as it was said.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from ..errors import PromptSegError
from . import problems
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
    "progress.set_step": _("step {step} of {steps}"),
    "progress.set_loss": _("step {step} of {steps}, loss {loss}"),
    "progress.set_best": _("step {step} of {steps}, loss {loss}, best Dice {dice} (step {at})"),
    "progress.set_dice": _("step {step} of {steps}: Dice {dice} on {n} held-out volumes, best {best}"),
    "progress.set_look": _("Looking at {name} ({n} of {count})"),
    "progress.set_last": _("Last look at {name} ({n} of {count})"),
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
    "note.known": _(
        "PromptSeg knows this as {name}: that prompt found the drawn slices with a Dice of {dice}, and learning began "
        "there."
    ),
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
    "note.folder": _("{folder} cannot be read ({why})."),
    "note.package": _("The Python package {package} is not installed."),
    "set.pretrained": _(
        "The backbone was pre-trained on {n} of the {count} held-out subjects: for others, expect less than the Dice "
        "here."
    ),
    "set.some": _("The run ended before the last look: the Dice is that of some slices of some subjects."),
    "set.none": _("No subject was held out: how good the prompt is in others is not known."),
    "set.few": _("With fewer than three held-out subjects the Dice says little of the next one."),
    **problems.PROBLEMS,
}
"""By key: the English text, with its placeholders."""
HERE = {
    "remedy.gpu": _("close what else uses it, or crop the volume"),
    "remedy.device": _("let PromptSeg choose the device"),
    "remedy.add": _("add volumes"),
    "remedy.seed": _("check the volumes, and begin anew"),
}
"""What the panel says in the place of what names an option of a command."""
CONTEXT = "desktop.sentences"
MORE = _("{names} and {n} more")
"""Names of a list that is too long for a sentence."""
_COUNTED = re.compile(r"(\d+/\d+: )(.+)", re.DOTALL)
_ABOUT = re.compile(r"(.+)( \([^()]+\))", re.DOTALL)
_LONGER = re.compile(r"(?P<names>.+) and (?P<n>\d+) more", re.DOTALL)
_QUOTED = re.compile(r"(?P<mark>['\"])(?P<name>.+?)(?P=mark)(?=, |$)", re.DOTALL)


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
    problem, found, remedy = text.rstrip(".").rpartition("; ")
    if found and recognise(remedy):
        return f"{spoken(problem)}; {spoken(remedy)}."
    known = recognise(text)
    if known is None:
        about = _ABOUT.fullmatch(text)  # a problem, and the file that it is about
        return spoken(about[1]) + about[2] if about is not None and recognise(about[1]) else text
    key, values = known
    context = problems.CONTEXT if key in problems.PROBLEMS and key not in HERE else CONTEXT
    translated = str(translate(context, HERE.get(key, SENTENCES[key])))
    try:
        return translated.format(**{name: _value(name, value) for name, value in values.items()})
    except (KeyError, IndexError, ValueError):  # a translation whose placeholders are others
        return text


def _value(name: str, value: str) -> str:
    """What stands at a placeholder: names of structures, a sentence of its own, or something that is no text."""
    if name == "names":
        return names_of(value)
    if name == "why" and recognise(value) is None:
        whole = value[:1].upper() + value[1:]
        return spoken(whole) if spoken(whole) != whole else value
    said = spoken(value)
    return name_of(said) if name == "name" else said


def names_of(listed: str) -> str:
    """A list of structures' names, quoted or not, in the language of the window."""
    from slicer.i18n import translate

    longer = _LONGER.fullmatch(listed)
    if longer is not None:
        return str(translate(CONTEXT, MORE)).format(names=names_of(longer["names"]), n=longer["n"])
    if _QUOTED.match(listed):
        return _QUOTED.sub(lambda one: f"{one['mark']}{name_of(one['name'])}{one['mark']}", listed)
    return ", ".join(map(name_of, listed.split(", ")))


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
