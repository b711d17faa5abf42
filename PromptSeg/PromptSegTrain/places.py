"""Give prompts of a set their places: where structures of labelled volumes lie in the open reference CTs.

    python -m PromptSegTrain.places SET.promptset DATASET.json -o OUT.promptset --structures heart --volumes a,b,c

For structures that the network finds where they cannot be, as a heart below the diaphragm when few chests were learned
from. The masks of the named volumes are carried by registration into the references and averaged
(:func:`PromptSegLib.register.references.on_references`); Segment then registers the patient with these CTs. No picture
of any volume goes along. Name volumes that the network learned from, so that figures of those held out stay honest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PromptSegLib.datasets.loading import DataSet, read_dataset
from PromptSegLib.errors import InputError, quoted
from PromptSegLib.inputs_stay import check_outputs
from PromptSegLib.prompts.promptset import PromptSet
from PromptSegLib.register.references import on_references
from PromptSegLib.register.teachers import Teacher, remembered
from PromptSegLib.register.views import shipped_look

from .deform import read_case
from .tools import status_of


def places(prompts: PromptSet, dataset: DataSet, structures: Sequence[str], volumes: Sequence[str]) -> PromptSet:
    """The set with masks in reference CTs for ``structures``, from the ``volumes`` of a data set that show them.

    Raises :class:`InputError` for a structure or a volume that is not there, and for a structure that none of the
    volumes shows or that comes back from no reference.
    """
    cases = {case.name: case for case in dataset.cases}
    for wanted, there, what in ((structures, prompts, prompts.name), (volumes, cases, dataset.name)):
        if missing := [name for name in wanted if name not in there]:
            raise InputError(f"{what} has no {quoted(missing)}", f"choose of {quoted(there)}")
    value_of = {name: value for value, name in dataset.labels.items()}
    teachers: dict[str, list[Teacher]] = {name: [] for name in structures}
    for name in volumes:
        volume, labels = read_case(dataset, cases[name])
        masks = {one: labels == value_of[one] for one in structures if one in value_of}
        shown = {one: (mask, 1.0) for one, mask in masks.items() if mask.any()}
        if shown:
            teacher = remembered(volume, shown)
            for one in shown:
                teachers[one].append(teacher)
    found = on_references({name: some for name, some in teachers.items() if some}, look=shipped_look())
    for name in structures:
        if not found.masks.get(name):
            why = found.reasons.get(name, "none of these volumes shows it")
            raise InputError(f"{name} has no place in the reference CTs: {why}", "leave it out, or name other volumes")
    made = [replace(one, masks=found.masks.get(name, one.masks)) for name, one in prompts.items()]
    return PromptSet.of(prompts.name, made, prompts.card)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path, metavar="SET.promptset")
    parser.add_argument("dataset", type=Path, metavar="DATASET.json")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT.promptset")
    parser.add_argument("--structures", required=True, help="names with commas")
    parser.add_argument("--volumes", required=True, help="names of the data set's volumes, with commas")
    options = parser.parse_args(arguments)

    def work() -> None:
        check_outputs(
            {"-o": (options.output, ())}, [("the prompt set", options.prompts), ("the data set", options.dataset)]
        )
        prompts, dataset = PromptSet.read(options.prompts), read_dataset(options.dataset)
        made = places(prompts, dataset, options.structures.split(","), options.volumes.split(","))
        made.write(options.output)
        for name in options.structures.split(","):
            told = ", ".join(f"{one.returned:.2f}" for one in made[name].masks)
            sys.stdout.write(f"{name}: Dice of what comes back from each reference that fits: {told}\n")

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
