"""How a report looks: in light and dark rooms, on paper and on small screens."""

from __future__ import annotations

STYLE = """\
:root {
  --page: #f5f6f7; --card: #ffffff; --ink: #1c2530; --soft: #56616d; --faint: #d9dee3; --accent: #0b5f73;
  --ours: #c2510a; --reference: #0b74b8; --drawn: #9a7b00; --fill: #7a3a8c; --blend: #2c7a5f;
  --warn-page: #fff6e0; --warn-ink: #5d4300; --warn-line: #e3c373;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12171c; --card: #1a2129; --ink: #e6eaee; --soft: #a3afba; --faint: #34404b; --accent: #6fc3d6;
    --ours: #ff9d4d; --reference: #6bb8f0; --drawn: #e6c84a; --fill: #cf9be0; --blend: #69c7a4;
    --warn-page: #2d2612; --warn-ink: #f0dca4; --warn-line: #6d5a22;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: clamp(1.55rem, 1.1rem + 2vw, 2.3rem); line-height: 1.2; margin: 14px 0 10px;
  letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 8px; }
h3 { font-size: 1.05rem; margin: 22px 0 8px; }
p { margin: 0 0 10px; max-width: 86ch; }
a { color: var(--accent); }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px;
  border-radius: 4px; }
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 12px; top: 12px; background: var(--card); padding: 8px 14px; }
.warning { background: var(--warn-page); color: var(--warn-ink); border: 1px solid var(--warn-line);
  border-radius: 6px; padding: 8px 14px; font-size: 0.92rem; max-width: none; }
.summary { font-size: 1.12rem; color: var(--soft); }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 14px; margin: 22px 0;
  padding: 0; list-style: none; }
.key li { background: var(--card); border: 1px solid var(--faint); border-top: 4px solid var(--accent);
  border-radius: 6px; padding: 14px 18px; }
.key .value { display: block; font-size: 2.5rem; font-weight: 650; line-height: 1.15;
  font-variant-numeric: tabular-nums; }
.key .label { display: block; font-weight: 600; }
.key .note { display: block; color: var(--soft); font-size: 0.92rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 22px; padding: 0; list-style: none;
  font-size: 0.95rem; }
section { background: var(--card); border: 1px solid var(--faint); border-radius: 8px; padding: 22px 24px 24px;
  margin: 0 0 18px; }
.gallery { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(190px, 46%), 1fr)); gap: 14px; }
.gallery.wide { grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); gap: 20px; }
figure { margin: 0; max-width: 320px; break-inside: avoid; }
.wide figure { max-width: none; }
figcaption { font-size: 0.9rem; line-height: 1.4; margin-top: 5px; }
.wide figcaption { margin: 0 0 4px; }
figcaption b { display: block; font-weight: 600; }
figcaption span { color: var(--soft); }
figcaption .decided { display: block; color: inherit; }
svg { display: block; width: 100%; height: auto; }
.slice { background: #000; border-radius: 4px; }
.slice path { fill: none; stroke-linejoin: round; vector-effect: non-scaling-stroke; }
.slice .halo { stroke: #000; stroke-opacity: 0.5; stroke-width: 4.5px; }
.slice .line { stroke-width: 1.8px; }
.slice .ours { stroke-width: 3px; }
.slice text { fill: #fff; font-weight: 600; dominant-baseline: middle; paint-order: stroke; stroke: #000;
  stroke-width: 2px; }
.slice .ours, .chip .ours { stroke: #ff9d3b; }
.slice .reference, .chip .reference { stroke: #5cc4ff; stroke-dasharray: 4 3; }
.slice .drawn, .chip .drawn { stroke: #ffe14d; }
.slice .drawn { fill: #ffe14d; fill-opacity: 0.16; }
.chart { max-width: 500px; }
.chart text { font-family: inherit; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 0 0 10px; padding: 0; list-style: none;
  font-size: 0.92rem; }
.legend li { display: flex; align-items: center; gap: 8px; }
.legend svg { width: 38px; height: 18px; flex: none; }
.chip { background: #23282e; border-radius: 3px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
th, td { text-align: right; padding: 7px 10px; border-bottom: 1px solid var(--faint); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal; min-width: 8.5em; }
thead th { font-weight: 600; color: var(--soft); font-size: 0.86rem; vertical-align: bottom; }
tbody th { font-weight: 400; }
tbody tr:first-child th { font-weight: 600; }
td b { font-weight: 700; }
.small { color: var(--soft); font-size: 0.9rem; margin-top: 8px; }
dl { display: grid; grid-template-columns: minmax(9em, 15em) 1fr; gap: 6px 20px; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: 0.88rem; padding-bottom: 36px; }
@media (max-width: 560px) {
  main, header, footer { padding-left: 12px; padding-right: 12px; }
  section { padding: 16px 14px 18px; }
  .key { grid-template-columns: 1fr; gap: 10px; }
  .key .value { font-size: 2rem; }
  .gallery { gap: 10px; }
  table { font-size: 0.82rem; }
  th, td { padding: 6px 4px; }
  thead th { white-space: normal; font-size: 0.78rem; }
  th:first-child, td:first-child { min-width: 6.4em; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: 8px; }
}
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #333; --faint: #bbb; --accent: #0b5f73;
    --ours: #c2510a; --reference: #0b74b8; --drawn: #9a7b00; --fill: #7a3a8c; --blend: #2c7a5f;
    --warn-page: #fff; --warn-ink: #000; --warn-line: #888; }
  body { font-size: 10.5pt; }
  nav, .skip { display: none; }
  main, header, footer { max-width: none; padding: 0; }
  section { border: 0; border-top: 1px solid #bbb; border-radius: 0; padding: 12px 0; }
  .key { grid-template-columns: repeat(3, 1fr); }
  .gallery { grid-template-columns: repeat(5, 1fr); gap: 8px; }
  .gallery.wide { grid-template-columns: repeat(2, 1fr); }
  .scroll { overflow: visible; }
  h2, h3, .legend, section > p { break-after: avoid; }
  .small { break-after: auto !important; }
  table, .key, .legend { break-inside: avoid; }
  .slice, .chip { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
