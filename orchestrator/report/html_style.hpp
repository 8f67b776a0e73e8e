// html_style: how the page of a report looks: on screens light and dark, wide and narrow, and on
// paper.
#pragma once

#include <string_view>

namespace parallel_loader {

// The colors of tables are Okabe and Ito's, and two of Tol's: they stay apart for the color-blind.
inline constexpr std::string_view kReportStyle = R"css(
:root { color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #59636e; --line: #d9dee3; --faint: #f4f6f8;
  --accent: #0072b2; --fill: #0072b226; --good: #00704f; --bad: #b34700; --badfill: #d55e0014;
  --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #882255; --c6: #a3adb7; }
@media (prefers-color-scheme: dark) { :root {
  --page: #13161a; --ink: #e7eaed; --soft: #9ba6b1; --line: #333a42; --faint: #1b2026;
  --accent: #56b4e9; --fill: #56b4e92e; --good: #3fc79a; --bad: #ff9a52; --badfill: #d55e0026;
  --c0: #3d9bd4; --c1: #e69f00; --c2: #22b88c; --c3: #d993bb; --c4: #8fd0f5; --c5: #ddcc77; --c6: #6d7781; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 32px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.01em; margin: 4px 0 10px; }
h2 { font-size: 19px; line-height: 1.3; font-weight: 650; margin: 44px 0 12px; }
h3 { font-size: 15px; font-weight: 650; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 8px; } bdi { overflow-wrap: anywhere; }
.over { color: var(--soft); margin: 0; } .note { color: var(--soft); font-size: 13px; margin: 8px 0 0; }
.way { color: var(--soft); overflow-wrap: anywhere; } .way b { color: var(--ink); font-weight: 600; }
.good { color: var(--good); } .bad { color: var(--bad); }
.figures { display: flex; flex-wrap: wrap; gap: 1px; margin: 24px 0 0;
  background: var(--line); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.figures div { background: var(--page); padding: 12px 16px 10px; flex: 1 1 148px; }
.figures dt { color: var(--soft); font-size: 13px; }
.figures dd { margin: 0; font-size: 21px; line-height: 1.35; font-weight: 600; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.figures small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.failure { border-left: 4px solid var(--bad); background: var(--badfill); padding: 12px 16px; margin: 0 0 12px;
  border-radius: 0 6px 6px 0; }
.failure p { white-space: pre-line; overflow-wrap: anywhere; margin: 4px 0 0; }
.failure .what { color: var(--bad); font-weight: 600; } .failure .more { color: var(--soft); }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace; }
code.run { display: block; margin-top: 8px; padding: 8px 12px; background: var(--page); border: 1px solid var(--line);
  border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; -webkit-user-select: all; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: 13px; margin-bottom: 10px; }
.key { display: inline-block; margin-right: 12px; white-space: nowrap; max-width: 100%; overflow: hidden; text-overflow: ellipsis;
  vertical-align: bottom; }
.key::before { content: ""; display: inline-block; width: 11px; height: 11px; margin-right: 6px; border-radius: 2px;
  vertical-align: -1px; background: var(--key, transparent); }
.key.mean::before { height: 0; border-top: 2px dashed var(--soft); border-radius: 0; vertical-align: 4px; width: 18px; }
.key.wait::before, .key.again::before { border: 1.5px solid var(--bad); } .key.wait { --key: var(--badfill); }
.key.mean { margin-left: 12px; }
.c0 { --key: var(--c0); fill: var(--c0); } .c1 { --key: var(--c1); fill: var(--c1); } .c2 { --key: var(--c2); fill: var(--c2); }
.c3 { --key: var(--c3); fill: var(--c3); } .c4 { --key: var(--c4); fill: var(--c4); } .c5 { --key: var(--c5); fill: var(--c5); }
.c6 { --key: var(--c6); fill: var(--c6); }
.plot { position: relative; padding: 20px 8px 24px 76px; font-size: 12px; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.plot svg { display: block; width: 100%; overflow: visible; } svg.curve { height: 220px; }
.plot .unit { position: absolute; top: -2px; left: 0; width: 68px; text-align: right; white-space: nowrap; line-height: 14px; }
.plot .y { position: absolute; left: 0; top: 20px; bottom: 24px; width: 68px; }
.plot .y span { position: absolute; right: 0; transform: translateY(50%); line-height: 1; }
.plot .x { position: relative; height: 0; }
.plot .x span { position: absolute; top: 6px; transform: translateX(-50%); line-height: 1; white-space: nowrap; }
.plot .rows { position: absolute; left: 0; top: 20px; width: 68px; text-align: right; }
.plot .rows span { display: block; height: 18px; line-height: 18px; white-space: nowrap; }
.plot .rows i { font-style: normal; opacity: .75; display: inline-block; min-width: 42px; }
.grid, .line, .mean, .wait, .again { vector-effect: non-scaling-stroke; }
.grid { stroke: var(--line); stroke-width: 1; fill: none; } .area { fill: var(--fill); }
.line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
path.mean { stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 5 4; }
rect.wait { fill: var(--badfill); stroke: var(--bad); stroke-width: 1; } rect.again { fill-opacity: .4; stroke: var(--bad); stroke-width: 2; }
.scroll { overflow-x: auto; } .scroll + .scroll { margin-top: 20px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; vertical-align: bottom; white-space: nowrap; }
td, th { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child, th:last-child { padding-right: 0; }
td.name { min-width: 160px; overflow-wrap: anywhere; } td.text { white-space: pre-line; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tfoot td { font-weight: 600; border-bottom: 0; } td.state { white-space: nowrap; }
td.bar { width: 55%; min-width: 90px; vertical-align: middle; }
td.bar svg { display: block; width: 100%; height: 12px; } td.bar rect { fill: var(--accent); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 0; font-size: 14px; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 48px; padding-top: 12px; border-top: 1px solid var(--line); color: var(--soft); font-size: 13px; }
@media (max-width: 600px) { main { padding: 24px 16px; } h1 { font-size: 24px; } h2 { margin-top: 36px; }
  .figures div { flex-basis: 40%; } .figures dd { font-size: 18px; } td, th { padding-right: 10px; }
  .plot { padding-left: 62px; } .plot .unit, .plot .y, .plot .rows { width: 56px; } .plot .rows i { min-width: 36px; }
  .plot .x span:nth-child(even) { display: none; }
  dl.facts { grid-template-columns: 1fr; gap: 0; } dl.facts dd { margin-bottom: 8px; } }
@media print { :root { color-scheme: light; --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --faint: #fff; --accent: #0072b2;
    --fill: #0072b226; --good: #00704f; --bad: #b34700; --badfill: #d55e0014; --c0: #0072b2; --c1: #e69f00; --c2: #009e73;
    --c3: #cc79a7; --c4: #56b4e9; --c5: #882255; --c6: #a3adb7; }
  @page { margin: 16mm 14mm; } body { font-size: 11px; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h1 { font-size: 22px; } h2 { font-size: 15px; margin-top: 24px; break-after: avoid; } table { font-size: 10.5px; }
  thead { display: table-header-group; } tfoot { display: table-row-group; }
  tr, .failure, figure, .figures { break-inside: avoid; } .scroll { overflow: visible; }
  th, figcaption, .note, .plot, code, h3, dl.facts, .figures dt, .figures small, footer { font-size: 10.5px; }
  .figures div { flex-basis: 84px; padding: 8px 10px; } .figures dd { font-size: 15px; } svg.curve { height: 160px; } }
)css";

} // namespace parallel_loader
