// Wide things scroll in a box of their own, which a keyboard can reach; the ledger sorts and filters.
"use strict";

// A box around what may be wider than the page. Only one that does scroll takes the focus.
function box(element, name) {
  const around = document.createElement("div");
  around.className = "scroll";
  element.replaceWith(around);
  around.append(element);
  const update = () => {
    if (around.scrollWidth > around.clientWidth + 1) {
      around.tabIndex = 0;
      around.setAttribute("role", "region");
      around.setAttribute("aria-label", name);
    } else {
      ["tabindex", "role", "aria-label"].forEach((a) => around.removeAttribute(a));
    }
  };
  new ResizeObserver(update).observe(around);
  return around;
}

// "12/15 = 0.80 (0.52–0.96)" may break before the bracket, not at the dash; minus is no hyphen.
function setNumbers(article) {
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    if (!/[–=-] ?[\d.]/.test(text.data) || text.parentElement.closest(".math, pre, code")) continue;
    text.data = text.data
      .replace(/(^|[\s(])-(?=[\d.])/g, "$1\u2212")
      .replace(/(\d)–(?=[\d.])/g, "$1\u2060–\u2060")
      .replace(/(\d) = (?=[\d.])/g, "$1\u00a0=\u00a0");
  }
}

// Natural order: E2 before E10.
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function ledger(article) {
  const tables = [...article.querySelectorAll("table")];
  const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
  const verdictOf = (row) => row.cells[row.cells.length - 1].querySelector("a").textContent;
  for (const table of tables) {
    table.classList.add("ledger");
    const heads = [...table.tHead.rows[0].cells];
    for (const [column, head] of heads.entries()) {
      const name = head.textContent.trim();
      for (const row of table.tBodies[0].rows) row.cells[column].dataset.label = name;
      head.scope = "col";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const text = (row) => row.cells[column].textContent.trim();
        const sorted = [...table.tBodies[0].rows].sort((a, b) => order.compare(text(a), text(b)));
        table.tBodies[0].append(...(up ? sorted : sorted.reverse()));
      });
      head.replaceChildren(button);
    }
  }

  const tools = document.createElement("form");
  tools.className = "ledger-tools";
  tools.setAttribute("role", "search");
  tools.setAttribute("aria-label", "Filter the claims");
  const verdicts = [...new Set(rows.map(verdictOf))];
  const groups = tables.map((table) => table.closest("section").querySelector("h2").firstChild.textContent);
  const options = (names) => names.map((name) => `<option>${name}</option>`).join("");
  tools.innerHTML = `
    <label>Words <input type="search" name="words" autocomplete="off"></label>
    <label>Verdict <select name="verdict"><option value="">all</option>${options(verdicts)}</select></label>
    <label>Kind <select name="kind"><option value="">all</option>${options(groups)}</select></label>
    <output></output>`;
  const filter = () => {
    const words = tools.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { value: verdict } = tools.elements.verdict;
    const { value: kind } = tools.elements.kind;
    let shown = 0;
    tables.forEach((table, index) => {
      let here = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          (verdict !== "" && verdictOf(row) !== verdict) ||
          (kind !== "" && groups[index] !== kind);
        here += !row.hidden;
      }
      table.closest("section").hidden = here === 0;
      shown += here;
    });
    tools.querySelector("output").textContent = `${shown} of ${rows.length} claims shown`;
  };
  tools.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tables[0].closest("section").before(tools);
  filter();
}

// From the disk a page may not read another one, as the search would for its summaries.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector("article.bd-article");
  if (!article) return;
  if (/\/chapters\/ledger\.html$/.test(location.pathname)) ledger(article);
  setNumbers(article);
  article.querySelectorAll("table").forEach((table) => {
    const inside = table.closest(".pst-scrollable-table-container, .scroll");
    if (!inside) box(table, "Table");
  });
  article.querySelectorAll("figure img").forEach((image) => {
    box(image, "Figure");
    // What is hardly wider than a phone shrinks; what is wider keeps a size that can be read.
    const fit = () => image.classList.toggle("narrow", image.naturalWidth <= 520);
    image.complete ? fit() : image.addEventListener("load", fit);
  });
});
