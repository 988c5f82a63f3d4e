/**
 * What the parts of a page that can be touched share: words, numbers, elements, colours, packed data.
 * Classic scripts all of them, and no request: they work from a disk as well as from a server.
 */
globalThis.Interactive = (() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const DRAWN = new Set(["svg", "g", "line", "path", "circle", "rect", "text", "title"]);
  const SYMBOLS = { 1: "H", 6: "C", 7: "N", 8: "O", 9: "F" };
  const BELOW = "₀₁₂₃₄₅₆₇₈₉";

  /**
   * An element with attributes (`text` is its text) and children; a value of null leaves the attribute out.
   * @param {string} name
   * @param {Object<string, ?(string|number|boolean)>} [attributes]
   * @param {...(Node|string)} children
   * @returns {Element}
   */
  function make(name, attributes = {}, ...children) {
    const svg = DRAWN.has(name) && !(name === "title" && !attributes.svg);
    const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === false || key === "svg") continue;
      if (key === "text") element.textContent = value;
      else element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  /**
   * A message with its places filled: "{size} atoms".
   * @param {string} message
   * @param {Object<string, string|number>} [values]
   * @returns {string}
   */
  const say = (message, values = {}) => message.replace(/\{(\w+)\}/g, (_, key) => values[key]);

  /**
   * Numbers as a language writes them.
   * @param {string} language
   */
  function writer(language) {
    /**
     * A number with so many decimals.
     * @param {number} value
     * @param {number} [decimals]
     * @param {number} [least] decimals that are written even if they are 0
     * @returns {string}
     */
    function number(value, decimals = 0, least = decimals) {
      if (!Number.isFinite(value)) return "–";
      const digits = { minimumFractionDigits: least, maximumFractionDigits: decimals, useGrouping: "always" };
      const format = new Intl.NumberFormat(language === "ca" ? "ca" : "en-GB", { ...digits, signDisplay: "negative" });
      return format.format(value).replace("-", "−");
    }

    /**
     * A number with about so many digits that count and no more decimals than it needs: 0.003, 12, 1,200.
     * @param {number} value
     * @param {number} [digits]
     * @returns {string}
     */
    function short(value, digits = 2) {
      if (!Number.isFinite(value)) return "–";
      if (value === 0) return number(0);
      return number(value, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value)) + 1e-9)), 0);
    }

    return { number, short };
  }

  /**
   * A molecule's formula in Hill's order.
   * @param {ArrayLike<number>} numbers atomic numbers
   * @returns {string}
   */
  function formula(numbers) {
    const count = {};
    for (const z of numbers) count[z] = (count[z] ?? 0) + 1;
    const order = count[6] ? [6, 1, 9, 7, 8] : [9, 1, 7, 8];
    const below = (n) => (n > 1 ? [...String(n)].map((digit) => BELOW[digit]).join("") : "");
    return order.filter((z) => count[z]).map((z) => SYMBOLS[z] + below(count[z])).join("");
  }

  const KINDS = {
    u1: Uint8Array, u2: Uint16Array, i2: Int16Array, i4: Int32Array, i8: BigInt64Array, f4: Float32Array, f8: Float64Array,
  };

  /**
   * The arrays of packed data (see `analysis.data.as_text`), by name.
   * @param {{arrays: Array<[string, string, number[]]>, packed: string}} data
   * @returns {Promise<Object<string, ArrayLike<number>>>}
   */
  async function unpack(data) {
    const characters = atob(data.packed);
    const bytes = Uint8Array.from(characters, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer());
    const found = {};
    let start = 0;
    for (const [name, kind, shape] of data.arrays) {
      const length = shape.reduce((product, one) => product * one, 1), width = KINDS[kind].BYTES_PER_ELEMENT;
      const together = new Uint8Array(length * width);
      for (let byte = 0; byte < width; byte++)
        for (let place = 0; place < length; place++) together[place * width + byte] = planes[start + byte * length + place];
      start += length * width;
      found[name] = new KINDS[kind](together.buffer);
    }
    return found;
  }

  /**
   * A colour of the page's theme as it is now.
   * @param {string} name of a variable of the theme, without "--pst-color-"
   * @param {string} otherwise
   * @returns {string}
   */
  const colour = (name, otherwise) =>
    getComputedStyle(document.documentElement).getPropertyValue(`--pst-color-${name}`).trim() || otherwise;

  /**
   * Draw again whenever an element changes its width or the page its theme.
   * @param {Element} element
   * @param {function(): void} draw
   */
  function redraw(element, draw) {
    let width = 0;
    new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== width) draw();
      width = element.clientWidth;
    }).observe(element);
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /**
   * A choice with its label.
   * @param {string} id
   * @param {string} label
   * @param {Array<[string, string]>} options value and name of each
   * @returns {HTMLLabelElement}
   */
  function choice(id, label, options) {
    const select = make("select", { id }, ...options.map(([value, text]) => make("option", { value, text })));
    return make("label", { for: id }, make("span", { text: label }), select);
  }

  /**
   * A table with a row of headings; the first cell of each row is its name.
   * @param {string} caption
   * @param {string[]} headings
   * @param {Array<Array<string|Node>>} rows
   * @returns {HTMLTableElement}
   */
  function table(caption, headings, rows) {
    const cells = (row) => row.map((cell, k) => make(k ? "td" : "th", k ? {} : { scope: "row" }, cell));
    return make(
      "table",
      {},
      make("caption", { text: caption }),
      make("thead", {}, make("tr", {}, ...headings.map((text) => make("th", { scope: "col", text })))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))),
    );
  }

  /**
   * A place for a table that may be wider than it: it takes the focus, so that the arrow keys scroll it.
   * @param {string} label
   * @returns {Element}
   */
  const numbersIn = (label) => make("div", { class: "numbers", role: "group", tabindex: 0, "aria-label": label });

  /**
   * A slider with its label, at whose end stands its value.
   * @param {string} id
   * @param {string} label
   * @param {{min: number, max: number, step: number, value: number}} range
   */
  function slider(id, label, range) {
    const input = make("input", { type: "range", id, ...range }), shown = make("span", { class: "value" });
    const say = (text) => {
      shown.textContent = text;
      input.setAttribute("aria-valuetext", text);
    };
    return { input, label: make("label", { for: id }, label, " ", shown), say };
  }

  /**
   * Fill the page's places for one part, and show them.
   * @param {string} name
   * @param {function(Element, Object<string, string>, Object, ?Object[]): (void|Promise<void>)} build gets the place,
   *   the words, `writer` for their language and, of a part that shows a figure's data, its rows
   */
  function fill(name, build) {
    document.addEventListener("DOMContentLoaded", async () => {
      for (const place of document.querySelectorAll(`.interactive[data-part="${name}"]`)) {
        const read = (what) => JSON.parse(document.getElementById(`${place.id}-${what}`)?.textContent ?? "null");
        const table = read("rows");
        const rows = table?.data.map((row) => Object.fromEntries(table.columns.map((column, k) => [column, row[k]])));
        await build(place, read("words"), writer(place.dataset.language), rows);
        place.hidden = false;
        place.dataset.ready = "";
      }
    });
  }

  const { number, short } = writer(document.documentElement.lang.startsWith("ca") ? "ca" : "en");
  return { SYMBOLS, make, say, writer, number, short, formula, unpack, colour, redraw, choice, numbersIn, slider, table, fill };
})();
