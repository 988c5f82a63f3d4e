/**
 * What can't be predicted and what is out of the ordinary: the rules of `analysis.predict.applicability` and, for an XYZ
 * file's comment, of `electrons`, with the tables of `analysis.predict.exported.limits`. What they find is a word's key and
 * the values that go into it; the page has the words. Lengths in Å.
 */
globalThis.Domain = (() => {
  "use strict";
  const NOTHING = ["", "none", "null", "neutral", "singlet", "false"];

  /** @typedef {{key: string, values: Object<string, string|number>}} Said a word's key and what it says of what */

  const said = (key, values = {}) => ({ key, values });
  const between = (one, other) => {
    const [x, y, z] = [0, 1, 2].map((axis) => other[axis] - one[axis]);
    return Math.sqrt(x * x + y * y + z * z);
  };

  /**
   * What an XYZ file's comment says of charge and spin.
   * @param {Object} limits
   * @param {string} comment
   * @returns {{refused: ?Said, doubts: Said[]}}
   */
  function ofComment(limits, comment) {
    const whole = (pattern) => new RegExp(`^(?:${pattern})$`);
    const kinds = [[whole(limits.charge), [0]], [whole(limits.multiplicity), [1]], [whole(limits.unpaired), [0]], [whole(limits.spin), [0, 1]]];
    const doubts = [], plain = (key) => key.toLowerCase().replace(/[^a-z0-9]/g, "");
    const pair = /(["']?)([A-Za-z][\w +-]*?)\1\s*[:=]\s*(?:"([^"]*)"|'([^']*)'|([^\s,;"']+))/g;
    let refused = null;
    for (const [, , key, ...texts] of comment.matchAll(pair)) {
      const text = texts.find((one) => one !== undefined).trim(), name = plain(key);
      if (NOTHING.includes(text.toLowerCase())) continue;
      const value = Number(text), kind = kinds.find(([pattern]) => pattern.test(name));
      if (kind && !kind[1].some((closed) => Math.abs(value - closed) < 0.1)) refused ??= said("notClosed", { key, value: text });
      else if (!kind && new RegExp(limits.alike).test(name) && !(Math.abs(value) < 0.1)) doubts.push(said("doubt", { key, value: text }));
    }
    const words = comment.replace(pair, " ").split(/\s+/).filter(Boolean);
    for (const word of words) {
      const name = plain(word);
      const known = kinds.some(([pattern]) => pattern.test(name)) || new RegExp(limits.alike).test(name);
      if (name.length > 1 && known && /^[A-Za-z]/.test(word)) doubts.push(said("withoutValue", { key: word }));
    }
    if (words.length === 2 && words.every((word) => /^[+-]?\d$/.test(word)) && words.join(" ") !== "0 1" && words.join(" ") !== "1 0")
      doubts.push(said("twoNumbers", { value: words.join(" ") }));
    return { refused, doubts };
  }

  /**
   * Why a molecule can't be predicted at all; null if it can.
   * @param {Object} limits
   * @param {number[]} numbers atomic numbers
   * @param {number[][]} positions
   * @returns {?Said}
   */
  function refusal(limits, numbers, positions) {
    if (!numbers.length) return said("empty");
    if (numbers.length > limits.largest) return said("tooLarge", { count: numbers.length, most: limits.largest });
    const foreign = [...new Set(numbers)].filter((z) => !limits.elements.includes(z)).sort((one, other) => one - other);
    if (foreign.length) return said("foreign", { symbols: foreign.map((z) => limits.symbols[z] ?? `? (${z})`).join(", ") });
    const electrons = numbers.reduce((total, z) => total + z, 0);
    if (electrons % 2) return said("odd", { electrons });
    const lost = positions.findIndex((place) => !place.every((value) => Math.abs(value) <= limits.farthest));
    if (lost >= 0) return said("lost", { atom: lost + 1 });
    return numbers.length > 1 ? lengths(limits, positions) : null;
  }

  /** Whether lengths can be in Å. */
  function lengths(limits, positions) {
    const nearest = positions.map(() => Infinity);
    let least = { distance: Infinity, first: 0, second: 0 };
    for (let i = 0; i < positions.length; i++)
      for (let j = i + 1; j < positions.length; j++) {
        const distance = between(positions[i], positions[j]);
        nearest[i] = Math.min(nearest[i], distance);
        nearest[j] = Math.min(nearest[j], distance);
        if (distance < least.distance) least = { distance, first: i + 1, second: j + 1 };
      }
    const apart = least.distance >= limits.longest_bond;
    if (least.distance >= limits.nearest && !apart) return null;
    const sorted = nearest.toSorted((one, other) => one - other), half = sorted.length / 2;
    const typical = (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2;
    const unit = limits.units.findIndex(([low, high]) => low < typical && typical < high);
    if (unit >= 0 && (apart || typical < limits.nearest)) return said(["nanometres", "bohr", "picometres"][unit], { typical });
    if (apart) return said("apart", { distance: least.distance });
    return said("close", { ...least, nearest: limits.nearest });
  }

  /** Distances up to the reach, in float32 as in Python, and which of them are bonds. */
  function look(limits, numbers, positions) {
    const pairs = [], bonds = [], count = numbers.map(() => 0);
    for (let i = 0; i < numbers.length; i++)
      for (let j = i + 1; j < numbers.length; j++) {
        const exact = between(positions[i], positions[j]), distance = Math.fround(exact);
        if (exact >= limits.reach) continue;
        pairs.push({ i, j, distance });
        if (distance < limits.bond * (limits.radii[numbers[i]] + limits.radii[numbers[j]])) {
          bonds.push([i, j]);
          count[i]++;
          count[j]++;
        }
      }
    return { pairs, bonds, count };
  }

  /** How many parts bonds hold together. */
  function parts(atoms, bonds) {
    const part = Array.from({ length: atoms }, (_, a) => a);
    const root = (a) => (part[a] === a ? a : (part[a] = root(part[a])));
    for (const [i, j] of bonds) part[root(i)] = root(j);
    return part.filter((_, a) => root(a) === a).length;
  }

  /**
   * What is out of the ordinary about a molecule that can be predicted, in the order of `applicability.KINDS`.
   * @param {Object} limits
   * @param {Object<string, ArrayLike<number>>} arrays those of `limits`, unpacked
   * @param {number[]} numbers
   * @param {number[][]} positions
   * @param {number} spread eV
   * @param {?number} usual the spread, eV, above which there is a warning
   * @returns {Said[]}
   */
  function warnings(limits, arrays, numbers, positions, spread, usual) {
    const { pairs, bonds, count } = look(limits, numbers, positions), found = [], symbol = (a) => limits.symbols[numbers[a]];
    const outside = (value, [low, high], key) => {
      if (value < low || value > high) found.push(said(key, { value, low, high }));
    };
    outside(numbers.length, limits.atoms, "atomsOutside");
    outside(numbers.filter((z) => z !== 1).length, limits.heavy_atoms, "heavyOutside");
    const several = parts(numbers.length, bonds);
    if (several > 1) found.push(said("parts", { count: several }));

    const row = limits.most_bonds + 2, place = numbers.map((z) => limits.elements.indexOf(z));
    const codes = place.map((element) => arrays.code_of[element * row + limits.most_bonds + 1]);
    const around = numbers.map(() => []);
    for (const [i, j] of bonds)
      for (const [a, b] of [[i, j], [j, i]]) {
        codes[a] += arrays.code_of[place[b] * row + Math.min(count[b], limits.most_bonds)];
        around[a].push(`${symbol(b)}${count[b]}`);
      }
    arrays.known ??= new Set(arrays.codes);
    const strange = numbers.map((_, a) => a).filter((a) => !arrays.known.has(BigInt.asIntN(64, codes[a])));
    if (strange.length) {
      // Of several, the one with the fewest bonds: a lost atom is new, and so are those that have lost it.
      const atom = strange.reduce((best, a) => (count[a] < count[best] ? a : best));
      const values = { symbol: symbol(atom), around: around[atom].sort().join(", "), atom: atom + 1 };
      found.push(said(values.around ? "environment" : "alone", values));
    }

    const steps = Math.round(limits.reach / limits.width), width = Math.fround(limits.width);
    const strangePair = pairs.find(({ i, j, distance }) => {
      const kind = Math.max(place[i], place[j]) * limits.elements.length + Math.min(place[i], place[j]);
      const step = Math.min(Math.trunc(Math.fround(distance / width)), steps - 1);
      return !arrays.distances[kind * steps + step];
    });
    if (strangePair) {
      const { i, j, distance } = strangePair;
      found.push(said("distance", { one: symbol(i), other: symbol(j), distance, first: i + 1, second: j + 1 }));
    }
    if (usual !== null && spread > usual) found.push(said("spread", { spread, usual }));
    return found;
  }

  /** The scales that a kind of geometry may be: of an unknown one, those of all that is predicted as it is. */
  const scalesOf = ({ scales }, kind) =>
    kind === "unknown" ? Object.keys(scales).filter((name) => name !== "dft").map((name) => scales[name]) : [scales[kind]];

  /**
   * That the networks differ too much for an interval, if they do.
   * @param {Object} limits
   * @param {string} kind of geometry
   * @param {number} spread eV
   * @returns {Said[]} one or none
   */
  function divided(limits, kind, spread) {
    if (!limits.intervals) return [];
    const widest = Math.max(...scalesOf(limits.intervals, kind).map((scale) => scale.widest));
    return spread > widest ? [said("divided", { spread, widest })] : [];
  }

  /** The group of molecules whose quantiles a molecule in one part has. */
  function taxonOf(limits, numbers, positions) {
    if (numbers.includes(9)) return "fluorine";
    const rings = look(limits, numbers, positions).bonds.length - numbers.length + 1;
    return rings >= limits.intervals.rings ? "rings" : "others";
  }

  /**
   * Where U0 lies for molecules like QM9's, eV; of an unknown kind of geometry, whatever any kind allows.
   * @param {Object} limits
   * @param {string} kind of geometry
   * @param {number[]} numbers
   * @param {number[][]} positions
   * @param {number} energy
   * @param {number} spread
   * @returns {?[number, number]} null too where molecules like it were too few to calibrate on
   */
  function interval(limits, kind, numbers, positions, energy, spread) {
    if (!limits.intervals) return null;
    const taxon = taxonOf(limits, numbers, positions), scales = scalesOf(limits.intervals, kind);
    if (scales.some(({ quantiles }) => !quantiles[taxon])) return null;
    const ends = scales.map(({ floor, quantiles }) => {
      const { low, high } = quantiles[taxon];
      return [energy - high * (spread + floor), energy - low * (spread + floor)];
    });
    return [Math.min(...ends.map((one) => one[0])), Math.max(...ends.map((one) => one[1]))];
  }

  return { ofComment, refusal, look, warnings, divided, interval };
})();
