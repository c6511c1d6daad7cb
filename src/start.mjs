// Plain JavaScript, so that an old Node can read it: says what is missing instead of failing on TypeScript or crashing
// in the SQLite binding (which ends Node 20 with a segmentation fault).
const [major] = process.versions.node.split('.').map(Number);
if (major < 24) {
  process.stderr.write(`Muster needs Node 24 or newer; this is ${process.version}.\n`
    + 'A full `npm ci` brings Node 24 along (`npm start` uses it). Without development dependencies, install Node 24 yourself.\n');
  process.exit(78);
}
await import('./main.ts');
