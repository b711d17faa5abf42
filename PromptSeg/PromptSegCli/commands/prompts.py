"""``promptseg prompts``: list, show, merge and export prompt sets."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PromptSegLib.errors import InputError, few, quoted
from PromptSegLib.inputs_stay import check_outputs

from .arguments import MEMORY_OF_OUTPUT, expanded, output, write_anew

if TYPE_CHECKING:
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "list, show, merge and export prompt sets"


def run_list(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts list``: the shipped prompt sets."""
    from PromptSegLib.prompts.library import shipped
    from PromptSegLib.prompts.promptfile import read_header

    sets: list[dict[str, Any]] = []
    for path in shipped():
        structures = [entry.structure.name for entry in read_header(path).entries]
        sets.append({"name": path.stem, "structures": structures, "file": path})
    rows = [(one["name"], len(one["structures"]), ", ".join(one["structures"])) for one in sets]
    console.table("", ("prompt set", "structures", "names"), rows)
    console.result(prompt_sets=sets)
    return 0


def run_show(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts show SET``: what a prompt set holds and how it was taught."""
    from PromptSegLib.prompts.library import resolve

    found = resolve(args.set)
    items = [_entry(prompt) for prompt in found.prompts.values()]
    columns, common = _columns([one["card"] for one in items])
    about = [*_about(found.card, items), *common]
    console.line(f"{found.name}: {len(items)} prompt{'s' if len(items) > 1 else ''}")
    console.table("", ("", ""), about)
    rows = [(one["structure"], one["code"], *(values[n] for _, values in columns)) for n, one in enumerate(items)]
    console.table("", ("structure", "code", *(title for title, _ in columns)), rows)
    memory = _memory(args.set)
    if memory:
        size = memory["bytes"] / 1e6
        console.line(f"{memory['file']} ({size:.1f} MB) shows the patients it was taught in; delete it to forget them.")
    console.result(name=found.name, card=dict(found.card), prompts=items, memory=memory)
    return 0


def run_merge(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts merge A B -o C``: the prompts of several sets in one file. Pictures of patients are not copied."""
    from PromptSegLib.prompts.library import resolve
    from PromptSegLib.register.teachers import memory_of

    if len(args.sets) < 2:
        raise InputError("There is nothing to merge", "name two prompt sets or more")
    check_outputs(_outputs(args), [(text, text) for text in args.sets])
    merged, *others = (resolve(text) for text in args.sets)
    name = args.name or args.output.name.removesuffix(".promptset")
    for other in others:
        merged = merged.merge(other, name)
    write_anew(merged, args.output)
    console.wrote(args.output)
    console.line(f"Written to {args.output}: {quoted(merged.prompts)}.")
    for path in dict.fromkeys(found for found in map(memory_of, args.sets) if found is not None):
        console.line(f"The patients in {path} stay there: the set that is named like it has its place from them.")
    console.result(output=args.output, name=name, structures=list(merged.prompts))
    return 0


def run_export(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts export SET -o FILE``: prompts for other computers, with where they lie in open reference CTs."""
    from PromptSegLib.prompts.library import resolve
    from PromptSegLib.register.references import exported
    from PromptSegLib.register.teachers import Memory, memory_of

    path = memory_of(args.set)
    check_outputs(_outputs(args), [("SET", args.set), ("SET's memory", path)])
    prompts = resolve(args.set)
    memory = Memory() if path is None else Memory.read(path)
    made, without = exported(prompts, memory, console.progress, stop)
    stop.check()
    write_anew(made, args.output)
    console.wrote(args.output)
    rows = [(name, len(one.masks), max((m.returned for m in one.masks), default=None)) for name, one in made.items()]
    console.table("", ("structure", "reference CTs", "Dice there and back"), rows)
    for name, reason in without.items():
        console.line(f"{name} tells other computers nothing of its place: {reason}.")
    console.done(args.output)
    console.result(output=args.output, references={n: len(one.masks) for n, one in made.items()}, without=without)
    return 0


def add_commands(parser: argparse.ArgumentParser, add: Any) -> None:
    """Declare the commands below ``parser`` by ``add(subparsers, name, summary, text, examples, run)``."""
    below = parser.add_subparsers(metavar="list|show|merge|export", required=True)
    add(
        below, "list", "the shipped prompt sets", "List the shipped prompt sets.", ("promptseg prompts list",), run_list
    )

    text = "Show the structures of a prompt set and how they were taught."
    example = "promptseg prompts show kidney.promptset"
    show = add(below, "show", "what a prompt set holds", text, (example,), run_show)
    show.add_argument("set", metavar="SET", type=expanded, help="a .promptset file or a shipped prompt set")

    text = "Put the prompts of several sets into one file; one that is there already is replaced."
    example = "promptseg prompts merge kidney.promptset abdomen-ct:spleen -o mine.promptset"
    merge = add(below, "merge", "several prompt sets in one file", text, (example,), run_merge)
    merge.add_argument("sets", metavar="SET", type=expanded, nargs="+", help=".promptset files or shipped prompt sets")
    merge.add_argument("-o", "--output", metavar="FILE", type=output, required=True, help="a .promptset file")
    merge.add_argument("--name", help="the name of the new set (default: that of the file)")

    text = """\
Write taught prompts to a file for other computers. What FILE.memory beside SET
knows of the patients it was taught in is carried by registration into open
reference CTs that PromptSeg ships: the file says where the structures lie in
these, which gives patients elsewhere a start, and holds no picture of a patient.
Ctrl-C stops within a second and writes nothing."""
    example = "promptseg prompts export kidney.promptset -o kidney-for-others.promptset"
    export = add(below, "export", "taught prompts for other computers", text, (example,), run_export)
    export.add_argument("set", metavar="SET", type=expanded, help="a .promptset file, perhaps with :structure")
    export.add_argument("-o", "--output", metavar="FILE", type=output, required=True, help="a .promptset file")


def _outputs(args: argparse.Namespace) -> dict[str, tuple[Path | None, Sequence[str]]]:
    """What is replaced: the file, and what was remembered beside a former one."""
    from PromptSegLib.prompts.library import memory_beside

    return {"-o": (args.output, (".promptset",)), MEMORY_OF_OUTPUT: (memory_beside(args.output), ())}


def _memory(text: str) -> dict[str, Any] | None:
    """What lies beside a prompt set of pictures of patients; None if nothing does."""
    from PromptSegLib.register.teachers import memory_of

    path = memory_of(text)
    return None if path is None else {"file": path, "bytes": path.stat().st_size}


def _entry(prompt: Any) -> dict[str, Any]:
    code, side = prompt.structure.code, prompt.structure.modifier
    meaning = ", ".join(one.meaning for one in (code, side) if one)
    return {
        "structure": prompt.structure.name,
        "code": f"{meaning} ({code.scheme} {code.value})" if code else None,
        "parameters": sum(tensor.numel() for tensor in prompt.tensors.values()),
        "backbone": prompt.backbone_id,
        "card": prompt.card.to_json() | ({"references": len(prompt.masks)} if prompt.masks else {}),
    }


# What a prompt's card says, and how it is called in a table.
_CARD = {
    "plane": "plane",
    "volumes": "volumes",
    "slices": "slices",
    "validation_dice": "Dice, held-out subjects",
    "leave_one_slice_out_dice": "Dice, left-out slices",
    "network_dice": "without contours",
    "begun_dice": "of the known prompt that it is",
    "data": "data",
    "author": "author",
    "date": "date",
    "licence": "licence",
    "note": "note",
    "references": "reference CTs that show its place",
}
_MAX_NAMES = 12  # names in a cell; --json has all
_NUMBERS = ("volumes", "slices", "validation_dice", "leave_one_slice_out_dice", "network_dice", "begun_dice")


def _columns(cards: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, list[Any]]], list[tuple[str, str]]]:
    """What differs between prompts, as (title, values), and what all have in common, as (title, text)."""
    columns, common = [], []
    for key, title in _CARD.items():
        values = [_text(card.get(key)) for card in cards]
        if all(value is None for value in values):
            continue
        if key not in _NUMBERS and len(set(values)) == 1:
            common.append((title, str(values[0])))
        else:
            columns.append((title, values))
    return columns, common


def _about(card: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What the whole set's card says, and the mean Dice: (title, text)."""
    ids = sorted({one["backbone"][:12] for one in items})
    lines = [("backbone", f"{card.get('backbone', '')} ({', '.join(ids)})".lstrip())]
    for key, title in (("data_licence", "licence of the data"), ("training", "learned from")):
        if text := _text(card.get(key)):
            lines.append((title, str(text)))
    dice = [one["card"].get("validation_dice") for one in items]
    known = [value for value in dice if isinstance(value, (int, float))]
    if known:
        subjects = _text(card.get("validation"))
        where = f" on subjects that were held out: {subjects}" if subjects else ""
        lines.append(("mean Dice", f"{sum(known) / len(known):.3f} of {len(known)} structures{where}"))
    return lines


def _text(value: Any) -> str | int | float | None:
    """What fits into a cell; None for nothing, and for what only programs read."""
    if isinstance(value, (list, tuple)):
        value = few(value, _MAX_NAMES)
    return value if isinstance(value, (str, int, float)) and value != "" else None
