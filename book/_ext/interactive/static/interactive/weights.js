/** The report's two loss weights v(s; r) with the rate r on a slider, as `analysis.runs.weights` has them, as printed. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, redraw, table, fill } = globalThis.Interactive;
  const { scales, frame, path } = globalThis.Chart;
  const SIZES = Array.from({ length: 27 }, (_, k) => k + 3); // of QM9's molecules
  const FORMULAS = {
    size: (s, r) => (r === 0 ? 1 : ((s - 7) / 10) ** r / 10 + 1),
    frequency: (s, r) => {
      const argument = (s / 10) ** r / 10 - r / 4.5;
      return r === 0 ? 1 : argument > 0 ? Math.log(argument) : NaN;
    },
  };

  fill("weights", (place, words, { number, short }) => {
    const exponent = slider("weights-rate", words.rate, { min: 0, max: 20, step: 0.5, value: 10 }), rate = exponent.input;
    const plots = Object.keys(FORMULAS).map((name) => {
      const picture = make("svg", { class: "chart", role: "img", "aria-label": words[`${name}Picture`] });
      return { name, picture, told: make("p") };
    });
    const whole = numbersIn(words.table);
    place.append(
      exponent.label,
      rate,
      make("div", { class: "two alike" },
        ...plots.map(({ name, picture, told }) => make("div", {}, make("p", {}, make("strong", { text: words[name] })), picture, told))),
      make("details", {}, make("summary", { text: words.table }), whole),
    );

    function drawOne({ name, picture }) {
      const r = Number(rate.value), points = SIZES.map((s) => [s, FORMULAS[name](s, r)]);
      const finite = points.map((point) => point[1]).filter(Number.isFinite);
      const low = Math.min(0, ...finite), high = Math.max(1, ...finite), room = 0.06 * (high - low);
      const axes = { x: [2, 30], y: [low - room, high + room], names: { x: words.atoms, y: words.weight } };
      const width = Math.max(260, picture.clientWidth || 340), height = 0.5 * width + 110, at = scales(axes, width, height);
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const marks = points.flatMap(([s, v]) => {
        if (Number.isFinite(v))
          return [make("circle", { class: v > 0 ? "of-custom" : "of-wrong", cx: at.x(s), cy: at.y(v), r: 3.5 })];
        const [x, y] = [at.x(s), at.y(low)];
        return [make("path", { class: "cross", d: `M${x - 4},${y - 4}l8,8m-8,0l8,-8` })];
      });
      picture.replaceChildren(
        frame(axes, width, height, short),
        make("line", { class: "axis", x1: at.x(2), x2: at.x(30), y1: at.y(0), y2: at.y(0) }),
        make("path", { class: "curve of-custom", d: path(points, at) }),
        ...marks,
      );
    }

    function tell() {
      const r = Number(rate.value);
      exponent.say(short(r, 3));
      for (const { name, told } of plots) {
        const values = SIZES.map((s) => FORMULAS[name](s, r));
        const none = values.filter(Number.isNaN).length, negative = values.filter((v) => v <= 0).length;
        told.textContent = none + negative ? say(words.wrong, { undefined: none, negative }) : words.right;
      }
      whole.replaceChildren(
        table(`r = ${short(r, 3)}`, [words.atoms, words.size, words.frequency],
          SIZES.map((s) => [
            String(s),
            ...Object.values(FORMULAS).map((formula) => {
              const v = formula(s, r);
              return Number.isFinite(v) ? number(v, 3) : words.undefined;
            }),
          ])),
      );
    }
    const draw = () => plots.forEach(drawOne);
    rate.addEventListener("input", () => {
      draw();
      tell();
    });
    redraw(plots[0].picture, draw);
    draw();
    tell();
  });
})();
