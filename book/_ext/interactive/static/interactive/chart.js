/** A small chart as SVG: axes, lines, bars. Its unit is the pixel, so that its letters have one size on every screen. */
globalThis.Chart = (() => {
  "use strict";
  const { make } = globalThis.Interactive;
  const LEFT = 58, RIGHT = 10, TOP = 10, BOTTOM = 44;

  /** Round numbers of a linear axis; of a logarithmic one the powers of ten, with as many between them as it takes. */
  function ticks([low, high], log) {
    if (log) {
      let found = [];
      for (const factors of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 7]]) {
        if (found.length > 2) break;
        found = [];
        for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
          found.push(...factors.map((factor) => factor * 10 ** power));
        found = found.filter((value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9));
      }
      return found;
    }
    const rough = (high - low) / 6, base = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * base).find((one) => one >= rough);
    const first = Math.ceil(low / step), found = [];
    for (let k = first; k * step <= high + 1e-9 * step; k++) found.push(k * step);
    return found;
  }

  /**
   * Where values lie on the picture.
   * @param {{x: [number, number], y: [number, number], logX?: boolean, logY?: boolean}} ranges
   * @param {number} width
   * @param {number} height
   */
  function scales(ranges, width, height) {
    const share = (value, [low, high], log) => {
      const of = log ? Math.log10 : (one) => one;
      return (of(value) - of(low)) / (of(high) - of(low));
    };
    return {
      x: (value) => LEFT + share(value, ranges.x, ranges.logX) * (width - LEFT - RIGHT),
      y: (value) => height - BOTTOM - share(value, ranges.y, ranges.logY) * (height - TOP - BOTTOM),
    };
  }

  /**
   * Axes with their numbers and names, and a line of the grid at each number of the y axis.
   * @param {{x: [number, number], y: [number, number], logX?: boolean, logY?: boolean, names: {x: string, y: string}}} axes
   * @param {number} width
   * @param {number} height
   * @param {function(number, number=): string} short writes a number (see `writer`)
   * @returns {SVGElement}
   */
  function frame(axes, width, height, short) {
    const at = scales(axes, width, height), group = make("g", { class: "frame" }), bottom = height - BOTTOM;
    for (const value of ticks(axes.y, axes.logY)) {
      const y = at.y(value);
      group.append(
        make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
        make("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end", text: short(value) }),
      );
    }
    for (const value of ticks(axes.x, axes.logX))
      group.append(make("text", { x: at.x(value), y: bottom + 17, "text-anchor": "middle", text: short(value, 3) }));
    const middle = (TOP + bottom) / 2;
    group.append(
      make("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: bottom, y2: bottom }),
      make("text", { class: "name", x: (LEFT + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle", text: axes.names.x }),
      make("text", {
        class: "name", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})`, text: axes.names.y,
      }),
    );
    return group;
  }

  /** The path through points; where a y is not finite or not on a logarithmic scale, it breaks off. */
  function path(points, at) {
    let pen = "M";
    return points
      .map(([x, y]) => {
        const place = [at.x(x), at.y(y)];
        if (!place.every(Number.isFinite)) {
          pen = "M";
          return "";
        }
        const step = `${pen}${place.map((value) => value.toFixed(1)).join(",")}`;
        pen = "L";
        return step;
      })
      .join("");
  }

  /**
   * A list of what colours stand for.
   * @param {Array<[string, string]>} entries the class of each, without its "of-", and its words
   * @returns {HTMLUListElement}
   */
  const legend = (entries) =>
    make("ul", { class: "legend" }, ...entries.map(([name, text]) => make("li", {}, make("span", { class: `swatch of-${name}` }), text)));

  return { scales, frame, path, legend };
})();
