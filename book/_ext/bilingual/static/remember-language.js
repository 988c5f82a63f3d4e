// For the pages that both languages share: in which one the reader reads (`shared-page.js`).
try {
  localStorage.setItem("reading-language", document.documentElement.lang);
} catch {} // a browser that keeps nothing: shared pages show both languages
