"""How a report looks: light or dark as its reader's system is, black on white on paper.

The colours are told apart by people who do not see all of them; curves differ in their dashes too.
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #5b6570; --edge: #d5dae0; --tint: #f4f6f8;
  --good: #00795a; --warning: #9a5b00; --bad: #b3261e;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b35890;
  --c4: #e69f00; --c5: #56b4e9; --c6: #7a7a7a; --c7: #b8a200;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e6e9ec; --soft: #a0a9b2; --edge: #363c43; --tint: #1d2126;
    --good: #43c59e; --warning: #e6a948; --bad: #ff8a80;
    --c0: #56b4e9; --c1: #ff8f4d; --c2: #35c49a; --c3: #e39bc7;
    --c4: #f2bf4b; --c5: #a5d6f5; --c6: #a3a3a3; --c7: #f0e442;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.25rem; border-bottom: 1px solid var(--edge); }
p { margin: .4rem 0; }
.soft, .tick { color: var(--soft); fill: var(--soft); }
.outcome { font-size: 1.1rem; font-weight: 600; }
.good { color: var(--good); stroke: var(--good); }
.warning { color: var(--warning); stroke: var(--warning); }
.bad { color: var(--bad); stroke: var(--bad); }
.error { border-left: 4px solid var(--bad); background: var(--tint); padding: .6rem 1rem; }
.error, td, pre, dd { overflow-wrap: anywhere; }
dl { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(12rem, 45%), 1fr)); }
dl > div { background: var(--tint); border-radius: .4rem; padding: .5rem .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; font-weight: 600; }
figure { margin: 1rem 0 1.5rem; overflow-x: auto; }
figcaption { font-weight: 600; }
figure > svg { display: block; width: 100%; min-width: 32rem; height: auto; }
svg text { font-size: 12px; fill: var(--ink); }
svg .tick { fill: var(--soft); }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: var(--edge); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.s0 { --c: var(--c0); } .s1 { --c: var(--c1); } .s2 { --c: var(--c2); } .s3 { --c: var(--c3); }
.s4 { --c: var(--c4); } .s5 { --c: var(--c5); } .s6 { --c: var(--c6); } .s7 { --c: var(--c7); }
.line { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round;
  stroke-linecap: round; }
.line.s1 { stroke-dasharray: 7 3; } .line.s2 { stroke-dasharray: 2 3; }
.line.s3 { stroke-dasharray: 8 3 2 3; } .line.s4 { stroke-dasharray: 12 4; }
.band { fill: var(--c); opacity: .22; }
.area { fill: var(--c); stroke: var(--paper); stroke-width: .6; }
.dot { fill: var(--paper); stroke: var(--c); stroke-width: 1.8; }
.mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; opacity: .8; }
.mark.good { stroke: var(--good); } .mark.warning { stroke: var(--warning); }
.mark.bad { stroke: var(--bad); stroke-width: 1.6; }
.flag { fill: var(--soft); stroke: none; } .flag.good { fill: var(--good); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .4rem 0; padding: 0;
  list-style: none; font-size: .85rem; }
.swatch { width: 22px; height: 12px; margin-right: .4rem; vertical-align: -1px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0;
  border-bottom: 1px solid var(--edge); }
th { color: var(--soft); font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.moment { white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { background: var(--tint); border-radius: .4rem; padding: .75rem 1rem; margin: .5rem 0;
  white-space: pre-wrap; font: .85rem/1.45 ui-monospace, "Cascadia Mono", Menlo, monospace; }
@page { size: A4; margin: 14mm; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  figure > svg { min-width: 0; }
  h2 { break-after: avoid; }
  figure, tr, dl > div, .error { break-inside: avoid; }
  thead { display: table-header-group; }
}
"""
