"""A report as one HTML page, written without a template package: 3D Slicer has none of its own."""

from __future__ import annotations

from collections.abc import Sequence

from ..atomic import PathLike, replacing
from .plain_text import escape
from .report import Gallery, Report, ReportPicture, Section, Table, Terms
from .report_style import STYLE

_HEAD = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">{skip}</a>
<header>
"""
_DASHES = {"fill": ' stroke-dasharray="7 4"', "blend": ' stroke-dasharray="2.5 3"'}


def write_report(path: PathLike, report: Report) -> None:
    """Write the page, complete or not at all. Raises :class:`OutputError` if it cannot be."""
    page = render(report).encode("utf-8", "replace")
    with replacing(path) as file:
        file.write(page)


def render(report: Report) -> str:
    """The report as one HTML page. Names and notes are text, whatever they hold; pictures are taken as they are."""
    head = {"language": report.language, "skip": report.skip, "title": report.title}
    parts = [_HEAD.format(style=STYLE, **{key: escape(text) for key, text in head.items()})]
    if report.warning:
        parts.append(f'<p class="warning" role="note">{escape(report.warning)}</p>\n')
    parts.append(
        f'<h1>{escape(report.title)}</h1>\n<p class="summary">{escape(report.summary)}</p>\n<ul class="key">\n'
    )
    for figure in report.key_figures:
        note = f' <span class="note">{escape(figure.note)}</span>' if figure.note else ""
        value, label = escape(figure.value), escape(figure.label)
        parts.append(f'<li><span class="value">{value}</span> <span class="label">{label}</span>{note}</li>\n')
    parts.append(f'</ul>\n<nav aria-label="{escape(report.contents)}"><ul>\n')
    parts += [f'<li><a href="#{escape(one.anchor)}">{escape(one.title)}</a></li>\n' for one in report.sections]
    parts.append('</ul></nav>\n</header>\n<main id="content" tabindex="-1">\n')
    parts += [_section(one, report.table) for one in report.sections]
    parts.append(f"</main>\n<footer><p>{escape(report.footer)}</p></footer>\n</body>\n</html>\n")
    return "".join(parts)


def _section(section: Section, table: str) -> str:
    anchor = escape(section.anchor)
    parts = [
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
        f'<h2 id="{anchor}-title">{escape(section.title)}</h2>\n'
    ]
    parts += [f"<p>{escape(paragraph)}</p>\n" for paragraph in section.lead]
    for block in section.blocks:
        if block.title:
            parts.append(f"<h3>{escape(block.title)}</h3>\n")
        if isinstance(block, Table):
            parts.append(_table(block, block.title or section.title, table))
        else:
            parts.append(_gallery(block) if isinstance(block, Gallery) else _terms(block))
    return "".join([*parts, "</section>\n"])


def _table(table: Table, title: str, word: str) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = []
    for first, *others in table.rows:
        cells = [f'<th scope="row">{escape(first.text)}</th>']
        cells += [f"<td><b>{escape(c.text)}</b></td>" if c.best else f"<td>{escape(c.text)}</td>" for c in others]
        rows.append(f"<tr>{''.join(cells)}</tr>\n")
    note = f'<p class="small">{escape(table.note)}</p>\n' if table.note else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title)}, {escape(word)}">\n<table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody>\n</table>\n</div>\n{note}"
    )


def _gallery(gallery: Gallery) -> str:
    parts = [_legend(gallery.legend, gallery.wide)] if gallery.legend else []
    parts.append(f'<div class="gallery{" wide" if gallery.wide else ""}">\n')
    for picture in gallery.pictures:
        both = (_caption(picture), picture.svg) if gallery.wide else (picture.svg, _caption(picture))
        parts.append("<figure>\n" + "\n".join(both) + "\n</figure>\n")
    return "".join([*parts, "</div>\n"])


def _caption(picture: ReportPicture) -> str:
    note = f"<span>{escape(picture.note)}</span>" if picture.note else ""
    decided = f'<span class="decided">{escape(picture.decided)}</span>' if picture.decided else ""
    return f"<figcaption><b>{escape(picture.title)}</b>{note}{decided}</figcaption>"


def _legend(entries: Sequence[tuple[str, str]], charted: bool) -> str:
    """What the lines mean, of charts or of contours."""
    items = []
    for role, meaning in entries:
        if role == "mark":
            line = '<path d="M19 0V18" style="stroke: var(--drawn)" stroke-width="6" stroke-opacity=".4"/>'
        elif charted:
            dashes = _DASHES.get(role, "")
            line = f'<path d="M2 9H36" style="stroke: var(--{escape(role)})" stroke-width="2.4"{dashes}/>'
        else:
            line = f'<path class="{escape(role)}" d="M3 9H35" fill="none" stroke-width="2.6"/>'
        chip = "" if charted else ' class="chip"'
        items.append(f'<li><svg viewBox="0 0 38 18" aria-hidden="true"{chip}>{line}</svg>{escape(meaning)}</li>\n')
    return f'<ul class="legend">\n{"".join(items)}</ul>\n'


def _terms(terms: Terms) -> str:
    rows = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>\n" for term, text in terms.rows)
    return f"<dl>\n{rows}</dl>\n"
