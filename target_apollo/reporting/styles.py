"""The page's style sheet: light and dark, from a phone to a sheet of paper.

Texts have a contrast of at least 4.5 to 1 and bars of at least 3 to 1, in both schemes.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f5f8; --card: #ffffff; --ink: #151923; --soft: #565f70; --line: #dfe3ea;
  --track: #e9ecf1; --mark: #3454d1; --good: #0b7350; --warn: #8f5400; --bad: #bb2533;
  --good-back: #e2f5ec; --warn-back: #fdf0d9; --bad-back: #fdeaea; --chip: #eff1f5;
  --created: #0d8a62; --updated: #3b6fe0; --unchanged: #838da0; --existing: #a1782c;
  --skipped: #8a63c9; --rejected: #d63c47; --open: #c47400;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1218; --card: #191d26; --ink: #eceff5; --soft: #a6afc0; --line: #2d3340;
    --track: #2a303c; --mark: #94abff; --good: #5fd6a8; --warn: #f3b95c; --bad: #ff8f94;
    --good-back: #12342a; --warn-back: #38290f; --bad-back: #3d1c22; --chip: #252b37;
    --created: #2fb887; --updated: #6d97ff; --unchanged: #7e899d; --existing: #c59a4b;
    --skipped: #a98ae0; --rejected: #f0636c; --open: #e39a2e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink); font-variant-numeric: tabular-nums;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  overflow-wrap: anywhere;
}
header, main, footer { max-width: 72rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; padding-bottom: 1.25rem; }
h1, h2, h3, p, dl, dd, ol, ul, figure { margin: 0; padding: 0; }
ol, ul { list-style: none; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.2; letter-spacing: -.02em; }
h2 { font-size: 1.15rem; line-height: 1.3; letter-spacing: -.01em; }
h3 { font-size: .95rem; margin-top: 1rem; }
.over { color: var(--mark); font-weight: 600; font-size: .85rem; margin-bottom: .35rem; }
.story { font-size: 1.1rem; max-width: 46rem; margin-top: .75rem; }
.facts, .hint { color: var(--soft); font-size: .875rem; }
.facts { margin-top: .5rem; }
.hint { margin: .25rem 0 .9rem; max-width: 46rem; }
.badge {
  display: inline-block; padding: .15rem .7rem; border-radius: 99rem; font-size: .875rem;
  font-weight: 600; margin-top: .75rem;
}
.badge.good { color: var(--good); background: var(--good-back); }
.badge.warn { color: var(--warn); background: var(--warn-back); }
.badge.bad { color: var(--bad); background: var(--bad-back); }
.because {
  margin-top: .9rem; padding: .7rem .9rem; border-radius: .6rem; max-width: 46rem;
  border-left: .25rem solid; color: var(--bad); background: var(--bad-back);
}
.because.warn { color: var(--warn); background: var(--warn-back); }
main { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1rem; }
section {
  background: var(--card); border: 1px solid var(--line); border-radius: .9rem; padding: 1.25rem;
  min-width: 0;
}
.plain { background: none; border: 0; padding: 0; }
.tiles { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .75rem; }
.tile {
  display: flex; flex-direction: column-reverse; justify-content: flex-end;
  background: var(--card); padding: .8rem 1.1rem 1rem;
  border: 1px solid var(--line); border-top: .25rem solid var(--line); border-radius: .9rem;
}
.tile dt { color: var(--soft); font-size: .875rem; line-height: 1.3; }
.tile dd { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); font-weight: 650; line-height: 1.25; }
.tile.created { border-top-color: var(--created); }
.tile.updated { border-top-color: var(--updated); }
.tile.unchanged { border-top-color: var(--unchanged); }
.tile.rejected { border-top-color: var(--rejected); }
.tile.open { border-top-color: var(--open); }
.bar { display: block; width: 100%; height: .6rem; border-radius: .3rem; background: var(--track); }
.bar.tall { height: 1.4rem; border-radius: .4rem; }
.track { fill: var(--track); }
.mark { fill: var(--mark); } .full { fill: var(--rejected); } .near { fill: var(--open); }
.created { fill: var(--created); } .updated { fill: var(--updated); }
.unchanged { fill: var(--unchanged); } .existing { fill: var(--existing); }
.skipped { fill: var(--skipped); } .rejected { fill: var(--rejected); } .open { fill: var(--open); }
.steps { display: grid; gap: .7rem; margin-top: .9rem; }
.steps > li {
  display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .1rem .75rem;
  align-items: baseline;
}
.steps .bar { grid-column: 1 / -1; }
.steps .note { grid-column: 1 / -1; color: var(--soft); font-size: .875rem; }
.steps b { font-weight: 650; }
.last { padding-top: .7rem; border-top: 1px solid var(--line); }
.legend {
  display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin-top: .6rem; font-size: .875rem;
}
.legend li { display: flex; align-items: center; gap: .4rem; }
.swatch { width: .75rem; height: .75rem; border-radius: .2rem; flex: none; }
.plot {
  display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 .6rem; margin-top: .9rem;
}
.scale {
  display: flex; flex-direction: column; justify-content: space-between; color: var(--soft);
  font-size: .75rem; line-height: 1; text-align: right; margin: -.4em 0;
}
.plot svg { display: block; width: 100%; height: 13rem; overflow: visible; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.unknown {
  fill: none; stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 3;
  vector-effect: non-scaling-stroke;
}
.labels {
  grid-column: 2; display: flex; font-size: .75rem; color: var(--soft); padding-top: .4rem;
}
.labels li { flex: 1 1 0; width: 0; text-align: center; line-height: 1.25; overflow-wrap: normal; }
.labels .now { color: var(--mark); font-weight: 700; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; margin-top: .9rem; }
th, td { padding: .45rem .5rem; text-align: left; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: .8rem; }
th:first-child, td:first-child { padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; }
tbody th { font-weight: 600; }
tbody th code { font-weight: 400; }
.run code { color: var(--soft); margin-left: .35rem; }
.zero { color: var(--soft); }
td.bad, .bad-text { color: var(--bad); }
td.warn { color: var(--warn); } td.good { color: var(--good); }
td.bad, td.warn { font-weight: 600; }
.now-row th { color: var(--mark); }
code, .keys li {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .85em;
}
.keys { display: flex; flex-wrap: wrap; gap: .3rem; margin-top: .4rem; }
.keys li { background: var(--chip); border-radius: .35rem; padding: .05rem .45rem; }
.keys .more { background: none; font-family: inherit; color: var(--soft); }
.items { margin-top: .9rem; }
.items > li { padding: .8rem 0; border-top: 1px solid var(--line); }
.items > li:first-child { border-top: 0; padding-top: 0; }
.items > li:last-child { padding-bottom: 0; }
.items p { display: flex; gap: .6rem; align-items: baseline; }
.items b { font-size: 1.1rem; }
.share { min-width: 8rem; }
.share span { display: block; font-size: .8rem; color: var(--soft); margin-top: .2rem; }
.fields { display: grid; gap: .5rem; margin-top: .6rem; }
.fields li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .1rem .75rem; }
.fields .bar { grid-column: 1 / -1; }
.old { color: var(--soft); }
footer { padding-top: 1.25rem; padding-bottom: 2.5rem; color: var(--soft); font-size: .8rem; }
@media (min-width: 48rem) {
  main { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.25rem; }
  main > section { grid-column: 1 / -1; padding: 1.5rem; }
  main > .half { grid-column: auto; }
  main > .half:nth-last-child(1 of .half):nth-child(odd of .half) { grid-column: 1 / -1; }
  main > .plain { padding: 0; }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); }
  .steps > li { grid-template-columns: 15rem minmax(0, 1fr) 5rem; align-items: center; }
  .steps .bar { grid-column: 2; grid-row: 1; }
  .steps b { text-align: right; }
  .steps .note { grid-column: 2; }
  .steps .legend { grid-column: 2 / -1; }
}
@media (max-width: 47.99rem) {
  /* A row becomes a card: its head, then each number that is not 0 with its name. */
  .cards, .cards tbody, .cards tr, .cards th, .cards td { display: block; }
  .cards thead {
    position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  }
  .cards tr { display: flex; flex-wrap: wrap; gap: .1rem 1rem; padding: .7rem 0;
    border-top: 1px solid var(--line); }
  .cards tbody tr:first-child { border-top: 0; }
  .cards th, .cards td { border: 0; padding: 0; text-align: left; white-space: normal; }
  .cards th { flex: 1 0 100%; }
  .cards td.zero { display: none; }
  .cards td.wide { flex: 1 0 100%; }
  .quota tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .quota th { grid-column: 1 / -1; }
  .quota .n { grid-area: 2 / 1; }
  .quota .n + .n { grid-area: 2 / 2 / auto / -1; }
  .quota .share { grid-area: 3 / 1; min-width: 0; margin-top: .3rem; font-size: .8rem; }
  .quota .hour { grid-column: 2; }
  .quota .day { grid-column: 3; }
  .cards td[data-label]::before {
    content: attr(data-label) " "; color: var(--soft); font-weight: 400;
  }
  .quota .share::before { display: block; margin-bottom: .2rem; }
  .labels li:not(:first-child):not(.end) { visibility: hidden; }
  .labels li { white-space: nowrap; }
  .labels li:first-child { text-align: left; }
  .labels .end { display: flex; flex-direction: column; align-items: flex-end; }
  .steps .legend { grid-column: 1 / -1; }
}
@media print {
  :root { color-scheme: light; }
  body { background: #fff; font-size: 10pt; }
  section, .tile { break-inside: avoid; box-shadow: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
