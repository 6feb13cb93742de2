"""The style sheet of the pages: quiet, readable on a telephone, in the dark and on paper, without any download."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root {
  --paper: #ffffff; --ink: #1c2b36; --muted: #5f6f7b; --line: #c3ced6; --faint: #edf1f4;
  --blue: #2a6fa8; --deep: #12406b; --orange: #b3500e; --sand: #f9e8d8; --violet: #7a3e8e;
  --green: #1d7457; --ochre: #7d5a00;
  --green-band: #e4f2ec; --orange-band: #fbeadf; --ochre-band: #f8f0d9;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  --code: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  color-scheme: light dark;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #12191e; --ink: #e4ebf0; --muted: #a3b2bd; --line: #3c4a54; --faint: #1d272e;
    --blue: #6aaee3; --deep: #a5cff2; --orange: #f29a60; --sand: #3b2a1d; --violet: #cf9fdf;
    --green: #62cba6; --ochre: #dcb850;
    --green-band: #17312a; --orange-band: #3a2519; --ochre-band: #332b14;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.55 var(--font); overflow-wrap: break-word;
}
main, header, footer { max-width: 50rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
footer { padding-top: 2rem; padding-bottom: 3rem; color: var(--muted); font-size: 0.9rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 0.35rem; letter-spacing: -0.01em; text-wrap: balance; }
h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.75rem 0 0.6rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 0.4rem; }
p, ul, dl { margin: 0.6rem 0; }
ul { padding-left: 1.25rem; }
.quiet { color: var(--muted); font-size: 0.95rem; }
.number { font-variant-numeric: tabular-nums; }
nav { font-size: 0.9rem; margin-bottom: 1.5rem; color: var(--muted); }
nav a, nav span { margin-right: 0.9rem; }
a { color: var(--blue); }
.verdict {
  margin: 1.5rem 0 0; padding: 1.1rem 1.3rem 1.2rem; border-left: 0.4rem solid var(--muted);
  border-radius: 0.3rem; background: var(--faint);
}
.verdict h2 { margin: 0 0 0.3rem; font-size: 1.45rem; }
.verdict p { margin: 0; font-size: 1.125rem; }
.supported { border-color: var(--green); background: var(--green-band); }
.contradicted { border-color: var(--orange); background: var(--orange-band); }
.undecided { border-color: var(--ochre); background: var(--ochre-band); }
.supported h2 { color: var(--green); }
.contradicted h2 { color: var(--orange); }
.undecided h2 { color: var(--ochre); }
.placebo { margin: 0.8rem 0 0; padding: 0.2rem 1.3rem; border-left: 0.4rem solid var(--violet); }
.effect { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0.2rem 1rem; margin: 0.4rem 0; }
.effect strong { font-size: 2.6rem; line-height: 1.1; letter-spacing: -0.02em; color: var(--deep); }
.effect span { flex: 1 1 18rem; }
figure { margin: 0.8rem 0; }
@media screen and (min-width: 62rem) {
  figure.wide { margin-left: -4rem; margin-right: -4rem; }
  figure.wide figcaption { margin-left: 4rem; margin-right: 4rem; }
}
figcaption { color: var(--muted); font-size: 0.9rem; margin-top: 0.3rem; }
.picture { overflow-x: auto; }
.picture:focus-visible, .scroll:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
.picture svg { display: block; width: 100%; min-width: 40rem; height: auto; }
.picture svg { stroke-linejoin: round; stroke-linecap: butt; }
.picture svg * { stroke-linejoin: inherit; stroke-linecap: inherit; }
.plate { background: #ffffff; border-radius: 0.3rem; }
.plate img { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.95rem; }
caption { text-align: left; color: var(--muted); font-size: 0.9rem; padding-bottom: 0.4rem; }
th, td { text-align: left; vertical-align: top; padding: 0.32rem 0.8rem 0.32rem 0; }
th, td { border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-weight: 600; font-size: 0.88rem; }
tbody th { font-weight: 400; }
tfoot th, tfoot td { font-weight: 650; border-bottom: 0; }
th.number, td.number { text-align: right; white-space: nowrap; }
.finding {
  margin: 0.9rem 0; padding: 0.1rem 1.1rem 0.3rem; border-left: 0.3rem solid var(--ochre);
  border-radius: 0.3rem; background: var(--faint);
}
.finding h3 { margin: 0.6rem 0 0.2rem; }
.finding p { margin: 0.25rem 0; }
.bar { display: block; min-width: 8rem; height: 0.85em; margin-top: 0.35em; }
.bar span { display: block; height: 100%; background: var(--blue); border-radius: 1px; }
.empty { color: var(--orange); font-weight: 650; }
blockquote { margin: 0.8rem 0; padding: 0 0 0 1rem; border-left: 0.2rem solid var(--line); }
pre, code { font-family: var(--code); font-size: 0.9rem; }
pre { background: var(--faint); padding: 0.8rem 1rem; border-radius: 0.3rem; overflow-x: auto; margin: 0.6rem 0; }
code.hash { overflow-wrap: anywhere; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; color: var(--blue); }
dl.pairs { display: grid; grid-template-columns: max-content 1fr; gap: 0.25rem 1.2rem; }
dl.pairs dt { color: var(--muted); }
dl.pairs dd { margin: 0; }
@media (max-width: 36rem) {
  dl.pairs { grid-template-columns: 1fr; gap: 0; }
  dl.pairs dd { margin-bottom: 0.5rem; }
  h1 { font-size: 1.4rem; }
}
@media print {
  @page { margin: 18mm; }
  html { font-size: 9.5pt; }
  tfoot { display: table-row-group; } /* else the sums are repeated on every sheet */
  main, header, footer { max-width: none; padding: 0; }
  nav, summary { display: none; }
  .picture svg { min-width: 0; }
  .scroll, .picture { overflow: visible; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, .verdict, .finding, blockquote { break-inside: avoid; }
  .verdict, .finding, .bar span { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
""".strip()
