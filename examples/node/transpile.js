// Translates the component into JavaScript: node transpile.js COMPONENT
//
// Writes the directory `component`, which rows.js imports.

import { fileURLToPath } from 'node:url';
import { transpile, writeFiles } from '@bytecodealliance/jco-transpile';

const [component] = process.argv.slice(2);
const outDir = fileURLToPath(new URL('component', import.meta.url));
const { files } = await transpile(component, {
  name: 'connector',
  outDir,
  // rows.js supplies the imports, so that the component gets no files, network or clock.
  instantiation: 'sync',
});
await writeFiles(files);
