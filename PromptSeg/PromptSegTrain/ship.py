"""From a checkpoint to what ships: the averaged weights as a backbone, and the structures' prompts as sets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from PromptSegLib.anatomy.structure import Structure
from PromptSegLib.anatomy.terminology import find
from PromptSegLib.datasets.loading import RECIPE, Part
from PromptSegLib.datasets.provenance import data_entry
from PromptSegLib.errors import BackboneError, InputError, quoted
from PromptSegLib.model.backbone import write_backbone
from PromptSegLib.model.config import PUNetConfig
from PromptSegLib.model.files import read_tensors
from PromptSegLib.prompts.card import Card
from PromptSegLib.prompts.promptset import Prompt, PromptSet
from PromptSegLib.volumes.preprocess import hu_from_grey, window_of

from .checkpoint import weights_in
from .pretraining_model import PretrainingModel
from .validate import read_validation

LICENCE = "research use: see the licences of the data that it was made from"


def ship(checkpoint: Path, folder: Path, name: str, parts: Sequence[Part], *, prompts: bool = True) -> str:
    """Write the backbone ``folder/NAME.safetensors`` and, with ``prompts``, a prompt set for each data set.

    Their cards say from which data they were made, how, and how well they did on held-out volumes, as
    ``folder/validation.json`` has it. Gives the backbone's id.
    """
    validation = read_validation(folder)
    today = date.today().isoformat()
    card = {
        "licence": LICENCE,
        "date": today,
        "data": [data_entry(p) for p in parts],
        "validation": validation,
    }
    sets: dict[Path, dict[str, dict[str, Any]]] = {}
    about = {}
    for part in parts if prompts else ():
        shown = dict.fromkeys([*part.dataset.labels.values(), *(n for s in part.training for n in s.where)])
        slices = {n: [len(s.where[n]) for s in part.training if n in s.where] for n in shown}
        window = _window(part)
        path = folder / f"{part.dataset.file_name}.promptset"
        about[path] = {
            "data": part.dataset.name,
            **({"derived_from": part.dataset.derived_from} if part.dataset.derived_from else {}),
            "data_licence": part.dataset.licence,
            "training": part.training_names,
            "validation": part.validation_names,
        }
        sets[path] = {
            n: {
                "plane": "axial",
                "spacing": RECIPE["spacing"],
                "window": window,
                "components": "substantial",
                "volumes": len(found),
                "slices": sum(found),
                "data": [part.dataset.name],
                "leave_one_slice_out_dice": None,
                "validation_dice": _known(validation.get("dice", {}).get(n, {}).get("prompt")),
                "licence": LICENCE,
                "date": today,
                "author": "",
                "note": "",
            }
            for n, found in slices.items()
            if found  # a structure that no training volume shows has learned nothing
        }
    return export(checkpoint, folder / f"{name}.safetensors", sets, card, about)


def _known(dice: float | None) -> float | None:
    """A Dice, None if it is no number: where nobody held out has the structure."""
    return None if dice is None or dice != dice else dice


def _window(part: Part) -> list[float]:
    """The HU range that the data set's volumes hold: prompts learned on clipped volumes are to see others clipped
    too."""
    low = min(int(s.grey.min()) for s in part.training[:8])
    high = max(int(s.grey.max()) for s in part.training[:8])
    low_hu, high_hu = (float(v) for v in hu_from_grey(np.array([low, high])).round())
    return list(window_of(low_hu, high_hu))


def load_model(checkpoint: Path) -> tuple[PretrainingModel, list[str], dict[str, Any]]:
    """The averaged (EMA) weights of a checkpoint, its structures and its recipe with the step it is at."""
    tensors, meta = read_tensors(checkpoint)
    tensors = {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}  # an average alone
    try:
        names = list(json.loads(meta["names"]))
        with torch.random.fork_rng(devices=[]):  # first weights are drawn: a run that goes on must not notice
            model = PretrainingModel(PUNetConfig.from_dict(json.loads(meta["config"])), names)
        model.load_state_dict(weights_in(tensors, "ema."))
        recipe = {**json.loads(meta["recipe"]), "step": int(meta["step"])}
    except (KeyError, ValueError, RuntimeError, BackboneError) as error:
        raise InputError(
            f"{checkpoint} is not a checkpoint of promptseg pretrain", "choose its last.safetensors"
        ) from error
    return model.eval(), names, recipe


def export(
    checkpoint: Path,
    backbone: Path,
    sets: Mapping[Path, Mapping[str, Mapping[str, Any]]],
    card: Mapping[str, Any],
    about: Mapping[Path, Mapping[str, Any]] | None = None,
) -> str:
    """Write the backbone and, for each path of ``sets``, a prompt set of the structures named there with their cards.

    ``card`` goes into the backbone's card, ``about`` into those of the sets. Gives the backbone's id.
    """
    model, names, recipe = load_model(checkpoint)
    identity = write_backbone(backbone, model.net, {**card, "recipe": recipe}, model.bank.common())
    shapes = model.net.prompt_shapes()
    for path, cards in sets.items():
        prompts, taken = [], set()
        for name, own_card in cards.items():
            if name not in names:
                raise InputError(f"The checkpoint has no prompt for '{name}'", f"it has {quoted(names, 120)}")
            own = model.bank(torch.tensor([names.index(name)]))
            tensors = {k: own[k][0].detach() if k in own else torch.zeros(s) for k, s in shapes.items()}
            shared = all(torch.equal(tensors[k], v) for k, v in model.bank.common().items())
            structure = find(name)
            if structure is None or structure.name in taken:
                structure = Structure(name)
            taken.add(structure.name)
            prompts.append(Prompt(structure, identity, tensors, Card.from_json({**own_card, "shared_tokens": shared})))
        set_card = {"backbone": backbone.stem, "licence": card.get("licence", ""), **(about or {}).get(path, {})}
        PromptSet.of(path.stem, prompts, set_card).write(path)
    return identity
