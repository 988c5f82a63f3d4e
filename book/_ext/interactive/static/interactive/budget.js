/** Accuracy against minutes: how far the trainings get that a reader has the time for, beside what others report. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, choice, table, fill } = globalThis.Interactive;
  const { legend, path } = globalThis.Chart;
  const { chart, around } = globalThis.Pointing;
  const MEASURES = { mae: "mae_meV", mse: "mse_eV2" };

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  fill("budget", (place, words, { number, short }, rows) => {
    const ours = rows.filter((row) => row.run), others = rows.filter((row) => !row.run);
    const groups = [...new Set(ours.map((row) => row.epochs))].map((epochs) => {
      const of = ours.filter((row) => row.epochs === epochs), minutes = of.map((row) => row.minutes);
      return { epochs, of, longest: Math.max(...minutes), minutes: mean(minutes) };
    }).sort((one, other) => one.minutes - other.minutes);
    const powers = ours.map((row) => Math.log10(row.minutes)), most = Math.ceil(10 * Math.max(...powers)) / 10;
    const spend = slider(`${place.id}-minutes`, words.minutes, {
      min: Math.floor(10 * Math.min(...powers)) / 10, max: most, step: 0.01, value: most - 1,
    });
    const measure = choice(`${place.id}-measure`, words.measure, Object.keys(MEASURES).map((name) => [name, words[name]]));
    const told = make("p", { role: "status" }), numbers = numbersIn(words.table);
    const asked = () => MEASURES[measure.querySelector("select").value];
    const middle = (row) => Math.sqrt(row.minutes * (row.most_minutes ?? row.minutes));
    const minutes = () => 10 ** spend.input.value;

    const points = chart(words.picture, words.hint, short, () => {
      const name = asked(), shown = others.filter((row) => row[name] !== null);
      const timed = shown.filter((row) => row.minutes !== null), untimed = shown.filter((row) => row.minutes === null);
      const errors = [...ours, ...shown].map((row) => row[name]);
      const times = [...ours.map((row) => row.minutes), ...timed.flatMap((row) => [row.minutes, row.most_minutes ?? row.minutes])];
      const axes = {
        x: around(times, true), logX: true, y: around(errors, true), logY: true,
        names: { x: words.time, y: words[measure.querySelector("select").value] },
      };
      const says = (row) =>
        row.run
          ? say(words.ours, { epochs: number(row.epochs), seed: number(row.seed), minutes: short(row.minutes, 3), error: short(row[name], 3), run: row.run })
          : say(words.theirs, { series: row.series, minutes: short(middle(row), 2), error: short(row[name], 3) });
      const marks = [...ours, ...timed].map((row) => ({
        key: row.run ?? row.series, x: middle(row), y: row[name], of: row.run ? "beyond" : "wrong", says: says(row),
      }));
      const below = (at) => [
        ...untimed.flatMap((row) => {
          const y = at.y(row[name]), [left, right] = axes.x.map(at.x);
          return [
            make("line", { class: "before of-custom", x1: left, x2: right, y1: y, y2: y }),
            make("text", { x: right, y: y - 4, "text-anchor": "end", text: row.series }),
          ];
        }),
        ...timed.map((row) => make("path", { class: "curve of-wrong", d: path([[row.minutes, row[name]], [row.most_minutes ?? row.minutes, row[name]]], at) })),
        make("path", { class: "thin of-beyond", d: path(groups.map((group) => [group.minutes, mean(group.of.map((row) => row[name]))]), at) }),
        make("line", { class: "limit", x1: at.x(minutes()), x2: at.x(minutes()), y1: at.y(axes.y[0]), y2: at.y(axes.y[1]) }),
      ];
      return { axes, below, marks };
    });

    function move() {
      const name = asked(), done = groups.filter((group) => group.longest <= minutes()), values = { minutes: short(minutes()) };
      spend.say(values.minutes);
      const best = done.toSorted((one, other) => mean(one.of.map((row) => row[name])) - mean(other.of.map((row) => row[name])))[0];
      if (best) {
        const errors = best.of.map((row) => row[name]), written = errors.map((error) => short(error, 3));
        const range = [Math.min(...errors), Math.max(...errors)].map((error) => short(error, 3));
        told.textContent = say(errors.length > 1 ? words.reached : words.once, {
          ...values, epochs: number(best.epochs), seeds: number(errors.length), error: short(mean(errors), 3),
          measure: words[measure.querySelector("select").value], low: range[0], high: range[1],
        });
      } else told.textContent = say(words.nothing, values);
      points.refresh();
    }
    numbers.append(
      table(words.caption, [words.epochs, words.seeds, words.time, words.mae, words.mse],
        groups.map(({ epochs, of, minutes }) => [
          number(epochs), number(of.length), short(minutes, 3), short(mean(of.map((row) => row.mae_meV)), 3), short(mean(of.map((row) => row.mse_eV2)), 3),
        ])));
    place.append(
      spend.label, spend.input, make("div", { class: "choices" }, measure), points.picture,
      legend([["beyond", words.beyond], ["wrong", words.timed], ["custom", words.untimed]]), points.told, told,
      make("details", {}, make("summary", { text: words.table }), numbers),
    );
    spend.input.addEventListener("input", move);
    measure.addEventListener("change", move);
    move();
  });
})();
