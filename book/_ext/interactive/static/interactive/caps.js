/** Balancing: what a cap on the molecules of each size leaves of the training set. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, redraw, table, fill } = globalThis.Interactive;
  const { scales, frame, legend } = globalThis.Chart;
  const STEP = 100; // molecules

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  fill("caps", (place, words, { number, short }, rows) => {
    const whole = rows.filter((row) => row.series === rows[0].series);
    const sizes = whole.map((row) => row.n_atoms), counts = whole.map((row) => row.training_molecules);
    const most = Math.max(...counts), all = sum(counts);
    // The caps that were trained with: what remains of the sizes that they trim.
    const tried = [...new Set(rows.map((row) => row.series))].slice(1).map((series) =>
      Math.max(...rows.filter((row) => row.series === series).map((row) => row.training_molecules)));
    const cap = slider(`${place.id}-cap`, words.cap, { min: STEP, max: STEP * Math.ceil(most / STEP), step: STEP, value: tried[0] });
    const buttons = tried.map((value) => {
      const button = make("button", { type: "button", text: number(value) });
      button.addEventListener("click", () => {
        cap.input.value = value;
        move();
      });
      return button;
    });
    const picture = make("svg", { class: "chart", role: "img", "aria-label": words.picture });
    const told = make("p", { role: "status" }), numbers = numbersIn(words.table);
    place.append(
      cap.label, cap.input,
      make("div", { class: "choices" }, make("span", { text: words.tried }), ...buttons),
      picture, legend([["custom", words.left], ["count", words.whole]]), told,
      make("details", {}, make("summary", { text: words.table }), numbers),
    );
    const axes = { x: [sizes[0] - 1, sizes.at(-1) + 1], y: [0, 1.04 * most], names: { x: words.atoms, y: words.molecules } };
    const limit = () => Number(cap.input.value), left = () => counts.map((count) => Math.min(count, limit()));
    const mean = (of) => sum(of.map((count, k) => count * sizes[k])) / sum(of);

    function draw() {
      const width = Math.max(260, picture.clientWidth || 680), height = Math.min(420, 0.55 * width + 90);
      const at = scales(axes, width, height), half = (at.x(1) - at.x(0)) * 0.4, line = at.y(Math.min(limit(), axes.y[1]));
      const bar = (of) => (count, k) =>
        make("rect", { class: `of-${of}`, x: at.x(sizes[k]) - half, y: at.y(count), width: 2 * half, height: at.y(0) - at.y(count) });
      picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
      picture.replaceChildren(
        ...counts.map(bar("count")), ...left().map(bar("custom")), frame(axes, width, height, short),
        make("line", { class: "limit", x1: at.x(axes.x[0]), x2: at.x(axes.x[1]), y1: line, y2: line }),
      );
    }

    function move() {
      cap.say(number(limit()));
      const now = left(), share = number((100 * sum(now)) / all);
      told.textContent = say(words.told, {
        left: number(sum(now)), all: number(all), percent: share, mean: number(mean(now), 1), before: number(mean(counts), 1),
        sizes: number(counts.filter((count) => count > limit()).length), of: number(sizes.length),
      });
      numbers.replaceChildren(
        table(words.molecules, [words.atoms, words.whole, words.left],
          sizes.map((size, k) => [String(size), number(counts[k]), number(now[k])])));
      draw();
    }
    cap.input.addEventListener("input", move);
    redraw(picture, draw);
    move();
  });
})();
