// Tables and formulas wider than their place can be scrolled by keyboard (code can by itself), and the longer tables sorted
// by a click on a heading. Without this script everything is there, in the order in which it was written.
document.addEventListener("DOMContentLoaded", () => {
  const WORDS = {
    ca: { table: "Taula", formula: "Fórmula", sort: "Ordena per aquesta columna", point: ",", thousands: /\./g },
    en: { table: "Table", formula: "Formula", sort: "Sort by this column", point: ".", thousands: /,/g },
  };
  const languageOf = (place) => place.closest("[lang]").lang; // a notebook's page has tables in both

  // ---- scrolling: a region with a name while there is something to scroll, and a shadow on the side where it goes on
  const places = document.querySelectorAll(
    ".bd-article :is(.text_html:has(table), .pst-scrollable-table-container, div.math)",
  );
  const code = document.querySelectorAll(".bd-article div.highlight > pre");
  const goesOn = (place) =>
    place.classList.toggle("goes-on", place.scrollLeft + place.clientWidth < place.scrollWidth - 1);
  for (const place of [...places, ...code]) place.addEventListener("scroll", () => goesOn(place), { passive: true });
  const nameWideOnes = () => {
    for (const place of places) {
      const title =
        place.querySelector("caption .caption-text") ??
        place.closest(".captioned-table")?.querySelector(".caption-text") ??
        place.closest("section")?.querySelector("h1, h2, h3, h4");
      const words = WORDS[languageOf(place)];
      const kind = place.matches(".math") ? words.formula : words.table;
      const said = { role: "region", tabindex: "0", "aria-label": `${kind}: ${(title?.matches(".caption-text") ? title : title?.firstChild)?.textContent.trim()}` };
      const wide = place.scrollWidth > place.clientWidth;
      for (const name of Object.keys(said)) wide ? place.setAttribute(name, said[name]) : place.removeAttribute(name);
    }
    for (const place of [...places, ...code]) goesOn(place);
  };
  window.addEventListener("resize", nameWideOnes);
  for (const details of document.querySelectorAll(".bd-article details")) details.addEventListener("toggle", nameWideOnes);
  window.addEventListener("load", () => (window.MathJax?.startup?.promise ?? Promise.resolve()).then(nameWideOnes));

  // ---- cards: on a phone each row of a table of words is one, and each of its cells says what it is
  for (const table of document.querySelectorAll(".bd-article table.dataframe.words")) {
    if (table.tHead?.rows.length !== 1) continue;
    const headings = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    table.classList.add("cards");
    for (const row of table.tBodies[0].rows)
      for (const [column, cell] of [...row.cells].entries()) if (cell.matches("td")) cell.dataset.label = headings[column];
  }

  // ---- sorting: ascending, descending, as written; rows without a name sum up the others and stay at the end
  const FEWEST = 5;
  const numberIn = (text, words) => {
    const plain = text.replace("−", "-").replace(words.thousands, "").replace(words.point, ".");
    return /^-?\d+(\.\d+)?(\s*[%×])?(\s*[±(].*)?$/.test(plain) ? parseFloat(plain) : NaN;
  };
  const sorted = (rows, column, sign, language) =>
    rows.toSorted((first, second) => {
      const [a, b] = [first, second].map((row) => row.cells[column].textContent.trim());
      const [x, y] = [a, b].map((text) => numberIn(text, WORDS[language]));
      if (isNaN(x) && isNaN(y)) return sign * a.localeCompare(b, language, { numeric: true });
      return isNaN(x) ? 1 : isNaN(y) ? -1 : sign * (x - y);
    });
  for (const table of document.querySelectorAll(".bd-article table.dataframe")) {
    const written = [...table.tBodies[0].rows].filter((row) => row.cells[0].textContent.trim());
    if (written.length < FEWEST || table.tHead.rows.length > 1) continue;
    const headings = [...table.tHead.rows[0].cells];
    const language = languageOf(table);
    for (const [column, heading] of headings.entries()) {
      if (!heading.textContent.trim()) continue;
      const button = Object.assign(document.createElement("button"), { type: "button", title: WORDS[language].sort });
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: null }[heading.getAttribute("aria-sort")];
        const order = next === undefined ? "ascending" : next;
        for (const each of headings) each.removeAttribute("aria-sort");
        if (order) heading.setAttribute("aria-sort", order);
        table.tBodies[0].prepend(...(order ? sorted(written, column, order === "ascending" ? 1 : -1, language) : written));
      });
    }
  }
});
