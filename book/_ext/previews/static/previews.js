// A link to a term or to a reference shows what it leads to: under the mouse, or when it is reached by keyboard. It goes
// with Escape, and stays while the mouse is on it (https://www.w3.org/TR/WCAG21/#content-on-hover-or-focus).
document.addEventListener("DOMContentLoaded", () => {
  const DELAY = 200; // ms: a mouse that passes by opens nothing, and has time to reach what was opened
  const MARGIN = 8; // pixels between it and the sides of the window
  const links = document.querySelectorAll("article a.reference.internal");
  const root = new URL(document.documentElement.dataset.content_root, location);
  const tip = Object.assign(document.createElement("div"), { id: "preview", className: "preview", hidden: true });
  tip.setAttribute("role", "tooltip");
  let link = null;
  let waiting;

  const place = () => {
    if (!link) return;
    const { left, top, bottom } = link.getBoundingClientRect();
    const below = bottom + tip.offsetHeight <= window.innerHeight || top < tip.offsetHeight;
    tip.style.top = `${below ? bottom : top - tip.offsetHeight}px`;
    tip.style.left = `${Math.max(MARGIN, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - MARGIN))}px`;
  };
  const hide = () => {
    clearTimeout(waiting);
    link?.removeAttribute("aria-describedby");
    link = null;
    tip.hidden = true;
  };
  const show = (next, text) => {
    hide();
    link = next;
    link.setAttribute("aria-describedby", tip.id);
    tip.textContent = text;
    tip.hidden = false;
    place();
  };
  const soon = (act) => {
    clearTimeout(waiting);
    waiting = setTimeout(act, DELAY);
  };
  const isMouse = (event) => event.pointerType === "mouse"; // a finger follows the link

  const texts = document.createElement("script"); // says what `Previews` is
  texts.src = `${root}_static/previews-${document.documentElement.lang}.js`;
  texts.onload = () => {
    for (const each of links) {
      const text = Previews[each.pathname.slice(root.pathname.length) + each.hash];
      if (!text) continue;
      each.addEventListener("pointerenter", (event) => isMouse(event) && soon(() => show(each, text)));
      each.addEventListener("pointerleave", () => soon(hide));
      each.addEventListener("focus", () => each.matches(":focus-visible") && show(each, text));
      each.addEventListener("blur", hide);
    }
  };
  document.head.append(texts);
  tip.addEventListener("pointerenter", () => clearTimeout(waiting));
  tip.addEventListener("pointerleave", () => soon(hide));
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  window.addEventListener("scroll", place, { passive: true });
  window.addEventListener("resize", place);
  document.querySelector("article")?.append(tip);
});
