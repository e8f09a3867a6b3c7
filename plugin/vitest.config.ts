import { createRequire } from 'node:module';

import { defineConfig } from 'vitest/config';

const { resolve } = createRequire(import.meta.url);
// Their ES modules are made for bundlers: Node cannot import all of what these import.
const grafana = ['@grafana/data', '@grafana/runtime', '@grafana/ui'];

export default defineConfig({
  resolve: { alias: grafana.map((name) => ({ find: new RegExp(`^${name}$`), replacement: resolve(name) })) },
  test: {
    setupFiles: ['tests/setup.ts'],
    include: ['tests/**/*.test.{ts,tsx}'],
    environment: 'happy-dom',
    // Grafana's packages take a while to be read the first time.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
  },
});
