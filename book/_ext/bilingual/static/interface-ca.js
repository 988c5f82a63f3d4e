// The Catalan words of scripts that cannot be told them in any other way. Loaded after those scripts, on Catalan pages.

// sphinx-copybutton
messages.ca = {
  copy: "Copia",
  copy_to_clipboard: "Copia al porta-retalls",
  copy_success: "Copiat!",
  copy_failure: "No s'ha pogut copiar",
};
locale = "ca";
iconCheck = iconCheck.replace(messages.en.copy_success, messages.ca.copy_success);
iconCopy = iconCopy.replace(messages.en.copy_to_clipboard, messages.ca.copy_to_clipboard);

// sphinx-togglebutton
toggleHintShow = "Fes clic per mostrar-ho";
toggleHintHide = "Fes clic per amagar-ho";

// Labels for screen readers that the theme and MyST-NB write in English
document.addEventListener("DOMContentLoaded", () => {
  const labels = {
    Main: "Navegació principal",
    Page: "Navegació de la pàgina",
    "Toggle hidden content": "Mostra o amaga el contingut",
  };
  for (const [english, catalan] of Object.entries(labels)) {
    for (const element of document.querySelectorAll(`[aria-label="${english}"]`)) {
      element.setAttribute("aria-label", catalan);
    }
  }
});
