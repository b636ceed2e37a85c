// SPDX-License-Identifier: GPL-2.0-or-later
// Filters the rows that the page already has. Without scripts everything is simply shown.
"use strict";
(() => {
  const form = document.getElementById("filter");
  const rows = Array.from(document.querySelectorAll("tr.req"));
  const troubles = Array.from(document.querySelectorAll("details.trouble"));
  const count = document.getElementById("count");
  form.hidden = false;

  const texts = new Map();
  const textOf = (node) => {
    if (!texts.has(node)) texts.set(node, node.textContent.toLowerCase());
    return texts.get(node);
  };

  function apply() {
    const area = form.elements.area.value;
    const verdict = form.elements.verdict.value;
    const kernel = form.elements.kernel.value;
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hasText = (node) => words.every((word) => textOf(node).includes(word));
    let shown = 0;
    for (const row of rows) {
      const states = kernel === "" ? row.dataset.states.split(" ") : [row.dataset.states.split(" ")[Number(kernel)]];
      const visible = (area === "" || row.dataset.area === area) && (verdict === "" || states.includes(verdict)) && hasText(row);
      row.hidden = !visible;
      shown += visible ? 1 : 0;
    }
    for (const section of document.querySelectorAll("section.chapter"))
      section.hidden = !Array.from(section.querySelectorAll("tr.req")).some((row) => !row.hidden);
    for (const trouble of troubles) {
      const on = trouble.dataset.runs.split(" ");
      trouble.hidden = !((area === "" || trouble.dataset.areas.split(" ").includes(area)) &&
        (verdict === "" || trouble.dataset.verdict === verdict) && (kernel === "" || on.includes(kernel)) && hasText(trouble));
    }
    for (const section of document.querySelectorAll("section.troubles"))
      section.hidden = troubles.every((trouble) => trouble.hidden);
    for (const cell of document.querySelectorAll("[data-run]")) cell.hidden = kernel !== "" && cell.dataset.run !== kernel;
    count.textContent = shown + " of " + rows.length + " requirements shown";
  }

  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());

  // A link into a closed part opens it.
  function openTarget() {
    const target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  // Paper has nothing to click on.
  addEventListener("beforeprint", () => troubles.forEach((trouble) => { trouble.open = true; }));
  openTarget();
  apply();
})();
