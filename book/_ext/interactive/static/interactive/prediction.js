/**
 * From a SMILES or an XYZ text to a prediction or to why there is none, without a page. A refusal and a warning are a
 * word's key with its values (see `domain.js`).
 */
globalThis.Prediction = (() => {
  "use strict";
  const { unpack } = globalThis.Interactive;
  const { PaiNN, Domain } = globalThis;
  const MOST = 30; // atoms other than hydrogen: with more, MMFF94 takes longer than a reader waits, and the page hangs
  const CONFORMERS = 8; // that of least MMFF94 energy among so many
  const SEED = 42, TORSIONS = 100, STEPS = { maxIts: 2000, gradTol: 1e-3, funcTol: 1e-6 };

  /**
   * @typedef {Object} Geometry
   * @property {number[]} numbers atomic numbers
   * @property {number[][]} positions Å
   * @property {string} kind of geometry: one of those of the intervals, or "unknown"
   * @property {Array<{key: string, values: Object}>} doubts what may mean a charge or a spin
   * @property {Array<{key: string, values: Object}>} [notes] what is unusual about how the geometry was made
   */

  const refuse = (key, values = {}) => ({ refused: { key, values } });

  /**
   * A molecule from a plain or extended XYZ text, or from lines of element and coordinates alone.
   * @param {Object} limits
   * @param {string} text
   * @param {string} [kind]
   * @returns {Geometry|{refused: Object}}
   */
  function fromXyz(limits, text, kind = "unknown") {
    const lines = text.replace(/^\uFEFF/, "").split(/\r\n|\n|\r/).map((line) => line.trimEnd());
    while (lines.length && !lines.at(-1)) lines.pop();
    let start = 0;
    while (start < lines.length && !lines[start].trim()) start++;
    const headed = /^\s*\d+\s*$/.test(lines[start] ?? ""), first = headed ? start + 2 : start;
    const rows = lines.slice(first), said = headed ? Number(lines[start]) : rows.length;
    if (!rows.length) return refuse("noAtoms");
    if (rows.length < said) return refuse("fewer", { said, count: rows.length });
    if (rows.length > said) return refuse("more", { line: first + said + 1, said });
    const numbers = [], positions = [];
    for (const [k, row] of rows.entries()) {
      const [label, ...rest] = row.trim().split(/\s+/), line = first + k + 1;
      // Fortran writes 1.0D+00, QM9's own files 1.0*^-6.
      const place = rest.slice(0, 3).map((one) => (/\d/.test(one) ? Number(one.replace(/[dD]|\*\^/, "e")) : NaN));
      if (place.length < 3 || place.some(Number.isNaN)) return refuse("badLine", { line });
      const symbol = label.charAt(0).toUpperCase() + label.slice(1).toLowerCase();
      const number = /^\d+$/.test(label) ? Number(label) : limits.symbols.indexOf(symbol);
      if (!(number > 0 && number < limits.symbols.length)) return refuse("noElement", { line, symbol: label });
      numbers.push(number);
      positions.push(place);
    }
    const { refused, doubts } = headed ? Domain.ofComment(limits, lines[start + 1]) : { refused: null, doubts: [] };
    return refused ? { refused } : { numbers, positions, kind, doubts };
  }

  /** A structure of OpenChemLib's from a SMILES, or why it is none that the networks know. */
  function structure(limits, text) {
    if (!text) return refuse("noSmiles");
    if (/\s/.test(text)) return refuse("space");
    const foreign = [...text].find((sign) => sign < "!" || sign > "~");
    if (foreign) return refuse("foreignSign", { sign: foreign });
    let molecule;
    try {
      molecule = globalThis.OCL.Molecule.fromSmiles(text);
    } catch {
      return refuse("noStructure");
    }
    const atoms = Array.from({ length: molecule.getAllAtoms() }, (_, a) => a);
    if (!atoms.length || molecule.isFragment() || /[*~$]/.test(text)) return refuse("noStructure");
    if (molecule.getFragmentNumbers(atoms.map(() => 0), false, false) > 1) return refuse("several");
    const count = atoms.filter((a) => molecule.getAtomicNo(a) !== 1).length;
    if (count > MOST) return refuse("tooMany", { count, most: MOST });
    const found = [...new Set(atoms.map((a) => molecule.getAtomicNo(a)))].filter((z) => !limits.elements.includes(z));
    if (found.length) {
      const symbols = found.sort((one, other) => one - other).map((z) => limits.symbols[z]).join(", ");
      return refuse("foreign", { symbols });
    }
    const charge = atoms.reduce((total, a) => total + molecule.getAtomCharge(a), 0);
    if (charge) return refuse("charged", { charge: charge > 0 ? `+${charge}` : `−${-charge}` });
    if (atoms.some((a) => molecule.getAtomRadical(a) || molecule.getAtomAbnormalValence(a) >= 0)) return refuse("radical");
    const isotope = atoms.find((a) => molecule.getAtomMass(a));
    if (isotope !== undefined)
      return refuse("isotope", { symbol: `${molecule.getAtomMass(isotope)}${limits.symbols[molecule.getAtomicNo(isotope)]}` });
    return { molecule };
  }

  let registered = false;
  /**
   * The conformer of a SMILES with the least energy by MMFF94, of the first few that OpenChemLib makes.
   * @param {Object} limits
   * @param {string} text
   * @returns {Geometry|{refused: Object}}
   */
  function fromSmiles(limits, text) {
    const read = structure(limits, text);
    if (read.refused) return read;
    const { OCL } = globalThis;
    if (!registered) OCL.Resources.register(globalThis.OCL_RESOURCES);
    registered = true;
    const generator = new OCL.ConformerGenerator(SEED);
    const settings = { strategy: OCL.ConformerGenerator.STRATEGY_LIKELY_SYSTEMATIC, maxTorsionSets: TORSIONS };
    if (!generator.initializeConformers(read.molecule, settings)) return refuse("noGeometry");
    let best = null;
    for (let made = 0; made < CONFORMERS; made++) {
      const one = generator.getNextConformerAsMolecule();
      if (!one) break;
      let energy = Infinity;
      try {
        const field = new OCL.ForceFieldMMFF94(one, "MMFF94");
        field.minimise(STEPS);
        energy = field.getTotalEnergy();
      } catch {
        // MMFF94 does not know all its atoms: the conformer stays as it was made.
      }
      if (best && !(energy < best.energy)) continue;
      const atoms = Array.from({ length: one.getAllAtoms() }, (_, a) => a);
      const positions = atoms.map((a) => [one.getAtomX(a), one.getAtomY(a), one.getAtomZ(a)]);
      best = { energy, numbers: atoms.map((a) => one.getAtomicNo(a)), positions };
    }
    if (!best) return refuse("noGeometry");
    const notes = best.energy === Infinity ? [{ key: "withoutField", values: {} }] : [];
    return { numbers: best.numbers, positions: best.positions, kind: "mmff", doubts: [], notes };
  }

  /**
   * What predicts molecules: `read` a text first.
   * @param {{networks: Object, limits: Object}} data what `analysis.predict.exported` writes
   */
  async function predictor({ networks: packs, limits }) {
    const tables = await unpack(limits), models = {};
    for (const [name, pack] of Object.entries(packs))
      models[name] = { pack, networks: PaiNN.networks(pack, await unpack(pack)), usual: limits.spread[name] };

    /**
     * What the networks say of a molecule, or why it is refused: `canBeAsked` if it is because no training molecule is
     * like it, which `outside` overrides.
     * @param {Geometry} geometry
     * @param {boolean} [outside]
     */
    function predict({ numbers, positions, kind, doubts, notes = [] }, outside = false) {
      const refused = Domain.refusal(limits, numbers, positions);
      if (refused) return { refused };
      const { pack, networks, usual } = models[kind === "dft" ? kind : "approximate"];
      const found = PaiNN.predict(pack, networks, numbers, positions);
      if (found.atomisation <= 0) return refuse("unbound", { atomisation: found.atomisation });
      const unlike = Domain.warnings(limits, tables, numbers, positions, found.spread, usual);
      if (!unlike.length) unlike.push(...Domain.divided(limits, kind, found.spread));
      const warnings = [...notes, ...doubts, ...unlike], isOutside = notes.length + unlike.length > 0;
      if (isOutside && !outside) return { refused: { key: "outside", values: { warnings } }, canBeAsked: true };
      const interval = isOutside ? null : Domain.interval(limits, kind, numbers, positions, found.energy, found.spread);
      return { ...found, numbers, positions, kind, warnings, interval };
    }
    return { predict, fromSmiles: (text) => fromSmiles(limits, text), fromXyz: (text, kind) => fromXyz(limits, text, kind) };
  }

  return { predictor };
})();
