/** Learning curves, one per run: what each had reached if the training had been stopped after some epoch. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, table, fill } = globalThis.Interactive;
  const { legend, path } = globalThis.Chart;
  const { chart, around } = globalThis.Pointing;
  const COLOURS = ["other", "wrong", "custom"]; // of the series, in the order of the rows

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  fill("epochs", (place, words, { number, short }, rows) => {
    const series = [...new Set(rows.map((row) => row.series))];
    const keys = [...new Set(rows.map((row) => `${series.indexOf(row.series)} ${row.run}`))];
    const runs = keys.map((key) => {
      const [place, run] = key.split(" ");
      const own = rows.filter((row) => row.run === run && row.series === series[place]);
      const points = own.map((row) => [row.epoch, row.validation_loss_eV2]).sort((one, other) => one[0] - other[0]);
      return { key, run, seed: own[0].seed, series: series[place], of: COLOURS[place % COLOURS.length], points };
    });
    const last = Math.max(...rows.map((row) => row.epoch)), first = Math.min(...rows.map((row) => row.epoch));
    const stop = slider(`${place.id}-stop`, words.stop, { min: first, max: last, step: 1, value: last });
    const told = numbersIn(words.mse);
    const after = ({ points }, epoch) => points.filter((point) => point[0] <= epoch).at(-1);
    const axes = {
      x: [first - 0.5, last + 0.5], y: around(rows.map((row) => row.validation_loss_eV2), true), logY: true,
      names: { x: words.epoch, y: words.mse },
    };

    const points = chart(words.picture, words.hint, short, (chosen) => {
      const epoch = Number(stop.input.value);
      const marks = runs.map((run) => {
        const [x, y] = after(run, epoch);
        const says = say(words.run, { series: run.series, run: run.run, seed: number(run.seed), epoch: number(x), mse: short(y, 3) });
        return { key: run.key, x, y, of: run.of, says };
      });
      const below = (at) => [
        ...runs.map((run) =>
          make("path", { class: `${run.key === chosen ? "curve" : "thin"} of-${run.of}`, d: path(run.points, at) })),
        make("line", { class: "limit", x1: at.x(epoch), x2: at.x(epoch), y1: at.y(axes.y[0]), y2: at.y(axes.y[1]) }),
      ];
      return { axes, below, marks };
    });

    function move() {
      const epoch = Number(stop.input.value);
      stop.say(number(epoch));
      told.replaceChildren(
        table(say(words.reached, { epoch: number(epoch) }), [words.series, words.runs, words.mean, words.lowest, words.highest],
          series.map((name) => {
            const values = runs.filter((run) => run.series === name).map((run) => after(run, epoch)[1]);
            return [name, number(values.length), ...[mean(values), Math.min(...values), Math.max(...values)].map((one) => short(one, 3))];
          })));
      points.refresh();
    }
    place.append(
      stop.label, stop.input, points.picture, legend(series.map((name, k) => [COLOURS[k % COLOURS.length], name])), points.told, told,
    );
    stop.input.addEventListener("input", move);
    move();
  });
})();
