/** A hyperparameter search: what each trial was, and which of them the rule takes, depending on its tolerance. */
(() => {
  "use strict";
  const { make, numbersIn, say, slider, choice, table, fill } = globalThis.Interactive;
  const { legend, path } = globalThis.Chart;
  const { chart, around } = globalThis.Pointing;
  const OUTSIDE = 10; // times the median error: drawn at the upper edge
  const MOST = 300; // per cent, the largest tolerance
  const OTHERS = [0, 5, 10, 25, 50, 100, 200]; // per cent, of the table
  const SPREAD = 8; // hyperparameters that vary by more than this factor have a logarithmic axis

  fill("trials", (place, words, { number, short }, rows) => {
    const trials = rows.map((row) => ({ ...row, minutes: row.wall_time_s / 60, mse: row.validation_mse_eV2 }));
    const varied = Object.keys(rows[0]).filter((name) => name in words && new Set(trials.map((trial) => trial[name])).size > 1);
    const ordered = trials.map((trial) => trial.mse).sort((one, other) => one - other);
    const best = ordered[0], most = OUTSIDE * ordered[Math.floor(ordered.length / 2)];
    const front = trials.filter((trial) => trial.on_front).sort((one, other) => one.minutes - other.minutes);
    const within = (trial, percent) => trial.mse <= best * (1 + percent / 100);
    const taken = (percent) => front.find((trial) => within(trial, percent));

    const tolerance = slider(`${place.id}-tolerance`, words.tolerance, {
      min: 0, max: MOST, step: 5, value: 100 * globalThis.TRIALS_DATA.tolerance,
    });
    const axis = choice(`${place.id}-axis`, words.axis, [["minutes", words.time], ...varied.map((name) => [name, words[name]])]);
    const value = (trial, name) => short(trial[name], 3);
    const about = (trial) =>
      say(words.trial, {
        values: varied.map((name) => `${words[name]}: ${value(trial, name)}`).join("; "),
        minutes: number(trial.minutes, 1), mse: short(trial.mse, 3), run: trial.run,
      });
    const told = make("p", { role: "status" }), numbers = numbersIn(words.table);

    const points = chart(words.picture, words.hint, short, () => {
      const percent = Number(tolerance.input.value), name = axis.querySelector("select").value;
      const places = trials.map((trial) => trial[name]), log = name !== "minutes" && Math.max(...places) / Math.min(...places) > SPREAD;
      const inside = trials.map((trial) => trial.mse).filter((mse) => mse <= most);
      const axes = {
        x: around(places, log), logX: log, y: around(inside, true), logY: true,
        names: { x: name === "minutes" ? words.time : words[name], y: words.mse },
      };
      const of = (trial) => {
        if (trial === taken(percent)) return "wrong";
        if (trial.series === words.report_choice) return "default";
        return within(trial, percent) ? "custom" : "other";
      };
      const marks = trials.map((trial) => ({
        key: trial.run, x: trial[name], y: Math.min(trial.mse, axes.y[1]), of: of(trial), says: about(trial),
      }));
      const below = (at) => {
        const [left, right] = axes.x.map(at.x), y = at.y(Math.min(axes.y[1], best * (1 + percent / 100)));
        const steps = front.flatMap((trial, k) => [...(k ? [[trial.minutes, front[k - 1].mse]] : []), [trial.minutes, trial.mse]]);
        return [
          make("line", { class: "limit", x1: left, x2: right, y1: y, y2: y }),
          ...(name === "minutes" ? [make("path", { class: "before of-start", d: path(steps, at) })] : []),
          ...trials.filter((trial) => trial.mse > axes.y[1]).map((trial) =>
            make("text", { x: at.x(trial[name]) + 8, y: at.y(axes.y[1]) + 12, text: `↑ ${short(trial.mse)}` })),
        ];
      };
      return { axes, below, marks };
    });

    function move() {
      const percent = Number(tolerance.input.value), trial = taken(percent);
      tolerance.say(say(words.percent, { percent: number(percent) }));
      told.textContent = say(words.taken, {
        trial: about(trial), some: number(trials.filter((one) => within(one, percent)).length), all: number(trials.length),
      });
      points.refresh();
    }
    numbers.append(
      table(words.others, [words.tolerated, words.time, words.mse, ...varied.map((name) => words[name])],
        OTHERS.map((percent) => {
          const trial = taken(percent);
          return [
            say(words.percent, { percent: number(percent) }), number(trial.minutes, 1), short(trial.mse, 3),
            ...varied.map((name) => value(trial, name)),
          ];
        })));
    place.append(
      tolerance.label, tolerance.input, make("div", { class: "choices" }, axis), points.picture,
      legend([["wrong", words.takes], ["default", words.report_choice], ["custom", words.within], ["other", words.rest], ["start", words.front]]), points.told, told,
      make("details", {}, make("summary", { text: words.table }), numbers),
    );
    tolerance.input.addEventListener("input", move);
    axis.addEventListener("change", points.refresh);
    move();
  });
})();
