// The switch keeps the reader's place: twins have the same headings, so the heading that was passed last is counted.
document.addEventListener("DOMContentLoaded", () => {
  const headings = [...document.querySelectorAll("article :is(h1, h2, h3, h4)")];
  const asked = headings[location.hash.match(/^#heading-(\d+)$/)?.[1]];
  if (asked) {
    const section = asked.closest("section[id]");
    history.replaceState(null, "", section ? `#${section.id}` : location.pathname + location.search);
    asked.scrollIntoView({ behavior: "instant" });
    window.addEventListener("load", () => asked.scrollIntoView({ behavior: "instant" })); // pictures have their height only now
  }
  const file = (path) => path.split("/").pop();
  for (const link of document.querySelectorAll("a.language-switch")) {
    if (file(link.pathname) !== file(location.pathname)) continue;
    link.addEventListener("click", () => {
      const passed = headings.filter((heading) => heading.getBoundingClientRect().top < window.innerHeight / 3).length - 1;
      link.hash = window.scrollY > 0 && passed > 0 ? `heading-${passed}` : "";
    });
  }
});
