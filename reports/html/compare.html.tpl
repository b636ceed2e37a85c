{{%AUTOESCAPE context="HTML"}}<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{{WORD}}: netns-conformance compare</title>
<style>{{STYLE:none}}</style>
</head>
<body>
<header><p class="verdict {{CLASS}}">{{WORD}}</p><h1>{{LINE}}</h1></header>
<main>
{{#DIFFERENCES}}<div class="scroll"><table>
<thead><tr><th scope="col">Change</th><th scope="col">What</th><th scope="col">Before</th><th scope="col">After</th><th scope="col">Why</th></tr></thead>
<tbody>{{#DIFFERENCE}}
<tr><td>{{CHANGE}}</td><th scope="row"><span class="id">{{NAME}}</span> {{TITLE}}</th><td class="s {{CLASS_BEFORE}}">{{BEFORE}}</td><td class="s {{CLASS_AFTER}}">{{AFTER}}</td><td>{{WHY}}</td></tr>{{/DIFFERENCE}}
</tbody></table></div>
{{/DIFFERENCES}}{{#SPEEDS}}<h2>Another speed</h2>
<ul>{{#SPEED}}<li>{{TEXT}}</li>
{{/SPEED}}</ul>
{{/SPEEDS}}</main>
</body>
</html>
