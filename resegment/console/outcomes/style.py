"""The style of the HTML report on outcomes."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --text: #1c1d21; --muted: #5d6270; --page: #fff; --line: #dcdfe6; --panel: #f5f6f9;
  --warn: #7a4b00; --warn-page: #fff4dc; --to: #7d8496; --mark: #2f55b8; --soft: #9db2e8; --thin: #6f7480; }
@media (prefers-color-scheme: dark) { :root { --text: #e9eaee; --muted: #a2a8b8; --page: #15171c; --line: #333843;
  --panel: #1e2128; --warn: #ffd48a; --warn-page: #33270d; --to: #9aa1b3; --mark: #8fb0ff; --soft: #4a5f9c; --thin: #8d93a3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; line-height: 1.3; margin: 0.25rem 0 0.5rem; }
h2 { font-size: 1.1rem; margin: 0 0 0.25rem; } h2 .muted { font-weight: 400; font-size: 0.95rem; }
section { margin-top: 2.25rem; }
.eyebrow { margin: 0; color: var(--muted); } .muted { color: var(--muted); }
p { margin: 0.4rem 0; } ul { margin: 0.4rem 0; padding-left: 1.2rem; }
.warning { background: var(--warn-page); color: var(--warn); border-radius: 6px; padding: 0.6rem 0.8rem; }
.wide { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; margin: 0.4rem 0; }
th, td { text-align: left; padding: 0.3rem 0.75rem 0.3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: normal; white-space: nowrap; }
th { color: var(--muted); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
details { border: 1px solid var(--line); border-radius: 6px; padding: 0.45rem 0.8rem; margin-top: 0.5rem; }
summary { cursor: pointer; font-weight: 600; }
.findings { list-style: none; padding: 0; } .findings > li { border-left: 3px solid var(--mark); padding: 0.2rem 0 0.2rem 0.8rem;
  margin-bottom: 0.9rem; } .findings p { margin: 0.15rem 0; } .findings ul { color: var(--muted); font-size: 0.92rem; }
.chart, .sankey { display: block; width: 100%; min-width: 34rem; max-height: 46rem; }
.chart text, .funnel text, .sankey text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; fill: var(--text); }
.chart .tick, .chart .count, .sankey .count { fill: var(--muted); } .chart .all text { font-weight: 600; }
.grid { stroke: var(--line); }
.row circle { fill: var(--mark); } .row .wilson { stroke: var(--mark); stroke-width: 5; stroke-linecap: round; opacity: 0.6; }
.row .always { stroke: var(--soft); stroke-width: 1.5; }
.row.thin circle { fill: var(--page); stroke: var(--thin); stroke-width: 2; } .row.thin .wilson { stroke: var(--thin); opacity: 0.35; }
.grid-of { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin-bottom: 0.2rem; }
.funnel { display: block; width: 100%; } .funnel .back { fill: var(--panel); } .funnel .bar { fill: var(--mark); opacity: 0.8; }
.keys { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.1rem; }
.key::before { content: ""; display: inline-block; width: 0.8rem; height: 0.8rem; border-radius: 2px; margin-right: 0.4rem;
  vertical-align: -0.05rem; background: var(--own); }
.line { fill: none; stroke: var(--own); stroke-width: 2; } .band { fill: var(--own); opacity: 0.1; }
.flow { fill: none; stroke: var(--own); stroke-opacity: 0.42; } .flow:hover { stroke-opacity: 0.75; }
.node { fill: var(--own); } .node.to { fill: var(--to); }
.c0 { --own: #4269d0; } .c1 { --own: #c98a12; } .c2 { --own: #d9483b; } .c3 { --own: #3a9e8f; }
.c4 { --own: #3c9a4b; } .c5 { --own: #c75b9b; } .c6 { --own: #8f5fc4; } .c7 { --own: #8a6d4d; }
@media print { details > * { display: block; } }
"""
