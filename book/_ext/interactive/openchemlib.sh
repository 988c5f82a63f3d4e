#!/usr/bin/env bash
# Makes openchemlib.js and resources.js anew from the packages of the npm registry: build.sh FOLDER
set -euo pipefail
target=$(realpath "$1")
cd "$(mktemp -d)"
npm install --silent --no-audit --no-fund openchemlib@9.25.0 esbuild@0.28.2
echo 'export { CanvasEditor, ConformerGenerator, ForceFieldMMFF94, Molecule, Resources } from "openchemlib";' > entry.js
# A classic script: from a disk a browser loads no module.
node_modules/.bin/esbuild entry.js --bundle --minify --format=iife --global-name=OCL --legal-comments=inline --outfile="$target/openchemlib.js"
# Of the resources, the statistics of torsions for conformers and the parameters of MMFF94.
node -e '
  const all = JSON.parse(require("fs").readFileSync("node_modules/openchemlib/dist/resources.json"));
  const kept = Object.entries(all).filter(([name]) => /^\/resources\/(cod|forcefield)\//.test(name));
  console.log(`globalThis.OCL_RESOURCES = ${JSON.stringify(Object.fromEntries(kept))};`);
' > "$target/resources.js"
cp node_modules/openchemlib/LICENSE "$target/LICENSE"
cd "$target" && sha256sum openchemlib.js resources.js LICENSE > SHA256SUMS
