{{%AUTOESCAPE context="HTML"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{{WORD}}: netns-conformance</title>
<style>{{STYLE:none}}</style>
</head>
<body>
<a class="skip" href="#requirements">Skip to the requirements</a>
<header>
<p class="verdict {{CLASS}}">{{WORD}}</p>
<h1>{{LINE}}</h1>
<p class="facts">{{FACTS}}; exit status {{STATUS}}</p>
</header>
<form id="filter" hidden aria-label="Filter">
<div><label for="f-area">Area</label><select id="f-area" name="area"><option value="">all</option>{{#AREA}}<option value="{{NAME}}">{{NAME}}</option>{{/AREA}}</select></div>
<div><label for="f-verdict">Verdict</label><select id="f-verdict" name="verdict"><option value="">all</option><option>FAIL</option><option>ERROR</option><option>MISS</option><option>PASS</option><option>SKIP</option><option value="NONE">not tested</option></select></div>
<div><label for="f-kernel">Kernel</label><select id="f-kernel" name="kernel"><option value="">all</option>{{#KERNEL_OPTION}}<option value="{{NUMBER}}">{{LABEL}}</option>{{/KERNEL_OPTION}}</select></div>
<div><label for="f-text">Text</label><input id="f-text" name="text" type="search" placeholder="veth EINVAL"></div>
<button type="reset">Show all</button>
<output id="count" aria-live="polite"></output>
</form>
<main>
<section aria-labelledby="runs">
<h2 id="runs">Runs</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Kernel</th><th scope="col">Verdict</th><th scope="col" class="n">PASS</th><th scope="col" class="n">FAIL</th><th scope="col" class="n">ERROR</th><th scope="col" class="n">MISS</th><th scope="col" class="n">SKIP</th><th scope="col" class="n">Time</th><th scope="col">Stream</th></tr></thead>
<tbody>{{#RUN}}
<tr><th scope="row">{{KERNEL}}<div class="facts">{{FACTS}}</div></th><td class="s {{CLASS}}">{{WORD}}</td><td class="n">{{PASS}}</td><td class="n">{{FAIL}}</td><td class="n">{{ERROR}}</td><td class="n">{{MISS}}</td><td class="n">{{SKIP}}</td><td class="n">{{TIME}}</td><td class="facts">{{PATH}}{{#PROBLEM}}<br>{{TEXT}}{{/PROBLEM}}</td></tr>{{/RUN}}
</tbody></table></div>
</section>
<section aria-labelledby="chapters">
<h2 id="chapters">Chapters</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Chapter</th><th scope="col" class="n">Requirements</th><th scope="col" class="n">PASS</th><th scope="col" class="n">FAIL</th><th scope="col" class="n">ERROR</th><th scope="col" class="n">MISS</th><th scope="col" class="n">not tested</th></tr></thead>
<tbody>{{#CHAPTER_COUNT}}
<tr><th scope="row"><a href="#c{{NUMBER}}">{{TITLE}}</a></th><td class="n">{{REQUIREMENTS}}</td>{{#CELL}}<td class="n {{CLASS}}">{{COUNT}}</td>{{/CELL}}</tr>{{/CHAPTER_COUNT}}
</tbody></table></div>
</section>
{{#TROUBLES}}<section class="troubles" aria-labelledby="failures">
<h2 id="failures">Failures and errors</h2>
{{#TROUBLE}}<details class="trouble" id="t{{NUMBER}}" data-verdict="{{WORD}}" data-areas="{{AREAS}}" data-runs="{{RUNS}}">
<summary><span class="tag {{CLASS}}">{{WORD}}</span> {{TEST}} <span class="facts">{{KERNELS}}</span></summary>
<div>
{{#STATEMENT}}<p><a href="#{{ID}}" class="id">{{ID}}</a>: {{TEXT}} <span class="facts">{{SOURCE}}</span>{{#CONTROL}}<br><span class="facts">Control: {{TEXT}}</span>{{/CONTROL}}</p>
{{/STATEMENT}}{{#CHECK}}<p class="facts">{{HEADING}}</p><pre tabindex="0">{{MESSAGE:pre_escape}}</pre>
{{/CHECK}}{{#REASON}}<p>{{TEXT}}</p>
{{/REASON}}{{#LOG}}<details open><summary>Kernel log</summary><pre tabindex="0">{{TEXT:pre_escape}}</pre></details>
{{/LOG}}{{#OUTPUT}}<details><summary>Output</summary><pre tabindex="0">{{TEXT:pre_escape}}</pre></details>
{{/OUTPUT}}<p>Just this one: <code>{{COMMAND}}</code></p>
</div>
</details>
{{/TROUBLE}}</section>
{{/TROUBLES}}{{#VIOLATIONS}}<section aria-labelledby="violations">
<h2 id="violations">What the profile forbids</h2>
<ul>{{#VIOLATION}}<li>{{RUN}}: <b>{{WHAT}}</b> {{TEXT}}; remedy: {{REMEDY}}</li>
{{/VIOLATION}}</ul>
</section>
{{/VIOLATIONS}}{{#MISSES}}<section aria-labelledby="misses">
<h2 id="misses">Not run here, by remedy</h2>
{{#MISS}}<details><summary>{{COUNT}}: {{REMEDY}} <span class="facts">{{CODES}}</span></summary><div>{{TESTS}}</div></details>
{{/MISS}}</section>
{{/MISSES}}<div id="requirements" tabindex="-1">
{{#CHAPTER}}<section class="chapter" aria-labelledby="c{{NUMBER}}">
<h2 id="c{{NUMBER}}">{{TITLE}}</h2>
<p class="page">{{PAGE}}</p>
<div class="scroll"><table{{#MANY}} class="many"{{/MANY}}>
<thead><tr><th scope="col">Requirement</th>{{#COLUMN}}<th scope="col" data-run="{{NUMBER}}"><span>{{LABEL}}</span></th>{{/COLUMN}}</tr></thead>
<tbody>{{#REQUIREMENT}}
<tr class="req" data-area="{{AREA}}" data-states="{{STATES}}"><th scope="row" id="{{ID}}"><details class="more"><summary><span class="id">{{ID}}</span> {{TITLE}}</summary><div><p>{{STATEMENT}}</p><p class="facts">{{SOURCE}}</p>{{#CONTROL}}<p class="facts">Control: {{TEXT}}</p>{{/CONTROL}}{{#TEST}}<p>{{NAME}} <span class="facts">{{AT}}</span>{{#LINK}} <a href="#t{{NUMBER}}">{{WORD}}</a>{{/LINK}}{{#WHY}}<br><span class="facts">{{TEXT}}</span>{{/WHY}}</p>{{/TEST}}{{#MUTANT}}<p class="facts">Mutant <a href="#m{{NUMBER}}">{{NUMBER}}</a> breaks it: {{OUTCOME}}</p>{{/MUTANT}}</div></details></th>{{#STATE}}<td class="s {{CLASS}}" data-run="{{NUMBER}}">{{WORD}}</td>{{/STATE}}</tr>{{/REQUIREMENT}}
</tbody></table></div>
</section>
{{/CHAPTER}}</div>
{{#MEASUREMENTS}}<section aria-labelledby="measurements">
<h2 id="measurements">Measurements</h2>
{{PLOTS:none}}
<p class="page">Each dot is one repetition; the axis of each benchmark begins at zero.</p>
{{#BENCHMARK}}<h3>{{NAME}} ({{UNIT}})</h3>
<svg viewBox="0 0 800 {{HEIGHT}}" width="100%" role="img" aria-label="{{LABEL}}">{{#ROW}}<text x="0" y="{{TEXT_Y}}">{{KERNEL}}</text><line class="axis" x1="260" x2="790" y1="{{Y}}" y2="{{Y}}"/>{{#DOT}}<circle class="dot" cx="{{X}}" cy="{{Y}}" r="4"/>{{/DOT}}<text x="265" y="{{MEDIAN_Y}}">median {{MEDIAN}}</text>{{/ROW}}</svg>
{{/BENCHMARK}}</section>
{{/MEASUREMENTS}}{{#KILLS}}<section aria-labelledby="kills">
<h2 id="kills">The kill matrix</h2>
<p class="page">Kernels with one wrong behaviour each, made from {{KERNEL}}, and the tests that noticed; {{DATE}}. {{SUMMARY}}</p>
<div class="scroll"><table>
<thead><tr><th scope="col">Mutant</th><th scope="col">Outcome</th><th scope="col">Breaks</th><th scope="col">Noticed by</th></tr></thead>
<tbody>{{#KILL}}
<tr><th scope="row" id="m{{NUMBER}}"><span class="id">{{NUMBER}} {{NAME}}</span> {{WHAT}} <span class="facts">{{DIFFICULTY}}</span></th><td class="s {{CLASS}}">{{OUTCOME}}</td><td>{{#BREAKS}}<a href="#{{ID}}">{{ID}}</a> {{/BREAKS}}</td><td class="facts">{{KILLERS}}</td></tr>{{/KILL}}
</tbody></table></div>
</section>
{{/KILLS}}</main>
<script>{{SCRIPT:none}}</script>
</body>
</html>
