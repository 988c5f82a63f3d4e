// Loaded on search pages, before Sphinx's search runs.
document.addEventListener("DOMContentLoaded", () => {
  // search-ca.html: Catalan pages first, then the others.
  const language = DOCUMENTATION_OPTIONS.pagename.split("-")[1];
  Scorer.score = ([docname, , , , score]) => (docname.startsWith(`${language}/`) ? score + 1000 : score);
});
