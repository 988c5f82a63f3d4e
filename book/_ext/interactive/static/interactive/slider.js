/** The slider: from the training set's mean to each size's own, and what becomes of the error by size. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, redraw, table, fill } = globalThis.Interactive;
  const { scales, frame, path, legend } = globalThis.Chart;
  const STEPS = 100;

  /** Per seed and size the mean squared error, eV², with the mean a share `t` of the way. */
  const errors = ({ network, cross, offset }, t) =>
    network.map((seed, k) => seed.map((value, size) => value + t * cross[k][size] + t * t * offset[k][size]));

  /** The mean over seeds, and the least and the largest, of each size. */
  const summary = (seeds) =>
    seeds[0].map((_, size) => {
      const values = seeds.map((seed) => seed[size]);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return { mean, low: Math.min(...values), high: Math.max(...values) };
    });

  /** Spearman's correlation of two lists of numbers. */
  function correlation(one, other) {
    const ranks = (values) =>
      values.map((value) => {
        const below = values.filter((each) => each < value).length, alike = values.filter((each) => each === value).length;
        return below + (alike - 1) / 2;
      });
    const centred = (values) => values.map((value) => value - (values.length - 1) / 2);
    const [a, b] = [one, other].map((values) => centred(ranks(values)));
    const product = (x, y) => x.reduce((sum, value, k) => sum + value * y[k], 0);
    return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
  }

  fill("slider", (place, words, { number, short }) => {
    const data = globalThis.SLIDER_DATA, models = Object.entries(data.models);
    const share = slider(`${place.id}-share`, words.share, { min: 0, max: STEPS, step: 1, value: 0 }), range = share.input;
    const picture = make("svg", { class: "chart", role: "img", "aria-label": words.picture });
    const said = numbersIn(words.table), whole = numbersIn(words.table);
    const folded = make("details", {}, make("summary", { text: words.table }), whole);
    place.append(
      share.label,
      range,
      make("div", { class: "ends", "aria-hidden": "true" }, make("span", { text: words.low }), make("span", { text: words.high })),
      picture,
      legend([...models.map(([name]) => [name, words[name]]), ["start", words.start], ["count", words.count]]),
      folded,
    );
    if ("brief" in place.dataset) {
      place.prepend(make("p", { text: words.drag }));
      whole.before(said);
    } else folded.before(said);
    const every = [0, 0.25, 0.5, 0.75, 1].flatMap((t) => models.flatMap(([, model]) => errors(model, t).flat()));
    const axes = {
      x: [data.sizes[0] - 0.6, data.sizes.at(-1) + 0.6], y: [Math.min(...every) / 1.3, Math.max(...every) * 1.3], logY: true,
      names: { x: words.atoms, y: words.mse },
    };
    const most = Math.max(...data.molecules);

    function draw() {
      const t = range.value / STEPS, width = Math.max(280, picture.clientWidth || 680), height = Math.min(420, 0.62 * width + 60);
      const at = scales(axes, width, height), bottom = at.y(axes.y[0]), half = (at.x(1) - at.x(0)) * 0.4;
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      const bars = data.molecules.map((count, k) => {
        const tall = (count / most) * 0.3 * (bottom - at.y(axes.y[1]));
        return make("rect", { class: "of-count", x: at.x(data.sizes[k]) - half, y: bottom - tall, width: 2 * half, height: tall });
      });
      const curves = models.flatMap(([name, model]) => {
        const line = (of, get) => of.map((one, k) => [data.sizes[k], get(one)]);
        const now = summary(errors(model, t)), before = summary(errors(model, 0));
        const around = [...line(now, (one) => one.high), ...line(now, (one) => one.low).reverse()];
        const middle = line(now, (one) => one.mean);
        return [
          make("path", { class: `before of-${name}`, d: path(line(before, (one) => one.mean), at) }),
          make("path", { class: `band of-${name}`, d: `${path(around, at)}Z` }),
          make("path", { class: `curve of-${name}`, d: path(middle, at) }),
          ...middle.map(([x, y]) => make("circle", { class: `of-${name}`, cx: at.x(x), cy: at.y(y), r: 3.5 })),
        ];
      });
      picture.replaceChildren(...bars, frame(axes, width, height, short), ...curves);
    }

    function tell() {
      const t = range.value / STEPS;
      const found = models.map(([name, model]) => [name, summary(errors(model, t)).map((one) => one.mean)]);
      share.say(say(words.position, { percent: number(100 * t) }));
      said.replaceChildren(
        table(
          say(words.position, { percent: number(100 * t) }),
          [words.model, words.lowest, words.ratio, words.correlation],
          found.map(([name, means]) => [
            words[name],
            String(data.sizes[means.indexOf(Math.min(...means))]),
            short(Math.max(...means) / Math.min(...means)),
            number(correlation(means, data.molecules), 2),
          ]),
        ),
      );
      whole.replaceChildren(
        table(
          words.mse,
          [words.atoms, words.molecules, ...models.map(([name]) => words[name])],
          data.sizes.map((size, k) => [
            String(size), number(data.molecules[k]), ...found.map(([, means]) => short(means[k], 3)),
          ]),
        ),
      );
    }
    const moved = () => {
      draw();
      tell();
    };
    range.addEventListener("input", moved);
    redraw(picture, draw);
    moved();
  });
})();
