/**
 * PaiNN (Schütt, Unke and Gastegger 2021) as SchNetPack has it, for one molecule, in plain JavaScript: what
 * `analysis.predict` computes, from what `analysis.predict.exported.networks` writes. Lengths in Å, energies in eV.
 */
globalThis.PaiNN = (() => {
  "use strict";
  const EPSILON = 1e-8; // what SchNetPack adds to the square of a norm

  /**
   * The networks of an ensemble: of each its layers by name, float32.
   * @param {Object} pack
   * @param {Object<string, ArrayLike<number>>} arrays the pack's, unpacked
   * @returns {Array<Object<string, Float32Array>>}
   */
  function networks(pack, arrays) {
    const found = pack.runs.map(() => ({}));
    for (const key of Object.keys(arrays)) {
      if (key.endsWith("/scale")) continue;
      const [network, name] = key.split("/"), scale = arrays[`${key}/scale`];
      found[network][name] = Float32Array.from(arrays[key], (level, k) => level * scale[k % scale.length]);
    }
    return found;
  }

  const silu = (x) => x / (1 + Math.exp(-x));

  /**
   * A layer: x · W + b for each row, activated if asked for.
   * @param {Float32Array} x [rows, inputs]
   * @param {number} rows
   * @param {Object<string, Float32Array>} network
   * @param {string} name of the layer, whose weights are [inputs, outputs]; without a bias it adds none
   * @param {boolean} [activate]
   * @returns {Float32Array} [rows, outputs]
   */
  function dense(x, rows, network, name, activate = false) {
    const weights = network[`${name}.weight`], bias = network[`${name}.bias`];
    const inputs = x.length / rows, outputs = weights.length / inputs, y = new Float32Array(rows * outputs);
    for (let row = 0; row < rows; row++) {
      const to = y.subarray(row * outputs, (row + 1) * outputs);
      if (bias) to.set(bias);
      for (let i = 0; i < inputs; i++) {
        const value = x[row * inputs + i];
        if (value === 0) continue;
        for (let o = 0, w = i * outputs; o < outputs; o++, w++) to[o] += value * weights[w];
      }
      if (activate) for (let o = 0; o < outputs; o++) to[o] = silu(to[o]);
    }
    return y;
  }

  /**
   * Each pair of atoms nearer than the cut-off, with what does not depend on the network: direction, Gaussians, cut-off.
   * @param {Object} pack
   * @param {number[][]} positions
   */
  function pairsOf(pack, positions) {
    const pairs = [], gaussians = pack.centres.length;
    for (let i = 0; i < positions.length; i++)
      for (let j = 0; j < i; j++) {
        const [x, y, z] = [0, 1, 2].map((axis) => positions[j][axis] - positions[i][axis]);
        const distance = Math.sqrt(x * x + y * y + z * z);
        if (distance < pack.cutoff) pairs.push({ i, j, distance, direction: [x / distance, y / distance, z / distance] });
      }
    const basis = new Float32Array(pairs.length * gaussians), cut = new Float32Array(pairs.length);
    pairs.forEach(({ distance }, p) => {
      cut[p] = 0.5 * (Math.cos((distance * Math.PI) / pack.cutoff) + 1);
      for (let g = 0; g < gaussians; g++)
        basis[p * gaussians + g] = Math.exp((-0.5 * (distance - pack.centres[g]) ** 2) / pack.widths[g] ** 2);
    });
    return { pairs, basis, cut };
  }

  /**
   * What a network says of each atom, without offsets.
   * @param {Object<string, Float32Array>} network
   * @param {Object} pack
   * @param {number[]} numbers atomic numbers
   * @param {Object} around what `pairsOf` gives
   * @returns {Float32Array} [atoms]
   */
  function atomic(network, pack, numbers, { pairs, basis, cut }) {
    const n = numbers.length, F = network["embedding.weight"].length / pack.elements.length, F3 = 3 * F;
    const q = new Float32Array(n * F), mu = new Float32Array(n * F3); // scalars; vectors as [atom, axis, feature]
    numbers.forEach((z, a) => {
      const row = pack.elements.indexOf(z);
      q.set(network["embedding.weight"].subarray(row * F, (row + 1) * F), a * F);
    });
    // Without pairs there are no filters, and `dense` could not tell how many inputs they have.
    const filters = pairs.length ? dense(basis, pairs.length, network, "filter_net") : new Float32Array(0);
    const wide = network["filter_net.bias"].length, blocks = wide / F3;
    for (let block = 0; block < blocks; block++) {
      const name = `interactions.${block}.interatomic_context_net`;
      const x = dense(dense(q, n, network, `${name}.0`, true), n, network, `${name}.1`), moved = new Float32Array(n * F3);
      const send = (to, from, p, sign) => {
        const w = p * wide + block * F3, [ux, uy, uz] = pairs[p].direction, c = cut[p];
        for (let f = 0; f < F; f++) {
          q[to * F + f] += filters[w + f] * c * x[from * F3 + f];
          const along = sign * filters[w + F + f] * c * x[from * F3 + F + f];
          const kept = filters[w + 2 * F + f] * c * x[from * F3 + 2 * F + f];
          const t = to * F3 + f, s = from * F3 + f;
          moved[t] += along * ux + kept * mu[s];
          moved[t + F] += along * uy + kept * mu[s + F];
          moved[t + 2 * F] += along * uz + kept * mu[s + 2 * F];
        }
      };
      for (let p = 0; p < pairs.length; p++) {
        send(pairs[p].i, pairs[p].j, p, 1);
        send(pairs[p].j, pairs[p].i, p, -1);
      }
      for (let k = 0; k < mu.length; k++) mu[k] += moved[k];
      update(network, `mixing.${block}`, q, mu, n, F);
    }
    return dense(dense(q, n, network, "0", true), n, network, "1");
  }

  /** Let the scalars and the vectors of each atom mix, in place. */
  function update(network, name, q, mu, n, F) {
    const mixed = dense(mu, 3 * n, network, `${name}.mu_channel_mix`);
    const context = new Float32Array(n * 2 * F), product = new Float32Array(n * F);
    for (let a = 0; a < n; a++)
      for (let f = 0; f < F; f++) {
        let square = EPSILON, dot = 0;
        for (let axis = 0; axis < 3; axis++) {
          const V = mixed[(3 * a + axis) * 2 * F + f], W = mixed[(3 * a + axis) * 2 * F + F + f];
          square += V * V;
          dot += V * W;
        }
        context[a * 2 * F + f] = q[a * F + f];
        context[a * 2 * F + F + f] = Math.sqrt(square);
        product[a * F + f] = dot;
      }
    const net = `${name}.intraatomic_context_net`;
    const y = dense(dense(context, n, network, `${net}.0`, true), n, network, `${net}.1`);
    for (let a = 0; a < n; a++)
      for (let f = 0; f < F; f++) {
        const at = a * 3 * F + f;
        q[a * F + f] += y[at] + y[at + 2 * F] * product[a * F + f];
        for (let axis = 0; axis < 3; axis++)
          mu[(3 * a + axis) * F + f] += y[at + F] * mixed[(3 * a + axis) * 2 * F + F + f];
      }
  }

  const sum = (values) => values.reduce((total, one) => total + one, 0);
  const mean = (values) => sum(values) / values.length;
  const deviation = (values) => {
    const middle = mean(values);
    return Math.sqrt(sum(values.map((one) => (one - middle) ** 2)) / (values.length - 1));
  };

  /**
   * What the ensemble says of a molecule: `energy` (U0) by each network and their mean, `spread`, `atomisation`, and of
   * each atom its share of the energy of atomisation with the networks' standard deviation; all in eV.
   * @param {Object} pack
   * @param {Array<Object<string, Float32Array>>} networks
   * @param {number[]} numbers
   * @param {number[][]} positions
   */
  function predict(pack, networks, numbers, positions) {
    const around = pairsOf(pack, positions);
    const each = networks.map((network, k) =>
      Array.from(atomic(network, pack, numbers, around), (value, a) => value + pack.offsets[k][numbers[a]]));
    const energies = each.map(sum), energy = mean(energies);
    const atoms = numbers.map((z, a) => {
      const shares = each.map((values) => pack.free[z] - values[a]);
      return { share: mean(shares), spread: deviation(shares) };
    });
    return { energies, energy, spread: deviation(energies), atomisation: sum(numbers.map((z) => pack.free[z])) - energy, atoms };
  }

  return { networks, predict };
})();
