r"""From a finished run to the files that come with PromptSeg: names for users, and what was measured, in the cards.

    python -m PromptSegLib.pretrain.release RUN -o PromptSeg/Resources --set btcv=abdomen-ct \\
        --quality abdomen.json --note "how it was made"

``RUN/best`` instead of ``RUN`` takes the step that was best on held-out volumes. ``--quality`` takes the files that
``Testing/Benchmarks/quality.py --json`` writes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError, few
from ..model.backbone import load_backbone, write_backbone
from ..prompts.promptset import PromptSet
from .lineage import both, learned_from


def release(
    run: Path,
    folder: Path,
    sets: Mapping[str, str],
    quality: Sequence[Mapping[str, Any]] = (),
    note: str = "",
    components: str = "substantial",
    name: str = "punet-ct",
    own_components: Mapping[str, str] | None = None,
    second_look: Sequence[str] = (),
) -> str:
    """Write ``folder/Models/NAME.safetensors`` and ``folder/PromptSets/*.promptset`` from the folder of a run.

    ``sets`` maps the run's prompt sets to the names that users see; ``quality`` are measured Dice by structure, with
    the data set and the subjects that they were measured on, none of which may have been learned from;
    ``own_components`` are rules of single structures, as for vessels that show in several pieces; ``second_look`` names
    the run's prompt sets that also look under the tokens which the backbone shares out. Gives the backbone's id.
    Raises :class:`InputError`.
    """
    import torch

    own_components = own_components or {}
    backbone = load_backbone(run / f"{name}.safetensors", "cpu", torch.float32)
    measured = {q["dataset"]: q for q in quality}
    learned = learned_from(backbone.card)
    for one in quality:
        known = both(one.get("validation", ()), learned.get(one["dataset"], ()))
        if known:
            raise InputError(
                f"What was measured on {few(known)} of {one['dataset']} says nothing: the backbone has learned from "
                f"{'it' if len(known) == 1 else 'them'}",
                "measure on the subjects that its run held out",
            )
    found_sets = {source: PromptSet.read(run / f"{source}.promptset") for source in sets}
    unknown = set(own_components) - {n for found in found_sets.values() for n in found}
    if unknown:
        raise InputError(f"No set has a prompt for {few(sorted(unknown))}", "write structures as the run names them")
    card = {k: v for k, v in backbone.card.items() if k not in ("name", "id", "validation")}
    card |= {"note": note, "quality": list(quality)}
    (folder / "Models").mkdir(parents=True, exist_ok=True)
    (folder / "PromptSets").mkdir(parents=True, exist_ok=True)
    identity = write_backbone(folder / "Models" / f"{name}.safetensors", backbone.net, card, backbone.shared)
    if identity != backbone.id:
        raise InputError(f"{run} holds a backbone that does not survive being written", "run it again with --resume")
    for source, title in sets.items():
        found = found_sets[source]
        dice = measured.get(source, {}).get("dice", {})
        prompts = []
        for n, p in found.items():
            rule, shared = own_components.get(n, components), source in second_look
            card_of = replace(p.card, components=rule, shared_pass=shared, validation_dice=dice.get(n))
            prompts.append(replace(p, card=card_of))
        about = {**found.card, "data": source}
        if source in measured:
            about["validation"] = measured[source].get("validation", [])
        PromptSet.of(title, prompts, about).write(folder / "PromptSets" / f"{title}.promptset")
    return identity


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--set", action="append", required=True, metavar="DATASET=NAME")
    parser.add_argument("--quality", action="append", default=[], type=Path)
    parser.add_argument("--note", default="")
    rules = ("largest", "main", "substantial", "all")
    parser.add_argument("--components", default="substantial", choices=rules)
    parser.add_argument("--components-of", action="append", default=[], metavar="STRUCTURE=RULE")
    parser.add_argument("--second-look", action="append", default=[], metavar="DATASET", help="see the experiments")
    parser.add_argument("--name", default="punet-ct", help="the backbone's name in the run, and from then on")
    options = parser.parse_args()
    sets = dict(text.split("=", 1) for text in options.set)
    own = {name: rule for name, _, rule in (text.partition("=") for text in options.components_of)}
    if not set(own.values()) <= set(rules):
        parser.error(f"--components-of takes STRUCTURE=RULE, the rule being one of {', '.join(rules)}")
    quality = [json.loads(path.read_text(encoding="utf-8")) for path in options.quality]
    release(
        options.run,
        options.output,
        sets,
        quality,
        options.note,
        options.components,
        options.name,
        own,
        options.second_look,
    )


if __name__ == "__main__":
    main()
