// The ledger's tables sort and filter.
"use strict";

// Natural order: E2 before E10.
const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function ledger(article) {
  const named = (table) => table.tHead.rows[0].cells[0].textContent.trim() === "Claim";
  const tables = [...article.querySelectorAll("table")].filter(named);
  const rows = tables.flatMap((table) => [...table.tBodies[0].rows]);
  const verdictOf = (row) => row.cells[2].textContent.trim();
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
    <label>Section <select name="section"><option value="">all</option>${options(groups)}</select></label>
    <output></output>`;
  const filter = () => {
    const words = tools.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const { value: verdict } = tools.elements.verdict;
    const { value: section } = tools.elements.section;
    let shown = 0;
    tables.forEach((table, index) => {
      let here = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          (verdict !== "" && verdictOf(row) !== verdict) ||
          (section !== "" && groups[index] !== section);
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

document.addEventListener("DOMContentLoaded", () => {
  if (/\/chapters\/ledger\.html$/.test(location.pathname)) {
    ledger(document.querySelector("article.bd-article"));
  }
});
