import { createRequire } from 'node:module';

import * as data from '@grafana/data';
import * as runtime from '@grafana/runtime';
import * as ui from '@grafana/ui';
import * as React from 'react';
import * as rxjs from 'rxjs';
import { expect, test } from 'vitest';

import { SHARED, bundle } from '../scripts/build.mjs';

const require = createRequire(import.meta.url);

interface Loader {
  set: (url: string, module: Record<string, unknown>) => void;
  import: (url: string) => Promise<Record<string, unknown>>;
  shouldFetch: () => boolean;
  fetch: (url: string) => Promise<Response>;
  resolve: (id: string, parent?: string) => string;
}

test('the loader of Grafana 10 and later, SystemJS 6 with AMD, finds the plugin', async () => {
  const code = await bundle();
  // Before the loader is there: modules in UMD would give themselves to it.
  const lent = [['@grafana/data', data], ['@grafana/runtime', runtime], ['@grafana/ui', ui], ['react', React], ['rxjs', rxjs]] as const;
  require('systemjs/dist/system.js');
  require('systemjs/dist/extras/amd.js');
  const { System } = globalThis as unknown as { System: { constructor: { prototype: Loader } } & Loader };
  const loader = System.constructor.prototype;
  loader.resolve = (id) => (SHARED.includes(id) ? `package:${id}` : id);
  loader.shouldFetch = () => true;
  loader.fetch = async () => new Response(code, { headers: { 'content-type': 'application/javascript' } });
  for (const [name, module] of lent) {
    System.set(`package:${name}`, module);
  }
  const { plugin } = await System.import('http://localhost/public/plugins/incidentlens-datasource/module.js');
  expect(plugin).toMatchObject({ components: { QueryEditor: expect.any(Function), ConfigEditor: expect.any(Function) } });
});
