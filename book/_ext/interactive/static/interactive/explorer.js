/** The explorer: every test molecule by its error and its size; one of them in three dimensions, with its errors. */
(() => {
  "use strict";
  const { SYMBOLS, make, say, number, short, formula, unpack, colour, redraw, choice, table, fill } = globalThis.Interactive;
  const MEV = 1000, LEAST = 0.1, MOST = 2e4; // meV, the ends of the axis of errors
  const NEIGHBOURS = 4;
  const COLOURS = { default: "230,159,0", custom: "0,114,178", beyond: "0,158,115" };
  const DARK = { custom: "86,180,233" };
  const EDGE = { left: 62, right: 8, top: 8, bottom: 44 }; // px

  /** The molecules, with what can be read off their atoms. */
  function molecules(data, arrays) {
    const count = arrays.n_atoms.length, first = new Int32Array(count + 1), index = new Int32Array(count);
    for (let m = 0; m < count; m++) {
      first[m + 1] = first[m] + arrays.n_atoms[m];
      index[m] = (m ? index[m - 1] : 0) + arrays.index[m];
    }
    const atoms = first[count], smiles = new TextDecoder().decode(arrays.smiles).split("\n");
    const numbers = (m) => arrays.numbers.subarray(first[m], first[m + 1]);
    const positions = (m) =>
      Array.from(numbers(m), (_, a) => [0, 1, 2].map((axis) => arrays.positions[axis * atoms + first[m] + a] * data.length_step));
    const heavy = Uint8Array.from({ length: count }, (_, m) => numbers(m).filter((z) => z !== 1).length);
    const holds = (m, z) => numbers(m).includes(z);
    const seeds = (model, m) => {
      const errors = arrays[`error_${model}`], found = [];
      for (let seed = 0; seed < errors.length / count; seed++) found.push(errors[seed * count + m] * data.error_step);
      return found;
    };
    /** Error of the seeds' mean, eV; with its size's own mean, if asked for. */
    const error = (model, m, own) => {
      const each = seeds(model, m), size = arrays.n_atoms[m];
      return each.reduce((sum, one) => sum + one, 0) / each.length + (own ? size * data.shifts[model][size] : 0);
    };
    const sizes = { atoms: arrays.n_atoms, heavy, rings: arrays.rings };
    return { count, index, smiles, numbers, positions, holds, seeds, error, sizes };
  }

  /**
   * The molecules most alike one, by Hellinger's distance between their pairs of atoms (see `descriptors.novelty`): all
   * molecules' pairs are counted on the first question.
   */
  function comparer(data, all) {
    const place = { 1: 0, 6: 1, 7: 2, 8: 3, 9: 4 }, kinds = 15, width = kinds * data.nodes;
    let roots = null;
    function count() {
      roots = new Float32Array(all.count * width);
      const step = (data.nodes - 1) / data.cutoff, last = data.nodes - 1 - 1e-9;
      for (let m = 0; m < all.count; m++) {
        const numbers = all.numbers(m), positions = all.positions(m);
        for (let i = 0; i < numbers.length; i++)
          for (let j = 0; j < i; j++) {
            const [a, b] = [positions[i], positions[j]];
            const distance = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
            if (distance >= data.cutoff) continue;
            const one = Math.max(place[numbers[i]], place[numbers[j]]), other = Math.min(place[numbers[i]], place[numbers[j]]);
            const node = Math.min(distance * step, last), below = Math.floor(node);
            const at = m * width + ((one * (one + 1)) / 2 + other) * data.nodes + below;
            roots[at] += 1 - (node - below);
            roots[at + 1] += node - below;
          }
      }
      for (let k = 0; k < roots.length; k++) roots[k] = Math.sqrt(roots[k]);
    }
    return (m, many) => {
      if (!roots) count();
      const found = [];
      for (let other = 0; other < all.count; other++) {
        if (other === m) continue;
        let sum = 0;
        for (let k = 0; k < width; k++) sum += (roots[m * width + k] - roots[other * width + k]) ** 2;
        found.push([Math.sqrt(sum / 2), other]);
      }
      return found.sort((one, other) => one[0] - other[0]).slice(0, many);
    };
  }

  fill("explorer", async (place, words) => {
    const data = globalThis.EXPLORER_DATA, all = molecules(data, await unpack(data)), alike = comparer(data, all);
    const models = Object.keys(data.runs);
    const option = (key) => [key, words[key]];
    const model = choice("explorer-model", words.model, models.map(option));
    const mean = choice("explorer-mean", words.mean, ["training", "own"].map(option));
    const axis = choice("explorer-axis", words.axis, ["atoms", "heavy", "rings"].map(option));
    const elements = [["", words.any], ...Object.entries(SYMBOLS).filter(([z]) => z > 6)];
    const element = choice("explorer-element", words.element, elements);
    const above = make("input", { type: "range", id: "explorer-above", min: -1, max: 4, step: 0.05, value: -1 });
    const threshold = make("span", { class: "value" });
    const told = make("p", { role: "status" });
    const map = make("canvas", { role: "img", "aria-label": words.map });
    const view = make("svg", { class: "molecule" });
    const about = make("div", { class: "about" });
    const step = (text, by) => {
      const button = make("button", { type: "button", text });
      button.addEventListener("click", () => go(by));
      return button;
    };
    const asked = make("input", { type: "text", inputmode: "numeric", id: "explorer-index", size: 7, autocomplete: "off" });
    const ask = make("form", {}, make("label", { for: "explorer-index" }, make("span", { text: words.index }), asked),
      make("button", { text: words.show }));
    place.append(
      make("div", { class: "choices" }, model, mean, axis, element,
        make("label", { for: "explorer-above" }, make("span", {}, words.above, " ", threshold), above)),
      told,
      make("div", { class: "two" },
        make("div", {}, map, make("div", { class: "choices" }, step(words.larger, -1), step(words.smaller, 1), ask)),
        make("div", {}, view, about)),
    );

    const value = (label) => label.querySelector("select").value;
    let errors = new Float64Array(all.count), ranked = [], chosen = -1, at = null;

    /** The molecules that the choices leave, from the largest error to the smallest. */
    function select() {
      const own = value(mean) === "own", z = Number(value(element)), least = Number(above.value);
      const limit = least > -1 ? 10 ** least : 0;
      threshold.textContent = limit ? say(words.mev, { value: short(limit) }) : words.none;
      above.setAttribute("aria-valuetext", threshold.textContent);
      errors = Float64Array.from({ length: all.count }, (_, m) => MEV * all.error(value(model), m, own));
      ranked = Array.from(errors.keys()).filter((m) => Math.abs(errors[m]) >= limit && (!z || all.holds(m, z)));
      ranked.sort((one, other) => Math.abs(errors[other]) - Math.abs(errors[one]));
      const sum = ranked.reduce((total, m) => total + Math.abs(errors[m]), 0);
      const squares = ranked.reduce((total, m) => total + errors[m] ** 2, 0);
      told.textContent = ranked.length
        ? say(words.count, {
            count: number(ranked.length), mae: short(sum / ranked.length, 3), rmse: short(Math.sqrt(squares / ranked.length), 3),
          })
        : words.empty;
      draw();
    }

    function scale(width, height) {
      const values = all.sizes[value(axis)], low = Math.min(...values) - 0.6, high = Math.max(...values) + 0.6;
      const tall = Math.log10(MOST / LEAST), inner = [width - EDGE.left - EDGE.right, height - EDGE.top - EDGE.bottom];
      const x = (size) => EDGE.left + ((size - low) / (high - low)) * inner[0];
      const y = (mev) => EDGE.top + (1 - Math.log10(Math.max(LEAST, mev) / LEAST) / tall) * inner[1];
      // Molecules of one size lie side by side, each always in the same place.
      const spread = (m) => (((m * 0.618034) % 1) - 0.5) * 0.8;
      return { x, y, low, high, of: (m) => [x(values[m] + spread(m)), y(Math.abs(errors[m]))] };
    }

    function draw() {
      const ratio = globalThis.devicePixelRatio || 1, width = map.clientWidth || 600, height = map.clientHeight || 420;
      const pen = map.getContext("2d"), dark = document.documentElement.dataset.theme === "dark";
      [map.width, map.height] = [width * ratio, height * ratio];
      pen.scale(ratio, ratio);
      at = scale(width, height);
      pen.font = "13px sans-serif";
      pen.fillStyle = colour("text-base", "#222");
      pen.strokeStyle = colour("border", "#ccc");
      pen.textAlign = "right";
      for (let mev = LEAST; mev <= MOST; mev *= 10) {
        pen.fillText(short(mev), EDGE.left - 6, at.y(mev) + 4);
        pen.beginPath();
        pen.moveTo(EDGE.left, at.y(mev));
        pen.lineTo(width - EDGE.right, at.y(mev));
        pen.stroke();
      }
      pen.textAlign = "center";
      const every = at.high - at.low > 15 ? 3 : 1;
      for (let size = Math.ceil(at.low / every) * every; size < at.high; size += every)
        pen.fillText(String(size), at.x(size), height - EDGE.bottom + 17);
      pen.fillText(words[value(axis)], (EDGE.left + width - EDGE.right) / 2, height - 6);
      pen.save();
      pen.translate(13, (height - EDGE.bottom + EDGE.top) / 2);
      pen.rotate(-Math.PI / 2);
      pen.fillText(words.error, 0, 0);
      pen.restore();
      const name = value(model);
      pen.fillStyle = `rgba(${(dark && DARK[name]) || COLOURS[name]},0.45)`;
      for (const m of ranked) {
        const [x, y] = at.of(m);
        pen.fillRect(x - 1, y - 1, 2, 2);
      }
      if (chosen >= 0) {
        const [x, y] = at.of(chosen);
        pen.strokeStyle = colour("text-base", "#222");
        pen.lineWidth = 2;
        pen.beginPath();
        pen.arc(x, y, 7, 0, 2 * Math.PI);
        pen.stroke();
      }
    }

    function choose(m) {
      chosen = m;
      const numbers = Array.from(all.numbers(m)), positions = all.positions(m), name = formula(numbers);
      const titles = numbers.map((z, a) => `${SYMBOLS[z]} ${a + 1}`);
      const bonds = globalThis.MoleculeView.bonds(numbers, positions, data);
      globalThis.MoleculeView.show(view, { numbers, positions, bonds, titles, label: say(words.view, { formula: name }) });
      const mev = (error) => number(MEV * error, 1);
      const rows = models.map((key) => [words[key], mev(all.error(key, m, false)), mev(all.error(key, m, true))]);
      const recorded = models.flatMap((key) =>
        all.seeds(key, m).map((error, k) => [words[key], make("code", { text: data.runs[key][k][0] }), mev(error)]));
      const nearest = alike(m, NEIGHBOURS).map(([distance, other]) => {
        const button = make("button", { type: "button", text: String(all.index[other]) });
        button.addEventListener("click", () => choose(other));
        const errors = mev(all.error(value(model), other, value(mean) === "own"));
        return [button, formula(all.numbers(other)), number(distance, 2), errors];
      });
      const parts = { atoms: all.sizes.atoms[m], heavy: all.sizes.heavy[m], rings: all.sizes.rings[m] };
      about.replaceChildren(
        make("p", {}, make("strong", { text: name }), ` · QM9 ${all.index[m]} · `, make("code", { text: all.smiles[m] })),
        make("p", { text: say(words.parts, parts) }),
        table(words.errors, [words.model, words.training, words.own], rows),
        make("details", {}, make("summary", { text: words.alike }),
          table(words.alikeCaption, ["QM9", words.formula, words.distance, words.errorOf], nearest)),
        make("details", {}, make("summary", { text: words.records }),
          table(words.recordsCaption, [words.model, words.record, words.errorOf], recorded)),
      );
      place.dataset.chosen = all.index[m];
      draw();
    }

    function go(by) {
      if (!ranked.length) return;
      const now = ranked.indexOf(chosen);
      choose(ranked[now < 0 ? 0 : Math.min(ranked.length - 1, Math.max(0, now + by))]);
    }

    map.addEventListener("click", (event) => {
      const frame = map.getBoundingClientRect(), x = event.clientX - frame.left, y = event.clientY - frame.top;
      const distance = (m) => Math.hypot(at.of(m)[0] - x, at.of(m)[1] - y);
      if (ranked.length) choose(ranked.reduce((best, m) => (distance(m) < distance(best) ? m : best)));
    });
    ask.addEventListener("submit", (event) => {
      event.preventDefault();
      const m = all.index.indexOf(Number(asked.value));
      if (m >= 0) choose(m);
      else told.textContent = say(words.absent, { index: asked.value });
    });
    for (const label of [model, mean, axis, element]) label.addEventListener("change", select);
    above.addEventListener("input", select);
    redraw(map, draw);
    select();
    choose(ranked[0]);
  });
})();
