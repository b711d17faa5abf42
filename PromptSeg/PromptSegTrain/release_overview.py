r"""Let the overview network count beside the prompts that ship, and put it beside the backbone.

    python -m PromptSegTrain.release_overview RUN/overview-ct.safetensors -o PromptSeg/Resources --share 0.5 \\
        --share-of heart=0.8 --quality abdomen.json --measured-on HELD-OUT.safetensors

``--quality`` takes the files of ``Testing/Benchmarks/quality.py --overview ... --json``, measured with the shares that
are given here, for the cards. Where both networks went on with all subjects after they were measured, ``--measured-on``
and ``--backbone-measured-on`` name them as they were then. ``--without-places heart`` takes structures' masks in the
reference CTs away, where the overview network tells as much of their place; ``--components abdomen-ct=main`` changes
what is kept of a set's masks, where fewer distant pieces are found than before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from PromptSegLib.datasets.provenance import check_measured
from PromptSegLib.errors import InputError, quoted
from PromptSegLib.model.backbone import load_backbone
from PromptSegLib.model.overview_net import FILE, overview_net, write_overview_net
from PromptSegLib.prompts.promptset import Prompt, PromptSet

from .release import mean_dice, read_quality
from .tools import status_of


def release_overview(
    overview: Path,
    folder: Path,
    share: float,
    shares: Mapping[str, float] | None = None,
    quality: Sequence[Mapping[str, Any]] = (),
    measured_on: Path | None = None,
    backbone_measured_on: Path | None = None,
    without_places: Sequence[str] = (),
    components: Mapping[str, str] | None = None,
    closer: Sequence[str] = (),
    around: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Write ``folder/Models/overview-ct.safetensors``, and into the cards of ``folder/PromptSets/*.promptset`` what
    ``share`` it has, or that of ``shares`` by structure, where it knows a structure; what is ``closer`` it looks at a
    second time, in finer voxels, ``around`` some structures. Gives these by set.

    Raises :class:`InputError` for figures of subjects that either network has learned from, but for a last part of its
    training (:func:`~PromptSegLib.datasets.provenance.check_measured`), before anything is written.
    """
    shares, components = shares or {}, components or {}
    net = overview_net(overview)
    if unknown := {*shares, *closer, *around} - {*net.structures}:
        raise InputError(
            f"{overview.name} does not know {quoted(sorted(unknown))}", f"it knows {quoted(net.structures)}"
        )
    before = None if measured_on is None else overview_net(measured_on)
    backbone = load_backbone(folder / "Models" / "punet-ct.safetensors", "cpu", torch.float32)
    former = None if backbone_measured_on is None else load_backbone(backbone_measured_on, "cpu", torch.float32)
    for one in quality:
        seen = {**one, "backbone": one.get("overview")}
        check_measured(seen, net.card, None if before is None else (before.card["id"], before.card))
        check_measured(one, backbone.card, None if former is None else (former.id, former.card))
    made, told = {}, {}
    for path in sorted((folder / "PromptSets").glob("*.promptset")):
        prompts = PromptSet.read(path)
        beside = [n for n in prompts if n in net.structures and shares.get(n, share) > 0]
        own = [q for q in quality if q["dataset"] in {name for p in prompts.values() for name in p.card.data}]

        rule = components.get(prompts.name)

        def changed(
            name: str, prompt: Prompt, beside: Sequence[str] = beside, own: Any = own, rule: str | None = rule
        ) -> Prompt:
            dice = mean_dice(own, name)
            card = replace(
                prompt.card,
                overview=(name, shares.get(name, share)) if name in beside else None,
                components=rule or prompt.card.components,
                validation_dice=prompt.card.validation_dice if dice is None else dice,
            )
            return replace(prompt, card=card, masks=() if name in without_places else prompt.masks)

        made[path] = PromptSet.of(prompts.name, [changed(n, p) for n, p in prompts.items()], prompts.card)
        told[prompts.name] = beside
    card = {k: v for k, v in net.card.items() if k != "id"} | {"closer": list(closer), "around": list(around)}
    write_overview_net(folder / "Models" / FILE, net, net.state_dict(), card)
    for path, prompts in made.items():
        prompts.write(path)
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overview", type=Path, metavar="FILE.safetensors")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER", help="with Models and PromptSets")
    parser.add_argument("--share", required=True, type=float, help="how much of it counts, 0 to 1")
    parser.add_argument("--share-of", action="append", default=[], metavar="STRUCTURE=SHARE")
    parser.add_argument("--quality", action="append", default=[], type=Path)
    parser.add_argument("--measured-on", type=Path, metavar="FILE")
    parser.add_argument("--backbone-measured-on", type=Path, metavar="FILE")
    parser.add_argument("--components", action="append", default=[], metavar="SET=RULE")
    parser.add_argument("--without-places", default="", metavar="A,B")
    parser.add_argument("--closer", default="", metavar="A,B", help="what it looks at a second time, in finer voxels")
    parser.add_argument("--around", default="", metavar="A,B", help="around which structures it does so (all of them)")
    options = parser.parse_args(arguments)

    def work() -> None:
        shares = {}
        for text in options.share_of:
            name, _, number = text.rpartition("=")
            try:
                shares[name] = float(number)
            except ValueError:
                raise InputError(
                    f"--share-of takes STRUCTURE=SHARE, not {text}", "write for example heart=0.8"
                ) from None
        told = release_overview(
            options.overview,
            options.output,
            options.share,
            shares,
            [read_quality(path) for path in options.quality],
            options.measured_on,
            options.backbone_measured_on,
            [n for n in options.without_places.split(",") if n],
            dict(text.partition("=")[::2] for text in options.components),
            [n for n in options.closer.split(",") if n],
            [n for n in options.around.split(",") if n],
        )
        for name, beside in told.items():
            sys.stdout.write(f"{name}: beside {', '.join(beside) or 'none'}\n")

    return status_of(work)


if __name__ == "__main__":
    sys.exit(main())
