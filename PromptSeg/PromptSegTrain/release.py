r"""From a finished run to the files that come with PromptSeg: names for users, and what was measured, in the cards.

    python -m PromptSegTrain.release RUN -o PromptSeg/Resources --set btcv=abdomen-ct \\
        --quality abdomen.json --note "how it was made"

``RUN/best`` instead of ``RUN`` takes the step that was best on held-out volumes. ``--quality`` takes the files that
``Testing/Benchmarks/quality.py --json`` writes. Where a run went on with all subjects after it was measured with some
held out, ``--measured-on`` names the backbone of that time.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from PromptSegLib.datasets.provenance import check_measured
from PromptSegLib.errors import InputError, OutputError, quoted
from PromptSegLib.inputs_stay import check_outputs
from PromptSegLib.model.backbone import load_backbone, write_backbone
from PromptSegLib.prompts.library import joined_window
from PromptSegLib.prompts.promptset import Prompt, PromptSet

from .tools import status_of


def release(
    run: Path,
    folder: Path,
    sets: Mapping[str, str],
    quality: Sequence[Mapping[str, Any]] = (),
    note: str = "",
    components: str = "substantial",
    name: str = "punet-ct",
    own_components: Mapping[str, str] | None = None,
    shared_pass: Sequence[str] = (),
    only: Mapping[str, Sequence[str]] | None = None,
    measured_on: Path | None = None,
) -> str:
    """Write ``folder/Models/NAME.safetensors`` and ``folder/PromptSets/*.promptset`` from the folder of a run.

    ``sets`` maps the run's prompt sets, or several of them with commas, to the names that users see; ``only`` says for
    such a name which structures it holds. ``quality`` are measured Dice by structure, with the data set and the
    subjects that they were measured on, none of which may have been learned from, but for a last part of the training
    that followed on the backbone ``measured_on`` (:func:`~.lineage.check_measured`). ``own_components`` are rules of
    single structures, as for vessels that show in several pieces; ``shared_pass`` names the run's prompt sets that also
    look under the tokens which the backbone shares out. Gives the backbone's id. Raises :class:`InputError`, and
    :class:`OutputError` where a file would take the place of one that it is made from, both before anything is written.
    """
    own_components, only = own_components or {}, only or {}
    backbone = load_backbone(run / f"{name}.safetensors", "cpu", torch.float32)
    before = None if measured_on is None else load_backbone(measured_on, "cpu", torch.float32)
    for one in quality:
        check_measured(one, backbone.card, None if before is None else (before.id, before.card))
    read = {source: PromptSet.read(run / f"{source}.promptset") for text in sets for source in text.split(",")}
    unknown = set(own_components) - {n for found in read.values() for n in found}
    if unknown:
        raise InputError(f"No set has a prompt for {quoted(sorted(unknown))}", "write structures as the run names them")
    made = {}
    for text, title in sets.items():
        sources = text.split(",")
        measured = [q for q in quality if q["dataset"] in sources]
        prompts = []
        for n in only.get(title) or dict.fromkeys(n for source in sources for n in read[source]):
            found = [(source, read[source][n]) for source in sources if n in read[source]]
            if not found:
                raise InputError(f"No set of {text} has a prompt for '{n}'", "write structures as the run names them")
            prompt = _joined(found, mean_dice(measured, n), own_components.get(n, components), shared_pass)
            shared = _shares(prompt, backbone.shared)
            prompts.append(replace(prompt, card=replace(prompt.card, shared_tokens=shared)))
        about = {**read[sources[0]].card, "data": text}
        if measured:
            about["validation"] = [subject for q in measured for subject in q.get("validation", [])]
        made[_file(folder, title)] = PromptSet.of(title, prompts, about)
    if len(made) < len(sets):
        raise InputError("Two sets are to have one name", "give each --set a name of its own")
    card = {k: v for k, v in backbone.card.items() if k not in ("name", "id", "validation")}
    card |= {"note": note, "quality": list(quality)}
    target = folder / "Models" / f"{name}.safetensors"
    _make_places(target, made, [run / f"{name}.safetensors", *(run / f"{s}.promptset" for s in read), measured_on])
    identity = write_backbone(target, backbone.net, card, backbone.shared)
    if identity != backbone.id:
        raise InputError(f"{run} holds a backbone that does not survive being written", "run it again with --resume")
    for path, one in made.items():
        one.write(path)
    return identity


def _file(folder: Path, title: str) -> Path:
    """Of the prompt set that users see as ``title``."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", title):
        raise InputError(f"'{title}' is not a plain name", "use letters, digits, points and hyphens: abdomen-ct")
    return folder / "PromptSets" / f"{title}.promptset"


def _make_places(target: Path, made: Mapping[Path, PromptSet], inputs: Sequence[Path | None]) -> None:
    """Make the folders of what is to be written. Raises :class:`OutputError` where a result would take the place of an
    input or of another result."""
    outputs = [target, target.with_suffix(".json"), *made]
    try:
        for path in outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {path.parent} cannot be made ({error.strerror})", "choose another -o") from error
    check_outputs({f"'{path}'": (path, ()) for path in outputs}, [(f"'{path}'", path) for path in inputs if path])


def _joined(
    found: Sequence[tuple[str, Prompt]], dice: float | None, components: str, shared_pass: Sequence[str]
) -> Prompt:
    """One structure's prompt of several data sets: its numbers are the same, its card tells of all."""
    first = found[0][1]
    card = replace(
        first.card,
        volumes=sum(p.card.volumes or 0 for _, p in found) or None,
        slices=sum(p.card.slices or 0 for _, p in found) or None,
        window=joined_window(p.card.window for _, p in found),
        data=tuple(dict.fromkeys(name for _, p in found for name in p.card.data)),
        components=components,
        shared_pass=found[0][0] in shared_pass,
        validation_dice=dice,
    )
    return replace(first, card=card)


def _shares(prompt: Prompt, shared: Mapping[str, Tensor] | None) -> bool:
    """Whether a prompt's deep tokens are those that the backbone shares out."""
    return bool(shared) and all(torch.equal(prompt.tensors[k].half(), v.half()) for k, v in (shared or {}).items())


def mean_dice(measured: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """A structure's Dice over all subjects that it was measured on; None where it was not."""
    found = [(q["dice"][name], len(q.get("validation", ())) or 1) for q in measured if name in q.get("dice", {})]
    return round(sum(d * n for d, n in found) / sum(n for _, n in found), 4) if found else None


def main() -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--set", action="append", required=True, metavar="DATASET[,DATASET]=NAME")
    parser.add_argument("--only", action="append", default=[], metavar="NAME=STRUCTURE,STRUCTURE")
    last = "the backbone that --quality was measured on, if the run went on from it with all subjects"
    parser.add_argument("--measured-on", type=Path, metavar="FILE", help=last)
    parser.add_argument("--quality", action="append", default=[], type=Path)
    parser.add_argument("--note", default="")
    rules = ("largest", "main", "substantial", "all")
    parser.add_argument("--components", default="substantial", choices=rules)
    parser.add_argument("--components-of", action="append", default=[], metavar="STRUCTURE=RULE")
    parser.add_argument("--shared-pass", "--second-look", action="append", default=[], metavar="DATASET")
    parser.add_argument("--name", default="punet-ct", help="the backbone's name in the run, and from then on")
    options = parser.parse_args()
    own = {name: rule for name, _, rule in (text.partition("=") for text in options.components_of)}
    if not set(own.values()) <= set(rules):
        parser.error(f"--components-of takes STRUCTURE=RULE, the rule being one of {', '.join(rules)}")
    sets = [text.partition("=")[::2] for text in options.set]
    if not all(title for _, title in sets) or len(dict(sets)) < len(sets):
        parser.error("--set takes DATASET=NAME, each DATASET once")

    def work() -> None:
        quality = [read_quality(path) for path in options.quality]
        only = {title: names.split(",") for title, _, names in (text.partition("=") for text in options.only)}
        release(
            options.run,
            options.output,
            dict(sets),
            quality,
            options.note,
            options.components,
            options.name,
            own,
            options.shared_pass,
            only,
            options.measured_on,
        )

    return status_of(work)


def read_quality(path: Path) -> dict[str, Any]:
    """What ``Testing/Benchmarks/quality.py --json`` wrote. Raises :class:`InputError`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON", "name a file that quality.py --json wrote") from error
    dice = found.get("dice") if isinstance(found, dict) else None
    if not isinstance(dice, dict) or not all(isinstance(v, (int, float)) for v in dice.values()):
        raise InputError(f"{path} has no Dice of structures", "name a file that quality.py --json wrote")
    if not isinstance(found.get("dataset"), str):
        raise InputError(f"{path} does not say which data set was measured", "name a file that quality.py --json wrote")
    return found


if __name__ == "__main__":
    sys.exit(main())
