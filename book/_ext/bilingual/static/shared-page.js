// A page that every language shares, a notebook or the API, shows readers the language of the page that they come from:
// its paragraphs and outputs, its half of a heading "Català · English", its parts in the sidebar. Who comes from nowhere
// sees all, until a page with a language is opened. The switch, which without this script leads to a language's first
// page, changes the language of this one.
document.addEventListener("DOMContentLoaded", () => {
  const LANGUAGES = ["ca", "en"]; // in the order in which headings name them
  const KEY = "reading-language";
  let reading = null;
  try {
    reading = localStorage.getItem(KEY);
  } catch {}
  for (const link of document.querySelectorAll("a.language-switch")) {
    link.hidden = link.lang === reading;
    link.addEventListener("click", (event) => {
      try {
        localStorage.setItem(KEY, link.lang);
      } catch {
        return;
      }
      event.preventDefault();
      location.reload();
    });
  }
  if (!LANGUAGES.includes(reading)) {
    // Also where the page before was another process of the browser's and its word comes later than this page.
    window.addEventListener("storage", ({ key }) => key === KEY && location.reload());
    return;
  }

  document.documentElement.lang = reading;
  // What stands there in both languages; the API's sections, in English alone, are for every reader.
  for (const said of document.querySelectorAll("article :is(p, .cell)[lang]")) {
    if (said.lang !== reading) said.hidden = true;
    else if (said.matches("p")) said.querySelector(":scope > strong:first-child")?.remove();
  }
  const own = (text) => {
    const said = text.split(" · ");
    return said.length === LANGUAGES.length ? said[LANGUAGES.indexOf(reading)] : text;
  };
  const places = "article :is(h1, h2, h3), .bd-docs-nav :is(.caption, a:not([href$='index.html'])), .page-toc a";
  for (const place of document.querySelectorAll(places)) {
    const words = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    for (let text = words.nextNode(); text; text = words.nextNode()) text.nodeValue = own(text.nodeValue);
  }
  document.title = own(document.title);

  const root = new URL(document.documentElement.dataset.content_root, location).pathname;
  for (const part of document.querySelectorAll(".bd-docs-nav ul.bd-sidenav")) {
    const folder = part.querySelector("a")?.pathname.slice(root.length).split("/")[0];
    if (!LANGUAGES.includes(folder) || folder === reading) continue;
    part.hidden = true;
    if (part.previousElementSibling?.matches(".caption")) part.previousElementSibling.hidden = true;
  }
});
