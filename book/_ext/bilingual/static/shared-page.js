// A page that every language shares, a notebook or the API, shows readers the language of the page that they come from:
// its paragraphs, its half of a heading "Català · English", its parts in the sidebar. Who comes from nowhere sees all.
document.addEventListener("DOMContentLoaded", () => {
  const LANGUAGES = ["ca", "en"]; // in the order in which headings name them
  let reading = null;
  try {
    reading = localStorage.getItem("reading-language");
  } catch {}
  if (!LANGUAGES.includes(reading)) return;

  for (const said of document.querySelectorAll("article [lang]")) {
    if (LANGUAGES.includes(said.lang) && said.lang !== reading) said.hidden = true;
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
