/** A molecule in three dimensions as SVG, balls and sticks, turned by mouse, finger or arrow keys; no WebGL is needed. */
globalThis.MoleculeView = (() => {
  "use strict";
  const { make } = globalThis.Interactive;
  const COLOURS = { 1: "#f2f2f2", 6: "#5a5a5a", 7: "#3050d0", 8: "#d02020", 9: "#3fa34d" };
  const SIZES = { 1: 0.32, 6: 0.48, 7: 0.46, 8: 0.44, 9: 0.42 };
  const KEYS = { ArrowLeft: [0, -0.15], ArrowRight: [0, 0.15], ArrowUp: [-0.15, 0], ArrowDown: [0.15, 0] };
  const SLOW = 120; // pixels that turn by a radian

  /**
   * The pairs of atoms that a line joins.
   * @param {ArrayLike<number>} numbers atomic numbers
   * @param {number[][]} positions Å
   * @param {{radii: Object<number, number>, bond: number}} limits
   * @returns {Array<[number, number]>}
   */
  function bonds(numbers, positions, { radii, bond }) {
    const found = [];
    for (let i = 0; i < numbers.length; i++)
      for (let j = i + 1; j < numbers.length; j++) {
        const distance = Math.hypot(...positions[i].map((value, axis) => value - positions[j][axis]));
        if (distance < bond * (radii[numbers[i]] + radii[numbers[j]])) found.push([i, j]);
      }
    return found;
  }

  /** A rotation by `down` about the horizontal axis after one by `right` about the vertical one, applied to another. */
  function turned(rotation, down, right) {
    const [c, s, C, S] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
    const turn = [[c, 0, s], [S * s, C, -S * c], [-C * s, S, C * c]];
    return turn.map((row) => [0, 1, 2].map((k) => row[0] * rotation[0][k] + row[1] * rotation[1][k] + row[2] * rotation[2][k]));
  }

  /**
   * Show a molecule in an SVG element, which takes the focus; + and − make it larger and smaller.
   * @param {SVGElement} svg
   * @param {Object} molecule
   * @param {ArrayLike<number>} molecule.numbers atomic numbers
   * @param {number[][]} molecule.positions Å
   * @param {Array<[number, number]>} molecule.bonds
   * @param {string[]} molecule.titles what each atom says of itself
   * @param {string} molecule.label what the picture shows, and that the arrow keys turn it
   * @returns {function(number[][]): void} moves the atoms elsewhere, Å; the molecule stays turned as it is
   */
  function show(svg, { numbers, positions, bonds, titles, label }) {
    const centre = [0, 1, 2].map((k) => positions.reduce((sum, place) => sum + place[k], 0) / positions.length);
    const centred = (all) => all.map((place) => place.map((value, k) => value - centre[k]));
    let places = centred(positions);
    const reach = Math.max(1.5, ...places.map((place) => Math.hypot(...place))) + 0.6;
    let rotation = turned([[1, 0, 0], [0, 1, 0], [0, 0, 1]], -0.5, 0.6);
    let zoom = 1;
    for (const [key, value] of Object.entries({ role: "img", "aria-label": label, tabindex: 0 })) svg.setAttribute(key, value);

    function draw() {
      svg.setAttribute("viewBox", [-reach, -reach, 2 * reach, 2 * reach].map((value) => value / zoom).join(" "));
      // On the screen y points down: without the sign a molecule would turn into its mirror image.
      const seen = places.map((place) => {
        const [x, y, z] = rotation.map((row) => row[0] * place[0] + row[1] * place[1] + row[2] * place[2]);
        return [x, -y, z];
      });
      const parts = [];
      for (const [i, j] of bonds)
        for (const [a, b] of [[i, j], [j, i]]) {
          const middle = seen[a].map((value, k) => (value + seen[b][k]) / 2);
          // From the ball's surface on: a stick towards the reader would cover the ball.
          const half = Math.hypot(...middle.map((value, k) => value - seen[a][k]));
          const start = seen[a].map((value, k) => value + ((middle[k] - value) * 0.9 * SIZES[numbers[a]]) / half);
          const ends = { x1: start[0], y1: start[1], x2: middle[0], y2: middle[1] };
          const look = { stroke: COLOURS[numbers[a]], "stroke-width": 0.2 };
          const rim = { ...ends, stroke: "#222", "stroke-width": 0.26 };
          const depth = (start[2] + middle[2]) / 2 - 0.01;
          parts.push([depth - 0.001, make("line", rim)], [depth, make("line", { ...ends, ...look })]);
        }
      seen.forEach(([x, y, z], a) => {
        const look = { fill: COLOURS[numbers[a]], stroke: "#222", "stroke-width": 0.035 };
        const ball = make("circle", { cx: x, cy: y, r: SIZES[numbers[a]] * (1 + 0.03 * z), ...look });
        ball.append(make("title", { svg: true, text: titles[a] }));
        parts.push([z, ball]);
      });
      svg.replaceChildren(...parts.sort((one, other) => one[0] - other[0]).map((part) => part[1]));
    }

    let from = null;
    svg.onpointerdown = (event) => {
      from = [event.clientX, event.clientY];
      svg.setPointerCapture(event.pointerId);
    };
    svg.onpointermove = (event) => {
      if (!from) return;
      rotation = turned(rotation, (event.clientY - from[1]) / SLOW, (event.clientX - from[0]) / SLOW);
      from = [event.clientX, event.clientY];
      draw();
    };
    svg.onpointerup = svg.onpointercancel = () => (from = null);
    svg.onkeydown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (KEYS[event.key]) rotation = turned(rotation, ...KEYS[event.key]);
      else if (event.key === "+") zoom *= 1.15;
      else if (event.key === "-") zoom /= 1.15;
      else return;
      event.preventDefault();
      draw();
    };
    draw();
    return (moved) => {
      places = centred(moved);
      draw();
    };
  }

  return { show, bonds };
})();
