"""``promptseg prompts``: list, show and merge prompt sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .arguments import check_outputs

if TYPE_CHECKING:
    from .console import Console
    from .stopping import StopOnSignal

SUMMARY = "list, show and merge prompt sets"


def run_list(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts list``: the shipped prompt sets."""
    from ..prompts.library import shipped
    from ..prompts.promptset import read_header

    sets: list[dict[str, Any]] = []
    for path in shipped():
        structures = [entry["structure"]["name"] for entry in read_header(path)["prompts"]]
        sets.append({"name": path.stem, "structures": structures, "file": path})
    rows = [(one["name"], len(one["structures"]), ", ".join(one["structures"])) for one in sets]
    console.table("", ("prompt set", "structures", "names"), rows)
    console.result(prompt_sets=sets)
    return 0


def run_show(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts show SET``: what a prompt set holds and how it was taught."""
    from ..prompts.library import resolve

    found = resolve(args.set)
    items = [_entry(prompt) for prompt in found.prompts.values()]
    rows = [(one["structure"], one["code"], one["parameters"], one["backbone"][:12]) for one in items]
    console.table(found.name, ("structure", "code", "parameters", "backbone"), rows)
    facts = [(one["structure"], key, value) for one in items for key, value in _facts(one["card"])]
    if facts:
        console.table("Cards", ("structure", "", ""), facts)
    console.result(name=found.name, prompts=items)
    return 0


def run_merge(args: argparse.Namespace, console: Console, stop: StopOnSignal) -> int:
    """``prompts merge A B -o C``: the prompts of several sets in one file."""
    from ..prompts.library import resolve

    if len(args.sets) < 2:
        raise InputError("There is nothing to merge", "name two prompt sets or more")
    check_outputs({"-o": (args.output, (".promptset",))}, {})
    merged, *others = (resolve(text) for text in args.sets)
    name = args.name or args.output.name.removesuffix(".promptset")
    for other in others:
        merged = merged.merge(other, name)
    merged.write(args.output)
    console.line(f"Written to {args.output}: {', '.join(merged.prompts)}.")
    console.result(output=args.output, name=name, structures=list(merged.prompts))
    return 0


def add_commands(parser: argparse.ArgumentParser, add: Any) -> None:
    """Declare list, show and merge below ``parser`` by ``add(subparsers, name, summary, text, examples, run)``."""
    below = parser.add_subparsers(metavar="list|show|merge", required=True)
    add(
        below, "list", "the shipped prompt sets", "List the shipped prompt sets.", ("promptseg prompts list",), run_list
    )

    text = "Show the structures of a prompt set and how they were taught."
    example = "promptseg prompts show kidney.promptset"
    show = add(below, "show", "what a prompt set holds", text, (example,), run_show)
    show.add_argument("set", metavar="SET", help="a .promptset file or a shipped prompt set")

    text = "Put the prompts of several sets into one file; one that is there already is replaced."
    example = "promptseg prompts merge kidney.promptset abdomen-ct:spleen -o mine.promptset"
    merge = add(below, "merge", "several prompt sets in one file", text, (example,), run_merge)
    merge.add_argument("sets", metavar="SET", nargs="+", help=".promptset files or shipped prompt sets")
    merge.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="a .promptset file")
    merge.add_argument("--name", help="the name of the new set (default: that of the file)")


def _entry(prompt: Any) -> dict[str, Any]:
    code = prompt.structure.code
    return {
        "structure": prompt.structure.name,
        "code": f"{code.meaning} ({code.scheme} {code.value})" if code else None,
        "parameters": sum(tensor.numel() for tensor in prompt.tensors.values()),
        "backbone": prompt.backbone_id,
        "card": dict(prompt.card),
    }


def _facts(card: dict[str, Any]) -> list[tuple[str, Any]]:
    """What fits into a line of a table."""
    return [(key.replace("_", " "), value) for key, value in card.items() if isinstance(value, (str, int, float))]
