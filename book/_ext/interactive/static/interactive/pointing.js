/** A chart whose points say what they are: to the mouse, to a finger or, once it has the focus, to the arrow keys. */
globalThis.Pointing = (() => {
  "use strict";
  const { make, redraw } = globalThis.Interactive;
  const { scales, frame } = globalThis.Chart;
  const NEAR = 40; // px, from where a point is meant
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };

  /**
   * @typedef {Object} Mark
   * @property {string|number} key tells it from the others, from one drawing to the next
   * @property {number} x
   * @property {number} y in the axes' units
   * @property {string} of the class of its colour, without its "of-"
   * @property {string} says what it is
   */

  /**
   * A chart and the sentence below it, which says what is pointed at.
   * @param {string} label what the chart shows
   * @param {string} hint what stands below it while nothing is pointed at
   * @param {function(number, number=): string} short writes a number (see `writer`)
   * @param {function(?(string|number)): {axes: Object, below: function(Object): Element[], marks: Mark[]}} describe gets the
   *   key of the mark pointed at; `below` gets the scales, and gives what is drawn behind the marks
   * @returns {{picture: SVGElement, told: HTMLElement, refresh: function(): void}}
   */
  function chart(label, hint, short, describe) {
    const picture = make("svg", { class: "chart points", role: "img", tabindex: 0, "aria-label": label });
    const told = make("p", { class: "pointed", role: "status" });
    let marks = [], chosen = null;

    function refresh() {
      const { axes, below, marks: given } = describe(chosen);
      const width = Math.max(260, picture.clientWidth || 680), height = Math.min(420, 0.55 * width + 90);
      const at = scales(axes, width, height);
      marks = given.map((one) => ({ ...one, cx: at.x(one.x), cy: at.y(one.y) }));
      marks.sort((one, other) => one.cx - other.cx || other.cy - one.cy);
      const pointed = marks.find((one) => one.key === chosen);
      const circles = marks.map(({ cx, cy, of }) => make("circle", { class: `of-${of}`, cx, cy, r: 4.5 }));
      if (pointed) circles.push(make("circle", { class: "ring", cx: pointed.cx, cy: pointed.cy, r: 9 }));
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.replaceChildren(frame(axes, width, height, short), ...below(at), ...circles);
      told.textContent = pointed?.says ?? hint;
    }

    function point(key) {
      if (key === chosen) return;
      chosen = key;
      refresh();
    }
    picture.onpointermove = picture.onpointerdown = (event) => {
      const box = picture.getBoundingClientRect();
      const distance = (one) => Math.hypot(one.cx - event.clientX + box.left, one.cy - event.clientY + box.top);
      const nearest = marks.reduce((best, one) => (!best || distance(one) < distance(best) ? one : best), null);
      if (nearest && distance(nearest) < NEAR) point(nearest.key);
    };
    picture.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in STEPS) || !marks.length) return;
      const now = marks.findIndex((one) => one.key === chosen), first = now < 0 && Number.isFinite(STEPS[event.key]);
      const next = first ? 0 : Math.min(marks.length - 1, Math.max(0, now + STEPS[event.key]));
      event.preventDefault();
      point(marks[next].key);
    };
    redraw(picture, refresh);
    return { picture, told, refresh };
  }

  /** The ends of an axis around values, with some room; on a logarithmic one, the room is a factor. */
  function around(values, log) {
    const low = Math.min(...values), high = Math.max(...values);
    if (log) return [low / (high / low) ** 0.06, high * (high / low) ** 0.06];
    return [low - 0.05 * (high - low), high + 0.05 * (high - low)];
  }

  return { chart, around };
})();
