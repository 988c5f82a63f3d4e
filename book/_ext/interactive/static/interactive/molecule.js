/** A molecule of the reader's: a SMILES, a drawing, an XYZ text or file, and what the networks say of it. */
(() => {
  "use strict";
  const { SYMBOLS, make, numbersIn, say, number, formula, table, choice, fill } = globalThis.Interactive;
  const { Prediction, Domain, MoleculeView } = globalThis;
  const EXAMPLES = { ethanol: "CCO", benzene: "c1ccccc1", glycine: "NCC(=O)O", phenylalanine: "NC(Cc1ccccc1)C(=O)O" };
  const WATER = "3\n\nO 0.000 0.000 0.119\nH 0.000 0.763 -0.477\nH 0.000 -0.763 -0.477";
  const SIGNIFICANT = ["close", "apart", "unbound"]; // whose numbers are written with three digits

  fill("molecule", async (place, words) => {
    const data = globalThis.MOLECULE_DATA, { limits } = data;
    const predictor = await Prediction.predictor(data);
    const smiles = make("input", {
      type: "text", id: "molecule-smiles", value: EXAMPLES.ethanol, autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    });
    const ask = make("form", { class: "wide" },
      make("label", { for: "molecule-smiles", text: words.smiles }), smiles, make("button", { text: words.predict }));
    const examples = make("div", { class: "choices" },
      make("span", { text: words.examples }),
      ...Object.entries(EXAMPLES).map(([name, text]) => {
        const button = make("button", { type: "button", text: words[name] });
        button.addEventListener("click", () => {
          smiles.value = text;
          ask.requestSubmit();
        });
        return button;
      }));
    const canvas = make("div", { class: "editor" });
    const drawing = make("details", { id: "molecule-drawing" }, make("summary", { text: words.draw }), canvas);
    const xyz = make("textarea", { id: "molecule-xyz", rows: 8, spellcheck: "false", autocapitalize: "off", placeholder: WATER });
    const file = make("input", { type: "file", id: "molecule-file", accept: ".xyz,.extxyz,.txt" });
    const kinds = ["unknown", "dft", "xtb", "mmff"].map((kind) => [kind, words[kind]]);
    const kind = choice("molecule-kind", words.kind, kinds);
    const place3d = make("form", {},
      make("label", { for: "molecule-xyz", text: words.xyz }), xyz,
      make("div", { class: "choices" },
        make("label", { for: "molecule-file" }, make("span", { text: words.file }), file), kind,
        make("button", { text: words.predictGeometry })));
    const geometry = make("details", { id: "molecule-geometry" }, make("summary", { text: words.give }), place3d);
    const told = make("div", { class: "told", role: "status" });
    const view = make("svg", { class: "molecule" });
    const shares = numbersIn(words.shares);
    const whole = make("details", {}, make("summary", { text: words.shares }), make("p", { text: words.sharesNote }), shares);
    place.append(ask, examples, drawing, geometry, make("div", { class: "two" }, make("div", {}, told, whole), view));

    /** A refusal or a warning in words. */
    function sentence({ key, values }) {
      if (key === "outside") {
        const said = sentence(values.warnings[0]), more = values.warnings.length - 1;
        return more ? say(words.outsideMore, { said, more: number(more) }) : say(words.outside, { said });
      }
      const written = { ...values };
      for (const [name, value] of Object.entries(values))
        if (typeof value === "number" && !Number.isInteger(value)) {
          const three = name === "typical" || SIGNIFICANT.includes(key);
          written[name] = three ? number(Number(value.toPrecision(3)), 12, 0) : number(value, 3);
        } else if (typeof value === "number") written[name] = number(value);
      if (key === "close") written.nearest = number(values.nearest, 1);
      return say(words[key], written);
    }

    function show(found) {
      const pairs = [
        [words.atomisation, `${number(found.atomisation, 3)} eV · ${number(found.atomisation / data.networks.dft.kcal, 1)} kcal/mol`],
        [words.energy, `${number(found.energy, 3)} eV · ${number(found.energy / data.networks.dft.hartree, 5)} Ha`],
        [words.interval, found.interval
          ? say(words.between, { low: number(found.interval[0], 3), high: number(found.interval[1], 3), level: number(100 * limits.intervals.level) })
          : words.noInterval],
        [words.spreadName, `${number(found.spread, 3)} eV`],
      ];
      const said = found.warnings.map((one) => say(words.warning, { said: sentence(one) }));
      if (found.kind === "mmff" && found.fromSmiles)
        said.push(say(words.conformer, { mae: number(limits.intervals.scales.mmff.mae, 3) }));
      told.replaceChildren(
        make("p", { class: "formula", text: formula(found.numbers) }),
        make("dl", {}, ...pairs.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: value })])),
        make("ul", { class: "warnings" }, ...said.map((text) => make("li", { text }))),
      );
      const name = (a) => `${SYMBOLS[found.numbers[a]]} ${a + 1}`;
      shares.replaceChildren(
        table(words.sharesCaption, [words.atom, words.share, words.networks],
          found.atoms.map(({ share, spread }, a) => [name(a), number(share, 3), number(spread, 3)])));
      whole.hidden = false;
      const { bonds } = Domain.look(limits, found.numbers, found.positions);
      const titles = found.atoms.map(({ share }, a) => `${name(a)}: ${number(share, 2)} eV`);
      MoleculeView.show(view, { ...found, bonds, titles, label: say(words.view, { formula: formula(found.numbers) }) });
      view.removeAttribute("hidden");
    }

    function refuse({ refused, canBeAsked }, again) {
      const button = make("button", { type: "button", text: words.askOutside });
      button.addEventListener("click", again);
      told.replaceChildren(
        make("p", { class: "warnings", text: say(words.refusal, { said: sentence(refused) }) }),
        ...(canBeAsked ? [button] : []),
      );
      whole.hidden = true;
      view.setAttribute("hidden", "");
    }

    /** Read, predict, show; what is said first is painted before the browser is busy. */
    function go(read, fromSmiles, outside = false) {
      place.dataset.state = "working";
      told.replaceChildren(make("p", { text: words.working }));
      setTimeout(() => {
        const given = read(), found = given.refused ? given : predictor.predict(given, outside);
        if (found.refused) refuse(found, () => go(() => given, fromSmiles, true));
        else show({ ...found, fromSmiles });
        place.dataset.state = found.refused ? "refused" : "done";
      }, 30);
    }

    ask.addEventListener("submit", (event) => {
      event.preventDefault();
      go(() => predictor.fromSmiles(smiles.value.trim()), true);
    });
    place3d.addEventListener("submit", (event) => {
      event.preventDefault();
      go(() => predictor.fromXyz(xyz.value, kind.querySelector("select").value), false);
    });
    file.addEventListener("change", async () => {
      if (!file.files.length) return;
      xyz.value = await file.files[0].text();
      place3d.requestSubmit();
    });
    let editor = null;
    drawing.addEventListener("toggle", () => {
      if (!drawing.open || editor) return;
      editor = new globalThis.OCL.CanvasEditor(canvas);
      try {
        editor.setMolecule(globalThis.OCL.Molecule.fromSmiles(smiles.value.trim()));
      } catch {
        // What stands in the field is no structure: the drawing begins empty.
      }
      editor.setOnChangeListener((change) => {
        if (!change.isUserEvent) return;
        smiles.value = editor.getMolecule().toIsomericSmiles();
        ask.requestSubmit();
      });
    });
    ask.requestSubmit();
  });
})();
