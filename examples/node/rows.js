// Prints the rows of a table of an extract as JSON lines: node rows.js EXTRACT TABLE [CONDITION]

import { createReadStream, readFileSync } from 'node:fs';
import { RecordBatchReader, Type } from 'apache-arrow';
import { instantiate } from './component/connector.js';

/** Loads the component. Every import fails when it is called, except the seed that Rust's hash maps ask for. */
function load() {
  const fail = (name) => () => {
    throw new Error(`the component called ${name}`);
  };
  const nothing = (name) =>
    new Proxy(class {}, { get: (target, key) => (key in target ? target[key] : fail(`${name} ${String(key)}`)) });
  const imports = new Proxy(
    {},
    {
      get: (_, name) =>
        String(name).startsWith('wasi:random/insecure-seed') ? { insecureSeed: () => [1n, 2n] } : nothing(name),
    },
  );
  const core = (file) => new WebAssembly.Module(readFileSync(new URL(`component/${file}`, import.meta.url)));
  return instantiate(core, imports);
}

/** Returns the batches of a table, as messages of one Arrow stream. */
async function* messages(extract, table, where) {
  const { source } = load();
  const scan = source.Scan.open(
    { tables: [{ name: table, where }], batchRows: 0, checkPersons: false, expectedPrevious: undefined },
    undefined,
  );
  const ready = function* () {
    for (let batch = scan.next(); batch !== undefined; batch = scan.next()) {
      yield batch.ipc;
    }
  };
  for await (const block of createReadStream(extract, { highWaterMark: 1 << 20 })) {
    scan.push(block);
    yield* ready();
  }
  scan.finish();
  yield* ready();
}

/** Returns a value as JSON has it. */
function plain(value, type) {
  if (value === null) {
    return null;
  }
  const [day, time] = [Type.Date, Type.Timestamp].includes(type.typeId) ? new Date(value).toISOString().split('T') : [];
  switch (type.typeId) {
    case Type.Date:
      return day;
    case Type.Timestamp:
      return `${day}T${time.slice(0, 8)}`;
    case Type.Int:
      return Number(value);
    case Type.Map:
      return Object.fromEntries(value);
    default:
      return value;
  }
}

async function main(extract, table, where) {
  for await (const batch of await RecordBatchReader.from(messages(extract, table, where))) {
    for (const row of batch) {
      const cells = batch.schema.fields.map(({ name, type }) => [name, plain(row[name], type)]);
      process.stdout.write(`${JSON.stringify(Object.fromEntries(cells))}\n`);
    }
  }
}

try {
  await main(...process.argv.slice(2));
} catch (error) {
  // An error of the contract is in `payload`. Its message holds no value of a person's record.
  console.error(`error: ${error.payload?.message ?? error.message}`);
  process.exitCode = 1;
}
