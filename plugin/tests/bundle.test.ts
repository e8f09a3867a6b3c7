import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';

import { beforeAll, describe, expect, test } from 'vitest';

import { SHARED, bundle } from '../scripts/build.mjs';
import { zip } from '../scripts/zip.mjs';

let code: string;

beforeAll(async () => {
  code = await bundle();
});

// What a loader of AMD modules does.
function load(text: string) {
  let found: { names: string[]; exports: Record<string, unknown> } | undefined;
  const define = (names: string[], factory: (...given: unknown[]) => void) => {
    const exports: Record<string, unknown> = {};
    class DataSourcePlugin {
      setConfigEditor = () => this;
      setQueryEditor = () => this;
      setQueryEditorHelp = () => this;
      setVariableQueryEditor = () => this;
    }
    const lent = { DataSourcePlugin, DataSourceWithBackend: class {}, CoreApp: {} };
    factory(...names.map((name) => (name === 'exports' ? exports : lent)));
    found = { names, exports };
  };
  new Function('define', text)(define);
  return found;
}

describe('module.js', () => {
  test('is a module with the plugin in its exports', () => {
    const exports = load(code)?.exports;
    expect(exports?.__esModule).toBe(true);
    expect(exports?.plugin).toBeDefined();
  });

  test('takes only what Grafana lends from 9.4 to 13, and no JSX runtime', () => {
    const { names } = load(code) ?? { names: [] };
    expect(['exports', ...SHARED]).toEqual(expect.arrayContaining(names));
    expect(code).not.toContain('jsx-runtime');
  });

  test('begins as the loader of 9.4 tells an AMD module, and nothing in it looks like an ES module', () => {
    expect(code).toMatch(/^define\(\["exports"/);
    expect(code).not.toMatch(/(^\s*|[}\);\n]\s*)(import\s*(['"]|\{|\*)|export\s*(\{|default|\*|class|var|const|function))/);
  });

  test('stays small', () => {
    expect(code.length).toBeLessThan(100_000);
  });
});

describe('the archive', () => {
  test('keeps the contents, the modes and one folder', () => {
    const files = new Map([
      ['a.txt', { data: Buffer.from('hello '.repeat(100)) }],
      ['run', { data: Buffer.from('#!/bin/sh\n'), executable: true }],
    ]);
    const bytes = zip(files, 'id/', new Date('2026-01-02T00:00:00Z'));
    const directory = bytes.indexOf('PK\x01\x02', 0, 'latin1');
    const modes = [directory, bytes.indexOf('PK\x01\x02', directory + 4, 'latin1')].map((at) => bytes.readUInt32LE(at + 38) >>> 16);
    expect(modes.map((mode) => mode.toString(8))).toEqual(['100644', '100755']);
    const length = bytes.readUInt32LE(18);
    const start = 30 + bytes.readUInt16LE(26);
    expect(bytes.subarray(30, start).toString()).toBe('id/a.txt');
    expect(inflateRawSync(bytes.subarray(start, start + length)).toString()).toBe('hello '.repeat(100));
  });
});

test('plugin.json promises what the bundle and the backend do', () => {
  const meta = JSON.parse(readFileSync(join(__dirname, '../src/plugin.json'), 'utf8'));
  expect(meta).toMatchObject({
    id: 'incidentlens-datasource', type: 'datasource', backend: true, executable: 'gpx_incidentlens',
    alerting: true, annotations: true, streaming: true, logs: true, metrics: true,
  });
});
