// Wide things scroll in a box of their own, which a keyboard can reach; numbers do not break apart.
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
  const observer = new ResizeObserver(update); // pictures come late, and get their width then
  [around, element].forEach((each) => observer.observe(each));
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

// From the disk a page may not read another one, as the search would for its summaries.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Paper is white, whatever the screen is.
let onScreen;
matchMedia("print").addEventListener("change", ({ matches }) => {
  const { dataset } = document.documentElement;
  if (matches) onScreen = dataset.theme;
  dataset.theme = matches ? "light" : onScreen;
});

document.addEventListener("DOMContentLoaded", () => {
  const article = document.querySelector("article.bd-article");
  if (!article) return;
  setNumbers(article);
  article.querySelectorAll("table").forEach((table) => {
    // A checklist has a card for each row on a phone.
    const heads = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
    if (heads[0] === "part") {
      table.classList.add("cards");
      for (const row of table.tBodies[0].rows) {
        [...row.cells].forEach((cell, k) => {
          cell.dataset.label = k ? heads[k] : "";
          if (!cell.textContent.trim()) cell.replaceChildren();
        });
      }
    }
    const inside = table.closest(".pst-scrollable-table-container, .scroll");
    if (!inside) box(table, "Table");
  });
  article.querySelectorAll("figure > img").forEach((image) => {
    box(image, "Figure");
    // What is hardly wider than a phone shrinks; what is wider keeps a size that can be read.
    const fit = () => image.classList.toggle("narrow", image.naturalWidth <= 520);
    image.complete ? fit() : image.addEventListener("load", fit);
  });
});
