// Loaded on search pages, after Sphinx's search and before it runs: what an excerpt shows, and where pages come from.
document.addEventListener("DOMContentLoaded", () => {
  const LENGTH = 240;

  // ---- pages: a browser fetches none for a book that was opened from disk, so a script brings their texts
  const fromDisk = location.protocol === "file:";
  if (fromDisk) {
    const root = document.documentElement.dataset.content_root;
    const script = document.createElement("script");
    const texts = new Promise((resolve) => (script.onload = () => resolve(SearchTexts)));
    script.src = `${root}_static/search-texts.js`;
    document.head.append(script);
    window.fetch = async (address) => {
      const found = (await texts)[address.slice(root.length).replace(/\.html$/, "")];
      return { text: async () => found ?? "" };
    };
  }
  const textOf = (page, anchor) => {
    if (fromDisk) {
      const start = anchor ? page.indexOf(`\x02${anchor.slice(1)}\x03`) : 0;
      return page.slice(Math.max(start, 0)).replace(/\x02[^\x03]*\x03/g, "");
    }
    const parsed = new DOMParser().parseFromString(page, "text/html");
    const article = parsed.querySelector("article") ?? parsed.body;
    for (const one of article.querySelectorAll(".headerlink, script, style, .cell_input, details, .figure-data, .math")) one.remove();
    const place = anchor ? article.querySelector(`[id="${CSS.escape(anchor.slice(1))}"]`) : null;
    return (place?.closest("section, dl") ?? article).textContent;
  };

  // ---- the excerpt: words are compared as the index has them, without accents and endings
  Search.makeSearchSummary = (page, wanted, anchor) => {
    const text = textOf(page, anchor).replace(/\s+/g, " ").trim();
    if (!text) return document.createTextNode("");
    const stemmer = new Stemmer();
    const stems = [...wanted];
    const isWanted = (word) => {
      const stem = stemmer.stemWord(word.toLowerCase());
      return stems.some((one) => stem.startsWith(one));
    };
    const words = [...text.matchAll(/(?:(?<=l)·(?=l)|[\p{Letter}\p{Number}_])+/giu)];
    const first = words.findIndex(([word]) => isWanted(word));
    const place = first < 0 ? 0 : words[first].index;
    const start = words.find(({ index }) => index >= place - LENGTH / 2)?.index ?? 0;
    const end = text.lastIndexOf(" ", start + LENGTH) > place ? text.lastIndexOf(" ", start + LENGTH) : start + LENGTH;
    const summary = document.createElement("p");
    summary.className = "context";
    let written = start;
    if (start > 0) summary.append("… ");
    for (const { 0: word, index } of words) {
      if (index < start || index + word.length > end || !isWanted(word)) continue;
      const found = Object.assign(document.createElement("span"), { className: "highlighted", textContent: word });
      summary.append(text.slice(written, index), found);
      written = index + word.length;
    }
    summary.append(text.slice(written, end));
    if (end < text.length) summary.append(" …");
    return summary;
  };
});
