"""Write the page of the command line from what its ``--help`` says.

``python Resources/make_cli_page.py`` renews ``docs/cli.md`` below its mark; what stands above is written by hand. The
page is made from the parsers themselves, because the wrapping of ``--help`` differs between versions of Python and
widths of a window. A test fails when page and parsers differ.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "cli.md"
MARK = "<!-- From here on the page is written by Resources/make_cli_page.py. -->"


def page(above: str, parser: argparse.ArgumentParser) -> str:
    """The whole page: the hand-written text above the mark, and every command of the parser below it."""
    commands = list(leaves(parser))
    common = shared([command for _, command in commands])
    parts = [above.rstrip(), MARK, "## All commands", _contents(commands)]
    parts += ["Options of every command:", "\n".join(common), "Options of `promptseg` itself:"]
    own = _lines(parser, parser._optionals._group_actions)
    parts.append("\n".join(line for line in own if line not in common))
    for summary, command in commands:
        parts += section(summary, command, common)
    return "\n\n".join(parts) + "\n"


def leaves(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """(summary, parser) of every command that does something, in the order of ``--help``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                inside = list(leaves(below))
                yield from inside or [(summaries[name], below)]


def shared(parsers: list[argparse.ArgumentParser]) -> list[str]:
    """The lines of the options that all commands have alike."""
    first, *others = (_lines(parser, parser._actions) for parser in parsers)
    return [line for line in first if all(line in lines for lines in others)]


def section(summary: str, parser: argparse.ArgumentParser, common: list[str]) -> list[str]:
    """What one command's ``--help`` says, but for the options of all."""
    needed = [action for action in parser._actions if action.required and action.option_strings]
    words = [_values(action) for action in parser._actions if not action.option_strings]
    words += [f"{action.option_strings[0]} {_values(action)}" for action in needed]
    parts = [f"### {parser.prog}", f"```\n{' '.join([parser.prog, *words, '[options]'])}\n```"]
    parts += _paragraphs(parser.description or summary)
    for title, actions in _groups(parser):
        lines = [line for line in _lines(parser, actions) if line not in common]
        parts += [f"{title.capitalize()}:"] if lines and title else []
        parts += ["\n".join(lines)] if lines else []
    title, _, examples = (parser.epilog or "").partition("\n")
    if examples:
        parts += [f"{title.capitalize()}", "```\n" + re.sub("^  ", "", examples, flags=re.MULTILINE) + "\n```"]
    return parts


def _groups(parser: argparse.ArgumentParser) -> list[tuple[str, list[argparse.Action]]]:
    """(title, arguments) of what belongs together; the usual arguments and options come first and have no title."""
    usual = (parser._positionals, parser._optionals)
    first = [action for group in usual for action in group._group_actions]
    others = [(group.title or "", group._group_actions) for group in parser._action_groups if group not in usual]
    return [("", first), *others]


def _contents(commands: list[tuple[str, argparse.ArgumentParser]]) -> str:
    rows = [f"| [`{one.prog}`](#{one.prog.replace(' ', '-')}) | {summary} |" for summary, one in commands]
    return "\n".join(("| command | |", "|---|---|", *rows))


def _lines(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> list[str]:
    """A line for each argument: how it is written, and what it means."""
    lines = []
    for action in actions:
        if action.help in (None, argparse.SUPPRESS) or isinstance(action, argparse._SubParsersAction):
            continue
        help_text = " ".join((action.help or "").split()) % {**vars(action), "prog": parser.prog}
        names = ", ".join(action.option_strings)
        needed = " (required)" if action.required and action.option_strings else ""
        lines.append(f"- `{' '.join(filter(None, (names, _values(action))))}`{needed}: {help_text}")
    return lines


def _values(action: argparse.Action) -> str:
    """The value or values of an argument, as the usage line has them."""
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices is not None else ""
    default = choices or (action.dest.upper() if action.option_strings else action.dest)
    name = action.metavar or default
    one = " ".join(name) if isinstance(name, tuple) else name
    if isinstance(action.nargs, int):
        return " ".join([one] * action.nargs)
    return {None: one, "?": f"[{one}]", "*": f"[{one} ...]", "+": f"{one} [{one} ...]"}[action.nargs]


def _paragraphs(text: str) -> list[str]:
    found = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip())]
    return [part[:1].upper() + part[1:] + ("" if part.endswith((".", ":", "DIR")) else ".") for part in found]


def main() -> None:
    """Renew the page."""
    sys.path.insert(0, str(ROOT / "PromptSeg"))
    from PromptSegCli.cli import build_parser

    above = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(page(above, build_parser()), encoding="utf-8", newline="\n")
    print(PAGE)


if __name__ == "__main__":
    main()
