/** A trajectory to watch: a molecule frame by frame, with its energies and the bond that is stretched most. */
(() => {
  "use strict";
  const { SYMBOLS, make, say, slider, formula, unpack, fill } = globalThis.Interactive;
  const { bonds: bonded, show } = globalThis.MoleculeView;
  const PACE = 0.03; // fs shown in a ms: a bond to hydrogen swings some three times a second

  fill("trajectory", async (place, words, { number }) => {
    const data = globalThis.TRAJECTORY_DATA, { numbers, positions, potential, kinetic } = await unpack(data);
    const count = potential.length, atoms = numbers.length;
    const frame = (k) =>
      Array.from(numbers, (_, a) => [0, 1, 2].map((axis) => positions[3 * (k * atoms + a) + axis] * data.length_step));
    const [minimum, ...frames] = Array.from({ length: count + 1 }, (_, k) => frame(k));
    const bonds = bonded(numbers, frames[0], data), name = (a) => `${SYMBOLS[numbers[a]]}${a + 1}`;
    const length = (all, [i, j]) => Math.hypot(...all[i].map((value, axis) => value - all[j][axis]));
    const rest = bonds.map((pair) => length(minimum, pair));

    const button = make("button", { type: "button", text: words.play });
    const time = slider(`${place.id}-time`, words.time, { min: 0, max: count - 1, step: 1, value: 0 });
    const view = make("svg", { class: "molecule" }), told = make("dl", { "aria-live": "polite" });
    const shown = Object.fromEntries(["potential", "kinetic", "total", "bond"].map((key) => [key, make("dd")]));
    told.append(...Object.entries(shown).flatMap(([key, value]) => [make("dt", { text: words[key] }), value]));
    place.append(
      make("div", { class: "choices" }, button), time.label, time.input,
      make("div", { class: "two" }, view, told),
    );
    const titles = Array.from(numbers, (_, a) => name(a));
    const label = say(words.view, { formula: formula(numbers) });
    const move = show(view, { numbers, positions: frames[0], bonds, titles, label });

    function tell() {
      const k = Number(time.input.value), now = frames[k];
      time.say(`${number(k * data.every)} fs`);
      const energies = { potential: potential[k], kinetic: kinetic[k], total: potential[k] + kinetic[k] };
      for (const [key, energy] of Object.entries(energies)) shown[key].textContent = `${number(energy, 3)} eV`;
      const stretch = bonds.map((pair, b) => length(now, pair) / rest[b]);
      const most = stretch.indexOf(Math.max(...stretch));
      shown.bond.textContent = most < 0 ? "–" : say(words.stretched, {
        bond: bonds[most].map(name).join("–"),
        length: number(length(now, bonds[most]), 3),
        percent: number(100 * stretch[most], 1),
      });
      move(now);
    }

    // It starts by the button alone; what changes many times a second is not read out.
    let playing = 0, since = 0, from = 0;
    function step(now) {
      since ||= now;
      const k = (from + Math.floor(((now - since) * PACE) / data.every)) % count;
      if (k !== Number(time.input.value)) {
        time.input.value = k;
        tell();
      }
      playing = requestAnimationFrame(step);
    }
    function play(on) {
      cancelAnimationFrame(playing);
      [playing, since, from] = [0, 0, Number(time.input.value)];
      button.textContent = on ? words.pause : words.play;
      told.setAttribute("aria-live", on ? "off" : "polite");
      if (on) playing = requestAnimationFrame(step);
    }
    button.addEventListener("click", () => play(!playing));
    time.input.addEventListener("input", () => {
      play(false);
      tell();
    });
    tell();
  });
})();
