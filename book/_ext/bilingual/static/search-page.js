// Loaded on search pages, before Sphinx's search runs.
document.addEventListener("DOMContentLoaded", () => {
  // Scripts may not read other pages of a book that was opened from disk: no excerpts there.
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

  // search-ca.html: Catalan pages first, then the others.
  const language = DOCUMENTATION_OPTIONS.pagename.split("-")[1];
  Scorer.score = ([docname, , , , score]) => (docname.startsWith(`${language}/`) ? score + 1000 : score);
});
